"""Locks of whole datastores (RFC 6241 section 7.5)."""

from enum import StrEnum

from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag

__all__ = ["Locks", "Target"]


class Target(StrEnum):
    """A datastore."""

    RUNNING = "running"
    CANDIDATE = "candidate"


class Locks:
    """Who holds which datastore: one session each, until it gives it back or ends."""

    def __init__(self) -> None:
        self._holders: dict[Target, int] = {}

    def holder(self, target: Target) -> int | None:
        """The session that holds a datastore, or None."""
        return self._holders.get(target)

    def take(self, target: Target, session: int) -> None:
        """Lock a datastore for a session.

        Raises:
            RpcError: lock-denied, with the holder's session-id; also where that is the asking session.
        """
        holder = self._holders.get(target)
        if holder is not None:
            raise denied(f"{target.value} is locked by session {holder}", holder)
        self._holders[target] = session

    def give(self, target: Target, session: int) -> None:
        """Unlock a datastore.

        Raises:
            RpcError: it is not locked, or by another session (RFC 6241 section 7.6).
        """
        if self._holders.get(target) != session:
            message = f"this session does not hold {target.value}"
            raise RpcError(Tag.OPERATION_FAILED, message, type=ErrorType.PROTOCOL)
        del self._holders[target]

    def release(self, session: int) -> tuple[Target, ...]:
        """Everything that a session held, which has ended."""
        held = tuple(target for target, holder in self._holders.items() if holder == session)
        for target in held:
            del self._holders[target]
        return held

    def check(self, target: Target, session: int) -> None:
        """Refuse to change what another session holds.

        Raises:
            RpcError: in-use.
        """
        holder = self._holders.get(target)
        if holder is not None and holder != session:
            raise RpcError(Tag.IN_USE, f"{target.value} is locked by session {holder}", type=ErrorType.PROTOCOL)


def denied(message: str, holder: int) -> RpcError:
    """A lock-denied; session 0 stands for something that is no NETCONF session (RFC 6241 appendix A)."""
    info = (("session-id", str(holder)),)
    return RpcError(Tag.LOCK_DENIED, message, type=ErrorType.PROTOCOL, info=info)

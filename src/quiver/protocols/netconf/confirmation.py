"""A commit that goes back by itself unless it is confirmed (RFC 6241 section 8.4)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from quiver.protocols.netconf.change import Change
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.paths import Path
from quiver.protocols.netconf.schema import SchemaNode
from quiver.protocols.netconf.tree import Branch, same, value_at

__all__ = ["ConfirmRequest", "Confirmation", "check_word"]


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """What `<commit><confirmed/>` asks for.

    Attributes:
        seconds: until the rollback.
        persist: the word that confirms it from any session; None binds it to the session that asked.
    """

    seconds: float
    persist: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirmed commit that waits.

    Attributes:
        session: the session that it ends with; None where it has a persist word.
        persist: that word.
        before: running before the first of these commits.
        places: what these commits have changed. Only that goes back: what others wrote elsewhere meanwhile is theirs.
        deadline: when it goes back, in seconds of the steady clock.
    """

    session: int | None
    persist: str | None
    before: Branch
    places: tuple[tuple[Path, SchemaNode], ...]
    deadline: float

    def extended(self, changes: Iterable[Change], request: ConfirmRequest, session: int, now: float) -> "Confirmation":
        """After another confirmed commit: more places, a new deadline (RFC 6241 section 8.4.1)."""
        places = dict.fromkeys((*self.places, *((change.path, change.node) for change in changes)))
        return replace(
            self,
            session=None if request.persist is not None else session,
            persist=request.persist,
            places=tuple(places),
            deadline=now + request.seconds,
        )

    def orphaned(self, session: int) -> "Confirmation":
        """After the end of a session: due at once where it was this one's (RFC 6241 section 8.4.1)."""
        if self.session != session:
            return self
        return replace(self, session=None, deadline=float("-inf"))

    def undo(self, running: Branch, lasting: frozenset[SchemaNode]) -> tuple[Change, ...]:
        """The changes that lead from `running` back, apart from nodes whose values never go back."""
        found = []
        for path, node in self.places:
            old, new = value_at(running, path), value_at(self.before, path)
            if node not in lasting and not same(old, new):
                found.append(Change(path, node, old, new))
        return tuple(found)


def check_word(waiting: Confirmation | None, session: int, persist_id: str | None) -> None:
    """Refuse a commit or cancel-commit that is not of whom the confirmed commit is (RFC 6241 section 8.4).

    Args:
        waiting: the confirmed commit, if one waits.
        session: that asks.
        persist_id: the word that it says.

    Raises:
        RpcError: invalid-value for a wrong word, in-use for another session's.
    """
    if waiting is None:
        if persist_id is not None:
            raise RpcError(Tag.INVALID_VALUE, "no confirmed commit waits for this persist-id")
    elif waiting.persist is not None:
        if persist_id != waiting.persist:
            raise RpcError(Tag.INVALID_VALUE, "persist-id is not the word of the confirmed commit that waits")
    elif persist_id is not None:
        raise RpcError(Tag.INVALID_VALUE, "the confirmed commit that waits has no persist-id")
    elif waiting.session != session:
        message = f"a confirmed commit of session {waiting.session} waits"
        raise RpcError(Tag.IN_USE, message, type=ErrorType.PROTOCOL)

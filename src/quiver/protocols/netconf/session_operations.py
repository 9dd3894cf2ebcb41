"""The operations on sessions themselves, and those of the monitoring and notification modules."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.modules import Module
from quiver.protocols.netconf.monitoring import get_schema
from quiver.protocols.netconf.notifications import EventLog, read_subscription
from quiver.protocols.netconf.operations import Done
from quiver.protocols.netconf.rpc import Parameters
from quiver.protocols.netconf.session import Session
from quiver.protocols.netconf.xml import MONITORING, NOTIFICATION, Element, base, qualified

__all__ = ["SessionCall", "SessionOperations"]

SessionCall = Callable[
    [Session, Element, datetime], Done
]  # the session that asks, the operation's element, and the time
_SESSION_MAX: Final = (1 << 32) - 1  # RFC 6241 appendix C


class SessionOperations:
    """The operations, by their names in Clark's notation.

    Args:
        sessions: by session-id; the server changes them.
        end: ends a session, for a reason.
        log: of the stream.
        modules: whose texts are given out.
    """

    def __init__(
        self,
        sessions: Mapping[int, Session],
        end: Callable[[Session, str], None],
        log: EventLog,
        modules: tuple[Module, ...],
    ) -> None:
        self._sessions: Final = sessions
        self._end: Final = end
        self._log: Final = log
        self._modules: Final = modules
        self._table: Final[Mapping[str, SessionCall]] = {
            base("close-session"): self._close_session,
            base("kill-session"): self._kill_session,
            qualified(NOTIFICATION, "create-subscription"): self._create_subscription,
            qualified(MONITORING, "get-schema"): self._get_schema,
        }

    def get(self, tag: str) -> SessionCall | None:
        """What does an operation, or None where it is none of these."""
        return self._table.get(tag)

    def _close_session(self, session: Session, request: Element, now: datetime) -> Done:
        del session, now  # the server ends it, once it has answered
        Parameters(request)
        return Done()

    def _kill_session(self, session: Session, request: Element, now: datetime) -> Done:
        del now
        parameters = Parameters(request, "session-id")
        parameters.need("session-id")
        number = parameters.number("session-id", 1, _SESSION_MAX)
        victim = self._sessions.get(number or 0)
        if victim is None or victim is session:  # RFC 6241 section 7.9
            raise RpcError(Tag.INVALID_VALUE, "there is no such other session", type=ErrorType.PROTOCOL)
        self._end(victim, f"killed by session {session.number}")
        return Done()

    def _create_subscription(self, session: Session, request: Element, now: datetime) -> Done:
        if session.subscription is not None:
            raise RpcError(Tag.OPERATION_FAILED, "this session has a subscription", type=ErrorType.PROTOCOL)
        session.subscription = read_subscription(request, self._log, now)
        return Done()

    def _get_schema(self, session: Session, request: Element, now: datetime) -> Done:
        del session, now
        return Done((get_schema(request, self._modules),))

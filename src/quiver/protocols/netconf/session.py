"""One session of a server: its state, its bytes and its subscription."""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from quiver.domain import limits
from quiver.protocols.netconf.access import Principal, Role
from quiver.protocols.netconf.framing import Framing, MessageReader
from quiver.protocols.netconf.monitoring import SessionFacts
from quiver.protocols.netconf.notifications import Subscription

__all__ = ["MOVES", "Session", "SessionEvent", "SessionState"]


class SessionState(Enum):
    """Where a session stands."""

    HELLO = auto()  # ours is sent, the client's has not come
    READY = auto()  # the next rpc is read when the last one is answered
    WAITING = auto()  # an rpc waits for a change of running, its own or another session's
    CLOSED = auto()


class SessionEvent(Enum):
    """What moves it."""

    GREETED = auto()
    HELD = auto()
    ANSWERED = auto()
    ENDED = auto()


MOVES: Final = {
    (SessionState.HELLO, SessionEvent.GREETED): SessionState.READY,
    (SessionState.HELLO, SessionEvent.ENDED): SessionState.CLOSED,
    (SessionState.READY, SessionEvent.HELD): SessionState.WAITING,
    (SessionState.READY, SessionEvent.ENDED): SessionState.CLOSED,
    (SessionState.WAITING, SessionEvent.ANSWERED): SessionState.READY,
    (SessionState.WAITING, SessionEvent.ENDED): SessionState.CLOSED,
}
"""State and event → state; what is not here cannot happen."""


@dataclass(slots=True)
class Session:
    """A client's session.

    Attributes:
        who: the authenticated user.
        facts: for the list of sessions.
        hello_until: seconds of the steady clock until which the client's hello must have come.
        framing: of what we send.
        reader: of what comes.
        unsent: bytes handed to the transport that have not left.
        subscription: to notifications, or None.
        state: see `SessionState`.
    """

    who: Principal
    facts: SessionFacts
    hello_until: float
    framing: Framing = Framing.END_OF_MESSAGE
    reader: MessageReader = field(default_factory=lambda: MessageReader(limits.NETCONF_HELLO))
    unsent: int = 0
    subscription: Subscription | None = None
    state: SessionState = SessionState.HELLO

    @property
    def number(self) -> int:
        """The session-id."""
        return self.facts.number

    @property
    def idle(self) -> bool:
        """Whether it may be given work: it reads what it was sent, and nothing of it is under way."""
        return self.state in (SessionState.HELLO, SessionState.READY) and self.unsent <= limits.NETCONF_UNSENT

    def move(self, event: SessionEvent) -> None:
        """Go on to the next state.

        Raises:
            KeyError: no such move exists.
        """
        self.state = MOVES[self.state, event]

    def greeted(self, framing: Framing) -> None:
        """The client's hello has come: larger messages may follow, in the framing that both have; large ones of who may write."""
        self.move(SessionEvent.GREETED)
        self.framing = framing
        self.reader.switch(framing)
        reads = self.who.role is Role.AUDITOR
        self.reader.most = limits.NETCONF_QUERY if reads else limits.NETCONF_MESSAGE

"""What waits for its turn at a server: sessions that may have sent something, and writers that wait for a change of running."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from quiver.protocols.netconf.session import Session
from quiver.protocols.netconf.xml import Element

__all__ = ["Backlog", "Held"]


@dataclass(frozen=True, slots=True)
class Held:
    """An rpc that waits for a change of running."""

    session: Session
    rpc: Element


class Backlog:
    """Sessions and writers, each in the order in which they came: whoever sends a hundred rpcs waits for others between them."""

    def __init__(self) -> None:
        self._sessions: Final[dict[int, Session]] = {}
        self._writers: Final[deque[Held]] = deque()  # one of each session at most

    def __contains__(self, session: Session) -> bool:
        """Whether a session's bytes have to be looked at."""
        return session.number in self._sessions

    @property
    def messages(self) -> bool:
        """Whether any session's bytes have to be looked at."""
        return bool(self._sessions)

    @property
    def writers(self) -> bool:
        """Whether an rpc waits for a change of running."""
        return bool(self._writers)

    def add(self, session: Session) -> None:
        """A session's bytes have to be looked at; unless it already waits for that, it is the last one."""
        self._sessions.setdefault(session.number, session)

    def hold(self, session: Session, rpc: Element) -> None:
        """An rpc has to wait for a change of running."""
        self._writers.append(Held(session, rpc))

    def next_session(self) -> Session:
        """The session that has waited longest; it waits no more."""
        return self._sessions.pop(next(iter(self._sessions)))

    def next_writer(self) -> Held:
        """The rpc that has waited longest."""
        return self._writers.popleft()

    def drop(self, session: Session) -> None:
        """A session is over."""
        self._sessions.pop(session.number, None)
        for held in tuple(self._writers):
            if held.session is session:
                self._writers.remove(held)

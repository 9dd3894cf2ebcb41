"""What the parts of the controller share."""

from collections.abc import Iterable
from typing import Final

from quiver.domain.ports import Clock
from quiver.domain.sdn.demands import Demands
from quiver.domain.sdn.knowledge import Knowledge
from quiver.domain.sdn.leadership import Leader
from quiver.domain.sdn.memory import Memory
from quiver.domain.sdn.notices import Notices, Voices
from quiver.domain.sdn.records import Fact
from quiver.domain.sdn.sessions import Session, Stage
from quiver.domain.sdn.topology import Topology
from quiver.domain.sdn.versions import Versions

__all__ = ["Core"]


class Core:
    """The controller's knowledge and memory, without what it does with them.

    Args:
        facts: all records of its database, of any kind.
        clock: monotonic time.
        salt: of its terms.
        poll: seconds between two reads of an agent.
    """

    def __init__(self, facts: Iterable[Fact], clock: Clock, salt: int, poll: float) -> None:
        self.clock: Final = clock
        self.memory: Final = Memory(facts)
        self.notices: Final = Notices()
        self.voices: Final = Voices(self.notices)
        self.leader: Final = Leader(self.memory, self.notices, clock.now(), salt)
        self.knowledge: Final = Knowledge()
        self.topology: Final = Topology(self.knowledge, self.memory)
        self.demands: Final = Demands(self.memory.demands)
        self.versions: Final = Versions()
        self.sessions: Final[dict[str, Session]] = {}
        self.stale = True  # the topology is to be put together again
        self.poll: Final = poll
        self._orders = 0
        for node in self.memory.members:
            self.member(node)

    def now(self) -> float:
        """Seconds on the controller's clock."""
        return self.clock.now()

    def member(self, node: str) -> Session:
        """The session of a node, which belongs to the network from now on."""
        return self.sessions.setdefault(node, Session(node, self._number, self.poll))

    def _number(self) -> int:
        self._orders += 1
        return self._orders

    def ready(self, node: str) -> bool:
        """Whether edits may go to a node: it was stamped, and read since."""
        session = self.sessions.get(node)
        return session is not None and session.stage is Stage.READY

    def belongs(self, node: str) -> bool:
        """Whether a node belongs to the network, and is to stay."""
        member = self.memory.members.get(node)
        return member is not None and not member.leaving

    def usable(self, node: str) -> bool:
        """Whether a new version may pass a node: edits may go there, and it stays."""
        return self.ready(node) and self.belongs(node)

    def connected(self) -> list[str]:
        """The nodes whose management session is up."""
        return [node for node, session in self.sessions.items() if session.stage is not Stage.DOWN]

    def hears(self, node: str) -> bool:
        """Whether a node's management session is up."""
        session = self.sessions.get(node)
        return session is not None and session.stage is not Stage.DOWN

    def distrust(self, node: str, reason: str) -> None:
        """An agent's word is not taken, until it reports without fault."""
        view = self.knowledge.view(node)
        view.distrust = reason
        if view.accused != reason:  # told once, though each report is judged anew
            view.accused = reason
            self.voices.say(node, "node-distrusted", self.now(), reason=reason)
        self.stale = True

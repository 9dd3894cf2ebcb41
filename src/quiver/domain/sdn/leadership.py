"""Controller terms: who may edit (design section 7).

A controller that comes reads every agent that it reaches, claims a term above all that it knows, stamps every agent with it and
reads it again; only then it edits. Of two controllers the one that claimed last edits: agents refuse the other.

A higher term, seen later, stops all edits at once. Where a second agent confirms it, another controller leads, and this one is
fenced until it is started again. Where nobody does within `limits.DOUBT_TIME`, one agent errs or lies, or was stamped by a
controller that reaches nobody else: then this one claims a term above that and goes on. As long as it hears no other agent it
goes on doubting. So one agent alone stops nobody for good.

How far a term may be above the known ones, before it is taken for a lie, depends on who shows it. Agents keep the highest that
they have accepted: what two of them show is there, however far it is from a database that is new or old. What one shows alone
counts up to `limits.AHEAD` above that, so that one agent that lies or errs does not use up the numbers; if it cannot be stamped,
it stays out of use, and operators are told.
"""

from collections.abc import Mapping
from enum import StrEnum
from operator import itemgetter
from typing import Final

from quiver.domain import limits
from quiver.domain.sdn.memory import Memory
from quiver.domain.sdn.notices import Notices

__all__ = ["PHASE_MOVES", "Leader", "Phase"]


class Phase(StrEnum):
    """How far this controller is."""

    GATHERING = "gathering"  # reads the agents, to learn terms; stamps and edits nobody
    LEADING = "leading"  # its term is claimed
    DOUBTING = "doubting"  # one agent has shown a higher term; no edits
    FENCED = "fenced"  # another controller leads; no edits any more


# From each phase, where it can go.
PHASE_MOVES: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.GATHERING: frozenset({Phase.LEADING}),
    Phase.LEADING: frozenset({Phase.DOUBTING, Phase.FENCED}),
    Phase.DOUBTING: frozenset({Phase.LEADING, Phase.FENCED}),
    Phase.FENCED: frozenset(),
}


class Leader:
    """The term of this controller.

    Args:
        memory: where claimed terms are remembered.
        notices: what operators are told.
        now: seconds.
        salt: a random number from 0 to `limits.TERM_SALT`, added to each claim: two controllers with different databases that
            claim at the same time then claim different terms, and one of them is fenced.
    """

    def __init__(self, memory: Memory, notices: Notices, now: float, salt: int) -> None:
        self._salt: Final = salt
        self._memory: Final = memory
        self._notices: Final = notices
        self.phase = Phase.GATHERING
        self.term = memory.term
        self.forgetful = memory.term == 0
        """Whether agents may hold what this database knows nothing of: it is new, or older than what they show."""
        self.claimed_at = float("inf")
        """When this controller took the lead, doubts apart: what it finds at the first reading after that was there before it."""
        self.used = 0
        """Versions up to this number may be in use at agents that were not read, whatever the database knows.

        A forgetful controller begins above it: those before it had lower terms, as every path's source was stamped by them
        and is read by this one before the path is touched, and no term gives out more than `limits.AHEAD` versions of a path.
        """
        self.since = now
        self._until = now + limits.GATHER_TIME  # when the phase may end by itself
        self._accepted = False  # by some agent, since the term was claimed
        self._claims: Final[dict[str, int]] = {}  # node → the highest term that it has shown; believed or not
        self._doubts: Final[dict[str, int]] = {}  # node → claims of it that nobody confirmed
        self._told: Final[set[str]] = set()  # nodes of which operators were told that their term is not believed

    def _move(self, phase: Phase, now: float) -> None:
        assert phase in PHASE_MOVES[self.phase], f"controller: no way from {self.phase} to {phase}"
        self.phase, self.since = phase, now
        self._until = now + limits.DOUBT_TIME if phase is Phase.DOUBTING else float("inf")

    @property
    def edits(self) -> bool:
        """Whether edits may leave."""
        return self.phase is Phase.LEADING

    @property
    def due(self) -> float:
        """When the phase may end by itself."""
        return self._until

    # --- claims ---------------------------------------------------------------------------------------------------

    def gathered(self, heard: int, expected: int, now: float) -> bool:
        """Claim a term when all agents are read, or those that answered in time; whether it was claimed now.

        Args:
            heard: agents that were read.
            expected: agents of the network.
            now: seconds.
        """
        if self.phase is not Phase.GATHERING or (heard < max(expected, 1) and now < self.since + limits.GATHER_TIME):
            return False
        highest = max(self._claims.values(), default=0)
        self.forgetful = self.forgetful or highest > self._memory.term
        fresh = heard >= expected and highest == 0  # no controller was ever here
        believed = self._believed()
        for node in self._claims.keys() - believed:
            self._tell(node, now)
        self.claimed_at = now
        self._claim(max(believed.values(), default=0), now, behind=self.forgetful and not fresh)
        return True

    def outdated(self) -> None:
        """An agent knows a version that no controller with this database has given out: an older one was restored."""
        if self.phase is Phase.GATHERING:
            self.forgetful = True

    def _claim(self, above: int, now: float, *, behind: bool) -> None:
        self.term = max(self.term, above) + 1 + self._salt
        self._memory.claim(self.term)
        self.used = self.term * limits.AHEAD if behind else 0
        self._claims.clear()
        self._accepted = False
        self._move(Phase.LEADING, now)
        self._notices.say("leading", now, term=str(self.term))

    def accepted(self) -> None:
        """An agent has accepted the present term."""
        self._accepted = True

    def shown(self, node: str, term: int, now: float) -> None:
        """An agent has shown its highest term: in a report, or by refusing ours."""
        if self._doubts.get(node, 0) >= limits.DOUBTS:
            return
        if self.phase is Phase.GATHERING:
            self._claims[node] = term
        elif term > self.term:
            self._claims[node] = term
            self._judge(node, now)
        else:
            self._claims.pop(node, None)

    def forget(self, node: str) -> None:
        """A node has left the network: its word counts for nothing any more."""
        self._claims.pop(node, None)
        self._doubts.pop(node, None)
        self._told.discard(node)

    def _believed(self) -> dict[str, int]:
        """The claims that count: up to a bound above what this database knows, or above what a second agent vouches for.

        The last terms are never believed: whoever makes agents show them would leave no room for the claim above.
        """
        possible = {node: term for node, term in self._claims.items() if term <= limits.TERM_MAX - limits.AHEAD}
        sole = len(self._memory.members) == 1  # nobody else could vouch for its word
        vouched = sorted(possible.values(), reverse=True)[0 if sole else 1 :]
        most = max([self.term, *vouched]) + limits.AHEAD
        return {node: term for node, term in possible.items() if term <= most}

    def _tell(self, node: str, now: float) -> None:
        """Tell operators, once, that an agent shows a term that is not believed."""
        if node not in self._told:
            self._told.add(node)
            self._notices.say("term-not-believed", now, node=node, term=str(self._claims[node]), own=str(self.term))

    def _judge(self, node: str, now: float) -> None:
        if self.phase is Phase.FENCED:
            return
        believed = self._believed()
        if node not in believed:
            self._tell(node, now)
        if not believed:
            return
        who, term = max(believed.items(), key=itemgetter(1))
        confirmed = len(believed) > 1 or len(self._memory.members) == 1
        if confirmed and self._accepted:
            self._move(Phase.FENCED, now)
            self._notices.say("fenced", now, term=str(term), own=str(self.term))
        elif self.phase is Phase.LEADING:
            self._move(Phase.DOUBTING, now)
            self._notices.say("term-doubted", now, node=who, term=str(term), own=str(self.term))

    def step(self, read_at: Mapping[str, float], now: float) -> bool:
        """End a doubt when its time is over; whether a new term was claimed, with which agents are to be stamped.

        Args:
            read_at: connected node → when it was read last. A node that has not been read since the doubt began confirms
                nothing, and denies nothing.
            now: seconds.
        """
        if self.phase is not Phase.DOUBTING or now < self.since + limits.DOUBT_TIME:
            return False
        believed = self._believed()
        others = [at for node, at in read_at.items() if node not in self._claims]
        if self._accepted and not any(at >= self.since for at in others):
            self._until = float("inf")  # until somebody else is heard
            return False
        for node in believed:
            self._doubts[node] = self._doubts.get(node, 0) + 1
        # Whoever had that term may have given out versions, but has laid no path that has not been read here.
        self._claim(max(believed.values(), default=0), now, behind=True)
        return True

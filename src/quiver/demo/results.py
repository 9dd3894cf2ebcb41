"""What a run of the demo was to do, and what came of it."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

import msgspec

from quiver.demo.faults import FaultResult
from quiver.demo.join import JoinResult
from quiver.demo.load import Tally
from quiver.demo.pad import PadSnapshot
from quiver.demo.plan import PairPlan, Plan
from quiver.demo.trace import Step
from quiver.domain.network import PathEntry
from quiver.net.tls import PeerFacts

__all__ = ["CUT_GOAL", "DEATH_GOAL", "JobOptions", "JobResult", "PadFigures"]

CUT_GOAL: Final = 1.0  # seconds from the cut of a link to the first block over another path
DEATH_GOAL: Final = 3.0  # seconds from a node's death to the same: nobody tells of it, it is noticed by silence


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        keys: on the main pair.
        size: bits of each key.
        seed: of the network.
        trace: whether to follow one key.
    """

    keys: int
    size: int
    seed: int
    trace: bool = False


class PadFigures(msgspec.Struct, kw_only=True):
    """Link-pad bits per key bit and hop; None where nothing was delivered."""

    bulk: float | None = None
    single: float | None = None
    single_unbuffered: float | None = None


class JobResult(msgspec.Struct, kw_only=True):
    """What happened.

    Attributes:
        options: what was to be done.
        plan: the network.
        entries: virtual link → the path that the controller had made for it before anything broke.
        bulk: the main pair's job.
        single: single keys from the main pair's filled buffer.
        unbuffered: single keys over as many hops without one.
        beside: pair → what the other pairs got, both directions.
        pad: what keys cost, measured before anything broke.
        tls: what protects the peer plane, from a real connection.
        calm: counters before anything broke.
        cut: a link of the busiest path was cut.
        killed: a relay died.
        darkened: a quantum channel alone was cut.
        joined: a node joined.
        last: counters at the end, of the nodes that were left.
        trace: one key's way, where wanted.
        seconds: from the start to the end of the last request.
    """

    options: JobOptions
    plan: Plan
    entries: dict[str, PathEntry]
    bulk: Tally
    single: Tally
    unbuffered: Tally
    beside: dict[str, Tally]
    pad: PadFigures
    tls: PeerFacts
    calm: PadSnapshot
    cut: FaultResult
    killed: FaultResult
    darkened: FaultResult
    joined: JoinResult
    last: PadSnapshot
    trace: list[Step] | None
    seconds: float = 0.0

    @property
    def faults(self) -> tuple[FaultResult, ...]:
        """All of them, in order."""
        return self.cut, self.killed, self.darkened

    def tallies(self) -> Iterator[tuple[str, Tally]]:
        """Each pair's name with what it got; a pair may come several times."""
        yield self.plan.main.name, self.bulk
        yield self.plan.main.name, self.single
        yield self.plan.unbuffered.name, self.unbuffered
        yield from self.beside.items()
        yield from chain.from_iterable(fault.tallies.items() for fault in self.faults)
        yield self.plan.joining.pair.name, self.joined.tally

    def total(self, pair: PairPlan) -> Tally:
        """All that a pair got."""
        total = Tally()
        for name, tally in self.tallies():
            if name == pair.name:
                total.add(tally)
        return total

    @property
    def keys_flawless(self) -> bool:
        """Whether every key that was wanted is at both its SAEs, equal and once."""
        return all(tally.flawless for _, tally in self.tallies())

    @property
    def failed_requests(self) -> int:
        """Requests of any SAE that got no key at once or within the time to wait; 0 is the demo's own promise."""
        return sum(tally.failed_requests for _, tally in self.tallies())

    @property
    def paths_moved(self) -> bool:
        """Whether every path that had to move did."""
        return all(fault.moved for fault in self.faults)

    @property
    def flawless(self) -> bool:
        """Whether every key is there, no request failed, and every path that had to move did.

        How long that took is no part of it: on a busy machine it says more of the machine (`late`).
        """
        return self.keys_flawless and not self.failed_requests and self.paths_moved

    def late(self) -> Iterator[tuple[FaultResult, str, float]]:
        """Each pair whose path took longer than the goal after a cut or a death: the fault, the pair, the goal in seconds."""
        for fault, goal in ((self.cut, CUT_GOAL), (self.killed, DEATH_GOAL)):
            for pair, move in fault.moves.items():
                if move.ready is not None and move.ready > goal:
                    yield fault, pair, goal

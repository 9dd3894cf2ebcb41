"""What came of a simulation: counts, levels over time, and several runs side by side."""

from collections.abc import Sequence
from enum import StrEnum
from statistics import mean

import msgspec

__all__ = ["Comparison", "Outcome", "PolicyName", "Run", "Series", "Summary", "summaries"]


class PolicyName(StrEnum):
    """How a network is steered; `policies.py` says what each does."""

    STATIC = "static"
    KEY_AWARE = "key-aware"
    GLOBAL = "global"


class Series(msgspec.Struct):
    """Over time; one entry for the stretch from each of the `times` to the next event.

    Attributes:
        times: seconds from the start.
        served_share: of the bits asked for in the stretch.
        rejections: requests rejected from the start on.
        pad_mean: mean share of their bound at which hops' pads stand at the stretch's end.
        pad_least: that of the emptiest tenth of the hops.
    """

    times: list[int] = []
    served_share: list[float] = []
    rejections: list[int] = []
    pad_mean: list[float] = []
    pad_least: list[float] = []


class Outcome(msgspec.Struct):
    """What a policy made of a trace.

    Attributes:
        policy: its name.
        requests: that came.
        rejected: of them; `rejected_by_class` likewise by priority.
        demanded: bits asked for.
        served: bits of them that were delivered.
        broken: placements that a fault took away.
        moves: placements that the policy changed of its own accord.
        slowest: seconds of the policy's longest single arrangement, on this machine.
        series: over time.
    """

    policy: PolicyName
    requests: int = 0
    rejected: int = 0
    rejected_by_class: dict[int, int] = {}
    demanded: float = 0.0
    served: float = 0.0
    broken: int = 0
    moves: int = 0
    slowest: float = 0.0
    series: Series = msgspec.field(default_factory=Series)

    @property
    def rejected_share(self) -> float:
        """Of the requests."""
        return self.rejected / max(1, self.requests)

    @property
    def served_share(self) -> float:
        """Of the bits asked for."""
        return self.served / self.demanded if self.demanded else 1.0


class Run(msgspec.Struct, frozen=True):
    """All policies on the trace of one seed."""

    seed: int
    outcomes: list[Outcome]


class Summary(msgspec.Struct, frozen=True):
    """One policy over all seeds; means, and the worst seed.

    Attributes:
        rejected_share: of the requests.
        served_share: of the bits asked for.
        broken: placements that faults took away, per trace.
        moves: placements that the policy changed of its own accord, per trace.
        slowest: seconds of the longest single arrangement.
    """

    policy: PolicyName
    rejected_share: float
    rejected_share_worst: float
    served_share: float
    served_share_worst: float
    broken: float
    moves: float
    slowest: float


class Comparison(msgspec.Struct, frozen=True):
    """Policies side by side on one network.

    Attributes:
        nodes: of the network, as `links`.
        level: bytes of pad per hop and direction at which collecting stops.
        summary: by policy.
        runs: by seed.
    """

    network: str
    nodes: int
    links: int
    level: int
    summary: list[Summary]
    runs: list[Run]


def summaries(runs: Sequence[Run]) -> list[Summary]:
    """Each policy over all runs, in the order of the first run."""
    found = []
    for place, first in enumerate(runs[0].outcomes):
        outcomes = [run.outcomes[place] for run in runs]
        rejected = [outcome.rejected_share for outcome in outcomes]
        served = [outcome.served_share for outcome in outcomes]
        found.append(
            Summary(
                policy=first.policy,
                rejected_share=mean(rejected),
                rejected_share_worst=max(rejected),
                served_share=mean(served),
                served_share_worst=min(served),
                broken=mean(outcome.broken for outcome in outcomes),
                moves=mean(outcome.moves for outcome in outcomes),
                slowest=max(outcome.slowest for outcome in outcomes),
            )
        )
    return found

"""Whether a change is worth its moves: a network that is always being improved serves nobody.

A move costs what its open sequences hold and the time until the new version has credit; blocks at the ends serve meanwhile. A
new allocation is applied where each bit/s that it moves buys enough. A demand that was moved stays for `limits.MOVE_HOLD` (its
`Demand.settled`), unless its routes break. How a link that comes and goes is kept out is the controller's part.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from quiver.domain import limits
from quiver.domain.routing.demand import UNPLACED, Demand, Placement

__all__ = ["moved", "worthwhile"]

_NOISE: Final = 1e-3  # share of all rates: what rounding to whole bit/s and single routes may take from a high tier


def moved(current: Mapping[str, Placement], proposed: Mapping[str, Placement]) -> list[str]:
    """Demands that have routes and would get others, or none; sorted."""
    return sorted(
        demand
        for demand, placement in current.items()
        if placement.routes and proposed.get(demand, UNPLACED).routes != placement.routes
    )


def worthwhile(demands: Iterable[Demand], current: Mapping[str, Placement], proposed: Mapping[str, Placement]) -> bool:
    """Whether to apply an allocation.

    The highest tiers that gain or lose decide; they must gain more than `limits.ALLOCATION_GAIN` of the rate that is moved.

    Args:
        demands: all of them.
        current: what they have now, without routes that no longer carry.
        proposed: what they would have.
    """
    cost = limits.ALLOCATION_GAIN * sum(current[demand].rate for demand in moved(current, proposed))
    gains: dict[tuple[int, int], int] = {}
    for demand in demands:
        gain = proposed.get(demand.id, UNPLACED).rate - current.get(demand.id, UNPLACED).rate
        gains[demand.tier] = gains.get(demand.tier, 0) + gain
    noise = _NOISE * sum(placement.rate for placement in current.values())
    gained = 0
    for _, gain in sorted(gains.items()):
        gained += gain
        if gained < -noise:
            return False
        if gained > cost:
            return True
    return False

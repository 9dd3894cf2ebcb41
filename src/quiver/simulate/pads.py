"""Pad of a whole network as a fluid: it comes in by hop, stands up to a bound, and is used up by demands hop by hop."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quiver.domain.routing.demand import Demand, Placement
from quiver.domain.routing.graph import Graph

__all__ = ["Pads"]


class Pads:
    """Bits that stand at each hop, for both directions together: an owner gives what the other end lacks (design section 3).

    Args:
        hops: how many there are.
        bound: bits at which a hop's ends stop collecting; all begin full.
    """

    def __init__(self, hops: int, bound: float) -> None:
        self._bound: Final = bound
        self.standing: NDArray[np.float64] = np.full(hops, bound)

    def shown(self, graph: Graph) -> Graph:
        """The graph with what stands, half of it in each direction."""
        return graph.with_pads(np.repeat(self.standing / 2, 2).astype(np.int64), graph.now)

    def pass_time(self, graph: Graph, placed: Iterable[tuple[Demand, Placement]], seconds: float) -> dict[str, float]:
        """Key comes in and is used for so long; where it does not suffice, lower tiers first lose.

        Returns:
            By demand, the bits that it was served.
        """
        available = self.standing + np.where(graph.open_hops, graph.rates, 0) * seconds
        served: dict[str, float] = {}
        for demand, placement in sorted(placed, key=lambda pair: (pair[0].tier, pair[0].id)):
            hops = [hop for route in placement.routes for hop in graph.hops_of(route)]
            bits = max(0.0, min(placement.rate * seconds, float(available[hops].min()))) if hops else 0.0
            available[hops] -= bits
            served[demand.id] = bits
        self.standing = np.minimum(available, np.maximum(self._bound, 0.0))
        return served

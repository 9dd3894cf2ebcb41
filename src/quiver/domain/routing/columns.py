"""Columns of the flow program: the ways to serve each demand that are known, and the search for cheaper ones."""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from quiver.domain.routing.demand import Demand
from quiver.domain.routing.disjoint import disjoint
from quiver.domain.routing.graph import Graph
from quiver.domain.routing.shortest import cheapest

__all__ = ["Column", "Columns"]

_AT_ONCE: Final = 64  # sources of one call of scipy's Dijkstra; bounds its tables on large networks
_TINY: Final = (
    1e-9  # added to each hop's price: a zero would count as no arc, and of equal ways the one with fewer hops is wanted
)
_BETTER: Final = 1e-6  # by which share a new column must be cheaper than its demand is worth

Values = NDArray[np.float64]


class Column(msgspec.Struct, frozen=True):
    """One way to serve a demand.

    Attributes:
        demand: its place in the list.
        routes: node numbers; the routes share no node but their ends and have the same rate each.
        hops: numbers of the hops that they use, sorted; none occurs twice.
    """

    demand: int
    routes: tuple[tuple[int, ...], ...]
    hops: tuple[int, ...]


class Columns:
    """All columns known.

    Args:
        graph: what is placed on it does not count here.
        demands: whose ends are in the graph.

    Raises:
        ConfigurationError: an end is not.
    """

    def __init__(self, graph: Graph, demands: Sequence[Demand]) -> None:
        shape = graph.shape
        self.graph: Final = graph
        self.demands: Final = tuple(demands)
        self.all: Final[list[Column]] = []
        self.capacity: Final = np.where(graph.open_hops, graph.rates, 0).astype(np.float64)  # bit/s by hop
        self.ends: Final = [(shape.node(demand.source), shape.node(demand.destination)) for demand in demands]
        self._barred: Final = [
            frozenset(graph.barred(demand.source, demand.destination, demand.excluded)) for demand in demands
        ]
        self._known: Final[set[Column]] = set()
        self._settled: Final[set[int]] = set()
        self._tails: Final = np.array([ends[side] for ends in shape.hops for side in (0, 1)], np.int64)
        self._heads: Final = np.array([ends[1 - side] for ends in shape.hops for side in (0, 1)], np.int64)

    def column(self, demand: int, routes: Sequence[Sequence[int]]) -> Column:
        """The column of these routes, known or not."""
        hops = sorted(arc // 2 for route in routes for arc in self.graph.shape.arcs_of(route))
        return Column(demand, tuple(map(tuple, routes)), tuple(hops))

    def add(self, demand: int, routes: Sequence[Sequence[int]]) -> bool:
        """Let a demand use these routes; False where it could already."""
        column = self.column(demand, routes)
        if column in self._known:
            return False
        self._known.add(column)
        self.all.append(column)
        return True

    def add_used(self, demand: int, routes: Sequence[Sequence[str]]) -> None:
        """Let a demand use the routes that it has, as far as they carry; one that is settled then uses no others."""
        if routes and all(self.graph.carries(route) for route in routes):
            number = self.graph.shape.node_number
            self.add(demand, [[number[name] for name in route] for route in routes])
            if self.demands[demand].settled:
                self._settled.add(demand)

    def extend(self, prices: Values, worth: Values) -> bool:
        """Add for each demand its cheapest column, if that costs less than it is worth; False where there is none.

        Args:
            prices: by hop, of a bit/s.
            worth: by demand, of a bit/s.
        """
        wanted = [demand for demand in range(len(self.demands)) if worth[demand] > 0]
        added = False
        for demand, routes in self.cheapest_ways(prices, wanted):
            hops = [arc // 2 for route in routes for arc in self.graph.shape.arcs_of(route)]
            if prices[hops].sum() < worth[demand] * (1 - _BETTER):
                added |= self.add(demand, routes)
        return added

    def cheapest_ways(self, prices: Values, wanted: Sequence[int]) -> Iterator[tuple[int, list[list[int]]]]:
        """The cheapest column under hops' prices of each of the `wanted` demands that has one at all."""
        dear = np.where(self.capacity > 0, np.maximum(prices, 0) + _TINY, inf)
        by_arc = np.repeat(dear, 2)
        groups: dict[frozenset[int], list[int]] = {}
        for demand in wanted:
            if demand in self._settled:
                continue
            if self.demands[demand].count == 1:
                groups.setdefault(self._barred[demand], []).append(demand)
            elif routes := self.way(demand, by_arc.tolist()):
                yield demand, routes
        for barred, members in groups.items():
            yield from self._single(by_arc, barred, members)

    def way(self, demand: int, prices: Sequence[float]) -> list[list[int]]:
        """The cheapest routes of one demand, under prices by arc; none where it is settled, or has none within its hops."""
        if demand in self._settled:
            return []
        asked, ends, barred = self.demands[demand], self.ends[demand], self._barred[demand]
        if asked.count == 1:
            route = cheapest(self.graph.shape, prices, *ends, barred, asked.hops)
            return [] if route is None else [route]
        routes = disjoint(self.graph.shape, prices, *ends, barred, asked.count) or []
        return routes if all(len(route) <= asked.hops + 1 for route in routes) else []

    def _single(
        self, prices: Values, barred: frozenset[int], members: Sequence[int]
    ) -> Iterator[tuple[int, list[list[int]]]]:
        """Cheapest single routes, by scipy's Dijkstra from several sources at once; ours where one has too many hops."""
        nodes, forbidden = len(self.graph.shape.nodes), list(barred)
        free = np.isfinite(prices) & ~np.isin(self._tails, forbidden) & ~np.isin(self._heads, forbidden)
        matrix = csr_array((prices[free], (self._tails[free], self._heads[free])), shape=(nodes, nodes))
        by_source: dict[int, list[int]] = {}
        for demand in members:
            by_source.setdefault(self.ends[demand][0], []).append(demand)
        sources = sorted(by_source)
        for start in range(0, len(sources), _AT_ONCE):
            some = sources[start : start + _AT_ONCE]
            _, before = dijkstra(matrix, indices=some, return_predecessors=True)
            for source, tree in zip(some, before, strict=True):
                for demand in by_source[source]:
                    route = _traced(tree, source, self.ends[demand][1])
                    if len(route) > self.demands[demand].hops + 1:
                        yield from ((demand, routes) for routes in [self.way(demand, prices.tolist())] if routes)
                    elif route:
                        yield demand, [route]

    def capacity_rows(self) -> tuple[csr_array, Values, NDArray[np.int64]]:
        """The hops that any column uses: which columns use each, their capacities in bit/s, and their numbers."""
        lengths = [len(column.hops) for column in self.all]
        hops = np.concatenate([np.array(column.hops, np.int64) for column in self.all])
        numbers, rows = np.unique(hops, return_inverse=True)
        columns = np.repeat(np.arange(len(self.all)), lengths)
        used = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(numbers), len(self.all)))
        return used, self.capacity[numbers], numbers


def _traced(before: NDArray[np.int32], source: int, target: int) -> list[int]:
    """The route to a target by each node's node before; empty where it was not reached."""
    route = [target]
    while route[-1] != source:
        node = int(before[route[-1]])
        if node < 0:
            return []
        route.append(node)
    return route[::-1]

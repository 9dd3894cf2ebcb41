"""Routes that share no node but their ends, of least total price: a minimum-cost flow through nodes of capacity one.

J. W. Suurballe, "Disjoint paths in a network", Networks 4 (1974), and J. W. Suurballe, R. E. Tarjan, Networks 14 (1984): each
round adds the cheapest route through what the rounds before have left, where it may take back arcs of theirs. Node potentials
keep all prices from going below zero, so that each round is one run of Dijkstra's algorithm. To pass a node only once, it is
split: into where it is entered and where it is left.
"""

import heapq
from collections.abc import Collection, Iterator, Sequence
from math import inf
from typing import Final

from quiver.domain.routing.graph import Shape

__all__ = ["disjoint"]


def disjoint(
    shape: Shape, prices: Sequence[float], source: int, target: int, barred: Collection[int], count: int
) -> list[list[int]] | None:
    """`count` routes that have only their ends in common and together cost least; equal input gives equal output.

    Args:
        shape: nodes and arcs.
        prices: by arc, not negative; infinite where closed.
        source: number of a node.
        target: of another node.
        barred: numbers of nodes that must not be passed.
        count: at least 1.

    Returns:
        The routes as node numbers, the shortest first; None where there are not so many.
    """
    if source in barred or target in barred:
        return None
    flow = _Flow(shape, prices, source, target, barred)
    if not all(flow.grow() for _ in range(count)):
        return None
    return sorted(flow.routes(), key=lambda route: (len(route), route))


class _Flow:
    """Routes found so far, and potentials of the split nodes: node v is entered at 2v and left at 2v + 1."""

    def __init__(
        self, shape: Shape, prices: Sequence[float], source: int, target: int, barred: Collection[int]
    ) -> None:
        self._arcs_from: Final = shape.arcs_from
        self._prices: Final = prices
        self._source: Final = source
        self._target: Final = target
        self._barred: Final = barred
        self._potential: Final = [0.0] * (2 * len(shape.nodes))
        self._first: Final[set[int]] = set()  # the nodes after the source
        self._after: Final[dict[int, int]] = {}  # node on a route → next node
        self._before: Final[dict[int, tuple[int, float]]] = {}  # likewise → node before, and the price from there

    def grow(self) -> bool:
        """One route more; False where there is none."""
        best, came = self._search()
        goal = 2 * self._target
        if best[goal] == inf:
            return False
        most = best[goal]
        for place, spent in enumerate(best):
            self._potential[place] += min(spent, most)
        self._take(came)
        return True

    def _search(self) -> tuple[list[float], list[int]]:
        """Dijkstra's algorithm over reduced prices: the least to each place, and the place before it."""
        potential, goal = self._potential, 2 * self._target
        best = [inf] * len(potential)
        came = [-1] * len(potential)
        start = 2 * self._source + 1
        best[start] = 0.0
        queue = [(0.0, start)]
        while queue:
            spent, place = heapq.heappop(queue)
            if place == goal:
                break
            if spent > best[place]:
                continue
            for following, price in self._onward(place):
                # rounding may leave a hair below zero
                total = spent + max(0.0, price + potential[place] - potential[following])
                if total < best[following]:
                    best[following] = total
                    came[following] = place
                    heapq.heappush(queue, (total, following))
        return best, came

    def _onward(self, place: int) -> Iterator[tuple[int, float]]:
        """Places that one step leads to, with its price: forward along free arcs, or back along a route's arc."""
        node, leaving = divmod(place, 2)
        if not leaving:
            if node in self._before:
                before, price = self._before[node]
                if before != self._source:
                    yield 2 * before + 1, -price
            else:
                yield place + 1, 0.0
            return
        if node in self._before:
            yield place - 1, 0.0
        taken = self._first if node == self._source else (self._after.get(node, -1),)
        for neighbour, arc in self._arcs_from[node]:
            if neighbour not in taken and neighbour not in self._barred and neighbour != self._source:
                price = self._prices[arc]
                if price < inf:
                    yield 2 * neighbour, price

    def _take(self, came: Sequence[int]) -> None:
        """Add the route found; where it goes back along another's arc, both lose it."""
        steps: list[tuple[int, int, bool]] = []
        place = 2 * self._target
        while came[place] >= 0:
            previous = came[place]
            if previous // 2 != place // 2:
                steps.append((previous // 2, place // 2, not place % 2))
            place = previous
        for node, before, forward in steps:
            if not forward:  # from where `node` is entered, back to where the node before it is left
                del self._after[before]
                del self._before[node]
        for node, following, forward in steps:
            if forward:
                self._link(node, following)

    def _link(self, node: int, following: int) -> None:
        if node == self._source:
            self._first.add(following)
        else:
            self._after[node] = following
        if following != self._target:
            price = next(self._prices[arc] for other, arc in self._arcs_from[node] if other == following)
            self._before[following] = (node, price)

    def routes(self) -> list[list[int]]:
        """The routes as node numbers."""
        found = []
        for first in sorted(self._first):
            route = [self._source, first]
            while route[-1] != self._target:
                route.append(self._after[route[-1]])
            found.append(route)
        return found

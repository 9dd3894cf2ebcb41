"""The cheapest route between two nodes, with a limit to its hops. Prices stand by arc; an infinite one closes it."""

import heapq
from collections import deque
from collections.abc import Collection, Sequence
from math import inf

from quiver.domain.routing.graph import Shape

__all__ = ["cheapest"]


def cheapest(
    shape: Shape, prices: Sequence[float], source: int, target: int, barred: Collection[int], hops: int
) -> list[int] | None:
    """The route of least total price among those of at most `hops` hops. Equal input gives equal output.

    E. W. Dijkstra's algorithm (1959), which ends at the target. Only where its route is too long, labels of price and hops are
    compared instead (H. C. Joksch, 1966), which is exact and slower.

    Args:
        shape: nodes and arcs.
        prices: by arc, not negative.
        source: number of a node.
        target: of another node.
        barred: numbers of nodes that must not be passed.
        hops: at least 1.

    Returns:
        Node numbers from source to target, or None where there is no such route.
    """
    if source in barred or target in barred:
        return None
    route = _unlimited(shape, prices, source, target, barred)
    if route is None or len(route) <= hops + 1:
        return route
    return _limited(shape, prices, source, target, barred, hops)


def _unlimited(
    shape: Shape, prices: Sequence[float], source: int, target: int, barred: Collection[int]
) -> list[int] | None:
    best = [inf] * len(shape.nodes)
    for node in barred:
        best[node] = -inf  # nothing is cheaper than this, so it is never entered
    before = [-1] * len(shape.nodes)
    arcs_from = shape.arcs_from
    best[source] = 0.0
    queue = [(0.0, source)]
    while queue:
        spent, node = heapq.heappop(queue)
        if node == target:
            return _traced(before, source, target)
        if spent > best[node]:
            continue
        for neighbour, arc in arcs_from[node]:
            total = spent + prices[arc]
            if total < best[neighbour]:
                best[neighbour] = total
                before[neighbour] = node
                heapq.heappush(queue, (total, neighbour))
    return None


def _traced(before: Sequence[int], source: int, target: int) -> list[int]:
    route = [target]
    while route[-1] != source:
        route.append(before[route[-1]])
    return route[::-1]


def _limited(
    shape: Shape, prices: Sequence[float], source: int, target: int, barred: Collection[int], hops: int
) -> list[int] | None:
    """Labels leave the queue by rising price: a later one at the same node is of use only with fewer hops."""
    ahead = _hops_to(shape, prices, target, barred)
    fewest = [hops + 1] * len(shape.nodes)  # of the labels that have left the queue
    labels: list[tuple[int, int]] = [(source, -1)]  # node, and the label before
    queue = [(0.0, 0, source, 0)]
    while queue:
        spent, used, node, label = heapq.heappop(queue)
        if node == target:
            route = []
            while label >= 0:
                node, label = labels[label]
                route.append(node)
            return route[::-1]
        if used >= fewest[node]:
            continue
        fewest[node] = used
        for neighbour, arc in shape.arcs_from[node]:
            if prices[arc] < inf and used + 1 + ahead[neighbour] <= hops and used + 1 < fewest[neighbour]:
                labels.append((neighbour, label))
                heapq.heappush(queue, (spent + prices[arc], used + 1, neighbour, len(labels) - 1))
    return None


def _hops_to(shape: Shape, prices: Sequence[float], target: int, barred: Collection[int]) -> list[float]:
    """The fewest hops from each node to the target; infinite where there is no way."""
    distance = [inf] * len(shape.nodes)
    distance[target] = 0
    queue = deque([target])
    while queue:
        node = queue.popleft()
        for neighbour, arc in shape.arcs_from[node]:
            if prices[arc ^ 1] < inf and distance[neighbour] == inf and neighbour not in barred:
                distance[neighbour] = distance[node] + 1
                queue.append(neighbour)
    return distance

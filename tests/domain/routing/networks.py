"""Small random networks, and everything about them found by trying all there is."""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from quiver.domain.routing.graph import Graph, Link, Shape


def small(seed: int, nodes: int = 7, links: int = 11, highest: int = 1000) -> Graph:
    """A network that need not be connected, with some double links."""
    chance = random.Random(seed)
    names = [f"n{number}" for number in range(nodes)]
    chance.shuffle(names)
    made = [
        Link(id=f"l{number}", ends=(ends[0], ends[1]), rate=chance.randint(1, highest))
        for number in range(links)
        for ends in [chance.sample(names, 2)]
    ]
    return Graph(made, nodes=names)


def mesh(seed: int, nodes: int, links: int, highest: int = 100_000) -> Graph:
    """A connected network without double links."""
    chance = random.Random(seed)
    names = [f"n{number:04}" for number in range(nodes)]
    pairs = {(names[chance.randrange(number)], names[number]) for number in range(1, nodes)}
    while len(pairs) < links:
        one, other = sorted(chance.sample(names, 2))
        pairs.add((one, other))
    return Graph(
        Link(id=f"{one}-{other}", ends=(one, other), rate=chance.randint(highest // 10, highest))
        for one, other in sorted(pairs)
    )


def all_routes(shape: Shape, source: int, target: int, barred: set[int]) -> Iterator[list[int]]:
    """Every route without a node twice."""

    def onward(route: list[int]) -> Iterator[list[int]]:
        if route[-1] == target:
            yield list(route)
            return
        for neighbour, _ in shape.arcs_from[route[-1]]:
            if neighbour not in route and neighbour not in barred:
                yield from onward([*route, neighbour])

    if not barred & {source, target}:
        yield from onward([source])


def arcs_of(shape: Shape, route: Sequence[int]) -> list[int]:
    return [
        next(arc for other, arc in shape.arcs_from[node] if other == following) for node, following in pairwise(route)
    ]


def price_of(shape: Shape, prices: Sequence[float], route: Sequence[int]) -> float:
    return sum(prices[arc] for arc in arcs_of(shape, route))


def disjoint_sets(routes: Sequence[list[int]], count: int) -> Iterator[tuple[list[int], ...]]:
    """Every set of `count` routes that share only their ends; two cannot be the same one hop."""
    for some in combinations(routes, count):
        within = [node for route in some for node in route[1:-1]]
        if len(within) == len(set(within)):
            yield some

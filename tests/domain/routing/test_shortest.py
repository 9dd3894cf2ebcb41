"""The cheapest route and the cheapest disjoint routes are what trying all of them finds; scipy judges larger networks."""

import random
from math import inf

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, maximum_flow

from quiver.domain.routing.disjoint import disjoint
from quiver.domain.routing.graph import Shape
from quiver.domain.routing.shortest import cheapest
from tests.domain.routing.networks import all_routes, disjoint_sets, mesh, price_of, small

SEEDS = range(60)


def priced(seed: int, shape: Shape) -> list[float]:
    """Prices that differ by direction; some equal, some arcs closed."""
    chance = random.Random(seed)
    return [chance.choice([inf, 0.0, 1.0, 2.0, chance.random()]) for _ in range(2 * len(shape.hops))]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_route_within_the_limit_of_hops_is_cheaper_than_the_one_that_is_found(seed: int):
    shape = small(seed).shape
    prices, barred = priced(seed, shape), {seed % len(shape.nodes)}
    for source in range(len(shape.nodes)):
        for target in range(len(shape.nodes)):
            if source == target:
                continue
            routes = list(all_routes(shape, source, target, barred))
            for hops in (1, 2, 3, 6):
                allowed = [price_of(shape, prices, route) for route in routes if len(route) <= hops + 1]
                best = min(allowed, default=inf)
                found = cheapest(shape, prices, source, target, barred, hops)
                if found is None:
                    assert best == inf
                else:
                    assert len(found) <= hops + 1
                    assert found in routes
                    assert price_of(shape, prices, found) == pytest.approx(best)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_set_of_disjoint_routes_is_cheaper_than_the_one_that_is_found(seed: int):
    shape = small(seed, nodes=7, links=14).shape
    prices, barred = priced(seed, shape), {seed % len(shape.nodes)}
    for source, target in [(0, 1), (2, 5), (6, 3), (4, 6)]:
        routes = list(all_routes(shape, source, target, barred))
        for count in (1, 2, 3):
            totals = [sum(price_of(shape, prices, route) for route in some) for some in disjoint_sets(routes, count)]
            best = min(totals, default=inf)
            found = disjoint(shape, prices, source, target, barred, count)
            if found is None:
                assert best == inf
            else:
                assert sorted(found) in [sorted(some) for some in disjoint_sets(routes, count)]
                assert sum(price_of(shape, prices, route) for route in found) == pytest.approx(best)


@pytest.mark.parametrize("seed", range(5))
def test_on_a_large_network_prices_are_those_of_scipy(seed: int):
    shape = mesh(seed, 300, 450).shape
    chance = random.Random(seed)
    prices = [chance.random() + 0.01 for _ in range(2 * len(shape.hops))]
    matrix = csr_array(
        (prices, ([hop[arc % 2] for arc, hop in _arcs(shape)], [hop[1 - arc % 2] for arc, hop in _arcs(shape)]))
    )
    least = dijkstra(matrix, indices=[0])[0]
    for target in range(1, 300, 7):
        found = cheapest(shape, prices, 0, target, set(), 300)
        assert found is not None
        assert price_of(shape, prices, found) == pytest.approx(least[target])


@pytest.mark.parametrize("seed", range(5))
def test_on_a_large_network_there_are_as_many_disjoint_routes_as_the_maximum_flow_says(seed: int):
    shape = mesh(seed, 60, 150).shape
    rows, columns = [2 * node for node in range(60)], [2 * node + 1 for node in range(60)]  # a node: entered, left
    for arc, hop in _arcs(shape):
        rows.append(2 * hop[arc % 2] + 1)
        columns.append(2 * hop[1 - arc % 2])
    matrix = csr_array((np.ones(len(rows), np.int32), (rows, columns)))
    for source, target in [(0, 59), (3, 30), (17, 44)]:
        most = maximum_flow(matrix, 2 * source + 1, 2 * target).flow_value
        prices = [1.0] * (2 * len(shape.hops))
        assert disjoint(shape, prices, source, target, set(), most) is not None
        assert disjoint(shape, prices, source, target, set(), most + 1) is None


def _arcs(shape: Shape) -> list[tuple[int, tuple[int, int]]]:
    return [(2 * number + side, hop) for number, hop in enumerate(shape.hops) for side in (0, 1)]

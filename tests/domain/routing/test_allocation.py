"""The global allocation: as fair as every route together allows, higher classes first, within capacities, on single paths."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.optimize import linprog

from quiver.domain.errors import ConfigurationError
from quiver.domain.routing.allocation import Allocation, allocate
from quiver.domain.routing.demand import Demand, Placement, placed_on
from quiver.domain.routing.graph import Availability, Graph, Link
from tests.domain.routing.networks import all_routes, arcs_of, mesh, small

SEEDS = range(12)


def asked(seed: int, graph: Graph, count: int = 8, highest: int = 900) -> list[Demand]:
    chance = random.Random(seed)
    return [
        Demand(
            id=f"d{number}",
            source=ends[0],
            destination=ends[1],
            rate=chance.randint(50, highest),
            priority=chance.randrange(3),
        )
        for number in range(count)
        for ends in [chance.sample(graph.nodes, 2)]
    ]


def fair_levels(graph: Graph, demands: Sequence[Demand]) -> dict[str, float]:
    """Max-min fair shares by class, over all routes that there are, one demand after the other: slow and plain."""
    ways = {
        demand.id: [
            [arc // 2 for arc in arcs_of(graph.shape, route)]
            for route in all_routes(
                graph.shape, graph.shape.node(demand.source), graph.shape.node(demand.destination), set()
            )
        ]
        for demand in demands
    }
    columns = [(demand, way) for demand in demands for way in ways[demand.id]]
    fixed: dict[str, float] = {}

    def most(raised: Sequence[Demand], level: float, lifted: Demand | None) -> float:
        """The largest common share of the raised ones; or, of one of them, while all have the share `level`."""
        rows, bounds = [], []
        for hop, rate in enumerate(graph.rates):
            rows.append([float(hop in way) for _, way in columns] + [0.0])
            bounds.append(float(rate))
        for demand in demands:
            up = lifted is None and demand in raised
            least = fixed.get(demand.id, 0.0) if demand not in raised else level * demand.rate * (1 - 1e-9)
            rows.append([-float(owner is demand) for owner, _ in columns] + [float(demand.rate) if up else 0.0])
            bounds.append(0.0 if up else -least)
        aim = [-float(owner is lifted) for owner, _ in columns] + [0.0 if lifted else -1.0]
        result = linprog(aim, A_ub=np.array(rows), b_ub=np.array(bounds), bounds=[(0, None)] * len(columns) + [(0, 1)])
        assert result.status == 0
        return -result.fun / (lifted.rate if lifted else 1.0)

    for priority in sorted({demand.priority for demand in demands}):
        raised = [demand for demand in demands if demand.priority == priority]
        while raised:
            level = most(raised, 0.0, None)
            stuck = [demand for demand in raised if level >= 1 - 1e-7 or most(raised, level, demand) <= level + 1e-6]
            assert stuck
            fixed.update((demand.id, min(1.0, level) * demand.rate) for demand in stuck)
            raised = [demand for demand in raised if demand not in stuck]
    return fixed


def check(graph: Graph, demands: Sequence[Demand], allocation: Allocation) -> None:
    """Whatever an allocation says must hold on the network."""
    placed = placed_on(graph, allocation.placements)
    assert (placed.placed <= placed.rates).all()
    assert set(allocation.placements) == {demand.id for demand in demands}
    for demand in demands:
        placement = allocation.placements[demand.id]
        assert 0 <= placement.rate <= demand.rate
        assert len(placement.routes) == (demand.count if placement.rate else 0)
        for route in placement.routes:
            assert (route[0], route[-1]) == (demand.source, demand.destination)
            assert len(set(route)) == len(route) <= demand.hops + 1
            assert graph.carries(route)
            assert not set(demand.excluded).intersection(route[1:-1])
        within = [node for route in placement.routes for node in route[1:-1]]
        assert len(within) == len(set(within))


@pytest.mark.parametrize("seed", SEEDS)
def test_levels_are_max_min_fair_by_class_over_all_routes_that_there_are(seed: int):
    graph = small(seed, nodes=6, links=9)
    demands = asked(seed, graph)
    allocation = allocate(graph, demands, {})
    check(graph, demands, allocation)
    assert allocation.levels == pytest.approx(fair_levels(graph, demands), abs=0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_direction_of_a_demand_makes_no_difference(seed: int):
    graph = small(seed)
    demands = asked(seed, graph)
    turned = [replace(demand, source=demand.destination, destination=demand.source) for demand in demands]
    one, other = allocate(graph, demands, {}), allocate(graph, turned, {})
    assert one.levels == pytest.approx(other.levels, abs=0.5)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_demands_get_the_same_whatever_their_order(seed: int):
    graph = mesh(seed, 40, 60)
    demands = asked(seed, graph, count=60, highest=20_000)
    shuffled = random.Random(seed).sample(demands, len(demands))
    assert allocate(graph, demands, {}) == allocate(graph, shuffled, {})


@pytest.mark.parametrize("seed", range(6))
def test_single_paths_lose_little_of_what_could_be_split(seed: int):
    """Demands of a fifth of a link's rate on average, much more than the network can carry: hard to pack."""
    graph = mesh(seed, 40, 60)
    demands = asked(seed, graph, count=80, highest=20_000)
    allocation = allocate(graph, demands, {})
    check(graph, demands, allocation)
    assert 0 <= allocation.lost <= 0.07 * sum(allocation.levels.values())


@pytest.mark.parametrize("seed", range(6))
def test_where_all_could_be_served_by_splitting_nearly_all_are_by_single_paths(seed: int):
    graph = mesh(seed, 40, 80)
    demands = asked(seed, graph, count=40, highest=20_000)
    allocation = allocate(graph, demands, {})
    check(graph, demands, allocation)
    total = sum(demand.rate for demand in demands)
    assert sum(allocation.levels.values()) >= 0.9 * total, "a network that is too full for this test"
    assert allocation.served >= 0.97 * sum(allocation.levels.values())


def line(**rates: int) -> Graph:
    """Links between nodes of one letter."""
    return Graph(Link(id=ends, ends=(ends[0], ends[1]), rate=rate) for ends, rate in rates.items())


def want(name: str, ends: str, rate: int, **facts: object) -> Demand:
    return Demand(id=name, source=ends[0], destination=ends[1], rate=rate, **facts)


def rates_of(allocation: Allocation) -> dict[str, int]:
    return {name: placement.rate for name, placement in allocation.placements.items()}


def test_both_directions_share_what_a_link_makes():
    allocation = allocate(
        line(ab=100), [want("there", "ab", 100, admitted=True), want("back", "ba", 100, admitted=True)], {}
    )
    assert rates_of(allocation) == {"there": 50, "back": 50}


def test_a_higher_class_takes_all_that_it_asks_for_before_a_lower_one():
    demands = [want("low", "ab", 80, priority=2, admitted=True), want("high", "ac", 90, priority=0)]
    assert rates_of(allocate(line(ab=100, bc=100), demands, {})) == {"high": 90, "low": 10}


def test_what_was_admitted_goes_before_what_waits_in_the_same_class():
    demands = [want("new", "ab", 90), want("old", "ab", 80, admitted=True)]
    assert rates_of(allocate(line(ab=100), demands, {})) == {"old": 80, "new": 20}


def test_of_those_that_wait_one_that_can_have_all_goes_before_several_with_a_part():
    demands = [want("first", "ab", 60), want("second", "ab", 60)]
    assert rates_of(allocate(line(ab=100), demands, {})) == {"first": 60, "second": 40}


def test_a_demand_moves_aside_where_another_has_no_other_way():
    """a-b is the short way for both, but only one of them has another."""
    graph = line(ab=100, ac=100, cb=100, bd=100)
    current = {"can": Placement((("a", "b"),), 80)}
    demands = [want("can", "ab", 80, admitted=True), want("must", "ab", 80, hops=1)]
    allocation = allocate(graph, demands, current)
    assert allocation.placements["can"].routes == (("a", "c", "b"),)
    assert rates_of(allocation) == {"can": 80, "must": 80}


def test_what_was_moved_lately_stays_unless_its_route_breaks():
    graph = line(ab=100, ac=100, cb=100)
    current = {"can": Placement((("a", "b"),), 80)}
    demands = [want("can", "ab", 80, admitted=True, settled=True), want("must", "ab", 80, hops=1)]
    assert rates_of(allocate(graph, demands, current)) == {"can": 80, "must": 20}
    broken = graph.with_link(replace(graph.links["ab"], availability=Availability.DOWN))
    assert allocate(broken, demands, current).placements["can"].routes == (("a", "c", "b"),)


def test_a_route_in_use_is_kept_where_another_is_as_good():
    graph = line(ab=100, bd=100, ac=100, cd=100)
    for route in (("a", "b", "d"), ("a", "c", "d")):
        current = {"one": Placement((route,), 10)}
        assert allocate(graph, [want("one", "ad", 10)], current).placements["one"].routes == (route,)


def test_disjoint_routes_each_have_the_whole_rate():
    graph = line(ab=100, bd=100, ac=60, cd=100, ad=5)
    allocation = allocate(graph, [want("two", "ad", 80, count=2, admitted=True)], {})
    assert allocation.placements["two"] == Placement((("a", "b", "d"), ("a", "c", "d")), 60)
    alone = allocate(line(ab=100), [want("two", "ab", 80, count=2)], {})
    assert alone.placements["two"] == Placement()


def test_excluded_nodes_and_limits_of_hops_hold_in_an_allocation_too():
    graph = line(ab=100, bd=100, ac=20, ce=20, ed=20)
    demands = [want("shy", "ad", 50, excluded=("b",), admitted=True), want("short", "ad", 90, hops=2, admitted=True)]
    allocation = allocate(graph, demands, {})
    check(graph, demands, allocation)
    assert rates_of(allocation) == {"shy": 20, "short": 90}


def test_a_demand_without_any_way_and_a_network_without_key_get_nothing_and_break_nothing():
    graph = line(ab=100, cd=0)
    demands = [want("away", "ac", 50), want("dry", "cd", 50), want("there", "ab", 50), want("silent", "ab", 0)]
    assert rates_of(allocate(graph, demands, {})) == {"away": 0, "dry": 0, "there": 50}
    assert rates_of(allocate(line(cd=0), [want("dry", "cd", 50)], {})) == {"dry": 0}
    assert allocate(graph, [], {}) == Allocation({}, {})


@pytest.mark.parametrize("facts", [{"rate": -1}, {"hops": 0}, {"count": 0}, {"count": 9}, {"destination": "a"}])
def test_a_demand_that_makes_no_sense_is_refused(facts: dict[str, object]):
    with pytest.raises(ConfigurationError, match="demand d"):
        replace(want("d", "ab", 10), **facts)


@pytest.mark.parametrize("seed", range(3))
def test_hops_that_a_placement_names_and_the_network_has_lost_are_passed_over(seed: int):
    graph = mesh(seed, 20, 30)
    (link, *_) = graph.links.values()
    placements = {"one": Placement((tuple(link.ends),), 10)}
    assert placed_on(graph, placements).left(link.ends) == link.rate - 10
    assert not placed_on(graph.without_link(link.id), placements).placed.any()

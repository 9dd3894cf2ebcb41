"""The network on paper keeps what the demo promises, whatever the seed."""

import pytest

from quiver.demo.draw import draw_plan
from quiver.demo.plan import COVERED, Plan, request_sizes
from quiver.demo.victims import reachable
from quiver.domain import limits
from quiver.qkd.profiles import PROFILES

SEEDS = range(20)


@pytest.fixture(params=SEEDS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return draw_plan(request.param)


def routes(plan: Plan, source: str, destination: str) -> list[tuple[str, ...]]:
    """All ways without a circle, the shortest first."""
    found, border = [], [(source,)]
    while border:
        way = border.pop()
        if way[-1] == destination:
            found.append(way)
        else:
            border += [(*way, node) for node in plan.neighbours(way[-1]) if node not in way]
    return sorted(found, key=len)


def test_the_network_has_the_promised_size_and_vendors(plan: Plan):
    assert len(plan.nodes) >= 6
    assert len(plan.links) >= 6
    assert len(plan.vendors) >= 4
    assert set(plan.vendors) <= set(PROFILES)


def test_the_main_pairs_shortest_way_has_three_hops_of_three_vendors_and_no_other_is_as_short(plan: Plan):
    shortest, other, *_ = routes(plan, plan.main.source, plan.main.destination)
    assert len(shortest) - 1 == plan.main.hops == 3
    assert len(other) > len(shortest)
    assert len(set(plan.vendors_along(shortest))) == 3


def test_every_way_of_the_main_pair_has_three_vendors_and_one_that_tells_when_its_quantum_channel_is_down(plan: Plan):
    for route in routes(plan, plan.main.source, plan.main.destination):
        assert any(PROFILES[vendor].dialect.state_field for vendor in plan.vendors_along(route))
        assert len(set(plan.vendors_along(route))) >= 3


def test_each_pairs_hops_are_those_of_its_shortest_way(plan: Plan):
    for pair in plan.pairs:
        assert len(routes(plan, pair.source, pair.destination)[0]) - 1 == pair.hops


def test_the_other_pairs_go_other_ways_one_of_them_a_single_hop_and_one_without_a_buffer(plan: Plan):
    ways = [(pair.source, pair.destination) for pair in plan.pairs]
    assert len(set(ways)) == len(ways) >= 3
    assert any(pair.hops == 1 for pair in plan.pairs[1:])
    assert any(plan.demand(pair.virtual_link).depth == 0 for pair in plan.pairs[1:])


def test_the_unbuffered_pair_has_as_many_hops_as_the_main_one_and_ends_nowhere_the_same(plan: Plan):
    assert plan.demand(plan.unbuffered.virtual_link).depth == 0
    assert plan.unbuffered.hops == plan.main.hops
    assert plan.unbuffered.destination != plan.main.destination


def test_each_pair_has_a_demand_in_either_direction_and_none_stands_twice(plan: Plan):
    for pair in plan.pairs:
        assert plan.demand(pair.virtual_link).source == pair.source
        assert plan.demand(pair.virtual_link_back).source == pair.destination
    assert len({demand.name for demand in plan.demands}) == len(plan.demands)


def test_the_node_that_joins_has_two_links_and_a_permitted_partner_far_away(plan: Plan):
    joining = plan.joining
    assert joining.id not in plan.nodes
    assert {end for link in joining.links for end in link.ends} - {joining.id} <= set(plan.nodes)
    assert len(joining.links) == 2
    assert plan.homes[joining.pair.slave] == joining.pair.destination
    assert joining.pair.master not in plan.homes
    assert joining.pair.hops >= 3


def test_no_cut_link_and_no_lost_relay_separates_the_main_pair(plan: Plan):
    start, *relays, goal = routes(plan, plan.main.source, plan.main.destination)[0]
    for link in plan.links:
        assert reachable(plan, start, goal, cut=[link.id])
    for node in relays:
        assert reachable(plan, start, goal, lost=[node])


def test_an_sae_of_another_pair_is_at_the_main_slaves_node(plan: Plan):
    others = [sae for pair in plan.pairs[1:] for sae in (pair.master, pair.slave)]
    assert plan.main.destination in {plan.homes[sae] for sae in others}


def test_one_seed_is_one_network_and_seeds_differ():
    assert draw_plan(7) == draw_plan(7)
    assert len({draw_plan(seed).links for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("key_bytes", [0, 16_000, 400_000, 4_000_000])
def test_the_main_buffer_covers_five_seconds_of_the_load(key_bytes: int):
    plan = draw_plan(1, key_bytes=key_bytes)
    depth = plan.demand(plan.main.virtual_link).depth
    assert depth >= COVERED * plan.load_rate
    assert limits.BLOCK_MIN <= depth <= limits.DEPTH_MAX


@pytest.mark.parametrize(
    ("keys", "size", "wanted"),
    [(500, 256, [50] * 10), (120, 256, [50, 50, 20]), (1, 64, [1]), (20, 65_536, [8, 8, 4]), (9, 65_528, [8, 1])],
)
def test_requests_are_as_large_as_allowed_and_no_larger(keys: int, size: int, wanted: list[int]):
    assert request_sizes(keys, size) == wanted
    assert all(number * size // 8 <= limits.KEY_BYTES_PER_REQUEST for number in wanted)

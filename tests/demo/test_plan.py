"""The network on paper keeps what the demo promises, whatever the seed."""

from itertools import pairwise

import pytest

from quiver.demo.plan import COVERED, Plan, draw_plan, request_sizes
from quiver.domain import limits
from quiver.qkd.profiles import PROFILES

SEEDS = range(20)


@pytest.fixture(params=SEEDS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return draw_plan(request.param)


def reachable(plan: Plan, start: str, goal: str, *, cut: frozenset[str], lost: frozenset[str]) -> bool:
    """Whether a way is left without some links and nodes."""
    seen, border = {start}, [start]
    while border:
        node = border.pop()
        for link in plan.links_at(node):
            other = link.ends[1 - link.ends.index(node)]
            if link.id not in cut and other not in seen | lost:
                seen.add(other)
                border.append(other)
    return goal in seen


def test_the_network_has_the_promised_size_and_vendors(plan: Plan):
    assert len(plan.nodes) >= 6
    assert len(plan.links) >= 6
    assert len(plan.vendors) >= 4
    assert set(plan.vendors) <= set(PROFILES)


def test_the_main_pair_has_three_hops_of_three_vendors(plan: Plan):
    assert plan.main.hops >= 3
    assert len({plan.link_between(one, other).vendor for one, other in pairwise(plan.main.route)}) >= 3


def test_the_other_pairs_go_other_ways_one_of_them_a_single_hop_and_one_without_a_buffer(plan: Plan):
    routes = [pair.route for pair in plan.pairs]
    assert len(set(routes)) == len(routes) >= 3
    assert any(pair.hops == 1 for pair in plan.pairs[1:])
    assert any(pair.depth == 0 for pair in plan.pairs[1:])


def test_the_unbuffered_pair_has_as_many_hops_as_the_main_one_and_ends_nowhere_the_same(plan: Plan):
    assert plan.unbuffered.depth == 0
    assert plan.unbuffered.hops == plan.main.hops
    assert plan.unbuffered.route[-1] != plan.main.route[-1]


def test_each_pair_has_both_directions_over_links_that_exist(plan: Plan):
    for pair in plan.pairs:
        there, back = pair.entries
        assert there.nodes == back.nodes[::-1]
        for one, other in pairwise(there.nodes):
            assert set(plan.link_between(one, other).ends) == {one, other}
    assert len({entry.key for entry in plan.paths}) == 2 * len(plan.pairs)


def test_no_cut_link_and_no_lost_relay_separates_the_main_pair(plan: Plan):
    start, *relays, goal = plan.main.route
    for link in plan.links:
        assert reachable(plan, start, goal, cut=frozenset({link.id}), lost=frozenset())
    for node in relays:
        assert reachable(plan, start, goal, cut=frozenset(), lost=frozenset({node}))


def test_an_sae_of_another_pair_is_at_the_main_slaves_node(plan: Plan):
    others = [sae for pair in plan.pairs[1:] for sae in (pair.master, pair.slave)]
    assert plan.main.route[-1] in {plan.homes[sae] for sae in others}


def test_one_seed_is_one_network_and_seeds_differ():
    assert draw_plan(7) == draw_plan(7)
    assert len({draw_plan(seed).links for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("key_bytes", [0, 16_000, 400_000, 4_000_000])
def test_the_main_buffer_covers_five_seconds_of_the_load(key_bytes: int):
    plan = draw_plan(1, key_bytes=key_bytes)
    assert plan.main.depth >= COVERED * plan.load_rate
    assert limits.BLOCK_MIN <= plan.main.depth <= limits.DEPTH_MAX


@pytest.mark.parametrize(
    ("keys", "size", "wanted"),
    [(500, 256, [50] * 10), (120, 256, [50, 50, 20]), (1, 64, [1]), (20, 65_536, [8, 8, 4]), (9, 65_528, [8, 1])],
)
def test_requests_are_as_large_as_allowed_and_no_larger(keys: int, size: int, wanted: list[int]):
    assert request_sizes(keys, size) == wanted
    assert all(number * size // 8 <= limits.KEY_BYTES_PER_REQUEST for number in wanted)

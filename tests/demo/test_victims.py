"""What the demo breaks hits as many of those who are watched as possible, and leaves everybody another way."""

from itertools import pairwise

import pytest

from quiver.demo.draw import draw_plan
from quiver.demo.plan import Plan
from quiver.demo.victims import Nodes, avoids, link_to_cut, link_to_drain, reachable, relay_to_kill
from quiver.qkd.profiles import profile_named

TOP: Nodes = ("ulm", "linz", "wien", "brno")
ROUND: Nodes = ("ulm", "graz", "prag", "zlin", "brno")
ASIDE: Nodes = ("ulm", "linz", "prag", "zlin", "brno")


@pytest.fixture(params=range(8))
def plan(request: pytest.FixtureRequest) -> Plan:
    return draw_plan(request.param)


@pytest.mark.parametrize("route", [TOP, ROUND, ASIDE])
def test_a_fault_hits_both_directions_of_a_route_and_leaves_another_way(plan: Plan, route: Nodes):
    routes = [route, route[::-1]]
    for link in (link_to_cut(plan, routes), link_to_drain(plan, routes)):
        assert not any(avoids(one, link) for one in routes)
        assert reachable(plan, route[0], route[-1], cut=[link.id])
    node = relay_to_kill(plan, routes)
    assert node in route[1:-1]
    assert reachable(plan, route[0], route[-1], lost=[node])


def test_what_two_routes_have_in_common_is_hit(plan: Plan):
    assert not avoids(ASIDE, link_to_cut(plan, [ROUND, ASIDE]))
    assert relay_to_kill(plan, [ROUND, ASIDE]) in {"prag", "zlin"}


def test_a_link_whose_devices_tell_that_they_are_dark_is_drained_where_there_is_one(plan: Plan):
    link = link_to_drain(plan, [TOP])
    assert profile_named(link.vendor).dialect.state_field is not None
    others = (plan.link_between(one, other) for one, other in pairwise(TOP))
    assert all(
        profile_named(link.vendor).buffer_keys * profile_named(link.vendor).key_size
        <= profile_named(other.vendor).buffer_keys * profile_named(other.vendor).key_size
        for other in others
        if profile_named(other.vendor).dialect.state_field is not None
    )


def test_a_route_avoids_what_it_does_not_pass():
    plan = draw_plan(1)
    assert avoids(ROUND, "wien")
    assert not avoids(TOP, "wien")
    assert avoids(ROUND, plan.link_between("linz", "wien"))
    assert not avoids(TOP[::-1], plan.link_between("linz", "wien"))

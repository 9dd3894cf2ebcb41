"""What paths get where they are: parts of what a hop makes, higher tiers first, the same for the same routes."""

from quiver.domain.routing.demand import Demand, Placement
from quiver.domain.routing.graph import Graph, Link
from quiver.domain.routing.sharing import shared

LINE = Graph([Link(id="ab", ends=("a", "b"), rate=900), Link(id="bc", ends=("b", "c"), rate=300)])
SHORT, LONG = (("a", "b"),), (("a", "b", "c"),)


def demand(name: str, rate: int = 600, **facts: object) -> Demand:
    return Demand(id=name, source="a", destination=name[0], rate=rate, **facts)


def test_paths_that_a_hop_cannot_serve_get_equal_parts_and_others_have_what_they_leave():
    given = shared(LINE, [demand("b"), demand("c")], {"b": SHORT, "c": LONG})
    assert given == {"b": Placement(SHORT, 600), "c": Placement(LONG, 300)}


def test_who_asks_for_a_rate_has_it_before_those_who_do_not():
    firm, elastic = demand("b1", admitted=True), demand("b2", admitted=True, elastic=True)
    given = shared(LINE, [elastic, firm], {"b1": SHORT, "b2": SHORT})
    assert (given["b1"].rate, given["b2"].rate) == (600, 300)


def test_a_higher_class_has_its_rate_first_whether_it_asked_for_one_or_not():
    high, low = demand("b1", admitted=True, elastic=True, priority=0), demand("b2", admitted=True)
    given = shared(LINE, [low, high], {"b1": SHORT, "b2": SHORT})
    assert (given["b1"].rate, given["b2"].rate) == (600, 300)


def test_each_route_of_a_demand_needs_its_whole_rate():
    square = Graph(
        Link(id=ends, ends=(ends[0], ends[1]), rate=rate)
        for ends, rate in {"ab": 500, "bd": 500, "ac": 200, "cd": 500}.items()
    )
    two = Demand(id="two", source="a", destination="d", rate=400, count=2)
    ways = (("a", "b", "d"), ("a", "c", "d"))
    assert shared(square, [two], {"two": ways}) == {"two": Placement(ways, 200)}


def test_routes_that_do_not_carry_and_demands_without_routes_are_left_out():
    assert shared(LINE, [demand("b"), demand("c")], {"b": (("a", "x", "b"),)}) == {}

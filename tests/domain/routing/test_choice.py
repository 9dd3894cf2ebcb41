"""The fast choice: where key is, within what was asked, and the same each time."""

from math import inf

import pytest

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.routing.choice import choose
from quiver.domain.routing.graph import Availability, Graph, Link


def link(one: str, other: str, rate: int = 1000, **facts: object) -> Link:
    return Link(id=f"{one}-{other}", ends=(one, other), rate=rate, **facts)


def ring(**rates: int) -> Graph:
    """a - b - c - d - e - a; a - b - c is the short way from a to c."""
    named = {"ab": 1000, "bc": 1000, "cd": 1000, "de": 1000, "ea": 1000} | rates
    return Graph(link(*ends, rate=rate) for ends, rate in named.items())


def way(graph: Graph, source: str, destination: str, rate: int, **wishes: object) -> list[str]:
    return ["".join(route.nodes) for route in choose(graph, source, destination, rate, **wishes)]


def test_the_short_way_is_taken_while_there_is_plenty():
    assert way(ring(), "a", "c", 10) == ["abc"]


def test_a_detour_is_taken_where_the_short_way_has_no_rate_left():
    assert way(ring().place(["a", "b"], 995), "a", "c", 10) == ["aedc"]


def test_a_detour_is_taken_before_the_last_of_a_scarce_hop_is_used_up():
    assert way(ring().place(["a", "b"], 980), "a", "c", 10) == ["aedc"]


def test_a_demand_without_a_rate_goes_where_key_is_and_the_short_way_while_there_is_plenty():
    assert way(ring(ab=100, bc=100, cd=10**6, de=10**6, ea=10**6), "a", "c", 0) == ["aedc"]
    assert way(ring(ab=10**6, bc=10**6, cd=10**7, de=10**7, ea=10**7), "a", "c", 0) == ["abc"]
    assert way(ring(ab=400, bc=400, cd=4000, de=4000, ea=4000), "a", "c", 0) == ["aedc"]


def test_a_demand_without_a_rate_takes_the_least_full_way_where_all_are_full():
    graph = ring(ab=1000, bc=1000, cd=1000, de=1000, ea=1000)
    assert way(graph.place(["a", "b", "c"], 9000).place(["a", "e", "d", "c"], 2000), "a", "c", 0, share=100) == ["aedc"]
    assert way(graph.place(["a", "b", "c"], 2000).place(["a", "e", "d", "c"], 2000), "a", "c", 0, share=100) == ["abc"]


def test_a_hop_does_not_become_cheaper_where_a_share_begins_not_to_fit():
    for placed in range(0, 2000, 50):
        two = Graph([link("a", "b"), link("b", "d"), link("a", "c"), link("c", "d")])
        graph = two.place(["a", "b", "d"], placed + 10).place(["a", "c", "d"], placed)
        assert way(graph, "a", "d", 0, share=400) == ["acd"]


def test_what_one_direction_uses_is_missing_in_the_other():
    used = ring().place(["b", "a"], 995)
    assert used.left(["a", "b"]) == used.left(["b", "a"]) == 5
    assert way(used, "a", "c", 10) == way(ring().place(["a", "b"], 995), "a", "c", 10) == ["aedc"]


def test_links_between_the_same_two_nodes_add_up():
    graph = ring().with_link(Link(id="second", ends=("b", "a"), rate=50))
    assert way(graph.place(["a", "b"], 1000), "a", "b", 50, hops=1) == ["ab"]
    assert way(graph.place(["a", "b"], 1000), "a", "b", 51, hops=1) == []
    assert way(graph.with_link(link("a", "b", 1000, availability=Availability.DOWN)), "a", "b", 51) == ["aedcb"]


def test_no_route_is_given_where_none_has_the_rate():
    assert choose(ring(ab=5, cd=5), "a", "c", 10) == ()
    assert choose(Graph([link("a", "b"), link("c", "d")]), "a", "d", 0) == ()


def test_pad_that_stands_carries_a_demand_where_no_rate_is_left_and_it_says_how_long():
    graph = ring(ab=0, cd=0).with_pad("a", "b", int(10 * limits.PAD_HORIZON), 0.0)
    (route,) = choose(graph, "a", "c", 10)
    assert route.nodes == ("a", "b", "c")
    assert (route.left, route.lasts) == (0, limits.PAD_HORIZON)
    assert choose(graph, "a", "c", 11) == ()
    assert choose(graph, "c", "a", 10) == (), "pad of the other direction is not ours to allocate"


def test_pad_whose_reading_is_old_does_not_count():
    graph = ring(ab=0, cd=0).with_pad("a", "b", 1_000_000, 50.0)
    assert choose(graph.at(50.0 + limits.PAD_AGE), "a", "c", 10)
    assert not choose(graph.at(51.0 + limits.PAD_AGE), "a", "c", 10)


def test_a_sustained_route_goes_before_a_shorter_one_that_lives_on_pad():
    graph = ring(ab=0).with_pad("a", "b", 1 << 40, 0.0)
    (route,) = choose(graph, "a", "b", 10)
    assert (route.nodes, route.lasts) == (("a", "e", "d", "c", "b"), inf)


def test_without_a_rate_the_route_with_the_most_key_is_given_even_where_nothing_is_known_yet():
    assert way(ring(ab=0, bc=0, cd=0, de=0, ea=0), "a", "c", 0) == ["abc"]
    assert way(ring(ab=0), "a", "c", 0) == ["aedc"]


def test_excluded_drained_and_lost_nodes_are_passed_round():
    assert way(ring(), "a", "c", 10, excluded=["b"]) == ["aedc"]
    assert way(ring().with_node("b", Availability.DRAINED), "a", "c", 10) == ["aedc"]
    assert way(ring().with_node("b", Availability.DRAINED), "a", "b", 10) == ["ab"]
    assert way(ring().with_node("b", Availability.DOWN), "a", "b", 10) == []
    assert way(ring(), "a", "c", 10, excluded=["a", "c", "d", "not a node"]) == ["abc"], "ends are the demand's own"


def test_a_drained_link_takes_no_new_route_and_does_not_carry_an_old_one():
    graph = ring().with_link(link("a", "b", availability=Availability.DRAINED))
    assert way(graph, "a", "b", 10) == ["aedcb"]
    assert not graph.carries(["a", "b", "c"])
    assert ring().carries(["a", "b", "c"])
    assert not ring().carries(["a", "c"])


def test_a_limit_of_hops_brings_back_the_short_way():
    graph = ring().place(["a", "b"], 980)
    assert way(graph, "a", "c", 10, hops=2) == ["abc"]
    assert way(ring(ab=5), "a", "c", 10, hops=2) == []


def test_several_routes_share_no_node_and_each_has_the_rate():
    assert way(ring(), "a", "c", 10, count=2) == ["abc", "aedc"]
    assert way(ring(de=5), "a", "c", 10, count=2) == []
    assert way(ring(), "a", "c", 10, count=3) == []
    assert way(ring(), "a", "c", 10, count=2, hops=2) == []


def test_disjoint_routes_are_found_where_the_cheapest_one_would_be_in_the_way():
    """Suurballe's own trap: the cheapest route s-a-b-t uses a node of each of the two."""
    graph = Graph(
        link(*ends, rate=rate) for ends, rate in {"sa": 10**6, "ab": 10**6, "bt": 10**6, "sb": 20, "at": 20}.items()
    )
    assert way(graph, "s", "t", 10) == ["sabt"]
    assert way(graph, "s", "t", 10, count=2) == ["sat", "sbt"]


def test_disjoint_routes_fall_back_to_few_hops_where_the_cheapest_are_too_long():
    graph = Graph(
        link(*ends, rate=rate)
        for ends, rate in {"sa": 12, "at": 12, "sb": 900, "bc": 900, "ct": 900, "sd": 900, "dt": 900}.items()
    )
    assert way(graph, "s", "t", 10, count=2) == ["sdt", "sbct"]
    assert way(graph, "s", "t", 10, count=2, hops=2) == ["sat", "sdt"]


def test_an_unknown_end_is_an_error_that_names_it():
    with pytest.raises(ConfigurationError, match="no node z"):
        choose(ring(), "a", "z", 10)


def test_what_was_placed_and_released_leaves_no_trace_and_older_graphs_do_not_change():
    before = ring()
    after = before.place(["a", "b", "c"], 300)
    assert before.left(["a", "b", "c"]) == 1000
    assert after.left(["a", "b", "c"]) == 700
    assert after.release(["c", "b", "a"], 300).left(["a", "b", "c"]) == 1000
    assert after.cleared().left(["a", "b"]) == 1000


def test_a_new_link_leaves_what_is_placed_and_what_stands_where_it_was():
    graph = ring().with_pad("b", "a", 77, 3.0).place(["a", "b", "c"], 300)
    grown = graph.with_link(link("A", "a")).with_node("0")
    assert grown.nodes == ("0", "A", "a", "b", "c", "d", "e")
    assert grown.pad("b", "a") == 77
    assert grown.left(["a", "b", "c"]) == 700
    shrunk = grown.without_link("b-c")
    assert shrunk.left(["a", "b"]) == 700
    assert way(shrunk, "a", "c", 10) == ["aedc"]
    assert shrunk.release(["a", "b", "c"], 300).left(["a", "b"]) == 1000


@pytest.mark.parametrize(
    "links",
    [[link("a", "a")], [link("a", "b"), Link(id="a-b", ends=("c", "d"))]],
)
def test_links_that_contradict_each_other_are_refused(links: list[Link]):
    with pytest.raises(ConfigurationError):
        Graph(links)

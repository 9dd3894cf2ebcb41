"""A node that is dismissed takes no path with it and leaves nothing behind."""

import pytest

from quiver.domain import limits
from quiver.domain.errors import ConflictError
from quiver.domain.events import CreditGained, LinkDown
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.records import What
from tests.domain.sdn.telling import Desk

SQUARE = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]
V = Demand(name="v", source="a", destination="d")


def credited(desk: Desk, key: str) -> None:
    desk.credit[key] = 1000
    desk.happen("a", CreditGained(path=key, credit=1000))
    desk.settle(2)


def served(*edges: tuple[str, str]) -> Desk:
    """A desk with a path from a to d over b that has credit."""
    desk = Desk(list(edges or SQUARE))
    desk.connect()
    desk.core.operator.demand(V)
    desk.settle()
    credited(desk, "v/1/1")
    return desk


def holders(desk: Desk) -> dict[str, list[str]]:
    return {node: list(held) for node, held in desk.held.items() if held}


def nodes(desk: Desk) -> list[str]:
    return [row.node for row in desk.core.snapshot().nodes]


def test_paths_move_off_a_dismissed_relay_before_it_loses_them():
    desk = served()
    desk.core.operator.dismiss("b")
    desk.settle(2)
    assert desk.held["b"], "the new version has no credit yet"
    assert nodes(desk) == ["a", "b", "c", "d"]
    credited(desk, "v/1/2")
    desk.settle(limits.DRAINING_TIME)
    assert holders(desk) == {"a": ["v/1/2"], "c": ["v/1/2"], "d": ["v/1/2"]}
    assert nodes(desk) == ["a", "c", "d"]
    assert [notice.about for notice in desk.told("node-gone")] == [{"node": "b", "left": "0"}]
    assert not desk.core.operator.drains()


def test_a_path_without_another_way_ends_at_all_nodes_when_the_time_is_over():
    desk = served(("a", "b"), ("b", "d"))
    desk.core.operator.dismiss("b")
    desk.settle(limits.DISMISS_TIME - 1)
    assert set(holders(desk)) == {"a", "b", "d"}
    desk.settle(limits.DRAINING_TIME)
    assert holders(desk) == {}
    assert nodes(desk) == ["a", "d"]
    assert desk.core.snapshot().paths[0].nodes == ()


def test_a_path_whose_source_is_dismissed_ends_at_all_nodes():
    desk = served()
    desk.core.operator.dismiss("a")
    desk.settle(limits.DRAINING_TIME)
    assert holders(desk) == {}
    assert nodes(desk) == ["b", "c", "d"]
    assert desk.core.operator.ending("a") == ["v"], "its owner gives it up"


def test_a_dismissed_node_that_cannot_be_reached_is_forgotten_in_bounded_time():
    desk = served()
    desk.core.lost("b")
    desk.core.operator.dismiss("b")
    desk.settle(2)
    credited(desk, "v/1/2")
    desk.settle(2 * limits.DISMISS_TIME)
    assert nodes(desk) == ["a", "c", "d"]
    assert holders(desk)["b"] == ["v/1/1"], "nobody could tell it"
    assert desk.told("node-gone")[0].about["left"] == "1"


def test_no_new_path_passes_or_ends_at_a_node_that_leaves():
    desk = served()
    desk.core.operator.dismiss("b")
    desk.core.operator.demand(Demand(name="w", source="a", destination="b"))
    desk.core.operator.demand(Demand(name="x", source="a", destination="d", excluded=("c",)))
    desk.settle(2)
    assert all(key.startswith("v/") for held in desk.held.values() for key in held)


def test_a_controller_that_comes_goes_on_with_a_dismissal():
    desk = served()
    desk.core.operator.dismiss("b")
    desk.settle()
    desk.begin()
    desk.connect()
    credited(desk, "v/1/3")
    desk.settle(2 * limits.DRAINING_TIME)
    assert nodes(desk) == ["a", "c", "d"]
    assert holders(desk) == {"a": ["v/1/3"], "c": ["v/1/3"], "d": ["v/1/3"]}
    assert ("member", "b") not in desk.rows


def test_a_node_that_is_admitted_again_stays_and_is_used():
    desk = served()
    desk.core.operator.dismiss("b")
    desk.settle(1)
    with pytest.raises(ConflictError, match="register its agent again"):
        desk.core.operator.drain(What.NODE, "b", drained=False)
    desk.core.operator.admit("b", "b:1")
    desk.settle(3 * limits.DISMISS_TIME)
    assert nodes(desk) == ["a", "b", "c", "d"]
    assert not desk.core.operator.drains()
    desk.core.operator.demand(Demand(name="x", source="a", destination="d", excluded=("c",)))
    desk.settle(1)
    assert "x/1/1" in desk.held["b"]


def test_addresses_of_a_node_that_is_gone_go_from_all_agents():
    desk = served()
    assert desk.addresses["a"]["b"] == "b:1"
    desk.core.operator.dismiss("b")
    desk.settle(2)
    credited(desk, "v/1/2")
    desk.settle(limits.DRAINING_TIME)
    assert nodes(desk) == ["a", "c", "d"]
    assert not any("b" in known for known in desk.addresses.values())
    desk.core.operator.admit("b", "b:2")
    desk.connect("b")
    desk.core.operator.drain(What.NODE, "c")
    desk.settle(2)
    assert desk.addresses["a"]["b"] == "b:2"


def gone(desk: Desk) -> set[str]:
    """Nodes whose departure the database remembers."""
    return {name for kind, name in desk.rows if kind == "former"}


def test_an_agent_that_was_away_loses_the_address_of_a_node_that_left_even_if_the_controller_was_started_again():
    desk = served()
    desk.core.lost("a")
    desk.core.operator.dismiss("b")
    desk.settle(3 * limits.DISMISS_TIME)
    assert nodes(desk) == ["a", "c", "d"]
    desk.begin()
    desk.connect("c", "d")
    desk.settle(limits.GATHER_TIME + limits.ADOPT_TIME + 2 * limits.POLL_INTERVAL)
    assert desk.addresses["a"]["b"] == "b:1"
    assert gone(desk) == {"b"}
    desk.connect("a")
    credited(desk, max(desk.held["a"]))
    desk.settle(limits.DRAINING_TIME + 2 * limits.POLL_INTERVAL)
    assert not any("b" in known for known in desk.addresses.values())
    assert gone(desk) == set(), "nobody holds it: there is nothing to remember"


def test_nodes_that_leave_while_an_agent_is_away_take_bounded_room_and_what_has_none_is_told(monkeypatch):
    monkeypatch.setattr(limits, "FORMER_NODES", 2)
    desk = served()
    desk.core.lost("a")
    for number in range(4):
        desk.core.operator.admit(f"x{number}", "x:1")
        desk.core.operator.dismiss(f"x{number}")
    desk.settle(3 * limits.DISMISS_TIME)
    assert gone(desk) == {"x0", "x1"}
    assert [notice.about["node"] for notice in desk.told("address-left")] == ["x2", "x3"]
    desk.connect("a")
    desk.settle(2 * limits.POLL_INTERVAL)
    assert gone(desk) == set()


def test_a_node_that_comes_back_keeps_its_address_at_those_that_were_away():
    desk = served()
    desk.core.lost("a")
    desk.core.operator.dismiss("b")
    desk.settle(3 * limits.DISMISS_TIME)
    desk.core.operator.admit("b", "b:1")
    desk.settle()
    desk.begin()
    desk.connect()
    desk.settle(2 * limits.POLL_INTERVAL)
    assert desk.addresses["a"]["b"] == "b:1"
    assert gone(desk) == set()


@pytest.mark.parametrize(("what", "name"), [(What.NODE, "c"), (What.LINK, "c-d")])
def test_nothing_is_placed_where_the_operator_has_drained_even_if_there_is_no_other_way(what: What, name: str):
    desk = served()
    desk.core.operator.drain(what, name)
    desk.down.add("b-d")
    desk.happen("b", LinkDown(link="b-d", neighbour="d"))
    desk.settle(10)
    assert not any(order.put for order in desk.edits("c"))
    assert desk.told("unserved")
    desk.core.operator.drain(what, name, drained=False)
    desk.settle(1)
    assert desk.held["c"]


def test_what_has_no_other_way_stays_where_it_is_drained_and_is_not_interrupted():
    desk = served(("a", "b"), ("b", "d"))
    desk.core.operator.drain(What.NODE, "b")
    desk.settle(10)
    assert holders(desk) == {node: ["v/1/1"] for node in "abd"}

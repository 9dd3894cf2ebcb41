"""The order of orders: terms before reading before editing, destinations last, sources first when a path goes."""

from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.events import CreditGained, LinkDown, NumberedEvent
from quiver.domain.network import PathEntry
from quiver.domain.report import PathMark
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.orders import Edit, Failure, Read, Stamp

from .telling import Desk

SQUARE = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]
DEMAND = Demand(name="v", source="a", destination="d")


def served() -> Desk:
    """A square with one path, a b d, in use."""
    desk = Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(DEMAND)
    desk.settle()
    gain(desk, "v/1/1")
    return desk


def gain(desk: Desk, key: str) -> None:
    desk.credit[key] = 1000
    desk.happen("a", CreditGained(path=key, credit=1000))
    desk.settle()


def lose(desk: Desk, node: str, link: str, neighbour: str, *, missed: int = 0) -> None:
    desk.down.add(link)
    desk.happen(node, LinkDown(link=link, neighbour=neighbour), missed=missed)


def holders(desk: Desk, key: str) -> set[str]:
    return {node for node, entries in desk.held.items() if key in entries}


# --- a new leader -------------------------------------------------------------------------------------------------


def test_a_new_leader_stamps_every_agent_before_it_reads_what_it_builds_on_and_reads_before_it_edits() -> None:
    desk = Desk(SQUARE)
    desk.core.operator.demand(DEMAND)
    desk.connect()
    for node in desk.nodes:
        kinds = [type(order) for order in desk.orders if order.node == node]
        stamped = kinds.index(Stamp)
        assert Read in kinds[stamped:]
        assert Edit not in kinds[: stamped + kinds[stamped:].index(Read)]


def test_its_term_is_above_all_that_agents_show_and_is_durable_before_anybody_hears_it() -> None:
    desk = Desk(SQUARE)
    desk.terms["c"] = 41
    for node in desk.nodes:
        desk.core.connected(node)
    desk.core.step()
    for order in desk.core.orders():
        desk.carry_out(order)
    desk.core.step()
    (change,) = [change for change in desk.core.changes() if change.kind == "leadership"]
    assert change.record.term == 42
    assert {order.term for order in desk.core.orders()} == {42}


def test_agents_that_do_not_answer_hold_nobody_up_and_are_stamped_first_when_they_come() -> None:
    desk = Desk(SQUARE)
    desk.core.operator.demand(DEMAND)
    desk.connect("a", "b", "d")
    assert not desk.edits()
    desk.settle(limits.GATHER_TIME + limits.ADOPT_TIME)
    assert desk.edits()
    desk.core.connected("c")
    first = desk.step()
    assert [type(order) for order in first if order.node == "c"] == [Stamp]


def test_an_agent_that_returns_is_stamped_and_read_before_it_is_edited() -> None:
    desk = served()
    desk.core.lost("b")
    desk.held["b"].clear()
    desk.settle()
    desk.orders.clear()
    desk.connect("b")
    kinds = [type(order) for order in desk.orders if order.node == "b"]
    assert kinds == [Stamp, Read, Edit]
    assert holders(desk, "v/1/1") == {"a", "b", "d"}


# --- order of writes ----------------------------------------------------------------------------------------------


def test_the_destination_is_written_when_all_others_have_the_entry() -> None:
    desk = Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(DEMAND)
    first = desk.step()
    assert {order.node for order in first} == {"a", "b"}
    desk.carry_out(first[0])
    assert not desk.step()
    desk.carry_out(first[1])
    assert [order.node for order in desk.step()] == ["d"]


def test_every_edit_carries_the_term_and_the_addresses_that_its_node_needs() -> None:
    desk = served()
    assert {edit.term for edit in desk.edits()} == {1}
    addresses = {edit.node: set(edit.addresses) for edit in desk.edits()}
    assert addresses == {"a": {"b", "d"}, "b": {"a", "d"}, "d": {"a", "b"}}


def test_a_version_is_in_use_when_its_source_has_credit_and_only_then_the_old_one_goes() -> None:
    desk = served()
    lose(desk, "b", "b-d", "d")
    desk.settle()
    assert holders(desk, "v/1/1") == {"a", "b", "d"}
    assert holders(desk, "v/1/2") == {"a", "c", "d"}
    gain(desk, "v/1/2")
    desk.settle(limits.PART_PAUSE / 2)
    assert holders(desk, "v/1/1") == {"a", "b", "d"}, "what other paths wait for comes first"
    desk.settle(limits.PART_PAUSE + 1.0)
    assert holders(desk, "v/1/1") == set()
    assert desk.told("rerouted")[0].about["cause"] == "link-down"


def test_the_source_lets_go_first_and_the_others_when_it_has_no_open_sequence() -> None:
    desk = served()
    lose(desk, "b", "b-d", "d")
    desk.settle()
    desk.open["v/1/1"] = 3
    gain(desk, "v/1/2")
    desk.settle(limits.PART_PAUSE + 0.1)
    assert holders(desk, "v/1/1") == {"b", "d"}
    desk.settle(1.0)
    assert holders(desk, "v/1/1") == {"b", "d"}
    desk.open.clear()
    desk.settle(1.0)
    assert holders(desk, "v/1/1") == set()


def test_a_source_whose_sequences_never_end_holds_the_others_for_a_bounded_time() -> None:
    desk = served()
    lose(desk, "b", "b-d", "d")
    desk.settle()
    desk.open["v/1/1"] = 3
    gain(desk, "v/1/2")
    desk.settle(limits.PART_PAUSE + limits.DRAINING_TIME + 0.2)
    assert holders(desk, "v/1/1") == set()


def test_a_node_never_holds_more_than_two_versions_of_a_path() -> None:
    desk = served()
    desk.settle(30.0)
    for node, link, far in [("b", "b-d", "d"), ("c", "c-d", "d"), ("a", "a-c", "c")]:
        lose(desk, node, link, far)
        desk.settle(4.0)
        assert all(len(entries) <= limits.VERSIONS_PER_PATH for entries in desk.held.values())


# --- edits that fail ----------------------------------------------------------------------------------------------


def test_after_an_edit_without_an_answer_the_node_is_read_before_it_is_edited_again() -> None:
    desk = Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(DEMAND)
    desk.failing["b"] = Failure.UNANSWERED
    desk.settle()
    desk.failing.clear()
    desk.orders.clear()
    desk.settle(1.0)
    assert [type(order) for order in desk.orders if order.node == "b"][:2] == [Read, Edit]
    assert holders(desk, "v/1/1") == {"a", "b", "d"}


def test_a_node_that_refuses_an_entry_is_gone_round_under_a_new_version() -> None:
    desk = Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(DEMAND)
    desk.failing["b"] = Failure.REFUSED
    desk.settle(1.0)
    assert holders(desk, "v/1/2") == {"a", "c", "d"}
    assert holders(desk, "v/1/1") == set()


def test_an_order_that_nobody_answers_is_given_up_by_the_controller_itself() -> None:
    desk = Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(DEMAND)
    lost = desk.step()
    desk.clock.time += limits.ORDER_TIME
    desk.settle(5.0)
    assert {order.id for order in lost}.isdisjoint(order.id for order in desk.edits()[len(lost) :])
    assert any(entries for entries in desk.held.values())


# --- what agents hold ---------------------------------------------------------------------------------------------


def entry(version: int, *nodes: str, name: str = "v") -> PathEntry:
    return PathEntry(virtual_link=name, path=1, version=version, nodes=nodes)


def test_paths_that_agents_hold_are_taken_over_as_they_are() -> None:
    desk = Desk(SQUARE)
    old = entry(7, "a", "c", "d")
    for node in old.nodes:
        desk.held[node] = {old.key: old}
    desk.credit[old.key] = 1000
    desk.core.operator.demand(DEMAND)
    desk.connect()
    assert not [edit for edit in desk.edits() if edit.put or edit.remove]
    assert desk.core.snapshot().paths[0].version == 7


def test_what_only_others_than_its_source_hold_is_swept_when_the_source_was_read() -> None:
    desk = Desk(SQUARE)
    orphan = entry(7, "a", "c", "d")
    desk.held["c"] = {orphan.key: orphan}
    desk.connect("b", "c", "d")
    desk.settle(limits.GATHER_TIME + limits.ADOPT_TIME)
    assert holders(desk, orphan.key) == {"c"}  # its source may hold it
    desk.connect("a")
    assert holders(desk, orphan.key) == set()
    assert desk.told("orphan-swept")


def test_a_demand_that_was_given_up_while_nobody_listened_takes_its_paths_along() -> None:
    desk = served()
    desk.core.operator.give_up("v")
    desk.step()  # durable; then the process dies
    desk.begin()
    desk.connect()
    desk.settle(2.0)
    assert holders(desk, "v/1/1") == set()


def test_a_new_database_takes_demands_from_the_paths_that_agents_hold() -> None:
    desk = served()
    desk.rows = {name: body for name, body in desk.rows.items() if name[0] == "member"}
    desk.begin()
    desk.connect()
    (found,) = desk.core.snapshot().demands
    assert (found.demand.name, found.demand.origin, found.up) == ("v", "found", 1)
    assert holders(desk, "v/1/1") == {"a", "b", "d"}


def test_a_version_is_above_all_that_any_agent_has_ever_known() -> None:
    desk = Desk(SQUARE)
    desk.changed["c"] = {"marks": (PathMark(virtual_link="v", path=1, version=12),)}
    desk.connect()
    desk.core.operator.demand(DEMAND)
    desk.settle()
    assert holders(desk, "v/1/13") == {"a", "b", "d"}


# --- terms of others ----------------------------------------------------------------------------------------------


def test_a_higher_term_at_two_agents_fences_this_controller_for_good() -> None:
    desk = served()
    desk.terms.update(a=9, b=9)
    desk.settle(limits.POLL_INTERVAL + 1.0)
    assert desk.core.snapshot().phase is Phase.FENCED
    assert desk.told("fenced")
    desk.orders.clear()
    lose(desk, "b", "b-d", "d")
    desk.settle(20.0)
    assert not desk.edits()
    assert not [order for order in desk.orders if isinstance(order, Stamp)]


def test_a_higher_term_that_nobody_confirms_stops_edits_for_a_moment_only() -> None:
    desk = served()
    desk.terms["c"] = 9
    desk.settle(limits.POLL_INTERVAL)
    assert desk.core.snapshot().phase is Phase.DOUBTING
    desk.settle(limits.DOUBT_TIME + 1.0)
    assert desk.core.snapshot().phase is Phase.LEADING
    assert set(desk.terms.values()) == {10}


def test_an_edit_refused_for_its_term_is_a_word_about_the_term() -> None:
    desk = served()
    desk.terms.update(dict.fromkeys(desk.nodes, 9))
    lose(desk, "b", "b-d", "d")
    desk.settle(1.0)
    assert desk.core.snapshot().phase is Phase.FENCED


# --- faults and figures -------------------------------------------------------------------------------------------


def test_a_path_without_credit_is_tried_elsewhere_with_growing_patience() -> None:
    desk = served()
    desk.credit.clear()
    desk.settle(limits.POLL_INTERVAL + limits.DRY_PATIENCE + 0.5)
    assert holders(desk, "v/1/2") == {"a", "c", "d"}
    desk.settle(300.0)  # it never gets credit there either
    versions = [edit.put[0].version for edit in desk.edits("a") if edit.put]
    assert len(versions) <= 12
    assert holders(desk, "v/1/1") == {"a", "b", "d"}  # what is not worse than others stays


def test_another_figure_is_another_version_and_nothing_is_interrupted() -> None:
    desk = served()
    desk.core.operator.demand(replace(DEMAND, depth=8192))
    desk.settle()
    assert holders(desk, "v/1/1") == holders(desk, "v/1/2") == {"a", "b", "d"}
    gain(desk, "v/1/2")
    desk.settle(limits.PART_PAUSE + 1.0)
    assert holders(desk, "v/1/1") == set()


def test_a_missed_event_is_noticed_and_the_agent_read_again() -> None:
    desk = served()
    desk.orders.clear()
    lose(desk, "b", "b-d", "d", missed=4)
    desk.settle(limits.READ_PAUSE)
    assert any(isinstance(order, Read) and order.node == "b" for order in desk.orders)


def test_an_agent_that_was_started_again_is_read_before_its_events_mean_anything() -> None:
    desk = served()
    desk.orders.clear()
    desk.core.happened("b", "r2", NumberedEvent(sequence=2, body=LinkDown(link="b-d", neighbour="d")))
    desk.settle(limits.READ_PAUSE)
    assert any(isinstance(order, Read) and order.node == "b" for order in desk.orders)

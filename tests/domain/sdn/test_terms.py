"""Terms far from the known ones: what two agents show counts, one alone stops nobody, and what cannot be written to is told."""

import pytest

from quiver.controller.alarms import conditions_of
from quiver.domain import limits
from quiver.domain.report import PathMark
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.leadership import Phase

from .telling import Desk

SQUARE = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]
FAR = 1 << 30


def alarms(desk: Desk) -> set[tuple[str, str]]:
    """Those about terms, each with what it is about."""
    told = {(alarm.name, alarm.id) for alarm in conditions_of(desk.core.snapshot())}
    return {(name, about) for name, about in told if name.startswith(("agent-refuses", "controller-"))}


def led(terms: dict[str, int], *late: str) -> Desk:
    """A desk whose agents hold these terms; the controller's database is new."""
    desk = Desk(SQUARE)
    desk.terms.update(terms)
    desk.connect(*(node for node in desk.nodes if node not in late))
    desk.settle(limits.GATHER_TIME + limits.DOUBT_TIME + 10.0)
    return desk


def unanimous(desk: Desk) -> bool:
    """Whether the controller leads under one term that all agents have accepted."""
    live = desk.core.snapshot()
    return live.phase is Phase.LEADING and set(desk.terms.values()) == {live.term}


def test_a_new_database_starts_above_the_highest_term_that_agents_show_however_far_that_is() -> None:
    desk = led({"a": FAR, "b": FAR + 700, "c": FAR + 3, "d": 5})
    assert unanimous(desk)
    assert desk.terms["d"] == FAR + 701
    assert not alarms(desk)


def test_paths_and_versions_of_a_far_term_are_neither_lies_nor_used_again() -> None:
    desk = Desk(SQUARE)
    desk.terms.update(dict.fromkeys(desk.nodes, FAR))
    version = FAR * limits.AHEAD + 7
    desk.changed["c"] = {"marks": (PathMark(virtual_link="v", path=1, version=version),)}
    desk.connect()
    desk.core.operator.demand(Demand(name="v", source="a", destination="d"))
    desk.settle(1.0)
    assert not desk.told("node-distrusted")
    (entry,) = desk.held["a"].values()
    assert version < entry.version < limits.MARK_MAX


def test_in_a_network_of_one_node_a_far_term_counts_too() -> None:
    desk = Desk([("a", "b")])
    del desk.rows["member", "b"]
    desk.begin()
    desk.terms["a"] = FAR
    desk.connect("a")
    assert (desk.core.snapshot().phase, desk.terms["a"]) == (Phase.LEADING, FAR + 1)


@pytest.mark.parametrize("huge", [FAR, limits.TERM_MAX, 1 << 50])
def test_one_agent_with_a_far_term_is_gone_round_and_stands_among_the_alarms(huge: int) -> None:
    desk = led({"a": 7, "b": huge, "c": 7, "d": 7})
    desk.settle(120.0)
    desk.core.operator.demand(Demand(name="v", source="a", destination="d"))
    desk.settle(1.0)
    assert desk.core.snapshot().phase is Phase.LEADING
    assert {node: desk.terms[node] for node in "abcd"} == {"a": 8, "b": huge, "c": 8, "d": 8}
    assert [node for node, held in desk.held.items() if held] == ["a", "c", "d"]
    assert alarms(desk) == {("agent-refuses-term", "b")}
    assert len(desk.told("term-not-believed")) == 1


def test_an_agent_that_has_forgotten_its_far_term_is_stamped_when_it_returns() -> None:
    desk = led({"b": FAR})
    assert alarms(desk) == {("agent-refuses-term", "b")}
    desk.core.lost("b")
    desk.terms["b"] = 0
    desk.connect("b")
    assert unanimous(desk)
    assert not alarms(desk)


def test_an_agent_that_refuses_the_term_and_says_that_it_holds_a_lower_one_stands_among_the_alarms() -> None:
    desk = Desk(SQUARE)
    desk.terms["b"] = FAR
    desk.changed["b"] = {"term": 0}
    desk.connect()
    desk.settle(20.0)
    assert alarms(desk) == {("agent-refuses-term", "b")}


def test_agents_that_come_late_vouch_for_each_others_term() -> None:
    desk = led({"b": FAR, "c": FAR + 5}, "a", "c", "d")
    assert alarms(desk) == {("agent-refuses-term", "b")}
    desk.connect("c")
    desk.settle(limits.DOUBT_TIME + 1.0)
    desk.connect("a", "d")
    assert unanimous(desk)
    assert not alarms(desk)


def test_two_far_terms_at_agents_of_a_controller_that_leads_fence_it() -> None:
    desk = led({})
    desk.terms.update(a=FAR, b=FAR)
    desk.settle(limits.POLL_INTERVAL + 1.0)
    assert desk.core.snapshot().phase is Phase.FENCED


def test_an_agent_with_a_far_term_confirms_no_other_lie() -> None:
    desk = led({"b": FAR})
    desk.changed["c"] = {"term": 50}
    desk.settle(limits.POLL_INTERVAL + limits.DOUBT_TIME + 2.0)
    assert desk.told("term-doubted")
    assert not desk.told("fenced")


def test_two_agents_cannot_make_a_controller_claim_a_term_that_agents_refuse() -> None:
    desk = led({"a": limits.TERM_MAX, "b": limits.TERM_MAX})
    assert desk.core.snapshot().phase is Phase.LEADING
    assert desk.core.snapshot().term < limits.TERM_MAX
    assert alarms(desk) == {("agent-refuses-term", "a"), ("agent-refuses-term", "b")}


def test_the_term_of_an_agent_that_has_left_the_network_vouches_for_nobodys() -> None:
    desk = led({"b": FAR})
    desk.core.operator.dismiss("b")
    desk.settle(2 * limits.DISMISS_TIME + 1.0)
    desk.changed["c"] = {"term": FAR}
    desk.settle(limits.POLL_INTERVAL + 1.0)
    assert desk.core.snapshot().phase is Phase.LEADING

"""Databases that are lost, restored or behind: no path is lost, no number used again, and no agent makes demands by itself."""

from quiver.domain import limits
from quiver.domain.events import CreditGained
from quiver.domain.network import PathEntry
from quiver.domain.report import PathMark
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.leadership import Phase

from .telling import Desk

SQUARE = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d"), ("d", "z")]
DEMAND = Demand(name="v", source="a", destination="d", excluded=("c",))


def served(desk: Desk | None = None) -> Desk:
    desk = desk or Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(DEMAND)
    desk.settle()
    desk.credit["v/1/1"] = 1000
    desk.happen("a", CreditGained(path="v/1/1", credit=1000))
    desk.settle(5.0)
    return desk


def restart(desk: Desk, rows: dict) -> None:
    desk.rows = dict(rows)
    desk.begin()
    desk.connect()
    desk.settle(limits.GATHER_TIME + limits.ADOPT_TIME)


def members(desk: Desk) -> dict:
    return {name: body for name, body in desk.rows.items() if name[0] == "member"}


def demands(desk: Desk) -> dict[str, str]:
    return {live.demand.name: live.demand.origin for live in desk.core.snapshot().demands}


def holders(desk: Desk) -> set[str]:
    return {node for node, entries in desk.held.items() if entries}


def claim_more(desk: Desk, node: str) -> None:
    """An agent shows a higher term for a moment."""
    desk.changed[node] = {"term": desk.terms[node] + 5}
    desk.settle(limits.POLL_INTERVAL + limits.DOUBT_TIME + 1.0)
    desk.changed.clear()


# --- restored, and lost -------------------------------------------------------------------------------------------


def test_a_backup_of_the_same_term_costs_no_demand_that_was_made_after_it() -> None:
    desk = Desk(SQUARE)
    desk.connect()
    backup = dict(desk.rows)
    served(desk)
    restart(desk, backup)
    assert demands(desk) == {"v": "found"}
    assert holders(desk) == {"a", "b", "d"}


def test_after_a_backup_was_restored_no_number_is_used_that_somebody_else_may_have_seen() -> None:
    desk = served()
    desk.changed["z"] = {"marks": (PathMark(virtual_link="v", path=1, version=9),)}  # given out after the backup
    restart(desk, desk.rows)
    desk.core.operator.demand(Demand(name="w", source="a", destination="d"))
    desk.settle()
    (version,) = [entry.version for entry in desk.held["a"].values() if entry.virtual_link == "w"]
    assert version > limits.AHEAD


def test_what_a_found_demand_excluded_is_said_to_be_unknown() -> None:
    desk = served()
    restart(desk, members(desk))
    (told,) = desk.told("demand-found")
    assert told.about["unknown"] == "excluded hops"


def test_a_found_path_is_left_alone_until_another_of_its_nodes_could_be_read() -> None:
    desk = served()
    desk.rows = members(desk)
    desk.begin()
    desk.connect("a")
    desk.settle(limits.GATHER_TIME + limits.ADOPT_TIME + 5.0)
    assert (demands(desk), holders(desk)) == ({}, {"a", "b", "d"})
    desk.connect("b", "c", "d", "z")
    desk.settle(1.0)
    assert (demands(desk), holders(desk)) == ({"v": "found"}, {"a", "b", "d"})


def test_a_found_demand_that_was_given_up_while_its_source_was_away_stays_so() -> None:
    desk = served()
    restart(desk, members(desk))
    desk.core.lost("a")
    desk.settle(1.0)
    desk.core.operator.give_up("v")
    desk.settle(30.0)
    restart(desk, desk.rows)
    assert demands(desk) == {}
    assert holders(desk) == set()


# --- agents that invent paths -------------------------------------------------------------------------------------


def invent(desk: Desk, count: int = 50) -> None:
    entries = [
        PathEntry(virtual_link=f"evil{number}", path=1, version=1, nodes=("z", "d", "b", "a"))
        for number in range(count)
    ]
    desk.held["z"] = {entry.key: entry for entry in entries}
    desk.known.update(desk.held["z"])


def test_one_agent_invents_no_demand_whatever_database_it_meets() -> None:
    desk = Desk(SQUARE)
    invent(desk)
    desk.connect()
    desk.settle(5.0)
    assert (demands(desk), holders(desk)) == ({}, set())


def test_after_a_doubt_paths_that_come_up_bring_no_demand_though_two_agents_hold_them() -> None:
    desk = served()
    claim_more(desk, "z")
    invent(desk)
    desk.held["d"].update(desk.held["z"])
    desk.settle(2 * limits.POLL_INTERVAL)
    assert demands(desk) == {"v": "operator"}


def test_after_a_doubt_a_demand_that_was_given_up_while_its_source_was_away_stays_so() -> None:
    desk = served()
    claim_more(desk, "z")
    desk.core.lost("a")
    desk.core.operator.give_up("v")
    desk.settle(30.0)
    desk.connect("a")
    desk.settle(5.0)
    assert (demands(desk), holders(desk)) == ({}, set())


def test_two_agents_together_bring_a_bounded_number_of_demands(monkeypatch) -> None:
    monkeypatch.setattr(limits, "FOUND_PER_NODE", 3)
    desk = Desk(SQUARE)
    invent(desk)
    desk.held["d"] = dict(desk.held["z"])
    desk.connect()
    assert len(demands(desk)) == 3


# --- terms --------------------------------------------------------------------------------------------------------


def test_an_agent_that_is_the_only_one_connected_fences_nobody() -> None:
    desk = served()
    for node in "abcd":
        desk.core.lost(node)
    claim_more(desk, "z")
    assert desk.core.snapshot().phase is Phase.DOUBTING
    desk.connect("a", "b", "c", "d")
    desk.settle(limits.DOUBT_TIME + 1.0)
    assert desk.core.snapshot().phase is Phase.LEADING


def test_a_doubt_that_nobody_can_end_costs_no_time() -> None:
    desk = served()
    for node in "abcd":
        desk.core.lost(node)
    claim_more(desk, "z")
    assert desk.core.due > desk.clock.time + limits.STEP_PAUSE


def test_in_a_network_of_one_node_its_word_about_terms_counts() -> None:
    desk = Desk([("a", "b")])
    del desk.rows["member", "b"]
    desk.begin()
    desk.connect("a")
    desk.terms["a"] = 9
    desk.settle(limits.POLL_INTERVAL + 1.0)
    assert desk.core.snapshot().phase is Phase.FENCED

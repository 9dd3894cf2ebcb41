"""Version numbers are never used again: whatever agents say, and however many paths there were."""

import pytest
from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.report import PathMark
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.memory import Heard, Memory
from quiver.domain.sdn.records import Fact, Mark

from .telling import Desk

STAR = [("a", "b"), ("b", "c"), ("b", "d")]
DEMAND = Demand(name="good", source="a", destination="c")


class Database:
    """The records that a memory leaves behind, for the next one."""

    def __init__(self, *facts: Fact):
        self.rows = {(fact.kind, fact.id): fact for fact in facts}
        self.memory = Memory(self.rows.values())

    def restart(self) -> Memory:
        for change in self.memory.changes():
            if change.record is None:
                self.rows.pop((change.kind, change.id), None)
            else:
                self.rows[change.kind, change.id] = change.record
        self.memory = Memory(self.rows.values())
        return self.memory


def marks(count: int, prefix: str = "x") -> tuple[PathMark, ...]:
    return tuple(PathMark(virtual_link=f"{prefix}{number}", path=1, version=1) for number in range(count))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables."""
    monkeypatch.setattr(limits, "MARKS_KEPT", 6)
    monkeypatch.setattr(limits, "MARKS_PER_NODE", 4)


# --- what agents say ----------------------------------------------------------------------------------------------


def test_a_flood_of_marks_takes_no_own_mark_away_and_brings_its_agent_distrust(few: None) -> None:
    desk = Desk(STAR)
    desk.core.operator.demand(DEMAND)
    desk.connect()
    for turn in range(20):
        desk.changed["d"] = {"marks": marks(3, f"lie{turn}-")}
        desk.settle(limits.POLL_INTERVAL)
    desk.core.operator.demand(replace(DEMAND, depth=8192))
    desk.settle(1.0)
    assert ("mark", "good/1") in desk.rows
    (told,) = desk.told("node-distrusted")
    assert (told.about["node"], "than a node can hold" in told.about["reason"]) == ("d", True)
    routes = {entry.version: entry for edit in desk.edits() for entry in edit.put}
    assert all(routes[entry.version] == entry for edit in desk.edits() for entry in edit.put)
    assert list(routes) == sorted(routes)


def test_one_agent_fills_its_own_part_of_the_table_and_leaves_room_for_others(few: None) -> None:
    memory = Memory()
    lies = [memory.seen("d", mark, 1) for mark in marks(100)]
    assert lies == [Heard.TAKEN] * 4 + [Heard.FLOOD] * 96
    assert memory.seen("a", PathMark(virtual_link="v", path=1, version=7), 1) is Heard.TAKEN
    assert memory.next_version("v", 1, 0) == 8


def test_a_full_table_refuses_what_is_new_and_keeps_what_it_has(few: None) -> None:
    memory = Memory()
    for node in "ab":
        for mark in marks(3, node):
            memory.seen(node, mark, 1)
    assert memory.seen("c", PathMark(virtual_link="v", path=1, version=7), 1) is Heard.FULL
    assert [memory.mark(f"{node}{number}", 1) for node in "ab" for number in range(3)] == [1] * 6
    memory.forget("a")
    assert memory.seen("c", PathMark(virtual_link="v", path=1, version=7), 1) is Heard.TAKEN


def test_a_report_as_long_as_a_node_can_make_it_is_no_flood() -> None:
    memory = Memory()
    assert {memory.seen("d", mark, 1) for mark in marks(limits.MODEL_PATHS)} == {Heard.TAKEN}


def test_marks_that_this_controller_has_given_out_take_no_room_whoever_names_them(few: None) -> None:
    memory = Memory([Mark(virtual_link=f"x{number}", path=1, version=1) for number in range(100)])
    assert {memory.seen("d", mark, 1) for mark in marks(100)} == {Heard.TAKEN}
    assert memory.seen("d", PathMark(virtual_link="v", path=1, version=7), 1) is Heard.TAKEN
    memory.own("v", 1, 7)
    assert {memory.seen("d", mark, 1) for mark in marks(4, "y")} == {Heard.TAKEN}


# --- own marks ----------------------------------------------------------------------------------------------------


def test_marks_of_demands_that_stand_are_kept_however_many_others_come_and_go(few: None) -> None:
    database = Database(DEMAND)
    database.memory.own("good", 1, 4711)
    for number in range(50):
        passing = Demand(name=f"v{number}", source="a", destination="c")
        database.memory.put(passing)
        database.memory.next_version(passing.name, 1, 0)
        database.memory.delete(passing)
        memory = database.restart() if number % 10 == 0 else database.memory
    assert memory.mark("good", 1) == 4711
    assert len([name for name in database.rows if name[0] == "mark"]) <= limits.MARKS_KEPT + 1
    assert database.restart().next_version("good", 1, 0) == 4712


def test_a_path_that_was_forgotten_begins_above_all_numbers_that_were_forgotten(few: None) -> None:
    database = Database()
    database.memory.claim(3)
    for number in range(8):
        database.memory.own(f"v{number}", 1, 10 * (number + 1))
    memory = database.restart()
    assert (memory.term, memory.mark("v0", 1), memory.mark("v1", 1), memory.mark("v2", 1)) == (3, 0, 0, 30)
    assert memory.next_version("v0", 1, 0) == 21
    assert memory.next_version("v7", 1, 0) == 81


def test_a_demand_that_comes_again_takes_its_mark_out_of_those_that_may_go(few: None) -> None:
    memory = Memory()
    memory.own("good", 1, 5)
    memory.put(DEMAND)
    for number in range(20):
        memory.own(f"v{number}", 1, 1)
    assert memory.mark("good", 1) == 5

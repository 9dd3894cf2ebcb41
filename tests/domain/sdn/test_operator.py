"""What a file lists is taken over as a whole, and what a demand names has to be there."""

import pytest

from quiver.controller.alarms import conditions_of
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, LimitError
from quiver.domain.sdn.demands import Demand, Origin
from tests.domain.sdn.telling import Desk

SQUARE = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]


def of_file(name: str, source: str, destination: str) -> Demand:
    return Demand(name=name, source=source, destination=destination, origin=Origin.FILE)


def connected() -> Desk:
    desk = Desk(SQUARE)
    desk.connect()
    return desk


def demands(desk: Desk) -> list[str]:
    return [row.demand.name for row in desk.core.snapshot().demands]


def test_a_file_with_one_contradiction_changes_nothing_and_the_history_says_why():
    desk = connected()
    desk.core.operator.demand(Demand(name="x", source="a", destination="d"))
    desk.core.operator.demands_of_file([of_file("old", "a", "d")])
    with pytest.raises(ConfigurationError, match="demand x: runs from a to d already"):
        desk.core.operator.demands_of_file([of_file("x", "d", "a"), of_file("y", "a", "c")])
    desk.settle(1)
    assert demands(desk) == ["x", "old"]
    assert "demand x: runs from a to d already" in desk.told("file-refused")[0].about["reason"]


def test_a_file_with_too_many_demands_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "DEMANDS", 2)
    desk = connected()
    desk.core.operator.demand(Demand(name="x", source="a", destination="d"))
    desk.core.operator.demands_of_file([of_file("old", "a", "d")])
    with pytest.raises(LimitError):
        desk.core.operator.demands_of_file([of_file("y", "a", "c"), of_file("z", "a", "b")])
    assert demands(desk) == ["x", "old"]
    desk.core.operator.demands_of_file([of_file("y", "a", "c")])
    assert demands(desk) == ["x", "y"]


def test_nodes_that_a_demand_names_and_nobody_knows_are_found():
    desk = connected()
    wrong = Demand(name="v", source="a", destination="z", excluded=("B", "b"))
    assert desk.core.operator.unknown(wrong) == [("destination", "z"), ("excluded", "B")]
    desk.core.operator.dismiss("b")
    assert ("excluded", "b") in desk.core.operator.unknown(wrong)


def test_a_demand_of_the_file_that_names_an_unknown_node_is_an_alarm_until_the_node_comes():
    desk = connected()
    desk.core.operator.demands_of_file([of_file("v", "a", "z")])

    def texts() -> list[str]:
        alarms = conditions_of(desk.core.snapshot())
        return [alarm.text for alarm in alarms if alarm.name == "demand-unknown-node"]

    assert texts() == ["it names z: no agent of that name is in the network"]
    desk.core.operator.admit("z")
    assert texts() == []

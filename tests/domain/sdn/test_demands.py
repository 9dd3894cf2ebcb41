"""Demands: what may be asked for, who brings them, and when they end."""

import pytest

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, LimitError
from quiver.domain.events import CreditGained, NewApplication
from quiver.domain.sdn.demands import Demand, Demands, Origin, on_the_fly
from quiver.domain.sdn.memory import Memory, decode, encode

from .telling import Desk

RIGHT = {"name": "v", "source": "a", "destination": "d"}
PAIRS = {"pairs": (("one", "two"),), "homes": {"one": "a", "two": "d"}}
LINE = [("a", "b"), ("b", "d")]
ASKS = NewApplication(master="one", slave="two", destination="d")


@pytest.mark.parametrize(
    ("field", "wrong", "said"),
    [
        ("name", "", "name"),
        ("name", "a/b", "name"),
        ("name", "x" * 129, "name"),
        ("destination", "a", "two different nodes"),
        ("source", "", "two different nodes"),
        ("rate", -1, "rate"),
        ("depth", 100, "depth"),
        ("depth", limits.DEPTH_MAX + 1, "depth"),
        ("priority", limits.PRIORITIES, "priority"),
        ("paths", 0, "paths"),
        ("paths", limits.DISJOINT_PATHS + 1, "paths"),
        ("hops", 0, "hops"),
        ("excluded", ("d",), "excluded"),
    ],
)
def test_a_wrong_field_is_named(field: str, wrong: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Demand(**RIGHT | {field: wrong})


def test_a_virtual_link_keeps_its_ends() -> None:
    demands = Demands([Demand(**RIGHT)])
    with pytest.raises(ConfigurationError, match="exists from a to d"):
        demands.put(Demand(name="v", source="a", destination="c"))


def test_the_table_refuses_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DEMANDS", 1)
    demands = Demands([Demand(**RIGHT)])
    demands.put(Demand(**RIGHT, rate=5))  # a change is not one more
    with pytest.raises(LimitError):
        demands.put(Demand(name="w", source="a", destination="d"))


def test_a_demand_survives_its_way_to_the_database_and_back() -> None:
    demand = Demand(**RIGHT, rate=9, excluded=("x", "y"), origin=Origin.FILE)
    assert decode("demand", encode(demand)) == demand
    assert Memory([demand]).demands == [demand]


# --- files --------------------------------------------------------------------------------------------------------


def test_what_a_file_no_longer_lists_is_given_up_and_an_operators_demand_is_not() -> None:
    desk = Desk(LINE)
    operator = desk.core.operator
    operator.demand(Demand(name="mine", source="a", destination="b"))
    operator.demands_of_file([Demand(**RIGHT, origin=Origin.FILE)])
    operator.demands_of_file([Demand(name="w", source="a", destination="d", origin=Origin.FILE)])
    assert {live.demand.name for live in desk.core.snapshot().demands} == {"mine", "w"}


# --- on the fly ---------------------------------------------------------------------------------------------------


def asked(changed: dict[str, dict], event: NewApplication = ASKS) -> set[str]:
    desk = Desk(LINE)
    desk.changed = changed
    desk.connect()
    desk.happen("a", event)
    desk.settle(1.0)
    return {live.demand.name for live in desk.core.snapshot().demands}


def test_a_pair_that_both_ends_permit_gets_a_virtual_link_in_each_direction() -> None:
    assert asked({"a": PAIRS, "d": PAIRS}) == {"auto:a:d", "auto:d:a"}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"a": PAIRS},
        {"d": PAIRS},
        {"a": PAIRS, "d": PAIRS | {"homes": {"one": "a", "two": "b"}}},
        {"a": PAIRS | {"homes": {"one": "b", "two": "d"}}, "d": PAIRS},
    ],
)
def test_one_agents_word_brings_no_virtual_link(changed: dict[str, dict]) -> None:
    assert asked(changed) == set()


def test_an_application_whose_pair_was_permitted_a_moment_ago_is_served_after_the_next_report() -> None:
    desk = Desk(LINE)
    desk.connect()
    desk.changed = {"a": PAIRS, "d": PAIRS}
    desk.happen("a", ASKS)
    desk.settle(1.0)
    assert len(desk.core.snapshot().demands) == 2


def test_a_node_that_tells_of_many_applications_keeps_no_other_from_being_served() -> None:
    desk = Desk([*LINE, ("d", "z")])
    desk.connect()
    for number in range(40 * limits.APPLICATIONS_WAITING):
        desk.happen("z", NewApplication(master=f"s{number}", slave="t", destination="d"))
    desk.happen("a", ASKS)
    desk.changed = {"a": PAIRS, "d": PAIRS}
    desk.settle(1.0)
    assert {live.demand.name for live in desk.core.snapshot().demands} == {"auto:a:d", "auto:d:a"}


def test_a_direction_that_exists_is_not_made_again() -> None:
    desk = Desk(LINE)
    desk.changed = {"a": PAIRS, "d": PAIRS}
    desk.core.operator.demand(Demand(**RIGHT))
    desk.connect()
    desk.happen("a", ASKS)
    assert {live.demand.name for live in desk.core.snapshot().demands} == {"v", "auto:d:a"}


def test_one_node_cannot_fill_the_table_for_all() -> None:
    demands = Demands(on_the_fly("a", f"d{number}") for number in range(limits.ON_THE_FLY_PER_NODE - 1))
    assert not demands.room_for("a")
    assert demands.room_for("b")


def test_the_operator_hears_of_an_application_for_which_there_is_no_room() -> None:
    desk = Desk(LINE)
    desk.changed = {"a": PAIRS, "d": PAIRS}
    for number in range(limits.ON_THE_FLY_PER_NODE // 2):
        for ends in (("a", f"x{number}"), (f"x{number}", "a")):
            demand = on_the_fly(*ends)
            desk.rows[demand.kind, demand.id] = encode(demand)
    desk.begin()
    desk.connect()
    desk.happen("a", ASKS)
    desk.settle()
    (told,) = desk.told("application-refused")
    assert told.about["demand"] == "auto:a:d"
    assert "a has as many" in told.about["reason"]


def test_what_nobody_uses_for_long_is_given_up_and_what_is_used_in_one_direction_is_not() -> None:
    demands = Demands([on_the_fly("a", "d"), on_the_fly("d", "a"), on_the_fly("a", "b"), on_the_fly("b", "a")])
    assert demands.unused(0.0) == []
    demands.used("auto:a:d", limits.ON_THE_FLY_LIFE / 2)
    assert set(demands.unused(limits.ON_THE_FLY_LIFE)) == {"auto:a:b", "auto:b:a"}


def test_a_virtual_link_on_the_fly_stays_as_long_as_keys_are_taken_of_it_and_goes_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "ON_THE_FLY_LIFE", 120.0)
    desk = Desk(LINE)
    desk.changed = {"a": PAIRS, "d": PAIRS}
    desk.connect()
    desk.happen("a", ASKS)
    desk.settle(1.0)
    for source in ("a", "d"):
        for key in [key for key, entry in desk.held[source].items() if entry.source == source]:
            desk.credit[key] = 1000
            desk.happen(source, CreditGained(path=key, credit=1000))
    desk.settle(0.75 * limits.ON_THE_FLY_LIFE)
    desk.taken["auto:a:d/1/1"] = 64
    desk.settle(0.75 * limits.ON_THE_FLY_LIFE)
    assert len(desk.core.snapshot().demands) == 2
    desk.settle(0.5 * limits.ON_THE_FLY_LIFE)
    assert desk.core.snapshot().demands == ()


def test_only_demands_on_the_fly_are_ever_given_up_for_want_of_use() -> None:
    demands = Demands([Demand(**RIGHT)])
    demands.unused(0.0)
    assert demands.unused(10 * limits.ON_THE_FLY_LIFE) == []

"""What the live state says of credit is what is known, not what was known once; of pad, what each link has."""

from msgspec.structs import replace

from quiver.controller.alarms import conditions_of
from quiver.domain import limits
from quiver.domain.events import CreditGained, LinkDown
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.live import LinkPad
from tests.domain.sdn.telling import LEVEL, Desk, report

SQUARE = [("a", "b"), ("b", "d"), ("a", "c"), ("c", "d")]


def served() -> Desk:
    desk = Desk(SQUARE)
    desk.connect()
    desk.core.operator.demand(Demand(name="v", source="a", destination="d"))
    desk.settle()
    desk.credit["v/1/1"] = 1000
    desk.happen("a", CreditGained(path="v/1/1", credit=1000))
    desk.settle(1)
    return desk


def state(desk: Desk) -> tuple[int | None, int]:
    """Credit of the only path, and how many paths are up."""
    live = desk.core.snapshot()
    return live.paths[0].credit, live.demands[0].up


def alarms(desk: Desk) -> set[str]:
    return {alarm.name for alarm in conditions_of(desk.core.snapshot())}


def test_credit_of_a_source_that_is_read_counts():
    desk = served()
    desk.settle(60)
    assert state(desk) == (1000, 1)
    assert not alarms(desk)


def test_credit_of_a_dead_source_is_unknown_and_its_demand_unserved():
    desk = served()
    desk.core.lost("a")
    assert state(desk) == (1000, 1), "a lost session alone says nothing of the agent"
    desk.down |= {"a-b", "a-c"}
    for node in ("b", "c"):
        desk.happen(node, LinkDown(link=f"a-{node}", neighbour="a"))
    desk.settle(1)
    assert state(desk) == (None, 0)
    assert {"node-dead", "path-not-heard", "demand-unserved"} <= alarms(desk)


def test_credit_of_a_source_that_nobody_has_read_for_some_polls_is_unknown():
    desk = served()
    desk.core.lost("a")
    desk.settle(limits.POLLS_MISSED * limits.POLL_INTERVAL)
    assert state(desk) == (1000, 1)
    desk.settle(limits.POLL_INTERVAL + limits.ORDER_TIME)
    assert state(desk) == (None, 0)
    assert {"path-not-heard", "demand-unserved"} <= alarms(desk)
    desk.connect("a")
    assert state(desk) == (1000, 1)


def test_pad_is_shown_for_each_link_as_both_its_ends_tell_it():
    desk = Desk([("a", "b")])
    (told,) = report("a", desk.links["a"]).links
    desk.changed["a"] = {"links": (replace(told, own=100, theirs=7, level=200),)}
    desk.changed["b"] = {"links": (replace(told, neighbour="a", own=8, theirs=90, level=300),)}
    desk.connect()
    (link,) = desk.core.snapshot().links
    assert link.link_pads == {"a": LinkPad(own=100, theirs=7, level=200), "b": LinkPad(own=8, theirs=90, level=300)}
    assert {node: pad.level for node, pad in link.pads.items()} == {"a": LEVEL, "b": LEVEL}

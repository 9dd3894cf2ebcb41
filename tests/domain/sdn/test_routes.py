"""Demands that ask for no rate: they are spread by key like others, by what they use, and are in nobody's way who asks."""

from collections import Counter

from quiver.domain import limits
from quiver.domain.events import CreditGained, NewApplication
from quiver.domain.sdn.demands import Demand

from .telling import Desk

THREE_WAYS = [(relay, end) for end in "st" for relay in "abc"]  # s and t, and a relay on each of three equal ways


def desk_of(edges: list[tuple[str, str]] = THREE_WAYS) -> Desk:
    desk = Desk(edges)
    desk.connect()
    return desk


def order(desk: Desk, name: str, **facts: object) -> tuple[str, ...]:
    """Enter a demand from s to t; the route that its path takes."""
    desk.core.operator.demand(Demand(name=name, source="s", destination="t", **facts))
    desk.settle()
    desk.credit[f"{name}/1/1"] = 1000
    desk.happen("s", CreditGained(path=f"{name}/1/1", credit=1000))
    desk.settle()
    return next(path.nodes for path in desk.core.snapshot().paths if path.virtual_link == name)


def relays(desk: Desk) -> Counter[str]:
    return Counter(path.nodes[1] for path in desk.core.snapshot().paths)


def test_thirty_demands_without_a_rate_are_spread_over_three_equal_ways() -> None:
    desk = desk_of()
    for number in range(30):
        order(desk, f"v{number}")
    assert relays(desk) == {"a": 10, "b": 10, "c": 10}


def test_demands_without_a_rate_are_spread_where_every_way_is_full_already() -> None:
    desk = desk_of()
    for number in range(3 * 2 * limits.UNMEASURED_RATE // limits.NOMINAL_RATE):
        order(desk, f"v{number}")
    assert len(set(relays(desk).values())) == 1


def test_both_directions_of_a_pair_on_the_fly_take_different_ways_as_they_share_what_comes() -> None:
    desk = desk_of()
    facts = {"pairs": (("one", "two"),), "homes": {"one": "s", "two": "t"}}
    desk.changed |= {"s": facts, "t": facts}
    desk.settle(2 * limits.POLL_INTERVAL)
    desk.happen("s", NewApplication(master="one", slave="two", destination="t"))
    desk.settle()
    for source, key in (("s", "auto:s:t/1/1"), ("t", "auto:t:s/1/1")):
        desk.credit[key] = 1000
        desk.happen(source, CreditGained(path=key, credit=1000))
    desk.settle()
    assert sorted(path.virtual_link for path in desk.core.snapshot().paths) == ["auto:s:t", "auto:t:s"]
    assert len(relays(desk)) == 2


def test_a_demand_without_a_rate_counts_with_what_keys_take_of_it() -> None:
    desk = desk_of()
    busy = order(desk, "busy")
    for _ in range(10):
        desk.taken["busy/1/1"] = desk.taken.get("busy/1/1", 0) + 7 * limits.NOMINAL_RATE * 5 // 8
        desk.settle(5.0)
    assert [order(desk, f"v{number}")[1] for number in range(6)].count(busy[1]) == 0
    desk.settle(10 * limits.RATE_LIFE)  # nobody uses it any more
    assert busy[1] in [order(desk, f"w{number}")[1] for number in range(3)]


def test_a_source_that_lies_about_what_is_taken_fills_its_own_hops_and_no_more() -> None:
    desk = desk_of()
    for number in range(3):
        order(desk, f"v{number}")
    desk.taken["v0/1/1"] = limits.MARK_MAX // 2
    desk.settle(5.0)
    desk.taken["v0/1/1"] = limits.MARK_MAX
    desk.settle(5.0)
    assert order(desk, "asks", rate=limits.UNMEASURED_RATE // 2)


def test_who_asks_for_a_rate_goes_where_there_is_room_beside_all_others() -> None:
    desk = desk_of()
    spoken_for = {order(desk, f"v{number}")[1] for number in range(2)}
    assert order(desk, "asks", rate=limits.UNMEASURED_RATE)[1] not in spoken_for


def test_who_asks_for_a_rate_is_not_kept_out_by_those_who_do_not() -> None:
    desk = desk_of([("a", "s"), ("a", "t"), ("b", "s"), ("b", "t")])
    order(desk, "asked", rate=limits.UNMEASURED_RATE // 2)
    for number in range(40):
        order(desk, f"v{number}")
    taken = next(path.nodes for path in desk.core.snapshot().paths if path.virtual_link == "asked")
    assert order(desk, "asks", rate=limits.UNMEASURED_RATE)[1] != taken[1], "there is no room beside the first"

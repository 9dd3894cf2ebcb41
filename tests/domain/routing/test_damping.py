"""A change is worth its moves or is not made."""

from quiver.domain import limits
from quiver.domain.routing.damping import moved, worthwhile
from quiver.domain.routing.demand import Demand, Placement

ABOVE, BELOW = (("a", "b", "d"),), (("a", "c", "d"),)


def demand(name: str, **facts: object) -> Demand:
    return Demand(id=name, source="a", destination="d", rate=1000, **facts)


ONE, TWO = demand("one", admitted=True), demand("two")


def test_a_gain_that_moves_nothing_is_taken_however_small():
    current = {"one": Placement(ABOVE, 1000)}
    proposed = {"one": Placement(ABOVE, 1000), "two": Placement(BELOW, 1)}
    assert moved(current, proposed) == []
    assert worthwhile([ONE, TWO], current, proposed)


def test_a_gain_must_be_large_enough_against_what_it_moves():
    current = {"one": Placement(ABOVE, 1000)}
    threshold = int(limits.ALLOCATION_GAIN * 1000)
    for gain, taken in ((threshold, False), (threshold + 1, True)):
        proposed = {"one": Placement(BELOW, 1000), "two": Placement(ABOVE, gain)}
        assert moved(current, proposed) == ["one"]
        assert worthwhile([ONE, TWO], current, proposed) is taken


def test_nothing_gained_is_nothing_done():
    current = {"one": Placement(ABOVE, 1000)}
    assert not worthwhile([ONE], current, {"one": Placement(BELOW, 1000)})
    assert not worthwhile([ONE], current, current)


def test_a_higher_class_never_pays_for_a_lower_one():
    high = demand("one", priority=0)
    current = {"one": Placement(ABOVE, 1000)}
    proposed = {"one": Placement(ABOVE, 500), "two": Placement(ABOVE, 1000)}
    assert not worthwhile([high, TWO], current, proposed)
    assert worthwhile([high, TWO], {"two": Placement(ABOVE, 1000)}, {"one": Placement(ABOVE, 500)})


def test_a_demand_that_loses_its_routes_counts_as_moved():
    assert moved({"one": Placement(ABOVE, 10), "two": Placement()}, {"two": Placement(BELOW, 5)}) == ["one"]

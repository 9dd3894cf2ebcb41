"""How long a controller waits for a new version to come up: a busy network gets the time that it needs, a dead way is left."""

from itertools import pairwise

import pytest

from quiver.domain import limits
from quiver.domain.sdn.demands import Demand

from .telling import Desk


def given_up(hops: int, seconds: float) -> list[float]:
    """When versions of the only path over so many hops, that never has credit, were laid; until that time has passed."""
    nodes = [f"n{number:02}" for number in range(hops + 1)]
    desk = Desk(list(pairwise(nodes)))
    desk.connect()
    begun = desk.clock.time
    desk.core.operator.demand(Demand(name="v", source=nodes[0], destination=nodes[-1]))
    laid: dict[str, float] = {}
    while desk.clock.time < begun + seconds:
        desk.settle(0.05)
        for key in desk.known:
            laid.setdefault(key, desk.clock.time - begun)
    assert all(notice.about["cause"] == "no-credit" for notice in desk.told("version-given-up"))
    return list(laid.values())


def test_each_hop_of_a_new_version_adds_to_the_time_in_which_credit_may_come() -> None:
    for hops in (2, 24):
        first, second, *_ = given_up(hops, 12.0)
        patience = limits.CREDIT_PATIENCE + limits.CREDIT_HOP_TIME * hops
        assert second - first == pytest.approx(patience, abs=0.2)


def test_a_network_in_which_nothing_comes_up_is_given_longer_each_time_but_not_for_ever() -> None:
    laid = given_up(2, 900.0)
    pauses = [later - sooner for sooner, later in pairwise(laid)]
    assert all(later >= sooner for sooner, later in pairwise(pauses[:6]))
    assert pauses[5] > 8 * pauses[0], "else versions that are laid and removed are all that a busy network does"
    assert max(pauses) <= limits.DRY_MOST + limits.REPEAT_MOST + 1.0

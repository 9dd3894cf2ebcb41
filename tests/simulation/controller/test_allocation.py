"""The global allocation in the background: what greedy choices have spoiled is put right, a little at a time."""

import pytest
from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.optimising import Plan, Work
from tests.simulation.world import World

from . import pilot
from .paper import PaperNetwork

# n0 and n1 have a link and a detour over n2; n3 is beyond n0. A link gives 16 kbit/s.
EDGES = [(0, 1), (0, 2), (1, 2), (0, 3)]
FIRST = Demand(name="first", source="n0", destination="n1", rate=10_000)
LATER = Demand(name="later", source="n3", destination="n1", rate=10_000, hops=2)  # only over the link of the first


def spoiled() -> PaperNetwork:
    network = PaperNetwork(World(1), EDGES, [FIRST])
    network.world.run(3.0)
    network.pilot.core.operator.demand(LATER)
    network.world.run(3.0)
    assert network.routes() == {"first": ("n0", "n1"), "later": ("n3", "n0", "n1")}
    return network


def test_a_path_makes_room_for_one_that_has_no_other_way() -> None:
    network = spoiled()
    network.world.run(limits.ALLOCATION_INTERVAL + limits.MOVE_HOLD + 5.0)
    assert network.routes() == {"first": ("n0", "n2", "n1"), "later": ("n3", "n0", "n1")}
    assert network.pilot.told("allocated")
    (moved,) = network.pilot.told("rerouted")
    assert moved.about["cause"] == "allocation"


def test_demands_without_a_rate_make_room_for_each_other_too() -> None:
    demands = [replace(demand, rate=0) for demand in (FIRST, LATER)]
    network = PaperNetwork(World(1), EDGES, demands)
    network.world.run(3.0)
    assert network.routes() == {"first": ("n0", "n1"), "later": ("n3", "n0", "n1")}
    network.world.run(limits.ALLOCATION_INTERVAL + limits.MOVE_HOLD + 5.0)
    assert network.routes() == {"first": ("n0", "n2", "n1"), "later": ("n3", "n0", "n1")}
    (moved,) = network.pilot.told("rerouted")
    assert moved.about["cause"] == "allocation"


def test_a_network_that_has_too_little_for_demands_without_a_rate_does_not_move_them_to_and_fro() -> None:
    ends = [(one, other) for one in range(4) for other in range(4) if one != other]
    demands = [Demand(name=f"v{one}{other}", source=f"n{one}", destination=f"n{other}") for one, other in ends]
    network = PaperNetwork(World(1), EDGES, demands)
    network.world.run(10 * limits.ALLOCATION_INTERVAL)
    moves, routes = len(network.pilot.told("rerouted")), network.routes()
    assert len(routes) == len(demands)
    network.world.run(20 * limits.ALLOCATION_INTERVAL)
    assert (len(network.pilot.told("rerouted")), network.routes()) == (moves, routes)


def test_a_plan_that_takes_longer_than_the_interval_is_applied_and_asked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pilot, "SOLVING", 2.5 * limits.ALLOCATION_INTERVAL)
    network = spoiled()
    network.world.run(7 * limits.ALLOCATION_INTERVAL)  # two plans: the first leaves alone what has just moved
    assert network.routes() == {"first": ("n0", "n2", "n1"), "later": ("n3", "n0", "n1")}
    assert len(network.pilot.told("allocated")) == 1


def test_a_plan_that_never_comes_does_not_end_allocations(monkeypatch: pytest.MonkeyPatch) -> None:
    network = spoiled()
    solved, plans = network.pilot._solved, []

    def lose_first(life: int, plan) -> None:
        plans.append(plan)
        if len(plans) > 1:
            solved(life, plan)

    network.pilot._solved = lose_first
    network.world.run(limits.ALLOCATION_TIME + 3 * limits.ALLOCATION_INTERVAL + limits.MOVE_HOLD)
    assert network.pilot.told("allocated")


def test_an_allocation_for_a_network_that_has_changed_meanwhile_is_not_applied() -> None:
    network = spoiled()
    solved = network.pilot._solved

    def cut_first(life: int, plan) -> None:
        network.cut_link("l1-2")
        network.world.after(1.0, lambda: solved(life, plan))

    network.pilot._solved = cut_first
    network.world.run(limits.ALLOCATION_INTERVAL + limits.MOVE_HOLD + 5.0)
    assert network.routes()["first"] == ("n0", "n1")
    assert not network.pilot.told("allocated")


def test_a_network_that_serves_everything_is_left_alone() -> None:
    network = PaperNetwork(World(1), EDGES, [FIRST])
    network.world.run(10 * limits.ALLOCATION_INTERVAL)
    assert not network.pilot.told("rerouted")
    assert not network.pilot.told("allocated")


def test_a_path_whose_end_is_away_does_not_hold_up_all_allocations_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ALLOCATION_MOVES", 1)
    works = []

    def plan_for(work: Work) -> Plan:
        works.append(work.id)
        network.pilot.cut.add("n0")
        network.pilot.core.lost("n0")
        routes = {"first": (("n0", "n2", "n1"),), "later": (("n3", "n0", "n2", "n1"),)}
        return Plan(id=work.id, routes=routes, worthwhile=True, served=2, before=1)

    monkeypatch.setattr(pilot, "solve", plan_for)
    network = spoiled()
    network.world.run(6 * limits.ALLOCATION_INTERVAL)
    assert len(works) >= 3, "the source of the first path is still away"

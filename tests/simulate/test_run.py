"""What is counted as rejected and as served, what faults do, and what each policy makes of them."""

import pytest

from quiver.domain.routing.demand import Demand, Placement
from quiver.domain.routing.graph import Graph, Link
from quiver.simulate.networks import SimulatedNetwork, Span, network_named
from quiver.simulate.outcome import PolicyName
from quiver.simulate.pads import Pads
from quiver.simulate.run import run
from quiver.simulate.trace import Fault, FaultKind, Request, Trace, committed

RING = SimulatedNetwork(
    "ring", tuple(Span(*sorted(ends), 70.0, "elm") for ends in ("ab", "bc", "cd", "da")), ("a", "b", "c", "d")
)
RATE = RING.spans[0].rate
ALL = list(PolicyName)


def trace(*requests: Request, faults: tuple[Fault, ...] = (), seconds: int = 100) -> Trace:
    return Trace("ring", 1, seconds, requests, faults)


@pytest.mark.parametrize("policy", ALL)
def test_what_fits_is_served_to_the_bit_and_what_does_not_is_rejected(policy: PolicyName):
    outcome = run(
        RING, trace(Request("a", "c", RATE, 1, 0, 100), Request("c", "a", 2 * RATE + 1, 1, 50, 100)), policy, 0.0
    )
    assert (outcome.requests, outcome.rejected, outcome.rejected_by_class) == (2, 1, {1: 1})
    assert outcome.demanded == RATE * 100 + (2 * RATE + 1) * 50
    assert outcome.series.rejections == [0, 1]
    assert outcome.served >= RATE * 100


@pytest.mark.parametrize(
    ("policy", "rejected"), [(PolicyName.STATIC, 1), (PolicyName.KEY_AWARE, 0), (PolicyName.GLOBAL, 0)]
)
def test_only_a_static_route_knows_no_way_round(policy: PolicyName, rejected: int):
    requests = [Request("a", "c", RATE, 1, 0, 100), Request("a", "c", RATE, 1, 10, 100)]
    assert run(RING, trace(*requests), policy, 0.0).rejected == rejected


@pytest.mark.parametrize(("policy", "rejected"), [(PolicyName.KEY_AWARE, 1), (PolicyName.GLOBAL, 0)])
def test_the_global_allocation_moves_one_virtual_link_for_another(policy: PolicyName, rejected: int):
    """Whatever way the first one takes from a to c, one of the next two has only that way left."""
    half = RATE // 2
    requests = [
        Request("a", "c", half + 1, 1, 0, 100),
        Request("a", "b", half, 1, 10, 100),
        Request("d", "c", half, 1, 10, 100),
    ]
    blocked = [Request("b", "c", RATE, 1, 20, 100), Request("a", "d", half, 1, 30, 100)]
    assert run(RING, trace(*requests, *blocked), policy, 0.0).rejected == rejected


def test_a_rejected_request_waits_and_is_placed_when_there_is_room():
    requests = [Request("a", "b", RATE, 1, 0, 50), Request("a", "b", RATE, 1, 10, 100)]
    outcome = run(RING, trace(*requests), PolicyName.STATIC, 0.0)
    assert outcome.rejected == 1
    assert outcome.served == RATE * 100


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_fault_is_routed_around_and_a_static_route_waits_for_the_repair(kind: FaultKind):
    fault = Fault(kind, "b" if kind is FaultKind.LOST else "a~b", 20, 60)
    steered = run(RING, trace(Request("a", "c", 100, 1, 0, 100), faults=(fault,)), PolicyName.GLOBAL, 0.0)
    assert steered.served == steered.demanded
    static = run(RING, trace(Request("a", "c", 100, 1, 0, 100), faults=(fault,)), PolicyName.STATIC, 0.0)
    assert static.served == 100 * 60


def test_standing_pad_carries_a_virtual_link_through_a_dark_channel_until_it_is_used_up():
    line = SimulatedNetwork("ring", (Span("a", "b", 70.0, "elm"),), ("a", "b"))
    dark = trace(Request("a", "b", 100, 1, 0, 100), faults=(Fault(FaultKind.DARK, "a~b", 20, 80),))
    for store, seconds in ((0.0, 40), (1000.0, 50), (6000.0, 100), (10_000.0, 100)):
        for policy in ALL:
            outcome = run(line, dark, policy, store)
            assert outcome.served == 100 * seconds, (store, policy)


def test_pad_fills_up_to_its_bound_and_lower_classes_first_go_short():
    graph = Graph([Link(id="l", ends=("a", "b"), rate=10)])
    pads = Pads(1, 100.0)
    high = Demand(id="high", source="a", destination="b", rate=30, priority=0), Placement((("a", "b"),), 30)
    low = Demand(id="low", source="b", destination="a", rate=30, priority=1), Placement((("b", "a"),), 30)
    assert pads.pass_time(graph, [low, high], 2.0) == {"high": 60.0, "low": 60.0}
    assert pads.standing.tolist() == [0.0]
    assert pads.pass_time(graph, [low, high], 2.0) == {"high": 20.0, "low": 0.0}
    pads.pass_time(graph, [], 8.0)
    assert pads.standing.tolist() == [80.0]
    pads.pass_time(graph, [], 8.0)
    assert pads.standing.tolist() == [100.0]


@pytest.mark.parametrize("policy", ALL)
def test_equal_traces_give_equal_outcomes(policy: PolicyName):
    name = "backbone-145"
    one, other = (run(network_named(name), committed(name)[0], policy, 1e6) for _ in range(2))
    one.slowest = other.slowest = 0.0
    assert one == other

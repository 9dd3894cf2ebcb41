"""What is believed of agents: both ends of a link, the newest word of each, and nothing that cannot be."""

import pytest
from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.events import CreditGained, LinkDown, LinkUp, NumberedEvent, PadHigh, PadLow, QberAlarm, QberNormal
from quiver.domain.network import PathEntry
from quiver.domain.report import DeviceState, LinkState, PadReport
from quiver.domain.sdn.knowledge import Knowledge, fault_of
from quiver.domain.sdn.memory import Memory
from quiver.domain.sdn.rates import Budget, Penalty, RateMeter
from quiver.domain.sdn.topology import Topology
from quiver.domain.sdn.verdicts import Condition, Need

from .telling import LEVEL, report

AB = {"a": {"ab": "b"}, "b": {"ab": "a"}}


def known(**changed) -> tuple[Knowledge, Topology]:
    """Two agents and their link; what one of them says otherwise by its name."""
    knowledge = Knowledge()
    for node, links in AB.items():
        knowledge.view(node).connected = True
        knowledge.reported(node, report(node, links, **changed.get(node, {})), 0.0)
    topology = Topology(knowledge, Memory())
    topology.refresh(0.0)
    return knowledge, topology


def hear(knowledge: Knowledge, topology: Topology, node: str, body, now: float = 1.0) -> None:
    view = knowledge.view(node)
    view.happened("r1", NumberedEvent(sequence=view.sequence + 1, body=body))
    topology.refresh(now)


# --- reports and events -------------------------------------------------------------------------------------------


def test_an_event_that_is_newer_than_a_report_outlives_it() -> None:
    knowledge, topology = known()
    hear(knowledge, topology, "a", LinkDown(link="ab", neighbour="b"))
    knowledge.reported("a", report("a", AB["a"], sequence=0), 2.0)  # it was made before
    assert knowledge.view("a").links["ab"].state is LinkState.DOWN
    knowledge.reported("a", report("a", AB["a"], sequence=1), 3.0)
    assert knowledge.view("a").links["ab"].state is LinkState.UP


def test_a_report_that_is_older_than_another_changes_nothing() -> None:
    knowledge, _ = known(a={"sequence": 5})
    knowledge.reported("a", report("a", AB["a"], sequence=3, served=99), 1.0)
    assert knowledge.view("a").report.served == 0


def test_an_event_that_was_heard_before_is_passed_over_and_a_gap_is_seen() -> None:
    knowledge, _ = known()
    view = knowledge.view("a")
    event = NumberedEvent(sequence=1, body=LinkDown(link="ab", neighbour="b"))
    assert view.happened("r1", event)
    assert not view.happened("r1", event)
    assert not view.missed
    view.happened("r1", NumberedEvent(sequence=3, body=LinkUp(link="ab", neighbour="b")))
    assert view.missed


def test_credit_of_a_version_that_no_report_has_named_yet_is_heard() -> None:
    knowledge, topology = known()
    hear(knowledge, topology, "a", CreditGained(path="v/1/1", credit=7))
    assert knowledge.path_at("a", "v/1/1").credit == 7


ENTRY = PathEntry(virtual_link="v", path=1, version=1, nodes=("b", "c"))


@pytest.mark.parametrize(
    "changed",
    [
        {"node": "b"},
        {"term": -1},
        {"term": limits.MARK_MAX + 1},
        {"pads": (PadReport(neighbour="b", own=-5),)},
        {"configured": (ENTRY,)},
    ],
)
def test_a_report_that_cannot_be_true_changes_nothing(changed: dict) -> None:
    knowledge, _ = known()
    wrong = replace(report("a", {}), **changed)
    assert fault_of("a", wrong)
    assert knowledge.reported("a", wrong, 1.0)
    assert knowledge.view("a").heard_at == 0.0


# --- links --------------------------------------------------------------------------------------------------------


def test_a_link_counts_only_if_both_ends_name_it() -> None:
    knowledge = Knowledge()
    knowledge.reported("a", report("a", {"ab": "b", "ac": "c"}), 0.0)
    knowledge.reported("b", report("b", {"ab": "a"}), 0.0)
    knowledge.reported("c", report("c", {"ac": "b"}), 0.0)  # it names another end
    topology = Topology(knowledge, Memory())
    topology.refresh(0.0)
    assert set(topology.links) == {"ab"}


def test_a_link_whose_name_two_pairs_use_stays_with_the_pair_that_had_it() -> None:
    knowledge, topology = known()
    for node, other in (("A", "B"), ("B", "A")):  # before a and b in any order of names
        knowledge.reported(node, report(node, {"ab": other}), 1.0)
    topology.refresh(1.0)
    assert topology.links["ab"].ends == ("a", "b")


def test_a_link_that_was_moved_is_no_fault_of_the_end_that_was_not_read_since() -> None:
    knowledge, topology = known()
    knowledge.view("c").connected = True
    knowledge.view("a").connected = False
    knowledge.reported("b", report("b", {"ab": "c"}), 1.0)
    knowledge.reported("c", report("c", {"ab": "b"}), 1.0)
    for now in (1.0, 1.0 + limits.CLAIM_PATIENCE):
        topology.refresh(now)
    assert topology.links["ab"].ends == ("b", "c")
    assert not topology.usurped("a", 1.0 + limits.CLAIM_PATIENCE)


def test_a_link_is_down_where_either_end_says_so() -> None:
    knowledge, topology = known()
    hear(knowledge, topology, "b", LinkDown(link="ab", neighbour="a"))
    assert topology.hop("a", "b").condition is Condition.BROKEN
    hear(knowledge, topology, "b", LinkUp(link="ab", neighbour="a"))
    assert topology.hop("a", "b").condition is Condition.GOOD


def test_a_node_that_tells_of_a_link_that_nobody_knew_is_read_again() -> None:
    knowledge, topology = known()
    hear(knowledge, topology, "a", LinkUp(link="ac", neighbour="c"))
    assert knowledge.view("a").missed
    knowledge.reported("a", report("a", {"ab": "b", "ac": "c"}, sequence=1), 2.0)
    assert not knowledge.view("a").missed


def test_a_second_link_between_two_nodes_carries_on_alone() -> None:
    knowledge = Knowledge()
    links = {"a": {"ab": "b", "ab2": "b"}, "b": {"ab": "a", "ab2": "a"}}
    for node in links:
        knowledge.view(node).connected = True
        knowledge.reported(node, report(node, links[node]), 0.0)
    topology = Topology(knowledge, Memory())
    hear(knowledge, topology, "a", LinkDown(link="ab", neighbour="b"))
    assert topology.hop("a", "b").condition is Condition.GOOD


def test_a_link_that_comes_and_goes_is_avoided_until_it_was_quiet_for_a_while() -> None:
    knowledge, topology = known()
    for turn in range(3):
        hear(knowledge, topology, "a", LinkDown(link="ab", neighbour="b"), turn)
        hear(knowledge, topology, "a", LinkUp(link="ab", neighbour="b"), turn + 0.5)
    verdict = topology.hop("a", "b")
    assert (verdict.condition, verdict.cause, verdict.urgent) == (Condition.POOR, "unsteady", False)
    topology.refresh(60.0)
    assert topology.hop("a", "b").condition is Condition.GOOD


def test_low_pad_counts_until_it_is_high_again() -> None:
    knowledge, topology = known()
    low, middle, high = ({"neighbour": "b", "own": LEVEL * part // 100, "level": LEVEL} for part in (20, 40, 60))
    hear(knowledge, topology, "a", PadLow(**low))
    assert topology.hop("a", "b").cause == "pad-low"
    assert topology.hop("b", "a").condition is Condition.GOOD
    hear(knowledge, topology, "a", PadHigh(**middle))
    assert topology.hop("a", "b").cause == "pad-low"
    hear(knowledge, topology, "a", PadHigh(**high))
    assert topology.hop("a", "b").condition is Condition.GOOD


def test_a_device_that_gives_no_keys_matters_when_the_pad_that_stands_is_low() -> None:
    dead = tuple(replace(link, device=DeviceState.FAULT) for link in report("a", AB["a"]).links)
    knowledge, topology = known(a={"links": dead})
    assert topology.hop("a", "b").condition is Condition.GOOD
    hear(knowledge, topology, "a", PadLow(neighbour="b", own=10, level=LEVEL))
    verdict = topology.hop("a", "b")
    assert (verdict.cause, verdict.urgent) == ("device-fault", True)


def test_an_alarm_about_errors_makes_a_link_one_to_leave_at_once() -> None:
    knowledge, topology = known()
    hear(knowledge, topology, "b", QberAlarm(link="ab", neighbour="a", qber=0.12))
    assert topology.hop("a", "b").urgent
    assert not topology.hop("a", "b").meets(Need.SOUND)
    hear(knowledge, topology, "b", QberNormal(link="ab", neighbour="a", qber=0.02))
    assert topology.hop("a", "b").condition is Condition.GOOD


def test_an_alarm_about_errors_stands_though_its_event_was_missed_and_ends_though_that_was_missed_too() -> None:
    alarmed = tuple(replace(link, qber=0.12, alarmed=True) for link in report("b", AB["b"]).links)
    knowledge, topology = known(b={"links": alarmed})
    assert topology.hop("a", "b").cause == "qber"
    knowledge.reported("b", report("b", AB["b"], sequence=2), 1.0)
    topology.refresh(1.0)
    assert topology.hop("a", "b").condition is Condition.GOOD


def test_the_lower_of_two_counts_is_a_links_rate() -> None:
    knowledge, topology = known()
    for second in range(1, 40):
        for node, rate in (("a", 1_000), ("b", 1_000_000)):  # b lies
            told = report(node, AB[node])
            links = tuple(replace(link, collected=rate * second) for link in told.links)
            pads = tuple(replace(pad, own=0) for pad in told.pads)
            knowledge.reported(node, replace(told, links=links, pads=pads), float(second))
    topology.refresh(40.0)
    assert topology.links["ab"].rate == pytest.approx(8_000)


def test_what_agents_collect_before_they_hear_each_other_says_nothing_about_their_link() -> None:
    knowledge, _ = known()
    for second in range(0, 40, 5):
        told = report("a", AB["a"])
        links = tuple(replace(link, state=LinkState.UNKNOWN) for link in told.links)
        knowledge.reported("a", replace(told, links=links, pads=(PadReport(neighbour="b", level=LEVEL),)), second)
    assert knowledge.view("a").meters["ab"].rate is None


# --- smoothing ----------------------------------------------------------------------------------------------------


def test_a_counter_that_begins_again_makes_no_rate() -> None:
    meter = RateMeter()
    for second, value in enumerate([0, 100, 200, 5, 105, 205]):  # its agent was started again after the third
        meter.count(value, float(second))
    assert meter.rate == pytest.approx(100.0)


def test_while_pads_are_full_a_counter_says_nothing_about_its_link() -> None:
    meter = RateMeter()
    for second in range(5):
        meter.count(100 * second, float(second))
    for second in range(5, 60):
        meter.count(400, float(second), held_back=True)
    assert meter.rate == pytest.approx(100.0)


def test_a_link_whose_pads_are_refilled_only_as_they_are_used_is_not_taken_for_a_slow_one() -> None:
    meter = RateMeter()
    for second in range(3):  # nobody knows what it could give
        meter.count(second, float(second), held_back=True)
    assert meter.rate is None
    for second in range(3, 6):
        meter.count(100 * second, float(second))
    for second in range(6, 60):  # it gives little, as little is used
        meter.count(600 + second, float(second), held_back=True)
    assert meter.rate == pytest.approx(100.0, rel=0.1)
    meter.count(1_659, 60.0, held_back=True)  # and here it gives a thousand at least
    assert meter.rate == pytest.approx(1_000.0)


def test_an_old_sample_weighs_little() -> None:
    meter = RateMeter()
    meter.count(0, 0.0)
    meter.count(1_000, 1.0)
    for second in range(2, 200):
        meter.count(1_000 + 10 * second, float(second))
    assert meter.rate == pytest.approx(10.0, rel=0.2)


def test_a_penalty_is_forgotten_by_halves() -> None:
    penalty = Penalty()
    for _ in range(3):
        penalty.add(0.0)
    assert penalty.value(limits.FLAP_HALF_LIFE) == pytest.approx(1.5)
    assert penalty.suppressed(limits.FLAP_HALF_LIFE)
    assert not penalty.suppressed(2 * limits.FLAP_HALF_LIFE)
    assert not penalty.suppressed(2 * limits.FLAP_HALF_LIFE)


def test_a_path_moves_a_few_times_at_once_and_then_once_in_a_pause() -> None:
    budget = Budget(0.0, limits.MOVE_BURST, limits.MOVE_PAUSE)
    for _ in range(limits.MOVE_BURST):
        assert budget.allows(0.0)
        budget.spend(0.0)
    assert not budget.allows(0.0)
    assert budget.due(0.0) == pytest.approx(limits.MOVE_PAUSE)
    assert budget.allows(limits.MOVE_PAUSE)

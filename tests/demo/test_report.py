"""What scripts and people are told of a job is what happened in it."""

import datetime
import io
import json

import pytest
from rich.console import Console

from quiver.demo.draw import draw_plan
from quiver.demo.faults import FaultResult, Move
from quiver.demo.join import JoinResult
from quiver.demo.load import Tally
from quiver.demo.pad import PadSnapshot
from quiver.demo.report import job_object
from quiver.demo.results import JobOptions, JobResult, PadFigures
from quiver.demo.summary import print_job, print_trace
from quiver.demo.trace import Step
from quiver.domain.network import PathEntry
from quiver.net.tls import PeerFacts, PeerNames

PLAN = draw_plan(1)
TOP = ("ulm", "linz", "wien", "brno")
ROUND = ("ulm", "linz", "prag", "zlin", "brno")
ROUTES = {"ulm-brno": TOP, "brno-ulm": TOP[::-1], "prag-brno": ("prag", "zlin", "brno"), "linz-graz": ("linz", "graz")}
ENTRIES = {
    demand.name: PathEntry(
        demand.name,
        1,
        1,
        ROUTES.get(demand.name) or ROUTES[f"{demand.destination}-{demand.source}"][::-1],
        demand.depth,
    )
    for demand in PLAN.demands
}
SNAPSHOT = PadSnapshot(
    allocated=1,
    ready={entry.key: 1024 for entry in ENTRIES.values()},
    hash_keys={},
    taken={},
    under_way=0,
    collected=1,
    checks=0,
    burned={},
    level={"ulm to linz": 5},
)


def fault(what: str, **changed: object) -> FaultResult:
    moves = {
        "main": Move(before=TOP, after=ROUND, noticed=0.31, credit=0.4, ready=0.4567),
        "unbuffered": Move(before=TOP[::-1], after=ROUND[::-1], noticed=0.31, credit=0.45, ready=0.5),
    }
    tallies = {
        "main": Tally(requested=50, delivered=50, latencies=[0.01, 0.03]),
        "unbuffered": Tally(requested=4, delivered=4, latencies=[0.02, 0.6]),
    }
    return FaultResult(**{"what": what, "moves": moves, "tallies": tallies, **changed})  # type: ignore[arg-type]


@pytest.fixture
def result() -> JobResult:
    return JobResult(
        options=JobOptions(keys=100, size=256, seed=1),
        plan=PLAN,
        entries=ENTRIES,
        bulk=Tally(requested=100, delivered=100, latencies=[0.01, 0.02], seconds=0.5),
        single=Tally(requested=1, delivered=1, latencies=[0.005]),
        unbuffered=Tally(requested=1, delivered=1, latencies=[0.03]),
        beside={pair.name: Tally(requested=2, delivered=2) for pair in PLAN.pairs},
        pad=PadFigures(bulk=1.0123456, single=1.5, single_unbuffered=2.5),
        tls=PeerFacts(
            names=PeerNames("node", "brno", "brno"),
            version="TLSv1.3",
            group="X25519MLKEM768",
            cipher="TLS_AES_256_GCM_SHA384",
            signature="ML-DSA-65",
            own_signature="ML-DSA-65",
            expires=datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC),
            serial=1,
            issuer="CN=ca",
        ),
        calm=SNAPSHOT,
        cut=fault("linz-wien"),
        killed=fault("prag"),
        darkened=fault("wien-brno", stored=500 * 1024),
        joined=JoinResult(
            node="bern",
            links=("bern-ulm", "bern-graz"),
            listening=2.0,
            linked=2.6,
            entered=2.5,
            requested=2.75,
            first_key=3.5,
            route=("bern", *TOP),
            tally=Tally(requested=10, delivered=10),
        ),
        last=SNAPSHOT,
        trace=None,
        seconds=12.345,
    )


def shown(result: JobResult) -> str:
    text = io.StringIO()
    print_job(result, Console(file=text, width=200, highlight=False))
    return text.getvalue()


def test_the_object_has_every_field_of_the_contract(result: JobResult):
    found = json.loads(json.dumps(job_object(result)))
    assert found["nodes"] == len(PLAN.nodes)
    assert found["qkd_links"] == len(PLAN.links)
    assert found["vendors"] == list(PLAN.vendors)
    assert found["hops"] == PLAN.main.hops
    assert found["keys"] == {"requested": 100, "delivered": 100, "mismatched": 0, "duplicated": 0}
    assert found["latency_ms"] == {
        "p50": 10.0,
        "p99": 20.0,
        "single_buffered_p50": 5.0,
        "single_unbuffered_p50": 30.0,
    }
    assert found["keys_per_second"] == 200.0
    assert found["tls"] == {"version": "TLSv1.3", "group": "X25519MLKEM768", "signature": "ML-DSA-65"}
    assert found["pad_bits_per_key_bit_per_hop"] == {"bulk": 1.0123, "single": 1.5, "single_unbuffered": 2.5}
    assert "trace" not in found


def test_every_fault_has_its_times_routes_and_failed_requests_with_and_without_a_buffer(result: JobResult):
    found = json.loads(json.dumps(job_object(result)))
    reroute, loss, dark = found["reroute"], found["node_loss"], found["reroute_quantum_only"]
    assert (reroute["cut_link"], reroute["seconds"], reroute["failed_requests"]) == ("linz-wien", 0.457, 0)
    assert (reroute["from"], reroute["to"], reroute["longest_wait_ms"]) == (list(TOP), list(ROUND), 30.0)
    assert (reroute["unbuffered"]["seconds"], reroute["unbuffered"]["longest_wait_ms"]) == (0.5, 600.0)
    assert (loss["node"], loss["seconds"], loss["unbuffered"]["failed_requests"]) == ("prag", 0.457, 0)
    assert (dark["dark_link"], dark["stored_bytes"]) == ("wien-brno", 512_000)


def test_a_node_that_joins_is_told_with_its_times_and_its_path(result: JobResult):
    found = job_object(result)["join"]
    assert (found["node"], found["links"], found["seconds"]) == ("bern", ["bern-ulm", "bern-graz"], 3.5)
    assert (found["first_request_seconds"], found["failed_requests"]) == (0.75, 0)
    assert found["route"] == ["bern", *TOP]
    assert found["keys"]["delivered"] == 10


def test_a_path_that_does_not_move_is_null_and_no_success(result: JobResult):
    assert result.flawless
    result.cut = fault("linz-wien", moves={"main": Move(before=TOP)})
    assert not result.flawless
    found = job_object(result)["reroute"]
    assert found["seconds"] is None
    assert found["to"] is None
    assert "A path that had to move did not" in shown(result)
    assert "All " not in shown(result)


def test_a_request_that_failed_in_a_fault_is_counted_and_told(result: JobResult):
    late = Tally(requested=4, delivered=4, failed_requests=1, reasons=["no key for ulm within the time to wait"])
    result.killed = fault("prag", tallies={**fault("prag").tallies, "unbuffered": late})
    found = job_object(result)
    assert found["node_loss"]["unbuffered"]["failed_requests"] == found["failed_requests"] == 1
    text = shown(result)
    assert "pair unbuffered: no key for ulm within the time to wait" in text
    assert "1 requests for keys failed, and were made again." in text


def test_a_demo_in_which_a_request_failed_is_no_success(result: JobResult):
    assert (result.flawless, job_object(result)["flawless"]) == (True, True)
    result.bulk.failed_requests = 1
    assert (result.flawless, job_object(result)["flawless"]) == (False, False)
    assert "All " not in shown(result)


def test_times_above_the_goal_are_told_and_decide_nothing(result: JobResult):
    assert "Later than it should" not in shown(result)
    found = job_object(result)
    assert (found["reroute"]["goal_seconds"], found["node_loss"]["goal_seconds"]) == (1.0, 3.0)
    assert "goal_seconds" not in found["reroute_quantum_only"]
    result.cut = fault("linz-wien", moves={"main": Move(before=TOP, after=ROUND, ready=1.25)})
    assert "linz-wien, pair main: another path after 1.25 s, the goal is 1 s" in shown(result)
    assert result.flawless


def test_a_pair_counts_all_that_it_got(result: JobResult):
    main = job_object(result)["pairs"][0]
    assert main["keys"]["delivered"] == 100 + 1 + 2 + 3 * 50
    assert main["saes"] == [PLAN.main.master, PLAN.main.slave]


def test_what_nobody_was_answered_has_no_latency(result: JobResult):
    result.bulk = Tally(requested=100)
    found = job_object(result)
    assert found["latency_ms"]["p50"] is None
    assert found["keys_per_second"] is None


def test_the_trace_is_a_list_of_steps(result: JobResult):
    result.trace = [Step(milliseconds=0.5, sender="a", receiver="b", message="ready", text="a tells b")]
    wanted = {"milliseconds": 0.5, "sender": "a", "receiver": "b", "message": "ready", "text": "a tells b"}
    assert job_object(result)["trace"] == [wanted]


def test_people_see_path_vendors_cost_latency_and_protection(result: JobResult):
    text = shown(result)
    vendor = PLAN.link_between("ulm", "linz").vendor
    for part in (
        f"ulm ─{vendor}→ linz",
        "1.012 in bulk",
        "5.0 ms",
        "30.0 ms",
        "X25519MLKEM768",
        "ML-DSA-65",
        "253 of 253",
        "linz-wien cut",
        "after 0.46 s",
        "prag killed",
        "500 KiB in stock",
        "bern joins",
    ):
        assert part in text
    assert "each once" in text
    assert "Not all" not in text


def test_people_are_told_when_a_key_is_missing_and_why(result: JobResult):
    result.bulk = Tally(requested=100, delivered=99, reasons=["no key for brno within the time to wait"])
    text = shown(result)
    assert not result.flawless
    assert "Not all keys" in text
    assert "pair main: no key for brno within the time to wait" in text


def test_a_trace_is_a_numbered_line_for_each_message():
    text = io.StringIO()
    step = Step(milliseconds=0.5, sender="a", receiver="b", message="ready", text="a tells b [16, 32) of it")
    print_trace([step], Console(file=text, width=30))
    assert "  1.      0.5 ms  a tells b [16, 32) of it\n" in text.getvalue()

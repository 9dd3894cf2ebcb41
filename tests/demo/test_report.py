"""What scripts and people are told of a job is what happened in it."""

import datetime
import io
import json

import pytest
from rich.console import Console

from quiver.demo.job import JobOptions, JobResult, PadFigures
from quiver.demo.load import Tally
from quiver.demo.pad import PadSnapshot
from quiver.demo.plan import draw_plan
from quiver.demo.report import job_object
from quiver.demo.summary import print_job, print_trace
from quiver.demo.trace import Step
from quiver.net.tls import PeerFacts, PeerNames

PLAN = draw_plan(1)


@pytest.fixture
def result() -> JobResult:
    return JobResult(
        options=JobOptions(keys=100, size=256, seed=1),
        plan=PLAN,
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
        last=PadSnapshot(
            allocated=1,
            ready={entry.key: 1024 for entry in PLAN.paths},
            hash_keys={},
            under_way=0,
            collected=1,
            checks=0,
            burned={},
            level={"ulm to linz": 5},
        ),
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
    assert found["reroute"] is None
    assert found["node_loss"] is None
    assert "trace" not in found


def test_a_pair_counts_all_that_it_got(result: JobResult):
    main = job_object(result)["pairs"][0]
    assert main["keys"]["delivered"] == 100 + 1 + 2
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
        "103 of 103",
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

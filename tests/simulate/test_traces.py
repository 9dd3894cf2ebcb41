"""Committed traces come from their seeds, and load their networks as the benchmark says."""

from pathlib import Path

import pytest

from quiver.domain.errors import ConfigurationError
from quiver.simulate.generate import LOADS, make_trace
from quiver.simulate.networks import network_named
from quiver.simulate.outcome import PolicyName
from quiver.simulate.run import run
from quiver.simulate.trace import Fault, FaultKind, Request, Trace, committed, read_trace, written

BENCH = "backbone-145+12"


@pytest.mark.parametrize("name", ["backbone-145", BENCH, "mesh-145", "mesh-1000"])
def test_every_committed_trace_is_what_its_seed_gives(name: str):
    traces = committed(name)
    assert [trace.seed for trace in traces] == list(range(1, len(traces) + 1))
    for trace in traces:
        assert trace == make_trace(network_named(name), trace.seed, LOADS[name])


def test_the_benchmark_has_at_least_ten_seeds_and_on_each_static_routes_reject_10_to_40_percent():
    traces = committed(BENCH)
    assert len(traces) >= 10
    for trace in traces:
        outcome = run(network_named(BENCH), trace, PolicyName.STATIC, 0.0)
        assert 0.1 <= outcome.rejected_share <= 0.4, f"seed {trace.seed}"
        assert trace.faults


def test_a_trace_survives_its_file(tmp_path: Path):
    trace = committed(BENCH)[0]
    assert read_trace(written(trace, tmp_path).read_bytes()) == trace


def test_other_seeds_give_other_traces():
    network = network_named("backbone-145")
    assert (
        make_trace(network, 7, LOADS["backbone-145"]).requests != make_trace(network, 8, LOADS["backbone-145"]).requests
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"network": "n", "seed": 1, "seconds": 9, "requests": [], "faults": [], "more": 1}',
        b"\xff",
        b"[" * 5000,
    ],
)
def test_what_is_no_trace_is_refused(text: bytes):
    with pytest.raises(ConfigurationError, match="trace"):
        read_trace(text)


@pytest.mark.parametrize(
    ("requests", "faults"),
    [
        ((Request("a", "b", 5, 1, 5, 11),), ()),
        ((Request("a", "b", 5, 1, 5, 5),), ()),
        ((Request("a", "b", 0, 1, 5, 6),), ()),
        ((Request("a", "a", 5, 1, 5, 6),), ()),
        ((), (Fault(FaultKind.CUT, "a~b", -1, 5),)),
    ],
)
def test_events_outside_of_the_time_and_empty_requests_are_refused(
    requests: tuple[Request, ...], faults: tuple[Fault, ...]
):
    with pytest.raises(ConfigurationError, match="trace n/1"):
        Trace("n", 1, 10, requests, faults)

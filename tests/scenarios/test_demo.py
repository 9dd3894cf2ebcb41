"""`quiver demo` as a user runs it: real processes, real sockets, and nothing left of them."""

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.processes import alive, group, leaks, temporary_directory, texts_below

pytestmark = (
    pytest.mark.alone
)  # a network with the load that it is made for: a second one beside it is too much for two cores

TAPPED = str(Path(__file__).with_name("tapped_quiver.py"))


class Run:
    """A whole run of the demo, with what it left behind and what its taps caught."""

    def __init__(self, tap: Path) -> None:
        with (
            temporary_directory() as temporary,
            group(
                [sys.executable, TAPPED, str(tap), "demo", "--json", "--keys", "100", "--seed", "2", "--trace"],
                temporary,
            ) as demo,
        ):
            self.stdout, self.stderr = demo.communicate(timeout=300)
            self.code = demo.returncode
            self.left_processes = alive(demo.pid)
        assert self.code == 0, self.stderr
        self.keys = [bytes.fromhex(line) for line in (tap / "keys").read_text().split()]
        self.logs = texts_below(tap / "logs")

    @property
    def told(self) -> dict[str, Any]:
        """The JSON object."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    return Run(tmp_path_factory.mktemp("tap"))


def test_all_keys_are_delivered_equal_and_once_over_three_hops_of_three_vendors(demo: Run):
    told = demo.told
    assert told["keys"] == {"requested": 100, "delivered": 100, "mismatched": 0, "duplicated": 0}
    assert told["hops"] >= 3
    assert len(set(told["pairs"][0]["vendors"])) >= 3
    assert told["nodes"] >= 6
    assert told["qkd_links"] >= 6
    assert len(told["vendors"]) >= 4


def test_every_other_pair_gets_its_keys_too(demo: Run):
    pairs = demo.told["pairs"]
    assert len({tuple(pair["route"]) for pair in pairs}) >= 3
    for pair in pairs:
        assert pair["keys"]["delivered"] == pair["keys"]["requested"] > 0
        assert pair["keys"]["mismatched"] == pair["keys"]["duplicated"] == 0


def test_nodes_speak_post_quantum_tls_with_each_other(demo: Run):
    assert demo.told["tls"] == {"version": "TLSv1.3", "group": "X25519MLKEM768", "signature": "ML-DSA-65"}


def test_keys_cost_little_more_pad_than_a_one_time_pad_must(demo: Run):
    spent = demo.told["pad_bits_per_key_bit_per_hop"]
    assert 1.0 <= spent["bulk"] <= 1.05
    assert 1.0 <= spent["single"] <= 2.0
    assert spent["single"] < spent["single_unbuffered"]


def test_latencies_and_rate_are_told(demo: Run):
    told = demo.told
    assert set(told["latency_ms"]) == {"p50", "p99", "single_buffered_p50", "single_unbuffered_p50"}
    assert all(value > 0 for value in told["latency_ms"].values())
    assert told["keys_per_second"] > 0


MOST = {"reroute": 3.0, "node_loss": 6.0}  # seconds on a machine that is busy, too


@pytest.mark.parametrize(("fault", "what"), [("reroute", "cut_link"), ("node_loss", "node")])
def test_no_sae_notices_a_cut_or_a_dead_relay_with_or_without_a_buffer(demo: Run, fault: str, what: str):
    told = demo.told[fault]
    assert told["goal_seconds"] == {"reroute": 1.0, "node_loss": 3.0}[fault]
    for move in (told, told["unbuffered"]):
        assert not passes(move["to"], told[what])
        assert passes(move["from"], told[what])
        assert 0 < move["credit_seconds"] < move["seconds"] <= MOST[fault]
        assert move["failed_requests"] == 0
        assert move["keys"]["delivered"] == move["keys"]["requested"] > 0
        assert move["keys"]["mismatched"] == move["keys"]["duplicated"] == 0


def test_when_a_quantum_channel_fails_alone_what_is_stored_serves_until_the_path_moves(demo: Run):
    told = demo.told["reroute_quantum_only"]
    assert passes(told["from"], told["dark_link"])
    assert not passes(told["to"], told["dark_link"])
    assert told["seconds"] > 0
    assert told["stored_bytes"] > 0
    assert told["keys"]["delivered"] == told["keys"]["requested"] > 0


def test_a_node_joins_and_its_keys_flow_to_the_other_end(demo: Run):
    told = demo.told["join"]
    assert len(told["links"]) == 2
    assert told["route"][0] == told["node"]
    assert len(told["route"]) >= 4
    assert told["failed_requests"] == 0
    assert told["keys"]["delivered"] == told["keys"]["requested"] > 0
    assert 0 < told["listening_seconds"] < told["seconds"]


def passes(route: list[str], what: str) -> bool:
    """Whether a route passes a node, or a link by the names of its ends."""
    return what in route or any({one, other} == set(what.split("-")) for one, other in pairwise(route))


def test_the_trace_names_source_key_ids_xors_and_what_went_straight_to_the_destination(demo: Run):
    steps, ends = demo.told["trace"], demo.told["pairs"][0]["route"]
    by_message = {name: [step for step in steps if step["message"] == name] for name in {s["message"] for s in steps}}
    hops = {(step["sender"], step["receiver"]) for step in by_message["announcement"]}
    route, onward = [ends[0]], dict(hops)  # on a busy machine the path may move between the trace and the end
    while route[-1] in onward:
        route.append(onward.pop(route[-1]))
    assert (route[-1], onward) == (ends[-1], {})
    assert len(route) >= 4
    assert {frozenset((step["sender"], step["receiver"])) for step in by_message["segments"]} == {*map(frozenset, hops)}
    assert all(step["source_key_ids"] for step in by_message["segments"])
    assert {step["sender"] for step in by_message["ciphertext"]} == set(route[1:-1])
    assert {step["receiver"] for step in by_message["ciphertext"]} == {route[-1]}
    assert steps[-1]["text"].endswith("stored")


def test_no_delivered_key_stands_in_a_log_on_stdout_or_on_stderr(demo: Run):
    assert len(demo.keys) > 100
    assert len(demo.logs) >= 20  # of 11 links, 8 agents and the controller
    assert any(b"message sent" in text for text in demo.logs.values())  # at DEBUG: all that an agent can say
    texts = {**demo.logs, "stdout": demo.stdout.encode(), "stderr": demo.stderr.encode()}
    assert leaks([key for key in demo.keys if len(key) >= 16], texts) == []


def test_progress_goes_to_stderr_and_nothing_is_left(demo: Run):
    assert demo.stdout.count("\n") == 1
    assert "agents run" in demo.stderr
    assert not demo.left_processes

"""`quiver demo-encrypt` as a user runs it: traffic goes on while the network breaks, and nothing is left of it."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from quiver.demo.encrypt.results import LOSS
from tests.scenarios.processes import QUIVER, alive, group, temporary_directory

pytestmark = pytest.mark.system


def told_by(*options: str, timeout: float) -> dict[str, Any]:
    """What a demonstration says at its end, which was a good one, of the things that hold for every tunnel."""
    with temporary_directory() as temporary, group([QUIVER, "demo-encrypt", *options, "--json"], temporary) as demo:
        stdout, stderr = demo.communicate(timeout=timeout)
        assert demo.returncode == 0, stderr
        assert not alive(demo.pid)
    told: dict[str, Any] = json.loads(stdout)
    assert told["hops"] >= 3
    assert told["rollovers"] >= 3
    assert told["failed_rollovers"] == 0
    assert told["reroutes"] == len(told["faults"]) == 2
    assert all(fault["from"] != fault["to"] for fault in told["faults"])
    assert told["broken_connections"] == 0
    return told


def test_traffic_under_relayed_keys_loses_nothing_while_a_link_is_cut_and_a_relay_dies():
    told = told_by("--tunnel", "link", "--rollovers", "3", timeout=300)
    assert told["tunnel"] == "link"
    assert told["packets"]["echoes"]["sent"] > 1000
    assert told["packets"]["echoes"]["lost"] == 0


def test_real_wireguard_goes_on_over_two_rollovers_while_a_link_is_cut_and_a_relay_dies():
    """What root sees without a word about the tunnel: four to five minutes, as WireGuard's handshakes are 120 s apart."""
    told = told_by("--rollovers", "3", timeout=480)  # the first one, then one under each fault
    assert told["tunnel"] == "wireguard"
    assert told["packets"]["echoes"]["sent"] > 2000
    assert told["packets"]["echoes"]["lost"] <= LOSS * told["packets"]["echoes"]["sent"]
    assert told["flawless"]


def namespaces():
    """Those of demonstrations."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines() if line.startswith("quiver-")}


def test_ctrl_c_leaves_no_namespace_no_socket_and_no_process():
    sockets = Path("/var/run/wireguard")
    before = namespaces(), set(sockets.glob("qv*"))
    with (
        temporary_directory() as temporary,
        group([QUIVER, "demo-encrypt", "--tunnel", "wireguard"], temporary) as demo,
    ):
        assert demo.stderr is not None
        for line in demo.stderr:
            if "traffic flows" in line:
                break
        assert namespaces() != before[0]
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
        assert demo.returncode == 1
        assert not alive(demo.pid)
    assert (namespaces(), set(sockets.glob("qv*"))) == before

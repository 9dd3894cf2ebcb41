"""`quiver demo --serve` with foreign and own clients: what curl gets at one node another node knows, once, for the right SAE."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quiver.net.netconf_client import NetconfClient
from quiver.net.ssh_policy import public_key, read_private_key
from quiver.protocols.yang.names import KMS
from tests.scenarios.processes import QUIVER, alive, group, leaks, temporary_directory, texts_below

pytestmark = pytest.mark.system

Json = dict[str, Any]


class Served:
    """A network that serves, as its JSON object tells."""

    def __init__(self, told: Json, process: subprocess.Popen[str], temporary: Path) -> None:
        self.told = told
        self.process = process
        self.temporary = temporary
        self.keys: list[bytes] = []
        self.master: Json = told["saes"][0]
        self.slave: Json = next(sae for sae in told["saes"] if sae["agent"] != self.master["agent"])
        ours = {self.master["id"], self.slave["id"]}
        self.stranger: Json = next(
            sae for sae in told["saes"] if sae["agent"] == self.slave["agent"] and sae["id"] not in ours
        )

    def curl(self, sae: Json, target: str, *more: str) -> tuple[int, Json]:
        """Status and JSON of a call of an SAE's own KME, with its classical certificate."""
        files = ("--cert", sae["certificate"], "--key", sae["private_key"], "--cacert", sae["ca"])
        url = f"{sae['kme_url']}/api/v1/keys/{target}"
        called = subprocess.run(
            [
                "curl",
                "--silent",
                "--show-error",
                "--max-time",
                "10",
                "--write-out",
                "\n%{http_code}",
                *files,
                *more,
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        body, _, status = called.stdout.rpartition("\n")
        answer: Json = json.loads(body)
        self.keys += [base64.b64decode(key["key"]) for key in answer.get("keys", [])]
        return int(status), answer

    def new_key(self, size: int = 256) -> Json:
        """A key that curl gets for master and slave."""
        status, answer = self.curl(self.master, f"{self.slave['id']}/enc_keys?size={size}")
        assert status == 200, answer
        (key,) = answer["keys"]
        assert len(base64.b64decode(key["key"])) * 8 == size
        return dict(key)

    def quiver_key(self, sae: Json, *arguments: str) -> Json:
        """`quiver key` with an SAE's post-quantum certificate."""
        files = ("--cert", sae["pq_certificate"], "--key", sae["pq_private_key"], "--ca", sae["ca"])
        told = subprocess.run(
            [QUIVER, "key", *arguments, "--kme", sae["kme_url"], *files, "--json"], capture_output=True, check=True
        )
        answer: Json = json.loads(told.stdout)
        self.keys += [base64.b64decode(key["key"]) for key in answer.get("keys", []) if "key" in key]
        return answer

    def network(self, *arguments: str) -> Json:
        """`quiver network`, which finds the demo by itself: no other keeps its state where this one does."""
        told = subprocess.run(
            [QUIVER, "network", *arguments, "--json"],
            capture_output=True,
            check=True,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )
        answer: Json = json.loads(told.stdout)
        return answer


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    assert shutil.which("curl"), "make system-packages installs curl"
    with temporary_directory() as temporary, group([QUIVER, "demo", "--serve", "--json"], temporary) as demo:
        assert demo.stdout is not None
        line = demo.stdout.readline()
        assert line, demo.communicate()[1]
        found = Served(json.loads(line), demo, temporary)
        yield found
        logs = {name: text for name, text in texts_below(temporary).items() if "/logs/" in name}
        assert len(logs) >= 17  # of 9 links, 7 agents and the controller
        assert len(found.keys) >= 5
        assert leaks([key for key in found.keys if len(key) >= 16], logs) == []
        os.killpg(demo.pid, signal.SIGINT)
        stdout, stderr = demo.communicate(timeout=10)
        assert demo.returncode == 0, stderr
        assert stdout == ""
        assert not alive(demo.pid)


def test_the_object_tells_where_everything_is(served: Served):
    told = served.told
    assert {"agents", "saes", "links", "controller", "state_directory"} <= told.keys()
    controller = told["controller"]
    os.kill(controller["pid"], 0)
    assert controller["url"].startswith("https://")
    assert controller["config"].startswith(told["state_directory"])
    assert controller["dashboard_url"] is None
    for agent in told["agents"]:
        os.kill(agent["pid"], 0)
        assert agent["config"].startswith(told["state_directory"])
    for link in told["links"]:
        assert len(link["ends"]) == len(link["devices"]) == 2
        assert all(device["url"].startswith("https://") for device in link["devices"])
    assert Path(told["state_directory"]).stat().st_mode & 0o077 == 0


def test_curl_gets_a_key_at_one_node_and_the_same_key_at_another_once(served: Served):
    key = served.new_key()
    target = f"{served.master['id']}/dec_keys?key_ID={key['key_ID']}"
    status, answer = served.curl(served.slave, target)
    assert status == 200
    assert [(one["key_ID"], one["key"]) for one in answer["keys"]] == [(key["key_ID"], key["key"])]
    status, answer = served.curl(served.slave, target)
    assert status == 400
    assert answer["message"] == "one or more keys specified are not found on KME"


def test_another_sae_does_not_get_the_key_and_does_not_use_it_up(served: Served):
    key = served.new_key()
    target = f"{served.master['id']}/dec_keys?key_ID={key['key_ID']}"
    assert served.curl(served.stranger, target)[0] == 401
    assert served.curl(served.slave, target)[0] == 200


def test_a_post_quantum_sae_shares_keys_with_a_classical_one_on_the_same_port(served: Served):
    got = served.quiver_key(served.master, "get", "--sae", served.slave["id"], "--stdout")
    (key,) = got["keys"]
    status, answer = served.curl(served.slave, f"{served.master['id']}/dec_keys?key_ID={key['key_ID']}")
    assert status == 200
    assert answer["keys"][0]["key"] == key["key"]


def test_a_classical_saes_key_is_retrieved_by_a_post_quantum_one(served: Served):
    key = served.new_key()
    got = served.quiver_key(served.slave, "retrieve", key["key_ID"], "--sae", served.master["id"], "--stdout")
    assert [one["key"] for one in got["keys"]] == [key["key"]]


@pytest.mark.parametrize("size", [64, 72, 4096, 65_528, 65_536])
def test_sizes_from_64_to_65536_bits_work(served: Served, size: int):
    key = served.new_key(size)
    status, answer = served.curl(served.slave, f"{served.master['id']}/dec_keys?key_ID={key['key_ID']}")
    assert status == 200
    assert answer["keys"][0]["key"] == key["key"]


@pytest.mark.parametrize("size", [56, 65_544, 100])
def test_other_sizes_are_refused(served: Served, size: int):
    status, answer = served.curl(served.master, f"{served.slave['id']}/enc_keys?size={size}")
    assert status == 400
    assert "size" in answer["message"]


def test_the_slave_may_be_master_the_other_way(served: Served):
    status, answer = served.curl(served.slave, f"{served.master['id']}/enc_keys?number=2&size=256")
    assert status == 200
    ids = [{"key_ID": key["key_ID"]} for key in answer["keys"]]
    body = ("--header", "Content-Type: application/json", "--data", json.dumps({"key_IDs": ids}))
    status, again = served.curl(served.master, f"{served.slave['id']}/dec_keys", *body)
    assert status == 200
    assert [key["key"] for key in again["keys"]] == [key["key"] for key in answer["keys"]]


def test_a_fault_can_be_ordered_for_a_link_of_the_demo(served: Served):
    link = served.told["links"][0]["id"]
    for fault in ("down", "repair"):
        ordered = subprocess.run(
            [QUIVER, "device", "fault", link, fault, "--state", served.told["state_directory"], "--json"],
            capture_output=True,
            check=True,
        )
        assert json.loads(ordered.stdout)["link"] == link


def test_an_operator_logs_in_at_every_agent_over_ssh_and_reads_its_paths(served: Served):
    async def read(agent: Json) -> set[str]:
        netconf = agent["netconf"]
        client = await NetconfClient.over_ssh(
            netconf["host"],
            netconf["port"],
            user=netconf["username"],
            key=read_private_key(Path(netconf["private_key"])),
            host_keys=[public_key(netconf["host_key"])],
        )
        async with client:
            data = await client.get_config()
            return {name.text or "" for name in data.iter(f"{{{KMS}}}virtual-link")}

    links = {agent["id"]: asyncio.run(read(agent)) for agent in served.told["agents"]}
    virtual_link = f"{served.master['agent']}-{served.slave['agent']}"
    assert virtual_link in links[served.master["agent"]] & links[served.slave["agent"]]


def test_the_network_shows_itself_through_its_controller(served: Served):
    shown = served.network("show")
    assert shown["network"]["nodes"] == shown["network"]["sessions"] == len(served.told["agents"])
    assert {link["id"] for link in served.network("links")["links"]} == {link["id"] for link in served.told["links"]}
    demands = served.network("demands")["demands"]
    assert len(demands) == shown["network"]["demands"] == shown["network"]["served"]
    assert len(served.network("paths")["paths"]) == len(demands)


def test_a_drained_node_relays_no_more_and_keys_go_on(served: Served):
    def route() -> list[str]:
        ends = served.master["agent"], served.slave["agent"]
        paths = served.network("paths")["paths"]
        return next(path["nodes"] for path in paths if (path["nodes"][0], path["nodes"][-1]) == ends)

    relay = route()[1]
    assert len(route()) >= 4
    served.network("drain", "node", relay)
    while relay in route():
        served.new_key()
    served.network("undrain", "node", relay)
    served.new_key()


def test_two_demos_run_side_by_side(served: Served):
    with temporary_directory() as temporary, group([QUIVER, "demo", "--serve", "--json"], temporary) as other:
        assert other.stdout is not None
        told = json.loads(other.stdout.readline())
        ports = {agent["sae_url"] for agent in told["agents"]}
        assert not ports & {agent["sae_url"] for agent in served.told["agents"]}
        show = [QUIVER, "network", "show", "--json", "--state", told["state_directory"]]
        assert json.loads(subprocess.run(show, capture_output=True, check=True).stdout)["network"]["served"]
        other.send_signal(signal.SIGTERM)
        other.communicate(timeout=10)
        assert other.returncode == 0
        assert not alive(other.pid)
    served.new_key()


def test_an_agent_that_is_killed_is_reported_and_can_be_started_again_by_hand(served: Served):
    agent = next(one for one in served.told["agents"] if one["id"] == served.slave["agent"])
    os.kill(agent["pid"], signal.SIGKILL)
    assert served.process.stderr is not None
    while f"agent {agent['id']} has ended" not in (line := served.process.stderr.readline()):
        assert line
    served.curl(served.master, f"{served.slave['id']}/status")  # the rest goes on
    with subprocess.Popen([QUIVER, "agent", "run", agent["config"]], stdout=subprocess.PIPE, text=True) as again:
        try:
            assert again.stdout is not None
            assert json.loads(again.stdout.readline())["sae_url"] == agent["sae_url"]
            status, answer = 503, {}
            for _ in range(20):  # each waits at the KME until the two ends have met again
                status, answer = served.curl(served.master, f"{served.slave['id']}/enc_keys?size=256")
                if status == 200:
                    break
            assert status == 200, answer
            target = f"{served.master['id']}/dec_keys?key_ID={answer['keys'][0]['key_ID']}"
            assert served.curl(served.slave, target)[0] == 200
        finally:
            again.send_signal(signal.SIGTERM)

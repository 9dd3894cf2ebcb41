"""Every agent of a running network is killed and started again under load: pad may be lost, agreement never."""

import asyncio
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from quiver.client import Credentials, KmeClient
from tests.scenarios.processes import QUIVER, alive, group, temporary_directory
from tests.scenarios.traffic import Traffic

pytestmark = pytest.mark.processes  # two networks of processes at a time are too many for two cores

PATIENCE = 240.0  # seconds until a pair has to be served again after a kill; nothing is measured by it


class Agents:
    """The demo's agents, of which each is killed once."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.configs = {agent["id"]: agent["config"] for agent in told["agents"]}
        self.pids = {agent["id"]: agent["pid"] for agent in told["agents"]}
        self.ours: list[subprocess.Popen[str]] = []

    def kill(self, node: str) -> None:
        process = os.pidfd_open(self.pids[node])
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [])
        os.close(process)

    def start(self, node: str) -> None:
        again = subprocess.Popen([QUIVER, "agent", "run", self.configs[node]], stdout=subprocess.PIPE, text=True)
        self.ours.append(again)
        assert again.stdout is not None
        assert json.loads(again.stdout.readline())["agent"] == node

    def stop(self) -> None:
        for process in self.ours:
            process.terminate()
        for process in self.ours:
            process.communicate(timeout=10)


@pytest.fixture
def told() -> Iterator[dict[str, Any]]:
    with temporary_directory() as temporary, group([QUIVER, "demo", "--serve", "--json"], temporary) as demo:
        assert demo.stdout is not None
        line = demo.stdout.readline()
        assert line, demo.communicate()[1]
        yield json.loads(line)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=10)
        assert demo.returncode == 0
        assert not alive(demo.pid)


async def _under_load(told: dict[str, Any], agents: Agents) -> list[Traffic]:
    async with AsyncExitStack() as stack:
        clients = {}
        for sae in told["saes"]:
            credentials = Credentials(Path(sae["certificate"]), Path(sae["private_key"]))
            client = KmeClient(sae["kme_url"], credentials, [Path(sae["ca"])])
            clients[sae["id"]] = await stack.enter_async_context(client)
        pairs = [(one["id"], other["id"]) for one, other in zip(told["saes"][::2], told["saes"][1::2], strict=True)]
        traffic = [
            Traffic(clients[master], clients[slave], (master, slave))
            for one, other in pairs
            for master, slave in ((one, other), (other, one))
        ]
        async with asyncio.TaskGroup() as running:
            tasks = [running.create_task(one.run()) for one in traffic]
            for node in agents.configs:
                await _all(one.served_again(2) for one in traffic)
                await asyncio.to_thread(agents.kill, node)
                await asyncio.to_thread(agents.start, node)
            await _all(one.served_again(5) for one in traffic)
            for task in tasks:
                task.cancel()
        await _all(one.settle() for one in traffic)
        return traffic


async def _all(works: Iterator[Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*works)


def test_killing_every_agent_under_load_never_breaks_an_answered_promise(told: dict[str, Any]):
    agents = Agents(told)
    try:
        traffic = asyncio.run(_under_load(told, agents))
    finally:
        agents.stop()
    keys = [key for one in traffic for key in one.keys]
    assert len(keys) > 0
    assert len({key.key_id for key in keys}) == len(keys)
    assert len({key.key.reveal() for key in keys}) == len(keys)
    assert all(one.fetched for one in traffic)

"""An agent that hangs: its process is there, its connections stand, and nothing comes over them."""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quiver.client.operator import OperatorClient
from quiver.domain import limits
from tests.chaos.mesh import Mesh, running_mesh
from tests.scenarios.processes import temporary_directory

pytestmark = pytest.mark.system

LONG, SOURCE = "ulm-wien", "ulm"
MOVED = 10.0  # seconds; links are down after two at most, and a machine that is busy may take some
UNKNOWN = limits.POLLS_MISSED * limits.POLL_INTERVAL + limits.ORDER_TIME + MOVED
BACK = 30.0  # seconds, as after chaos: pauses between repeats have grown
LOOK = 0.2

Row = dict[str, Any]


async def until(operator: OperatorClient, of: str, name: str, seconds: float, holds: Callable[[Row], bool]) -> Row:
    """A row of the controller's, as soon as it is as wanted."""
    end = time.monotonic() + seconds
    while True:
        (row,) = [row for row in await operator.all(of) if name in (row.get("virtual_link"), row.get("node"))]
        if holds(row):
            return row
        assert time.monotonic() < end, row
        await asyncio.sleep(LOOK)


async def a_relay_hangs(mesh: Mesh, operator: OperatorClient) -> None:
    relay = (await until(operator, "paths", LONG, BACK, lambda path: bool(path["credit"])))["nodes"][1]
    mesh.stop(relay)
    path = await until(operator, "paths", LONG, MOVED, lambda path: bool(path["credit"]) and relay not in path["nodes"])
    await until(
        operator, "nodes", relay, UNKNOWN, lambda node: node["age"] > limits.POLLS_MISSED * limits.POLL_INTERVAL
    )
    mesh.resume(relay)
    await until(
        operator, "nodes", relay, BACK, lambda node: node["age"] < limits.POLL_INTERVAL and node["stage"] == "ready"
    )
    await mesh.fault("-".join(path["nodes"][:2]))
    await until(operator, "paths", LONG, BACK, lambda path: bool(path["credit"]) and relay in path["nodes"])
    await mesh.heal()


async def a_source_hangs(mesh: Mesh, operator: OperatorClient) -> None:
    await until(operator, "paths", LONG, BACK, lambda path: bool(path["credit"]))
    mesh.stop(SOURCE)
    await until(operator, "paths", LONG, UNKNOWN, lambda path: path["credit"] is None)
    mesh.resume(SOURCE)
    await until(operator, "paths", LONG, BACK, lambda path: bool(path["credit"]))


async def hang(root: Path) -> list[str]:
    async with running_mesh(root, lambda line: None) as mesh, mesh.operator() as operator:
        await a_relay_hangs(mesh, operator)
        await a_source_hangs(mesh, operator)
        return mesh.surprises


def test_an_agent_that_hangs_is_gone_round_or_its_paths_are_unknown_and_it_is_taken_up_again() -> None:
    with temporary_directory() as temporary:
        root = temporary / "mesh"
        root.mkdir(mode=0o700)
        try:
            assert asyncio.run(hang(root)) == []
        finally:
            shutil.rmtree(root)

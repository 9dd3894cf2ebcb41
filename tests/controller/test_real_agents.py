"""A controller and three real agents: its paths carry keys, it may be killed at any time, and nobody else passes for an agent."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quiver.client.operator import OperatorClient
from quiver.domain.errors import RemoteError
from tests.controller.real_network import HOST, RealNetwork, real_network

pytestmark = pytest.mark.processes

PATIENCE = 240.0  # seconds until a test that waits for good is ended; nothing is measured by it
PAUSE = 0.1  # seconds between two looks


async def until(look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """What is seen once something holds; the controller may not be there yet."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                seen = await look()
                if holds(seen):
                    return seen
            except RemoteError:
                pass
            await asyncio.sleep(PAUSE)


def served(demands: list[Any]) -> bool:
    return len(demands) == 2 and all(row["up"] == 1 for row in demands)


async def keys_flow(network: RealNetwork) -> None:
    """What one SAE gets, the other fetches."""
    async with network.sae_client("sae-1") as master, network.sae_client("sae-3") as slave:
        given = await until(lambda: master.get_keys("sae-3", 3, 256), lambda keys: len(keys) == 3)
        assert await slave.get_keys_by_id("sae-1", [key.key_id for key in given]) == given


async def versions(client: OperatorClient) -> dict[str, int]:
    return {row["virtual_link"]: row["version"] for row in await client.all("paths")}


def test_paths_of_the_controller_carry_keys_and_outlive_its_sudden_death(tmp_path: Path) -> None:
    async def main(network: RealNetwork) -> None:
        async with network.north_client() as client:
            await until(lambda: client.all("demands"), served)
            await keys_flow(network)
            before, term = await versions(client), (await client.get("network"))["term"]
            network.end("controller", network.KILL)
            await keys_flow(network)
            network.start_controller()
        async with network.north_client() as client:
            await until(lambda: client.all("demands"), served)
            after = await client.get("network")
            assert after["phase"] == "leading"
            assert after["term"] > term
            assert await versions(client) == before
            names = [entry["name"] for entry in (await client.get("history"))["items"]]
            assert "rerouted" not in names
            # A version number is never used again: a demand that is given up and made again begins above the old ones.
            body = {"source": "a", "destination": "b"}
            await client.put(("demands", "v"), body)
            first = (await until(lambda: versions(client), lambda seen: seen.get("v", 0) > 0))["v"]
            await client.delete("demands", "v")
            network.end("controller", network.KILL)
            network.start_controller()
        async with network.north_client() as client:
            await until(lambda: client.all("demands"), served)
            await client.put(("demands", "v"), body)
            assert (await until(lambda: versions(client), lambda seen: seen.get("v", 0) > 0))["v"] > first
            await keys_flow(network)

    with real_network(tmp_path) as network:
        asyncio.run(main(network))


def test_an_agent_behind_another_one_s_address_is_refused_and_one_that_returns_is_taken_up(tmp_path: Path) -> None:
    async def main(network: RealNetwork) -> None:
        async with network.north_client() as client:
            await until(lambda: client.all("demands"), served)
            await client.post("agents", {"id": "mallory", "tls": f"{HOST}:{network.ports['b']['tls']}"})
            seen = await until(lambda: client.get("agents", "mallory"), lambda agent: agent["trouble"] != "")
            assert not seen["session"]
            assert "mallory" in seen["trouble"]
            network.end("b", network.KILL)
            await until(lambda: client.get("agents", "b"), lambda agent: not agent["session"])
            network.start_agent("b")
            await until(lambda: client.get("agents", "b"), lambda agent: agent["session"])
            await until(lambda: client.all("demands"), served)
            await keys_flow(network)

    with real_network(tmp_path) as network:
        asyncio.run(main(network))

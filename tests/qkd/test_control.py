"""A link as a process: it says where it listens, takes faults, and leaves nothing behind."""

import asyncio
import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quiver.domain.errors import ConfigurationError, RemoteError
from quiver.qkd.client import DeviceClient
from quiver.qkd.config import LinkConfig, parse_link
from quiver.qkd.control import find_socket, order_fault, run_link
from quiver.qkd.device import DeviceError
from quiver.qkd.simulator import Fault
from tests.qkd.pki import Authority
from tests.qkd.test_config import LINK


def config_in(directory: Path) -> tuple[LinkConfig, Authority]:
    authority = Authority(directory)
    for name in ("kme-a", "kme-b"):
        authority.issue(name)
    return parse_link(LINK, directory), authority


def while_running(config: LinkConfig, scenario: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    async def main() -> None:
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(run_link(config, ready.set_result, stop=stop))
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if ready.done():
                await scenario(ready.result())
        finally:
            stop.set()
            await running

    asyncio.run(main())


def test_a_running_link_reports_its_ports_and_takes_faults(tmp_path: Path) -> None:
    config, authority = config_in(tmp_path)
    state = Path(config.state)

    def on_disk() -> tuple[Any, int]:
        return json.loads((state / "a-b.json").read_text()), stat.S_IMODE(state.stat().st_mode)

    async def scenario(ready: dict[str, Any]) -> None:
        assert await asyncio.to_thread(on_disk) == (ready, 0o700)
        assert (ready["link"], ready["vendor"]) == ("a-b", "cedar")
        path = await asyncio.to_thread(find_socket, "a-b", tmp_path)
        tls = authority.client("node-a")
        async with DeviceClient(ready["ends"][0]["url"], "node-b", tls=tls) as client:
            assert (await client.status()).status.stored_key_count == 2000
            answer = await asyncio.to_thread(order_fault, path, Fault.ONE_SIDE, "KME-a")
            assert answer["fault"] == "one-side"
            with pytest.raises(DeviceError):
                await client.status()
            answer = await asyncio.to_thread(order_fault, path, Fault.EAVESDROPPER)
            assert answer["key_rate_bits_per_second"] == 0
            assert answer["qber"] > 1.5
            assert (await asyncio.to_thread(order_fault, path, None))["fault"] == "eavesdropper"
            assert (await asyncio.to_thread(order_fault, path, Fault.DOWN))["qber"] is None
            assert (await asyncio.to_thread(order_fault, path, Fault.REPAIR))["key_rate_bits_per_second"] > 0
            await client.status()
            with pytest.raises(RemoteError, match="allowed are KME-a"):
                await asyncio.to_thread(order_fault, path, Fault.ONE_SIDE, "KME-c")

    while_running(config, scenario)
    assert list(state.iterdir()) == []


def test_the_same_link_does_not_run_twice_and_the_first_is_not_harmed(tmp_path: Path) -> None:
    config, _ = config_in(tmp_path)

    async def scenario(ready: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="runs already"):
            await run_link(config, lambda _: None, stop=asyncio.Event())
        assert (await asyncio.to_thread(order_fault, Path(ready["control"]), None))["fault"] == "repair"
        assert sorted(await asyncio.to_thread(os.listdir, config.state)) == ["a-b.json", "a-b.sock"]

    while_running(config, scenario)


def test_a_socket_left_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    config, _ = config_in(tmp_path)
    state = Path(config.state)
    state.mkdir(mode=0o700)
    (state / "a-b.sock").touch()

    async def scenario(ready: dict[str, Any]) -> None:
        assert (await asyncio.to_thread(order_fault, Path(ready["control"]), None))["fault"] == "repair"

    while_running(config, scenario)


def test_a_state_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    config, _ = config_in(tmp_path)
    Path(config.state).mkdir()
    Path(config.state).chmod(0o755)
    with pytest.raises(ConfigurationError, match="chmod 700"):
        while_running(config, lambda _: asyncio.sleep(0))


def test_nonsense_on_the_socket_is_answered_and_harms_nothing(tmp_path: Path) -> None:
    config, _ = config_in(tmp_path)

    async def scenario(ready: dict[str, Any]) -> None:
        for line in (b"{\n", b'{"fault":"fire"}\n', b'{"x":1}\n', b"[" * 4000 + b"\n"):
            reader, writer = await asyncio.open_unix_connection(ready["control"])
            writer.write(line)
            assert json.loads(await reader.readline())["ok"] is False
            writer.close()
            await writer.wait_closed()
        assert (await asyncio.to_thread(order_fault, Path(ready["control"]), None))["fault"] == "repair"

    while_running(config, scenario)


@pytest.mark.parametrize("link", ["a-b", "../a", ""])
def test_a_link_that_does_not_run_is_not_found(link: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LINK"):
        find_socket(link, tmp_path)

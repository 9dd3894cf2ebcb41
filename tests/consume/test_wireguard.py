"""One peer of WireGuard, behind a tool that plays `wg`: it never goes without a pre-shared key, and keeps what it has."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quiver.consume.config_tables import WireguardTable
from quiver.consume.wireguard import Wireguard
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from quiver.net.config_file import path_hook
from tests.consume.ground import run
from tests.consume.wg_ground import PEER, Tool

ENDPOINT = "198.51.100.7:51820"
NETWORKS = ["10.2.0.0/24"]


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path)


def tunnel_of(tool: Tool, **more: Any) -> Wireguard:
    rows = {
        "interface": "wg0",
        "peer": PEER,
        "endpoint": ENDPOINT,
        "allowed_ips": NETWORKS,
        "program": str(tool.program),
    }
    table = msgspec.convert({**rows, **more}, WireguardTable, dec_hook=path_hook(tool.program.parent))
    return Wireguard(table, wall_clock=lambda: 1000.0)


def material(number: int) -> bytes:
    return bytes([number]) * 32


def text(number: int) -> str:
    return base64.b64encode(material(number)).decode()


async def switched(tunnel: Wireguard, number: int) -> None:
    await tunnel.stage(DeliveredKey(f"k{number}", Secret(material(number))))
    await tunnel.switch(f"k{number}")


def test_a_peer_that_was_made_anew_gets_the_last_key_again(tool: Tool) -> None:
    async def scene() -> None:
        tunnel = tunnel_of(tool)
        await tunnel.open()
        await switched(tunnel, 1)
        tool["peer"] = {"allowed-ips": "10.2.0.0/24", "endpoints": ENDPOINT}  # by wg-quick, without a pre-shared key
        assert await tunnel.intact()
        assert tool.held == text(1)
        assert tool["log"].count(["remove"]) == 1, "a session that began without the key is over"
        tool["peer"] = None  # by wg, without the peer
        assert await tunnel.intact()
        assert tool["peer"] == {
            "preshared-keys": text(1),
            "allowed-ips": NETWORKS[0],
            "endpoints": ENDPOINT,
            "persistent-keepalive": "10",
        }
        tool["peer"] = {**tool["peer"], "preshared-keys": text(9)}  # by somebody else
        assert await tunnel.intact()
        assert tool.held == text(1)
        assert tunnel.figures()["psk_restored_total"] == 3

    run(scene())


@pytest.mark.parametrize("blocked", [False, True])
def test_without_a_key_a_peer_that_was_made_anew_gets_one_that_nobody_has(tool: Tool, blocked: bool) -> None:
    async def scene() -> None:
        tunnel = tunnel_of(tool)
        await tunnel.open()
        if blocked:
            await switched(tunnel, 1)
            await tunnel.block()
        barred = tool.held
        tool["peer"] = {"allowed-ips": "10.2.0.0/24", "endpoints": ENDPOINT}
        assert not await tunnel.intact()
        assert tool.held not in {None, barred, text(1)}
        held = tool.held
        assert not await tunnel.intact()
        assert tool.held == held, "once is enough"

    run(scene())


def test_a_name_that_does_not_resolve_keeps_no_key_away(tool: Tool) -> None:
    async def scene() -> None:
        tool["resolves"] = False
        tunnel = tunnel_of(tool, endpoint="gateway-2.example:51820")
        await tunnel.open()
        await switched(tunnel, 1)
        assert tool.held == text(1)
        assert "endpoints" not in tool["peer"]
        tool["resolves"] = True
        assert await tunnel.intact()
        assert tool["peer"]["endpoints"] == "gateway-2.example:51820", "once it resolves"

    run(scene())


def test_a_peer_that_has_moved_stays_where_it_is_and_keeps_its_networks(tool: Tool) -> None:
    async def scene() -> None:
        tunnel = tunnel_of(tool)
        await tunnel.open()
        await switched(tunnel, 1)
        tool["peer"] = {**tool["peer"], "endpoints": "203.0.113.9:4711"}
        before = len(tool["log"])
        await switched(tunnel, 2)
        assert tool["peer"]["endpoints"] == "203.0.113.9:4711"
        assert tool["log"][before:] == [["preshared-key", "/dev/stdin", "persistent-keepalive", "10"]]

    run(scene())


def test_a_session_without_a_key_ends_at_the_start_where_the_peer_can_be_made_anew(tool: Tool) -> None:
    async def scene() -> None:
        tool["peer"] = {"allowed-ips": "10.2.0.0/24", "endpoints": "203.0.113.9:4711", "latest-handshakes": "900"}
        await tunnel_of(tool, endpoint=None).open()
        assert tool["log"][0] == ["remove"]
        assert tool["peer"]["endpoints"] == "203.0.113.9:4711", "it is still known where it is"
        assert tool.held is not None
        await tunnel_of(tool).open()
        assert tool["log"].count(["remove"]) == 1, "one with a key goes on: a consumer that starts again breaks nothing"

    run(scene())


def test_a_peer_that_cannot_be_made_anew_is_not_taken_away_at_the_start(tool: Tool) -> None:
    async def scene() -> None:
        tool["peer"] = {"allowed-ips": "10.2.0.0/24"}
        await tunnel_of(tool, allowed_ips=[], endpoint=None).open()
        assert ["remove"] not in tool["log"]
        assert tool.held is not None

    run(scene())


def test_a_handshake_before_the_switch_proves_nothing_where_the_clock_was_set_back(tool: Tool) -> None:
    async def scene() -> None:
        tunnel = tunnel_of(tool)  # whose clock says 1000
        await tunnel.open()
        tool["peer"] = {**tool["peer"], "latest-handshakes": "4600"}
        await switched(tunnel, 1)
        assert not await tunnel.proven("k1")
        tool["peer"] = {**tool["peer"], "latest-handshakes": "1001"}
        assert await tunnel.proven("k1")

    run(scene())

"""Two sites in network namespaces of their own, with userspace WireGuard between them (root, and Debian's packages).

    namespace here                 namespace there
    10.210.0.1 ── tunnel ── 10.210.0.2
    192.0.2.1 ──── wire ──── 192.0.2.2

The consumers run outside, where their nodes are: they reach the tunnels over the control sockets of wireguard-go.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from quiver.demo.encrypt.commands import Running, run, started
from quiver.demo.encrypt.site import Site
from quiver.demo.encrypt.traffic import ForeignTraffic
from quiver.domain.errors import UnavailableError

__all__ = ["NEEDED", "WireguardSites", "missing", "wireguard_sites"]

NEEDED: Final = ("wireguard-go", "wg", "ip", "iperf3", "ping")
"""Programs; Debian's packages wireguard-go, wireguard-tools, iproute2, iperf3 and iputils-ping have them."""

_PORT: Final = 51820
_TUNNEL: Final = "10.210.0"
_WIRE: Final = "192.0.2"  # for documentation (RFC 5737): nobody's, and in namespaces only
_SOCKETS: Final = Path("/var/run/wireguard")
_PATIENCE: Final = 10.0  # seconds for wireguard-go to listen
_INTERVAL: Final = 120.0  # seconds; WireGuard's own


def missing() -> str | None:
    """Why this cannot be done here, in words; None where it can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if not Path("/dev/net/tun").exists():
        return "/dev/net/tun is missing"
    absent = [program for program in NEEDED if shutil.which(program) is None]
    return f"{', '.join(absent)}: not installed" if absent else None


class WireguardSites:
    """Both ends, as `quiver.demo.encrypt.site.Sites` says."""

    kind: Final = "wireguard"
    interval: Final = _INTERVAL
    words: Final = "userspace WireGuard between two network namespaces"

    def __init__(
        self, saes: tuple[str, str], interfaces: tuple[str, str], namespaces: tuple[str, str], state: Path
    ) -> None:
        self._saes: Final = saes
        self.state: Final = state
        self._running: Final[dict[int, Running]] = {}
        self.interfaces: Final = interfaces
        self.namespaces: Final = namespaces
        self.peers: Final = ["", ""]  # public key of each end
        here, there = (("ip", "netns", "exec", name) for name in namespaces)
        self.traffic: Final = ForeignTraffic(here, there, f"{_TUNNEL}.2")

    @property
    def ends(self) -> tuple[Site, Site]:
        """What each consumer has to know."""
        return self._end(0), self._end(1)

    def _end(self, number: int) -> Site:
        other = 1 - number
        table = {
            "interface": self.interfaces[number],
            "peer": self.peers[other],
            "endpoint": f"{_WIRE}.{other + 1}:{_PORT}",
            "allowed_ips": [f"{_TUNNEL}.{other + 1}/32"],
        }
        return Site(sae=self._saes[number], role=("initiator", "responder")[number], tables={"wireguard": table})

    async def make(self, stack: AsyncExitStack) -> None:
        """Make namespaces, wire and tunnels; they are gone when the stack is left.

        Raises:
            UnavailableError: something cannot be made.
        """
        for name in self.namespaces:
            await run("ip", "netns", "add", name)
            stack.push_async_callback(run, "ip", "netns", "delete", name)
        here, there = self.namespaces
        await run("ip", "-n", here, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", there)
        for number, name in enumerate(self.namespaces):
            await run("ip", "-n", name, "address", "add", f"{_WIRE}.{number + 1}/24", "dev", "wire")
            await run("ip", "-n", name, "link", "set", "wire", "up")
            await run("ip", "-n", name, "link", "set", "lo", "up")
            private = await run("wg", "genkey")
            self._key(number).touch(mode=0o600)
            self._key(number).write_bytes(private)
            self.peers[number] = (await run("wg", "pubkey", stdin=private)).decode().strip()
            stack.push_async_callback(self.down, number)
            await self.up(number)

    def _key(self, number: int) -> Path:
        return self.state / f"{self.interfaces[number]}.key"

    async def up(self, number: int) -> None:
        """Make one end's interface, with its private key and its address; peers are the consumer's to add.

        Raises:
            UnavailableError: it cannot be made.
        """
        name, interface = self.namespaces[number], self.interfaces[number]
        self._running[number] = await started(
            ("ip", "netns", "exec", name, "wireguard-go", "-f", interface), lambda _: None, lambda: None
        )
        await _until_there(_SOCKETS / f"{interface}.sock")
        await run("wg", "set", interface, "private-key", str(self._key(number)), "listen-port", str(_PORT))
        await run("ip", "-n", name, "address", "add", f"{_TUNNEL}.{number + 1}/24", "dev", interface)
        await run("ip", "-n", name, "link", "set", interface, "mtu", "1420", "up")

    async def down(self, number: int) -> None:
        """End one end's interface."""
        if (running := self._running.pop(number, None)) is not None:
            await running.end()


async def _until_there(socket: Path) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            while not socket.exists():  # noqa: ASYNC110, ASYNC240  # nothing tells us
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise UnavailableError(f"wireguard-go: no {socket.name} within {_PATIENCE:.0f} s") from None


@asynccontextmanager
async def wireguard_sites(saes: tuple[str, str], state: Path) -> AsyncIterator[WireguardSites]:
    """Both sites, ready for their consumers.

    Args:
        saes: SAE IDs of initiator and responder.
        state: a directory for private keys.

    Raises:
        UnavailableError: it cannot be done here.
    """
    if (reason := missing()) is not None:
        raise UnavailableError(f"WireGuard cannot be shown here: {reason}")
    mark = os.getpid()
    sites = WireguardSites(saes, (f"qva{mark}", f"qvb{mark}"), (f"quiver-a-{mark}", f"quiver-b-{mark}"), state)
    async with AsyncExitStack() as stack:
        await sites.make(stack)
        yield sites

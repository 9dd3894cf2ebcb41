"""Two sites on the loopback with the link encryptor for demonstrations between them: where WireGuard cannot be shown."""

import asyncio
from asyncio import DatagramProtocol, DatagramTransport
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from types import TracebackType
from typing import Final, Self, cast

from quiver.demo.encrypt.site import Site
from quiver.demo.encrypt.traffic import Counts
from quiver.net.ports import HOST, free_ports

__all__ = ["LinkSites", "link_sites"]

_INTERVAL: Final = 8.0  # seconds from one key to the next
_SIZE: Final = 1000  # bytes of a datagram
_RATE: Final = 250  # datagrams a second
_LATE: Final = 1.0  # seconds after which a datagram without an echo counts as lost


class _Echo(DatagramProtocol):
    """The second site's program: sends back what comes."""

    transport: DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("DatagramTransport", transport)  # uvloop's are of no class of asyncio's

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


class _Sender(DatagramProtocol):
    """The first site's program: hears the echoes of what it numbers."""

    transport: DatagramTransport

    def __init__(self) -> None:
        self.heard = 0
        self.octets = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("DatagramTransport", transport)  # uvloop's are of no class of asyncio's

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        self.heard += 1
        self.octets += len(data)


class EchoTraffic:
    """Numbered datagrams from the first site to the second and back, through the tunnel.

    Args:
        entry: port of the first end for its users.
        target: port of the second site's program.
    """

    def __init__(self, entry: int, target: int) -> None:
        self._entry: Final = entry
        self._target: Final = target
        self.counts = Counts()
        self._transports: Final[list[asyncio.BaseTransport]] = []
        self._sending: asyncio.Task[None] | None = None
        self._sender: _Sender

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        echo, _ = await loop.create_datagram_endpoint(_Echo, local_addr=(HOST, self._target))
        here, self._sender = await loop.create_datagram_endpoint(_Sender, remote_addr=(HOST, self._entry))
        self._transports.extend((echo, here))
        self._sending = asyncio.create_task(self._send(self._sender))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._sending is not None
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        deadline = perf_counter() + _LATE
        while self._sender.heard < self.counts.echoes and perf_counter() < deadline:  # noqa: ASYNC110  # what comes tells nobody
            await asyncio.sleep(1 / _RATE)
        self.counts.unanswered = max(self.counts.unanswered, self.counts.echoes - self._sender.heard)
        for transport in self._transports:
            transport.close()

    async def _send(self, sender: _Sender) -> None:
        """At a steady rate; what was sent a second ago and has no echo is lost."""
        began, second, sent = perf_counter(), 1.0, [0]
        while True:
            passed = perf_counter() - began
            while sent[-1] < passed * _RATE:
                sent[-1] += 1
                sender.transport.sendto(sent[-1].to_bytes(8, "big") + bytes(_SIZE - 8))
            self.counts.echoes = sent[-1]
            if passed >= second:
                self.counts.megabits.append(sender.octets * 8 / 1e6)
                sender.octets = 0
                sent.append(sent[-1])
                settled = sent[-1 - int(_LATE) - 1] if len(sent) > int(_LATE) + 1 else 0
                self.counts.unanswered = max(self.counts.unanswered, settled - sender.heard)
                second += 1.0
            await asyncio.sleep(1 / _RATE)


class LinkSites:
    """Both ends, as `quiver.demo.encrypt.site.Sites` says.

    Args:
        saes: SAE IDs of initiator and responder.
        ports: four free ones: where each end's frames come to, the first end's entry, the second site's program.
    """

    kind: Final = "link"
    interval: Final = _INTERVAL
    words: Final = "the link encryptor for demonstrations, on the loopback"

    def __init__(self, saes: tuple[str, str], ports: list[int]) -> None:
        self._saes: Final = saes
        self._ports: Final = ports
        self.traffic: Final = EchoTraffic(ports[2], ports[3])

    @property
    def ends(self) -> tuple[Site, Site]:
        """What each consumer has to know."""
        one, other, entry, target = (f"{HOST}:{port}" for port in self._ports)
        here = {"carrier": "udp", "listen": one, "far": other, "entry": entry}
        there = {"carrier": "udp", "listen": other, "far": one, "entry": f"{HOST}:0", "target": target}
        return (
            Site(sae=self._saes[0], role="initiator", tables={"link": here}),
            Site(sae=self._saes[1], role="responder", tables={"link": there}),
        )


@asynccontextmanager
async def link_sites(saes: tuple[str, str]) -> AsyncIterator[LinkSites]:
    """Both sites, ready for their consumers."""
    yield LinkSites(saes, free_ports(4))

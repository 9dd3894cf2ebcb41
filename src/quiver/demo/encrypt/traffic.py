"""Traffic through a tunnel, counted: what was sent, what was lost, how fast it went."""

import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

import msgspec

from quiver.demo.encrypt.commands import Running, started

__all__ = ["Counts", "ForeignTraffic", "Traffic"]

_PING: Final = re.compile(rb"icmp_seq=(\d+)")
_OVERDUE: Final = b"no answer yet"  # how ping -O names a packet that has no answer when the next one is sent
_SEQUENCE: Final = 1 << 16  # numbers of ICMP echoes, which begin again after them
_PING_EVERY: Final = 0.05  # seconds; 20 packets a second notice an outage of a tenth
_INTERVAL: Final = re.compile(rb"\]\s+[\d.]+-[\d.]+\s+sec\s+[\d.]+ \w?Bytes\s+([\d.]+) (\w?)bits/sec(.*)")
_LOST: Final = re.compile(rb"(\d+)/(\d+) \(")
_SCALE: Final = {b"": 1, b"K": 1e3, b"M": 1e6, b"G": 1e9}
_STREAM_RATE: Final = "10M"  # bits per second of the TCP stream; two cores carry network, tunnel and all
_DATAGRAM_RATE: Final = "2M"  # bits per second of datagrams of 1,000 bytes: 250 a second
_FOREVER: Final = "86400"  # seconds
_START: Final = 20.0  # seconds for a server to listen, and for a first packet to come through


class Counts(msgspec.Struct, kw_only=True):
    """What traffic has seen so far.

    Attributes:
        echoes: packets sent that want an answer; `unanswered` of them have none, though the next one was sent.
        datagrams: packets sent that want none; `lost` of them did not arrive.
        megabits: of the stream, each second's, in Mbit/s.
        broken: connections that ended by themselves.
    """

    echoes: int = 0
    unanswered: int = 0
    datagrams: int = 0
    lost: int = 0
    megabits: list[float] = []
    broken: int = 0

    @property
    def throughput(self) -> float:
        """Of the stream, Mbit/s in the mean."""
        return sum(self.megabits) / len(self.megabits) if self.megabits else 0.0


class Traffic(Protocol):
    """Runs between two sites until it is left."""

    counts: Counts

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ForeignTraffic:
    """ping and iperf3 between two network namespaces: echoes, a TCP stream and datagrams.

    Args:
        here: words before a command of the first site, such as `ip netns exec NAME`.
        there: likewise of the second.
        address: of the second site, inside the tunnel.
    """

    def __init__(self, here: Sequence[str], there: Sequence[str], address: str) -> None:
        self._here, self._there, self._address = tuple(here), tuple(there), address
        self.counts = Counts()
        self._running: Final[list[Running]] = []
        self._ending = False

    async def __aenter__(self) -> Self:
        for port in ("5201", "5202"):
            server = await self._start(
                (*self._there, "iperf3", "-s", "-B", self._address, "-p", port, "-i", "1", "--forceflush"),
                self._stream if port == "5201" else self._datagrams,
            )
            await server.said(b"listening", _START)
        iperf = (*self._here, "iperf3", "-c", self._address, "-t", _FOREVER)
        await self._start((*iperf, "-p", "5201", "-b", _STREAM_RATE), None)
        await self._start((*iperf, "-p", "5202", "-u", "-b", _DATAGRAM_RATE, "-l", "1000"), None)
        await self._start((*self._here, "ping", "-O", "-i", str(_PING_EVERY), self._address), self._echo)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending = True
        for one in reversed(self._running):  # clients first: the servers then tell the last second
            await one.end()

    async def _start(self, words: Sequence[str], line: Callable[[bytes], None] | None) -> Running:
        one = await started(words, line or (lambda _: None), self._ended)
        self._running.append(one)
        return one

    def _ended(self) -> None:
        if not self._ending:
            self.counts.broken += 1

    def _echo(self, line: bytes) -> None:
        """An answer, or that there is none yet: a tunnel that stands still is seen while it does."""
        if (found := _PING.search(line)) is not None:
            half, sent = _SEQUENCE // 2, self.counts.echoes
            number = sent + (int(found[1]) - sent + half) % _SEQUENCE - half
            self.counts.echoes = max(sent, number)
            self._answered += _OVERDUE not in line
            self.counts.unanswered = self.counts.echoes - self._answered

    _answered = 0

    def _stream(self, line: bytes) -> None:
        if (found := _each_second(line)) is not None:
            self.counts.megabits.append(float(found[1]) * _SCALE[found[2]] / 1e6)

    def _datagrams(self, line: bytes) -> None:
        if (found := _each_second(line)) is not None and (share := _LOST.search(found[3])) is not None:
            self.counts.lost += int(share[1])
            self.counts.datagrams += int(share[2])


def _each_second(line: bytes) -> re.Match[bytes] | None:
    """A second's line of iperf3; not the sum at the end, which would count all of them again."""
    return None if b"receiver" in line or b"sender" in line else _INTERVAL.search(line)

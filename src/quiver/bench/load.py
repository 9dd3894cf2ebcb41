"""A lean HTTP/1.1 client for measuring: it costs less than what it measures, and both figure and ceiling go through it.

It sends bytes made beforehand over connections that stay open, one request at a time on each, and believes an answer only with
its status.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import msgspec

from quiver.domain.errors import RemoteError, RequestError
from quiver.net.tls import TlsContext
from quiver.protocols.etsi014 import decode_error

__all__ = ["Caller", "Load", "closed_loop", "connected", "one_by_one", "post"]

_PATIENCE: Final = 30.0  # seconds for a connection, or for an answer


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._end = 0  # of the answer in what was received; 0 until its header is here
        self._body = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        self._received += data
        if not self._end and (found := self._received.find(b"\r\n\r\n")) >= 0:
            self._body = found + 4
            self._end = self._body + _content_length(self._received[:found])
        if self._end and len(self._received) >= self._end and self._answer is not None and not self._answer.done():
            self._answer.set_result(bytes(self._received[: self._end]))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has gone."""
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(RemoteError("the connection broke off"))

    async def call(self, request: bytes) -> bytes:
        """The body of a 200.

        Raises:
            RemoteError: something else came, or nothing.
        """
        if self._transport is None:
            raise RemoteError("the connection broke off")
        self._received.clear()
        self._end = 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer = await self._answer
        status = int(answer[9:12])
        if status != 200:
            raise RemoteError(f"HTTP status {status}{_said(answer[self._body :])}", status=status)
        return answer[self._body :]

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


def _content_length(header: bytes | bytearray) -> int:
    for line in header.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def _said(body: bytes) -> str:
    try:
        return f": {decode_error(body).message}"
    except RequestError:
        return ""


def post(path: str, body: bytes = b"", *, verb: str = "POST") -> bytes:
    """A request as it goes over the wire."""
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if verb == "POST" else ""
    return f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n".encode() + body


async def _connect(url: str, tls: TlsContext | None) -> Caller:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    try:
        async with asyncio.timeout(_PATIENCE):
            _, caller = await asyncio.get_running_loop().create_connection(
                Caller, host, port, ssl=tls, server_hostname=host if tls else None
            )
    except OSError as error:
        raise RemoteError(f"{url}: {error.strerror or type(error).__name__}") from None
    return caller


@asynccontextmanager
async def connected(url: str, tls: TlsContext | None, count: int = 1) -> AsyncIterator[list[Caller]]:
    """Open connections to one server, closed at the end.

    Args:
        url: `https://host:port`, or `http` with `tls` None.
        tls: our context for it.
        count: how many.

    Raises:
        RemoteError: it is not reached.
    """
    callers: list[Caller] = []
    try:
        for _ in range(count):
            callers.append(await _connect(url, tls))  # noqa: PERF401  # those that there are have to be closed
        yield callers
    finally:
        for caller in callers:
            caller.close()


class Load(msgspec.Struct):
    """What a closed loop has done: answers with status 200, and the seconds of wall time from first request to last answer."""

    answers: int
    seconds: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


async def closed_loop(callers: Sequence[Caller], requests: Iterator[bytes], seconds: float) -> Load:
    """Each connection sends the next request as soon as its last one is answered, until time or requests are over.

    Raises:
        RemoteError: a request was not answered with 200, or there was none to send.
    """
    clock, answers = time.perf_counter, 0
    begun = clock()

    async def worker(caller: Caller) -> None:
        nonlocal answers
        for request in requests:
            await caller.call(request)
            answers += 1
            if clock() - begun >= seconds:
                return

    workers = [asyncio.ensure_future(worker(caller)) for caller in callers]
    try:
        async with asyncio.timeout(seconds + _PATIENCE):
            await asyncio.gather(*workers)
    except TimeoutError:
        raise RemoteError("no answer in time") from None
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    if not answers:
        raise RemoteError("there was nothing to ask for: no pad was ready")
    return Load(answers, clock() - begun)


async def one_by_one(caller: Caller, request: Callable[[], bytes], seconds: float) -> float:
    """The median time of an answer in milliseconds, one request after the other.

    Raises:
        RemoteError: a request was not answered with 200.
    """
    clock, times = time.perf_counter, list[float]()
    begun = clock()
    while not times or clock() - begun < seconds:
        sent = clock()
        await caller.call(request())
        times.append(clock() - sent)
    return 1000 * sorted(times)[len(times) // 2]

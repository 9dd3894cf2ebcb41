"""Answers without an end: parts leave as they come, and a client, a listener or a connection's age ends them."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from quiver.net.http_exchange import HttpRequest, HttpStream
from tests.net.test_http_server import Visitor, listening, scene
from tests.net.wire import LoopFactory


class Source:
    """Parts that the test hands out one by one."""

    def __init__(self) -> None:
        self.parts: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def _run(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield await self.parts.get()
        finally:
            self.closed.set()

    async def handle(self, request: HttpRequest) -> HttpStream:
        assert request.headers["last-event-id"] == "7"
        return HttpStream(self._run(), "text/event-stream")


async def visit(server: object) -> Visitor:
    visitor = await Visitor.of(server)  # type: ignore[arg-type]
    await visitor.send("GET / HTTP/1.1", "Host: x", "Last-Event-ID: 7")
    return visitor


def test_parts_leave_as_they_come(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        source = Source()
        async with listening(source.handle) as server:
            visitor = await visit(server)
            head = (await visitor.reader.readuntil(b"\r\n\r\n")).lower()
            assert b"200" in head.split(b"\r\n")[0]
            assert b"content-type: text/event-stream" in head
            assert b"cache-control: no-store" in head
            for part in (b"one", b"another"):
                source.parts.put_nowait(part)
                assert part in await visitor.reader.readuntil(part)
            await visitor.close()
            await source.closed.wait()

    scene(loop_factory, main)


def test_a_listener_that_stops_does_not_wait_for_them(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        source = Source()
        async with listening(source.handle) as server:
            visitor = await visit(server)
            await visitor.reader.readuntil(b"\r\n\r\n")
            await server.stop(grace=60.0)
            await source.closed.wait()
            assert (await visitor.reader.read()).endswith(b"0\r\n\r\n")
            await visitor.close()

    scene(loop_factory, main)


def test_they_end_with_their_connection_s_time(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        source = Source()
        async with listening(source.handle, age=0.2) as server:
            visitor = await visit(server)
            assert (await visitor.reader.read()).endswith(b"0\r\n\r\n")
            await source.closed.wait()
            await visitor.close()

    scene(loop_factory, main)


def test_one_that_fails_ends_its_connection_and_nothing_else(loop_factory: LoopFactory) -> None:
    async def fail(request: HttpRequest) -> HttpStream:
        async def parts() -> AsyncGenerator[bytes, None]:
            yield request.path.encode()
            raise RuntimeError

        return HttpStream(parts(), "text/plain")

    async def main() -> None:
        async with listening(fail) as server:
            for _ in range(2):
                visitor = await visit(server)
                assert b"/" in await visitor.reader.readuntil(b"\r\n1\r\n/")
                with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                    await visitor.reader.readuntil(b"0\r\n\r\n")
                await visitor.close()

    scene(loop_factory, main)

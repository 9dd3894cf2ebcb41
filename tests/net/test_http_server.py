"""The listener on real sockets: its bounds, its manners at the end, and what it says of itself."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from quiver.domain import limits
from quiver.domain.errors import (
    ConfigurationError,
    ExhaustedError,
    KeyNotFoundError,
    QuiverError,
    RemoteError,
    UnauthorizedError,
)
from quiver.net import tls
from quiver.net.http_exchange import HttpAnswer, HttpRequest
from quiver.net.http_server import Handler, HttpServer
from tests.net.conftest import Network
from tests.net.test_tls_refusals import peer_server
from tests.net.wire import LoopFactory, run


async def echo(request: HttpRequest) -> HttpAnswer:
    return HttpAnswer(body=request.body or b"nothing", content_type="text/plain")


@contextlib.asynccontextmanager
async def listening(handler: Handler = echo, **options: Any) -> AsyncIterator[HttpServer]:
    server = HttpServer(handler, **{"plane": "test", "host": "127.0.0.1", "tls": None, "body_limit": 100, **options})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class Visitor:
    """A connection on which the test writes HTTP by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, server: HttpServer, context: ssl.SSLContext | None = None) -> "Visitor":
        host, port = server.address
        return cls(*await asyncio.open_connection(host, port, ssl=context))

    async def send(self, *lines: str, body: bytes = b"") -> None:
        self.writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", "0")))

    async def get(self, path: str = "/") -> tuple[int, dict[str, str], bytes]:
        await self.send(f"GET {path} HTTP/1.1", "Host: x")
        return await self.answer()

    async def ended(self) -> bool:
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True
        finally:
            await self.close()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def scene(loop_factory: LoopFactory, main: Callable[[], Awaitable[None]]) -> None:
    run(loop_factory, main())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_tells_the_real_port_and_answers_on_it(host: str, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening(host=host) as server:
            assert server.url == f"http://{'[::1]' if ':' in host else host}:{server.address[1]}"
            visitor = await Visitor.of(server)
            for _ in range(2):
                assert (await visitor.get())[2] == b"nothing"
            await visitor.close()

    scene(loop_factory, main)


def test_an_address_that_cannot_be_listened_on_is_a_configuration_error() -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="IPv4 or IPv6"):
            HttpServer(echo, plane="test", host="localhost", tls=None, body_limit=1)
        async with listening() as server:
            second = HttpServer(echo, plane="test", host="127.0.0.1", port=server.address[1], tls=None, body_limit=1)
            with pytest.raises(ConfigurationError, match=r"test plane: 127\.0\.0\.1 port .*in use"):
                await second.start()

    asyncio.run(main())


def test_the_handler_knows_whom_the_certificate_names(network: Network, loop_factory: LoopFactory) -> None:
    async def who(request: HttpRequest) -> HttpAnswer:
        assert request.facts is not None
        return HttpAnswer(body=(request.facts.names.node or "").encode())

    async def main() -> None:
        async with listening(who, tls=peer_server(network)) as server:
            client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
            visitor = await Visitor.of(server, client.expecting(tls.quiver_uri("node", "a")))
            assert (await visitor.get())[2] == b"b"
            await visitor.close()

    scene(loop_factory, main)


def test_a_body_beyond_the_limit_is_413_whether_announced_or_not(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening() as server:
            visitor = await Visitor.of(server)
            await visitor.send("POST / HTTP/1.1", "Host: x", "Content-Length: 100", body=b"x" * 100)
            assert (await visitor.answer())[2] == b"x" * 100
            await visitor.send("POST / HTTP/1.1", "Host: x", "Content-Length: 101")  # and nothing of it
            status, headers, body = await visitor.answer()
            assert (status, headers["connection"]) == (413, "close")
            assert b"at most 100 bytes, not 101" in body
            await visitor.close()
            visitor = await Visitor.of(server)
            await visitor.send("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked", body=b"65\r\n" + b"x" * 101)
            assert (await visitor.answer())[0] == 413
            await visitor.close()

    scene(loop_factory, main)


def test_a_client_that_asks_first_is_told_before_it_sends_its_body(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening() as server:
            visitor = await Visitor.of(server)
            await visitor.send("POST / HTTP/1.1", "Host: x", "Content-Length: 3", "Expect: 100-continue")
            assert (await visitor.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            visitor.writer.write(b"abc")
            assert (await visitor.answer())[2] == b"abc"
            await visitor.send("POST / HTTP/1.1", "Host: x", "Content-Length: 999", "Expect: 100-continue")
            assert (await visitor.answer())[0] == 413
            await visitor.close()

    scene(loop_factory, main)


def test_compressed_bodies_and_what_is_not_http_are_refused(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening() as server:
            visitor = await Visitor.of(server)
            await visitor.send(
                "POST / HTTP/1.1", "Host: x", "Content-Encoding: gzip", "Content-Length: 2", body=b"\1\2"
            )
            assert (await visitor.answer())[0] == 400
            with capture_logs() as logs:
                await visitor.send("G\0T /secret?key=abc HTTP/1.1")
                status, headers, body = await visitor.answer()
            assert (status, headers["server"]) == (400, "quiver")
            assert body == b'{"message":"the request is not HTTP/1.1"}'
            assert "abc" not in str(logs)
            assert await visitor.ended()

    scene(loop_factory, main)


def test_the_target_may_be_a_whole_url(loop_factory: LoopFactory) -> None:
    async def where(request: HttpRequest) -> HttpAnswer:
        return HttpAnswer(body=request.path.encode())

    async def main() -> None:
        async with listening(where) as server:
            visitor = await Visitor.of(server)
            assert (await visitor.get(f"{server.url}/a%2Fb?c=d"))[2] == b"/a%2Fb"
            assert (await visitor.get("/a%2Fb?c=d"))[2] == b"/a%2Fb"
            await visitor.close()

    scene(loop_factory, main)


def test_a_body_that_breaks_its_own_framing_is_refused(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening() as server:
            visitor = await Visitor.of(server)
            await visitor.send("POST / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked")
            visitor.writer.write(b"zz\r\n\r\n")
            assert (await visitor.answer())[0] == 400
            assert await visitor.ended()

    scene(loop_factory, main)


def test_no_answer_names_a_version_or_may_be_kept(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening() as server:
            visitor = await Visitor.of(server)
            _, headers, _ = await visitor.get("/?a=b")
            assert (headers["server"], headers["cache-control"]) == ("quiver", "no-store")
            await visitor.close()

    scene(loop_factory, main)


@pytest.mark.parametrize(
    ("error", "status", "words", "again"),
    [
        (KeyNotFoundError(), 400, b"one or more keys specified are not found on KME", None),
        (UnauthorizedError("not you"), 401, b"not you", None),
        (ExhaustedError("no pad"), 503, b"no pad", "1"),
        (RemoteError("device said it", status=400), 503, b"the server failed; nothing was promised", "1"),
        (ConfigurationError("in /etc/file"), 503, b"the server failed; nothing was promised", "1"),
        (ValueError("key 00ff"), 503, b"the server failed; nothing was promised", "1"),
        (TimeoutError("key 00ff"), 503, b"the server failed; nothing was promised", "1"),
    ],
)
def test_errors_become_answers_and_only_those_about_the_request_are_told(
    error: Exception, status: int, words: bytes, again: str | None
) -> None:
    async def fail(request: HttpRequest) -> HttpAnswer:
        del request
        raise error

    async def main() -> None:
        with capture_logs() as logs:
            async with listening(fail) as server:
                visitor = await Visitor.of(server)
                got, headers, body = await visitor.get()
                await visitor.close()
        assert (got, headers.get("retry-after")) == (status, again)
        assert body == b'{"message":"' + words + b'"}'
        assert "00ff" not in str(logs)
        if not isinstance(error, QuiverError):
            place = next(log["exception"] for log in logs if log["event"] == "request failed")
            assert place.startswith(f"{type(error).__name__} at test_http_server.py:")

    asyncio.run(main())


def test_a_client_that_goes_away_cancels_its_request(network: Network, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def wait(request: HttpRequest) -> HttpAnswer:
            del request
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
        for context in (None, client.expecting(tls.quiver_uri("node", "a"))):
            begun.clear()
            ended.clear()
            async with listening(wait, tls=peer_server(network) if context else None) as server:
                visitor = await Visitor.of(server, context)
                await visitor.send("GET / HTTP/1.1", "Host: x")
                await begun.wait()
                await visitor.close()
                await ended.wait()

    scene(loop_factory, main)


def test_a_full_listener_closes_new_connections_and_keeps_the_old(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async with listening(connections=2) as server:
            first, second = [await Visitor.of(server) for _ in range(2)]
            assert (await first.get())[0] == (await second.get())[0] == 200
            third = await Visitor.of(server)
            assert await third.ended()
            assert (await first.get())[0] == 200
            await second.send("GET / HTTP/1.1", "Host: x", "Connection: close")
            await second.answer()
            assert await second.ended()
            fourth = await Visitor.of(server)
            assert (await fourth.get())[0] == 200
            await first.close()
            await fourth.close()

    scene(loop_factory, main)


def test_strangers_who_never_finish_the_handshake_are_bounded_and_leave_no_trace(
    network: Network, loop_factory: LoopFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HANDSHAKES", 2)
    client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)

    async def main() -> None:
        async with listening(tls=peer_server(network)) as server:
            silent = [await Visitor.of(server) for _ in range(2)]
            guest = asyncio.create_task(Visitor.of(server, client.expecting(tls.quiver_uri("node", "a"))))
            await silent[0].close()  # makes room for the guest
            visitor = await guest
            assert (await visitor.get())[0] == 200
            assert server.connections == 2
            await silent[1].close()
            await visitor.close()
        assert server.connections == 0

    scene(loop_factory, main)


class Clock:
    """The time of an asyncio loop, which the test moves on."""

    def __init__(self) -> None:
        self.late = 0.0

    def loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        real = loop.time
        loop.time = lambda: real() + self.late  # type: ignore[method-assign]
        return loop


def test_no_connection_outlives_its_hour() -> None:
    clock = Clock()

    async def main() -> None:
        released, begun = asyncio.Event(), asyncio.Event()

        async def wait(request: HttpRequest) -> HttpAnswer:
            if request.path == "/slow":
                begun.set()
                await released.wait()
            return HttpAnswer(body=b"done")

        async with listening(wait) as server:
            busy = await Visitor.of(server)
            _, headers, _ = await busy.get()
            assert "connection" not in headers
            await busy.send("GET /slow HTTP/1.1", "Host: x")
            await begun.wait()
            idle = await Visitor.of(server)
            await idle.get()
            clock.late += limits.CONNECTION_AGE
            assert await idle.ended()
            released.set()
            status, headers, body = await busy.answer()
            assert (status, headers["connection"], body) == (200, "close", b"done")
            assert await busy.ended()

    with asyncio.Runner(loop_factory=clock.loop) as runner:
        runner.run(main())


def test_an_idle_connection_is_closed_long_before() -> None:
    clock = Clock()

    async def main() -> None:
        async with listening() as server:
            mute, idle = [await Visitor.of(server) for _ in range(2)]
            await idle.get()
            clock.late += limits.CONNECTION_IDLE
            assert await idle.ended()
            assert await mute.ended()

    with asyncio.Runner(loop_factory=clock.loop) as runner:
        runner.run(main())


def test_a_body_that_never_comes_is_408() -> None:
    clock = Clock()

    async def main() -> None:
        async with listening() as server:
            visitor = await Visitor.of(server)
            await visitor.send("POST / HTTP/1.1", "Host: x", "Content-Length: 3", "Expect: 100-continue")
            await visitor.reader.readuntil(b"\r\n\r\n")  # the server waits for the body now
            clock.late += limits.BODY_TIME
            status, headers, _ = await visitor.answer()
            assert (status, headers["connection"]) == (408, "close")
            await visitor.close()

    with asyncio.Runner(loop_factory=clock.loop) as runner:
        runner.run(main())


def test_stopping_lets_requests_finish_and_takes_no_new_ones(network: Network, loop_factory: LoopFactory) -> None:
    async def main() -> None:
        begun, released = asyncio.Event(), asyncio.Event()

        async def wait(request: HttpRequest) -> HttpAnswer:
            del request
            begun.set()
            await released.wait()
            return HttpAnswer(body=b"done")

        client = tls.peer_client(network.get("node", "b"), network.lab.nodes_trust)
        context = client.expecting(tls.quiver_uri("node", "a"))
        server = HttpServer(wait, plane="test", host="127.0.0.1", tls=peer_server(network), body_limit=1)
        await server.start()
        address = server.address
        idle, busy = [await Visitor.of(server, context) for _ in range(2)]
        await busy.send("GET / HTTP/1.1", "Host: x")
        await begun.wait()
        stopping = asyncio.create_task(server.stop())
        assert await idle.ended()
        with pytest.raises(OSError, match=r"refused|onnect"):
            await asyncio.open_connection(*address)
        released.set()
        status, headers, body = await busy.answer()
        assert (status, headers["connection"], body) == (200, "close", b"done")
        assert await busy.ended()
        await stopping
        assert server.connections == 0
        await server.stop()  # once more does no harm

    scene(loop_factory, main)


def test_what_does_not_finish_in_time_is_cancelled_at_the_end(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def wait(request: HttpRequest) -> HttpAnswer:
            del request
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

        server = HttpServer(wait, plane="test", host="127.0.0.1", tls=None, body_limit=1)
        await server.start()
        visitor = await Visitor.of(server)
        await visitor.send("GET / HTTP/1.1", "Host: x")
        await begun.wait()
        await server.stop(grace=0.05)
        assert ended.is_set()
        assert await visitor.ended()

    scene(loop_factory, main)

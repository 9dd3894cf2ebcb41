"""The listener of a plane: HTTP/1.1 over aiohttp's protocol, with bounds on everything that a stranger can take up.

It accepts connections itself, so that they are counted from the first packet on: at most `limits.HANDSHAKES` that have not
shown a certificate (more wait in the kernel's queue), and at most `connections` in all (more are closed at once). A connection
lives at most `limits.CONNECTION_AGE` (rule 6 of the design): near its end each answer says `Connection: close`, and at its end
an idle one is closed.
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import web

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.net.http_connection import LINGER, HttpConnection
from quiver.net.http_exchange import (
    ErrorForm,
    HttpAnswer,
    HttpRequest,
    HttpStream,
    answer_for,
    headers_of,
    read_body,
    refusal,
    response_of,
    unexpected,
)
from quiver.net.log import place_of
from quiver.net.tls import TlsContext, peer_facts

__all__ = ["Handler", "HttpServer"]

Handler = Callable[[HttpRequest], Awaitable[HttpAnswer | HttpStream]]

_log = structlog.get_logger("quiver.net.http")

_BACKLOG: Final = 512  # connections that the kernel holds until they are accepted
_PAUSE: Final = 0.5  # seconds without accepting when the process or the kernel is out of something


class HttpServer:
    """A listener on one address.

    Args:
        handler: gives the answer to each request. It is cancelled when its client goes away. What it raises from the tree of
            errors becomes the answer; anything else is answered with 503 and a fixed text.
        plane: its name in the log.
        host: an IPv4 or IPv6 address.
        port: 0 for any free one.
        tls: the plane's context; None for plain HTTP.
        body_limit: bytes; a longer body is answered with 413.
        connections: how many may be open at a time.
        age: seconds that a connection may live.
        form: how errors are written.

    Raises:
        ConfigurationError: the host is not an address.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        plane: str,
        host: str,
        port: int = 0,
        tls: TlsContext | None,
        body_limit: int,
        connections: int = limits.CONNECTIONS,
        age: float = limits.CONNECTION_AGE,
        form: ErrorForm = refusal,
    ) -> None:
        try:
            self._family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        except ValueError:
            raise ConfigurationError(f"{plane} plane: {host!r} is not allowed; an IPv4 or IPv6 address is") from None
        self.plane: Final = plane
        self.age: Final = age
        self.form: Final = form
        self.stopping = False
        self._handler: Final = handler
        self._host: Final = host
        self._port: Final = port
        self._tls: Final = tls
        self._body_limit: Final = body_limit
        self._most: Final = connections
        self._socket: socket.socket | None = None
        self._server: web.Server | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: set[asyncio.Task[None]] = set()
        self._open: set[HttpConnection] = set()
        self._running: set[asyncio.Task[Any]] = set()  # handlers at work
        self._streams: Final[set[asyncio.Timeout]] = set()  # answers without an end
        self._changed: asyncio.Event = asyncio.Event()

    @property
    def address(self) -> tuple[str, int]:
        """The host, and the port that it really listens on.

        Raises:
            RuntimeError: it does not listen.
        """
        if self._socket is None:
            raise RuntimeError("the listener was not started")
        return self._host, int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """`https://host:port`, or `http` without TLS, with the real port.

        Raises:
            RuntimeError: it does not listen.
        """
        host, port = self.address
        return f"{'http' if self._tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def connections(self) -> int:
        """How many are open, those in the handshake included."""
        return len(self._open)

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        try:
            self._socket = socket.create_server((self._host, self._port), family=self._family, backlog=_BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"{self.plane} plane: {self._host} port {self._port}: {error.strerror or error}"
            ) from None
        self._socket.setblocking(False)
        self.stopping = False
        self._server = web.Server(self._serve, handler_cancellation=True)
        self._accepting = asyncio.create_task(self._accept(self._socket, self._server))

    async def stop(self, grace: float = limits.CLOSING_TIME) -> None:
        """Take no new connection, let requests under way finish for at most `grace` seconds, close all connections."""
        if self._socket is None or self._server is None or self._accepting is None:
            return
        self.stopping = True
        under_way = {self._accepting, *self._handshakes}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        self._socket.close()
        for term in self._streams:
            term.reschedule(asyncio.get_running_loop().time())
        for connection in tuple(self._open):
            if not connection.busy:
                connection.force_close()
        if not await self._all_closed(grace):
            for connection in tuple(self._open):
                if connection.line is not None:
                    connection.line.abort()  # cancels what still runs for it
            await self._all_closed(grace)
        if self._running:
            await asyncio.wait(tuple(self._running), timeout=grace)
        self._socket = self._server = self._accepting = None

    async def _all_closed(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._changed.clear()
                    await self._changed.wait()
        return not self._open

    # --- connections ---

    async def _accept(self, listening: socket.socket, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while len(self._handshakes) >= limits.HANDSHAKES:
                self._changed.clear()
                await self._changed.wait()
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno != errno.ECONNABORTED:  # as a rule: no file descriptor is left
                    _log.error("no connection accepted", plane=self.plane, reason=error.strerror)
                    await asyncio.sleep(_PAUSE)
                continue
            if self.connections >= self._most:
                _log.warning("connection refused", plane=self.plane, reason=f"{self._most} are open")
                accepted.close()
                continue
            connection = HttpConnection(self, server, loop)
            self._open.add(connection)
            task = asyncio.create_task(self._admit(accepted, connection))
            self._handshakes.add(task)
            task.add_done_callback(self._admitted)

    async def _admit(self, accepted: socket.socket, connection: HttpConnection) -> None:
        """The handshake of one connection; why a certificate was refused is logged by the TLS adapter."""
        loop = asyncio.get_running_loop()
        secured = {}
        if self._tls is not None:
            secured = {"ssl_handshake_timeout": limits.HANDSHAKE_TIME, "ssl_shutdown_timeout": LINGER}
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted, ssl=self._tls, **secured)
        except OSError as error:
            _log.debug("connection ended in the handshake", plane=self.plane, reason=type(error).__name__)
        finally:
            if connection.line is None:
                self.forget(connection)
                accepted.close()

    def _admitted(self, task: asyncio.Task[None]) -> None:
        self._handshakes.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("connection failed", plane=self.plane, exception=place_of(error))

    def forget(self, connection: HttpConnection) -> None:
        """A connection has ended."""
        self._open.discard(connection)
        self._changed.set()

    # --- requests ---

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        connection, task = request.protocol, asyncio.current_task()
        assert isinstance(connection, HttpConnection)
        assert task is not None
        connection.busy = True
        self._running.add(task)
        try:
            answer = await self._answer(request)
            if isinstance(answer, HttpStream):
                return await self._stream(request, connection, answer)
            response = response_of(answer)
        finally:
            connection.busy = False
            self._running.discard(task)
        if connection.retiring:
            response.force_close()
        return response

    async def _stream(
        self, request: web.BaseRequest, connection: HttpConnection, answer: HttpStream
    ) -> web.StreamResponse:
        """Send parts as they come, until there are no more or the connection is old enough; it is closed after them."""
        response = web.StreamResponse(headers=headers_of(answer))
        response.force_close()
        await response.prepare(request)
        try:
            async with asyncio.timeout_at(connection.retires_at) as term, contextlib.aclosing(answer.parts) as parts:
                self._streams.add(term)
                async for part in parts:
                    await self._give(response, connection, part)
        except (TimeoutError, ConnectionError):
            pass
        except Exception as error:  # noqa: BLE001  # a plane outlives whatever one answer does to it
            _log.error("answer broke off", plane=self.plane, exception=place_of(error))
            connection.abort()
        finally:
            self._streams.discard(term)
        return response

    async def _give(self, response: web.StreamResponse, connection: HttpConnection, part: bytes) -> None:
        try:
            async with asyncio.timeout(limits.STREAM_WRITE):
                await response.write(part)
        except TimeoutError:
            _log.info("connection ended", plane=self.plane, reason="the client takes nothing of what it is sent")
            connection.abort()
            raise

    async def _answer(self, request: web.BaseRequest) -> HttpAnswer | HttpStream:
        try:
            try:
                received = await self._read(request)
            except TimeoutError:
                return self.form(408, f"the body did not come within {limits.BODY_TIME:.0f} seconds", last=True)
            except web.RequestPayloadError:
                return self.form(400, "the body is not as its header says", last=True)
            return await self._handler(received)
        except QuiverError as error:
            answer = answer_for(error, self.form)
            _log.info("request refused", plane=self.plane, status=answer.status, reason=type(error).__name__)
            return answer
        except Exception as error:  # noqa: BLE001  # a plane outlives whatever one request does to it
            _log.error("request failed", plane=self.plane, exception=place_of(error))
            return unexpected(self.form)

    async def _read(self, request: web.BaseRequest) -> HttpRequest:
        target, _, query = request.raw_path.partition("?")
        path = target if target.startswith("/") else "/" + target.partition("://")[2].partition("/")[2]  # absolute form
        return HttpRequest(
            verb=request.method,
            path=path,
            query=query,
            content_type=request.headers.get("Content-Type", ""),
            body=await read_body(request, self._body_limit),
            facts=peer_facts(request.transport),
            headers=request.headers,
        )

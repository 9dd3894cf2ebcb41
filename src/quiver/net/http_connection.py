"""One connection of a listener: aiohttp's protocol, with an age and with answers that are ours."""

import asyncio
from typing import Final, Protocol, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from quiver.domain import limits
from quiver.net.http_exchange import ErrorForm, response_of, unexpected
from quiver.net.log import place_of

__all__ = ["LINGER", "HttpConnection", "Owner"]

_log = structlog.get_logger("quiver.net.http")

LINGER: Final = 2.0  # seconds for the end of a connection: an unread body, the other side's close_notify


class Owner(Protocol):
    """The listener of a connection."""

    @property
    def plane(self) -> str:
        """Its name in the log."""
        ...

    @property
    def form(self) -> ErrorForm:
        """How it writes errors."""
        ...

    @property
    def age(self) -> float:
        """Seconds that a connection may live."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether each answer is the last one."""
        ...

    def forget(self, connection: "HttpConnection") -> None:
        """The connection has ended."""
        ...


class HttpConnection(web.RequestHandler):
    """A connection from its handshake on.

    Attributes:
        busy: a handler works for it.
        line: its transport, once the handshake is done.
    """

    def __init__(self, owner: Owner, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own word for no access log
            keepalive_timeout=min(limits.CONNECTION_IDLE, owner.age),
            lingering_time=LINGER,
            auto_decompress=False,
        )
        self.busy = False
        self.line: asyncio.Transport | None = None
        self._owner = owner
        self._born = loop.time()
        self._end: asyncio.TimerHandle | None = None

    @property
    def retires_at(self) -> float:
        """When the last answer begins, and an answer without an end is ended, on the loop's clock."""
        return self._born + self._owner.age - min(limits.CONNECTION_LAST, self._owner.age / 2)

    @property
    def retiring(self) -> bool:
        """Whether the next answer is the last one."""
        return self._owner.stopping or asyncio.get_running_loop().time() >= self.retires_at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done."""
        self.line = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self._end = asyncio.get_running_loop().call_later(self._owner.age, self._retire)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has ended, by either side."""
        if self._end is not None:
            self._end.cancel()
        self._owner.forget(self)
        super().connection_lost(exc)

    def _retire(self) -> None:
        after = self._retire  # the answer under way is the last one
        if not self.busy:
            self.force_close()
            after = self.abort  # for a client that does not take what is still to be sent
        self._end = asyncio.get_running_loop().call_later(limits.CLOSING_TIME, after)

    def abort(self) -> None:
        """End it at once; what is still to be sent is lost."""
        if self.line is not None:
            self.line.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP request; aiohttp's own would repeat parts of it in the log."""
        del request, message
        what = type(exc).__name__ if exc is not None else str(status)
        _log.warning("request refused", plane=self._owner.plane, status=status, reason=what)
        broken = isinstance(exc, HttpProcessingError)
        form = self._owner.form
        return response_of(form(400, "the request is not HTTP/1.1", last=True) if broken else unexpected(form))

    def log_exception(self, *args: object, **kw: object) -> None:
        """Of what goes wrong outside of a handler, only its type and place."""
        error = kw.get("exc_info")
        where = place_of(error) if isinstance(error, BaseException) else str(args[0]) if args else ""
        _log.error("connection failed", plane=self._owner.plane, exception=where)

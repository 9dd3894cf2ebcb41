"""Calls to one server over HTTPS, as clients of ETSI GS QKD 014 make them: JSON, bounded answers, no redirects, no cookies.

Whatever goes wrong on the way is a `CallError` with its class; what a status means is the caller's to say.
"""

import asyncio
import enum
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import msgspec
from yarl import URL

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, RemoteError
from quiver.net.tls_refusal import refusal_in

__all__ = ["CallError", "CallFailure", "HttpClient", "Timeouts", "printable"]

_IDLE: Final = 60.0  # seconds that an unused connection is kept, less than servers keep theirs (limits.CONNECTION_IDLE)
_CONNECTIONS: Final = 16  # open at a time; calls beyond wait for one


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds to connect (with the TLS handshake), and for the whole call."""

    connect: float = 5.0
    total: float = 15.0


class CallFailure(enum.Enum):
    """Why there is no answer that can be used."""

    LATE = "no answer in time"
    TLS = "TLS"
    BROKEN = "the answer broke off"
    NOT_HTTP = "the answer is not HTTP/1.1"
    TOO_LONG = "the answer is too long"
    CUT = "the connection was cut before the answer"
    UNREACHABLE = "unreachable"  # nothing was sent


class CallError(RemoteError):
    """A call brought no answer, or none that can be read.

    Args:
        failure: its class.
        what: what is known beyond the class.
        status: the HTTP status, 0 where none came.
    """

    def __init__(self, failure: CallFailure, what: str = "", *, status: int = 0) -> None:
        super().__init__(f"{failure.value}: {what}" if what else failure.value, status=status)
        self.failure = failure


class _Pool:
    """Connections that were opened within one age, and the number of calls that use them."""

    def __init__(self, session: aiohttp.ClientSession, born: float) -> None:
        self.session: Final = session
        self.born: Final = born
        self.calls = 0


class HttpClient:
    """Calls one server.

    Args:
        url: `https://host:port` of the server.
        tls: context with our certificate and the server's CA; not with `session`.
        body_limit: bytes of an answer; a longer one is cut off.
        what: what the server is, for messages.
        session: a session to use instead of an own one; it stays open on `close`.
        server_name: the name to find in the server's certificate, where that is not the host of the URL.
        source: local address to call from; None leaves it to the system.
        timeouts: of each call.

    Raises:
        ConfigurationError: the URL is none for such a server.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None,
        body_limit: int,
        what: str = "server",
        session: aiohttp.ClientSession | None = None,
        server_name: str | None = None,
        source: str | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        try:
            parsed = URL(url)
        except ValueError as error:
            raise ConfigurationError(f"{what}: {error}") from None
        if parsed.scheme != "https" or not parsed.host or parsed.path not in {"", "/"} or parsed.query_string:
            raise ConfigurationError(f"{what} url: {url!r} is not allowed; https://host:port is")
        self._origin: Final = str(parsed.origin())
        self._tls: Final = tls
        self._server_name: Final = server_name
        self._source: Final = source
        self._body_limit: Final = body_limit
        self._foreign: Final = session
        self._pool: _Pool | None = None
        self._retired: Final[list[_Pool]] = []  # too old for more calls; closed with the last one that is under way
        timeouts = timeouts or Timeouts()
        self._timeout: Final = aiohttp.ClientTimeout(total=timeouts.total, connect=timeouts.connect)

    async def close(self) -> None:
        """Close the connections, where they are ours."""
        pools = [*self._retired, *([self._pool] if self._pool is not None else ())]
        self._pool, self._retired[:] = None, []
        for pool in pools:
            await pool.session.close()

    async def call(self, verb: str, target: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of the answer.

        Args:
            verb: GET or POST.
            target: path and query, percent-encoded already.
            body: JSON to send.

        Raises:
            CallError: none came that can be read.
        """
        if self._foreign is not None:
            return await self._called(self._foreign, verb, target, body)
        async with self._young() as session:
            return await self._called(session, verb, target, body)

    @asynccontextmanager
    async def _young(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Connections that may take a call: new ones, which show both certificates again, where the others are old (rule 6).

        However busy the client is, old ones take no more calls and are closed when the last is done. They are old at half of
        what any may live: the server is then never the one to close a connection just as a call is on its way.
        """
        now = asyncio.get_running_loop().time()
        if self._pool is None or now - self._pool.born >= limits.CONNECTION_AGE / 2:
            if self._pool is not None:
                self._retired.append(self._pool)
            self._pool = _Pool(self._open(), now)
        pool = self._pool
        pool.calls += 1
        try:
            yield pool.session
        finally:
            pool.calls -= 1
            for old in [old for old in self._retired if not old.calls]:
                self._retired.remove(old)
                await old.session.close()

    async def _called(
        self, session: aiohttp.ClientSession, verb: str, target: str, body: bytes | None
    ) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with session.request(
                verb,
                URL(f"{self._origin}{target}", encoded=True),
                data=body,
                headers=headers,
                ssl=self._tls if self._tls is not None else True,
                server_hostname=self._server_name,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                return answer.status, await self._limited(answer)
        except (aiohttp.ClientError, OSError) as error:
            raise _failed(error) from None

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS,
                keepalive_timeout=_IDLE,
                local_addr=(self._source, 0) if self._source is not None else None,
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def _limited(self, answer: aiohttp.ClientResponse) -> bytes:
        received = bytearray()
        async for chunk in answer.content.iter_any():
            received += chunk
            if len(received) > self._body_limit:
                raise CallError(CallFailure.TOO_LONG, f"more than {self._body_limit} bytes", status=answer.status)
        return bytes(received)


def _failed(error: Exception) -> CallError:
    if (refused := refusal_in(error)) is not None:
        return CallError(CallFailure.TLS, printable(refused.message))
    match error:
        case aiohttp.ConnectionTimeoutError():
            return CallError(CallFailure.UNREACHABLE, "no connection in time")
        case TimeoutError():
            return CallError(CallFailure.LATE)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError() | ssl.SSLError():
            return CallError(CallFailure.TLS, printable(str(error)))
        case aiohttp.ClientPayloadError():
            return CallError(CallFailure.BROKEN)
        case aiohttp.ClientResponseError():
            return CallError(CallFailure.NOT_HTTP)
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno or 0  # asyncio's own words for it lack the reason
            said = os.strerror(number) if number > 0 else error.strerror
            return CallError(CallFailure.UNREACHABLE, said or type(error.os_error).__name__)
    return CallError(CallFailure.CUT)


def printable(text: str, most: int = 200) -> str:
    """A foreign text, fit for a terminal and a log line: at most `most` characters, none of them a control character."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:most])

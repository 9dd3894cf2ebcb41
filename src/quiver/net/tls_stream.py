"""TLS without HTTP on it: a listener whose connections are streams, and a client's connection."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from quiver.domain import limits
from quiver.domain.errors import HandshakeError, RemoteError
from quiver.net.listener import Listener
from quiver.net.tls import PeerFacts, TlsContext, peer_facts, refusal_in

__all__ = ["TlsServer", "TlsStream", "connect_tls"]

# Bytes in one TLS record. Clients that wait for their socket to become readable, and not for their TLS library to run dry, read
# 4,096 bytes at a time as a rule (ncclient does): of a longer record they would leave the rest lying until more comes.
_RECORD: Final = 4096

_log = structlog.get_logger("quiver.net.tls")


class TlsStream:
    """A connection after its handshake, as a `ByteStream`.

    Args:
        reader: of the connection.
        writer: of the connection.
        facts: what protects it and whom the peer's certificate names.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, facts: PeerFacts) -> None:
        self.facts: Final = facts
        self._reader: Final = reader
        self._writer: Final = writer

    @property
    def peer(self) -> str:
        """The other side's address."""
        found = self._writer.get_extra_info("peername")
        return str(found[0]) if found else ""

    async def read(self) -> bytes:
        """As `ByteStream.read`.

        Raises:
            ConnectionError: as there; also where the peer refuses this side's certificate, which a client of TLS 1.3 learns
                only now.
        """
        try:
            return await self._reader.read(limits.STREAM_PART)
        except ConnectionError:
            raise
        except OSError as error:
            raise ConnectionResetError(str(refusal_in(error) or "the TLS connection broke")) from error

    async def write(self, content: bytes) -> None:
        """As `ByteStream.write`.

        Raises:
            ConnectionError: as there.
        """
        for start in range(0, len(content), _RECORD):
            self._writer.write(content[start : start + _RECORD])
        try:
            async with asyncio.timeout(limits.STREAM_WRITE):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise ConnectionAbortedError("the peer takes nothing of what it is sent") from None
        except ConnectionError:
            raise
        except OSError as error:
            raise ConnectionResetError("the TLS connection broke") from error

    async def close(self) -> None:
        """As `ByteStream.close`."""
        self._writer.close()
        try:
            async with asyncio.timeout(limits.CLOSING_TIME):
                with contextlib.suppress(OSError):
                    await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()


class TlsServer:
    """Serves streams on one address.

    Args:
        serve: serves one connection; it is closed when that returns.
        tls: the plane's context.
        plane: its name in the log.
        host: an IPv4 or IPv6 address.
        port: 0 for any free one.
        age: seconds that a connection may live.

    Raises:
        ConfigurationError: the host is not an address.
    """

    def __init__(
        self,
        serve: Callable[[TlsStream], Awaitable[None]],
        *,
        tls: TlsContext,
        plane: str,
        host: str,
        port: int = 0,
        age: float = limits.CONNECTION_AGE,
    ) -> None:
        self._serve: Final = serve
        self._tls: Final = tls
        self._listener: Final = Listener(self._handshake, self._live, plane=plane, host=host, port=port, age=age)

    @property
    def address(self) -> tuple[str, int]:
        """The host, and the port that it really listens on.

        Raises:
            RuntimeError: it does not listen.
        """
        return self._listener.address

    @property
    def connections(self) -> int:
        """How many are open, those in the handshake included."""
        return self._listener.connections

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """Take no new connection and end all that there are."""
        await self._listener.stop()

    async def _handshake(self, accepted: socket.socket) -> TlsStream:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limits.STREAM_BUFFER // 2)  # asyncio stops the transport at twice that
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=self._tls, ssl_handshake_timeout=limits.HANDSHAKE_TIME
            )
        except BaseException:
            accepted.close()
            raise
        facts = peer_facts(transport)
        if facts is None:  # an adapter of ours is always there
            transport.abort()
            raise HandshakeError("no TLS on this connection")
        return TlsStream(reader, asyncio.StreamWriter(transport, protocol, reader, loop), facts)

    async def _live(self, stream: TlsStream) -> None:
        try:
            await self._serve(stream)
        finally:
            await stream.close()


async def connect_tls(host: str, port: int, *, tls: TlsContext, source: str | None = None) -> TlsStream:
    """A client's connection.

    Args:
        host: name or address.
        port: TCP port.
        tls: the plane's client context, with the name that is expected (`TlsContext.expecting`).
        source: local address of the connection.

    Raises:
        RemoteError: the server is not there, or is not the one expected.
    """
    where = f"{host} port {port}"
    try:
        async with asyncio.timeout(limits.HANDSHAKE_TIME):
            reader, writer = await asyncio.open_connection(
                host,
                port,
                ssl=tls,
                server_hostname=host,
                limit=limits.STREAM_BUFFER // 2,
                local_addr=(source, 0) if source is not None else None,
            )
    except TimeoutError:
        raise RemoteError(f"{where}: no TLS within {limits.HANDSHAKE_TIME:.0f} seconds") from None
    except OSError as error:
        raise RemoteError(f"{where}: {refusal_in(error) or error.strerror or type(error).__name__}") from None
    facts = peer_facts(writer.transport)
    assert facts is not None
    return TlsStream(reader, writer, facts)

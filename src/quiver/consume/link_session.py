"""One connection of the TCP carrier, from its first frame to its end, with the connections of users that it carries."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import structlog

from quiver.consume.link_flow import Flow, Opening, abort
from quiver.domain import limits
from quiver.domain.errors import LimitError, RequestError
from quiver.net.addresses import Address
from quiver.net.log import place_of
from quiver.protocols.link_frames import HEADER, TAG, Drop, Kind, read_header
from quiver.protocols.link_ring import KeyRing
from quiver.protocols.link_streams import Message, Streams, pack, read_message

__all__ = ["Session", "payloads"]

_log = structlog.get_logger("quiver.consume.link")


async def payloads(reader: asyncio.StreamReader, ring: KeyRing) -> AsyncGenerator[bytes, None]:
    """The payloads that come on a connection of the carrier, in the order in which they were sent, until one is not the next.

    The counter goes on from frame to frame whatever their keys: what is left out, doubled or moved ends the connection. The
    ring takes no first frame that came before.
    """
    following: int | None = None
    while True:
        try:
            start = await reader.readexactly(HEADER)
            header = read_header(start)
            if isinstance(header, Drop):
                ring.drop(header)
                return
            if following is not None and header.counter != following:
                ring.drop(Drop.OUT_OF_ORDER)
                return
            payload = ring.open(start + await reader.readexactly(header.length + TAG))
        except (asyncio.IncompleteReadError, OSError):
            return
        if isinstance(payload, Drop):
            return
        following = header.counter + 1
        yield payload


class Session:
    """A connection on which the other end was heard.

    Args:
        ring: the keys.
        writer: of the connection.
        initiator: whether this is the end that begins rollovers.
        target: whom a connection of the other end's users is made to; None where there is nobody.

    Attributes:
        ended: whether it carries nothing more.
    """

    def __init__(self, ring: KeyRing, writer: asyncio.StreamWriter, *, initiator: bool, target: Address | None) -> None:
        self._ring: Final = ring
        self._writer: Final = writer
        self._target: Final = target
        self._streams: Final = Streams(initiator=initiator)
        self._flows: Final[dict[int, Flow]] = {}
        self._heard = asyncio.get_running_loop().time()
        self.ended = False

    @property
    def connections(self) -> int:
        """How many are carried."""
        return len(self._flows)

    def close(self) -> None:
        """End it, and all that it carries, with RST."""
        if self.ended:
            return
        self.ended = True
        abort(self._writer)
        for flow in self._flows.values():
            flow.work.cancel()

    async def closed(self) -> None:
        """Close, and wait until nothing of it is at work."""
        self.close()
        await asyncio.gather(*(flow.work for flow in self._flows.values()), return_exceptions=True)

    def beat(self) -> None:
        """Send a frame that says nothing; or close, where the other end has been silent for too long."""
        if asyncio.get_running_loop().time() - self._heard > limits.ENCRYPTOR_SILENCE:
            self.close()
        else:
            self.send(bytes((Kind.KEEP,)))

    def send(self, payload: bytes) -> None:
        """Send a payload. One that cannot be sent would be missing at the other end: that ends the session."""
        if self.ended:
            return
        frame = self._ring.seal(payload)
        if isinstance(frame, Drop) or not self._room:
            self.close()
            return
        self._writer.write(frame)

    @property
    def _room(self) -> bool:
        """Whether the connection takes anything; it may have ended without our having been told yet."""
        transport = self._writer.transport
        return not transport.is_closing() and transport.get_write_buffer_size() <= limits.ENCRYPTOR_UNSENT

    async def drained(self) -> None:
        """Wait until there is room for more.

        Raises:
            OSError: there will be none.
        """
        await self._writer.drain()

    async def serve(self, incoming: AsyncIterator[bytes]) -> None:
        """Take what comes, until the connection ends."""
        clock = asyncio.get_running_loop().time
        try:
            async for payload in incoming:
                self._heard = clock()
                self._take(read_message(payload))
                if self.ended:
                    return
        except RequestError as error:
            self._ring.drop(Drop.MALFORMED)
            _log.error("the other end of the link broke the rules", reason=error.message)
        finally:
            await self.closed()

    def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a connection of this side's user; where there is no room, it is reset."""
        try:
            stream = self._streams.open()
        except LimitError:
            self._ring.drop(Drop.FULL)
            abort(writer)
            return
        self.send(pack(Kind.OPEN, stream.number))
        self._start(Flow(stream, self._streams, self.send, self.drained, (reader, writer)))

    def _take(self, message: Message) -> None:
        if message.kind is Kind.KEEP:
            return
        if message.kind is Kind.PACKET:
            raise RequestError("a packet on a connection")
        stream = self._streams.take(message)
        if stream is None:
            return
        if message.kind is Kind.OPEN:
            self._start(Flow(stream, self._streams, self.send, self.drained, None), self._connect)
        elif (flow := self._flows.get(stream.number)) is not None:
            flow.take(message)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the target.

        Raises:
            OSError: nobody is there.
        """
        if self._target is None:
            self._ring.drop(Drop.NO_TARGET)
            raise ConnectionRefusedError
        async with asyncio.timeout(limits.ENCRYPTOR_CONNECT):
            return await asyncio.open_connection(self._target.host, self._target.port)

    def _start(self, flow: Flow, opening: Opening | None = None) -> None:
        self._flows[flow.number] = flow
        flow.start(opening)
        flow.work.add_done_callback(lambda _: self._ended(flow))

    def _ended(self, flow: Flow) -> None:
        del self._flows[flow.number]
        flow.finish()
        if not flow.work.cancelled() and (error := flow.work.exception()) is not None:
            _log.error("connection failed", exception=place_of(error))

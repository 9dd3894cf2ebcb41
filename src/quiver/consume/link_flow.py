"""One connection of a user, carried as a stream: two directions, each with its own end, and never more in memory than credit."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from quiver.domain import limits
from quiver.protocols.link_frames import Kind
from quiver.protocols.link_streams import Message, Stream, Streams, pack

__all__ = ["Flow", "Opening", "abort"]

_AT_ONCE: Final = struct.pack("ii", 1, 0)  # struct linger
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Opening = Callable[[], Awaitable[Ends]]


def abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST: whoever reads it shall not take a break for the end of what was said."""
    if (known := writer.get_extra_info("socket")) is not None:  # None: it has ended by itself
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(known.fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()


class Flow:
    """A stream with its user's connection.

    Args:
        stream: its number and credit.
        streams: among which it is.
        send: sends a payload.
        drained: waits until there is room for more of them.
        ends: of the user's connection; None where it is yet to be made.

    Attributes:
        work: what is done for it, from `start` on. Whoever cancels it, or sees it end, calls `finish`.
    """

    def __init__(
        self,
        stream: Stream,
        streams: Streams,
        send: Callable[[bytes], None],
        drained: Callable[[], Awaitable[None]],
        ends: Ends | None,
    ) -> None:
        self.number: Final = stream.number
        self._stream: Final = stream
        self._streams: Final = streams
        self._send: Final = send
        self._drained: Final = drained
        self._ends = ends
        self._waiting: Final = bytearray()  # came, and was not given on yet
        self._room: Final = asyncio.Event()
        self._arrived: Final = asyncio.Event()
        self._whole = False  # whether both directions came to their end
        self.work: asyncio.Task[None]

    def start(self, opening: Opening | None) -> None:
        """Begin.

        Args:
            opening: makes the user's connection, where it is yet to be made.
        """
        self.work = asyncio.create_task(self._run(opening))

    def take(self, message: Message) -> None:
        """What has come for it; the stream has taken note of it."""
        match message.kind:
            case Kind.BYTES:
                self._waiting.extend(message.body)
                self._arrived.set()
            case Kind.END:
                self._arrived.set()
            case Kind.CREDIT:
                self._room.set()
            case Kind.RESET:
                self.work.cancel()

    def finish(self) -> None:
        """Its work has ended: where that was too early, tell both sides so."""
        if self._streams.reset(self._stream):
            self._send(pack(Kind.RESET, self.number))
        if self._ends is not None and not self._whole:
            abort(self._ends[1])

    async def _run(self, opening: Opening | None) -> None:
        try:
            if opening is not None:
                self._ends = await opening()
            assert self._ends is not None
            reader, writer = self._ends
            writer.transport.set_write_buffer_limits(0)  # what is drained is the kernel's: then it is given on
            async with asyncio.TaskGroup() as both:
                both.create_task(self._outward(reader))
                both.create_task(self._inward(writer))
            writer.close()
            self._whole = True
        except* OSError:  # the user is gone, or was never there
            pass

    async def _outward(self, reader: asyncio.StreamReader) -> None:
        stream = self._stream
        while True:
            while not stream.room:
                self._room.clear()
                await self._room.wait()
            part = await reader.read(min(stream.room, limits.ENCRYPTOR_PART))
            if not part:
                break
            stream.room -= len(part)
            self._send(pack(Kind.BYTES, self.number, part))
            await self._drained()
        self._send(pack(Kind.END, self.number))
        self._streams.end(stream)

    async def _inward(self, writer: asyncio.StreamWriter) -> None:
        while True:
            while not self._waiting and not self._stream.ended_there:
                self._arrived.clear()
                await self._arrived.wait()
            if not self._waiting:
                break
            part = bytes(self._waiting)
            self._waiting.clear()
            _check(writer)
            writer.write(part)
            await writer.drain()
            if credit := self._streams.given_on(self._stream, len(part)):
                self._send(pack(Kind.CREDIT, self.number, credit))
        _check(writer)
        writer.write_eof()


def _check(writer: asyncio.StreamWriter) -> None:
    """A connection that has ended takes nothing; uvloop's raises RuntimeError, which is not an OSError.

    Raises:
        ConnectionResetError: it has ended.
    """
    if writer.is_closing():
        raise ConnectionResetError

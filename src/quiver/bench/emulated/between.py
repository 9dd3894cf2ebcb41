"""Messages between nodes that are emulated by different processes: frames over a local socket, answered in any order."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

from quiver.domain.errors import RemoteError

__all__ = ["Deliver", "Frame", "Line", "serve_frames"]

_HEAD: Final = struct.Struct("!IQ")  # length of the body, and the number under which the answer comes back


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A message from one node to another, in the wire's encoding."""

    sender: str
    receiver: str
    kind: str
    body: bytes


Deliver = Callable[[Frame], Awaitable[bytes | None]]
"""Hands a message to its receiver and gives the encoded answers; None where it has none."""

_frames: Final = msgspec.msgpack.Decoder(Frame)


class Line:
    """The connection to one other process; made with the first message.

    Args:
        socket: where it takes messages.
    """

    def __init__(self, socket: Path) -> None:
        self._socket: Final = socket
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting: Final = asyncio.Lock()
        self._waiting: Final[dict[int, asyncio.Future[bytes]]] = {}
        self._number = 0

    async def ask(self, frame: Frame) -> bytes:
        """Send a message; the encoded answers, nothing where the other side has none.

        Raises:
            RemoteError: the other process is not there.
        """
        writer = await self._connected()
        self._number += 1
        number, body = self._number, msgspec.msgpack.encode(frame)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        try:
            writer.write(_HEAD.pack(len(body), number) + body)
            return await answered
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None:
                try:
                    reader, self._writer = await asyncio.open_unix_connection(self._socket)
                except OSError as error:
                    raise RemoteError(f"{self._socket.name}: {error.strerror}") from None
                self._reading = asyncio.create_task(self._read(reader))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length, number = _HEAD.unpack(await reader.readexactly(_HEAD.size))
                body = await reader.readexactly(length)
                waiting = self._waiting.get(number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(body)
        self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(RemoteError(f"{self._socket.name}: the process has gone"))

    async def close(self) -> None:
        """Nothing is sent any more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()


async def serve_frames(socket: Path, deliver: Deliver) -> asyncio.Server:
    """Take messages of other processes until the server is closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(number: int, frame: Frame) -> None:
            body = await deliver(frame) or b""
            writer.write(_HEAD.pack(len(body), number) + body)

        async with asyncio.TaskGroup() as answering:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    length, number = _HEAD.unpack(await reader.readexactly(_HEAD.size))
                    frame = _frames.decode(await reader.readexactly(length))
                    answering.create_task(answer(number, frame))
        writer.close()

    return await asyncio.start_unix_server(connected, socket)

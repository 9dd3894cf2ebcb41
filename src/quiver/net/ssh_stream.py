"""One channel of an SSH connection as a `ByteStream`, at either end."""

import asyncio
from typing import Any, Final

import asyncssh

from quiver.domain import limits

__all__ = ["Line", "SshStream"]


class Line:
    """What the channels of one connection share: whether its transport has room.

    asyncssh heeds the windows of channels, which their receiver chooses, and not its transport: without this a peer that names
    huge windows and reads nothing would fill this side's memory.

    Args:
        peer: address of the other side.
    """

    def __init__(self, peer: str = "") -> None:
        self.peer: Final = peer
        self._room: Final = asyncio.Event()
        self._room.set()
        self._last: asyncio.TimerHandle | None = None
        self._connection: asyncssh.SSHServerConnection | asyncssh.SSHClientConnection | None = None

    def attach(self, connection: asyncssh.SSHServerConnection | asyncssh.SSHClientConnection) -> None:
        """Hear what the transport says to its protocol, which asyncssh leaves unheard."""
        self._connection = connection
        connection.pause_writing = self._pause  # type: ignore[method-assign]
        connection.resume_writing = self._resume  # type: ignore[method-assign]

    def _pause(self) -> None:
        assert self._connection is not None
        self._room.clear()
        self._last = asyncio.get_running_loop().call_later(limits.STREAM_WRITE, self._connection.abort)

    def _resume(self) -> None:
        self.release()
        self._room.set()

    def release(self) -> None:
        """The connection has ended, or its transport has room again."""
        if self._last is not None:
            self._last.cancel()
            self._last = None

    async def room(self) -> None:
        """Until the transport has room."""
        await self._room.wait()


class SshStream(asyncssh.SSHServerSession[bytes], asyncssh.SSHClientSession[bytes]):
    """A channel with one subsystem on it; nothing else can be asked for.

    Args:
        line: of the connection.
        subsystem: the one that a client may ask for.
    """

    def __init__(self, line: Line, subsystem: str) -> None:
        self._line: Final = line
        self._subsystem: Final = subsystem
        self._channel: Any = None  # asyncssh's client and server channels share no type that has all of it
        self._received: Final = bytearray()
        self._arrived: Final = asyncio.Event()
        self._room: Final = asyncio.Event()
        self._room.set()
        self._ended = False  # nothing more will come
        self._lost = False  # the channel is gone
        self._held = False  # the peer is not being read from

    @property
    def peer(self) -> str:
        """Address of the other side."""
        return self._line.peer

    # --- what asyncssh calls --------------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:  # noqa: ANN401  # as above
        """The channel is opened."""
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """At a server: whether to start it."""
        return subsystem == self._subsystem

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes have come; those of stderr are of no interest."""
        if datatype is not None:
            return
        self._received.extend(data)
        self._arrived.set()
        if len(self._received) > limits.STREAM_BUFFER and not self._held:
            self._held = True
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        """The peer sends no more; it may still be answered."""
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        del exc
        self._lost = True
        self._room.set()
        self._end()

    def pause_writing(self) -> None:
        """The peer's window is full."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The peer's window has room."""
        self._room.set()

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()

    # --- ByteStream -----------------------------------------------------------------------------------------------

    async def read(self) -> bytes:
        """As `ByteStream.read`; a broken connection is an end."""
        while not self._received:
            if self._ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        part = bytes(self._received[: limits.STREAM_PART])
        del self._received[: limits.STREAM_PART]
        if self._held and not self._received:
            self._held = False
            self._channel.resume_reading()
        return part

    async def write(self, content: bytes) -> None:
        """As `ByteStream.write`.

        Raises:
            ConnectionError: as there.
        """
        if self._lost:
            raise ConnectionResetError("the SSH channel is gone")
        try:
            self._channel.write(content)
            async with asyncio.timeout(limits.STREAM_WRITE):
                await self._room.wait()
                await self._line.room()
        except TimeoutError:
            raise ConnectionAbortedError("the peer takes nothing of what it is sent") from None
        except OSError as error:  # asyncssh's word for a channel that is closing
            raise ConnectionResetError("the SSH channel is gone") from error
        if self._lost:
            raise ConnectionResetError("the SSH channel is gone")

    async def close(self) -> None:
        """As `ByteStream.close`. A server says that the subsystem ended well, as clients of subsystems expect."""
        if self._channel is None:
            return
        if not self._lost:
            if isinstance(self._channel, asyncssh.SSHServerChannel):
                self._channel.exit(0)
            else:
                self._channel.close()
        try:
            async with asyncio.timeout(limits.CLOSING_TIME):
                await self._channel.wait_closed()
        except TimeoutError:
            self._channel.abort()

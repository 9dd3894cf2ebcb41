"""The classical channel of a simulated QKD link: what the two agents have to say to each other about the link goes along it.

In the field it shares the fibre, or its duct, with the quantum channel: who cuts one cuts both. Here it is a pair of TCP relays,
one at either end; what an agent sends into its end comes out at the other agent's peer plane. It sees TLS records only. While it
is cut nothing passes and nobody is told: connections stand still, new ones get no answer, as on a fibre that a digger has found.
"""

import asyncio
import contextlib
from typing import Final

import msgspec

from quiver.domain.errors import ConfigurationError

__all__ = ["ClassicalChannel", "Mouth"]

CHUNK: Final = 64 * 1024  # bytes on their way in one direction of one connection at most
CONNECTIONS: Final = 64  # of one end; an agent keeps a handful


class Mouth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One end of the channel: where this end's agent sends to, and where that comes out.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 for any free one.
        far_host: of the other agent's peer plane.
        far_port: of the other agent's peer plane.
    """

    host: str = "127.0.0.1"
    port: int = 0
    far_host: str = "127.0.0.1"
    far_port: int


class ClassicalChannel:
    """One end's relay.

    Args:
        mouth: where it listens and leads to.
    """

    def __init__(self, mouth: Mouth) -> None:
        self._mouth: Final = mouth
        self._whole: Final = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._relays: Final[set[asyncio.Task[None]]] = set()

    @property
    def address(self) -> str:
        """`host:port` where it listens.

        Raises:
            RuntimeError: it does not listen yet.
        """
        if self._server is None:
            raise RuntimeError("the channel was not started")
        return f"{self._mouth.host}:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        mouth: Final = self._mouth
        try:
            self._server = await asyncio.start_server(self._accept, mouth.host, mouth.port, limit=CHUNK)
        except OSError as error:
            raise ConfigurationError(f"{mouth.host}:{mouth.port}: {error.strerror or error}") from None

    async def stop(self) -> None:
        """Close the relay and its connections."""
        if self._server is not None:
            self._server.close()
            for task in list(self._relays):
                task.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """From now on nothing passes."""
        self._whole.clear()

    def repair(self) -> None:
        """What stood still goes on."""
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            if len(self._relays) <= CONNECTIONS:
                await self._whole.wait()
                far_reader, far_writer = await asyncio.open_connection(
                    self._mouth.far_host, self._mouth.far_port, limit=CHUNK
                )
                with contextlib.closing(far_writer):
                    await self._relay((reader, far_writer), (far_reader, writer))

    async def _relay(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Both directions, until either has ended: no party of TLS goes on when the other has gone."""
        pumps = [asyncio.ensure_future(self._pump(reader, writer)) for reader, writer in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while received := await reader.read(CHUNK):
            await self._whole.wait()  # what was read just before the cut is on the fibre, and lost time at most
            writer.write(received)
            await writer.drain()
        await self._whole.wait()  # nor does the end of a connection pass

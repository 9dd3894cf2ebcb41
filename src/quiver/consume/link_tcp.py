"""The TCP carrier: connections to a local port are carried to the far end, which connects to its target; in both directions.

The initiator of rollovers connects, the responder listens, and one connection carries all. When it breaks, so do those of users;
the next one is made within a second of the other end's being there, once both have a key in common.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

import structlog

from quiver.consume.link_flow import abort
from quiver.consume.link_session import Session, payloads
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.net.addresses import Address
from quiver.net.log import place_of
from quiver.protocols.link_frames import Drop, Kind
from quiver.protocols.link_ring import KeyRing

__all__ = ["TcpCarrier"]

_log = structlog.get_logger("quiver.consume.link")


class TcpCarrier:
    """One end.

    Args:
        ring: the keys.
        listen: where the initiator's connection comes to; the responder's to have.
        far: where the responder listens; the initiator's to have.
        entry: the port for this side's users; None where they are only connected to.
        target: whom the far end's users are connected to; None where they are reset.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        listen: Address | None,
        far: Address | None,
        entry: Address | None,
        target: Address | None,
    ) -> None:
        self._ring: Final = ring
        self._listen: Final = listen
        self._far: Final = far
        self._entry: Final = entry
        self._target: Final = target
        self._servers: Final[list[asyncio.Server]] = []
        self._works: Final[set[asyncio.Task[None]]] = set()
        self._strangers = 0
        self._session: Session | None = None
        self._up = False

    @property
    def up(self) -> bool:
        """Whether it was opened."""
        return self._up

    @property
    def connections(self) -> int:
        """How many of users are carried."""
        return self._session.connections if self._session is not None else 0

    async def open(self) -> None:
        """Listen, and begin to connect.

        Raises:
            TunnelError: an address cannot be taken.
        """
        if self._up:
            return
        try:
            if self._listen is not None:
                self._servers.append(await asyncio.start_server(self._called, self._listen.host, self._listen.port))
            if self._entry is not None:
                self._servers.append(await asyncio.start_server(self._enter, self._entry.host, self._entry.port))
        except OSError as error:
            await self.close()
            raise TunnelError(f"{self._listen or ''} {self._entry or ''}: {error.strerror or error}".strip()) from None
        if self._far is not None:
            self._begin(self._call(self._far))
        self._up = True

    async def close(self) -> None:
        """End all."""
        self._up = False
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.cut()
        works = tuple(self._works)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    def beat(self) -> None:
        """Send a frame that says nothing, where there is a connection."""
        if self._session is not None:
            self._session.beat()

    def cut(self) -> None:
        """End the connection with all that it carries: bytes left out of it would be missing."""
        if self._session is not None:
            self._session.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._works.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("connection failed", exception=place_of(error))

    # --- the far end ----------------------------------------------------------------------------------------------

    async def _call(self, far: Address) -> None:
        """Connect again and again."""
        while True:
            if self._ring.active is not None:
                with contextlib.suppress(OSError):
                    async with asyncio.timeout(limits.ENCRYPTOR_CONNECT):
                        reader, writer = await asyncio.open_connection(far.host, far.port)
                    await self._meet(reader, writer)
            await asyncio.sleep(limits.ENCRYPTOR_RETRY)

    def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._strangers >= limits.ENCRYPTOR_STRANGERS:
            self._ring.drop(Drop.FULL)
            abort(writer)
            return
        self._begin(self._meet(reader, writer))

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of the carrier: once a frame of the other end has come on it, it replaces the one before."""
        session = Session(self._ring, writer, initiator=self._far is not None, target=self._target)
        async with contextlib.aclosing(payloads(reader, self._ring)) as incoming:
            if not await self._introduced(session, incoming):
                session.close()
                return
            before, self._session = self._session, session
            try:
                if before is not None:
                    await before.closed()
                if self._far is None:
                    session.beat()
                await session.serve(incoming)
            finally:
                session.close()
                if self._session is session:
                    self._session = None

    async def _introduced(self, session: Session, incoming: AsyncIterator[bytes]) -> bool:
        """Whether a frame of the other end has come; the initiator's comes first."""
        self._strangers += 1
        try:
            if self._far is not None:
                session.beat()
            async with asyncio.timeout(limits.ENCRYPTOR_CONNECT):
                return await anext(incoming, b"") == bytes((Kind.KEEP,))
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            session.close()
            raise
        finally:
            self._strangers -= 1

    # --- users ----------------------------------------------------------------------------------------------------

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._session is None or self._session.ended:
            self._ring.drop(Drop.BLOCKED if self._ring.blocked else Drop.NO_KEY)
            abort(writer)
            return
        self._session.admit(reader, writer)

"""A listener for connections that are streams: bounds on everything that a stranger can take up, whatever is spoken on them.

At most `handshakes` connections that have not shown who they are (more wait in the kernel's queue), at most `connections` in
all (more are closed at once), none older than `age` (rule 6).
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import structlog

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, HandshakeError
from quiver.net.log import place_of

__all__ = ["Listener"]

T = TypeVar("T")

_log = structlog.get_logger("quiver.net.listener")

_BACKLOG: Final = 64  # connections that the kernel holds until they are accepted
_PAUSE: Final = 0.5  # seconds without accepting when the process or the kernel is out of something


class Listener(Generic[T]):
    """Accepts connections on one address; each has a task of its own from its first packet to its end.

    Args:
        handshake: makes an authenticated connection of an accepted socket, within `limits.HANDSHAKE_TIME`. It closes what it
            made of the socket when it fails or is cancelled.
        serve: serves the connection until it ends; cancelled when the listener stops or the connection has grown too old.
        plane: its name in the log.
        host: an IPv4 or IPv6 address.
        port: 0 for any free one.
        connections: how many may be open at a time.
        handshakes: how many of them may be unauthenticated.
        age: seconds that a connection may live.

    Raises:
        ConfigurationError: the host is not an address.
    """

    def __init__(
        self,
        handshake: Callable[[socket.socket], Awaitable[T]],
        serve: Callable[[T], Awaitable[None]],
        *,
        plane: str,
        host: str,
        port: int = 0,
        connections: int = limits.MANAGEMENT_CONNECTIONS,
        handshakes: int = limits.MANAGEMENT_HANDSHAKES,
        age: float = limits.CONNECTION_AGE,
    ) -> None:
        try:
            self._family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        except ValueError:
            raise ConfigurationError(f"{plane} plane: {host!r} is not allowed; an IPv4 or IPv6 address is") from None
        self.plane: Final = plane
        self._handshake: Final = handshake
        self._serve: Final = serve
        self._host: Final = host
        self._port: Final = port
        self._most: Final = connections
        self._age: Final = age
        self._strangers: Final = asyncio.Semaphore(handshakes)
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._open: Final[set[asyncio.Task[None]]] = set()

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
            reason = error.strerror or str(error)
            raise ConfigurationError(f"{self.plane} plane: {self._host} port {self._port}: {reason}") from None
        self._socket.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(self._socket))

    async def stop(self) -> None:
        """Take no new connection and end all that there are."""
        if self._socket is None or self._accepting is None:
            return
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        await asyncio.sleep(0)  # a task that is cancelled before it began would leave its socket open
        while tasks := tuple(self._open):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._socket.close()
        self._socket = None

    # --- connections ---

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._strangers.acquire()
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:
                self._strangers.release()
                if error.errno != errno.ECONNABORTED:  # as a rule: no file descriptor is left
                    _log.error("no connection accepted", plane=self.plane, reason=error.strerror)
                    await asyncio.sleep(_PAUSE)
                continue
            except asyncio.CancelledError:
                self._strangers.release()
                raise
            if self.connections >= self._most:
                _log.warning("connection refused", plane=self.plane, reason=f"{self._most} are open")
                accepted.close()
                self._strangers.release()
                continue
            _keep_alive(accepted)
            task = asyncio.create_task(self._live(accepted))
            self._open.add(task)
            task.add_done_callback(self._ended)

    async def _live(self, accepted: socket.socket) -> None:
        """One connection, from its first packet to its end."""
        try:
            connection = await self._admit(accepted)
        finally:
            self._strangers.release()
        if connection is None:
            return
        try:
            async with asyncio.timeout(self._age):
                await self._serve(connection)
        except TimeoutError:
            _log.info("connection ended", plane=self.plane, reason=f"{self._age:.0f} seconds old")

    async def _admit(self, accepted: socket.socket) -> T | None:
        try:
            async with asyncio.timeout(limits.HANDSHAKE_TIME):
                return await self._handshake(accepted)
        except TimeoutError:
            _log.warning(
                "handshake refused", plane=self.plane, reason=f"not done in {limits.HANDSHAKE_TIME:.0f} seconds"
            )
        except HandshakeError:
            pass  # whoever raised it has logged why
        except OSError as error:
            _log.debug("connection ended in the handshake", plane=self.plane, reason=type(error).__name__)
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("connection failed", plane=self.plane, exception=place_of(error))


def _keep_alive(accepted: socket.socket) -> None:
    """Have the kernel notice a peer that has vanished, whether it was to say something (RFC 9293 section 3.8.4) or to take it."""
    silence = limits.KEEPALIVE_IDLE + limits.KEEPALIVES * limits.KEEPALIVE_INTERVAL
    wanted = {
        "TCP_KEEPIDLE": int(limits.KEEPALIVE_IDLE),
        "TCP_KEEPINTVL": int(limits.KEEPALIVE_INTERVAL),
        "TCP_KEEPCNT": limits.KEEPALIVES,
        "TCP_USER_TIMEOUT": int(1000 * silence),  # milliseconds
    }
    with contextlib.suppress(OSError):  # it has hung up already
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in wanted.items():
            if (option := getattr(socket, name, None)) is not None:  # not every platform has all of them
                accepted.setsockopt(socket.IPPROTO_TCP, option, value)

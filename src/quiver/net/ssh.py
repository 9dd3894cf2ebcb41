"""An SSH server for one subsystem (RFC 4254 section 6.5): public keys only, no shell, no commands, no forwarding, no agent."""

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from typing import Final

import asyncssh
import structlog

from quiver.domain import limits
from quiver.domain.errors import HandshakeError, LimitError
from quiver.net.listener import Listener
from quiver.net.places import Places
from quiver.net.ssh_connection import Serve, ServerConnection, Service
from quiver.net.ssh_policy import SshPolicy

__all__ = ["SshServer"]

_log = structlog.get_logger("quiver.net.ssh")


class SshServer:
    """Serves one subsystem on one address.

    Args:
        serve: serves one channel; the channel is closed when it returns.
        keys: user → the public keys, as RFC 4253 section 6.6 encodes them, that prove it.
        host_key: the server's own.
        policy: algorithms.
        plane: its name in the log.
        host: an IPv4 or IPv6 address.
        port: 0 for any free one.
        subsystem: its name.
        age: seconds that a connection may live.
        places: of connections whose user is known; None leaves them all to anybody.

    Raises:
        ConfigurationError: the host is not an address.
    """

    def __init__(
        self,
        serve: Serve,
        *,
        keys: Mapping[str, frozenset[bytes]],
        host_key: asyncssh.SSHKey,
        policy: SshPolicy,
        plane: str,
        host: str,
        port: int = 0,
        subsystem: str = "netconf",
        age: float = limits.CONNECTION_AGE,
        places: Places | None = None,
    ) -> None:
        self.plane: Final = plane
        self._service: Final = Service(serve, keys, plane, subsystem)
        self._places: Final = places
        self._alive: Final[dict[ServerConnection, asyncssh.SSHServerConnection]] = {}  # logged in
        self._policy: Final = policy
        self._options: Final = {
            **policy.options(),
            "server_host_keys": [host_key],
            "login_timeout": limits.HANDSHAKE_TIME,
            "rekey_bytes": limits.SSH_REKEY_BYTES,
            "rekey_seconds": limits.SSH_REKEY_TIME,
            "window": limits.SSH_WINDOW,
            "keepalive_interval": limits.SSH_KEEPALIVE,
            "keepalive_count_max": limits.SSH_KEEPALIVES,
            "allow_pty": False,
            "line_editor": False,
            "server_version": "Quiver",
        }
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

    def expel(self) -> None:
        """Close the connections of users whose key is no longer listed."""
        for owner, connection in tuple(self._alive.items()):
            if not owner.listed:
                reason = "the user's key is no longer listed"
                _log.info("connection ended", plane=self.plane, reason=reason, user=owner.user, peer=owner.peer)
                connection.close()

    async def _handshake(self, accepted: socket.socket) -> tuple[asyncssh.SSHServerConnection, ServerConnection]:
        """Key exchange and login.

        Raises:
            HandshakeError: refused; the log says why.
        """
        owner = ServerConnection(self._service, _host_of(accepted))
        try:
            connection = await asyncssh.run_server(accepted, server_factory=lambda: owner, **self._options)
        except asyncssh.Error as error:
            reason = owner.reason or self._words(error)
            _log.warning("handshake refused", plane=self.plane, side="server", reason=reason, peer=owner.peer)
            raise HandshakeError(f"SSH handshake on the {self.plane} plane refused: {reason}") from None
        return connection, owner

    def _words(self, error: asyncssh.Error) -> str:
        """Why a handshake failed. What the peer wrote stays out."""
        match error:
            case asyncssh.KeyExchangeFailed():
                return f"no algorithms in common (key exchanges here: {', '.join(self._policy.key_exchanges)})"
            case asyncssh.PermissionDenied():
                return "no key was accepted"
            case asyncssh.ConnectionLost():
                return "the peer hung up before it had shown a key"
        return type(error).__name__

    async def _live(self, made: tuple[asyncssh.SSHServerConnection, ServerConnection]) -> None:
        """Until the connection ends; one without a channel is closed after a while."""
        connection, owner = made
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._end, connection, owner)
            if not self._take_place(stack, owner):
                return
            self._alive[owner] = connection
            stack.callback(self._alive.pop, owner)
            closed = asyncio.ensure_future(connection.wait_closed())
            stack.callback(closed.cancel)
            while not closed.done():
                await asyncio.wait((closed,), timeout=limits.CONNECTION_IDLE)
                if not closed.done() and not owner.channels:
                    connection.close()

    def _take_place(self, stack: contextlib.AsyncExitStack, owner: ServerConnection) -> bool:
        if self._places is None:
            return True
        try:
            self._places.take(owner.user)
        except LimitError as error:
            _log.warning("connection refused", plane=self.plane, reason=error.message, user=owner.user, peer=owner.peer)
            return False
        stack.callback(self._places.give, owner.user)
        return True

    @staticmethod
    async def _end(connection: asyncssh.SSHServerConnection, owner: ServerConnection) -> None:
        for task in tuple(owner.channels):
            task.cancel()
        if owner.channels:
            await asyncio.wait(tuple(owner.channels), timeout=limits.CLOSING_TIME)
        connection.close()
        try:
            async with asyncio.timeout(limits.CLOSING_TIME):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()


def _host_of(accepted: socket.socket) -> str:
    try:
        return str(accepted.getpeername()[0])
    except OSError:
        return ""  # it has hung up already

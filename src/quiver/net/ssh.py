"""An SSH server for one subsystem (RFC 4254 section 6.5): public keys only, no shell, no commands, no forwarding, no agent."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import asyncssh
import structlog

from quiver.domain import limits
from quiver.domain.errors import HandshakeError
from quiver.net.listener import Listener
from quiver.net.log import place_of
from quiver.net.ssh_policy import SshPolicy, fingerprint
from quiver.net.ssh_stream import Line, SshStream

__all__ = ["SshServer"]

_log = structlog.get_logger("quiver.net.ssh")

_USER_SHOWN: Final = 64  # characters of a stranger's user name that a log line shows

Serve = Callable[[str, SshStream], Awaitable[None]]
"""Serves one channel of the user of this name until it ends."""


class _Connection(asyncssh.SSHServer):
    """One connection at the server: who it is, and its channels."""

    def __init__(self, server: "SshServer", peer: str) -> None:
        self._server: Final = server
        self.peer: Final = peer  # address, for the log
        self._line: Final = Line(peer)
        self._refused: Final[set[str]] = set()  # fingerprints of keys that were told apart in the log
        self._attempts = 0
        self._user = ""
        self.channels: Final[set[asyncio.Task[None]]] = set()
        self.reason: str | None = None  # why the last key was refused

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """The TCP connection is there."""
        self._line.attach(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        del exc
        self._line.release()

    # --- who it is (RFC 4252) -------------------------------------------------------------------------------------

    def begin_auth(self, username: str) -> bool:
        """Everybody has to authenticate; a user who is unknown is told so no sooner than one whose key is wrong."""
        self._user = username
        return True

    def public_key_auth_supported(self) -> bool:
        """RFC 4252 section 7."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this key is the user's. asyncssh then checks the signature."""
        self._attempts += 1
        if self._attempts > limits.SSH_ATTEMPTS:
            raise asyncssh.PermissionDenied("too many keys")
        known = self._server.keys.get(username)
        if known is not None and key.public_data in known:
            return True
        self.reason = "unknown user" if known is None else "unknown key: not among the user's"
        shown = fingerprint(key)
        if shown not in self._refused:
            self._refused.add(shown)
            _log.warning(
                "login refused",
                plane=self._server.plane,
                reason=self.reason,
                user=username[:_USER_SHOWN],
                key=shown,
                peer=self.peer,
            )
        return False

    # --- channels -------------------------------------------------------------------------------------------------

    def session_requested(self) -> "_ServedStream | bool":
        """A channel for a subsystem; asyncssh refuses every other kind of channel by itself."""
        if len(self.channels) >= limits.SSH_CHANNELS:
            _log.warning("channel refused", plane=self._server.plane, reason="too many channels", user=self._user)
            return False
        return _ServedStream(self._line, self._server.subsystem, self._begin)

    def _begin(self, stream: SshStream) -> None:
        task = asyncio.create_task(self._serve(stream))
        self.channels.add(task)
        task.add_done_callback(self._ended)

    async def _serve(self, stream: SshStream) -> None:
        try:
            await self._server.serve(self._user, stream)
        finally:
            await stream.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.channels.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("session failed", plane=self._server.plane, exception=place_of(error))


class _ServedStream(SshStream):
    """A channel at the server; `begin` is told when its subsystem was asked for and granted."""

    def __init__(self, line: Line, subsystem: str, begin: Callable[[SshStream], None]) -> None:
        super().__init__(line, subsystem)
        self._begin: Final = begin

    def session_started(self) -> None:
        """The client waits for the subsystem's first bytes."""
        self._begin(self)


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
    ) -> None:
        self.serve: Final = serve
        self.keys: Final = keys
        self.plane: Final = plane
        self.subsystem: Final = subsystem
        self._policy: Final = policy
        self._options: Final = {
            **policy.options(),
            "server_host_keys": [host_key],
            "login_timeout": limits.HANDSHAKE_TIME,
            "rekey_bytes": limits.SSH_REKEY_BYTES,
            "rekey_seconds": limits.SSH_REKEY_TIME,
            "window": limits.SSH_WINDOW,
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

    async def _handshake(self, accepted: socket.socket) -> tuple[asyncssh.SSHServerConnection, _Connection]:
        """Key exchange and login.

        Raises:
            HandshakeError: refused; the log says why.
        """
        owner = _Connection(self, _host_of(accepted))
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

    async def _live(self, made: tuple[asyncssh.SSHServerConnection, _Connection]) -> None:
        """Until the connection ends; one without a channel is closed after a while."""
        connection, owner = made
        try:
            closed = asyncio.ensure_future(connection.wait_closed())
            try:
                while not closed.done():
                    await asyncio.wait((closed,), timeout=limits.CONNECTION_IDLE)
                    if not closed.done() and not owner.channels:
                        connection.close()
            finally:
                closed.cancel()
        finally:
            await self._end(connection, owner)

    @staticmethod
    async def _end(connection: asyncssh.SSHServerConnection, owner: _Connection) -> None:
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

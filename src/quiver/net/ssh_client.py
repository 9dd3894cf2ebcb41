"""The client's side of SSH: the server's host key is pinned, never trusted because it was seen first."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import asyncssh

from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.net.ssh_policy import SshPolicy, fingerprint
from quiver.net.ssh_stream import Line, SshStream

__all__ = ["SshClient"]


class SshClient:
    """One connection to a server, with channels for subsystems. `SshClient.connect` makes it."""

    def __init__(self, connection: asyncssh.SSHClientConnection, line: Line) -> None:
        self._connection: Final = connection
        self._line: Final = line

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        user: str,
        key: asyncssh.SSHKey,
        host_keys: Sequence[asyncssh.SSHKey],
        policy: SshPolicy,
        source: str | None = None,
    ) -> "SshClient":
        """Connect and log in.

        Args:
            host: name or address.
            port: TCP port.
            user: the name at the server.
            key: the user's private key.
            host_keys: the server's own key must be one of these.
            policy: algorithms.
            source: local address of the connection.

        Raises:
            RemoteError: the server is not there, is not the one expected, or refused us.
        """
        line = Line(host)

        class _Client(asyncssh.SSHClient):
            def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
                line.attach(conn)

            def connection_lost(self, exc: Exception | None) -> None:
                del exc
                line.release()

        options = {
            **policy.options(),
            "client_factory": _Client,
            "username": user,
            "client_keys": [key],
            "known_hosts": (list(host_keys), [], []),
            "server_host_key_algs": [one.get_algorithm() for one in host_keys],
            "agent_path": None,
            "client_version": "Quiver",
            "login_timeout": limits.HANDSHAKE_TIME,
            "rekey_bytes": limits.SSH_REKEY_BYTES,
            "rekey_seconds": limits.SSH_REKEY_TIME,
            "local_addr": (source, 0) if source is not None else (),
        }
        try:
            async with asyncio.timeout(limits.HANDSHAKE_TIME):
                return cls(await asyncssh.connect(host, port, **options), line)
        except TimeoutError:
            raise RemoteError(f"{host} port {port}: no SSH login within {limits.HANDSHAKE_TIME:.0f} seconds") from None
        except asyncssh.HostKeyNotVerifiable:
            raise RemoteError(f"{host} port {port}: its host key is not the one that is pinned") from None
        except asyncssh.PermissionDenied:
            raise RemoteError(f"{host} port {port}: it does not admit {user} with key {fingerprint(key)}") from None
        except asyncssh.KeyExchangeFailed:
            raise RemoteError(f"{host} port {port}: no SSH algorithms in common") from None
        except (asyncssh.Error, OSError) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise RemoteError(f"{host} port {port}: {what}") from None

    async def open(self, subsystem: str = "netconf") -> SshStream:
        """A channel with the subsystem started on it.

        Raises:
            RemoteError: the server refused.
        """
        try:
            _, stream = await self._connection.create_session(
                lambda: SshStream(self._line, subsystem), subsystem=subsystem, encoding=None, window=limits.SSH_WINDOW
            )
        except (asyncssh.Error, OSError):
            raise RemoteError(f"the server starts no subsystem {subsystem} for us") from None
        assert isinstance(stream, SshStream)
        return stream

    async def close(self) -> None:
        """End the connection and all its channels."""
        self._connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.CLOSING_TIME):
                await self._connection.wait_closed()
                return
        self._connection.abort()

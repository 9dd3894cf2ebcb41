"""One SSH connection at a server: who it is (RFC 4252), and its channels (RFC 4254), each for one subsystem and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncssh
import structlog

from quiver.domain import limits
from quiver.net.log import place_of
from quiver.net.ssh_policy import fingerprint
from quiver.net.ssh_stream import Line, SshStream

__all__ = ["Serve", "ServerConnection", "Service"]

_log = structlog.get_logger("quiver.net.ssh")

_USER_SHOWN: Final = 64  # characters of a stranger's user name that a log line shows

Serve = Callable[[str, SshStream], Awaitable[None]]
"""Serves one channel of the user of this name until it ends."""


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of one server have in common.

    Attributes:
        serve: serves one channel.
        keys: user → the public keys, as RFC 4253 section 6.6 encodes them, that prove it; may change at any time.
        plane: its name in the log.
        subsystem: the one that a client may ask for.
    """

    serve: Serve
    keys: Mapping[str, frozenset[bytes]]
    plane: str
    subsystem: str


class ServerConnection(asyncssh.SSHServer):
    """What asyncssh asks and tells of one connection.

    Args:
        service: of the server.
        peer: address, for the log.
    """

    def __init__(self, service: Service, peer: str) -> None:
        self._service: Final = service
        self.peer: Final = peer
        self._line: Final = Line(peer)
        self._refused: Final[set[str]] = set()  # fingerprints of keys that were told apart in the log
        self._attempts = 0
        self._key = b""  # the last one that was the user's; once logged in, the one whose signature was right
        self._streams: Final[set[_ServedStream]] = set()  # granted channels, with a subsystem or not yet
        self.user = ""
        self.channels: Final[set[asyncio.Task[None]]] = set()  # those that are served
        self.reason: str | None = None  # why the last key was refused

    @property
    def listed(self) -> bool:
        """Whether the key that it has shown is still the user's."""
        return self._key in self._service.keys.get(self.user, ())

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
        self.user = username
        return True

    def public_key_auth_supported(self) -> bool:
        """RFC 4252 section 7."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this key is the user's. asyncssh then checks the signature."""
        self._attempts += 1
        if self._attempts > limits.SSH_ATTEMPTS:
            raise asyncssh.PermissionDenied("too many keys")
        known = self._service.keys.get(username)
        if known is not None and key.public_data in known:
            self._key = key.public_data
            return True
        self.reason = "unknown user" if known is None else "unknown key: not among the user's"
        shown = fingerprint(key)
        if shown not in self._refused:
            self._refused.add(shown)
            _log.warning(
                "login refused",
                plane=self._service.plane,
                reason=self.reason,
                user=username[:_USER_SHOWN],
                key=shown,
                peer=self.peer,
            )
        return False

    # --- channels -------------------------------------------------------------------------------------------------

    def session_requested(self) -> "_ServedStream | bool":
        """A channel for a subsystem; asyncssh refuses every other kind of channel by itself."""
        if not self.listed:
            return self._refuse("the user's key has been taken out of the configuration")
        if len(self._streams) >= limits.SSH_CHANNELS:
            return self._refuse("too many channels")
        stream = _ServedStream(self._line, self._service.subsystem, self._begin, self._streams.discard)
        self._streams.add(stream)
        return stream

    def _refuse(self, reason: str) -> bool:
        _log.warning("channel refused", plane=self._service.plane, reason=reason, user=self.user)
        return False

    def _begin(self, stream: SshStream) -> None:
        task = asyncio.create_task(self._serve(stream))
        self.channels.add(task)
        task.add_done_callback(self._ended)

    async def _serve(self, stream: SshStream) -> None:
        try:
            await self._service.serve(self.user, stream)
        finally:
            await stream.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.channels.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("session failed", plane=self._service.plane, exception=place_of(error))


class _ServedStream(SshStream):
    """A channel at the server, closed unless its subsystem is asked for soon.

    Args:
        line: of the connection.
        subsystem: the one that a client may ask for.
        begin: is told when it was asked for and granted.
        gone: is told when the channel is gone.
    """

    def __init__(
        self,
        line: Line,
        subsystem: str,
        begin: Callable[[SshStream], None],
        gone: Callable[["_ServedStream"], None],
    ) -> None:
        super().__init__(line, subsystem)
        self._begin: Final = begin
        self._gone: Final = gone
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, chan: Any) -> None:  # noqa: ANN401  # as there
        """The channel is opened."""
        super().connection_made(chan)
        self._idle = asyncio.get_running_loop().call_later(limits.SSH_SUBSYSTEM_TIME, chan.abort)

    def session_started(self) -> None:
        """The client waits for the subsystem's first bytes."""
        self._awaited()
        self._begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone."""
        self._awaited()
        super().connection_lost(exc)
        self._gone(self)

    def _awaited(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

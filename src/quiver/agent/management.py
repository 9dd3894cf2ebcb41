"""The management plane: NETCONF over SSH (RFC 6242) and over TLS (RFC 7589), for those whom local policy names.

Who a caller is, its key or its certificate says; what its role is, this node's configuration says. A certificate's role has to be
the one that the configuration gives its owner.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

import asyncssh
import structlog

from quiver.agent.config_management import ManagementTable, UserTable
from quiver.agent.engine import Engine
from quiver.agent.management_entries import Edit, edits_of
from quiver.agent.management_running import Running
from quiver.agent.management_sessions import Caller, Sessions, moment
from quiver.agent.management_state import OperationalState
from quiver.agent.management_term import LASTING, WRITES, FencedDatastores
from quiver.agent.surroundings import SystemClock
from quiver.domain import limits
from quiver.domain.errors import LimitError, StorageError
from quiver.domain.events import NumberedEvent
from quiver.identity.pki import write_new
from quiver.net import tls
from quiver.net.addresses import ListenAddress
from quiver.net.places import Places
from quiver.net.ssh import SshServer
from quiver.net.ssh_policy import (
    POST_QUANTUM,
    WITH_CLASSICAL,
    fingerprint,
    make_host_key,
    public_line,
    read_private_key,
)
from quiver.net.ssh_stream import SshStream
from quiver.net.tls_stream import TlsServer, TlsStream
from quiver.protocols.netconf.access import Access, Role
from quiver.protocols.netconf.change import difference
from quiver.protocols.netconf.datastores import load
from quiver.protocols.netconf.server import Server
from quiver.protocols.netconf.tree import Branch
from quiver.protocols.yang.etsi_events import etsi_events_to_xml
from quiver.protocols.yang.events import event_to_xml
from quiver.protocols.yang.library import node_schema

__all__ = ["ManagementPlane", "host_key"]

_log = structlog.get_logger("quiver.agent.management")

_PLANE: Final = "management"


def host_key(path: Path, node: str) -> asyncssh.SSHKey:
    """The server's own SSH key: Ed25519, made at the first start (0600), its public part in `.pub` beside it.

    Raises:
        ConfigurationError: it cannot be made or read, or others may read it.
    """
    if not path.exists():
        private, public = make_host_key(f"quiver {node}")
        write_new(path, private, 0o600)
        shown = path.with_name(f"{path.name}.pub")
        shown.unlink(missing_ok=True)
        write_new(shown, f"{public} {node}\n".encode(), 0o644)
    return read_private_key(path)


class ManagementPlane:
    """NETCONF sessions of one agent, over all transports that its configuration has.

    Args:
        table: who may come, and where.
        engine: of the node.
        running: its running configuration.
        key: the SSH server's own.
        models: QKD link → vendor of this end's device.

    Raises:
        ConfigurationError: a file is wrong, or the stored configuration does not fit the schema.
    """

    def __init__(
        self,
        table: ManagementTable,
        engine: Engine,
        running: Running,
        key: asyncssh.SSHKey,
        *,
        models: Mapping[str, str] | None = None,
    ) -> None:
        self._engine: Final = engine
        self._state: Final = OperationalState(engine, models or {}, SystemClock())
        self._running: Final = running
        self._users: Final[dict[str, UserTable]] = {}
        self._keys: Final[dict[str, frozenset[bytes]]] = {}
        self._admit(table.users)
        schema = node_schema()
        access = Access(schema, WRITES)
        self._stores: Final = FencedDatastores(
            schema, load(schema, running.documents()), access, running.check, LASTING
        )
        self.sessions: Final = Sessions(Server(self._stores, access, self._state, moment()), running.take)
        self._tls_places: Final = self._connections()
        self._session_places: Final = Places(
            limits.NETCONF_SESSIONS,
            each=limits.NETCONF_SESSIONS_PER_USER,
            kept=limits.NETCONF_SESSIONS_KEPT,
            favoured=self._is_controller,
        )
        self._stack: Final = AsyncExitStack()
        self.ssh: Final = self._ssh_server(table.ssh_listen, table, key)
        self.tls: Final = self._tls_server(table.tls_listen, table)

    def _ssh_server(
        self, listen: ListenAddress | None, table: ManagementTable, key: asyncssh.SSHKey
    ) -> SshServer | None:
        if listen is None:
            return None
        return SshServer(
            self._over_ssh,
            keys=self._keys,
            host_key=key,
            policy=WITH_CLASSICAL if table.allow_classical else POST_QUANTUM,
            plane=_PLANE,
            host=listen.host,
            port=listen.port,
            places=self._connections(),
        )

    def _tls_server(self, listen: ListenAddress | None, table: ManagementTable) -> TlsServer | None:
        if listen is None:
            return None
        context = tls.management_server(table.credentials, table.trust, classical=table.classical)
        return TlsServer(self._over_tls, tls=context, plane=_PLANE, host=listen.host, port=listen.port)

    async def start(self) -> None:
        """Listen, and tell subscribers of the node's events from now on.

        Raises:
            ConfigurationError: an address cannot be listened on.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._engine.listen(self._hear))
            for server in (self.ssh, self.tls):
                if server is not None:
                    await server.start()
                    stack.push_async_callback(server.stop)
            stack.push_async_callback(self._end)
            self._stack.push_async_callback(stack.pop_all().aclose)

    async def stop(self) -> None:
        """Carry changes under way to their end, close all sessions, listen no more."""
        await self._stack.aclose()

    async def _end(self) -> None:
        await self.sessions.close("the agent stops")

    def adopt(self, users: Sequence[UserTable], models: Mapping[str, str]) -> None:
        """Take over other users and links. Who is no longer listed, or not with this key or role, is let go of; others stay.

        Args:
            users: all of them.
            models: QKD link → vendor of this end's device.
        """
        self._state.models = models
        self._admit(users)
        if self.ssh is not None:
            self.ssh.expel()
        self.sessions.end(self._is_stranger, "local policy has changed")

    def _is_stranger(self, caller: Caller) -> bool:
        known = self._users.get(caller.user)
        return known is None or Role(known.role) is not caller.role

    async def withdraw(self, entries: Collection[Edit]) -> None:
        """Take entries away that local policy does not allow any more, for all sessions.

        Raises:
            StorageError: it was not possible now; nothing was changed.
        """
        places = {edit.place for edit in entries}
        everything = difference(Branch(self._stores.schema.root, {}), self._stores.running)
        self._stores.withdraw(change.path for change in everything if edits_of((change,))[0].place in places)
        await self.sessions.pursue(lambda: not self._stores.withdrawing)
        if not places.isdisjoint(self._running.places()):
            raise StorageError("entries that local policy does not allow could not be taken away")

    def _admit(self, users: Sequence[UserTable]) -> None:
        self._users.clear()
        self._keys.clear()
        self._users.update({user.name: user for user in users})
        self._keys.update({user.name: frozenset(key.public_data for key in user.keys) for user in users})

    # --- who comes ------------------------------------------------------------------------------------------------

    async def _over_ssh(self, user: str, stream: SshStream) -> None:
        known = self._users.get(user)  # it was there when it logged in; the configuration may be another one now
        if known is not None:
            await self._serve(known, "ssh", stream)

    async def _over_tls(self, stream: TlsStream) -> None:
        names = stream.facts.names
        known = self._users.get(names.identity or "")
        if (reason := _wrong(known, names.role)) is not None:
            _log.warning("login refused", plane=_PLANE, reason=reason, user=str(names), peer=stream.peer)
            return
        assert known is not None
        with self._place(self._tls_places, known.name, stream.peer) as granted:
            if granted:
                await self._serve(known, "tls", stream)

    async def _serve(self, known: UserTable, transport: str, stream: SshStream | TlsStream) -> None:
        peer = stream.peer
        with self._place(self._session_places, known.name, peer) as granted:
            if granted:
                await self.sessions.serve(Caller(known.name, Role(known.role), transport, peer), stream)

    # --- how many come --------------------------------------------------------------------------------------------

    def _connections(self) -> Places:
        return Places(
            limits.MANAGEMENT_CONNECTIONS - limits.MANAGEMENT_HANDSHAKES,
            each=limits.MANAGEMENT_PER_USER,
            kept=limits.MANAGEMENT_KEPT,
            favoured=self._is_controller,
        )

    def _is_controller(self, user: str) -> bool:
        known = self._users.get(user)
        return known is not None and Role(known.role) is Role.CONTROLLER

    @contextmanager
    def _place(self, places: Places, user: str, peer: str) -> Iterator[bool]:
        """Whether there was a place, which is kept meanwhile."""
        try:
            places.take(user)
        except LimitError as error:
            _log.warning("session refused", plane=_PLANE, reason=error.message, user=user, peer=peer)
            yield False
            return
        try:
            yield True
        finally:
            places.give(user)

    # --- what it tells --------------------------------------------------------------------------------------------

    def _hear(self, run: str, event: NumberedEvent) -> None:
        self.sessions.publish(event_to_xml(event, run))
        for notification in etsi_events_to_xml(event, self._engine.node.network.node):
            self.sessions.publish(notification)


def _wrong(known: UserTable | None, role: str | None) -> str | None:
    if known is None:
        return "unknown user: the certificate is valid, and the configuration names nobody like that"
    if known.role != role:
        return f"wrong role: the certificate says {role}, the configuration {known.role}"
    return None


def told(plane: ManagementPlane, key: asyncssh.SSHKey) -> dict[str, str | int | None]:
    """Where it listens and how its SSH server is known, for the agent's first line."""
    listening = {"ssh": plane.ssh, "tls": plane.tls}
    found: dict[str, str | int | None] = {}
    for name, server in listening.items():
        host, port = cast("tuple[str | None, int | None]", server.address) if server is not None else (None, None)
        found |= {f"netconf_{name}_host": host, f"netconf_{name}_port": port}
    if plane.ssh is not None:
        found |= {"ssh_host_key": public_line(key), "ssh_fingerprint": fingerprint(key)}
    return found

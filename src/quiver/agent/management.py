"""The management plane: NETCONF over SSH (RFC 6242) and over TLS (RFC 7589), for those whom local policy names.

Who a caller is, its key or its certificate says; what its role is, this node's configuration says. A certificate's role has to be
the one that the configuration gives its owner.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path
from typing import Final, cast

import asyncssh
import structlog

from quiver.agent.config_management import ManagementTable, UserTable
from quiver.agent.engine import Engine
from quiver.agent.management_running import Running
from quiver.agent.management_sessions import Caller, Sessions, moment
from quiver.agent.management_term import LASTING, WRITES, FencedDatastores
from quiver.domain.events import NumberedEvent
from quiver.domain.report import NodeReport
from quiver.identity.pki import write_new
from quiver.net import tls
from quiver.net.addresses import ListenAddress
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
from quiver.protocols.netconf.datastores import load
from quiver.protocols.netconf.operations import Wanted
from quiver.protocols.netconf.server import Server
from quiver.protocols.netconf.xml import Element, element, qualified
from quiver.protocols.yang.etsi_events import etsi_events_to_xml
from quiver.protocols.yang.etsi_node import NodeFacts, etsi_node_to_xml
from quiver.protocols.yang.events import event_to_xml
from quiver.protocols.yang.library import node_schema
from quiver.protocols.yang.names import ETSI_NODE, KMS
from quiver.protocols.yang.report import report_to_xml

__all__ = ["ManagementPlane", "host_key"]

_log = structlog.get_logger("quiver.agent.management")

_PLANE: Final = "management"
_KMS: Final = qualified(KMS, "kms")
_ETSI: Final = qualified(ETSI_NODE, "qkd_node")
_RATE_TIME: Final = 5.0  # seconds, at least, over which the rate of a link's keys is measured


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
        self._state: Final = _State(engine, models or {})
        self._running: Final = running
        self._users: Final[dict[str, UserTable]] = {}
        self._keys: Final[dict[str, frozenset[bytes]]] = {}
        self._admit(table.users)
        self.sessions = self._fresh()
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

    async def adopt(self, users: Sequence[UserTable]) -> None:
        """Take over other users; where somebody lost something, all sessions end."""
        lost = any(user not in users for user in self._users.values())
        self._admit(users)
        if lost:
            await self.renew()

    async def renew(self) -> None:
        """End all sessions; those that come now see what the node works by now."""
        former, self.sessions = self.sessions, self._fresh()
        await former.close("local policy has changed")

    def _admit(self, users: Sequence[UserTable]) -> None:
        self._users.clear()
        self._keys.clear()
        self._users.update({user.name: user for user in users})
        self._keys.update({user.name: frozenset(key.public_data for key in user.keys) for user in users})

    def _fresh(self) -> Sessions:
        """Sessions on a datastore that holds what the node works by now."""
        schema, running = node_schema(), self._running
        access = Access(schema, WRITES)
        stores = FencedDatastores(schema, load(schema, running.documents()), access, running.check, LASTING)
        return Sessions(Server(stores, access, self._state, moment()), running.take)

    # --- who comes ------------------------------------------------------------------------------------------------

    async def _over_ssh(self, user: str, stream: SshStream) -> None:
        known = self._users.get(user)  # it was there when it logged in; the configuration may be another one now
        if known is not None:
            await self.sessions.serve(Caller(user, Role(known.role), "ssh", stream.peer), stream)

    async def _over_tls(self, stream: TlsStream) -> None:
        names = stream.facts.names
        known = self._users.get(names.identity or "")
        if (reason := _wrong(known, names.role)) is not None:
            _log.warning("login refused", plane=_PLANE, reason=reason, user=str(names), peer=stream.peer)
            return
        assert known is not None
        await self.sessions.serve(Caller(known.name, Role(known.role), "tls", stream.peer), stream)

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


class _State:
    """Gives the operational state.

    Args:
        engine: of the node.
        models: QKD link → vendor of this end's device.
    """

    def __init__(self, engine: Engine, models: Mapping[str, str]) -> None:
        self._engine: Final = engine
        self._models: Final = models
        self._version: Final = metadata.version("quiver-qkd")
        self._since = 0.0
        self._collected: dict[str, int] = {}
        self._rates: dict[str, float] = {}

    def __call__(self, wanted: Wanted) -> Iterator[Element]:
        """The trees that are asked for."""
        if not wanted(_KMS) and not wanted(_ETSI):
            return
        report = self._engine.report()
        if wanted(_KMS):
            kms = element(_KMS)
            kms.append(report_to_xml(report))
            yield kms
        if wanted(_ETSI):
            self._measure(report)
            paths = self._engine.node.network.paths
            facts = NodeFacts(paths=paths, rates=self._rates, models=self._models, version=self._version)
            yield etsi_node_to_xml(report, facts)

    def _measure(self, report: NodeReport) -> None:
        """Bits per second of each link since the last time; a link that is new to us has none yet."""
        now = time.monotonic()
        if (seconds := now - self._since) < _RATE_TIME:
            return
        collected = {link.id: link.collected for link in report.links}
        self._rates = {
            link: max(0.0, 8 * (count - self._collected[link]) / seconds)
            for link, count in collected.items()
            if link in self._collected
        }
        self._since, self._collected = now, collected


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

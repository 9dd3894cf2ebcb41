"""Sessions with real agents: NETCONF over TLS or SSH, one session to read and edit, a second one for events (RFC 5277)."""

import re
from collections.abc import AsyncGenerator
from typing import Final

import asyncssh
import structlog

from quiver.controller.agents import OrderRefusedError
from quiver.controller.config_tables import ManagementTable
from quiver.controller.endpoints import AgentTable
from quiver.domain.errors import ConfigurationError, NetconfError, RemoteError
from quiver.domain.events import NumberedEvent
from quiver.domain.report import NodeReport
from quiver.domain.sdn.orders import Edit, Failure
from quiver.net import tls
from quiver.net.netconf_client import NetconfClient
from quiver.net.ssh_policy import public_key, read_private_key
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.xml import Element, base, child, element, namespace_of, qualified
from quiver.protocols.yang.entries import address_to_xml, path_to_xml, split_key
from quiver.protocols.yang.events import event_from_xml
from quiver.protocols.yang.names import KMS
from quiver.protocols.yang.report import report_from_xml

__all__ = ["NetconfAgent", "NetconfConnector", "edit_to_xml", "stamp_to_xml"]

_log = structlog.get_logger("quiver.controller.agents")

_STALE: Final = "stale-term"  # error-app-tag of an edit under a term that is too low, as `quiver-kms` says
_PASSING: Final = frozenset({Tag.IN_USE, Tag.LOCK_DENIED, Tag.RESOURCE_DENIED})  # the same edit may be taken later
_PATH_KEYS: Final = ("virtual-link", "number", "version")
_PREDICATE: Final = re.compile(r"""\[(?:[\w.-]+:)?([\w-]+)=(?:'([^']*)'|"([^"]*)")\]""")
_PLACE: Final = 2048  # characters of an error-path that are looked at; a path entry's has some 300


class NetconfConnector:
    """The `Connector` of a configuration.

    Args:
        table: how the controller shows itself.
        user: its name at agents over SSH.

    Raises:
        ConfigurationError: a certificate or key cannot be read.
    """

    def __init__(self, table: ManagementTable, user: str) -> None:
        self._source: Final = table.source
        self._user: Final = user
        self._tls: Final = tls.management_client(table.credentials, table.trust) if table.credentials else None
        self._key: Final = read_private_key(table.ssh_key) if table.ssh_key is not None else None

    async def connect(self, agent: AgentTable) -> "NetconfAgent":
        """As `Connector.connect`."""
        orders = await self._client(agent)
        try:
            events = await self._client(agent)
            try:
                await events.subscribe()
            except BaseException:
                await events.close()
                raise
        except NetconfError as error:
            await orders.close()
            raise RemoteError(f"it refuses to tell its events: {error.message}") from None
        except BaseException:
            await orders.close()
            raise
        return NetconfAgent(agent.id, orders, events)

    async def _client(self, agent: AgentTable) -> NetconfClient:
        address = agent.address
        try:
            if agent.tls is not None:
                if self._tls is None:
                    raise RemoteError("this controller has no certificate for agents over TLS")
                context = self._tls.expecting(tls.quiver_uri("node", agent.id))
                return await NetconfClient.over_tls(address.host, address.port, tls=context, source=self._source)
            return await self._over_ssh(agent)
        except (NetconfError, ConfigurationError) as error:
            raise RemoteError(error.message) from None

    async def _over_ssh(self, agent: AgentTable) -> NetconfClient:
        if self._key is None:
            raise RemoteError("this controller has no key for agents over SSH")
        pinned: list[asyncssh.SSHKey] = [public_key(line) for line in agent.host_keys]
        address = agent.address
        return await NetconfClient.over_ssh(
            address.host, address.port, user=self._user, key=self._key, host_keys=pinned, source=self._source
        )


class NetconfAgent:
    """An `AgentSession` over two NETCONF sessions.

    Args:
        node: whom they are with.
        orders: to read and edit.
        events: subscribed.
    """

    def __init__(self, node: str, orders: NetconfClient, events: NetconfClient) -> None:
        self._node: Final = node
        self._orders: Final = orders
        self._events: Final = events
        self._coming: Final = _numbered(node, events)

    async def stamp(self, term: int) -> None:
        """As `AgentSession.stamp`."""
        await self._edit(stamp_to_xml(term))

    async def read(self) -> NodeReport:
        """As `AgentSession.read`."""
        wanted = element(qualified(KMS, "kms"))
        child(wanted, "state")
        try:
            data = await self._orders.get(wanted)
        except NetconfError as error:
            raise RemoteError(f"it refuses to be read: {error.message}") from None
        if len(data) != 1:
            raise RemoteError("its reply has no state")
        return report_from_xml(data[0])

    async def edit(self, edit: Edit) -> None:
        """As `AgentSession.edit`."""
        await self._edit(edit_to_xml(edit))

    async def _edit(self, config: Element) -> None:
        try:
            await self._orders.edit(config, error_option="rollback-on-error")
        except RpcError as error:
            raise OrderRefusedError(error.message, *_outcome(error)) from None
        except NetconfError as error:
            raise RemoteError(error.message) from None

    async def event(self) -> tuple[str, NumberedEvent]:
        """As `AgentSession.event`."""
        try:
            return await anext(self._coming)
        except StopAsyncIteration:
            raise RemoteError("it has ended the session of its events") from None

    async def close(self) -> None:
        """As `AgentSession.close`."""
        await self._coming.aclose()
        for client in (self._events, self._orders):
            await client.close()


async def _numbered(node: str, client: NetconfClient) -> AsyncGenerator[tuple[str, NumberedEvent], None]:
    async for notified in client.notifications():
        if namespace_of(notified.event.tag) != KMS:  # the ETSI ones say the same in other words
            continue
        try:
            numbered = event_from_xml(notified.event)
        except RemoteError as error:  # its number is missed, and the agent read as a whole
            _log.warning("event passed over", node=node, reason=error.message)
            continue
        yield numbered


def stamp_to_xml(term: int) -> Element:
    """The configuration that makes an agent accept a controller term."""
    kms = element(qualified(KMS, "kms"))
    child(child(kms, "controller"), "term", str(term))
    return kms


def edit_to_xml(edit: Edit) -> Element:
    """The configuration of an edit, with its term and with an operation at each entry (RFC 6241 section 7.2)."""
    kms = stamp_to_xml(edit.term)
    if edit.addresses or edit.forget:
        directory = child(kms, "directory")
        for node, address in sorted(edit.addresses.items()):
            directory.append(_marked(address_to_xml(node, address), "replace"))
        for node in edit.forget:
            former = child(directory, "node")
            child(former, "id", node)
            _marked(former, "remove")
    for entry in edit.put:
        kms.append(_marked(path_to_xml(entry), "replace"))
    for key in edit.remove:
        gone = child(kms, "path")
        for name, value in zip(_PATH_KEYS, split_key(key), strict=True):
            child(gone, name, value)
        _marked(gone, "remove")
    return kms


def _marked(entry: Element, operation: str) -> Element:
    entry.set(base("operation"), operation)
    return entry


def _outcome(error: RpcError) -> tuple[Failure, str]:
    """What a refusal means to the controller, and the key of the path entry that it is about."""
    keys = {name: one or other for name, one, other in _PREDICATE.findall(error.path_text[:_PLACE])}
    about = "/".join(keys[name] for name in _PATH_KEYS) if keys.keys() >= set(_PATH_KEYS) else ""
    if error.app_tag == _STALE:
        return Failure.STALE_TERM, ""
    passing = error.tag in _PASSING or (error.tag is Tag.OPERATION_FAILED and not error.path_text)
    return (Failure.UNANSWERED if passing else Failure.REFUSED), about

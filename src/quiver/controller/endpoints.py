"""Where the controller finds an agent's NETCONF server, and how it knows that it is the right one."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.net.addresses import Address
from quiver.net.config_file import Table
from quiver.net.ssh_policy import public_key
from quiver.net.tls import quiver_uri

__all__ = ["AgentTable", "Registrar", "check_agent"]


class Registrar(StrEnum):
    """Who made an agent known to the controller."""

    FILE = "file"
    OPERATOR = "operator"


class AgentTable(Table, frozen=True, kw_only=True):
    """One agent: as a table of the configuration, and as a resource of the northbound interface.

    Attributes:
        id: of its node.
        tls: address of its NETCONF server over TLS, whose certificate has to name the node; or
        ssh: address of its NETCONF server over SSH, with
        host_keys: its public host keys, one of which it has to show, as OpenSSH writes them.
        peer: address of its peer plane, told to the nodes of its paths; none where their own files hold it.
    """

    id: str
    tls: Address | None = None
    ssh: Address | None = None
    host_keys: Annotated[tuple[str, ...], Meta(max_length=limits.SSH_KEYS_PER_USER)] = ()
    peer: Address | None = None

    @property
    def address(self) -> Address:
        """Of its NETCONF server."""
        address = self.tls if self.tls is not None else self.ssh
        assert address is not None
        return address

    @property
    def told(self) -> str:
        """What the nodes of its paths are told of its peer plane; empty where they are told nothing."""
        return str(self.peer) if self.peer is not None else ""


def check_agent(agent: AgentTable, where: str) -> None:
    """What such a table has to be beyond its types.

    Raises:
        ConfigurationError: it is not; it names the key.
    """
    try:
        quiver_uri("node", agent.id)
    except ValueError as error:
        raise ConfigurationError(f"{where}.id: {agent.id!r} is not allowed; {error}") from None
    if (agent.tls is None) == (agent.ssh is None):
        raise ConfigurationError(f"{where}: one address is needed, tls or ssh")
    if agent.ssh is not None and not agent.host_keys:
        raise ConfigurationError(
            f"{where}.host_keys: missing; a server's host key is never trusted because it was seen"
        )
    if agent.tls is not None and agent.host_keys:
        raise ConfigurationError(f"{where}.host_keys: only with ssh")
    for i, line in enumerate(agent.host_keys):
        try:
            public_key(line)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}.host_keys[{i}]: {error.message}") from None

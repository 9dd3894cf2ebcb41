"""The configuration of an agent, a TOML file. Paths in it are relative to the file.

[node]
id = "alice"
state = "state"                 # directory (0700): key database, identity key

[peer]                          # towards other agents
listen = "192.0.2.1:8443"       # or "[2001:db8::1]:8443"
source = "192.0.2.1"            # of outgoing calls; may be left out
certificate = "node-alice.pem"  # ML-DSA-65
private_key = "node-alice.key"
trust = "nodes-ca.pem"

[sae]                           # towards SAEs: one listener, two certificates
listen = "198.51.100.1:443"
certificate = "kme-alice.pem"   # ECDSA; with require_pq both may be left out
private_key = "kme-alice.key"
pq_certificate = "kme-pq-alice.pem"
pq_private_key = "kme-pq-alice.key"
trust = ["saes-ca.pem", "saes-pq-ca.pem"]
require_pq = false              # true: refuse SAEs without post-quantum TLS

[device]                        # towards the QKD devices of this site
source = "10.0.0.1"             # may be left out
certificate = "device-client-alice.pem"
private_key = "device-client-alice.key"
trust = "devices-ca.pem"

[metrics]                       # plain HTTP; without this table there are none
listen = "127.0.0.1:9100"

[management]                    # NETCONF; without this table there is none
ssh_listen = "10.1.0.1:830"     # one of the two may be left out
tls_listen = "10.1.0.1:6513"
certificate = "management-alice.pem"    # ML-DSA-65; this and the next two with tls_listen only
private_key = "management-alice.key"
trust = ["management-ca.pem"]
allow_classical = false         # true: serve clients without post-quantum algorithms too; over TLS they need
# classical_certificate = "management-classical-alice.pem"     # ECDSA, and its authority in trust
# classical_private_key = "management-classical-alice.key"

[[management.users]]            # each who may connect; over TLS by a certificate for urn:quiver:ROLE:NAME
name = "controller-1"
role = "controller"             # controller, operator or auditor
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrcw/DN+kFwuwfsNg14a+RGGWSMeDGpRu4OVgGa/aOF"]

[policy]                        # what no controller can override; may be left out
excluded_nodes = ["mallory"]    # no path from a controller passes them

[randomness]                    # a generator beside the operating system; may be left out
generator = "/dev/hwrng"        # character device or named pipe; its bytes are XORed to the system's
required = true                 # make no fresh key while it gives none; false: the operating system's alone, with an alarm
min_entropy = 1.0               # bits of each byte, as its maker says, for the health tests

[delivery]                      # may be left out, as the next
wait = 2.0                      # seconds that a request waits for pad; 0: not at all

[log]
level = "INFO"                  # DEBUG, INFO, WARNING or ERROR

[[links]]                       # each QKD link that ends here
id = "a-b"
neighbour = "bob"
channel = "198.18.0.2:8443"     # bob's peer plane along this link; may be left out: as [directory] says
level = 1048576                 # bytes of own pad after which this end stops collecting; may be left out
collect = true                  # whether this end may ask its device for new keys; may be left out
device = { url = "https://10.0.0.2", peer_sae_id = "bob", server_name = "KME-7", profile = "alder" }

[[paths]]                       # each path version that passes here, equal at every node on it
virtual_link = "alice-carol"
path = 1
version = 1
nodes = ["alice", "bob", "carol"]
depth = 262144                  # bytes; may be left out, as the next two
rate = 0                        # bits per second
priority = 1

[directory]
nodes = { bob = "192.0.2.2:8443", carol = "carol.example:8443" }
saes = { sae-1 = "alice", sae-2 = "carol" }
permitted = [["sae-1", "sae-2"]]
"""

from pathlib import Path
from typing import Final

from quiver.agent.config_management import ManagementTable, PolicyTable, check_management
from quiver.agent.config_tables import (
    DeliveryTable,
    DeviceTable,
    DirectoryTable,
    LinkTable,
    NodeTable,
    PeerTable,
    RandomnessTable,
    SaeTable,
)
from quiver.domain.errors import ConfigurationError, RequestError
from quiver.domain.network import Directory, Network, PathEntry
from quiver.net.addresses import Address
from quiver.net.config_file import LogTable, MetricsTable, Table, path_hook, read_config
from quiver.net.tls import quiver_uri
from quiver.protocols.etsi014_urls import check_sae_id
from quiver.protocols.toml import decode_toml
from quiver.qkd.client import DeviceClient
from quiver.qkd.profiles import LINK_NAME

__all__ = ["AgentConfig", "parse_agent", "read_agent"]


class AgentConfig(Table, frozen=True, kw_only=True):
    """All of it, paths absolute."""

    node: NodeTable
    peer: PeerTable
    sae: SaeTable
    device: DeviceTable
    metrics: MetricsTable | None = None
    management: ManagementTable | None = None
    policy: PolicyTable = PolicyTable()
    randomness: RandomnessTable | None = None
    delivery: DeliveryTable = DeliveryTable()
    log: LogTable = LogTable()
    links: tuple[LinkTable, ...] = ()
    paths: tuple[PathEntry, ...] = ()
    directory: DirectoryTable = DirectoryTable()

    @property
    def database(self) -> Path:
        """The key database."""
        return self.node.state / "keys.sqlite"

    @property
    def mac_key(self) -> Path:
        """The key under which the node vouches for its commit numbers (rule 2); never restored with the database."""
        return self.node.state / "identity.key"

    @property
    def provision_database(self) -> Path:
        """What has come over NETCONF; apart from the key database, so that neither takes the other down with it."""
        return self.node.state / "configuration.sqlite"

    @property
    def ssh_host_key(self) -> Path:
        """The NETCONF server's own SSH key, Ed25519; `.pub` beside it is for its clients."""
        return self.node.state / "ssh_host_key"

    @property
    def channels(self) -> dict[str, Address]:
        """Link → where the neighbour's peer plane is reached along it, for links that have a way of their own."""
        return {link.id: link.channel for link in self.links if link.channel is not None}

    @property
    def excluded(self) -> frozenset[str]:
        """Nodes that no path from a controller may pass."""
        return frozenset(self.policy.excluded_nodes)

    def network(self) -> Network:
        """The network as this node sees it.

        Raises:
            ConfigurationError: a path does not fit this node or its links.
        """
        return Network(
            node=self.node.id,
            links=tuple(link.entry for link in self.links),
            paths=self.paths,
            directory=Directory(
                homes=dict(self.directory.saes), pairs=frozenset(frozenset(pair) for pair in self.directory.permitted)
            ),
            wait=self.delivery.wait,
        )


def read_agent(path: Path) -> AgentConfig:
    """An agent's configuration from a file.

    Raises:
        ConfigurationError: the file cannot be read, or as `parse_agent`; it names the file.
    """
    return read_config(path, parse_agent)


def parse_agent(text: str, base: Path) -> AgentConfig:
    """An agent's configuration from TOML, its paths made absolute with `base`.

    Raises:
        ConfigurationError: it is no TOML, a key is unknown, missing or out of range, or what it says contradicts itself; it
            names the key.
    """
    config = decode_toml(text, AgentConfig, path_hook(base))
    _check_names(config)
    _check_links(config)
    if (config.sae.certificate is None) != (config.sae.private_key is None):
        raise ConfigurationError("sae: certificate and private_key belong together")
    if config.sae.certificate is None and not config.sae.require_pq:
        raise ConfigurationError("sae.certificate: missing; only with require_pq = true it may be left out")
    check_management(config.management, config.policy, config.node.id)
    config.network()
    return config


def _check_names(config: AgentConfig) -> None:
    """All ids are such that certificates, URLs and file names can hold them."""
    directory: Final = config.directory
    for field, node in [
        ("node.id", config.node.id),
        *((f"links[{i}].neighbour", link.neighbour) for i, link in enumerate(config.links)),
        *(("directory.nodes", node) for node in directory.nodes),
        *((f"directory.saes.{sae}", node) for sae, node in directory.saes.items()),
    ]:
        try:
            quiver_uri("node", node)
        except ValueError as error:
            raise ConfigurationError(f"{field}: {node!r} is not allowed; {error}") from None
    try:
        for sae in directory.saes:
            check_sae_id(sae, "directory.saes")
    except RequestError as error:
        raise ConfigurationError(error.message) from None
    for i, (one, other) in enumerate(directory.permitted):
        if one == other:
            raise ConfigurationError(f"directory.permitted[{i}]: two different SAEs are needed, not {one!r} twice")


def _check_links(config: AgentConfig) -> None:
    known: Final[set[str]] = set()
    for i, link in enumerate(config.links):
        where = f"links[{i}]"
        if not LINK_NAME.fullmatch(link.id):
            raise ConfigurationError(f"{where}.id: 1 to 64 letters, digits, '.', '_' and '-' are allowed")
        if link.id in known:
            raise ConfigurationError(f"{where}.id: {link.id!r} is named twice")
        known.add(link.id)
        if link.neighbour == config.node.id:
            raise ConfigurationError(f"{where}.neighbour: the node at the other end is needed, not this one")
        try:
            link.device.dialect  # noqa: B018  # raises for an unknown profile
            DeviceClient(link.device.url, link.device.peer_sae_id)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}.device: {error.message}") from None

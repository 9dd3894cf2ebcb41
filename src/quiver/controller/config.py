"""The configuration of a controller, a TOML file. Paths in it are relative to the file.

[controller]
id = "controller-1"
state = "state"                 # directory (0700): its database
poll = 5.0                      # seconds between two reads of an agent; may be left out

[management]                    # towards agents
source = "192.0.2.10"           # of outgoing calls; may be left out
certificate = "controller-controller-1.pem"  # ML-DSA-65, role controller; for agents over TLS
private_key = "controller-controller-1.key"
trust = ["management-ca.pem"]
ssh_key = "controller-ssh.key"  # for agents over SSH
ssh_user = "controller-1"       # may be left out: the id

[northbound]                    # towards operators and auditors
listen = "192.0.2.10:8444"      # or "[2001:db8::10]:8444"
certificate = "northbound-controller-1.pem"  # ML-DSA-65
private_key = "northbound-controller-1.key"
classical_certificate = "northbound-classical-controller-1.pem"  # only with allow_classical
classical_private_key = "northbound-classical-controller-1.key"
trust = ["management-ca.pem", "management-classical-ca.pem"]
allow_classical = true          # may be left out: false, and clients without post-quantum TLS are refused

[metrics]                       # plain HTTP; without this table there are none
listen = "127.0.0.1:9101"

[log]                           # may be left out
level = "INFO"                  # DEBUG, INFO, WARNING or ERROR

[[agents]]                      # each node; operators can add more while the controller runs
id = "alice"
tls = "192.0.2.1:6513"          # NETCONF over TLS; or
# ssh = "192.0.2.1:830"         # over SSH, with
# host_keys = ["ssh-ed25519 AAAA..."]  # one of which it has to show
peer = "192.0.2.1:8443"         # told to the nodes of its paths; may be left out where their files hold it

[[demands]]                     # each virtual link that is to be served; operators can add more
name = "alice-carol"
source = "alice"
destination = "carol"
rate = 0                        # bits per second of each hop; may be left out, as all that follow
depth = 262144                  # bytes of pad to hold ready ahead of demand
priority = 1                    # class, 0 the highest
paths = 1                       # which share no node but their ends
excluded = []                   # nodes that none of them may pass
hops = 63                       # most of one path
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from quiver.controller.config_tables import ControllerTable, DemandTable, ManagementTable, NorthboundTable
from quiver.controller.endpoints import AgentTable, check_agent
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.sdn.demands import Demand, Origin
from quiver.net.config_file import LogTable, MetricsTable, Table, path_hook, read_config
from quiver.net.tls import quiver_uri
from quiver.protocols.toml import decode_toml

__all__ = ["ControllerConfig", "check_transport", "parse_controller", "read_controller"]


class ControllerConfig(Table, frozen=True, kw_only=True):
    """All of it, paths absolute."""

    controller: ControllerTable
    management: ManagementTable
    northbound: NorthboundTable
    metrics: MetricsTable | None = None
    log: LogTable = LogTable()
    agents: tuple[AgentTable, ...] = ()
    demands: tuple[DemandTable, ...] = ()

    @property
    def database(self) -> Path:
        """What must last."""
        return self.controller.state / "controller.sqlite"

    @property
    def ssh_user(self) -> str:
        """The controller's name at agents over SSH."""
        return self.management.ssh_user or self.controller.id

    def wanted(self) -> tuple[Demand, ...]:
        """The file's demands.

        Raises:
            ConfigurationError: one is out of range; it names the key.
        """
        made: Final[list[Demand]] = []
        for i, table in enumerate(self.demands):
            try:
                made.append(table.demand(Origin.FILE))
            except ConfigurationError as error:
                raise ConfigurationError(f"demands[{i}]: {error.message}") from None
        return tuple(made)


def read_controller(path: Path) -> ControllerConfig:
    """A controller's configuration from a file.

    Raises:
        ConfigurationError: the file cannot be read, or as `parse_controller`; it names the file.
    """
    return read_config(path, parse_controller)


def parse_controller(text: str, base: Path) -> ControllerConfig:
    """A controller's configuration from TOML, its paths made absolute with `base`.

    Raises:
        ConfigurationError: it is no TOML, a key is unknown, missing or out of range, or what it says contradicts itself; it
            names the key.
    """
    config = decode_toml(text, ControllerConfig, path_hook(base))
    try:
        quiver_uri("controller", config.controller.id)
    except ValueError as error:
        raise ConfigurationError(f"controller.id: {config.controller.id!r} is not allowed; {error}") from None
    _check_management(config.management)
    _check_northbound(config.northbound)
    if len(config.agents) > limits.CONTROLLED_NODES:
        raise ConfigurationError(f"agents: at most {limits.CONTROLLED_NODES} are allowed")
    for i, agent in enumerate(config.agents):
        check_agent(agent, f"agents[{i}]")
        check_transport(agent, config.management, f"agents[{i}]")
    _check_once("agents", "id", (agent.id for agent in config.agents))
    _check_once("demands", "name", (demand.name for demand in config.demands))
    config.wanted()
    return config


def check_transport(agent: AgentTable, management: ManagementTable, where: str) -> None:
    """Whether the controller has what it needs to reach an agent.

    Raises:
        ConfigurationError: it has not; it names the missing key.
    """
    if agent.tls is not None and management.certificate is None:
        raise ConfigurationError(f"{where}.tls: needs management.certificate, private_key and trust")
    if agent.ssh is not None and management.ssh_key is None:
        raise ConfigurationError(f"{where}.ssh: needs management.ssh_key")


def _check_management(table: ManagementTable) -> None:
    together = {"certificate": table.certificate, "private_key": table.private_key, "trust": table.trust or None}
    missing = [name for name, value in together.items() if value is None]
    if missing and len(missing) < len(together):
        raise ConfigurationError(
            f"management.{missing[0]}: missing; certificate, private_key and trust belong together"
        )
    if len(missing) == len(together) and table.ssh_key is None:
        raise ConfigurationError("management: certificate, private_key and trust are needed, or ssh_key, or all")


def _check_northbound(table: NorthboundTable) -> None:
    if (table.classical_certificate is None) != (table.classical_private_key is None):
        raise ConfigurationError("northbound: classical_certificate and classical_private_key belong together")
    if table.allow_classical != (table.classical is not None):
        raise ConfigurationError("northbound: allow_classical = true and classical_certificate belong together")


def _check_once(table: str, field: str, names: Iterable[str]) -> None:
    seen: Final[set[str]] = set()
    for i, name in enumerate(names):
        if name in seen:
            raise ConfigurationError(f"{table}[{i}].{field}: {name!r} is named twice")
        seen.add(name)

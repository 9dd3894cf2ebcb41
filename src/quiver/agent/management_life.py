"""The management plane in the life of an agent: what it starts with, what it listens on, what SIGHUP changes."""

from collections.abc import Mapping
from typing import Final

import structlog

from quiver.agent.config import AgentConfig
from quiver.agent.engine import Engine
from quiver.agent.management import ManagementPlane, host_key, told
from quiver.agent.management_running import Running
from quiver.domain.network import Network
from quiver.domain.provision import Provision
from quiver.net.addresses import Address
from quiver.store.configuration import ConfigurationDatabase

__all__ = ["Management"]

_log = structlog.get_logger("quiver.agent.management")


class Management:
    """All of an agent that has to do with NETCONF.

    What came over NETCONF stays in force while the table `[management]` is left out: only nobody can change it then.

    Args:
        config: of the agent.
        policy: `config.network()`.
        nodes: node → address of its peer plane, shared with the peer plane; filled here, and again with each change.

    Raises:
        ConfigurationError: the configuration database is not usable.
        StorageError: it cannot be read or written now.
    """

    def __init__(self, config: AgentConfig, policy: Network, nodes: dict[str, Address]) -> None:
        self._listed: Mapping[str, Address] = config.directory.nodes
        self._nodes: Final = nodes
        self._plane: ManagementPlane | None = None
        self._database: ConfigurationDatabase | None = None
        self._running: Running | None = None
        self.listening: dict[str, str | int | None] = {}
        if config.management is not None or config.provision_database.exists():
            self._database = ConfigurationDatabase(config.provision_database)
            try:
                self._running = Running(self._database, policy, config.excluded)
            except BaseException:
                self._database.close()
                raise
        self._address(self.provision)

    @property
    def provision(self) -> Provision:
        """What has come over NETCONF."""
        return self._running.provision if self._running is not None else Provision()

    async def start(self, config: AgentConfig, engine: Engine) -> None:
        """Listen.

        Raises:
            ConfigurationError: a file or an address is wrong.
        """
        if self._running is None:
            return
        self._running.work_by(engine, self._address)
        if config.management is None:
            return
        key = host_key(config.ssh_host_key, config.node.id)
        self._plane = ManagementPlane(config.management, engine, self._running, key, models=_models(config))
        await self._plane.start()
        self.listening = told(self._plane, key)
        _log.info("management plane listens", node=config.node.id, **self.listening)

    async def stop(self) -> None:
        """Carry changes under way to their end and let go of everything. Twice does no harm."""
        if self._plane is not None:
            await self._plane.stop()
        if self._running is not None:
            self._running.close()
        if self._database is not None:
            self._database.close()

    async def prepare(self, config: AgentConfig) -> None:
        """Let go of entries that another configuration file does not allow, before the engine takes that file over.

        Raises:
            QuiverError: nothing was changed.
        """
        if self._running is None or not (gone := self._running.against(config.network(), config.excluded)):
            return
        if self._plane is not None:
            await self._plane.withdraw(gone)
        else:
            await self._running.adopt(config.network(), config.excluded)
        _log.warning("entries dropped", reason="local policy has changed", entries=len(gone))

    async def adopt(self, config: AgentConfig) -> None:
        """Take over another file's nodes and users, once the engine has taken over its part."""
        self._listed = config.directory.nodes
        self._address(self.provision)
        if self._plane is not None and config.management is not None:
            self._plane.adopt(config.management.users, _models(config))

    def _address(self, provision: Provision) -> None:
        """The file's addresses stand; NETCONF adds to them."""
        added = {node: Address(address) for node, address in provision.addresses.items()}
        self._nodes.clear()
        self._nodes.update({**added, **self._listed})


def _models(config: AgentConfig) -> dict[str, str]:
    """QKD link → vendor of this end's device."""
    return {link.id: link.device.profile for link in config.links if link.device.profile is not None}

"""A light agent: engine, key database and management plane of an installed one; no SAEs, no devices, no network between nodes."""

import asyncio
import os
from contextlib import AsyncExitStack
from typing import Final

import asyncssh

from quiver.agent.config_management import ManagementTable, UserTable
from quiver.agent.engine import Engine, Hear
from quiver.agent.management import ManagementPlane
from quiver.agent.management_running import Running
from quiver.bench.emulated.device import EmulatedDevice
from quiver.bench.emulated.disk import OwnConfiguration, OwnKeys
from quiver.bench.emulated.exchange import Exchange, Way
from quiver.bench.emulated.plan import AUDITOR, CONTROLLER, EmulationPlan
from quiver.domain.network import Directory, Network
from quiver.domain.secret import Secret
from quiver.net.addresses import ListenAddress
from quiver.net.ports import HOST

__all__ = ["LightAgent"]

_MAC_KEY: Final = 32  # bytes


class LightAgent:
    """One node.

    Args:
        plan: the network.
        node: its id.
        exchange: of its process.
        seed: of the links' keys.
    """

    def __init__(self, plan: EmulationPlan, node: str, exchange: Exchange, seed: Secret) -> None:
        self.node: Final = node
        self._plan: Final = plan
        self._exchange: Final = exchange
        self._stack: Final = AsyncExitStack()
        self.devices: Final = {
            link.id: EmulatedDevice(link.id, node, link.other if node == link.one else link.one, link.rate / 2, seed)
            for link in plan.links
            if node in (link.one, link.other)
        }

    async def start(self, key: asyncssh.SSHKey, hear: Hear) -> int:
        """Start it; the port of its NETCONF server over TLS.

        Args:
            key: of an SSH server; nothing listens for SSH.
            hear: is told of the node's events.
        """
        state = self._plan.state(self.node)
        state.mkdir(mode=0o700, parents=True)
        policy = Network(node=self.node, links=self._plan.entries(self.node), paths=(), directory=Directory())
        keys, provisioned = OwnKeys(state / "keys.sqlite"), OwnConfiguration(state / "configuration.sqlite")
        self._stack.callback(keys.close)
        self._stack.callback(provisioned.close)
        running = Running(provisioned, policy, frozenset())
        self._stack.callback(running.close)
        way = Way(self.node, self._exchange)
        engine = Engine(policy, os.urandom(_MAC_KEY), keys, way, self.devices, provision=running.provision)
        engine.listen(hear)
        self._engine = engine
        self._stack.push_async_callback(_ended, asyncio.create_task(engine.run()))
        running.work_by(engine)
        self._exchange.join(self.node, engine.receive)
        plane = ManagementPlane(self._table(), engine, running, key)
        await plane.start()
        self._stack.push_async_callback(plane.stop)
        assert plane.tls is not None
        return plane.tls.address[1]

    def route(self, path: str) -> tuple[str, ...]:
        """The nodes of a path version that passes here; empty where there is none of this key."""
        entry = self._engine.node.context.entries.get(path)
        return entry.nodes if entry is not None else ()

    def _table(self) -> ManagementTable:
        pki = self._plan.pki
        return ManagementTable(
            tls_listen=ListenAddress(f"{HOST}:0"),
            certificate=pki / f"management-{self.node}.pem",
            private_key=pki / f"management-{self.node}.key",
            trust=(pki / "management-ca.pem",),
            users=(UserTable(name=CONTROLLER, role="controller"), UserTable(name=AUDITOR, role="auditor")),
        )

    async def stop(self) -> None:
        """End it; its sessions are closed."""
        await self._stack.aclose()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

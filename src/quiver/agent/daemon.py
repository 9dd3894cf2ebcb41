"""The agent as a process: planes, engine, database and devices of one configuration, until a signal ends it."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog

from quiver.agent.config import AgentConfig
from quiver.agent.engine import Engine
from quiver.agent.figures import figures_of
from quiver.agent.fleet import DeviceFleet
from quiver.agent.management_life import Management
from quiver.agent.peer_client import PeerClient
from quiver.agent.peer_plane import PeerPlane
from quiver.agent.randomness import Generator, Randomness, fault_of
from quiver.agent.sae_plane import SaePlane
from quiver.agent.service import NodeService
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.identity.pki import write_new
from quiver.net import tls
from quiver.net.addresses import Address
from quiver.net.http_server import HttpServer
from quiver.net.metrics_plane import MetricsPlane
from quiver.net.process import HangUp, ended, keep_memory, signalled
from quiver.store.sqlite import SqliteDatabase

__all__ = ["Listening", "run_agent"]

_log = structlog.get_logger("quiver.agent")
_MAC_KEY: Final = 32  # bytes

Listening = dict[str, str | int | None]


def _mac_key(config: AgentConfig) -> bytes:
    """The node's own key of its commit numbers; made at the first start, never beside a database that exists (rule 2).

    Raises:
        ConfigurationError: it is missing or no key.
    """
    path: Final = config.mac_key
    if not path.exists():
        if config.database.exists():
            raise ConfigurationError(
                f"{path}: missing beside a key database. Without it a rollback could not be noticed: put it back, or remove "
                f"{config.database} too, which gives up all pads and keys in it"
            )
        write_new(path, os.urandom(_MAC_KEY), 0o600)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if len(key) != _MAC_KEY or path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path}: {_MAC_KEY} bytes that only their owner may read are needed")
    return key


def _state_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"node.state: {path}: {error.strerror}") from None


async def run_agent(reread: Callable[[], AgentConfig], tell: Callable[[Listening], None]) -> None:
    """Run an agent until SIGINT or SIGTERM. SIGHUP makes it take over links, paths, directory, policy and time to wait.

    Args:
        reread: reads its configuration.
        tell: gets the agent's id, process id and URLs once it listens on all its planes.

    Raises:
        ConfigurationError: a file or an address is wrong; nothing was started.
    """
    tls.self_test()
    keep_memory()
    config = reread()
    _state_directory(config.node.state)
    network, mac_key = config.network(), _mac_key(config)
    sae_tls, peer_tls = _server_contexts(config)
    async with AsyncExitStack() as stack:
        database = SqliteDatabase(config.database)
        stack.callback(database.close)
        nodes: dict[str, Address] = {}
        channels = config.channels
        management = Management(config, network, nodes)
        stack.push_async_callback(management.stop)
        calling = tls.peer_client(config.peer.credentials, config.peer.trust)
        peers = await stack.enter_async_context(
            PeerClient(calling, nodes, channels=channels, source=config.peer.source)
        )
        fleet = await stack.enter_async_context(DeviceFleet())
        engine = Engine(
            network,
            mac_key,
            database,
            peers,
            fleet.clients(config),
            provision=management.provision,
            excluded=config.excluded,
            randomness=_randomness(config),
        )
        running = asyncio.create_task(engine.run())
        stack.push_async_callback(ended, running)
        peer_plane = _peer_plane(config, engine, nodes, peer_tls)
        listen = config.sae.listen
        sae_plane = SaePlane(NodeService(engine), host=listen.host, port=listen.port, tls=sae_tls)
        metrics_plane = _metrics(config, engine)
        for plane in (peer_plane, sae_plane, metrics_plane):
            if plane is not None:
                await plane.start()
                stack.push_async_callback(plane.stop)
        stack.push_async_callback(management.stop)  # before the engine: changes under way need it
        await management.start(config, engine)
        tell(
            {
                "agent": network.node,
                "pid": os.getpid(),
                "peer_url": peer_plane.url,
                "sae_url": sae_plane.url,
                "metrics_url": metrics_plane.url if metrics_plane is not None else None,
                **management.listening,
            }
        )
        hang_up = HangUp(_TakeOver(engine, reread, management, channels, fleet))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
        await signalled(running)
        _log.info("agent stops", node=network.node)


def _randomness(config: AgentConfig) -> Randomness:
    """Where its random numbers come from.

    Raises:
        ConfigurationError: the generator is none.
    """
    table = config.randomness
    if table is None:
        return Randomness()
    if (fault := fault_of(table.generator)) is not None:
        raise ConfigurationError(f"[randomness] generator: {fault}")
    return Randomness(Generator(table.generator, table.min_entropy), required=table.required)


def _server_contexts(config: AgentConfig) -> tuple[tls.TlsContext, tls.TlsContext]:
    """Of the SAE plane and of the peer plane."""
    sae, peer = config.sae, config.peer
    return (
        tls.sae_server(sae.classical, sae.post_quantum, sae.trust, require_pq=sae.require_pq),
        tls.peer_server(peer.credentials, peer.trust),
    )


def _peer_plane(config: AgentConfig, engine: Engine, nodes: dict[str, Address], context: tls.TlsContext) -> HttpServer:
    return HttpServer(
        PeerPlane(engine.receive, nodes),
        plane="peer",
        host=config.peer.listen.host,
        port=config.peer.listen.port,
        tls=context,
        body_limit=limits.PEER_BODY,
    )


class _TakeOver:
    """What SIGHUP does. A configuration that is wrong is logged and changes nothing."""

    def __init__(
        self,
        engine: Engine,
        reread: Callable[[], AgentConfig],
        management: Management,
        channels: dict[str, Address],
        fleet: DeviceFleet,
    ) -> None:
        self._engine: Final = engine
        self._reread: Final = reread
        self._management: Final = management
        self._channels: Final = channels
        self._fleet: Final = fleet

    async def __call__(self) -> None:
        try:
            config = self._reread()
            devices = self._fleet.clients(config)
            await self._management.prepare(config)
            await self._engine.reconfigure(config.network(), devices, excluded=config.excluded)
        except QuiverError as error:
            _log.error("configuration not taken over", reason=error.message)
            return
        self._channels.clear()
        self._channels.update(config.channels)
        await self._management.adopt(config)
        await self._fleet.release()
        _log.info("configuration taken over", links=len(config.links), paths=len(config.paths))


def _metrics(config: AgentConfig, engine: Engine) -> MetricsPlane | None:
    if config.metrics is None:
        return None
    listen = config.metrics.listen
    return MetricsPlane(
        lambda: figures_of(engine),
        health=lambda: engine.trouble or engine.randomness.trouble,
        host=listen.host,
        port=listen.port,
    )

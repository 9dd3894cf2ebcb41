"""The controller as a process: sessions with agents, database, northbound interface and metrics, until a signal ends it."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog

from quiver.controller.background import ChildSolver
from quiver.controller.config import ControllerConfig
from quiver.controller.database import ControllerDatabase
from quiver.controller.desk import Desk
from quiver.controller.engine import Engine
from quiver.controller.figures import LABELS, figures_of
from quiver.controller.live_feed import LiveFeed
from quiver.controller.netconf_agent import NetconfConnector
from quiver.controller.northbound import Northbound
from quiver.controller.resources import Resources
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.net import tls
from quiver.net.metrics_plane import MetricsPlane
from quiver.net.process import HangUp, ended, signalled

__all__ = ["Listening", "run_controller"]

_log = structlog.get_logger("quiver.controller")

Listening = dict[str, str | int | None]


async def run_controller(reread: Callable[[], ControllerConfig], tell: Callable[[Listening], None]) -> None:
    """Run a controller until SIGINT or SIGTERM. SIGHUP makes it take over agents and demands.

    Args:
        reread: reads its configuration.
        tell: gets its id, process id and URLs once it listens on all its planes.

    Raises:
        ConfigurationError: a file or an address is wrong, or another controller runs with this state; nothing was started.
    """
    tls.self_test()
    config = reread()
    table, listen = config.northbound, config.northbound.listen
    northbound_tls = tls.northbound_server(table.credentials, table.trust, classical=table.classical)
    connector = NetconfConnector(config.management, config.ssh_user)
    _state_directory(config)
    async with AsyncExitStack() as stack:
        database = ControllerDatabase(config.database)
        stack.callback(database.close)
        engine = Engine(database, connector, ChildSolver(), poll=config.controller.poll)
        resources = Resources(engine, config.controller.id)
        feed = LiveFeed(engine, resources)
        plane = Northbound(
            engine,
            Desk(engine, config.management),
            resources,
            feed,
            host=listen.host,
            port=listen.port,
            tls=northbound_tls,
        )
        metrics = _metrics(config, engine, resources, feed)
        running = asyncio.create_task(engine.run(config.agents, config.wanted()))
        stack.push_async_callback(ended, running)
        stack.push_async_callback(ended, asyncio.create_task(feed.run()))
        await plane.server.start()
        stack.push_async_callback(plane.server.stop)
        if metrics is not None:
            await metrics.start()
            stack.push_async_callback(metrics.stop)
        tell(
            {
                "controller": config.controller.id,
                "pid": os.getpid(),
                "url": plane.server.url,
                "metrics_url": metrics.url if metrics is not None else None,
            }
        )
        hang_up = HangUp(partial(_take_over, engine, reread))
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
        await signalled(running)
        _log.info("controller stops", controller=config.controller.id)


def _state_directory(config: ControllerConfig) -> None:
    path = config.controller.state
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"controller.state: {path}: {error.strerror}") from None


async def _take_over(engine: Engine, reread: Callable[[], ControllerConfig]) -> None:
    """A configuration that is wrong is logged and changes nothing."""
    try:
        config = reread()
        await engine.take_over(config.agents, config.wanted())
    except QuiverError as error:
        _log.error("configuration not taken over", reason=error.message)
        return
    _log.info("configuration taken over", agents=len(config.agents), demands=len(config.demands))


def _metrics(config: ControllerConfig, engine: Engine, resources: Resources, feed: LiveFeed) -> MetricsPlane | None:
    if config.metrics is None:
        return None
    listen = config.metrics.listen
    return MetricsPlane(
        partial(figures_of, engine, resources, feed),
        health=lambda: engine.trouble,
        host=listen.host,
        port=listen.port,
        labels=LABELS,
    )

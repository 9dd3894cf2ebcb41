"""A consumer as a process: one end of a tunnel, until a signal ends it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from quiver.client import KmeClient, Timeouts
from quiver.consume.config import ConsumerConfig
from quiver.consume.end import End
from quiver.consume.figures import LABELS, figures_of, trouble_of
from quiver.consume.initiating import Initiating
from quiver.consume.partner import Partner, PartnerListener
from quiver.consume.responding import Responding
from quiver.consume.tunnel import Tunnel
from quiver.domain import limits
from quiver.domain.rollover.timing import Timing
from quiver.net import tls
from quiver.net.metrics_plane import MetricsPlane
from quiver.net.process import ended, keep_memory, signalled

__all__ = ["Consuming", "Running", "consuming", "make_tunnel", "run_consumer"]

_log = structlog.get_logger("quiver.consume")

Running = dict[str, str | int | None]
_CONNECT: Final = 5.0  # seconds, to the node


def make_tunnel(config: ConsumerConfig) -> Tunnel:
    """What the configuration says is to be fed."""
    if config.wireguard is not None:
        from quiver.consume.wireguard import Wireguard

        return Wireguard(config.wireguard)
    if config.strongswan is not None:
        from quiver.consume.strongswan import Strongswan

        return Strongswan(config.strongswan, initiates=config.consumer.role == "initiator")
    if config.link is not None:
        from quiver.consume.link import Link

        return Link(config.link, role=config.consumer.role)
    assert config.exec is not None
    from quiver.consume.program import Program

    return Program(config.exec, role=config.consumer.role, partner=config.partner.sae)


async def run_consumer(config: ConsumerConfig, tell: Callable[[Running], None]) -> None:
    """Run one end of a tunnel until SIGINT or SIGTERM.

    Args:
        config: of this end.
        tell: gets its kind, role, process id and addresses once it is at work.

    Raises:
        ConfigurationError: a file or an address is wrong; nothing was started.
    """
    keep_memory()
    tls.self_test()
    async with consuming(config) as at_work:
        tell(at_work.told)
        await signalled(at_work.work)
        _log.info("consumer stops", tunnel=at_work.end.tunnel.kind)


@dataclass(frozen=True)
class Consuming:
    """An end at work.

    Attributes:
        end: the tunnel's.
        side: its role.
        work: what it does, without an end.
        told: kind, role, process id and addresses.
    """

    end: End
    side: Initiating | Responding
    work: "asyncio.Task[None]"
    told: Running


@asynccontextmanager
async def consuming(config: ConsumerConfig) -> AsyncIterator[Consuming]:
    """One end of a tunnel at work until the end of the block, without what belongs to a process: signals and its memory.

    Raises:
        ConfigurationError: a file or an address is wrong; nothing was started.
    """
    tunnel = make_tunnel(config)
    end = End(
        tunnel,
        keep=config.rollover.keep,
        when_exhausted=config.rollover.when_exhausted,
        clock=time.monotonic,
    )
    async with AsyncExitStack() as stack:
        kme = KmeClient(
            config.kme.url,
            config.kme.credentials,
            config.kme.trust,
            server_name=config.kme.server_name,
            timeouts=Timeouts(_CONNECT, config.kme.timeout),
        )
        await stack.enter_async_context(kme)
        stack.push_async_callback(tunnel.close)
        side, listening = await _side(config, end, kme, stack)
        metrics = await _metrics(config, end, side, stack)
        work = asyncio.create_task(_work(end, side))
        stack.push_async_callback(ended, work)
        told: Running = {
            "consumer": tunnel.kind,
            "role": config.consumer.role,
            "pid": os.getpid(),
            "partner_url": listening,
            "metrics_url": metrics,
        }
        yield Consuming(end, side, work, told)


async def _side(
    config: ConsumerConfig, end: End, kme: KmeClient, stack: AsyncExitStack
) -> tuple[Initiating | Responding, str | None]:
    """The role of this end, and where it listens, if it does."""
    table, kind = config.partner, end.tunnel.kind
    if table.address is not None:
        partner = Partner(table.address, table.sae, kind, table.credentials, table.trust, source=table.source)
        stack.push_async_callback(partner.close)
        timing = Timing(interval=config.rollover.interval, lead=end.tunnel.lead)
        return Initiating(end, kme, partner, table.sae, timing), None
    assert table.listen is not None
    responding = Responding(end, kme, table.sae)
    stack.push_async_callback(responding.close)
    listener = PartnerListener(
        responding.take, end.packets, table.listen, table.sae, kind, table.credentials, table.trust
    )
    await listener.server.start()
    stack.push_async_callback(listener.server.stop)
    return responding, listener.server.url


async def _metrics(
    config: ConsumerConfig, end: End, side: Initiating | Responding, stack: AsyncExitStack
) -> str | None:
    if config.metrics is None:
        return None
    plane = MetricsPlane(
        partial(figures_of, end, side),
        health=partial(trouble_of, end, side),
        host=config.metrics.listen.host,
        port=config.metrics.listen.port,
        labels=LABELS,
    )
    await plane.start()
    stack.push_async_callback(plane.stop)
    return plane.url


async def _work(end: End, side: Initiating | Responding) -> None:
    """Look after the key's time and do the role's work; neither ends but by an error, which is this one's too."""
    works = [asyncio.create_task(work) for work in (end.watch(), _serve(end, side))]
    try:
        done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        for work in done:
            work.result()
    finally:
        for work in works:
            await ended(work)


async def _serve(end: End, side: Initiating | Responding) -> None:
    """Take the tunnel over, as soon as it is there, then do the role's work."""
    while not await end.open():  # noqa: ASYNC110  # nothing tells us when an interface is there
        await asyncio.sleep(limits.ROLLOVER_BEAT)
    await side.run()

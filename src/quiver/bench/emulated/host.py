"""A process of light agents, with a control socket: cut this link, repair it; and what happens at its nodes, with the time.

Times are those of the machine's monotonic clock, which is one for all its processes.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import msgspec

from quiver.agent.management import host_key
from quiver.bench.emulated.agent import LightAgent
from quiver.bench.emulated.between import serve_frames
from quiver.bench.emulated.exchange import Exchange
from quiver.bench.emulated.plan import EmulationPlan
from quiver.domain.events import CreditGained, CreditLost, LinkDown, LinkUp, NumberedEvent, PathPrimed
from quiver.domain.secret import Secret

__all__ = ["Order", "Seen", "run_host"]


class Order(msgspec.Struct, frozen=True):
    """What is to happen to a link."""

    link: str
    cut: bool


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has happened.

    Attributes:
        at: seconds on the machine's monotonic clock.
        node: where.
        what: name of the event.
        about: the link or the path version.
        route: nodes of the path version.
    """

    at: float
    node: str
    what: str
    about: str
    route: tuple[str, ...] = ()


Tell = Callable[[dict[str, int]], None]
"""Gets node → port of its NETCONF server, once all listen."""

_SWITCH: Final = 0.0005  # seconds until the thread of a commit gets its turn; a real agent is alone in its process
_orders: Final = msgspec.json.Decoder(Order)
_TOLD: Final = (LinkDown, LinkUp, CreditGained, CreditLost, PathPrimed)


async def run_host(plan: EmulationPlan, number: int, tell: Tell, stop: asyncio.Event) -> None:
    """Emulate the nodes of one process until `stop` is set.

    Args:
        plan: the network.
        number: of this process.
        tell: see `Tell`.
        stop: ends it.
    """
    async with AsyncExitStack() as stack:
        others = {other: plan.messages(other) for other in range(plan.processes) if other != number}
        exchange = Exchange(number, plan.hosts, others)
        stack.push_async_callback(exchange.close)
        seed = Secret(plan.seed.read_bytes())
        agents = [LightAgent(plan, node, exchange, seed) for node in plan.nodes_of(number)]
        host = _Host(exchange, agents)
        for server in (
            await serve_frames(plan.messages(number), exchange.deliver),
            await asyncio.start_unix_server(host.controlled, plan.control(number)),
        ):
            stack.callback(server.close)
        key = host_key(plan.control(number).with_suffix(".ssh"), "emulated")
        ports = {}
        for agent in agents:
            stack.push_async_callback(agent.stop)
            ports[agent.node] = await agent.start(key, host.hearer(agent))
        sys.setswitchinterval(_SWITCH)
        gc.freeze()  # an agent has a process to itself: a collection does not look through forty others
        tell(ports)
        await stop.wait()


class _Host:
    """Takes orders and tells what happens.

    Args:
        exchange: of this process.
        agents: its nodes.
    """

    def __init__(self, exchange: Exchange, agents: list[LightAgent]) -> None:
        self._exchange: Final = exchange
        self._agents: Final = agents
        self._listeners: Final[set[asyncio.StreamWriter]] = set()

    def hearer(self, agent: LightAgent) -> Callable[[str, NumberedEvent], None]:
        """What is told of a node's events."""

        def hear(_run: str, event: NumberedEvent) -> None:
            if isinstance(event.body, _TOLD):
                self._tell(agent, event.body)

        return hear

    def _tell(self, agent: LightAgent, body: LinkDown | LinkUp | CreditGained | CreditLost | PathPrimed) -> None:
        link = isinstance(body, LinkDown | LinkUp)
        about = body.link if isinstance(body, LinkDown | LinkUp) else body.path
        seen = Seen(
            at=time.monotonic(),
            node=agent.node,
            what=str(body.__struct_config__.tag),
            about=about,
            route=() if link else agent.route(about),
        )
        for writer in self._listeners:
            writer.write(msgspec.json.encode(seen) + b"\n")

    async def controlled(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection to the control socket."""
        self._listeners.add(writer)
        try:
            while line := await reader.readline():
                self._obey(_orders.decode(line))
        finally:
            self._listeners.discard(writer)
            writer.close()

    def _obey(self, order: Order) -> None:
        (self._exchange.cut.add if order.cut else self._exchange.cut.discard)(order.link)
        for agent in self._agents:
            if order.link in agent.devices:
                agent.devices[order.link].light = not order.cut

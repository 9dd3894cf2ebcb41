"""The links to all agents, and the way of what they hand in."""

import asyncio
from typing import Final

import structlog

from quiver.controller.agent_link import AgentLink
from quiver.controller.agents import Connector
from quiver.controller.endpoints import AgentTable
from quiver.controller.inbox import Inbox
from quiver.controller.registry import Registry
from quiver.domain import limits
from quiver.domain.events import NumberedEvent
from quiver.domain.report import NodeReport
from quiver.domain.sdn.controller import Controller
from quiver.domain.sdn.orders import Failure, Order

__all__ = ["Fleet"]

_log = structlog.get_logger("quiver.controller.fleet")


class Fleet:
    """One link for each agent that the registry has; the `Reports` of all of them.

    Args:
        registry: who is where.
        connector: makes sessions.
        inbox: where what comes goes.
    """

    def __init__(self, registry: Registry, connector: Connector, inbox: Inbox) -> None:
        self._registry: Final = registry
        self._connector: Final = connector
        self._inbox: Final = inbox
        self._handshakes: Final = asyncio.Semaphore(limits.CONNECTING)
        self._room: Final[dict[str, asyncio.Semaphore]] = {}  # node → for events of it that are not taken up
        self._retired: Final[set[asyncio.Task[None]]] = set()
        self._followed = -1  # generation of the registry to which links are as it says
        self.links: Final[dict[str, AgentLink]] = {}

    # --- what links hand in ---------------------------------------------------------------------------------------

    def connected(self, node: str) -> None:
        """As `Reports.connected`."""

        def act(controller: Controller) -> None:
            if node in self._registry.reached():
                controller.connected(node)

        self._inbox.put(act, of=node, lasting=True)

    def lost(self, node: str) -> None:
        """As `Reports.lost`."""
        self._inbox.put(lambda controller: controller.lost(node), of=node, lasting=True)

    def done(self, order: Order, report: NodeReport | None) -> None:
        """As `Reports.done`."""

        def act(controller: Controller) -> None:
            if report is not None:
                controller.reported(order.node, report)
            controller.done(order)

        self._inbox.put(act, of=order.node)

    def failed(self, order: Order, failure: Failure, about: str) -> None:
        """As `Reports.failed`."""
        self._inbox.put(lambda controller: controller.failed(order, failure, about), of=order.node)

    async def happened(self, node: str, run: str, event: NumberedEvent) -> None:
        """As `Reports.happened`."""
        room = self._room.setdefault(node, asyncio.Semaphore(limits.AGENT_EVENTS))
        await room.acquire()

        def act(controller: Controller) -> None:
            room.release()
            controller.happened(node, run, event)

        self._inbox.put(act, of=node, lasting=True)

    # --- links ----------------------------------------------------------------------------------------------------

    def up(self) -> list[str]:
        """Nodes whose session is up."""
        return [node for node, link in self.links.items() if link.up]

    def order(self, order: Order) -> None:
        """Let an order out; its outcome is handed in."""
        link = self.links.get(order.node)
        if link is None:
            self.failed(order, Failure.UNANSWERED, "")
        else:
            link.order(order)

    def follow(self) -> None:
        """Links to all agents of the registry, at the addresses that it names, and to no other."""
        if self._followed == self._registry.generation:
            return
        self._followed = self._registry.generation
        wanted = self._registry.reached()
        for node, link in list(self.links.items()):
            if wanted.get(node) != link.agent:
                self._retire(node)
        for node, agent in wanted.items():
            if node not in self.links:
                self._link(agent)

    def suspend(self, node: str) -> None:
        """An agent's word has made the controller fail: it is not listened to for a while."""
        if node in self.links:
            _log.critical("agent suspended: its word made the controller fail", node=node)
            agent = self.links[node].agent
            self._retire(node)
            self._link(agent, rest=limits.SUSPENSION)

    def _link(self, agent: AgentTable, rest: float = 0.0) -> None:
        self.links[agent.id] = AgentLink(agent, self._connector, self._handshakes, self, rest=rest)

    def _retire(self, node: str) -> None:
        """End a link. It hands in nothing any more; its session is closed beside everything else."""
        task = self.links.pop(node).retire()
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
        self._room.pop(node, None)
        self.lost(node)

    async def stop(self) -> None:
        """End all links."""
        for node in list(self.links):
            self._retire(node)
        await asyncio.gather(*self._retired, return_exceptions=True)

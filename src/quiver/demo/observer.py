"""The demo's eyes: an auditor's NETCONF sessions with all agents, which tell what happens where, and when it was heard."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from types import TracebackType
from typing import Final, Self

import msgspec

from quiver.controller.config_tables import ManagementTable
from quiver.controller.endpoints import AgentTable
from quiver.controller.netconf_agent import NetconfAgent, NetconfConnector
from quiver.demo.places import AUDITOR, Identities
from quiver.domain.errors import RemoteError
from quiver.domain.events import Event
from quiver.domain.network import PathEntry
from quiver.domain.report import LinkState, NodeReport
from quiver.net.addresses import Address

__all__ = ["Observer", "Seen"]

_MOST: Final = 10_000  # events that are kept; a run of the demo has some hundred
_LOOK: Final = 0.1  # seconds between two looks at reports


class Seen(msgspec.Struct, frozen=True):
    """An event, and when it was heard here (`perf_counter`): a little after it happened, never before."""

    at: float
    node: str
    body: Event


class Observer:
    """Hears all agents.

    Args:
        identities: the auditor's, among others.
    """

    def __init__(self, identities: Identities) -> None:
        credentials, trust = identities.auditor, identities.management_trust
        table = ManagementTable(
            certificate=credentials.certificate, private_key=credentials.private_key, trust=(trust,)
        )
        self._connector: Final = NetconfConnector(table, AUDITOR)
        self._sessions: Final[dict[str, NetconfAgent]] = {}
        self._listening: Final[dict[str, asyncio.Task[None]]] = {}
        self._news: Final = asyncio.Condition()
        self.events: Final[list[Seen]] = []
        self.entries: Final[dict[str, PathEntry]] = {}  # all path versions that were ever read

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in list(self._sessions):
            await self.leave(node)

    async def watch(self, agents: Mapping[str, str]) -> None:
        """Hear some more agents, node → address of its NETCONF server over TLS.

        Raises:
            RemoteError: one is not there.
        """
        await asyncio.gather(*(self._watch(*agent) for agent in agents.items()))

    async def _watch(self, node: str, address: str) -> None:
        session = await self._connector.connect(AgentTable(id=node, tls=Address(address)))
        self._sessions[node] = session
        self._listening[node] = asyncio.create_task(self._listen(node, session))

    async def leave(self, node: str) -> None:
        """Hear an agent no longer."""
        task, session = self._listening.pop(node), self._sessions.pop(node)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await session.close()

    async def _listen(self, node: str, session: NetconfAgent) -> None:
        try:
            while len(self.events) < _MOST:
                _, event = await session.event()
                self.events.append(Seen(perf_counter(), node, event.body))
                path = getattr(event.body, "path", None)
                if path is not None and path not in self.entries:
                    await self.report(node)  # now it is there; it may be gone when somebody wants to know its nodes
                async with self._news:
                    self._news.notify_all()
        except RemoteError:
            return  # the agent has ended; whoever reads it hears of that

    # --- events ---------------------------------------------------------------------------------------------------

    def first(self, since: float, wanted: Callable[[Seen], bool]) -> Seen | None:
        """The first event from a moment on that is as wanted."""
        return next((seen for seen in self.events if seen.at >= since and wanted(seen)), None)

    async def news(self) -> None:
        """Wait for the next event."""
        async with self._news:
            await self._news.wait()

    # --- reports --------------------------------------------------------------------------------------------------

    async def report(self, node: str) -> NodeReport:
        """What an agent reports now.

        Raises:
            RemoteError: it does not answer.
        """
        report = await self._sessions[node].read()
        self.entries.update({entry.key: entry for entry in report.configured})
        return report

    async def reports(self) -> dict[str, NodeReport]:
        """What all agents report now, by node.

        Raises:
            RemoteError: one does not answer.
        """
        nodes = list(self._sessions)
        return dict(zip(nodes, await asyncio.gather(*map(self.report, nodes)), strict=True))

    async def entry(self, key: str, node: str) -> PathEntry | None:
        """A path version that a node holds, or was seen to hold; None where nobody knows it."""
        if key not in self.entries:
            await self.report(node)
        return self.entries.get(key)

    async def links_up(self, links: Iterable[str]) -> None:
        """Wait until both ends hear each other along these links, as far as they are watched."""
        wanted = set(links)
        while True:
            states = {
                (node, link.id): link.state
                for node, report in (await self.reports()).items()
                for link in report.links
                if link.id in wanted
            }
            if {link for _, link in states} == wanted and set(states.values()) == {LinkState.UP}:
                return
            await asyncio.sleep(_LOOK)

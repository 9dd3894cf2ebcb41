"""Agents on paper: they hold path entries, tell credit where a path is whole, and can be cut off, slow, or liars."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

from quiver.controller.agents import OrderRefusedError
from quiver.controller.endpoints import AgentTable
from quiver.domain.errors import RemoteError
from quiver.domain.events import CreditGained, CreditLost, Event, LinkDown, LinkUp, NumberedEvent
from quiver.domain.network import PathEntry
from quiver.domain.report import (
    DeviceState,
    LinkReport,
    LinkState,
    NodeReport,
    PadReport,
    PathMark,
    PathReport,
    PathRole,
)
from quiver.domain.sdn.orders import Edit, Failure
from quiver.net.addresses import Address

LEVEL = 1 << 20
Hook = Callable[[str, object], Awaitable[None]]


class PaperAgent:
    def __init__(self, network: "PaperNetwork", node: str) -> None:
        self.network, self.node = network, node
        self.up = True
        self.run, self.sequence, self.term = f"{abs(hash(node)):032x}"[:32], 0, 0
        self.entries: dict[str, PathEntry] = {}
        self.addresses: dict[str, str] = {}
        self.marks: dict[tuple[str, int], int] = {}
        self.edits: list[Edit] = []
        self.stamps: list[int] = []
        self.credited: set[str] = set()
        self.sessions: set[PaperSession] = set()
        self.hook: Hook | None = None  # called with the name of each call, and its argument

    def say(self, event: Event) -> None:
        self.sequence += 1
        for session in self.sessions:
            session.events.put_nowait((self.run, NumberedEvent(sequence=self.sequence, body=event)))

    def links(self) -> list[tuple[str, str]]:
        return [
            (link, a if b == self.node else b) for link, (a, b) in self.network.links.items() if self.node in (a, b)
        ]

    def report(self) -> NodeReport:
        return NodeReport(
            node=self.node,
            run=self.run,
            sequence=self.sequence,
            term=self.term,
            links=tuple(
                LinkReport(
                    id=link,
                    neighbour=other,
                    state=LinkState.DOWN if link in self.network.down else LinkState.UP,
                    device=DeviceState.READY,
                    collected=LEVEL,
                )
                for link, other in self.links()
            ),
            pads=tuple(PadReport(neighbour=other, own=LEVEL, theirs=LEVEL, level=LEVEL) for _, other in self.links()),
            paths=tuple(self._path(entry) for entry in self.entries.values()),
            configured=tuple(self.entries.values()),
            marks=tuple(PathMark(virtual_link=v, path=p, version=n) for (v, p), n in self.marks.items()),
            addresses=dict(self.addresses),
        )

    def _path(self, entry: PathEntry) -> PathReport:
        role = PathRole.SOURCE if entry.source == self.node else PathRole.RELAY
        role = PathRole.DESTINATION if entry.destination == self.node else role
        whole = role is PathRole.SOURCE and self.network.whole(entry)
        return PathReport(
            key=entry.key, digest=entry.digest, role=role, credit=4096 if whole else 0, ready=4096 if whole else 0
        )

    def take(self, edit: Edit) -> None:
        if edit.term < self.term:
            raise OrderRefusedError("stale", Failure.STALE_TERM)
        for entry in edit.put:
            path = entry.virtual_link, entry.path
            assert entry.version > self.marks.get(path, 0) or entry.key in self.entries, f"{entry.key} was used before"
            self.marks[path] = max(entry.version, self.marks.get(path, 0))
            self.entries[entry.key] = entry
        for key in edit.remove:
            self.entries.pop(key, None)
        self.addresses.update(edit.addresses)
        self.term = edit.term
        self.edits.append(edit)
        self.network.look()


class PaperSession:
    """An `AgentSession`."""

    def __init__(self, agent: PaperAgent) -> None:
        self.agent = agent
        self.events: asyncio.Queue[tuple[str, NumberedEvent] | None] = asyncio.Queue()
        agent.sessions.add(self)

    async def _called(self, name: str, argument: object = None) -> None:
        if self.agent.hook is not None:
            await self.agent.hook(name, argument)
        if not self.agent.up or self not in self.agent.sessions:
            raise RemoteError("it is gone")

    async def stamp(self, term: int) -> None:
        await self._called("stamp", term)
        if term < self.agent.term:
            raise OrderRefusedError("stale", Failure.STALE_TERM)
        self.agent.term = term
        self.agent.stamps.append(term)

    async def read(self) -> NodeReport:
        await self._called("read")
        return self.agent.report()

    async def edit(self, edit: Edit) -> None:
        await self._called("edit", edit)
        self.agent.take(edit)

    async def event(self) -> tuple[str, NumberedEvent]:
        found = await self.events.get()
        if found is None:
            raise RemoteError("it has gone")
        return found

    async def close(self) -> None:
        self.agent.sessions.discard(self)


class PaperNetwork:
    """A `Connector` to agents on paper.

    Args:
        edges: two nodes each; the link's id is both names.
    """

    def __init__(self, *edges: str) -> None:
        self.links = {edge: tuple(edge.split("-")) for edge in edges}
        self.down: set[str] = set()
        self.agents = {node: PaperAgent(self, node) for ends in self.links.values() for node in ends}

    def tables(self) -> list[AgentTable]:
        return [AgentTable(id=node, tls=Address(f"{node}.example:6513")) for node in sorted(self.agents)]

    async def connect(self, agent: AgentTable) -> PaperSession:
        found = self.agents.get(agent.id)
        if found is None or not found.up:
            raise RemoteError("nobody is there")
        if found.hook is not None:
            await found.hook("connect", agent)
        return PaperSession(found)

    def whole(self, entry: PathEntry) -> bool:
        held = all(self.agents[node].up and self.agents[node].entries.get(entry.key) == entry for node in entry.nodes)
        return held and all(self._open(one, other) for one, other in pairwise(entry.nodes))

    def _open(self, one: str, other: str) -> bool:
        return any({one, other} == set(ends) and link not in self.down for link, ends in self.links.items())

    def look(self) -> None:
        """Sources learn of credit."""
        for agent in self.agents.values():
            for entry in list(agent.entries.values()):
                if entry.source != agent.node:
                    continue
                whole = self.whole(entry)
                if whole and entry.key not in agent.credited:
                    agent.credited.add(entry.key)
                    agent.say(CreditGained(path=entry.key, credit=4096))
                elif not whole and entry.key in agent.credited:
                    agent.credited.discard(entry.key)
                    agent.say(CreditLost(path=entry.key))

    def cut(self, link: str) -> None:
        self.down.add(link)
        self._tell(link, LinkDown)

    def heal(self, link: str) -> None:
        self.down.discard(link)
        self._tell(link, LinkUp)

    def _tell(self, link: str, kind: type[LinkDown] | type[LinkUp]) -> None:
        one, other = self.links[link]
        self.agents[one].say(kind(link=link, neighbour=other))
        self.agents[other].say(kind(link=link, neighbour=one))
        self.look()

    def kill(self, node: str) -> None:
        agent = self.agents[node]
        agent.up = False
        for session in list(agent.sessions):
            session.events.put_nowait(None)
        agent.sessions.clear()

    def restart(self, node: str) -> None:
        agent = self.agents[node]
        agent.up, agent.sequence = True, 0
        agent.run = f"{int(agent.run, 16) + 1:032x}"
        agent.credited.clear()
        self.look()

    def held(self) -> dict[str, set[str]]:
        """Key of an entry → nodes that hold it."""
        found: dict[str, set[str]] = {}
        for node, agent in self.agents.items():
            for key in agent.entries:
                found.setdefault(key, set()).add(node)
        return found

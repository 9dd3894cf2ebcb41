"""What the northbound interface shows: the live state, the agents' sessions, alarms, drains, allocations, as plain structs."""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from quiver.controller.alarms import Alarm, AlarmBook
from quiver.controller.endpoints import AgentTable, Registrar
from quiver.controller.engine import Engine
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.live import DemandLive, LinkLive, Live, NodeLive, PathLive
from quiver.domain.sdn.records import What

__all__ = [
    "AgentView",
    "AllocationView",
    "DrainView",
    "NetworkView",
    "Page",
    "Resources",
    "path_id",
]

T = TypeVar("T")


class Page(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Some entries of a collection, in order of their ids.

    Attributes:
        items: the entries.
        next: id to give as `after` for those that follow; left out where there are no more.
    """

    items: list[object]
    next: str | None = None


class NetworkView(msgspec.Struct, frozen=True, kw_only=True):
    """The network in a few figures.

    Attributes:
        controller: its id.
        phase: whether it leads.
        term: its controller term.
        nodes: in the network.
        sessions: of them with a management session.
        links: that both their ends name.
        paths: of all demands.
        demands: asked for.
        served: of them with credit on all their paths.
        alarms: conditions that stand.
        newest: number of the newest entry of the history.
    """

    controller: str
    phase: Phase
    term: int
    nodes: int
    sessions: int
    links: int
    paths: int
    demands: int
    served: int
    alarms: int
    newest: int


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """One agent: where it is, and how its session is.

    Attributes:
        agent: as it was made known.
        registrar: who made it known.
        session: whether it is up.
        trouble: why there is none, or why the last one ended; empty where nothing was wrong.
        sessions: made since the controller's start.
    """

    agent: AgentTable
    registrar: Registrar
    session: bool
    trouble: str
    sessions: int


class DrainView(msgspec.Struct, frozen=True, kw_only=True):
    """A node or link that no path is to pass.

    Attributes:
        what: node or link.
        name: its id.
        paths: that pass it still, as virtual link and number.
    """

    what: What
    name: str
    paths: list[str]


class AllocationView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest global allocation.

    Attributes:
        time: when it was there, seconds since 1970-01-01 UTC; None where none was computed yet.
        seconds: that it took.
        served: bits per second that it serves.
        before: bits per second that the paths served as they were.
        worthwhile: whether it gains enough for what it moves; only then it is applied.
        routes: virtual link → routes of its paths, of those that move.
        failures: allocations that failed since the controller's start.
    """

    time: float | None
    seconds: float
    served: int
    before: int
    worthwhile: bool
    routes: dict[str, tuple[tuple[str, ...], ...]]
    failures: int


def path_id(path: PathLive) -> str:
    """Virtual link and number."""
    return f"{path.virtual_link}/{path.path}"


class Resources:
    """Reads of one controller.

    Args:
        engine: runs it.
        controller: its id.
    """

    def __init__(self, engine: Engine, controller: str) -> None:
        self._engine: Final = engine
        self._controller: Final = controller
        self._book: Final = AlarmBook()

    def live(self) -> Live:
        """The whole live state.

        Raises:
            StorageError: there is none now; so do all others here.
        """
        return self._engine.live()

    def network(self) -> NetworkView:
        """The network in a few figures."""
        live = self.live()
        return NetworkView(
            controller=self._controller,
            phase=live.phase,
            term=live.term,
            nodes=len(live.nodes),
            sessions=len(self._engine.fleet.up()),
            links=len(live.links),
            paths=len(live.paths),
            demands=len(live.demands),
            served=sum(demand.up >= demand.demand.paths for demand in live.demands),
            alarms=len(self.alarms()),
            newest=self._engine.newest,
        )

    def nodes(self) -> dict[str, NodeLive]:
        """By id."""
        return _by(self.live().nodes, lambda node: node.node)

    def links(self) -> dict[str, LinkLive]:
        """By id."""
        return _by(self.live().links, lambda link: link.id)

    def paths(self) -> dict[str, PathLive]:
        """By virtual link and number."""
        return _by(self.live().paths, path_id)

    def demands(self) -> dict[str, DemandLive]:
        """By name."""
        return _by(self.live().demands, lambda demand: demand.demand.name)

    def agents(self) -> dict[str, AgentView]:
        """By id."""
        views = {}
        for agent in self._engine.registry:
            link = self._engine.fleet.links.get(agent.id)
            views[agent.id] = AgentView(
                agent=agent,
                registrar=self._engine.registry.registrar(agent.id),
                session=link is not None and link.up,
                trouble=link.trouble if link is not None else "",
                sessions=link.sessions if link is not None else 0,
            )
        return views

    def drains(self) -> dict[str, DrainView]:
        """By `what/name`."""
        live = self.live()
        ends = {link.id: set(link.ends) for link in live.links}
        views = {}
        for what, name in self._engine.drains():
            if what is What.NODE:
                paths = [path_id(path) for path in live.paths if name in path.nodes[1:-1]]
            else:
                paths = [path_id(path) for path in live.paths if _passes(path, ends.get(name, set()))]
            views[f"{what.value}/{name}"] = DrainView(what=what, name=name, paths=paths)
        return views

    def alarms(self) -> list[Alarm]:
        """What is wrong now, the weightiest first."""
        return self._book.update(self.live(), time.time())

    def allocation(self) -> AllocationView:
        """The newest global allocation."""
        planner = self._engine.planner
        newest = planner.newest
        if newest is None:
            return AllocationView(
                time=None, seconds=0.0, served=0, before=0, worthwhile=False, routes={}, failures=planner.failures
            )
        plan = newest.plan
        return AllocationView(
            time=round(newest.time, 3),
            seconds=round(newest.seconds, 3),
            served=plan.served,
            before=plan.before,
            worthwhile=plan.worthwhile,
            routes=plan.routes,
            failures=planner.failures,
        )


def _by(entries: Sequence[T], key: Callable[[T], str]) -> dict[str, T]:
    return {key(entry): entry for entry in entries}


def _passes(path: PathLive, ends: set[str]) -> bool:
    return any({one, other} == ends for one, other in zip(path.nodes, path.nodes[1:], strict=False))

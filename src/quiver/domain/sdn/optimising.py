"""The global allocation in the background: the core hands out work, somebody computes it elsewhere, a few paths move at a time.

The work is a snapshot that nothing changes any more, and `solve` is a pure function: a process of its own may run it. What comes
back is applied only while the network is as it was, and where it serves enough more than the paths as they are.
"""

from collections import deque
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.routing import demand as routing
from quiver.domain.routing.allocation import allocate
from quiver.domain.routing.damping import moved, worthwhile
from quiver.domain.routing.demand import UNPLACED, Placement
from quiver.domain.routing.graph import Graph
from quiver.domain.routing.sharing import shared
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.paths import Path
from quiver.domain.sdn.routes import Nodes
from quiver.domain.sdn.steering import Steering
from quiver.domain.sdn.verdicts import Need

__all__ = ["Optimiser", "Plan", "Work", "solve"]


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """An allocation to be computed.

    Attributes:
        id: number of this work.
        graph: the network without what is poor; paths are not placed on it.
        demands: as routing sees them.
        current: virtual link → the routes of its paths.
    """

    id: int
    graph: Graph
    demands: tuple[routing.Demand, ...]
    current: dict[str, tuple[Nodes, ...]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        id: of the work.
        routes: virtual link → routes of its paths, of those that move.
        worthwhile: whether it gains enough for what it moves.
        served: bits per second that paths get where the plan has them.
        before: bits per second that the paths as they were get.
    """

    id: int
    routes: dict[str, tuple[Nodes, ...]]
    worthwhile: bool
    served: int
    before: int


def solve(work: Work) -> Plan:
    """Compute an allocation; takes from milliseconds to seconds, and no clock."""
    current = shared(work.graph, work.demands, work.current)
    before = sum(placement.rate for placement in current.values())
    if all(current.get(demand.id, UNPLACED).rate >= demand.rate for demand in work.demands):  # nothing can be gained
        return Plan(id=work.id, routes={}, worthwhile=False, served=before, before=before)
    wanted = allocate(work.graph, work.demands, _in_use(work)).placements
    moves = [name for name in moved(current, wanted) if wanted[name].routes]
    after = {name: placement.routes for name, placement in wanted.items()}
    after |= {name: placement.routes for name, placement in current.items() if name not in moves}
    proposed = shared(work.graph, work.demands, after)
    return Plan(
        id=work.id,
        routes={name: wanted[name].routes for name in moves},
        worthwhile=bool(moves) and worthwhile(work.demands, current, proposed),
        served=sum(placement.rate for placement in proposed.values()),
        before=before,
    )


def _in_use(work: Work) -> dict[str, Placement]:
    return {d.id: Placement(work.current[d.id], d.rate) for d in work.demands if d.id in work.current}


class Optimiser:
    """Decides when to compute, and moves paths by what came of it.

    Args:
        core: what is known.
        steering: moves paths.
    """

    def __init__(self, core: Core, steering: Steering) -> None:
        self._core: Final = core
        self._steering: Final = steering
        self._next_at = core.now() + limits.ALLOCATION_INTERVAL
        self._number = 0
        self._began = core.now()  # when the newest work was handed out
        self._shape: frozenset[tuple[str, str]] = frozenset()  # hops when the work under way was handed out
        self._moves: Final[deque[tuple[tuple[str, int], Nodes]]] = deque()
        self._moving: Final[dict[tuple[str, int], float]] = {}  # paths → since when they are to move

    @property
    def due(self) -> float:
        """When new work is to be handed out: not before the plan of the last one is here, or it was given up for certain."""
        return self._next_at

    def work(self) -> Work | None:
        """Work for the background, if it is time for some."""
        core, now = self._core, self._core.now()
        if now < self._next_at:
            return None
        self._next_at = now + limits.ALLOCATION_INTERVAL
        if not core.leader.edits or self._moves:
            return None
        paths: dict[str, list[Path]] = {}
        for path in self._steering.paths.values():
            paths.setdefault(path.name, []).append(path)
        routes = self._steering.routes
        graph = routes.graph(now, Need.SOUND).cleared()
        demands = tuple(
            routing.Demand(
                id=demand.name,
                source=demand.source,
                destination=demand.destination,
                rate=routes.share(demand),
                elastic=not demand.rate,
                priority=demand.priority,
                admitted=all(path.current is not None for path in paths[demand.name]),
                hops=demand.hops,
                excluded=demand.excluded,
                settled=any(now < path.moved_at + limits.MOVE_HOLD for path in paths[demand.name]),
                count=demand.paths,
            )
            for demand in core.demands
            if {demand.source, demand.destination} <= set(graph.nodes)
        )
        if not demands:
            return None
        self._number += 1
        self._began, self._next_at = now, now + limits.ALLOCATION_TIME + limits.ALLOCATION_INTERVAL
        self._shape = self._hops()
        current = {demand.id: tuple(path.nodes for path in paths[demand.id]) for demand in demands if demand.admitted}
        return Work(id=self._number, graph=graph, demands=demands, current=current)

    def _hops(self) -> frozenset[tuple[str, str]]:
        topology = self._core.topology
        return frozenset(pair for pair in topology.hops() if topology.hop(*pair).meets(Need.SOUND))

    def solved(self, plan: Plan) -> None:
        """Work has been done: apply it where it gains enough and the network is still as it was."""
        core, now = self._core, self._core.now()
        if plan.id != self._number:
            return
        self._next_at = max(now, self._began + limits.ALLOCATION_INTERVAL)
        if self._hops() != self._shape or not plan.worthwhile:
            return
        for name, routes in plan.routes.items():
            demand = core.demands.get(name)
            paths = [self._steering.paths.get((name, number + 1)) for number in range(demand.paths if demand else 0)]
            known = [path for path in paths if path is not None]
            if demand is not None and len(known) == len(routes):
                self._moves.extend(_assigned(known, list(routes)))
        core.notices.say(
            "allocated", now, moves=str(len(self._moves)), served=str(plan.served), before=str(plan.before)
        )

    def step(self) -> None:
        """Let the next paths move when those before have, or have had time to: an end may be away, or a budget used up."""
        paths, now = self._steering.paths, self._core.now()
        for key, since in list(self._moving.items()):
            path = paths.get(key)
            if path is None or not (path.target or path.coming):
                del self._moving[key]
            elif now >= since + limits.ALLOCATION_INTERVAL and path.coming is None:
                path.target = ()
                del self._moving[key]
        while self._moves and len(self._moving) < limits.ALLOCATION_MOVES:
            key, nodes = self._moves.popleft()
            path, demand = paths.get(key), self._core.demands.get(key[0])
            if path is None or demand is None or path.coming is not None or path.trouble is not None:
                continue
            if self._steering.search.free(path, demand, nodes):  # others of its demand may have moved meanwhile
                path.target, path.hurried, path.changed = nodes, False, True
                self._moving[key] = now


def _assigned(paths: list[Path], routes: list[Nodes]) -> list[tuple[tuple[str, int], Nodes]]:
    """Which path takes which route: those that have theirs keep it."""
    moves = []
    for path in sorted(paths, key=lambda path: path.nodes not in routes):
        nodes = path.nodes if path.nodes in routes else routes[0]
        routes.remove(nodes)
        if nodes != path.nodes:
            moves.append((path.id, nodes))
    return moves

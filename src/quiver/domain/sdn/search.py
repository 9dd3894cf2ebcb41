"""The search for a route: what a path that has to move may take, and what it leaves out."""

from collections.abc import Mapping
from typing import Final

from quiver.domain import limits
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.paths import Path
from quiver.domain.sdn.routes import Nodes, Routes, hops_of, meet
from quiver.domain.sdn.verdicts import Condition, Need, Verdict

__all__ = ["ALLOCATION", "DRY", "Search", "allowed"]

DRY: Final = "no-credit"  # causes that the search treats in a way of their own
ALLOCATION: Final = "allocation"


class Search:
    """Finds routes.

    Args:
        core: what is known.
        routes: what is placed where.
        paths: all paths, by virtual link and number.
    """

    def __init__(self, core: Core, routes: Routes, paths: Mapping[tuple[str, int], Path]) -> None:
        self._core: Final = core
        self._routes: Final = routes
        self._paths: Final = paths

    def route(self, path: Path, demand: Demand, verdict: Verdict, now: float) -> Nodes | None:
        """The best route for a path that has to move for a reason; None where there is none, or none that is better."""
        target = path.target
        if target and allowed(target, demand) and self.free(path, demand, target):
            need = Need.ANY if path.hurried else Need.SOUND  # to make room may cost quality
            if self._core.topology.route(target).meets(need):
                return target
        if verdict.cause == ALLOCATION:
            return None
        if verdict.cause == DRY and not path.failed and path.current is not None:
            path.failed = path.current.entry.nodes
        others = self._siblings(path, demand)
        excluded = {*path.barred, *(node for node in self._core.sessions if not self._core.usable(node))}
        taken = [nodes for other in others for nodes in other.held]
        excluded.update(node for nodes in taken for node in nodes[1:-1])
        direct = [hop for nodes in taken if len(nodes) == 2 for hop in hops_of(nodes)]
        broken = verdict.condition is Condition.BROKEN
        needs = list(Need)[: 3 if broken else 2 if verdict.urgent else 1]  # never as bad as what is to be left
        for left_out in path.shunned():
            for need in needs:
                shunned = [*left_out, *direct]
                nodes = self._routes.find(path.id, demand, now, need, excluded=excluded, shunned=shunned)
                if nodes is not None:
                    return nodes
        return self._rearranged(path, demand, now) if broken and others else None

    def free(self, path: Path, demand: Demand, nodes: Nodes) -> bool:
        """Whether no other path of the demand stands on a node of a route, be it that it comes or goes there."""
        return not any(meet(nodes, held) for other in self._siblings(path, demand) for held in other.held)

    def met(self, path: Path, demand: Demand) -> str:
        """Where the route in use meets that of a path with a lower number, which may stay; empty where it does not."""
        for other in self._siblings(path, demand):
            if path.current is not None and other.current is not None and other.number < path.number:
                where = meet(path.current.entry.nodes, other.current.entry.nodes)
                if where:
                    return where
        return ""

    def in_the_way(self, path: Path, demand: Demand) -> bool:
        """Whether the route in use, which cannot be, keeps another path of the demand from making room for this one."""
        targets = [other.target for other in self._siblings(path, demand) if other.target and other.hurried]
        return any(meet(held, target) for target in targets for held in path.held)

    def _siblings(self, path: Path, demand: Demand) -> list[Path]:
        numbers = [number for number in range(1, demand.paths + 1) if number != path.number]
        return [self._paths[path.name, number] for number in numbers if (path.name, number) in self._paths]

    def _rearranged(self, path: Path, demand: Demand, now: float) -> Nodes | None:
        """Where no route avoids the other paths of the demand: all paths anew; those that can, stay where they are."""
        leaving = [node for node in self._core.sessions if not self._core.belongs(node)]
        for need in Need:
            found = self._routes.find_all(demand, now, need, excluded=leaving)
            others = sorted(self._siblings(path, demand), key=lambda other: other.nodes not in found)
            for other in others:
                if not found:
                    break
                kept = other.nodes if other.nodes in found else found[-1]
                found.remove(kept)
                other.target, other.hurried = (kept, True) if kept != other.nodes else ((), False)
                other.wake(now + limits.ORDER_PAUSE)
            if found:
                return found[0] if self.free(path, demand, found[0]) else None
        return None


def allowed(nodes: Nodes, demand: Demand) -> bool:
    """Whether a demand may take a route."""
    return len(nodes) - 1 <= demand.hops and not set(demand.excluded).intersection(nodes)

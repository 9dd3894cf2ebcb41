"""The search for a route: what a path that has to move may take, and what it leaves out."""

from collections.abc import Mapping
from typing import Final

from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.paths import Path
from quiver.domain.sdn.routes import Nodes, Routes, hops_of
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
        if target and self._core.topology.route(target).meets(Need.SOUND) and allowed(target, demand):
            return target
        if verdict.cause == ALLOCATION:
            return None
        if verdict.cause == DRY and not path.failed and path.current is not None:
            path.failed = path.current.entry.nodes
        others = self._siblings(path, demand)
        excluded = {*path.barred, *(node for node in self._core.sessions if not self._core.ready(node))}
        excluded.update(node for other in others for node in other.nodes[1:-1])
        direct = [hop for other in others if len(other.nodes) == 2 for hop in hops_of(other.nodes)]
        broken = verdict.condition is Condition.BROKEN
        needs = list(Need)[: 3 if broken else 2 if verdict.urgent else 1]  # never as bad as what is to be left
        for left_out in path.shunned():
            for need in needs:
                shunned = [*left_out, *direct]
                nodes = self._routes.find(path.id, demand, now, need, excluded=excluded, shunned=shunned)
                if nodes is not None:
                    return nodes
        return self._rearranged(path, demand, now) if broken and others else None

    def _siblings(self, path: Path, demand: Demand) -> list[Path]:
        numbers = [number for number in range(1, demand.paths + 1) if number != path.number]
        return [self._paths[path.name, number] for number in numbers if (path.name, number) in self._paths]

    def _rearranged(self, path: Path, demand: Demand, now: float) -> Nodes | None:
        """Where no route avoids the other paths of the demand: all paths anew; those that can, stay where they are."""
        for need in Need:
            found = self._routes.find_all(demand, now, need)
            others = sorted(self._siblings(path, demand), key=lambda other: other.nodes not in found)
            for other in others:
                if not found:
                    break
                kept = other.nodes if other.nodes in found else found[-1]
                found.remove(kept)
                other.target, other.hurried = (kept, True) if kept != other.nodes else ((), False)
                other.changed = True
            if found:
                return found[0]
        return None


def allowed(nodes: Nodes, demand: Demand) -> bool:
    """Whether a demand may take a route."""
    return len(nodes) - 1 <= demand.hops and not set(demand.excluded).intersection(nodes)

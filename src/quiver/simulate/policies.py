"""How a network may be steered: three policies, side by side.

`KeyAware` and `KeyAwareGlobal` use the controller's own routing functions: `choose` on events, `allocate` for all, `worthwhile`
and `MOVE_HOLD` against moves that gain too little. What they do with the answers is simpler and stricter than `domain/sdn`:

* they refuse: a new demand without room waits, or gets a part; the controller lays a path for every demand that has any route,
  and classes and the agents' division of pad decide who gets what;
* they move whatever lies on a hop where more is placed than comes, at once; the controller moves on faults, low pad and lost
  credit, and otherwise only by an allocation;
* they allocate at every event that leaves somebody short; the controller each `ALLOCATION_INTERVAL`, for demands with a rate;
* they know rates and pads exactly and act in no time; the controller measures them, and damps what comes and goes.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.routing.allocation import allocate
from quiver.domain.routing.choice import choose
from quiver.domain.routing.damping import moved, worthwhile
from quiver.domain.routing.demand import UNPLACED, Demand, Placement, placed_on
from quiver.domain.routing.graph import Graph
from quiver.domain.routing.shortest import cheapest
from quiver.simulate.outcome import PolicyName

__all__ = ["Policy", "policy_named"]

Placements = dict[str, Placement]


class Policy(Protocol):
    """Places demands."""

    def arrange(self, graph: Graph, demands: Sequence[Demand], placements: Placements) -> Placements:
        """What the demands have after something has changed.

        Args:
            graph: with the placements on it.
            demands: all there are, in the order in which they are to be looked at.
            placements: by demand; those without a place, or whose routes no longer carry, left out.
        """
        ...


class StaticShortest:
    """Each pair of nodes has one route, the one with the fewest hops in full health; a demand fits there or waits.

    Args:
        healthy: the network with nothing broken.
    """

    def __init__(self, healthy: Graph) -> None:
        self._shape: Final = healthy.shape
        self._routes: Final[dict[tuple[str, str], tuple[str, ...]]] = {}

    def arrange(self, graph: Graph, demands: Sequence[Demand], placements: Placements) -> Placements:
        """Place what fits on its one route."""
        placed = dict(placements)
        for demand in demands:
            route = self._route(demand)
            if demand.id not in placed and route and graph.carries(route) and graph.left(route) >= demand.rate:
                graph = graph.place(route, demand.rate)
                placed[demand.id] = Placement((route,), demand.rate)
        return placed

    def _route(self, demand: Demand) -> tuple[str, ...]:
        ends = demand.source, demand.destination
        if ends not in self._routes:
            prices = [1.0] * (2 * len(self._shape.hops))
            source, target = map(self._shape.node, ends)
            route = cheapest(self._shape, prices, source, target, (), demand.hops)
            self._routes[ends] = self._shape.names(route or ())
        return self._routes[ends]


class KeyAware:
    """The fast choice: for each demand that has no place, and for those that are where more is placed than comes.

    Pad that stands carries only what was admitted before; new demands are placed where the rate suffices.
    """

    def arrange(self, graph: Graph, demands: Sequence[Demand], placements: Placements) -> Placements:
        """Move away what strains a hop, the lowest tiers first, and choose routes for those without."""
        placed = dict(placements)
        for demand in reversed(demands):
            if demand.id in placed and _strains(graph, placed[demand.id]):
                without = graph.place_all((route, -placed[demand.id].rate) for route in placed[demand.id].routes)
                if (found := self._chosen(without, demand)) and not _strains(after := _with(without, found), found):
                    graph, placed[demand.id] = after, found
        for demand in demands:
            if demand.id not in placed and (found := self._chosen(graph, demand)):
                after = _with(graph, found)
                if demand.admitted or not _strains(after, found):
                    graph, placed[demand.id] = after, found
        return placed

    def _chosen(self, graph: Graph, demand: Demand) -> Placement | None:
        wishes = {"hops": demand.hops, "count": demand.count}
        routes = choose(graph, demand.source, demand.destination, demand.rate, excluded=demand.excluded, **wishes)
        return Placement(tuple(route.nodes for route in routes), demand.rate) if routes else None


class KeyAwareGlobal:
    """The fast choice, and where it leaves a demand short, the global allocation, if it is worth its moves."""

    def __init__(self) -> None:
        self._fast: Final = KeyAware()
        self._moved_at: Final[dict[str, float]] = {}

    def arrange(self, graph: Graph, demands: Sequence[Demand], placements: Placements) -> Placements:
        """Choose, and allocate where that is not enough.

        What has only a part of its rate, and was never admitted, is in nobody's way when the fast choice looks for room.
        """
        parts = {
            demand.id: placements[demand.id]
            for demand in demands
            if not demand.admitted and 0 < placements.get(demand.id, UNPLACED).rate < demand.rate
        }
        firm = {name: placement for name, placement in placements.items() if name not in parts}
        placed = self._fast.arrange(placed_on(graph, firm), demands, firm)
        onto = placed_on(graph, placed)
        lasting = {name: placement for name, placement in placed.items() if not _strains(onto, placement)}
        if all(lasting.get(demand.id, UNPLACED).rate >= demand.rate for demand in demands):
            return placed
        asked = [replace(demand, settled=self._rests(demand.id, graph.now)) for demand in demands]
        proposed = allocate(graph, asked, {**parts, **placed}).placements
        if not worthwhile(demands, lasting, proposed):
            return {**_fitting(onto, parts, placed), **placed}
        for name in moved(placed, proposed):
            self._moved_at[name] = graph.now
        return {
            name: found
            for name, found in ((name, _better(proposed, placed, name)) for name in proposed)
            if found.routes
        }

    def _rests(self, demand: str, now: float) -> bool:
        return now - self._moved_at.get(demand, float("-inf")) < limits.MOVE_HOLD


def _better(proposed: Placements, placed: Placements, demand: str) -> Placement:
    """What an allocation gives; a demand that it leaves without lives on the pad of its old routes while that lasts."""
    return proposed[demand] if proposed[demand].routes else placed.get(demand, UNPLACED)


def _fitting(graph: Graph, parts: Placements, placed: Placements) -> Placements:
    """Parts that were held before and still fit beside what is placed."""
    kept: Placements = {}
    for name, placement in parts.items():
        after = _with(graph, placement)
        if name not in placed and not _strains(after, placement):
            graph, kept[name] = after, placement
    return kept


def _with(graph: Graph, placement: Placement) -> Graph:
    return graph.place_all((route, placement.rate) for route in placement.routes)


def _strains(graph: Graph, placement: Placement) -> bool:
    """Whether on any of its hops more is placed than comes."""
    return any(graph.left(route) < 0 for route in placement.routes)


def policy_named(name: PolicyName, healthy: Graph) -> Policy:
    """A policy at the beginning of a run."""
    match name:
        case PolicyName.STATIC:
            return StaticShortest(healthy)
        case PolicyName.KEY_AWARE:
            return KeyAware()
        case PolicyName.GLOBAL:
            return KeyAwareGlobal()

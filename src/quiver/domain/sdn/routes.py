"""Routes for paths: the network with everything placed on it, and the questions that steering asks of the routing functions."""

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from quiver.domain.errors import ConfigurationError
from quiver.domain.routing.choice import choose
from quiver.domain.routing.graph import Availability, Graph
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.topology import Pair, Topology, pair_of
from quiver.domain.sdn.verdicts import Need

__all__ = ["Nodes", "Routes", "hops_of", "meet"]

Nodes = tuple[str, ...]
PathId = tuple[str, int]


class Routes:
    """What is placed where, and where there is room.

    Args:
        topology: the hops.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology: Final = topology
        self._placed: Final[dict[PathId, tuple[Nodes, int]]] = {}
        self._graphs: Final[dict[Need, Graph]] = {}
        self._generation = -1

    def place(self, path: PathId, nodes: Nodes, rate: int) -> None:
        """A path goes over these nodes now."""
        self.release(path)
        self._placed[path] = (nodes, rate)
        for need, graph in self._graphs.items():
            self._graphs[need] = graph.place(nodes, rate)

    def release(self, path: PathId) -> None:
        """A path is gone."""
        nodes, rate = self._placed.pop(path, ((), 0))
        for need, graph in self._graphs.items():
            self._graphs[need] = graph.release(nodes, rate)

    def graph(self, now: float, need: Need) -> Graph:
        """The network with all paths on it, without hops and relays that are not as good as needed."""
        if self._generation != self._topology.generation:
            self._graphs.clear()
            self._generation = self._topology.generation
        if need not in self._graphs:
            graph = self._topology.graph(now, need)
            self._graphs[need] = graph.place_all(self._placed.values())
        return self._graphs[need]

    def find(
        self,
        path: PathId,
        demand: Demand,
        now: float,
        need: Need,
        *,
        excluded: Collection[str] = (),
        shunned: Iterable[Pair] = (),
    ) -> Nodes | None:
        """A route for one path, as if the path were not placed yet.

        Args:
            path: which one; what it holds counts as free.
            demand: its virtual link.
            now: seconds.
            need: what each hop has to be.
            excluded: nodes beside those that the demand excludes.
            shunned: hops not to be used.
        """
        found = self._choose(path, demand, now, need, excluded=excluded, shunned=shunned, count=1)
        return found[0] if found else None

    def find_all(self, demand: Demand, now: float, need: Need, *, excluded: Collection[str] = ()) -> list[Nodes]:
        """Routes for all paths of a demand, as if none were placed yet; fewer where there are not so many."""
        for count in range(demand.paths, 1, -1):
            found = self._choose((demand.name, 0), demand, now, need, excluded=excluded, count=count)
            if found:
                return found
        return []

    def _choose(
        self,
        path: PathId,
        demand: Demand,
        now: float,
        need: Need,
        *,
        excluded: Collection[str] = (),
        shunned: Iterable[Pair] = (),
        count: int,
    ) -> list[Nodes]:
        graph = self.graph(now, need)
        own = [path] if path[1] else [(path[0], number) for number in range(1, demand.paths + 1)]
        for nodes, rate in (self._placed.get(one, ((), 0)) for one in own):
            graph = graph.release(nodes, rate)
        graph = _without(graph, self._topology, shunned)
        for wanted in dict.fromkeys((demand.rate, 0)):  # rather the best that there is than nothing
            try:
                routes = choose(
                    graph,
                    demand.source,
                    demand.destination,
                    wanted,
                    hops=demand.hops,
                    excluded={*demand.excluded, *excluded},
                    count=count,
                )
            except ConfigurationError:  # an end was never heard of
                return []
            if routes:
                return [route.nodes for route in routes]
        return []


def _without(graph: Graph, topology: Topology, shunned: Iterable[Pair]) -> Graph:
    for pair in shunned:
        for link in topology.links_between(*pair):
            if link.id in graph.links:
                graph = graph.with_link(replace(graph.links[link.id], availability=Availability.DOWN))
    return graph


def meet(one: Nodes, other: Nodes) -> str:
    """A node within two routes of one demand, or their end if both are the same hop; empty where they are disjoint."""
    shared = [node for node in one[1:-1] if node in other[1:-1]]
    return shared[0] if shared else one[-1] if one == other else ""


def hops_of(nodes: Nodes) -> list[Pair]:
    """The hops of a route."""
    return [pair_of(one, other) for one, other in pairwise(nodes)]

"""Routes for paths: the network with everything placed on it, and the questions that steering asks of the routing functions.

A path whose demand asks for no rate is placed with its *share*: what its source has told lately that keys took of it, at least
`limits.NOMINAL_RATE`. Else all such paths would go over the same hops, however many there are. It only ever makes a hop dearer
to others: who asks for a rate is not refused for it.
"""

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import Final

from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.routing.choice import choose
from quiver.domain.routing.graph import Availability, Graph
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.knowledge import Knowledge
from quiver.domain.sdn.topology import Pair, Topology, pair_of
from quiver.domain.sdn.verdicts import Need

__all__ = ["Nodes", "Routes", "hops_of", "meet"]

Nodes = tuple[str, ...]
PathId = tuple[str, int]
View = tuple[Need, bool]  # what each hop has to be, and whether only paths count that asked for a rate


class Routes:
    """What is placed where, and where there is room.

    Args:
        topology: the hops.
        knowledge: what sources tell of their paths.
    """

    def __init__(self, topology: Topology, knowledge: Knowledge) -> None:
        self._topology: Final = topology
        self._knowledge: Final = knowledge
        self._placed: Final[dict[PathId, tuple[Nodes, int]]] = {}
        self._shares: Final[
            dict[PathId, int]
        ] = {}  # with which they are placed on the graphs, until those are made anew
        self._graphs: Final[dict[View, Graph]] = {}
        self._generation = -1

    def place(self, path: PathId, nodes: Nodes, rate: int) -> None:
        """A path goes over these nodes now; its demand asks for this rate, or for none."""
        self.release(path)
        self._placed[path] = (nodes, rate)
        self._shares[path] = share = self._share(path, nodes, rate)
        for (need, firm), graph in self._graphs.items():
            self._graphs[need, firm] = graph.place(nodes, rate if firm else share)

    def release(self, path: PathId) -> None:
        """A path is gone."""
        nodes, rate = self._placed.pop(path, ((), 0))
        share = self._shares.pop(path, 0)
        for (need, firm), graph in self._graphs.items():
            self._graphs[need, firm] = graph.release(nodes, rate if firm else share)

    def _share(self, path: PathId, nodes: Nodes, rate: int) -> int:
        """Bit/s that a path is taken to use; no more than the poorest of its hops makes, whatever its source says."""
        taken = self._knowledge.taken(nodes[0], path) if nodes and not rate else 0.0
        if taken <= limits.NOMINAL_RATE:
            return rate or limits.NOMINAL_RATE
        return max(limits.NOMINAL_RATE, int(min(taken, *(self._topology.rate(*hop) for hop in hops_of(nodes)))))

    def share(self, demand: Demand) -> int:
        """Bit/s that each path of a demand is taken to use: keys are the XOR over all of them."""
        shares = [self._shares.get((demand.name, number), 0) for number in range(1, demand.paths + 1)]
        return demand.rate or max(limits.NOMINAL_RATE, *shares)

    def graph(self, now: float, need: Need, *, firm: bool = False) -> Graph:
        """The network with all paths on it, without hops and relays that are not as good as needed.

        Args:
            now: seconds.
            need: what each hop has to be.
            firm: only those paths are placed on it whose demands ask for a rate.
        """
        if self._generation != self._topology.generation:
            self._graphs.clear()
            self._generation = self._topology.generation
            self._shares.update({path: self._share(path, *placed) for path, placed in self._placed.items()})
        if (need, firm) not in self._graphs:
            graph = self._topology.graph(now, need)
            self._graphs[need, firm] = graph.place_all(
                (nodes, rate if firm else self._shares[path]) for path, (nodes, rate) in self._placed.items()
            )
        return self._graphs[need, firm]

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
        own = [path] if path[1] else [(path[0], number) for number in range(1, demand.paths + 1)]
        shunned = list(shunned)
        # Beside all others; beside those that asked for a rate; and rather the best that there is than nothing.
        for wanted, firm in dict.fromkeys(((demand.rate, False), (demand.rate, demand.rate > 0), (0, False))):
            graph = self.graph(now, need, firm=firm)
            for one in own:
                nodes, rate = self._placed.get(one, ((), 0))
                graph = graph.release(nodes, rate if firm else self._shares.get(one, 0))
            graph = _without(graph, self._topology, shunned)
            try:
                routes = choose(
                    graph,
                    demand.source,
                    demand.destination,
                    wanted,
                    hops=demand.hops,
                    excluded={*demand.excluded, *excluded},
                    count=count,
                    share=self.share(demand),
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

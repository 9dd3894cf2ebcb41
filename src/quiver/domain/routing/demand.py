"""What virtual links ask of the network, and what they have been given."""

from collections.abc import Mapping
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.routing.graph import Graph

__all__ = ["UNPLACED", "Demand", "Placement", "placed_on"]


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual link as routing sees it.

    Attributes:
        id: of the virtual link.
        source: the node whose SAEs ask for new keys.
        destination: another node.
        rate: bit/s of each hop that it is to have, or is taken to use.
        priority: its class, 0 the highest.
        admitted: it was given its full rate once; it goes before those of its class that wait.
        hops: most of one route.
        excluded: nodes that no route may pass.
        settled: it keeps the routes that it has for as long as they carry, since it was moved lately.
        count: routes that share no node but their ends; each has the full rate, as keys are the XOR over all of them.
        elastic: it has asked for no rate; it goes after those of its class that have, waiting ones too.
    """

    id: str
    source: str
    destination: str
    rate: int
    priority: int = 1
    admitted: bool = False
    hops: int = limits.HOPS_PER_PATH
    excluded: tuple[str, ...] = ()
    settled: bool = False
    count: int = 1
    elastic: bool = False

    def __post_init__(self) -> None:
        if self.source == self.destination:
            raise ConfigurationError(f"demand {self.id}: source and destination are one node")
        if self.rate < 0 or self.hops < 1 or not 1 <= self.count <= limits.DISJOINT_PATHS:
            allowed = f"rate from 0, hops from 1, routes from 1 to {limits.DISJOINT_PATHS}"
            raise ConfigurationError(f"demand {self.id}: allowed are {allowed}")

    @property
    def tier(self) -> tuple[int, int]:
        """Lower ones are served first: by class, and within it what was admitted, what waits, and who asked for no rate."""
        return self.priority, 2 if self.elastic else int(not self.admitted)


class Placement(msgspec.Struct, frozen=True):
    """What one demand has been given.

    Attributes:
        routes: as many as it asked for, or none.
        rate: bit/s that each of them may use.
    """

    routes: tuple[tuple[str, ...], ...] = ()
    rate: int = 0


UNPLACED: Final = Placement()


def placed_on(graph: Graph, placements: Mapping[str, Placement]) -> Graph:
    """The graph with exactly these placed on it, hops that are no longer there left out."""
    return graph.cleared().place_all(
        (route, placement.rate) for placement in placements.values() for route in placement.routes
    )

"""What paths get where they are: a hop that is asked for too much gives each of a tier the same part, higher tiers first.

By this measure an allocation and the paths as they are can be compared: equal routes get equal rates, so that nothing seems to be
gained by moves that change nothing.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from quiver.domain import limits
from quiver.domain.routing.demand import Demand, Placement
from quiver.domain.routing.graph import Graph

__all__ = ["shared"]


class _Part(msgspec.Struct):
    """One demand's hops, those of all its routes, and bit/s that it lacks."""

    demand: Demand
    hops: list[int]
    lacks: float


def shared(
    graph: Graph, demands: Iterable[Demand], routes: Mapping[str, tuple[tuple[str, ...], ...]]
) -> dict[str, Placement]:
    """By demand, its routes and what each of them gets; those left out that have none, or one that does not carry.

    Args:
        graph: what is placed on it does not count.
        demands: what is asked for.
        routes: by demand.
    """
    there = [demand for demand in demands if routes.get(demand.id)]
    standing = [demand for demand in there if all(graph.carries(route) for route in routes[demand.id])]
    left = graph.rates.astype(np.float64)
    given: dict[str, Placement] = {}
    for _, tier in groupby(sorted(standing, key=lambda demand: demand.tier), lambda demand: demand.tier):
        parts = [
            _Part(demand, [hop for route in routes[demand.id] for hop in graph.hops_of(route)], float(demand.rate))
            for demand in tier
        ]
        for _ in range(limits.ALLOCATION_LEVELS):
            _pour(left, parts)
        for part in parts:
            rate = int(part.demand.rate - part.lacks + 1e-3)  # sums of floats end a little below the whole
            given[part.demand.id] = Placement(routes[part.demand.id], rate)
    return given


def _pour(left: NDArray[np.float64], parts: list[_Part]) -> None:
    """Give each the least part that a hop of it has for all who lack something; the next time has what nobody could use."""
    load = np.zeros_like(left)
    able = [part for part in parts if part.lacks > 0 and left[part.hops].min() >= 1]
    for part in able:
        load[part.hops] += part.lacks
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.where(load > left, left / load, 1.0)
    for part in able:
        gets = part.lacks * float(most[part.hops].min())
        left[part.hops] -= gets
        part.lacks -= gets
    np.maximum(left, 0.0, out=left)

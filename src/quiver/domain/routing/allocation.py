"""The global allocation: all demands at once, higher classes first, fair within a class, each on its own routes.

1. *Levels.* Class by class, and in each first those admitted: the share of its rate that every demand gets is raised for all
   together until some can get no more under any routing; these are fixed, the others are raised further (max-min fairness by
   progressive filling: D. Bertsekas, R. Gallager, "Data Networks", section 6.5.2). What a class has got, later ones cannot touch:
   they may only move it to other routes.
2. *Routes.* The levels are served with as few hops as possible; a route in use counts a little less than a new one.
3. *Rounding.* A path is one path: where the program splits a demand over several, the largest part that fits takes all of it
   (`rounding.py`).
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from quiver.domain import limits
from quiver.domain.routing.columns import Column, Columns
from quiver.domain.routing.demand import UNPLACED, Demand, Placement
from quiver.domain.routing.graph import Graph
from quiver.domain.routing.program import FlowProgram
from quiver.domain.routing.rounding import rounded

__all__ = ["Allocation", "allocate"]

_BINDS: Final = 1e-9  # worth of a demand's whole rate from which on the demand cannot be raised further
_WHOLE: Final = 1 - 1e-6  # a share from which on it is the whole
_KEPT: Final = (
    0.8  # price of a hop of a route in use: it is left only for one that is a fifth shorter, or where need be
)
_STEEP: Final = 6.0  # exponent of the first columns' prices: a full hop costs 400 times an empty one

Values = NDArray[np.float64]


class Allocation(msgspec.Struct, frozen=True):
    """What the network can do for its demands.

    Attributes:
        placements: by demand; those that get nothing too.
        levels: by demand, bit/s that it would get if it could be split over any routes.
    """

    placements: dict[str, Placement]
    levels: dict[str, float]

    @property
    def served(self) -> int:
        """Bit/s of all demands together."""
        return sum(placement.rate for placement in self.placements.values())

    @property
    def lost(self) -> float:
        """Bit/s that are lost because a path is one path."""
        return sum(self.levels.values()) - self.served


def allocate(graph: Graph, demands: Sequence[Demand], current: Mapping[str, Placement]) -> Allocation:
    """Place all demands anew; equal input gives equal output.

    Args:
        graph: what is placed on it does not count.
        demands: with ids that differ and ends in the graph; those of rate 0 are passed over, as they ask for nothing.
        current: by demand, the routes in use.

    Raises:
        ConfigurationError: an end is not in the graph.
    """
    ordered = sorted(
        (demand for demand in demands if demand.rate), key=lambda demand: (demand.tier, -demand.rate, demand.id)
    )
    columns = Columns(graph, ordered)
    in_use = _first_columns(columns, current)
    levels = np.zeros(len(ordered))
    if columns.all:
        program = FlowProgram(columns)
        levels = _levels(program, columns)
        solution = program.settle(levels, lambda column: len(column.hops) * (_KEPT if column in in_use else 1.0))
        placements = rounded(columns, levels, solution.rates)
    else:
        placements = {}
    return Allocation(
        {demand.id: placements.get(number, UNPLACED) for number, demand in enumerate(ordered)},
        {demand.id: float(level) for demand, level in zip(ordered, levels, strict=True)},
    )


def _first_columns(columns: Columns, current: Mapping[str, Placement]) -> set[Column]:
    """To begin with: routes in use, shortest routes, and those that one after the other would choose.

    Returns:
        The columns that are in use.
    """
    numbers = range(len(columns.demands))
    for number in numbers:
        columns.add_used(number, current.get(columns.demands[number].id, UNPLACED).routes)
    in_use = set(columns.all)
    for number, routes in columns.cheapest_ways(np.ones(len(columns.capacity)), numbers):
        columns.add(number, routes)
    reachable = {column.demand for column in columns.all}
    load = np.zeros(len(columns.capacity))
    for number in sorted(reachable):
        with np.errstate(divide="ignore", invalid="ignore"):
            prices = np.where(columns.capacity > 0, np.exp(np.minimum(_STEEP * load / columns.capacity, 50.0)), np.inf)
        routes = columns.way(number, np.repeat(prices, 2).tolist())
        if routes:
            columns.add(number, routes)
        for route in routes:
            load[[arc // 2 for arc in columns.graph.shape.arcs_of(route)]] += columns.demands[number].rate
    return in_use


def _levels(program: FlowProgram, columns: Columns) -> Values:
    """By demand, bit/s: max-min fair within each tier, tier by tier."""
    rates = np.array([demand.rate for demand in columns.demands], np.float64)
    servable = sorted({column.demand for column in columns.all})
    levels = np.zeros(len(rates))
    if program.raise_together(levels, servable).share >= _WHOLE:
        levels[servable] = rates[servable]
        return levels
    for _, tier in groupby(servable, key=lambda number: columns.demands[number].tier):
        raised = list(tier)
        for _ in range(limits.ALLOCATION_LEVELS):
            solution = program.raise_together(levels, raised)
            levels[raised] = solution.share * rates[raised]
            if solution.share < _WHOLE:
                raised = [number for number in raised if solution.worth[number] * rates[number] <= _BINDS]
            if solution.share >= _WHOLE or not raised:
                break
        else:
            levels = _filled(program, columns, levels, raised, rates)
    return levels


def _filled(program: FlowProgram, columns: Columns, levels: Values, raised: Sequence[int], rates: Values) -> Values:
    """After so many levels fairness is fine enough: what is left goes where there is most of it."""
    most = levels.copy()
    most[list(raised)] = rates[list(raised)]
    solution = program.fill(levels, most)
    served = np.bincount([column.demand for column in columns.all], solution.rates, minlength=len(rates))
    return np.clip(served, levels, most)

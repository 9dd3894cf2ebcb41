"""From rates of columns to one column for each demand: a path is one path.

Demands that the program serves by one column keep it. Each of the others gets one that can carry its whole level: the column
with its largest part first, then any route with enough left. Where there is none, demands in the way move aside, those of a lower
tier give way, and at last the demand gets what its widest column has left. Those that were never admitted come last: among them
one that can have its whole rate goes before several that could have a part.
"""

from collections.abc import Collection, Sequence
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quiver.domain import limits
from quiver.domain.routing.columns import Column, Columns
from quiver.domain.routing.demand import Placement

__all__ = ["rounded"]

_WHOLE: Final = 0.999  # of its level: a demand whose largest part is below this is split

Values = NDArray[np.float64]


def rounded(columns: Columns, levels: Values, rates: Values) -> dict[int, Placement]:
    """One column for each demand, within capacities.

    Args:
        columns: of demands in the order of their tiers.
        levels: by demand, bit/s that it is to have.
        rates: by column, bit/s, within capacities.

    Returns:
        Demand's number → its routes and their rate, whole bit/s; those that get nothing left out.
    """
    return _Rounding(columns, levels, rates).done()


class _Rounding:
    def __init__(self, columns: Columns, levels: Values, rates: Values) -> None:
        self._columns: Final = columns
        self._wanted: Final = np.floor(levels + 1e-3).astype(np.int64)  # HiGHS leaves a level of 5,000 at 4,999.9999
        self._left = np.floor(columns.capacity).astype(np.int64)
        self._given: dict[int, tuple[Column, int]] = {}
        self._ways: Final[dict[int, list[Column]]] = {}
        """By demand, its columns, those with the largest part first."""
        self._split: Final[set[int]] = set()
        parts: dict[int, list[tuple[float, int, Column]]] = {}
        for rate, column in zip(rates.tolist(), columns.all, strict=True):
            parts.setdefault(column.demand, []).append((-rate, len(column.hops), column))
        for demand, some in sorted(parts.items()):
            some.sort(key=lambda part: (*part[:2], part[2].hops))
            self._ways[demand] = [column for _, _, column in some]
            if -some[0][0] < _WHOLE * self._wanted[demand]:
                self._split.add(demand)

    def done(self) -> dict[int, Placement]:
        """Place all: first those that keep one column, then those that have to be given one, at last who gets a part only."""
        waiting = [demand for demand in self._ways if self._waits(demand)]
        firm = [demand for demand in self._ways if demand not in set(waiting)]
        for demand in firm:
            if demand not in self._split:
                self._put(demand, self._ways[demand][0])
        for demand in firm:
            if demand in self._split and (column := self._fitting(demand, int(self._wanted[demand]))):
                self._put(demand, column)
        for demand in firm:
            if self._short(demand):
                self._insist(demand)
        for demand in waiting:
            if column := self._fitting(demand, self._columns.demands[demand].rate):
                self._put(demand, column, self._columns.demands[demand].rate)
        for demand in self._ways:
            self._top_up(demand)
        names = self._columns.graph.shape.names
        return {
            demand: Placement(tuple(map(names, column.routes)), rate)
            for demand, (column, rate) in self._given.items()
            if rate
        }

    def _waits(self, demand: int) -> bool:
        """It was never admitted and cannot have its whole rate by the program: a part of it is better than nothing, no more."""
        asked = self._columns.demands[demand]
        return not asked.admitted and self._wanted[demand] < asked.rate

    # --- one demand -----------------------------------------------------------------------------------------------

    def _short(self, demand: int) -> int:
        """Bit/s that it lacks."""
        return int(self._wanted[demand]) - (self._given[demand][1] if demand in self._given else 0)

    def _put(self, demand: int, column: Column, rate: int | None = None) -> None:
        """Give a demand this column instead of what it has, with its level or what is left there."""
        self._take(demand)
        hops = list(column.hops)
        rate = min(int(self._wanted[demand]) if rate is None else rate, int(self._left[hops].min()))
        self._left[hops] -= rate
        self._given[demand] = (column, rate)

    def _take(self, demand: int) -> None:
        if demand in self._given:
            column, rate = self._given.pop(demand)
            self._left[list(column.hops)] += rate

    def _fitting(self, demand: int, rate: int, avoided: Collection[int] = ()) -> Column | None:
        """A column with enough left for a demand that holds nothing: one of the program's, or any."""
        for column in self._ways[demand]:
            if self._left[list(column.hops)].min() >= rate and not set(avoided).intersection(column.hops):
                return column
        with np.errstate(divide="ignore"):
            prices = np.where(self._left >= max(rate, 1), 1 + rate / np.maximum(self._left, 1), inf)
        prices[list(avoided)] = inf
        routes = self._columns.way(demand, np.repeat(prices, 2).tolist())
        return self._columns.column(demand, routes) if routes else None

    def _top_up(self, demand: int) -> None:
        """Let a demand have more than its level, up to its rate, where rounding has left some."""
        column, rate = self._given.get(demand, (self._ways[demand][0], 0))
        asked = self._columns.demands[demand].rate
        if rate < asked:
            self._take(demand)
            self._put(demand, self._fitting(demand, asked) or column, asked)

    # --- room for one that lacks it -------------------------------------------------------------------------------

    def _insist(self, demand: int) -> None:
        """Find room for a demand's whole level, or else give it what its widest column has."""
        self._take(demand)
        if column := self._fitting(demand, int(self._wanted[demand])):
            self._put(demand, column)
            return
        candidates = self._ways[demand][: limits.ALLOCATION_TRIES]
        for yielding in (False, True):
            for column in candidates:
                if self._cleared(demand, column, yielding=yielding):
                    self._put(demand, column)
                    return
        self._put(demand, max(candidates, key=lambda column: self._left[list(column.hops)].min()))

    def _cleared(self, demand: int, column: Column, *, yielding: bool) -> bool:
        """Move others off the hops of a column that lack room; undone where it is not enough.

        Args:
            demand: which wants it.
            column: where it would go.
            yielding: those of lower tiers give their rate up, where they cannot move.
        """
        left, given = self._left.copy(), dict(self._given)
        wanted = int(self._wanted[demand])
        tight = [hop for hop in column.hops if self._left[hop] < wanted]
        for hop in tight:
            for other in self._movable(hop, demand):
                if self._left[hop] >= wanted:
                    break
                self._move_aside(
                    other, tight, wanted - int(self._left[hop]), yielding=yielding and self._lower(other, demand)
                )
            if self._left[hop] < wanted:
                self._left, self._given = left, given
                return False
        return True

    def _movable(self, hop: int, demand: int) -> Sequence[int]:
        """Others on a hop: lower tiers first, and in each those with the highest rate, of which the fewest have to move."""
        tiers = self._columns.demands
        others = [
            other for other, (column, rate) in self._given.items() if hop in column.hops and rate and other != demand
        ]
        others.sort(key=lambda other: (tiers[other].tier, self._given[other][1], other), reverse=True)
        return others[: limits.ALLOCATION_TRIES]

    def _lower(self, other: int, demand: int) -> bool:
        return self._columns.demands[other].tier > self._columns.demands[demand].tier

    def _move_aside(self, other: int, tight: Sequence[int], lacking: int, *, yielding: bool) -> None:
        """Give a demand another column that avoids the tight hops, at its full rate; or else part of its rate back."""
        column, rate = self._given[other]
        self._take(other)
        elsewhere = self._fitting(other, rate, tight)
        if elsewhere is not None:
            self._put(other, elsewhere, rate)
        else:
            self._put(other, column, max(0, rate - lacking) if yielding else rate)

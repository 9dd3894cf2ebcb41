"""Multi-commodity flow of key: a linear program over routes, which grows by the routes that its prices call for.

A *column* is one way to serve a demand: a route, or a set of disjoint ones, each with the same rate. The program holds few of
them; after each solution the dual values of the hops' capacities are prices, and a column that costs less under them than its
demand is worth is added (L. R. Ford, D. R. Fulkerson, "A suggested computation for maximal multi-commodity network flows",
Management Science 5, 1958). When there is none, the solution is the best over all columns there are. HiGHS solves it by the
simplex method: at a vertex there are no more columns in use than demands and full hops together, so most demands use one.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array, hstack, vstack

from quiver.domain import limits
from quiver.domain.errors import QuiverError
from quiver.domain.routing.columns import Column, Columns

__all__ = ["FlowProgram", "Solution"]

_UNIT: Final = 1000.0  # bit/s; HiGHS works with absolute tolerances of 1e-7, so with kbit/s
_ALL: Final = 1 - 1e-7  # a share from which on it is the whole
_HOP: Final = 1e-4  # what a hop costs against a served bit: among equally good columns the one with fewer hops

Values = NDArray[np.float64]


class Solution(msgspec.Struct, frozen=True):
    """Of one program.

    Attributes:
        rates: bit/s of each column, in the order of `Columns.all`.
        share: the common share that was made as large as possible; 0 where none was asked for.
        worth: by demand, what a lower bound that binds costs the goal; 0 where it binds nothing.
    """

    rates: Values
    share: float
    worth: Values


class _Solved(msgspec.Struct, frozen=True):
    solution: Solution
    prices: Values  # by hop
    worth: Values  # by demand, of a bit/s more


class FlowProgram:
    """Rates of columns within the capacities of hops, each of which both directions share.

    Args:
        columns: at least one for each demand that shall get anything; grows while solving.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns: Final = columns

    def raise_together(self, least: Values, raised: Sequence[int]) -> Solution:
        """Make the share of its rate that each of the `raised` gets at least as large as possible, up to all of it.

        Args:
            least: by demand, bit/s that it must get; of no meaning for the raised ones.
            raised: numbers of demands, each with a column.
        """
        asked = np.zeros(len(least))
        asked[list(raised)] = [self._columns.demands[number].rate for number in raised]
        bound = np.where(asked > 0, 0.0, least)
        return self._grow(lambda: self._solve(bound, None, asked, lambda _: 0.0), 0.0, 0.0)

    def fill(self, least: Values, most: Values) -> Solution:
        """Make the sum of all rates as large as possible; by demand, bit/s between `least` and `most`."""
        none = np.zeros(len(least))
        return self._grow(lambda: self._solve(least, most, none, lambda column: _HOP * len(column.hops) - 1), 1.0, _HOP)

    def settle(self, least: Values, price: Callable[[Column], float]) -> Solution:
        """Serve each demand with its `least`, in bit/s, at the lowest price; `price` of a column, at most its number of hops."""
        none = np.zeros(len(least))
        return self._grow(lambda: self._solve(least, None, none, price), 0.0, 1.0)

    def _grow(self, solve: Callable[[], _Solved], gain: float, hop: float) -> Solution:
        """Solve and add columns until none would help, at most `limits.ALLOCATION_ROUNDS` times.

        Args:
            solve: the program as it stands.
            gain: what a bit/s adds to the goal by itself.
            hop: what a hop costs by itself.
        """
        solved = solve()
        for _ in range(limits.ALLOCATION_ROUNDS):
            if solved.solution.share >= _ALL or not self._columns.extend(solved.prices + hop, solved.worth + gain):
                break
            solved = solve()
        return solved.solution

    def _solve(self, least: Values, most: Values | None, asked: Values, price: Callable[[Column], float]) -> _Solved:
        """One run of HiGHS: x ≥ 0 by column and a share 0 ≤ θ ≤ 1; Σx ≤ capacity; Σx ≥ least + θ asked; Σx ≤ most."""
        columns = self._columns.all
        count, demands = len(columns), len(least)
        used, capacity, hops = self._columns.capacity_rows()
        owners = np.array([column.demand for column in columns])
        served = csr_array((np.ones(count), (owners, np.arange(count))), shape=(demands, count))
        rows = [
            hstack([used, csr_array((len(capacity), 1))]),
            hstack([-served, csr_array(asked[:, None] / _UNIT)]),
        ]
        bounds = [capacity / _UNIT, -least / _UNIT]
        if most is not None:
            rows.append(hstack([served, csr_array((demands, 1))]))
            bounds.append(most / _UNIT)
        result = linprog(
            np.array([*map(price, columns), -1.0 if asked.any() else 0.0]),
            A_ub=vstack(rows, format="csr"),
            b_ub=np.concatenate(bounds),
            bounds=[(0, None)] * count + [(0, 1)],
            method="highs-ds",
        )
        if result.status != 0:
            raise QuiverError(f"the allocation's linear program has no solution: {result.message}")
        duals: Values = np.maximum(-np.asarray(result["ineqlin"]["marginals"], np.float64), 0.0)
        prices = np.zeros(len(self._columns.capacity))
        prices[hops] = duals[: len(hops)]
        worth = duals[len(hops) : len(hops) + demands]
        found = np.asarray(result.x, np.float64)
        solution = Solution(found[:count] * _UNIT, float(found[count]), worth)
        over = np.zeros(demands) if most is None else duals[len(hops) + demands :]
        return _Solved(solution, prices, worth - over)

"""Sets of byte positions, kept as merged half-open intervals.

Each end of a link keeps one per segment for the bytes it has accepted, and the destination of a virtual link one per
block for the bytes it has used: announcements and containers may arrive in any order, and no byte may enter twice.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

__all__ = ["Intervals"]


class Intervals:
    """A set of integers as ascending, disjoint, non-touching pairs [start, stop)."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in pairs:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._stops, strict=True))

    def __len__(self) -> int:
        """Number of separate intervals."""
        return len(self._starts)

    def __repr__(self) -> str:
        return f"Intervals({list(self)})"

    @property
    def size(self) -> int:
        """Number of positions in the set."""
        return sum(self._stops) - sum(self._starts)

    @property
    def top(self) -> int:
        """One above the highest position, 0 for the empty set."""
        return self._stops[-1] if self._stops else 0

    def overlaps(self, start: int, stop: int) -> bool:
        """Whether any position of [start, stop) is in the set."""
        index = bisect_right(self._stops, start)
        return start < stop and index < len(self._starts) and self._starts[index] < stop

    def add(self, start: int, stop: int) -> None:
        """Put all of [start, stop) into the set; positions already there stay."""
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def gaps(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The parts of [start, stop) that are not in the set, ascending."""
        position = start
        for low, high in self:
            if low >= stop:
                break
            if low > position:
                yield position, low
            position = max(position, high)
        if position < stop:
            yield position, stop

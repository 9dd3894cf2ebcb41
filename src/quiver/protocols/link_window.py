"""Which counters have come already: the anti-replay window of RFC 4303 section 3.4.3 and appendix A2."""

from typing import Final

__all__ = ["ReplayWindow"]


class ReplayWindow:
    """Remembers the counters that came, down to `size - 1` below the highest; what is older counts as having come.

    Ask `fresh` before a frame is opened, `mark` it afterwards: only what is genuine moves the window.

    Args:
        size: counters; with 1 each has to be higher than all before.
    """

    __slots__ = ("_highest", "_mask", "_seen", "_size")

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._mask: Final = (1 << size) - 1
        self._highest = -1
        self._seen = 0  # bit n: the highest less n has come

    def fresh(self, counter: int) -> bool:
        """Whether this counter has not come yet, as far as is remembered."""
        if counter > self._highest:
            return True
        age = self._highest - counter
        return age < self._size and not self._seen >> age & 1

    def mark(self, counter: int) -> None:
        """A fresh counter has come."""
        ahead = counter - self._highest
        if ahead <= 0:
            self._seen |= 1 << -ahead
            return
        self._seen = (self._seen << ahead | 1) & self._mask if ahead < self._size else 1
        self._highest = counter

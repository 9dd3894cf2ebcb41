"""Whether a key is proven in time, at the end that leads no rounds. No input or output, no clock."""

from typing import Final

__all__ = ["Proof"]


class Proof:
    """The time that the key in use has to be proven.

    Args:
        limit: seconds from the switch.
    """

    def __init__(self, limit: float) -> None:
        self._limit: Final = limit
        self._since: float | None = None  # of a switch whose key is not proven and not yet late
        self.late = False  # whether the last key that had its time was not proven in it
        self.missed = 0  # keys that were not

    @property
    def pending(self) -> bool:
        """Whether it is worth looking: a key has been switched to, and not been proven since."""
        return self._since is not None or self.late

    def begun(self, now: float) -> None:
        """The end has switched to another key; the one before may have had all its time without a look."""
        self.run_out(now)
        self._since = now

    def found(self) -> None:
        """The key in use is proven."""
        self._since, self.late = None, False

    def run_out(self, now: float) -> bool:
        """Whether the key's time is over and this is noticed for the first time: it is counted."""
        if self._since is None or now - self._since < self._limit:
            return False
        self._since, self.late = None, True
        self.missed += 1
        return True

"""How long a key may be used when no new one comes. No input or output, no clock."""

from typing import Final

__all__ = ["Tenure"]


class Tenure:
    """The time of the key in use at one end of a tunnel.

    Args:
        keep: seconds that a key may be used.
        now: seconds of the caller's monotonic clock. A tunnel is given the time of one key before its first.
    """

    def __init__(self, keep: float, now: float) -> None:
        self._keep: Final = keep
        self._since = now
        self.expired = False  # whether that was noticed

    def age(self, now: float) -> float:
        """Seconds since the last key came into use, or since the start."""
        return now - self._since

    def renewed(self, now: float) -> bool:
        """A key has come into use; whether the one before had expired."""
        was, self.expired, self._since = self.expired, False, now
        return was

    def expires(self, now: float) -> bool:
        """Whether the time is over and this is noticed for the first time."""
        if self.expired or self.age(now) < self._keep:
            return False
        self.expired = True
        return True

    @property
    def ends(self) -> float:
        """When its time is over."""
        return self._since + self._keep

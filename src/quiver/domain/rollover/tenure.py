"""How long a key may be used when no new one comes. No input or output, no clock."""

from typing import Final

__all__ = ["Tenure"]


class Tenure:
    """The time of the key in use at one end of a tunnel.

    It begins anew when a key is *proven*, not when the end switches to it: while a tunnel may still go on under the key before,
    that one's time runs.

    Args:
        keep: seconds that a key may be used.
        now: seconds of the caller's monotonic clock. A tunnel is given the time of one key before its first.
    """

    def __init__(self, keep: float, now: float) -> None:
        self._keep: Final = keep
        self._since = now
        self.ends = now + keep  # when its time is over
        self.expired = False  # whether that was noticed

    def age(self, now: float) -> float:
        """Seconds since a key was proven last, or since the start."""
        return now - self._since

    def renewed(self, now: float) -> bool:
        """A key was proven; whether the one before had expired."""
        was, self.expired = self.expired, False
        self._since, self.ends = now, now + self._keep
        return was

    def lent(self, now: float, seconds: float) -> None:
        """A tunnel that was blocked has a key, which has so many seconds to be proven. Nothing older can be in use there."""
        self.expired, self.ends = False, now + seconds

    def expires(self, now: float) -> bool:
        """Whether the time is over and this is noticed for the first time."""
        if self.expired or now < self.ends:
            return False
        self.expired = True
        return True

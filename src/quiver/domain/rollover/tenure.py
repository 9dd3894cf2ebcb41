"""How long a key may be used when no new one comes. No input or output, no clock."""

from typing import Final

__all__ = ["Tenure"]


class Tenure:
    """The time of the key in use at one end of a tunnel.

    It begins anew when a key is *proven*, not when the end switches to it: while a tunnel may still go on under the key before,
    that one's time runs. So that a key that comes at the last moment is not cut off before it can be proven, a switch may prolong
    it, once.

    Args:
        keep: seconds that a key may be used.
        proof: seconds that a key has to be proven.
        now: seconds of the caller's monotonic clock. A tunnel is given the time of one key before its first.
    """

    def __init__(self, keep: float, proof: float, now: float) -> None:
        self._keep: Final = keep
        self._proof: Final = proof
        self._since = now
        self._prolonged = False  # since a key was proven last
        self.ends = now + keep  # when its time is over
        self.expired = False  # whether that was noticed

    def age(self, now: float) -> float:
        """Seconds since a key was proven last, or since the start."""
        return now - self._since

    def switched(self, now: float, *, blocked: bool) -> None:
        """The end has switched to a key. One that opens a blocked tunnel always has its time: nothing older is left there."""
        if blocked or not (self.expired or self._prolonged or now + self._proof <= self.ends):
            self.ends, self._prolonged, self.expired = now + self._proof, True, False

    def renewed(self, now: float) -> bool:
        """A key was proven; whether the one before had expired."""
        was, self.expired, self._prolonged = self.expired, False, False
        self._since, self.ends = now, now + self._keep
        return was

    def expires(self, now: float) -> bool:
        """Whether the time is over and this is noticed for the first time."""
        if self.expired or now < self.ends:
            return False
        self.expired = True
        return True

"""Figures that come as counters and events, smoothed: rates of links, and how often they come and go."""

import math
from typing import Final

from quiver.domain import limits

__all__ = ["Budget", "Penalty", "RateMeter"]

STEP: Final = 1.0  # seconds between two samples at least: shorter ones measure the hand-over of single segments


class RateMeter:
    """The rate of a counter that begins again at 0 whenever its agent starts; an exponentially weighted average."""

    def __init__(self) -> None:
        self.rate: float | None = None  # per second; None until the first sample
        self.idle = False  # the last sample saw nothing
        self._value: int | None = None
        self._then = 0.0
        self._held_back = False

    def count(self, value: int, now: float, *, held_back: bool = False) -> None:
        """The counter was read.

        Args:
            value: its reading.
            now: seconds.
            held_back: what it counts is stopped now for another reason than its source. What came between two readings of which
                one is held back is the least that the source gives, no more.
        """
        elapsed, least = now - self._then, held_back or self._held_back
        if self._value is None or value < self._value:
            self._value, self._then, self._held_back = value, now, held_back
            return
        if elapsed < STEP:
            return
        sample = (value - self._value) / elapsed
        self._value, self._then, self._held_back = value, now, held_back
        if least:
            self.rate = max(self.rate, sample) if self.rate is not None else None
            return
        weight = 1.0 - math.exp(-elapsed / limits.RATE_LIFE)
        self.rate = sample if self.rate is None else self.rate + weight * (sample - self.rate)
        self.idle = sample == 0.0


class Penalty:
    """How unsteady something is: each loss adds 1, and half of it is forgotten per half-life (RFC 2439 section 4.2)."""

    def __init__(self) -> None:
        self._value = 0.0
        self._then = 0.0
        self._suppressed = False

    def add(self, now: float) -> None:
        """It was lost once more."""
        self._value, self._then = self.value(now) + 1.0, now
        self._suppressed = self._suppressed or self._value > limits.FLAP_CUTOFF

    def value(self, now: float) -> float:
        """The penalty now."""
        return float(self._value * 0.5 ** ((now - self._then) / limits.FLAP_HALF_LIFE))

    def suppressed(self, now: float) -> bool:
        """Whether it is to be avoided: from the cutoff on, until the penalty is below the reuse threshold."""
        self._suppressed = self._suppressed and self.value(now) >= limits.FLAP_REUSE
        return self._suppressed


class Budget:
    """How often something may be: some times at once, then once in a pause.

    Args:
        now: seconds.
        burst: times at once.
        pause: seconds.
    """

    def __init__(self, now: float, burst: int, pause: float) -> None:
        self._burst: Final = float(burst)
        self._pause: Final = pause
        self._left = self._burst
        self._then = now

    def _refill(self, now: float) -> None:
        self._left = min(self._burst, self._left + (now - self._then) / self._pause)
        self._then = now

    def allows(self, now: float) -> bool:
        """Whether it may be now."""
        self._refill(now)
        return self._left >= 1.0

    def spend(self, now: float) -> None:
        """It is."""
        self._refill(now)
        self._left -= 1.0

    def due(self, now: float) -> float:
        """When it may be again."""
        self._refill(now)
        return now + max(0.0, 1.0 - self._left) * self._pause

    def whole(self, now: float) -> bool:
        """Whether nothing of it is used up."""
        self._refill(now)
        return self._left >= self._burst

"""What the pure rules are given from outside: a clock, randomness, and a place for alarms.

The agent gives them the real ones; the simulation gives them its own. Nothing else differs between the two.
"""

from typing import Protocol

__all__ = ["Clock", "Entropy"]


class Clock(Protocol):
    """Monotonic time."""

    def now(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""


class Entropy(Protocol):
    """A source of random bytes fit for keys."""

    def draw(self, count: int) -> bytes:
        """`count` fresh random bytes."""

"""What the pure rules are given from outside: a clock, randomness, and a place for alarms.

The agent gives them the real ones; the simulation gives them its own. Nothing else differs between the two.
"""

from typing import Protocol

__all__ = ["Clock", "Entropy", "KeyEntropy"]


class Clock(Protocol):
    """Monotonic time."""

    def now(self) -> float:
        """Seconds since some fixed moment; never runs backwards."""


class Entropy(Protocol):
    """A source of random bytes fit for keys."""

    def draw(self, count: int) -> bytes:
        """`count` fresh random bytes."""


class KeyEntropy(Entropy, Protocol):
    """One that also knows whether what it draws may become keys of SAEs."""

    def draw_key(self, count: int) -> bytes | None:
        """`count` fresh random bytes; None where policy wants those of a source that has not so many now."""

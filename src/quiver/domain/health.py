"""Continuous health tests of a source of random numbers (NIST SP 800-90B section 4.4): does it do what it did at its assessment?

They notice a source that is stuck or has lost much of its entropy. They do not show that a source is good: nothing that looks at
its output alone can do that.
"""

import math
import re
from typing import Final

from quiver.domain.errors import ConfigurationError

__all__ = ["START_UP", "WINDOW", "HealthTests", "proportion_cutoff", "repetition_cutoff"]

WINDOW: Final = 512  # samples of the adaptive proportion test where they are not binary (section 4.4.2)
START_UP: Final = 1_024  # consecutive samples that are tested before any is used (section 4.3, requirement 4)
_ALPHA: Final = (
    30  # a source as good as it claims fails one test in 2^30; 2^-20 to 2^-40 are recommended (section 4.4.1)
)


def repetition_cutoff(min_entropy: float) -> int:
    """Equal samples in a row that fail the repetition count test (section 4.4.1).

    Args:
        min_entropy: bits of each sample.
    """
    return 1 + math.ceil(_ALPHA / min_entropy)


def proportion_cutoff(min_entropy: float) -> int:
    """Times that a window's first sample may not stand in it (section 4.4.2), at most the window, so that it can fail at all.

    The first sample stands there for certain, so that the binomial is over the others: one trial less than the standard's
    formula has, and one more on top, as jitterentropy-library computes it.

    Args:
        min_entropy: bits of each sample.
    """
    likely, trials = 2.0**-min_entropy, WINDOW - 1
    alpha, tail = 2.0**-_ALPHA, 0.0
    for count in range(trials, -1, -1):
        tail += math.comb(trials, count) * likely**count * (1.0 - likely) ** (trials - count)
        if tail > alpha:
            return min(WINDOW, 2 + count)
    return WINDOW


class HealthTests:
    """Both tests over a stream of samples of 8 bits.

    Args:
        min_entropy: bits of each sample, as the source's maker or an assessment gives it; above 0, at most 8.

    Raises:
        ConfigurationError: it is not within these bounds.
    """

    def __init__(self, min_entropy: float) -> None:
        if not 0.0 < min_entropy <= 8.0:
            raise ConfigurationError(f"min_entropy: above 0 and at most 8 bits of each byte, not {min_entropy:g}")
        repeats = repetition_cutoff(min_entropy)
        self._stuck: Final = re.compile(rb"(.)\1{%d}" % (repeats - 1), re.DOTALL)
        self._carried: Final = repeats - 1
        self._most: Final = proportion_cutoff(min_entropy)
        self._tail = b""  # the last samples, with which a row may go on
        self._window = b""  # samples of the window that is not full

    def feed(self, samples: bytes) -> str | None:
        """Test further samples; the name of the test that they fail, else None."""
        row = self._tail + samples
        self._tail = row[-self._carried :]
        failed = "repetition count" if self._stuck.search(row) else None
        rest = self._window + samples
        whole = len(rest) - len(rest) % WINDOW
        for start in range(0, whole, WINDOW):
            window = rest[start : start + WINDOW]
            if window.count(window[0]) >= self._most:
                failed = failed or "adaptive proportion"
        self._window = rest[whole:]
        return failed

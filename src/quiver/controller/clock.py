"""The controller's clock."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

"""What an engine is given of its machine and its network."""

import time
from collections.abc import Sequence
from typing import Protocol

from quiver.domain.messages import Answer, Header, Item

__all__ = ["Peers", "SystemClock"]


class Peers(Protocol):
    """How messages reach other nodes."""

    async def send(
        self, peer: str, kind: str, header: Header, items: Sequence[Item], link: str = ""
    ) -> tuple[Header, list[Answer]]:
        """Send a message, along a link where one is named, and give its answers.

        Raises:
            RemoteError: none came.
        """
        ...

    async def drop(self, peer: str, link: str) -> None:
        """A link is down: calls along it fail now, not when their time is over."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

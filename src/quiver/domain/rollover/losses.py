"""What a tunnel has lost from one change of keys to the next, from both ends' counts. No input or output, no clock."""

from typing import Annotated

import msgspec

__all__ = ["Losses", "Packets"]


class Packets(msgspec.Struct, frozen=True, array_like=True):
    """Packets that one end has counted since it was started.

    Attributes:
        received: that came out of the tunnel.
        sent: that went into it.
    """

    received: Annotated[int, msgspec.Meta(ge=0)]
    sent: Annotated[int, msgspec.Meta(ge=0)]


class Losses:
    """Sums up what is lost in both directions, change by change.

    What is on its way while the counts are read is in one of them only: a change may show a packet that the next one takes back.

    Attributes:
        latest: packets that were lost between the last two changes; None before two have been compared.
        total: in all; it only rises.
    """

    def __init__(self) -> None:
        self.latest: int | None = None
        self.total = 0
        self._sum = 0
        self._last: tuple[int, int, int, int] | None = None

    def told(self, here: Packets, there: Packets) -> int | None:
        """The counts of both ends at a change; packets lost since the change before, None where that cannot be said."""
        now = (here.received, here.sent, there.received, there.sent)
        last, self._last = self._last, now
        if last is None or any(new < old for new, old in zip(now, last, strict=True)):
            return None
        into_here, from_here, into_there, from_there = (new - old for new, old in zip(now, last, strict=True))
        lost = from_here - into_there + from_there - into_here
        self._sum += lost
        self.total = max(self.total, self._sum)
        self.latest = max(0, lost)
        return self.latest

    def restarted(self) -> None:
        """One end counts from the beginning again: the next counts have nothing to be compared with."""
        self._last = None

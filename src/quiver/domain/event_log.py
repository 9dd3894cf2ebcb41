"""What has happened at a node in this run, numbered: what the controller and the operators are told without asking."""

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.events import Event, NumberedEvent

__all__ = ["EventLog", "Gauge", "Pauses"]


class EventLog:
    """The newest events of one run; the number of each is one above the last.

    A reader that finds a gap, because it was slow or its connection broke, reads the node's whole state again.
    """

    def __init__(self) -> None:
        self._kept: Final[deque[NumberedEvent]] = deque(maxlen=limits.EVENTS_KEPT)
        self._fresh: list[NumberedEvent] = []
        self.sequence = 0  # number of the newest event; 0 where there was none

    def note(self, event: Event) -> None:
        """Something has happened."""
        self.sequence += 1
        # The union of `NumberedEvent.body` names every subclass of Event.
        numbered = NumberedEvent(sequence=self.sequence, body=event)  # type: ignore[arg-type]
        self._kept.append(numbered)
        self._fresh = [*self._fresh, numbered][-limits.EVENTS_KEPT :]

    def take(self) -> list[NumberedEvent]:
        """The events since the last call, oldest first."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def after(self, sequence: int) -> list[NumberedEvent]:
        """The events above a number, as far as they are kept."""
        return [event for event in self._kept if event.sequence > sequence]


class Pauses:
    """Says whether something of one name may be told again; of a bounded number of names.

    Args:
        now: the clock.
        pause: seconds between two times.
        most: names that are remembered; while they all pause, a new one has to wait.
    """

    def __init__(self, now: Callable[[], float], pause: float, most: int) -> None:
        self._now: Final = now
        self._pause: Final = pause
        self._most: Final = most
        self._until: Final[dict[str, float]] = {}  # in order of time

    def passes(self, name: str) -> bool:
        """Whether `name` may be told now; then its pause begins."""
        now = self._now()
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
        if name in self._until or len(self._until) >= self._most:
            return False
        self._until[name] = now + self._pause
        return True


class Gauge(msgspec.Struct):
    """A level that is low or not, with a gap between the two in which nothing changes.

    Attributes:
        low: what it was last; not low before the first reading.
    """

    low: bool = False

    def turned(self, value: float, below: float, above: float) -> bool:
        """Whether a reading makes it low (less than `below`) or no longer low (more than `above`)."""
        low = value < below if not self.low else value <= above
        turned, self.low = low != self.low, low
        return turned

"""What the controller tells its operator: moves of paths with their times, faults, doubts. Bounded; names and figures only."""

from collections import deque
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.sdn.rates import Budget

__all__ = ["Notice", "Notices", "Voices"]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an operator reads about.

    Attributes:
        name: what happened, of a fixed set: `rerouted`, `node-lost`, `fenced`, ...
        at: when, on the controller's clock, in seconds.
        about: names, causes and routes.
        seconds: times since the fault or order that began it: `credit`, `primed`.
    """

    name: str
    at: float
    about: dict[str, str] = {}
    seconds: dict[str, float] = {}


class Notices:
    """Notices that nobody has taken yet."""

    def __init__(self) -> None:
        self._waiting: Final[deque[Notice]] = deque()
        self.dropped = 0  # as nobody took those before

    def say(self, name: str, at: float, *, seconds: dict[str, float] | None = None, **about: str) -> None:
        """Something has happened."""
        if len(self._waiting) >= limits.NOTICES:
            self.dropped += 1
            return
        self._waiting.append(Notice(name=name, at=at, about=about, seconds=seconds or {}))

    def take(self) -> list[Notice]:
        """All that wait, oldest first; they wait no longer."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class Voices:
    """What agents bring into the history: none can push out of it what others, and the operators, have done.

    Args:
        notices: where it is told.
    """

    def __init__(self, notices: Notices) -> None:
        self._notices: Final = notices
        self._budgets: Final[dict[str, Budget]] = {}
        self._hushed: Final[set[str]] = set()

    def say(self, node: str, name: str, at: float, **about: str) -> None:
        """Something came of an agent; what is too much of one is passed over, and that is told once."""
        budget = self._budgets.setdefault(node, Budget(at, limits.VOICE_BURST, limits.VOICE_PAUSE))
        if budget.whole(at):
            self._hushed.discard(node)
        if budget.allows(at):
            budget.spend(at)
            self._notices.say(name, at, seconds=None, node=node, **about)
        elif node not in self._hushed:
            self._hushed.add(node)
            self._notices.say("too-much-told", at, node=node)

    def forget(self, node: str) -> None:
        """A node has left the network."""
        self._budgets.pop(node, None)
        self._hushed.discard(node)

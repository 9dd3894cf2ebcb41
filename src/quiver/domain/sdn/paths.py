"""One path of a virtual link, as the controller steers it: the version in use, the one that is being made, and why."""

from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.sdn.rates import Budget
from quiver.domain.sdn.routes import Nodes, hops_of
from quiver.domain.sdn.topology import Pair
from quiver.domain.sdn.versions import Version

__all__ = ["Path", "Trouble"]

_DOUBLINGS: Final = 8  # of a patience; DRY_MOST is reached before


class Trouble(msgspec.Struct, frozen=True):
    """Why a path has to move: a word for operators, where it is, and when this controller heard of it."""

    cause: str
    where: str
    at: float


class Path:
    """One of the paths of a demand.

    Args:
        name: of the virtual link.
        number: of the path within it, from 1.
        now: seconds.
    """

    def __init__(self, name: str, number: int, now: float) -> None:
        self.name: Final = name
        self.number: Final = number
        self.current: Version | None = None
        self.coming: Version | None = None
        self.past: Version | None = None  # the version in use before, until it is let go
        self.trouble: Trouble | None = None
        self.target: Nodes = ()  # where a global allocation, or room for the other paths of its demand, wants it ...
        self.hurried = False  # ... the latter, which cannot wait
        self.budget: Final = Budget(now, limits.MOVE_BURST, limits.MOVE_PAUSE)
        self.moved_at = float("-inf")
        self.changed = True  # it is to be looked at
        self.wake_at = now  # or then
        self.dry_since: float | None = None  # the version in use has been without credit since then
        self.patience = limits.DRY_PATIENCE
        self.failures = 0  # new versions in a row that did not come up
        self.not_before = now  # no new version before that
        self.failed: Nodes = ()  # route of the last one of them
        self.barred: Final[dict[str, float]] = {}  # nodes that refused a version of it → until when they are left out
        self.served = True  # whether its last search found a route
        self.unprimed: tuple[str, Trouble] | None = None  # the version that has come up, until its first block is ready

    @property
    def id(self) -> tuple[str, int]:
        """Virtual link and number."""
        return self.name, self.number

    @property
    def nodes(self) -> Nodes:
        """The route that it takes, or will take next."""
        version = self.coming or self.current
        return version.entry.nodes if version is not None else ()

    @property
    def held(self) -> list[Nodes]:
        """The routes of all its versions that are not let go."""
        versions = (self.current, self.coming, self.past)
        return [version.entry.nodes for version in versions if version is not None]

    def forget(self, version: Version) -> None:
        """A version is not to be counted on any more."""
        self.current = None if self.current is version else self.current
        self.coming = None if self.coming is version else self.coming
        self.past = None if self.past is version else self.past
        self.changed = True

    def wake(self, moment: float) -> None:
        """Look at it again at this time at the latest."""
        self.wake_at = min(self.wake_at, moment)

    def shunned(self) -> list[list[Pair]]:
        """What to leave out where the last route did not work and nobody knows why: all its hops, or one of them, or nothing."""
        hops = hops_of(self.failed)
        return [hops, [hops[self.failures % len(hops)]], []] if hops else [[]]

    def failed_at(self, nodes: Nodes, now: float) -> None:
        """A new version did not come up: the next one waits, longer each time."""
        self.failed = nodes
        self.failures += 1
        pause = min(limits.ORDER_PAUSE * 2 ** (self.failures - 1), limits.REPEAT_MOST) if self.failures > 1 else 0.0
        self.not_before = now + pause
        self.wake(self.not_before)

    def patient(self, time: float) -> float:
        """How long to wait for a new version: longer after each that did not come up, or a busy network never gets one up."""
        return min(time * (1 << min(max(self.failures - 1, 0), _DOUBLINGS)), limits.DRY_MOST)

    def came_up(self, now: float) -> None:
        """A version of it has credit."""
        self.failures, self.failed, self.not_before = 0, (), now
        self.dry_since, self.patience = None, limits.DRY_PATIENCE

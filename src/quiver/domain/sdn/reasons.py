"""Reasons why a path has to move.

In order: there is no version, a node refused it, the demand asks for other figures, another path of the demand passes a node of
its route, its route is broken, it has been without credit for too long although nothing seems broken, its route is poor, or a
global allocation wants it elsewhere.
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.paths import Path
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.search import ALLOCATION, DRY, Search, allowed
from quiver.domain.sdn.verdicts import Condition, Verdict

__all__ = ["DRY", "NEW", "NOT_DISJOINT", "Reasons", "fits"]

NEW: Final = "new"
NOT_DISJOINT: Final = "not-disjoint"


class Reasons:
    """Judges paths.

    Args:
        core: what is known.
        provisioning: knows which versions were refused.
        search: knows which paths meet.
    """

    def __init__(self, core: Core, provisioning: Provisioning, search: Search) -> None:
        self._core: Final = core
        self._provisioning: Final = provisioning
        self._search: Final = search

    def of(self, path: Path, demand: Demand, now: float) -> Verdict | None:
        """Why a path has to move; None where it may stay."""
        version = path.current
        if version is None:
            return Verdict(Condition.BROKEN, NEW, urgent=True)
        entry = version.entry
        if entry.key in self._provisioning.refused:
            return Verdict(Condition.BROKEN, "refused", self._provisioning.refused[entry.key], urgent=True)
        if not fits(entry, demand):
            return Verdict(Condition.BROKEN, "changed", urgent=True)
        met = self._search.met(path, demand)
        if met:
            return Verdict(Condition.BROKEN, NOT_DISJOINT, met, urgent=True)
        verdict = self._core.topology.route(entry.nodes)
        if verdict.condition is Condition.BROKEN:
            return verdict
        dry = self._dry(path, entry, now)
        wanted = bool(path.target) and path.target != entry.nodes
        makes_room = wanted and path.hurried and not verdict.urgent  # others wait for it, it for nothing
        if dry is not None or (verdict.condition is not Condition.GOOD and not makes_room):
            return dry or verdict
        if wanted:
            return Verdict(Condition.POOR, ALLOCATION, urgent=path.hurried)
        path.target = ()
        return None

    def _dry(self, path: Path, entry: PathEntry, now: float) -> Verdict | None:
        """Whether a path in use has been without credit for longer than it has patience."""
        if not self._core.hears(entry.source) or self._core.knowledge.credit_of(entry) > 0:
            path.dry_since = None
            path.patience = limits.DRY_PATIENCE
            return None
        if path.dry_since is None:
            path.dry_since = now
        end = path.dry_since + path.patience
        if now < end:
            path.wake(end)
            return None
        return Verdict(Condition.BROKEN, DRY, entry.source)


def fits(entry: PathEntry, demand: Demand) -> bool:
    """Whether a version is as its demand says."""
    figures = (entry.depth, entry.rate, entry.priority) == (demand.depth, demand.rate, demand.priority)
    return figures and allowed(entry.nodes, demand)

"""Adoption: a controller that comes takes over the paths that agents hold.

A path's source decides: what it holds is a path, what only others hold is an orphan. Where this controller's database is new or
older than the agents' terms, paths of demands that it does not know bring their demands back: a lost database costs no service.
Where the database is up to date, somebody gave those demands up, and their paths go.
"""

from collections.abc import Iterable
from typing import Final

from quiver.domain.errors import ConfigurationError, LimitError
from quiver.domain.network import PathEntry
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand, Origin
from quiver.domain.sdn.steering import Steering

__all__ = ["Adoption"]


class Adoption:
    """Takes over what sources hold.

    Args:
        core: what is known.
        steering: where paths are taken over.
    """

    def __init__(self, core: Core, steering: Steering) -> None:
        self._core: Final = core
        self._steering: Final = steering

    def step(self, now: float) -> None:
        """Look at what sources hold, each once after it was read."""
        for node, session in self._core.sessions.items():
            if not self._core.ready(node) or session.read_at <= session.adopted_at:
                continue
            session.adopted_at = session.read_at
            entries = [entry for entry in session.entries.values() if entry.source == node]
            unknown = [entry for entry in entries if self._core.versions.get(entry.key) is None]
            if unknown and self._core.leader.forgetful:
                self._bring_back(unknown, now)
            for entry in sorted(unknown, key=self._rank, reverse=True):
                self._steering.adopt(entry, now)

    def _rank(self, entry: PathEntry) -> tuple[bool, int]:
        """The version with credit is the better one, then the newer one."""
        report = self._core.knowledge.path_at(entry.source, entry.key)
        return report is not None and report.credit > 0, entry.version

    def _bring_back(self, entries: Iterable[PathEntry], now: float) -> None:
        """Make demands of paths that nobody remembers."""
        newest = {(entry.virtual_link, entry.path): entry for entry in sorted(entries, key=lambda entry: entry.version)}
        for (name, number), entry in newest.items():
            known = self._core.demands.get(name)
            if known is not None and (known.origin is not Origin.FOUND or known.paths >= number):
                continue
            try:
                demand = Demand(
                    name=name,
                    source=entry.source,
                    destination=entry.destination,
                    rate=entry.rate,
                    depth=entry.depth,
                    priority=entry.priority,
                    paths=number,
                    origin=Origin.FOUND,
                )
                self._core.demands.put(demand)
            except (ConfigurationError, LimitError):  # no controller has made this; it goes
                continue
            self._core.memory.put(demand)
            self._steering.demanded(demand, now)
            self._core.notices.say("demand-found", now, demand=name, source=entry.source, destination=entry.destination)

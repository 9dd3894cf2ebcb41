"""Adoption: a controller that comes takes over the paths that agents hold.

A path's source decides: what it holds is a path, what only others hold is an orphan. A path whose version no controller with
this database has given out was made after a backup that was restored, or before a database was lost: it brings its demand back,
so that a lost database costs no service. A version that this database does know was given up, and goes.

One agent's word brings no demand: another node of the path has to hold the same entry. Only what a source holds when it is read
for the first time counts; what comes up later, while this controller leads, no controller has made.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, LimitError
from quiver.domain.network import PathEntry
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand, Origin
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.steering import Steering

__all__ = ["Adoption"]


class Adoption:
    """Takes over what sources hold.

    Args:
        core: what is known.
        provisioning: leaves alone what is not decided yet.
        steering: where paths are taken over.
    """

    def __init__(self, core: Core, provisioning: Provisioning, steering: Steering) -> None:
        self._core: Final = core
        self._undecided: Final = provisioning.undecided
        self._steering: Final = steering
        self._waiting: Final[dict[str, PathEntry]] = {}  # paths of which no other node was read yet

    def step(self, now: float) -> None:
        """Look at what sources hold, each once after it was read."""
        for node, session in self._core.sessions.items():
            if not self._core.ready(node) or session.read_at <= session.adopted_at:
                continue
            first = session.adopted_at < self._core.leader.claimed_at
            session.adopted_at = session.read_at
            entries = [entry for entry in session.entries.values() if entry.source == node]
            unknown = [entry for entry in entries if self._core.versions.get(entry.key) is None]
            if first:
                self._wait(entry for entry in unknown if self._comes_back(entry))
            self._take_over((entry for entry in unknown if entry.key not in self._waiting), now)
        self._decide(now)

    def _take_over(self, entries: Iterable[PathEntry], now: float) -> None:
        for entry in sorted(entries, key=self._rank, reverse=True):
            self._steering.adopt(entry, now)

    def _rank(self, entry: PathEntry) -> tuple[bool, int]:
        """The version with credit is the better one, then the newer one."""
        return self._core.knowledge.credit_of(entry) > 0, entry.version

    # --- paths that nobody remembers ------------------------------------------------------------------------------

    def _comes_back(self, entry: PathEntry) -> bool:
        """Whether a path may bring its demand back, or make it one of more paths."""
        known = self._core.demands.get(entry.virtual_link)
        if known is not None and (known.origin is not Origin.FOUND or known.paths >= entry.path):
            return False
        return not self._core.memory.owns(entry.virtual_link, entry.path, entry.version)

    def _wait(self, entries: Iterable[PathEntry]) -> None:
        self._waiting.update({entry.key: entry for entry in entries})
        self._undecided.update(self._waiting)

    def _decide(self, now: float) -> None:
        """Take over those that another node confirms; let those go that all others deny, once they are read."""
        ready = [entry for entry in self._waiting.values() if self._core.ready(entry.source)]
        confirmed = [entry for entry in ready if any(self._holds(node, entry) for node in entry.nodes[1:])]
        keys = {entry.key for entry in confirmed}
        decided = [entry for entry in ready if entry.key in keys or self._all_read(entry)]
        for entry in decided:
            del self._waiting[entry.key]
            self._undecided.discard(entry.key)
        self._bring_back(confirmed, now)
        self._take_over((entry for entry in decided if self._holds(entry.source, entry)), now)

    def _all_read(self, entry: PathEntry) -> bool:
        return all(self._core.ready(node) for node in entry.nodes if node in self._core.sessions)

    def _holds(self, node: str, entry: PathEntry) -> bool:
        return self._core.ready(node) and self._core.sessions[node].entries.get(entry.key) == entry

    def _bring_back(self, entries: Iterable[PathEntry], now: float) -> None:
        """Make demands of paths that nobody remembers."""
        newest = {(entry.virtual_link, entry.path): entry for entry in sorted(entries, key=lambda entry: entry.version)}
        found = [demand.source for demand in self._core.demands if demand.origin is Origin.FOUND] if newest else []
        count = Counter(found)
        for (name, number), entry in newest.items():
            known = self._core.demands.get(name)
            if not self._comes_back(entry) or (known is None and count[entry.source] >= limits.FOUND_PER_NODE):
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
            count[entry.source] += known is None
            self._core.memory.put(demand)
            self._steering.demanded(demand, now)
            ends = {"source": entry.source, "destination": entry.destination}
            self._core.notices.say("demand-found", now, seconds=None, demand=name, **ends, unknown="excluded hops")

"""Path versions and the states they pass through, from the first edit to the last (design section 7).

Entries are inert until credit reaches the source, and credit starts at the destination. So a version is laid at all its nodes but
the destination at once, in any order, and at the destination last: then the first grant finds every node ready, and no relay sets
pad aside for a path that is not whole. It is removed at the source first, and at the others when the source has no open sequence.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from quiver.domain.network import PathEntry

__all__ = ["VERSION_MOVES", "Version", "VersionState", "Versions"]


class VersionState(StrEnum):
    """Where a path version is."""

    LAYING = "laying"  # written to source and relays
    OPENING = "opening"  # these have it; written to the destination
    STANDING = "standing"  # all have it
    LEAVING = "leaving"  # removed at the source
    DRAINING = "draining"  # the source has let it go; its open sequences end
    CLEARING = "clearing"  # removed at all others
    GONE = "gone"


# From each state, where it can go.
VERSION_MOVES: Final[dict[VersionState, frozenset[VersionState]]] = {
    VersionState.LAYING: frozenset({VersionState.OPENING, VersionState.LEAVING}),
    VersionState.OPENING: frozenset({VersionState.STANDING, VersionState.LEAVING}),
    VersionState.STANDING: frozenset({VersionState.LEAVING}),
    VersionState.LEAVING: frozenset({VersionState.DRAINING, VersionState.CLEARING}),
    VersionState.DRAINING: frozenset({VersionState.CLEARING}),
    VersionState.CLEARING: frozenset({VersionState.GONE}),
    VersionState.GONE: frozenset(),
}

WANTED: Final = frozenset({VersionState.LAYING, VersionState.OPENING, VersionState.STANDING})


class Version:
    """One path version.

    Args:
        entry: what every node of it holds.
        now: seconds.
        state: standing for one that agents held when this controller came.
    """

    def __init__(self, entry: PathEntry, now: float, state: VersionState = VersionState.LAYING) -> None:
        self.entry: Final = entry
        self.state = state
        self.made_at = now
        self.since = now  # when it came into its state
        self.credited = False  # its source had credit once

    @property
    def wanted(self) -> bool:
        """Whether it is to be there."""
        return self.state in WANTED

    def move(self, state: VersionState, now: float) -> None:
        """Go to a state; anything that the table does not have is a fault of this program."""
        assert state in VERSION_MOVES[self.state], f"path {self.entry.key}: no way from {self.state} to {state}"
        self.state, self.since = state, now

    def leave(self, now: float) -> None:
        """It is not wanted any more."""
        if self.wanted:
            self.move(VersionState.LEAVING, now)

    def at(self, node: str) -> bool | None:
        """Whether a node of it is to hold it; None where it is to be left as it is."""
        if self.state is VersionState.LAYING:
            return None if node == self.entry.destination else True
        if self.wanted:
            return True
        if self.state in (VersionState.CLEARING, VersionState.GONE) or node == self.entry.source:
            return False
        return None


class Versions:
    """All versions that are not gone, by key and by node."""

    def __init__(self) -> None:
        self._table: Final[dict[str, Version]] = {}
        self._at: Final[dict[str, dict[str, Version]]] = {}
        self.moving: Final[dict[str, Version]] = {}  # those that are not standing

    def __iter__(self) -> Iterator[Version]:
        """All of them."""
        return iter(list(self._table.values()))

    def get(self, key: str) -> Version | None:
        """A version by its key."""
        return self._table.get(key)

    def at(self, node: str) -> list[Version]:
        """The versions that pass a node."""
        return list(self._at.get(node, {}).values())

    def add(self, version: Version) -> Version:
        """A new one."""
        key = version.entry.key
        self._table[key] = version
        for node in version.entry.nodes:
            self._at.setdefault(node, {})[key] = version
        self.moved(version)
        return version

    def moved(self, version: Version) -> None:
        """Its state has changed."""
        key = version.entry.key
        if version.state is VersionState.STANDING:
            self.moving.pop(key, None)
            return
        self.moving[key] = version
        if version.state is VersionState.GONE:
            del self.moving[key], self._table[key]
            for node in version.entry.nodes:
                del self._at[node][key]
                if not self._at[node]:
                    del self._at[node]

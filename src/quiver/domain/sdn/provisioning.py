"""Provisioning: what each agent is to hold, and the edits that make it so.

Nothing here remembers steps. For each agent the entries that are wanted there are compared with those that it holds, and the
difference is one edit; a lost edit, a restarted agent and a controller that died half-way are all the same case. Entries that
belong to no version are orphans and are swept, unless their source has not been heard yet: it decides.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.orders import Edit
from quiver.domain.sdn.sessions import Session, Stage
from quiver.domain.sdn.versions import Version, VersionState

__all__ = ["Provisioning"]


Difference = tuple[tuple[PathEntry, ...], tuple[str, ...], dict[str, str], tuple[str, ...]]
"""Entries to put, keys of those to remove, addresses to write, nodes whose addresses are to be forgotten."""


class Provisioning:
    """Lays and removes path versions.

    Args:
        core: sessions, versions, and what is known.
    """

    def __init__(self, core: Core) -> None:
        self._core: Final = core
        self._versions: Final = core.versions
        self._sessions: Final = core.sessions
        self._changed: Final[dict[str, None]] = {}  # nodes whose difference may be another one now
        self.refused: Final[dict[str, str]] = {}  # key of a version → the node that refused it
        self.undecided: Final[set[str]] = set()  # keys of entries that may still bring a demand back
        self.emptied: Final[set[str]] = set()  # nodes at which nothing is to be left, whoever knows of it

    # --- versions -------------------------------------------------------------------------------------------------

    def lay(self, entry: PathEntry, now: float) -> Version:
        """Begin a new version."""
        version = self._versions.add(Version(entry, now))
        self.touch(entry.nodes)
        return version

    def adopt(self, entry: PathEntry, now: float) -> Version:
        """Take over a version that agents hold."""
        version = self._versions.add(Version(entry, now, VersionState.STANDING))
        self.touch(entry.nodes)
        return version

    def remove(self, version: Version, now: float) -> None:
        """Let a version go."""
        version.leave(now)
        self._versions.moved(version)
        self.touch(version.entry.nodes)

    def touch(self, nodes: Iterable[str]) -> None:
        """The difference at these nodes is to be looked at again."""
        self._changed.update(dict.fromkeys(nodes))

    def advance(self, now: float) -> list[str]:
        """Take every version that is under way as far as its agents allow; the keys of those that went on."""
        moved = []
        for version in list(self._versions.moving.values()):
            while self._next(version, now):
                self._versions.moved(version)
                self.touch(version.entry.nodes)
                moved.append(version.entry.key)
            if version.state is VersionState.GONE:
                self.refused.pop(version.entry.key, None)
        return moved

    def _next(self, version: Version, now: float) -> bool:
        entry, waited = version.entry, now - version.since
        holding = [node for node in entry.nodes if self._holds(node, entry)]
        match version.state:
            case VersionState.LAYING if set(holding) >= set(entry.nodes[:-1]):
                version.move(VersionState.OPENING, now)
            case VersionState.OPENING if len(holding) == len(entry.nodes):
                version.move(VersionState.STANDING, now)
            case VersionState.LEAVING if self._core.ready(entry.source) and entry.source not in holding:
                self._sessions[entry.source].want_read(now)
                version.move(VersionState.DRAINING, now)
            case VersionState.LEAVING if not self._core.ready(entry.source) and waited >= limits.DRAINING_TIME:
                version.move(VersionState.CLEARING, now)
            case VersionState.DRAINING if self._drained(version, now) or waited >= limits.DRAINING_TIME:
                version.move(VersionState.CLEARING, now)
            case VersionState.CLEARING if not any(self._core.ready(node) for node in holding):
                version.move(VersionState.GONE, now)
            case _:
                return False
        return True

    def _holds(self, node: str, entry: PathEntry) -> bool:
        session = self._sessions.get(node)
        return session is not None and session.entries.get(entry.key) == entry

    def _drained(self, version: Version, now: float) -> bool:
        """Whether the source, read since it let the version go, has no open sequence of it."""
        session = self._sessions.get(version.entry.source)
        if session is None or session.read_at <= version.since:
            if session is not None:
                session.want_read(now)
            return False
        report = self._core.knowledge.path_at(version.entry.source, version.entry.key)
        if report is None or report.open == 0:
            return True
        session.want_read(now)
        return False

    @property
    def due(self) -> float:
        """When a version that is under way is to be looked at, even if nothing happens."""
        bounds = {VersionState.LEAVING, VersionState.DRAINING}
        moving = [version for version in self._versions.moving.values() if version.state in bounds]
        return min((version.since + limits.DRAINING_TIME for version in moving), default=float("inf"))

    # --- edits ----------------------------------------------------------------------------------------------------

    def edits(self, now: float, term: int) -> list[Edit]:
        """The edits that may leave now."""
        made = []
        for node in list(self._changed):
            session = self._sessions.get(node)
            if session is None or session.stage is Stage.DOWN:
                del self._changed[node]  # it is read, and touched, when it returns
                continue
            if not session.free:
                continue
            difference = self._difference(session)
            edit = session.edit(now, term, *difference)
            if edit is not None:
                made.append(edit)
                for key in edit.remove:
                    if self._versions.get(key) is None:
                        self._core.notices.say("orphan-swept", now, node=node, path=key)
            elif not any(difference):
                del self._changed[node]
        return made

    def _difference(self, session: Session) -> Difference:
        held = session.entries
        remove = tuple(key for key, entry in held.items() if self._unwanted(session.node, entry))
        count = Counter((entry.virtual_link, entry.path) for key, entry in held.items() if key not in remove)
        put: list[PathEntry] = []
        for version in self._versions.at(session.node):
            entry = version.entry
            path = entry.virtual_link, entry.path
            if not version.at(session.node) or entry.key in held or entry.key in self.refused:
                continue
            if count[path] < limits.VERSIONS_PER_PATH and not (session.alone and put):
                put.append(entry)
                count[path] += 1
        needed = _needed(session.node, [*put, *held.values()])
        forget = tuple(sorted(self._core.memory.former.intersection(session.addresses).difference(needed)))
        return tuple(put), remove, self._addresses(session, needed), forget

    def _unwanted(self, node: str, entry: PathEntry) -> bool:
        """Whether an entry that a node holds has to go: its version does, or it is an orphan or a forgery."""
        version = self._versions.get(entry.key)
        if version is not None:
            return version.at(node) is False or version.entry != entry
        if entry.key in self.undecided:
            return False
        source = self._sessions.get(entry.source)
        if source is None or node in self.emptied:
            return True
        return source.stage is Stage.READY  # else its source, which knows, has to be heard first

    def _addresses(self, session: Session, needed: Iterable[str]) -> dict[str, str]:
        """Addresses that a node lacks."""
        wanted = {node: self._core.memory.members[node].address for node in needed if node in self._core.memory.members}
        return {node: there for node, there in wanted.items() if there and session.addresses.get(node) != there}

    def edit_refused(self, edit: Edit, about: str) -> None:
        """An agent has refused an edit: where it is clear which entry it was about, that version is not tried there again."""
        keys = [entry.key for entry in edit.put]
        if about in keys or len(keys) == 1:
            self.refused[about if about in keys else keys[0]] = edit.node


def _needed(node: str, entries: Iterable[PathEntry]) -> list[str]:
    """Whose addresses a node needs for its paths: relays and source call the destination, neighbours each other."""
    needed: dict[str, None] = {}
    for entry in entries:
        if node == entry.destination:
            needed.update(dict.fromkeys(entry.nodes))
        needed[entry.destination] = None
        for one, other in pairwise(entry.nodes):
            if node in (one, other):
                needed.update({one: None, other: None})
    needed.pop(node, None)
    return list(needed)

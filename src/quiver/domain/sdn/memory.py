"""The controller's durable memory: its records, and the writes that a database has yet to take.

Whoever drives the controller makes `changes()` durable before it lets orders out: a term or a version number that an agent has
seen must never be given out again.

The marks of version numbers are two tables. Own ones are durable, and those of demands that stand are never let go, whatever
agents say. Of the others the oldest go when there are too many, and leave one number for all: paths that are not remembered
singly begin above it. What agents say of versions that are not own is kept apart, and each has a part of that table.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.report import NodeReport, PathMark
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.records import Change, Drained, Fact, Former, Leadership, Mark, Member

__all__ = ["FACTS", "Heard", "Memory", "decode", "encode"]

F = TypeVar("F", bound=Fact)

FACTS: Final[dict[str, type[Fact]]] = {fact.kind: fact for fact in (Leadership, Demand, Mark, Member, Former, Drained)}
_decoders: Final = {kind: msgspec.json.Decoder(fact) for kind, fact in FACTS.items()}


def encode(fact: Fact) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(fact)


def decode(kind: str, body: bytes) -> Fact:
    """The record from its kind and its JSON."""
    return _decoders[kind].decode(body)


class Heard(StrEnum):
    """What becomes of an agent's word about a version number."""

    TAKEN = "taken"
    FAR = "far"  # it is above all that controllers can have given out
    FLOOD = "flood"  # this agent has named more versions than a node can hold that nobody else knows
    FULL = "full"  # many agents together have


class Memory:
    """What is remembered, and what of it is not written yet.

    Args:
        facts: all that the database holds.
    """

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        kept: Final = list(facts)
        self._pending: Final[dict[tuple[str, str], Change]] = {}
        self._own: Final[
            dict[str, dict[int, int]]
        ] = {}  # virtual link → path → version given out or taken over; durable
        self._heard: Final[
            dict[tuple[str, int], tuple[str, int]]
        ] = {}  # path → who named it first, and its highest version
        self._named: Final[Counter[str]] = Counter()  # node → how many of those it named first
        self.members: Final = {member.node: member for member in _of(Member, kept)}
        self.former: Final = {former.node for former in _of(Former, kept)}  # whose addresses agents may hold still
        self.drained: Final = {(drained.what, drained.name) for drained in _of(Drained, kept)}
        self.demands: Final = _of(Demand, kept)  # as they were at the start
        leaderships: Final = _of(Leadership, kept)
        self.term: int = max((leadership.term for leadership in leaderships), default=0)
        self._floor = max((leadership.floor for leadership in leaderships), default=0)
        for mark in _of(Mark, kept):
            self._own.setdefault(mark.virtual_link, {})[mark.path] = mark.version
        self._kept = sum(map(len, self._own.values()))  # own marks
        self._asked: Final = {demand.name for demand in self.demands}
        self._former: Final = dict.fromkeys(name for name in self._own if name not in self._asked)  # oldest first

    def put(self, fact: Fact) -> None:
        """Write a record; once, with the next changes."""
        if isinstance(fact, Demand):
            self._asked.add(fact.name)
            self._former.pop(fact.name, None)
        self._pending[fact.kind, fact.id] = Change(fact.kind, fact.id, fact)

    def delete(self, fact: Fact) -> None:
        """Delete a record."""
        if isinstance(fact, Demand):
            self._asked.discard(fact.name)
            self._former.update({fact.name: None} if fact.name in self._own else {})
        self._pending[fact.kind, fact.id] = Change(fact.kind, fact.id, None)

    def changes(self) -> list[Change]:
        """What to make durable, in one transaction, before any order leaves."""
        taken = list(self._pending.values())
        self._pending.clear()
        return taken

    def claim(self, term: int) -> None:
        """This controller's term is another one; durable with the next changes."""
        self.term = term
        self.put(Leadership(term=term, floor=self._floor))

    # --- version numbers ------------------------------------------------------------------------------------------

    def mark(self, virtual_link: str, path: int) -> int:
        """The highest version of a path that is known to have been given out; 0 where there was none."""
        _, heard = self._heard.get((virtual_link, path), ("", 0))
        return max(self._owned(virtual_link, path), heard)

    def _owned(self, virtual_link: str, path: int) -> int:
        return self._own.get(virtual_link, {}).get(path, 0)

    def next_version(self, virtual_link: str, path: int, above: int) -> int:
        """A version number that was never used, durable with the next changes.

        Args:
            virtual_link: its name.
            path: number of the path.
            above: all numbers up to here may have been used, whatever is known.
        """
        floor = 0 if self._owned(virtual_link, path) else self._floor
        version = max(self.mark(virtual_link, path), above, floor) + 1
        self.own(virtual_link, path, version)
        return version

    def owns(self, virtual_link: str, path: int, version: int) -> bool:
        """Whether controllers with this database have given this version out, or taken it over, or a later one."""
        return version <= self._owned(virtual_link, path)

    def covers(self, report: NodeReport) -> bool:
        """Whether all versions that an agent knows are such versions."""
        known = [(mark.virtual_link, mark.path, mark.version) for mark in report.marks]
        known += [(entry.virtual_link, entry.path, entry.version) for entry in report.configured]
        return all(self.owns(*version) for version in known)

    def own(self, virtual_link: str, path: int, version: int) -> None:
        """A version is given out or taken over; durable with the next changes, and remembered when its demand is gone."""
        if self.owns(virtual_link, path, version):
            return
        paths = self._own.setdefault(virtual_link, {})
        self._kept += path not in paths
        paths[path] = version
        self.put(Mark(virtual_link=virtual_link, path=path, version=version))
        if (virtual_link, path) in self._heard and self.mark(virtual_link, path) == version:
            self._unhear((virtual_link, path))
        if virtual_link not in self._asked:
            self._former[virtual_link] = None
        while self._kept > limits.MARKS_KEPT and self._former:
            self._let_go(next(iter(self._former)))

    def _let_go(self, virtual_link: str) -> None:
        """Remember the numbers of a virtual link that nobody asks for no longer: others, and it, begin above them."""
        del self._former[virtual_link]
        paths = self._own.pop(virtual_link)
        self._kept -= len(paths)
        for path, version in paths.items():
            self.delete(Mark(virtual_link=virtual_link, path=path, version=version))
        self._floor = max(self._floor, *paths.values())
        self.claim(self.term)

    def seen(self, node: str, mark: PathMark, term: int) -> Heard:
        """An agent knows a version.

        Args:
            node: the agent's.
            mark: the version.
            term: of the last controller that can have given it out.
        """
        place, version = (mark.virtual_link, mark.path), mark.version
        known = self.mark(*place)
        if version > max(known, term * limits.AHEAD) + limits.AHEAD or version >= limits.MARK_MAX:
            return Heard.FAR
        if version <= known:
            return Heard.TAKEN
        if place in self._heard:
            first, _ = self._heard[place]
        elif self._named[node] >= limits.MARKS_PER_NODE:
            return Heard.FLOOD
        elif len(self._heard) >= limits.MARKS_KEPT:
            return Heard.FULL
        else:
            first = node
            self._named[node] += 1
        self._heard[place] = first, version
        return Heard.TAKEN

    def _unhear(self, place: tuple[str, int]) -> None:
        first, _ = self._heard.pop(place)
        self._named[first] -= 1
        if not self._named[first]:
            del self._named[first]

    def forget(self, node: str) -> None:
        """A node has left the network; what it alone has said of versions goes with it."""
        for place in [place for place, (first, _) in self._heard.items() if first == node]:
            self._unhear(place)


def _of(kind: type[F], facts: Iterable[Fact]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]

"""The controller's durable memory: its records, and the writes that a database has yet to take.

Whoever drives the controller makes `changes()` durable before it lets orders out: a term or a version number that an agent has
seen must never be given out again.
"""

from collections.abc import Iterable
from typing import Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.report import NodeReport
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.records import Change, Drained, Fact, Leadership, Mark, Member

__all__ = ["FACTS", "Memory", "decode", "encode"]

F = TypeVar("F", bound=Fact)

FACTS: Final[dict[str, type[Fact]]] = {fact.kind: fact for fact in (Leadership, Demand, Mark, Member, Drained)}
_decoders: Final = {kind: msgspec.json.Decoder(fact) for kind, fact in FACTS.items()}


def encode(fact: Fact) -> bytes:
    """The record as JSON."""
    return msgspec.json.encode(fact)


def decode(kind: str, body: bytes) -> Fact:
    """The record from its kind and its JSON."""
    return _decoders[kind].decode(body)


class Memory:
    """What is remembered, and what of it is not written yet.

    Args:
        facts: all that the database holds.
    """

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        kept: Final = list(facts)
        self._pending: Final[dict[tuple[str, str], Change]] = {}
        self._marks: Final = {(mark.virtual_link, mark.path): mark.version for mark in _of(Mark, kept)}
        self._own: Final = dict(self._marks)  # those of them that are durable
        self.members: Final = {member.node: member for member in _of(Member, kept)}
        self.drained: Final = {(drained.what, drained.name) for drained in _of(Drained, kept)}
        self.demands: Final = _of(Demand, kept)  # as they were at the start
        self.term: int = max((leadership.term for leadership in _of(Leadership, kept)), default=0)

    def put(self, fact: Fact) -> None:
        """Write a record; once, with the next changes."""
        self._pending[fact.kind, fact.id] = Change(fact.kind, fact.id, fact)

    def delete(self, fact: Fact) -> None:
        """Delete a record."""
        self._pending[fact.kind, fact.id] = Change(fact.kind, fact.id, None)

    def changes(self) -> list[Change]:
        """What to make durable, in one transaction, before any order leaves."""
        taken = list(self._pending.values())
        self._pending.clear()
        return taken

    # --- version numbers ------------------------------------------------------------------------------------------

    def mark(self, virtual_link: str, path: int) -> int:
        """The highest version of a path that is known to have been given out; 0 where there was none."""
        return self._marks.get((virtual_link, path), 0)

    def next_version(self, virtual_link: str, path: int, above: int) -> int:
        """A version number that was never used, durable with the next changes.

        Args:
            virtual_link: its name.
            path: number of the path.
            above: all numbers up to here may have been used, whatever is known.
        """
        version = max(self.mark(virtual_link, path), above) + 1
        self.own(virtual_link, path, version)
        return version

    def owns(self, virtual_link: str, path: int, version: int) -> bool:
        """Whether controllers with this database have given this version out, or taken it over, or a later one."""
        return version <= self._own.get((virtual_link, path), 0)

    def covers(self, report: NodeReport) -> bool:
        """Whether all versions that an agent knows are such versions."""
        known = [(mark.virtual_link, mark.path, mark.version) for mark in report.marks]
        known += [(entry.virtual_link, entry.path, entry.version) for entry in report.configured]
        return all(self.owns(*version) for version in known)

    def own(self, virtual_link: str, path: int, version: int) -> None:
        """A version is given out or taken over; durable with the next changes, and remembered when its demand is gone."""
        if self.owns(virtual_link, path, version):
            return
        self._note(virtual_link, path, max(version, self.mark(virtual_link, path)))
        self._own[virtual_link, path] = version
        self.put(Mark(virtual_link=virtual_link, path=path, version=version))

    def seen(self, virtual_link: str, path: int, version: int, term: int) -> bool:
        """An agent knows this version; False where it is above all that controllers up to a term can have given out."""
        known = self.mark(virtual_link, path)
        if version > max(known, term * limits.AHEAD) + limits.AHEAD or version >= limits.MARK_MAX:
            return False
        if version > known:
            self._note(virtual_link, path, version)
        return True

    def _note(self, virtual_link: str, path: int, version: int) -> None:
        place = virtual_link, path
        self._marks.pop(place, None)
        self._marks[place] = version  # the newest last
        while len(self._marks) > limits.MARKS_KEPT:
            (name, number), gone = next(iter(self._marks.items()))
            del self._marks[name, number]
            if self._own.pop((name, number), None) is not None:
                self.delete(Mark(virtual_link=name, path=number, version=gone))


def _of(kind: type[F], facts: Iterable[Fact]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]

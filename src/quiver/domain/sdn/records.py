"""What the controller remembers, whatever happens to its process: its term, demands, version numbers, nodes, drains.

Which paths stand is not among it: the agents hold them, and a controller that comes reads them there.
"""

from enum import StrEnum
from typing import ClassVar

import msgspec

__all__ = ["Change", "Drained", "Fact", "Former", "Leadership", "Mark", "Member", "What"]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the records: a kind, and an id within the kind."""

    kind: ClassVar[str] = ""
    named_by: ClassVar[tuple[str, ...]] = ()

    @property
    def id(self) -> str:
        """The record's name within its kind."""
        return "/".join(str(getattr(self, field)) for field in self.named_by)


class Change(msgspec.Struct, frozen=True):
    """One write: a record, or None where it is to be deleted."""

    kind: str
    id: str
    record: Fact | None


class Leadership(Fact, frozen=True, kw_only=True):
    """How far this database's numbers have come.

    Attributes:
        term: the highest controller term that it has claimed.
        floor: versions up to here were given out for paths of which no `Mark` is kept any more.
    """

    kind: ClassVar[str] = "leadership"
    term: int
    floor: int = 0


class Mark(Fact, frozen=True, kw_only=True):
    """The highest version of a path that was ever given out: numbers are never used again."""

    kind: ClassVar[str] = "mark"
    named_by: ClassVar[tuple[str, ...]] = ("virtual_link", "path")
    virtual_link: str
    path: int
    version: int


class Member(Fact, frozen=True, kw_only=True):
    """A node of the network.

    Attributes:
        node: its id.
        address: "host:port" of its peer plane, told to the nodes of its paths; empty where their own files hold it.
        leaving: whether it was dismissed and is not gone yet (`dismissal.Dismissal`).
    """

    kind: ClassVar[str] = "member"
    named_by: ClassVar[tuple[str, ...]] = ("node",)
    node: str
    address: str = ""
    leaving: bool = False


class Former(Fact, frozen=True, kw_only=True):
    """A node that has left the network, until no agent holds its address any more."""

    kind: ClassVar[str] = "former"
    named_by: ClassVar[tuple[str, ...]] = ("node",)
    node: str


class What(StrEnum):
    """What an operator can take out of use."""

    NODE = "node"
    LINK = "link"


class Drained(Fact, frozen=True, kw_only=True):
    """A node or link that the operator wants no path to pass."""

    kind: ClassVar[str] = "drained"
    named_by: ClassVar[tuple[str, ...]] = ("what", "name")
    what: What
    name: str

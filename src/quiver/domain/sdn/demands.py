"""Demands: the virtual links that the network is to serve, whoever asked for them.

An operator makes them, a file lists them, or an agent reports that two permitted SAEs ask for keys and there is no path between
their nodes. The last kind ends when nobody has used it for long.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import ClassVar, Final

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, LimitError
from quiver.domain.sdn.records import Fact

__all__ = ["NAME", "Demand", "Demands", "Origin", "on_the_fly"]

NAME: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:@+-]{{0,{limits.NAME_LENGTH - 1}}}")


class Origin(StrEnum):
    """Who asked for a virtual link."""

    OPERATOR = "operator"
    FILE = "file"
    AGENT = "agent"  # a permitted pair of SAEs asked for keys
    FOUND = "found"  # agents held its paths when a controller without memory of it came; what it excluded is not known


class Demand(Fact, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One virtual link that is to be served.

    Attributes:
        name: of the virtual link.
        source: node whose SAEs ask for new keys.
        destination: node that restores them.
        rate: bits per second of each hop; 0 sets no bound and asks for no share.
        depth: bytes of pad to hold ready ahead of demand; 0 buffers nothing.
        priority: class, 0 the highest.
        paths: how many paths, which share no node but their ends.
        excluded: nodes that none of them may pass.
        hops: most of one path.
        origin: who asked.

    Raises:
        ConfigurationError: a field is out of range; the message names it and what is allowed.
    """

    kind: ClassVar[str] = "demand"
    named_by: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    source: str
    destination: str
    rate: int = 0
    depth: int = 0
    priority: int = 1
    paths: int = 1
    excluded: tuple[str, ...] = ()
    hops: int = limits.HOPS_PER_PATH
    origin: Origin = Origin.OPERATOR

    def __post_init__(self) -> None:
        where = f"demand {self.name[: limits.NAME_LENGTH]}"
        if not NAME.fullmatch(self.name):
            allowed = "a letter or digit, then letters, digits and . _ : @ + -"
            raise ConfigurationError(f"{where}: name must be 1 to {limits.NAME_LENGTH} characters, {allowed}")
        if not self.source or not self.destination or self.source == self.destination:
            raise ConfigurationError(f"{where}: source and destination must be two different nodes")
        if not 0 <= self.rate <= limits.MARK_MAX:
            raise ConfigurationError(f"{where}: rate must be 0 to {limits.MARK_MAX} bits per second")
        if self.depth and not limits.BLOCK_MIN <= self.depth <= limits.DEPTH_MAX:
            raise ConfigurationError(f"{where}: depth must be 0 or {limits.BLOCK_MIN} to {limits.DEPTH_MAX} bytes")
        for field, low, high in (
            ("priority", 0, limits.PRIORITIES - 1),
            ("paths", 1, limits.DISJOINT_PATHS),
            ("hops", 1, limits.HOPS_PER_PATH),
        ):
            if not low <= getattr(self, field) <= high:
                raise ConfigurationError(f"{where}: {field} must be {low} to {high}")
        if {self.source, self.destination}.intersection(self.excluded):
            raise ConfigurationError(f"{where}: excluded must not name source or destination")


def on_the_fly(source: str, destination: str) -> Demand:
    """The demand of one direction that an agent's event asks for, with default figures.

    Raises:
        ConfigurationError: the nodes' names make no name of a virtual link.
    """
    name = f"auto:{source}:{destination}"
    return Demand(name=name, source=source, destination=destination, depth=limits.ON_THE_FLY_DEPTH, origin=Origin.AGENT)


class Demands:
    """The table of demands.

    Args:
        known: those that a database remembers.
    """

    def __init__(self, known: Iterable[Demand]) -> None:
        self._table: Final = {demand.name: demand for demand in known}
        self._used_at: Final[dict[str, float]] = {}  # demands on the fly → last sign of use
        self._between: Final[dict[tuple[str, str], set[str]]] = {}
        for demand in self._table.values():
            self._between.setdefault((demand.source, demand.destination), set()).add(demand.name)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._table)

    def __iter__(self) -> Iterator[Demand]:
        """All of them, in order of arrival."""
        return iter(list(self._table.values()))

    def get(self, name: str) -> Demand | None:
        """A demand by its name."""
        return self._table.get(name)

    def between(self, source: str, destination: str) -> bool:
        """Whether some virtual link from one node to another is asked for."""
        return bool(self._between.get((source, destination)))

    def put(self, demand: Demand) -> bool:
        """Take up a demand, or change one; whether anything is new.

        Raises:
            LimitError: there are too many.
            ConfigurationError: one of this name has other ends; a virtual link does not move.
        """
        old = self._table.get(demand.name)
        if old == demand:
            return False
        if old is None and len(self._table) >= limits.DEMANDS:
            raise LimitError(f"there are {limits.DEMANDS} demands already")
        if old is not None and (old.source, old.destination) != (demand.source, demand.destination):
            raise ConfigurationError(f"demand {demand.name}: exists from {old.source} to {old.destination}")
        self._table[demand.name] = demand
        self._between.setdefault((demand.source, demand.destination), set()).add(demand.name)
        return True

    def remove(self, name: str) -> Demand | None:
        """Give up a demand; the one that it was."""
        demand = self._table.pop(name, None)
        self._used_at.pop(name, None)
        if demand is not None:
            names = self._between[demand.source, demand.destination]
            names.discard(name)
            if not names:
                del self._between[demand.source, demand.destination]
        return demand

    def room_for(self, node: str) -> bool:
        """Whether an event of this node may still bring a demand with both its directions."""
        asked = [demand for demand in self._table.values() if demand.origin is Origin.AGENT]
        own = sum(node in (demand.source, demand.destination) for demand in asked)
        most = len(self._table) + 2 <= limits.DEMANDS and len(asked) + 2 <= limits.ON_THE_FLY
        return most and own + 2 <= limits.ON_THE_FLY_PER_NODE

    def used(self, name: str, now: float) -> None:
        """Something has passed over a virtual link."""
        demand = self._table.get(name)
        if demand is not None and demand.origin is Origin.AGENT:
            self._used_at[name] = now

    def unused(self, now: float) -> list[str]:
        """Demands on the fly that nobody has used for long; a pair's two directions only together."""
        idle = {}
        for demand in self._table.values():
            if demand.origin is Origin.AGENT:
                since = self._used_at.setdefault(demand.name, now)
                idle[demand.source, demand.destination] = (demand.name, now - since >= limits.ON_THE_FLY_LIFE)
        return [
            name for (source, destination), (name, over) in idle.items() if over and _over(idle, destination, source)
        ]

    def of_file(self, wanted: Collection[Demand]) -> list[str]:
        """Demands that came from a file and are not in it any more."""
        names = {demand.name for demand in wanted}
        return [d.name for d in self._table.values() if d.origin is Origin.FILE and d.name not in names]


def _over(idle: dict[tuple[str, str], tuple[str, bool]], source: str, destination: str) -> bool:
    return idle.get((source, destination), ("", True))[1]

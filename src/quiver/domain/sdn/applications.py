"""Demands on the fly: a permitted pair of SAEs asks for keys, and there is no virtual link between their nodes.

An agent's word alone brings none: the homes and the pair must stand in the policy of both ends' agents, as they have told it.
Else one agent could make the whole network set pad aside. Each node has a bounded number of them.
"""

from typing import Final

from quiver.domain.errors import ConfigurationError
from quiver.domain.events import NewApplication
from quiver.domain.sdn.demands import Demand, Demands, on_the_fly
from quiver.domain.sdn.knowledge import Knowledge

__all__ = ["Applications"]


class Applications:
    """Which applications may have virtual links, and whether they use them.

    Args:
        demands: the table.
        knowledge: of all agents.
    """

    def __init__(self, demands: Demands, knowledge: Knowledge) -> None:
        self._demands: Final = demands
        self._knowledge: Final = knowledge
        self._stock: Final[dict[str, int]] = {}  # virtual link → bytes ready and coming, as told last

    def wanted(self, node: str, event: NewApplication, now: float) -> list[Demand]:
        """The demands, one for each direction, that an event asks for and that do not exist; none where it is not believed."""
        pair = tuple(sorted((event.master, event.slave)))
        for end in (node, event.destination):
            view = self._knowledge.get(end)
            told = view.report if view is not None and not view.distrust else None
            if told is None or pair not in told.pairs:
                return []
            if told.homes.get(event.master) != node or told.homes.get(event.slave) != event.destination:
                return []
        if node == event.destination:
            return []
        found = []
        for source, destination in ((node, event.destination), (event.destination, node)):
            if self._demands.between(source, destination):
                self._demands.used(f"auto:{source}:{destination}", now)
                continue
            try:
                found.append(on_the_fly(source, destination))
            except ConfigurationError:
                return []
        return found if not found or self._demands.room_for(node) else []

    def watch(self, node: str, now: float) -> None:
        """A source has reported: what it has ready changes whenever somebody uses a virtual link."""
        view = self._knowledge.get(node)
        stock: dict[str, int] = {}
        for report in view.paths.values() if view is not None else ():
            if report.role == "source":
                name = report.key.rsplit("/", 2)[0]
                stock[name] = stock.get(name, 0) + report.ready + report.coming
        for name, amount in stock.items():
            demand = self._demands.get(name)
            if demand is not None and self._stock.get(name) != amount:
                self._stock[name] = amount
                self._demands.used(name, now)

    def forget(self, name: str) -> None:
        """A virtual link is not asked for any more."""
        self._stock.pop(name, None)

"""What the operator wants of the controller: nodes, demands, drains. All of it is durable before anything is done about it."""

from collections.abc import Collection
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, ConflictError, LimitError, QuiverError
from quiver.domain.sdn.applications import Applications
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import NAME, Demand, Origin
from quiver.domain.sdn.dismissal import Dismissal
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.records import Drained, Member, What
from quiver.domain.sdn.steering import Steering

__all__ = ["Operator"]


class Operator:
    """The operator's hand.

    Args:
        core: what is known.
        provisioning: tells addresses to agents.
        steering: serves demands.
        applications: forgets those that are given up.

    Attributes:
        dismissal: lets nodes go.
    """

    def __init__(self, core: Core, provisioning: Provisioning, steering: Steering, applications: Applications) -> None:
        self._core: Final = core
        self._provisioning: Final = provisioning
        self._steering: Final = steering
        self._applications: Final = applications
        self.dismissal: Final = Dismissal(core, provisioning, steering)

    # --- nodes ----------------------------------------------------------------------------------------------------

    def admit(self, node: str, address: str = "") -> None:
        """A node belongs to the network, or has another address; one that was about to leave stays.

        Args:
            node: its id.
            address: "host:port" of its peer plane, for the nodes of its paths; empty where their own files hold it.

        Raises:
            ConfigurationError: this is no name of a node.
            LimitError: there are too many.
        """
        core = self._core
        if not NAME.fullmatch(node):
            raise ConfigurationError(f"node: a name has 1 to {limits.NAME_LENGTH} letters, digits and . _ : @ + -")
        if node not in core.sessions and len(core.sessions) >= limits.CONTROLLED_NODES:
            raise LimitError(f"there are {limits.CONTROLLED_NODES} nodes already")
        member = Member(node=node, address=address)
        if core.memory.members.get(node) == member:
            return
        self.dismissal.withdraw(node)
        core.memory.members[node] = member
        core.memory.put(member)
        core.member(node)
        self.dismissal.remembered(node)
        self._provisioning.touch(core.sessions)
        core.stale = True

    def dismiss(self, node: str) -> bool:
        """A node is to leave the network: `Dismissal` says how; False where it is not there.

        Demands on the fly that end at it are given up. Others stay, without paths, until their owner gives them up.
        """
        member = self._core.memory.members.get(node)
        if member is None:
            return False
        self.dismissal.begin(member)
        for demand in self._core.demands:
            if demand.origin is Origin.AGENT and node in (demand.source, demand.destination):
                self.give_up(demand.name)
        return True

    def ending(self, node: str) -> list[str]:
        """Names of the demands that end at a node and were not made on the fly."""
        return [
            demand.name
            for demand in self._core.demands
            if demand.origin is not Origin.AGENT and node in (demand.source, demand.destination)
        ]

    # --- demands --------------------------------------------------------------------------------------------------

    def demand(self, demand: Demand) -> None:
        """Serve a virtual link, or serve it otherwise.

        Raises:
            LimitError: there are too many.
            ConfigurationError: one of this name has other ends.
        """
        core, now = self._core, self._core.now()
        if core.demands.put(demand):
            core.memory.put(demand)
            self._steering.demanded(demand, now)
            core.notices.say("demanded", now, demand=demand.name, origin=demand.origin.value)

    def demanded(self, name: str) -> Demand | None:
        """The demand of this name, if there is one."""
        return self._core.demands.get(name)

    def give_up(self, name: str) -> bool:
        """Serve a virtual link no longer; False where there is none of this name."""
        core, now = self._core, self._core.now()
        demand = core.demands.remove(name)
        if demand is None:
            return False
        core.memory.delete(demand)
        self._applications.forget(name)
        self._steering.given_up(demand, now)
        core.notices.say("given-up", now, demand=name)
        return True

    def demands_of_file(self, wanted: Collection[Demand]) -> None:
        """Serve what a file lists, and no longer what it listed before; all of it or nothing.

        Raises:
            LimitError: there are too many.
            ConfigurationError: a virtual link of that name has other ends.
        """
        try:
            self._check_file(wanted)
        except QuiverError as error:
            self._core.notices.say("file-refused", self._core.now(), reason=error.message)
            raise
        for name in self._core.demands.of_file(wanted):
            self.give_up(name)
        for demand in wanted:
            self.demand(demand)

    def _check_file(self, wanted: Collection[Demand]) -> None:
        demands = self._core.demands
        for demand in wanted:
            known = demands.get(demand.name)
            if known is not None and (known.source, known.destination) != (demand.source, demand.destination):
                raise ConfigurationError(
                    f"demand {demand.name}: runs from {known.source} to {known.destination} already, and a virtual link "
                    "does not move; give that one up, or choose another name"
                )
        kept = {demand.name for demand in demands}.difference(demands.of_file(wanted))
        if len(kept.union(demand.name for demand in wanted)) > limits.DEMANDS:
            raise LimitError(f"there would be more than {limits.DEMANDS} demands")

    def unknown(self, demand: Demand) -> list[tuple[str, str]]:
        """Fields of a demand, each with a node that it names and that does not belong to the network, or is to leave it."""
        named = [("source", demand.source), ("destination", demand.destination)]
        named += [("excluded", node) for node in demand.excluded]
        return [(field, node) for field, node in named if not self._core.belongs(node)]

    # --- drains ---------------------------------------------------------------------------------------------------

    def drained(self, what: What, name: str) -> bool:
        """Whether the operator wants no path to pass it."""
        return (what, name) in self._core.memory.drained

    def drains(self) -> list[tuple[What, str]]:
        """All that the operator wants no path to pass."""
        return sorted(self._core.memory.drained)

    def drain(self, what: What, name: str, *, drained: bool = True) -> None:
        """Let no path pass a node or link, or let them pass again. What it carries moves first: nothing is interrupted.

        Raises:
            ConfigurationError: this is no name.
            ConflictError: the node was dismissed: paths cannot pass it again before it is made known again.
        """
        memory = self._core.memory
        if not name or len(name) > limits.NAME_LENGTH:
            raise ConfigurationError(f"{what}: a name has 1 to {limits.NAME_LENGTH} characters")
        if drained == ((what, name) in memory.drained):
            return
        if what is What.NODE and name in self.dismissal.leaving:
            raise ConflictError(
                f"node {name} was dismissed and leaves the network; register its agent again to keep it"
            )
        record = Drained(what=what, name=name)
        if drained:
            memory.drained.add((what, name))
            memory.put(record)
        else:
            memory.drained.discard((what, name))
            memory.delete(record)
        self._core.stale = True

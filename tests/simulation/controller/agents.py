"""The management side of the simulated agents: what NETCONF is to the real ones, without its wire."""

from dataclasses import dataclass, field

import msgspec

from quiver.domain.errors import ConfigurationError
from quiver.domain.events import NumberedEvent
from quiver.domain.provision import Provision, compose
from quiver.domain.report import NodeReport
from quiver.domain.reporting import report
from quiver.domain.sdn.orders import Edit, Failure, Order, Read, Stamp

from ..site import Site


class ManagedSite(Site):
    """A node whose paths come from a controller; what it has accepted is durable before it says so.

    Args:
        policy: its own configuration, as in its file.
    """

    def __init__(self, world, policy, disk, transport, devices):
        super().__init__(world, policy, disk, transport, devices)
        self.policy = policy
        self.provision = Provision()
        self.excluded: frozenset[str] = frozenset()
        self.listeners = []  # called with the site, its run and each event
        self.lie = None  # makes another report of the true one

    @property
    def run(self) -> str:
        return self.node.run

    def _event(self, event: NumberedEvent) -> None:
        super()._event(event)
        for listener in self.listeners:
            listener(self, self.run, event)

    def report(self) -> NodeReport:
        true = report(self.node, self.provision)
        return self.lie(true) if self.lie is not None else true

    def carry_out(self, order: Order) -> "Outcome":
        """Do what a controller orders, as an agent does."""
        match order:
            case Read():
                return Outcome(report=self.report())
            case Stamp():
                if order.term < self.provision.term:
                    return Outcome(Failure.STALE_TERM)
                self.provision = msgspec.structs.replace(self.provision, term=order.term)
                return Outcome()
            case Edit():
                return self._edit(order)
        raise AssertionError(order)

    def _edit(self, edit: Edit) -> "Outcome":
        if edit.term < self.provision.term:
            return Outcome(Failure.STALE_TERM)
        paths = {key: entry for key, entry in self.provision.paths.items() if key not in edit.remove}
        paths |= {entry.key: entry for entry in edit.put}
        addresses = {**self.provision.addresses, **edit.addresses}
        for node in edit.forget:
            addresses.pop(node, None)
        new = Provision(term=edit.term, paths=paths, addresses=addresses)
        try:
            network = compose(self.policy, new, self.excluded)
            self.node.reconfigure(network)
        except ConfigurationError as error:
            named = [entry.key for entry in edit.put if entry.key in error.message]
            return Outcome(Failure.REFUSED, about=named[0] if named else "")
        self.provision, self.network = new, network
        self.hand_in(self.life, lambda driver: None)
        return Outcome()


@dataclass
class Outcome:
    """What became of an order at an agent."""

    failure: Failure | None = None
    about: str = ""
    report: NodeReport | None = field(default=None)

"""The management side of simulated agents: what NETCONF is to the real ones, without its wire."""

from dataclasses import dataclass, field

import msgspec

from quiver.domain.errors import ConfigurationError
from quiver.domain.events import NumberedEvent
from quiver.domain.network import Network, PathEntry
from quiver.domain.provision import Provision, compose
from quiver.domain.report import NodeReport
from quiver.domain.reporting import report
from quiver.domain.sdn.orders import Edit, Failure, Order, Read, Stamp
from quiver.protocols.netconf.xml import serialise
from quiver.protocols.yang.events import event_to_xml
from quiver.protocols.yang.report import report_to_xml
from tests.simulation.site import Site


@dataclass
class Outcome:
    """What became of an order at an agent."""

    failure: Failure | None = None
    about: str = ""
    report: NodeReport | None = field(default=None)


class Managed:
    """An agent's part of the management plane: what it has accepted is durable before it says so."""

    def manage(self, policy: Network) -> None:
        self.policy = policy
        self.provision = Provision()
        self.excluded: frozenset[str] = frozenset()
        self.listeners = []  # called with this agent, its run and each event
        self.lie = None  # makes another report of the true one
        self.written: list[PathEntry] = []  # all that was ever accepted

    def true_report(self) -> NodeReport:
        raise NotImplementedError

    def take(self, network: Network) -> None:
        """Take over another configuration; raises ConfigurationError where it cannot be."""
        raise NotImplementedError

    def report(self) -> NodeReport:
        true = self.true_report()
        return self.lie(true) if self.lie is not None else true

    def carry_out(self, order: Order) -> Outcome:
        if isinstance(order, Read):
            return Outcome(report=self.report())
        assert isinstance(order, Stamp | Edit)
        if order.term < self.provision.term:
            return Outcome(Failure.STALE_TERM)
        if isinstance(order, Stamp):
            self.provision = msgspec.structs.replace(self.provision, term=order.term)
            return Outcome()
        return self._edit(order)

    def _edit(self, edit: Edit) -> Outcome:
        paths = {key: entry for key, entry in self.provision.paths.items() if key not in edit.remove}
        paths |= {entry.key: entry for entry in edit.put}
        addresses = {**self.provision.addresses, **edit.addresses}
        for node in edit.forget:
            addresses.pop(node, None)
        new = Provision(term=edit.term, paths=paths, addresses=addresses)
        try:
            self.take(compose(self.policy, new, self.excluded))
        except ConfigurationError as error:
            named = [entry.key for entry in edit.put if entry.key in error.message]
            return Outcome(Failure.REFUSED, about=named[0] if named else "")
        self.provision = new
        self.written += edit.put
        return Outcome()


class ManagedSite(Managed, Site):
    """A node of the simulation whose paths come from a controller."""

    def __init__(self, world, policy, disk, transport, devices):
        super().__init__(world, policy, disk, transport, devices)
        self.manage(policy)
        self.told: list[bytes] = []  # what went to controllers, as it stands on the wire

    def _event(self, event: NumberedEvent) -> None:
        super()._event(event)
        self.told.append(serialise(event_to_xml(event, self.node.run)))
        for listener in self.listeners:
            listener(self, self.node.run, event)

    def true_report(self) -> NodeReport:
        told = report(self.node, self.provision)
        self.told.append(serialise(report_to_xml(told)))
        return told

    def take(self, network: Network) -> None:
        self.node.reconfigure(network)
        self.network = network
        self.hand_in(self.life, lambda driver: None)

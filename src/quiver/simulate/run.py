"""One policy on one trace: what is asked for, placed, rejected and served, and how pad stands meanwhile.

Time goes from event to event. At each, faults begin or end, virtual links come or leave, and the policy arranges what there is;
then pads fill and are used up until the next event. What lasts seconds in a real network (priming a new path, a round of NETCONF)
takes no time here. Two things are counted, and not to be mixed:

* a *rejection* is a request that was not given its full rate at the event of its arrival. It stays and waits: the policy may
  place it later, as the controller does with demands that an operator has entered;
* *served demand* is the number of bits that virtual links got, against those that they asked for during all their life.
"""

import time
from itertools import pairwise
from typing import Final

import msgspec

from quiver.domain.routing.damping import moved
from quiver.domain.routing.demand import UNPLACED, Demand, Placement, placed_on
from quiver.domain.routing.graph import Availability, Graph
from quiver.simulate.networks import SimulatedNetwork
from quiver.simulate.outcome import Outcome, PolicyName
from quiver.simulate.pads import Pads
from quiver.simulate.policies import Policy, policy_named
from quiver.simulate.trace import Fault, FaultKind, Request, Trace

__all__ = ["demand_of", "run"]


def run(
    network: SimulatedNetwork,
    trace: Trace,
    policy: PolicyName,
    store: float,
) -> Outcome:
    """Let a policy serve a trace; equal input gives an equal outcome, but for the times that it took.

    Args:
        network: in full health.
        trace: of this network.
        policy: how it is steered.
        store: bits of pad at which a hop's two ends together stop collecting; 0 keeps none.

    Raises:
        ConfigurationError: the trace names a node or link that is not there.
    """
    stage = _Stage(network, trace, policy, store)
    for now, then in pairwise(trace.times):
        stage.event(now)
        stage.stretch(now, then)
    return stage.outcome


class _Stage:
    """A network in the middle of a trace."""

    def __init__(self, network: SimulatedNetwork, trace: Trace, policy: PolicyName, store: float) -> None:
        self._trace: Final = trace
        self._healthy: Final = network.graph()
        self._graph = self._healthy
        self._policy: Final[Policy] = policy_named(policy, self._healthy)
        self._pads: Final = Pads(len(self._healthy.shape.hops), store)
        self._store: Final = store
        self._demands: Final[dict[str, Demand]] = {}
        self._placements: dict[str, Placement] = {}
        self.outcome: Final = Outcome(policy)

    def event(self, now: int) -> None:
        """What begins and ends now, and what the policy makes of it."""
        self._suffer(now)
        arrived = self._come_and_go(now)
        before = {key: value for key, value in self._placements.items() if key in self._demands}
        kept = {key: value for key, value in before.items() if all(map(self._graph.carries, value.routes))}
        self.outcome.broken += len(before) - len(kept)
        graph = self._pads.shown(placed_on(self._graph.at(now), kept))
        waiting = sorted(self._demands.values(), key=lambda demand: (demand.tier, demand.id))
        begun = time.perf_counter()
        self._placements = self._policy.arrange(graph, waiting, kept)
        self.outcome.slowest = max(self.outcome.slowest, time.perf_counter() - begun)
        self.outcome.moves += len(moved(kept, self._placements))
        self._count(arrived)

    def _suffer(self, now: int) -> None:
        """Faults that begin or end."""
        if any(now in (fault.begins, fault.ends) for fault in self._trace.faults) or now == 0:
            self._graph = self._healthy
            for fault in self._trace.faults:
                if fault.begins <= now < fault.ends:
                    self._graph = _broken(self._graph, fault)

    def _come_and_go(self, now: int) -> list[str]:
        """Requests that end leave, those that begin come; the latter's ids."""
        arrived = []
        for number, request in enumerate(self._trace.requests):
            name = _name(number)
            if request.ends == now:
                del self._demands[name]
            elif request.begins == now:
                self._demands[name] = demand_of(number, request)
                arrived.append(name)
        return arrived

    def _count(self, arrived: list[str]) -> None:
        """Who was rejected; and what has its full rate is admitted from now on."""
        for name, demand in self._demands.items():
            if self._placements.get(name, UNPLACED).rate >= demand.rate:
                self._demands[name] = msgspec.structs.replace(demand, admitted=True)
            elif name in arrived:
                self.outcome.rejected += 1
                by_class = self.outcome.rejected_by_class
                by_class[demand.priority] = by_class.get(demand.priority, 0) + 1
        self.outcome.requests += len(arrived)

    def stretch(self, now: int, then: int) -> None:
        """Time passes until the next event."""
        placed = [(self._demands[name], placement) for name, placement in self._placements.items()]
        served = sum(self._pads.pass_time(self._graph, placed, then - now).values())
        asked = sum(demand.rate for demand in self._demands.values()) * (then - now)
        self.outcome.served += served
        self.outcome.demanded += asked
        series, levels = self.outcome.series, sorted(self._pads.standing / self._store) if self._store else [0.0]
        series.times.append(now)
        series.served_share.append(served / asked if asked else 1.0)
        series.rejections.append(self.outcome.rejected)
        series.pad_mean.append(float(sum(levels) / len(levels)))
        tenth = levels[: max(1, len(levels) // 10)]
        series.pad_least.append(float(sum(tenth) / len(tenth)))


def _name(number: int) -> str:
    """Of a request, by its place in the trace; they sort as they came."""
    return f"{number:06}"


def demand_of(number: int, request: Request) -> Demand:
    """A request of a trace, by its place there, as routing sees it."""
    return Demand(
        id=_name(number),
        source=request.source,
        destination=request.destination,
        rate=request.rate,
        priority=request.priority,
    )


def _broken(graph: Graph, fault: Fault) -> Graph:
    """The network with one fault more.

    Raises:
        ConfigurationError: it names what is not there.
    """
    if fault.kind is FaultKind.LOST:
        return graph.with_node(fault.name, Availability.DOWN)
    if fault.kind is FaultKind.DARK:
        return graph.with_link(msgspec.structs.replace(graph.links[fault.name], rate=0))
    return graph.with_link(msgspec.structs.replace(graph.links[fault.name], availability=Availability.DOWN))

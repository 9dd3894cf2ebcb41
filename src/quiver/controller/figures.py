"""What the metrics plane shows of the controller. Labels are names of the network's own resources."""

from collections.abc import Iterator
from typing import Final

import msgspec

from quiver.controller.engine import Engine
from quiver.controller.live_feed import LiveFeed
from quiver.controller.resources import Resources
from quiver.domain.errors import StorageError
from quiver.domain.report import LinkState
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.live import Live

__all__ = ["LABELS", "Figure", "figures_of"]

LABELS: Final = frozenset({"demand", "entry", "link", "node", "phase", "severity", "state"})


class Figure(msgspec.Struct, frozen=True):
    """One sample; as `net.metrics_plane.Sample`."""

    name: str
    counter: bool
    about: str
    value: float
    labels: dict[str, str] = {}


_ABOUT: Final = {
    "controller_up": "1 while the controller works, 0 while its database cannot be used",
    "controller_term": "controller term that this controller has claimed",
    "controller_phase": "1 for the phase that the controller is in",
    "controller_restarts": "times that the controller was made anew from its database after a failure",
    "controller_turns": "turns of the controller",
    "controller_entries": "entries of the history, by name: rerouted, node-lost, ordered and so on",
    "live_readers": "readers that follow the live state",
    "alarms_standing": "conditions that stand, by severity",
    "session_up": "1 while the management session with an agent is up",
    "sessions_made": "management sessions made with an agent",
    "edits": "edits that an agent has carried out",
    "report_age_seconds": "seconds since an agent's last report",
    "link_up": "1 while both ends hear each other along a link",
    "link_rate_bits_per_second": "measured rate of a link, both directions together",
    "demands": "demands by state, as far as is known: served has credit on all its paths, partly on some, unserved on none",
    "demand_paths_up": "paths of a demand that are known to have credit",
    "allocations_failed": "global allocations that failed",
    "allocation_seconds": "seconds that the newest global allocation took",
    "allocation_served_bits_per_second": "what the newest global allocation serves",
    "allocation_before_bits_per_second": "what the paths served before the newest global allocation",
}
_COUNTERS: Final = frozenset(
    {"controller_restarts", "controller_turns", "controller_entries", "sessions_made", "edits", "allocations_failed"}
)

Sample = tuple[str, float, dict[str, str]]


def figures_of(engine: Engine, resources: Resources, feed: LiveFeed) -> list[Figure]:
    """All samples now."""
    samples = [*_process(engine, feed), *_links(engine), *_allocation(engine)]
    try:
        live = engine.live()
        samples += [("controller_up", 1, {}), *_network(live), *_alarms(resources)]
    except StorageError:
        samples.append(("controller_up", 0, {}))
    return [Figure(name, name in _COUNTERS, _ABOUT[name], value, labels) for name, value, labels in samples]


def _process(engine: Engine, feed: LiveFeed) -> Iterator[Sample]:
    yield "controller_restarts", engine.restarts, {}
    yield "controller_turns", engine.turns, {}
    for name, count in sorted(engine.counts.items()):
        yield "controller_entries", count, {"entry": name}
    yield "live_readers", feed.readers, {}


def _links(engine: Engine) -> Iterator[Sample]:
    for node, link in sorted(engine.fleet.links.items()):
        yield "session_up", link.up, {"node": node}
        yield "sessions_made", link.sessions, {"node": node}
        yield "edits", link.edits, {"node": node}


def _allocation(engine: Engine) -> Iterator[Sample]:
    yield "allocations_failed", engine.planner.failures, {}
    newest = engine.planner.newest
    if newest is not None:
        yield "allocation_seconds", newest.seconds, {}
        yield "allocation_served_bits_per_second", newest.plan.served, {}
        yield "allocation_before_bits_per_second", newest.plan.before, {}


def _network(live: Live) -> Iterator[Sample]:
    yield "controller_term", live.term, {}
    for phase in Phase:
        yield "controller_phase", live.phase is phase, {"phase": phase.value}
    for node in live.nodes:
        if node.age is not None:
            yield "report_age_seconds", node.age, {"node": node.node}
    for link in live.links:
        yield "link_up", link.state is LinkState.UP, {"link": link.id}
        if link.rate is not None:
            yield "link_rate_bits_per_second", link.rate, {"link": link.id}
    states = {"served": 0, "partly": 0, "unserved": 0}
    for demand in live.demands:
        yield "demand_paths_up", demand.up, {"demand": demand.demand.name}
        whole = demand.up >= demand.demand.paths
        states["served" if whole else "partly" if demand.up else "unserved"] += 1
    for state, count in states.items():
        yield "demands", count, {"state": state}


def _alarms(resources: Resources) -> Iterator[Sample]:
    counts: dict[str, int] = {}
    for alarm in resources.alarms():
        counts[alarm.severity.value] = counts.get(alarm.severity.value, 0) + 1
    for severity, count in sorted(counts.items()):
        yield "alarms_standing", count, {"severity": severity}

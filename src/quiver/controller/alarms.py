"""What is wrong in the network now: conditions of the live state that an operator should know of, and since when."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from quiver.domain.report import LinkState
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.live import DemandLive, LinkLive, Live, NodeLive, PathLive
from quiver.domain.sdn.sessions import Stage

__all__ = ["Alarm", "AlarmBook", "Severity", "conditions_of"]


class Severity(StrEnum):
    """How much it matters."""

    CRITICAL = "critical"  # keys stop, or the controller does not lead
    MAJOR = "major"  # something is out of service
    MINOR = "minor"  # it works, with less to spare


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One condition.

    Attributes:
        name: which, of a fixed set: `node-dead`, `link-down`, `path-without-credit`, ...
        severity: how much it matters.
        about: kind of the resource: `controller`, `node`, `link`, `path` or `demand`.
        id: of the resource.
        text: for people.
        since: when this controller saw it first, seconds since 1970-01-01 UTC.
    """

    name: str
    severity: Severity
    about: str
    id: str
    text: str
    since: float = 0.0


class AlarmBook:
    """The conditions that stand, each with the time since when."""

    def __init__(self) -> None:
        self._since: Final[dict[tuple[str, str, str], float]] = {}

    def update(self, live: Live, now: float) -> list[Alarm]:
        """All that stand, the weightiest first.

        Args:
            live: the state now.
            now: seconds since 1970-01-01 UTC.
        """
        found = {(alarm.name, alarm.about, alarm.id): alarm for alarm in conditions_of(live)}
        for gone in self._since.keys() - found.keys():
            del self._since[gone]
        dated = [
            msgspec.structs.replace(alarm, since=self._since.setdefault(key, round(now, 3)))
            for key, alarm in found.items()
        ]
        order = list(Severity)
        return sorted(dated, key=lambda alarm: (order.index(alarm.severity), alarm.since, alarm.about, alarm.id))


def conditions_of(live: Live) -> Iterator[Alarm]:
    """All conditions of a state."""
    if live.phase in (Phase.FENCED, Phase.DOUBTING):
        said = "another controller leads" if live.phase is Phase.FENCED else "an agent has shown a higher term"
        yield Alarm(
            name=f"controller-{live.phase.value}",
            severity=Severity.CRITICAL if live.phase is Phase.FENCED else Severity.MAJOR,
            about="controller",
            id="controller",
            text=f"{said}; this one, of term {live.term}, edits no agent",
        )
    for node in live.nodes:
        yield from _of_node(node)
    for link in live.links:
        yield from _of_link(link)
    for path in live.paths:
        yield from _of_path(path)
    nodes = {node.node for node in live.nodes if not node.leaving}
    for demand in live.demands:
        yield from _of_demand(demand, nodes)


def _of_node(node: NodeLive) -> Iterator[Alarm]:
    if node.dead:
        text = "neither the controller nor any neighbour hears it"
        yield Alarm(name="node-dead", severity=Severity.CRITICAL, about="node", id=node.node, text=text)
    elif node.stage is Stage.DOWN:
        text = "no management session; it goes on over the paths that it has"
        yield Alarm(name="node-unmanaged", severity=Severity.MAJOR, about="node", id=node.node, text=text)
    if node.refuses:
        text = f"it has accepted term {node.term}, does not take this controller's, and keeps the paths that it has"
        yield Alarm(name="agent-refuses-term", severity=Severity.MAJOR, about="node", id=node.node, text=text)
    if node.distrust:
        text = f"its word is not taken: {node.distrust}"
        yield Alarm(name="node-distrusted", severity=Severity.MAJOR, about="node", id=node.node, text=text)


def _of_link(link: LinkLive) -> Iterator[Alarm]:
    conditions = (
        ("link-down", Severity.MAJOR, link.state is LinkState.DOWN, "its ends do not hear each other"),
        (
            "device-fault",
            Severity.MAJOR,
            not link.producing,
            "a device does not answer, or says that its channel is down",
        ),
        ("qber", Severity.MAJOR, link.alarmed, f"quantum bit error ratio {_ratio(link.qber)}"),
        ("link-unsteady", Severity.MINOR, link.unsteady, "it came and went too often, and is avoided for a while"),
    )
    for name, severity, holds, text in conditions:
        if holds:
            where = f"{' - '.join(link.ends)}: {text}"
            yield Alarm(name=name, severity=severity, about="link", id=link.id, text=where)


def _of_path(path: PathLive) -> Iterator[Alarm]:
    where = f"{path.virtual_link}/{path.path}"
    if not path.version:
        text = "no version of it stands"
        yield Alarm(name="path-missing", severity=Severity.MAJOR, about="path", id=where, text=text)
    elif path.credit is None:
        text = f"version {path.version} over {' '.join(path.nodes)}: its source is not heard, and may have no credit"
        yield Alarm(name="path-not-heard", severity=Severity.MAJOR, about="path", id=where, text=text)
    elif not path.credit:
        text = f"version {path.version} over {' '.join(path.nodes)} has no credit: it is not whole, or dry"
        yield Alarm(name="path-without-credit", severity=Severity.MAJOR, about="path", id=where, text=text)
    elif path.trouble:
        text = f"version {path.version} over {' '.join(path.nodes)} is to move: {path.trouble}"
        yield Alarm(name="path-troubled", severity=Severity.MINOR, about="path", id=where, text=text)


def _of_demand(demand: DemandLive, nodes: Collection[str]) -> Iterator[Alarm]:
    wanted, asked = demand.demand.paths, demand.demand
    unknown = [node for node in (asked.source, asked.destination, *asked.excluded) if node not in nodes]
    if unknown:
        text = f"it names {', '.join(unknown)}: no agent of that name is in the network"
        yield Alarm(name="demand-unknown-node", severity=Severity.MAJOR, about="demand", id=asked.name, text=text)
    if demand.up < wanted:
        text = f"{demand.up} of {wanted} paths are known to have credit"
        severity = Severity.MAJOR if demand.up else Severity.CRITICAL
        yield Alarm(name="demand-unserved", severity=severity, about="demand", id=demand.demand.name, text=text)


def _ratio(qber: float | None) -> str:
    return "unknown" if qber is None else f"{qber:.4f}"

"""What the controller knows of each agent, and how old it is: the last report, and the events since.

Nothing an agent says is believed because it says so: a report that names another node, or is out of all bounds, is not taken up
and the agent is distrusted until it has told a clean one.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, TypeVar

from msgspec.structs import replace

from quiver.domain import limits
from quiver.domain.events import (
    CreditGained,
    CreditLost,
    DeviceFault,
    DeviceRepaired,
    LinkDown,
    LinkUp,
    NumberedEvent,
    PadHigh,
    PadLow,
    PathPrimed,
    QberAlarm,
    QberNormal,
)
from quiver.domain.network import PathEntry
from quiver.domain.report import DeviceState, LinkReport, LinkState, NodeReport, PadReport, PathReport, PathRole
from quiver.domain.sdn.rates import RateMeter

__all__ = ["Knowledge", "NodeView", "fault_of"]

R = TypeVar("R")
SATED: Final = 0.5  # of its level: where both ends have that much, what is collected follows what is used, not the link


class NodeView:
    """One agent, as far as it is known.

    Args:
        node: its id.
    """

    def __init__(self, node: str) -> None:
        self.node: Final = node
        self.connected = False
        self.changed_at: float | None = None  # when its session came up or was lost
        self.report: NodeReport | None = None
        self.heard_at: float | None = None  # when the report came
        self.run = ""
        self.sequence = 0  # of the newest event that is taken into account
        self.distrust = ""  # why its word is not taken; empty where it is
        self.accused = ""  # what operators were told of that; empty once a report was without fault
        self.missed = False  # events were missed: it has to be read again
        self.links: Final[dict[str, LinkReport]] = {}
        self.pads: Final[dict[str, PadReport]] = {}
        self.paths: Final[dict[str, PathReport]] = {}
        self.qber: Final[dict[str, float]] = {}  # link with a standing alarm → error ratio that was told last
        self.meters: Final[dict[str, RateMeter]] = {}
        self.uses: Final[dict[tuple[str, int], RateMeter]] = {}  # paths that begin here → what keys take of them
        self._recent: Final[deque[tuple[str, NumberedEvent]]] = deque(maxlen=limits.EVENTS_HELD)

    # --- reports --------------------------------------------------------------------------------------------------

    def take(self, report: NodeReport, now: float) -> bool:
        """Take a report up; False where it is older than another or than its run's start tells."""
        older = self.report is not None and report.run == self.report.run and report.sequence < self.report.sequence
        if older:
            return False
        if report.run != self.run:
            self._recent.clear()
            self.sequence = report.sequence
        self.report, self.heard_at, self.run = report, now, report.run
        self.sequence = max(self.sequence, report.sequence)
        self.missed = False
        _renew(self.links, {link.id: link for link in report.links})
        _renew(self.qber, {link.id: link.qber or 0.0 for link in report.links if link.alarmed})
        _renew(self.pads, {pad.neighbour: pad for pad in report.pads})
        _renew(self.paths, {path.key: path for path in report.paths})
        self._measure(now)
        for run, numbered in self._recent:
            if run == report.run and numbered.sequence > report.sequence:  # it was made before these
                self._apply(numbered)
        return True

    def _measure(self, now: float) -> None:
        for link in self.links.values():
            pad = self.pads.get(link.neighbour)
            sated = pad is not None and min(pad.own, pad.theirs) >= SATED * pad.level
            held_back = (
                sated or link.state is not LinkState.UP
            )  # the agents have just started, or do not hear each other
            self.meters.setdefault(link.id, RateMeter()).count(link.collected, now, held_back=held_back)
        for gone in [link for link in self.meters if link not in self.links]:
            del self.meters[gone]
        taken: dict[tuple[str, int], int] = {}  # over all versions: the sum begins again when one of them is gone
        for path in self.paths.values():
            if path.role is PathRole.SOURCE:
                taken[path.path] = taken.get(path.path, 0) + path.taken
        for which, value in taken.items():
            self.uses.setdefault(which, RateMeter()).count(value, now)
        for over in [which for which in self.uses if which not in taken]:
            del self.uses[over]

    # --- events ---------------------------------------------------------------------------------------------------

    def happened(self, run: str, numbered: NumberedEvent) -> bool:
        """Take an event up; False for one that was heard before."""
        if run != self.run:
            self.missed = self.missed or bool(self.run) or numbered.sequence > 1
            self.run, self.sequence = run, numbered.sequence
            self.qber.clear()
        elif numbered.sequence <= self.sequence:
            return False
        else:
            self.missed = self.missed or numbered.sequence > self.sequence + 1
            self.sequence = numbered.sequence
        self._recent.append((run, numbered))
        self._apply(numbered)
        return True

    def _apply(self, numbered: NumberedEvent) -> None:
        match numbered.body:
            case LinkDown(link=link):
                self._link(link, state=LinkState.DOWN)
            case LinkUp(link=link):
                self._link(link, state=LinkState.UP)
            case DeviceFault(link=link):
                self._link(link, device=DeviceState.FAULT)
            case DeviceRepaired(link=link):
                self._link(link, device=DeviceState.READY)
            case QberAlarm(link=link, qber=qber):
                self.qber.update({link: qber} if link in self.links else {})
            case QberNormal(link=link):
                self.qber.pop(link, None)
            case PadLow() | PadHigh() as pad:
                self._pad(pad)
            case CreditGained(path=path, credit=credit):
                self._path(path, credit=credit)
            case CreditLost(path=path):
                self._path(path, credit=0)
            case PathPrimed(path=path):
                self._path(path, primed=True)

    def _link(self, link: str, **changed: object) -> None:
        if link in self.links:
            self.links[link] = replace(self.links[link], **changed)
        else:  # it has come since the last report: only a new one says what it is
            self.missed = True

    def _pad(self, pad: PadLow | PadHigh) -> None:
        if pad.neighbour in self.pads:
            self.pads[pad.neighbour] = replace(self.pads[pad.neighbour], own=pad.own, level=pad.level)

    def _path(self, key: str, **changed: object) -> None:
        known = self.paths.get(key)
        if known is None:  # written since the last report
            if len(self.paths) >= limits.PATHS_PER_REPORT:
                return
            known = PathReport(key=key, digest="", role=PathRole.SOURCE)
        self.paths[key] = replace(known, **changed)


class Knowledge:
    """All agents."""

    def __init__(self) -> None:
        self._views: Final[dict[str, NodeView]] = {}

    def __iter__(self) -> Iterator[NodeView]:
        """All that is known of agents, in order of arrival."""
        return iter(list(self._views.values()))

    def view(self, node: str) -> NodeView:
        """What is known of an agent."""
        view = self._views.get(node)
        if view is None:
            view = self._views[node] = NodeView(node)
        return view

    def get(self, node: str) -> NodeView | None:
        """What is known of an agent, if anything is."""
        return self._views.get(node)

    def forget(self, node: str) -> None:
        """A node has left the network."""
        self._views.pop(node, None)

    def path_at(self, node: str, key: str) -> PathReport | None:
        """What a node told of a path version last."""
        view = self._views.get(node)
        return view.paths.get(key) if view is not None else None

    def taken(self, node: str, path: tuple[str, int]) -> float:
        """Bits per second that keys have taken lately of a path that begins at a node; 0 where nothing is known."""
        view = self._views.get(node)
        meter = view.uses.get(path) if view is not None else None
        return 8 * (meter.rate or 0.0) if meter is not None else 0.0

    def credit_of(self, entry: PathEntry) -> int:
        """Credit of a path version at its source, in bytes, as that has told last."""
        report = self.path_at(entry.source, entry.key)
        return report.credit if report is not None else 0

    def reported(self, node: str, report: NodeReport, now: float) -> str:
        """A report has come from an agent's session; why it cannot be true, in which case it changes nothing.

        One that is older than the last is not taken up either.
        """
        view, fault = self.view(node), fault_of(node, report)
        if not fault and view.take(report, now):
            view.distrust = ""
        return fault


def fault_of(node: str, report: NodeReport) -> str:
    """Why a report that came over a node's session cannot be true; empty where nothing speaks against it."""
    if report.node != node:
        return "its report names another node"
    if len(report.links) > limits.LINKS_PER_REPORT or len(report.paths) > limits.PATHS_PER_REPORT:
        return "its report names more links or paths than a node has"
    if any(link.neighbour == node for link in report.links):
        return "its report names a link to itself"
    amounts = [report.term, report.sequence]
    amounts += [amount for pad in report.pads for amount in (pad.own, pad.theirs, pad.level)]
    amounts += [amount for link in report.links for amount in (link.collected, link.rate or 0)]
    amounts += [amount for link in report.links for amount in (link.own, link.theirs, link.level)]
    amounts += [
        amount for path in report.paths for amount in (path.credit, path.ready, path.coming, path.taken, path.open)
    ]
    if not all(0 <= amount <= limits.MARK_MAX for amount in amounts):
        return "its report holds a figure that cannot be"
    if any(node not in entry.nodes for entry in report.configured):
        return "its report names a path that does not pass it"
    return ""


def _renew(table: dict[str, R], new: dict[str, R]) -> None:
    table.clear()
    table.update(new)

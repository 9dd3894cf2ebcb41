"""The network as both ends of its links tell it: which hops there are, what they carry, and which are better avoided.

A link counts only if both its ends name it; who else names it is not asked. It is down where either end says so; its rate is the
lower of the two that its ends have counted: an agent that lies can make itself look worse, or keep a lie about its own pad until
nothing comes of it, no more.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.report import DeviceState, LinkReport, LinkState
from quiver.domain.routing.graph import Availability, Graph, Link
from quiver.domain.sdn.knowledge import Knowledge, NodeView
from quiver.domain.sdn.memory import Memory
from quiver.domain.sdn.rates import Penalty
from quiver.domain.sdn.records import What
from quiver.domain.sdn.verdicts import GOOD, Condition, Need, Verdict

__all__ = ["LinkView", "Pair", "Topology", "pair_of"]

Pair = tuple[str, str]
Claim = tuple[NodeView, LinkReport]  # what one agent says of a link
DRAINED: Final = "drained"
LOW: Final = 4  # own pad below this part of its level is low (events.PadLow) ...
HIGH: Final = 2  # ... until it is above this one (events.PadHigh)


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """One QKD link, both ends put together.

    Attributes:
        id: of the link.
        ends: its nodes, in order of their names.
        state: down where either end says so, up where both do, or one does and the other is not heard.
        producing: whether it makes keys, as far as its devices let agents know: none says that it does not, and where both
            are dry the last sample of the rate has seen some.
        qber: the highest error ratio that an end told; None where no end did.
        alarmed: whether an alarm about it stands.
        rate: bits per second, both directions together; None where it was never measured.
        unsteady: whether it came and went too often lately.
        drained: by the operator.
        heard_at: when the older of the two ends' reports came.
    """

    id: str
    ends: Pair
    state: LinkState
    producing: bool
    qber: float | None
    alarmed: bool
    rate: float | None
    unsteady: bool
    drained: bool
    heard_at: float


class Topology:
    """Hops between nodes, made from what is known; kept until something changes.

    Args:
        knowledge: of all agents.
        memory: what the operator has drained.
    """

    def __init__(self, knowledge: Knowledge, memory: Memory) -> None:
        self._knowledge: Final = knowledge
        self._memory: Final = memory
        self._flaps: Final[dict[str, Penalty]] = {}
        self._states: Final[dict[str, LinkState]] = {}
        self._usurped: Final[dict[tuple[str, str], float]] = {}  # node and link of others → named since
        self._low: Final[set[Pair]] = set()  # node and neighbour towards which its own pad is low
        self.links: Final[dict[str, LinkView]] = {}
        self._hops: Final[dict[Pair, list[str]]] = {}
        self._verdicts: Final[dict[Pair, Verdict]] = {}  # of hops in one direction, as far as somebody asked
        self.generation = 0  # grows whenever a hop's condition may have changed

    def refresh(self, now: float) -> None:
        """Put both ends' words together again."""
        claims: dict[tuple[str, Pair], list[Claim]] = {}
        for view in self._knowledge:
            for report in view.links.values():
                claims.setdefault((report.id, pair_of(view.node, report.neighbour)), []).append((view, report))
        self._take(claims, now)
        for gone in [link for link in self._flaps if link not in self.links]:
            del self._flaps[gone], self._states[gone]
        self._watch_claims(claims, now)
        self._watch_pads()
        self._verdicts.clear()
        self.generation += 1

    def _take(self, claims: Mapping[tuple[str, Pair], list[Claim]], now: float) -> None:
        """Take up the links whose ends confirm each other; of two pairs with the same link, the one that had it."""
        before = {link.id: link.ends for link in self.links.values()}
        self.links.clear()
        self._hops.clear()
        for link, pair in sorted(claims, key=lambda claim: before.get(claim[0]) != claim[1]):
            ends = claims[link, pair]
            if len(ends) == 2 and link not in self.links and not any(view.distrust for view, _ in ends):
                self.links[link] = self._join(link, ends[0], ends[1], now)
                self._hops.setdefault(pair, []).append(link)

    def _watch_claims(self, claims: Mapping[tuple[str, Pair], list[Claim]], now: float) -> None:
        """Note who names a link that two others confirm. One that is away may have lost it meanwhile."""
        since = dict(self._usurped)
        self._usurped.clear()
        for (link, pair), ends in claims.items():
            view = ends[0][0]
            if len(ends) == 1 and view.connected and link in self.links and self.links[link].ends != pair:
                self._usurped[view.node, link] = since.get((view.node, link), now)

    def usurped(self, node: str, now: float) -> str:
        """A link of two others that a node has named as its own for longer than any change of links takes; empty for none."""
        view = self._knowledge.view(node)
        claims = ((link, since) for (who, link), since in self._usurped.items() if who == node and link in view.links)
        return next((link for link, since in claims if now >= since + limits.CLAIM_PATIENCE), "")

    def _join(self, link: str, one: Claim, other: Claim, now: float) -> LinkView:
        views, reports = (one[0], other[0]), (one[1], other[1])
        state = _state(reports, views)
        penalty = self._flaps.setdefault(link, Penalty())
        if state is LinkState.DOWN and self._states.get(link) is LinkState.UP:
            penalty.add(now)
        self._states[link] = state
        qbers = [r.qber for r in reports if r.qber is not None] + [v.qber[link] for v in views if link in v.qber]
        measured = [view.meters[link].rate for view in views if link in view.meters]
        rates = [rate for rate in measured if rate is not None]
        return LinkView(
            id=link,
            ends=pair_of(views[0].node, views[1].node),
            state=state,
            producing=_producing(link, reports, views),
            qber=max(qbers, default=None),
            alarmed=any(link in view.qber for view in views),
            rate=8 * min(rates) if rates else None,
            unsteady=penalty.suppressed(now),
            drained=(What.LINK, link) in self._memory.drained,
            heard_at=min(view.heard_at or 0.0 for view in views),
        )

    def _watch_pads(self) -> None:
        for view in self._knowledge:
            for pad in view.pads.values():
                hop = view.node, pad.neighbour
                if LOW * pad.own < pad.level:
                    self._low.add(hop)
                elif HIGH * pad.own >= pad.level:
                    self._low.discard(hop)
        known = {(view.node, neighbour) for view in self._knowledge for neighbour in view.pads}
        self._low.intersection_update(known)

    # --- what hops and routes are good for ------------------------------------------------------------------------

    def links_between(self, one: str, other: str) -> list[LinkView]:
        """The links of a hop."""
        return [self.links[link] for link in self._hops.get(pair_of(one, other), ())]

    def rate(self, one: str, other: str) -> float:
        """Bit/s that the links of a hop are known to make, or are taken to where they were never measured."""
        return sum(self._rate(link) for link in self.links_between(one, other))

    def hops(self) -> Iterator[Pair]:
        """All hops that both their ends name."""
        return iter(list(self._hops))

    def hop(self, node: str, after: str) -> Verdict:
        """What the hop from one node to the next is good for."""
        verdict = self._verdicts.get((node, after))
        if verdict is None:
            verdict = self._verdicts[node, after] = self._judge(node, after)
        return verdict

    def _judge(self, node: str, after: str) -> Verdict:
        links = self.links_between(node, after)
        where = f"{node} to {after}"
        if not links:
            return Verdict(Condition.BROKEN, "no-link", where)
        alive = [link for link in links if link.state is not LinkState.DOWN]
        if not alive:
            return Verdict(Condition.BROKEN, "link-down", where)
        low = (node, after) in self._low
        for cause, holds, urgent in (
            (DRAINED, all(link.drained for link in alive), True),
            ("qber", all(link.alarmed for link in alive), True),
            ("node-silent", self._silent(node) or self._silent(after), True),
            ("device-fault", low and not any(link.producing for link in alive), True),
            ("unsteady", all(link.unsteady for link in alive), False),
            ("pad-low", low, False),
            ("not-heard", all(link.state is LinkState.UNKNOWN for link in alive), False),
        ):
            if holds:
                return Verdict(Condition.POOR, cause, where, urgent)
        return GOOD

    def _silent(self, node: str) -> bool:
        """Whether a node is heard neither here nor by some neighbour: it may be dead as a whole."""
        view = self._knowledge.get(node)
        if view is None or view.connected:
            return False
        links = self._links_of(view)
        return any(link.state is LinkState.DOWN for link in links)

    def dead(self, node: str) -> bool:
        """Whether a node is heard neither here nor by any neighbour."""
        view = self._knowledge.get(node)
        if view is None or view.connected:
            return False
        links = self._links_of(view)
        return bool(links) and all(link.state is LinkState.DOWN for link in links)

    def _links_of(self, view: NodeView) -> list[LinkView]:
        """The links that a node names and that end there."""
        links = [self.links[link] for link in view.links if link in self.links]
        return [link for link in links if view.node in link.ends]

    def route(self, nodes: tuple[str, ...]) -> Verdict:
        """What a route is good for: the worst of its hops, and drained or distrusted nodes within it."""
        worst = GOOD
        for node, after in pairwise(nodes):
            verdict = self.hop(node, after)
            if verdict.condition is Condition.BROKEN:
                return verdict
            if verdict.condition is Condition.POOR and (worst is GOOD or verdict.urgent > worst.urgent):
                worst = verdict
        for node in nodes[1:-1]:
            if (What.NODE, node) in self._memory.drained:
                return Verdict(Condition.POOR, DRAINED, node, urgent=True)
        return worst

    # --- for routing ----------------------------------------------------------------------------------------------

    def graph(self, now: float, need: Need) -> Graph:
        """The network for the routing functions, with nothing placed on it and without hops that are not as good as needed.

        Nothing is placed where the operator has drained it, however much it is needed: it may be switched off next. What passes
        there and has no other way stays.
        """
        links, states = [], {}
        for pair, ids in self._hops.items():
            # A hop that is poor in one direction is left out in both: they share what comes.
            verdicts = self.hop(*pair), self.hop(*pair[::-1])
            closed = any(verdict.cause == DRAINED or not verdict.meets(need) for verdict in verdicts)
            links += [self._link(self.links[link], pair, closed=closed) for link in ids]
        for what, name in self._memory.drained:
            if what is What.NODE:
                states[name] = Availability.DRAINED
        views = list(self._knowledge)
        names = {view.node for view in views}
        graph = Graph(
            links, nodes=names, states={node: state for node, state in states.items() if node in names}, now=now
        )
        for view in views:
            for pad in view.pads.values():
                if pair_of(view.node, pad.neighbour) in self._hops:
                    graph = graph.with_pad(view.node, pad.neighbour, 8 * pad.own, view.heard_at or 0.0)
        return graph

    def _link(self, link: LinkView, pair: Pair, *, closed: bool) -> Link:
        useful = link.producing and not link.alarmed and not link.drained and link.state is not LinkState.DOWN
        rate = self._rate(link)
        down = closed or link.state is LinkState.DOWN
        availability = Availability.DOWN if down else Availability.UP
        return Link(id=link.id, ends=pair, rate=int(rate) if useful else 0, availability=availability)

    def _rate(self, link: LinkView) -> float:
        return link.rate if link.rate is not None else self._guess(link.ends)

    def _guess(self, pair: Pair) -> float:
        """A rate for a link that was never measured: its pad is full, or it has just come; the median of the others."""
        known = sorted(link.rate for link in self.links.values() if link.rate is not None)
        if known:
            return known[len(known) // 2]
        view = self._knowledge.get(pair[0])
        pad = view.pads.get(pair[1]) if view is not None else None
        return max(limits.UNMEASURED_RATE, 8 * pad.level / limits.PAD_HORIZON) if pad is not None else 0.0


def pair_of(one: str, other: str) -> Pair:
    """Two nodes, in order of their names."""
    return (one, other) if one < other else (other, one)


def _producing(link: str, reports: tuple[LinkReport, LinkReport], views: tuple[NodeView, NodeView]) -> bool:
    states = {report.device for report in reports}
    idle = all(link in view.meters and view.meters[link].idle for view in views)
    return DeviceState.FAULT not in states and not (states == {DeviceState.DRY} and idle)


def _state(reports: tuple[LinkReport, LinkReport], views: tuple[NodeView, NodeView]) -> LinkState:
    states = {report.state for report in reports}
    if LinkState.DOWN in states:
        return LinkState.DOWN
    heard = {report.state for report, view in zip(reports, views, strict=True) if view.connected}
    return LinkState.UP if (heard or states) == {LinkState.UP} else LinkState.UNKNOWN

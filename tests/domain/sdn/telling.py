"""Agents' reports and a clock, for tests of the controller's parts."""

from msgspec.structs import replace

from quiver.domain.events import Event, NumberedEvent
from quiver.domain.network import PathEntry
from quiver.domain.report import DeviceState, LinkReport, LinkState, NodeReport, PadReport, PathReport, PathRole
from quiver.domain.sdn.controller import Controller
from quiver.domain.sdn.memory import decode, encode
from quiver.domain.sdn.orders import Edit, Failure, Order, Read, Stamp
from quiver.domain.sdn.records import Member

LEVEL = 100_000


class Clock:
    def __init__(self, now: float = 0.0):
        self.time = now

    def now(self) -> float:
        return self.time


def report(node: str, ends: dict[str, str], /, **changed) -> NodeReport:
    """A report of an agent whose links are up and whose pads are full.

    Args:
        node: its id.
        ends: link → neighbour.
    """
    told = NodeReport(
        node=node,
        run=changed.pop("run", "r1"),
        links=tuple(
            LinkReport(id=link, neighbour=other, state=LinkState.UP, device=DeviceState.READY)
            for link, other in ends.items()
        ),
        pads=tuple(
            PadReport(neighbour=other, own=LEVEL, theirs=LEVEL, level=LEVEL) for other in dict.fromkeys(ends.values())
        ),
    )
    return replace(told, **changed)


class Desk:
    """A controller and agents that do at once what it orders; tests look at the orders, and spoil what they like.

    Args:
        edges: pairs of node names; a link between a and b is named "a-b".
        rows: the database, as (kind, body).
    """

    def __init__(self, edges: list[tuple[str, str]], rows: list[tuple[str, bytes]] | None = None):
        self.clock = Clock()
        self.edges = edges
        self.nodes = sorted({node for edge in edges for node in edge})
        self.links = {n: {f"{a}-{b}": b if a == n else a for a, b in edges if n in (a, b)} for n in self.nodes}
        self.held: dict[str, dict[str, PathEntry]] = {node: {} for node in self.nodes}
        self.sequence = dict.fromkeys(self.nodes, 0)
        self.addresses: dict[str, dict[str, str]] = {node: {} for node in self.nodes}
        self.down: set[str] = set()  # links
        self.known: dict[str, PathEntry] = {}  # all that was ever written
        self.terms = dict.fromkeys(self.nodes, 0)
        self.credit: dict[str, int] = {}
        self.taken: dict[str, int] = {}  # version → what keys took of it at its source
        self.open: dict[str, int] = {}  # version → open sequences at its source, though it was removed
        self.changed: dict[str, dict] = {}  # node → what its reports say otherwise
        self.rows = {(kind, decode(kind, body).id): body for kind, body in rows or []}
        for node in self.nodes:
            member = Member(node=node, address=f"{node}:1")
            self.rows[member.kind, member.id] = encode(member)
        self.orders: list[Order] = []
        self.notices = []
        self.failing: dict[str, Failure] = {}  # node → how its edits fail
        self.begin()

    def begin(self) -> None:
        """A new process with the database as it is."""
        self.core = Controller([decode(kind, body) for (kind, _), body in self.rows.items()], self.clock)

    def report(self, node: str) -> NodeReport:
        entries = list(self.held[node].values())
        paths = [self._path(entry, node) for entry in entries]
        paths += [
            PathReport(key=key, digest=self.known[key].digest, role=PathRole.SOURCE, retiring=True, open=count)
            for key, count in self.open.items()
            if key not in self.held[node] and self.known[key].source == node
        ]
        told = report(
            node,
            self.links[node],
            term=self.terms[node],
            sequence=self.sequence[node],
            paths=tuple(paths),
            configured=tuple(entries),
            addresses=dict(self.addresses[node]),
        )
        links = [replace(link, state=LinkState.DOWN) if link.id in self.down else link for link in told.links]
        told = replace(told, links=tuple(links))
        return replace(told, **self.changed.get(node, {}))

    def _path(self, entry: PathEntry, node: str) -> PathReport:
        source = node == entry.source
        role = PathRole.SOURCE if source else PathRole.RELAY
        credit = self.credit.get(entry.key, 0) if source else 0
        taken = self.taken.get(entry.key, 0) if source else 0
        return PathReport(key=entry.key, digest=entry.digest, role=role, credit=credit, taken=taken)

    def happen(self, node: str, event: Event, *, missed: int = 0) -> None:
        """Something happens at an agent; events before it may get lost."""
        self.sequence[node] += 1 + missed
        self.core.happened(node, "r1", NumberedEvent(sequence=self.sequence[node], body=event))

    def step(self) -> list[Order]:
        """One step; the orders that leave, not carried out yet."""
        self.core.step()
        for change in self.core.changes():
            if change.record is None:
                self.rows.pop((change.kind, change.id), None)
            else:
                self.rows[change.kind, change.id] = encode(change.record)
        orders = self.core.orders()
        self.orders += orders
        self.notices += self.core.notices()
        return orders

    def carry_out(self, order: Order) -> None:
        failure = self.failing.get(order.node) if isinstance(order, Edit) else None
        if isinstance(order, Stamp | Edit) and order.term < self.terms[order.node]:
            failure = Failure.STALE_TERM
        if failure is not None:
            self.core.failed(order, failure)
            return
        if isinstance(order, Read):
            self.core.reported(order.node, self.report(order.node))
        elif isinstance(order, Stamp | Edit):
            self.terms[order.node] = order.term
        if isinstance(order, Edit):
            for key in order.remove:
                self.held[order.node].pop(key, None)
            self.held[order.node].update({entry.key: entry for entry in order.put})
            for node in order.forget:
                self.addresses[order.node].pop(node, None)
            self.addresses[order.node].update(order.addresses)
            self.known.update({entry.key: entry for entry in order.put})
        self.core.done(order)

    def settle(self, seconds: float = 0.0) -> None:
        """Let time pass, and carry out everything that is ordered."""
        end = self.clock.time + seconds
        while True:
            orders = self.step()
            for order in orders:
                self.carry_out(order)
            if orders:
                continue
            if self.clock.time >= end:
                return
            self.clock.time = min(end, max(self.core.due, self.clock.time + 0.01))

    def connect(self, *nodes: str) -> None:
        for node in nodes or self.nodes:
            self.core.connected(node)
        self.settle()

    def edits(self, node: str = "") -> list[Edit]:
        return [order for order in self.orders if isinstance(order, Edit) and node in ("", order.node)]

    def told(self, name: str) -> list:
        return [notice for notice in self.notices if notice.name == name]

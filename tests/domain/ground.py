"""What the parts of a node stand on in these tests: a clock set by hand, seeded randomness, a database in memory."""

import hashlib
import random
from collections.abc import Iterable
from itertools import pairwise

from quiver.domain import limits, records
from quiver.domain.context import Context
from quiver.domain.intervals import Intervals
from quiver.domain.journal import AuditLine, Journal
from quiver.domain.messages import Answer, Header, Item, Outcome
from quiver.domain.network import Directory, LinkEntry, Network, PathEntry
from quiver.domain.outbox import Message, Outbox
from quiver.domain.pads import LinkPads
from quiver.domain.records import Block, Burned, Record, Segment, SegmentState
from quiver.domain.secret import Secret
from tests.store.model import State, apply

KIB = 1024
HISTORY = 32  # commits to which a database in memory can be set back
ONE_HOP = PathEntry("a-d", 1, 1, ("a", "d"))
TWO_RELAYS = PathEntry("a-d", 1, 1, ("a", "b", "c", "d"))
DIRECTORY = Directory(
    homes={"alice": "a", "anna": "a", "dora": "d", "dave": "d"},
    pairs=frozenset(frozenset(pair) for pair in [("alice", "dora"), ("alice", "dave"), ("alice", "anna")]),
)


def bytes_of(name: str, length: int) -> bytes:
    """Pad that anyone can compute anew."""
    return hashlib.shake_256(name.encode()).digest(length)


class HandClock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


class SeededEntropy:
    """Randomness that is the same in every run of a test."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def draw(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def draw_key(self, count: int) -> bytes:
        return self.draw(count)


class MemoryDatabase:
    """Holds what was committed, and can be set back to one of the latest commits."""

    def __init__(self) -> None:
        self.audit: list[AuditLine] = []
        self.number = 0
        self._states: dict[int, State] = {0: {}}

    def commit(self, journal: Journal) -> int:
        """Make all of the journal durable, lazy writes too."""
        writes, audit = journal.take()
        state = dict(self._state)
        apply(state, writes)
        self.number += 1
        self._states[self.number] = state
        self._states.pop(self.number - HISTORY, None)
        self.audit += audit
        return self.number

    @property
    def _state(self) -> State:
        return self._states[self.number]

    def load(self) -> list[Record]:
        return [records.decode(kind, body, secret) for (kind, _), (body, secret) in self._state.items()]

    def roll_back(self, number: int) -> None:
        if number == 0:
            self._states[0] = {}
        self._states = {kept: state for kept, state in self._states.items() if kept <= number}
        self.number = number

    def holds(self, material: bytes) -> bool:
        """Whether these bytes stand in any stored secret."""
        return any(secret is not None and material in secret for _, secret in self._state.values())


def shared_segment(name: str, node: str, neighbour: str, owner: str, length: int = 4 * KIB) -> Segment:
    """One end's record of a segment that both ends hold."""
    segment = Segment(
        segment=name,
        link="-".join(sorted((node, neighbour))),
        neighbour=neighbour,
        owner=owner,
        state=SegmentState.USABLE,
        length=length,
    )
    if owner == node:
        segment.mark = limits.LINK_CHECK
    else:
        segment.accepted.add(0, limits.LINK_CHECK)
    segment.secret = Secret(bytes(limits.LINK_CHECK) + bytes_of(name, length)[limits.LINK_CHECK :])
    return segment


def shared_block(entry: PathEntry, node: str, sequence: int, start: int, length: int = 4 * KIB) -> Block:
    """One end's record of a ready block; its bytes depend on path and sequence only."""
    source = node == entry.source
    block = Block(
        key=entry.key,
        sequence=sequence,
        start=start,
        length=length,
        far=entry.destination if source else entry.source,
        source=source,
        nodes=entry.nodes,
        used=Intervals([(0, limits.HASH_KEY)]),
        told=not source,
    )
    block.secret = Secret(bytes_of(f"{entry.key}#{sequence}", length))
    return block


class Station:
    """The surroundings of parts of one node: real journal, outbox and pads; who is met is a plain set.

    Messages stay here until the test answers them, or says that they failed.
    """

    def __init__(
        self,
        node: str,
        neighbours: Iterable[str] = (),
        paths: tuple[PathEntry, ...] = (),
        kept: Iterable[Record] = (),
        clock: HandClock | None = None,
    ) -> None:
        self.clock = clock or HandClock()
        self.entropy = SeededEntropy(node)
        self.database = MemoryDatabase()
        links = tuple(LinkEntry("-".join(sorted((node, other))), other) for other in neighbours)
        self.network = Network(node, links, paths, DIRECTORY)
        self.met = {"a", "b", "c", "d"} - {node}
        self.under_way: dict[tuple[str, str], Message] = {}
        self.start(kept)

    def start(self, kept: Iterable[Record] = ()) -> None:
        """A new process reads the database: only what was committed is left."""
        found = [*self.database.load(), *kept]
        segments = [record for record in found if isinstance(record, Segment)]
        burned = next((record for record in found if isinstance(record, Burned)), Burned())
        self.journal = Journal(burned)
        self.outbox = Outbox(self.clock, lambda peer: Header("", "", 0, ""), lambda peer: peer in self.met)
        self.under_way.clear()
        node = self.network.node
        self.context = Context(
            network=self.network,
            entries={entry.key: entry for entry in self.network.paths},
            journal=self.journal,
            outbox=self.outbox,
            pads={
                other: LinkPads(node, other, [s for s in segments if s.neighbour == other], self.journal)
                for other in self.network.neighbours
            },
            clock=self.clock,
            service_time=self.clock,
            entropy=self.entropy,
            met=lambda peer: peer in self.met,
            reached=lambda peer: peer in self.met,
            audit_salt=b"salt",
        )

    def commit(self) -> None:
        self.database.commit(self.journal)

    def burned(self, cause: str) -> int:
        return self.journal.burned.causes.get(cause, 0)

    def alarms(self) -> list[str]:
        return [alarm.name for alarm in self.journal.take_alarms()]

    # --- messages -------------------------------------------------------------------------------------------------

    def said(self, kind: str, peer: str) -> tuple[Item, ...]:
        """The items of one kind on their way to a node."""
        for message in self.outbox.messages():
            self.under_way[message.kind, message.peer] = message
        message = self.under_way.get((kind, peer))
        return message.items if message is not None else ()

    def one(self, kind: str, peer: str) -> Item:
        """The only item of one kind on its way to a node."""
        (item,) = self.said(kind, peer)
        return item

    def answer(self, kind: str, peer: str, *answers: Outcome | Answer) -> None:
        """The node answers the message of that kind that is on its way to it."""
        self.said(kind, peer)
        message = self.under_way.pop((kind, peer))
        self.outbox.answered(message.ticket, [a if isinstance(a, Answer) else Answer(a) for a in answers])

    def fail(self, kind: str, peer: str) -> None:
        """No answer comes."""
        self.said(kind, peer)
        self.outbox.failed(self.under_way.pop((kind, peer)).ticket)


def ends(*segments: tuple[str, str, int]) -> tuple[Station, Station]:
    """Two neighbours that share segments (name, owner, length)."""
    stations = []
    for node, other in (("a", "b"), ("b", "a")):
        kept = [shared_segment(name, node, other, owner, length) for name, owner, length in segments]
        station = Station(node, [other], kept=kept)
        for segment in kept:
            station.journal.put(segment, secret=True)
        station.commit()
        stations.append(station)
    return stations[0], stations[1]


def pad_along(nodes: str, per_link: int = 3, length: int = 16 * KIB) -> dict[str, list[Record]]:
    """Pad on every link of a row, owned by the end that is nearer to the start."""
    kept: dict[str, list[Record]] = {name: [] for name in nodes}
    for near, far in pairwise(nodes):
        for i in range(per_link):
            kept[near].append(shared_segment(f"{near}{far}{i}", near, far, near, length))
            kept[far].append(shared_segment(f"{near}{far}{i}", far, near, near, length))
    return kept

"""The durable records of a node, and the tables of the states they pass through.

A record's body holds names, sizes and marks. Its secret, where it has one, is kept apart from the body: a change of a mark
never rewrites pad, and sealing needs to touch one place only. Bodies are shaped by range and by batch, never by key.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from quiver.domain.intervals import Intervals
from quiver.domain.network import PathEntry
from quiver.domain.secret import Secret

__all__ = [
    "PART_MOVES",
    "RECORDS",
    "RELAYED_MOVES",
    "SEGMENT_MOVES",
    "Batch",
    "Block",
    "Burned",
    "Own",
    "Part",
    "PartState",
    "Peer",
    "Piece",
    "Record",
    "Relayed",
    "RelayedState",
    "Route",
    "Seen",
    "Segment",
    "SegmentState",
    "Sent",
    "decode",
    "encode",
]


S = TypeVar("S", bound=StrEnum)


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """Part of a range: `length` bytes of one segment from `offset` on."""

    segment: str
    offset: int
    length: int


class Record(msgspec.Struct, kw_only=True, dict=True):
    """Base of all records: a kind, an id within the kind, and perhaps a secret beside the body."""

    kind: ClassVar[str] = ""
    named_by: ClassVar[tuple[str, ...]] = ()

    @property
    def id(self) -> str:
        """The record's name within its kind."""
        return "#".join([str(getattr(self, field)) for field in self.named_by])

    @property
    def secret(self) -> Secret | None:
        """Pad or key of the record; None for a record without."""
        return self.__dict__.get("secret")

    @secret.setter
    def secret(self, secret: Secret | None) -> None:
        self.__dict__["secret"] = secret

    def _check_move(self, moves: Mapping[S, frozenset[S]], here: S, there: S) -> S:
        """The next state, if the table of moves has it; anything else is a fault of this program."""
        if there not in moves[here]:
            message = f"{self.kind} {self.id}: no way from {here} to {there}"
            raise AssertionError(message)
        return there


class SegmentState(StrEnum):
    """Where a pad segment is in its hand-over (design section 3, Collect)."""

    ANNOUNCED = "announced"  # at the owner: its key_IDs are told, the neighbour has not confirmed
    FETCHING = "fetching"  # at the neighbour: its device is being asked
    CONFIRMING = "confirming"  # at the neighbour: all keys are here, the tag is on its way
    USABLE = "usable"  # both ends hold the same bytes
    SPENT = "spent"  # at the owner: all bytes are allocated, the neighbour has yet to hear that some were burned


# From each state, where it can go. A segment is dropped from any of them.
SEGMENT_MOVES: Final[dict[SegmentState, frozenset[SegmentState]]] = {
    SegmentState.ANNOUNCED: frozenset({SegmentState.USABLE}),
    SegmentState.FETCHING: frozenset({SegmentState.CONFIRMING}),
    SegmentState.CONFIRMING: frozenset({SegmentState.USABLE}),
    SegmentState.USABLE: frozenset({SegmentState.SPENT}),
    SegmentState.SPENT: frozenset({SegmentState.SPENT}),
}


class Segment(Record):
    """One pad segment at one end of its link.

    Attributes:
        segment: its random id, 32 hexadecimal digits.
        link: the QKD link that made it.
        neighbour: the node at the other end.
        owner: the node that allocates ranges of it.
        state: how far its hand-over is.
        length: bytes, the spent first 16 included.
        key_ids: the source key_IDs in order, until the segment is usable.
        check: the confirmation that made it usable (nonce and tag), to recognise a repeat.
        mark: at the owner, the first byte that was never allocated.
        accepted: at the other end, the bytes that were accepted.
        given: this end gave it away and has not yet heard that the other knows.
        received: it came to its owner as a gift. It is never given on: a late copy of the first gift looks like a new one.
    """

    kind: ClassVar[str] = "segment"
    named_by: ClassVar[tuple[str, ...]] = ("segment",)
    segment: str
    link: str
    neighbour: str
    owner: str
    state: SegmentState
    length: int
    key_ids: list[str] = []
    check: str = ""
    mark: int = 0
    accepted: Intervals = msgspec.field(default_factory=Intervals)
    given: bool = False
    received: bool = False

    def move(self, state: SegmentState) -> None:
        """Go on to another state."""
        self.state = self._check_move(SEGMENT_MOVES, self.state, state)


class Seen(Record):
    """Fingerprints of the key_IDs and keys of one segment, so that none is taken twice."""

    kind: ClassVar[str] = "seen"
    named_by: ClassVar[tuple[str, ...]] = ("segment",)
    segment: str
    link: str
    order: int
    fingerprints: list[int]


class Route(Record):
    """Marks of one path version at this node.

    Attributes:
        key: the path version.
        entry: the whole of it: ready blocks outlive their version in the configuration.
        open: at the source, open sequence → its bytes; a restart voids them all.
        next_sequence: at the source, the next number.
        next_start: at the source, the version's byte count up to it.
        floor: below this sequence number all are closed.
        settled: below this byte count all is used, voided or burned.
    """

    kind: ClassVar[str] = "route"
    named_by: ClassVar[tuple[str, ...]] = ("key",)
    key: str
    entry: PathEntry
    open: dict[int, int] = {}
    next_sequence: int = 0
    next_start: int = 0
    floor: int = 0
    settled: int = 0


class RelayedState(StrEnum):
    """Where a sequence is at a relay."""

    ANNOUNCING = "announcing"  # the next node has not answered yet
    SENDING = "sending"  # the next node has; the ciphertext is on its way to the destination
    LOST = "lost"  # the ciphertext is gone; the destination has yet to hear
    CLOSED = "closed"  # nothing left to do but to recognise repeats


# After a restart every sequence that is not closed is lost: its ciphertext was in memory only.
RELAYED_MOVES: Final[dict[RelayedState, frozenset[RelayedState]]] = {
    RelayedState.ANNOUNCING: frozenset({RelayedState.SENDING, RelayedState.LOST, RelayedState.CLOSED}),
    RelayedState.SENDING: frozenset({RelayedState.LOST, RelayedState.CLOSED}),
    RelayedState.LOST: frozenset({RelayedState.LOST, RelayedState.CLOSED}),
    RelayedState.CLOSED: frozenset({RelayedState.CLOSED}),
}


class Relayed(Record):
    """One sequence at a relay. Its ciphertext is in memory only."""

    kind: ClassVar[str] = "relayed"
    named_by: ClassVar[tuple[str, ...]] = ("key", "sequence")
    key: str
    sequence: int
    start: int
    length: int
    digest: str
    state: RelayedState

    def move(self, state: RelayedState) -> None:
        """Go on to another state."""
        self.state = self._check_move(RELAYED_MOVES, self.state, state)


class PartState(StrEnum):
    """Where a sequence is at the destination."""

    OPEN = "open"  # ciphertexts or the last range are missing
    READY = "ready"  # the block is whole and stored
    VOID = "void"  # a relay lost its ciphertext


# A block that was reported ready is never voided from here.
PART_MOVES: Final[dict[PartState, frozenset[PartState]]] = {
    PartState.OPEN: frozenset({PartState.READY, PartState.VOID}),
    PartState.READY: frozenset(),
    PartState.VOID: frozenset(),
}


class Part(Record):
    """One sequence at the destination. Its secret is the XOR of what has arrived, while it is open.

    Attributes:
        digests: node → SHA-256 of what it sent, to recognise repeats; the last relay's range stands under "".
    """

    kind: ClassVar[str] = "part"
    named_by: ClassVar[tuple[str, ...]] = ("key", "sequence")
    key: str
    sequence: int
    start: int
    length: int
    digests: dict[str, str] = {}
    state: PartState = PartState.OPEN

    def move(self, state: PartState) -> None:
        """Go on to another state."""
        self.state = self._check_move(PART_MOVES, self.state, state)


class Block(Record):
    """A ready block: pad that source and destination share. Its first 32 bytes are its hash key.

    Attributes:
        far: the node at the other end.
        source: whether this node is the source, which alone uses and voids it.
        nodes: the nodes it passed (rule 9).
        used: bytes that containers have used; the hash key counts as used from the start.
        told: at the destination, whether the source has it.
        born: service time of this node when it became ready; 0 in databases from before that was kept.
    """

    kind: ClassVar[str] = "block"
    named_by: ClassVar[tuple[str, ...]] = ("key", "sequence")
    key: str
    sequence: int
    start: int
    length: int
    far: str
    source: bool
    nodes: tuple[str, ...]
    used: Intervals
    told: bool = False
    born: float = 0.0


class Sent(Record):
    """A container without an outcome, at its source. The key itself is in memory only.

    Attributes:
        number: its place among this node's containers for `destination`.
        paths: path version → pieces (sequence, offset, length) of pad that it took.
        withdrawing: it was given up; the destination has yet to hear.
    """

    kind: ClassVar[str] = "sent"
    named_by: ClassVar[tuple[str, ...]] = ("destination", "number")
    destination: str
    number: int
    batch: str
    paths: dict[str, list[tuple[int, int, int]]]
    withdrawing: bool = False


class Batch(Record):
    """Keys of one request, waiting at the destination for the named slaves. Its secret is the keys, one after another.

    Attributes:
        batch: the random batch id, 32 hexadecimal digits with the index bits zero.
        source: the node that made them; this node for two SAEs of one node.
        number: the container's number; -1 where there was none.
        digest: SHA-256 of the container, to recognise a repeat.
        answer: the first answer, to repeat it; empty once the source has it.
        nodes: the nodes that the blocks used had passed (rule 9).
        taken: slave → bitmap of the keys it has taken, in hexadecimal digits.
        born: service time of this node when it was stored; 0 in databases from before that was kept.
    """

    kind: ClassVar[str] = "batch"
    named_by: ClassVar[tuple[str, ...]] = ("batch",)
    batch: str
    source: str
    number: int
    master: str
    slaves: list[str]
    count: int
    size: int
    digest: str = ""
    answer: str = ""
    nodes: list[str] = []
    taken: dict[str, str] = {}
    born: float = 0.0

    def taken_by(self, slave: str) -> int:
        """The keys that a slave has taken, as a bitmap."""
        return int(self.taken.get(slave, "0"), 16)


class Peer(Record):
    """What this node has seen of another node's database (rule 2).

    Attributes:
        incarnation: of its database, as last met.
        run: of its process, as last met.
        number: the highest commit number seen of that incarnation.
        mac: that node's own MAC over the three.
        retired: incarnations of it that are refused for good.
        next_number: the next container that goes there.
        floor: below this number all containers from there are closed.
        voided: numbers above the floor that were voided before they came.
    """

    kind: ClassVar[str] = "peer"
    named_by: ClassVar[tuple[str, ...]] = ("node",)
    node: str
    incarnation: str = ""
    run: str = ""
    number: int = 0
    mac: str = ""
    retired: list[str] = []
    next_number: int = 0
    floor: int = 0
    voided: list[int] = []


class Own(Record):
    """This database itself: its incarnation, those before, and the key of its fingerprints.

    Attributes:
        served: seconds that it has been in use, over all runs.
    """

    kind: ClassVar[str] = "own"
    incarnation: str
    former: list[str] = []
    served: float = 0.0


class Burned(Record):
    """The account of this database's pad, in bytes: collected = used + burned + what the records still hold.

    Each byte counts once. The cause `restart` has two ranges too many at a relay for each ciphertext that left after the last
    commit before a crash: that it left is written with the next commit, since a commit of its own would cost each sequence a
    second fsync to tell two figures apart.

    Attributes:
        causes: why pad was burned → bytes.
        uses: what it was used for → bytes: link-check, relayed (both ranges of a ciphertext), hash-key, delivered.
        collected: bytes that segments brought.
    """

    kind: ClassVar[str] = "burned"
    causes: dict[str, int] = {}
    uses: dict[str, int] = {}
    collected: int = 0


RECORDS: Final[dict[str, type[Record]]] = {
    record.kind: record for record in (Segment, Seen, Route, Relayed, Part, Block, Sent, Batch, Peer, Own, Burned)
}


def _plain(value: object) -> object:
    if isinstance(value, Intervals):
        return list(value)
    raise TypeError(type(value).__name__)


def _rich(kind: type, value: Any) -> object:  # noqa: ANN401  # msgspec's own signature
    if kind is Intervals:
        return Intervals((start, stop) for start, stop in value)
    raise TypeError(kind.__name__)


_encoder: Final = msgspec.json.Encoder(enc_hook=_plain)
_decoders: Final = {kind: msgspec.json.Decoder(record, dec_hook=_rich) for kind, record in RECORDS.items()}


def encode(record: Record) -> bytes:
    """The record's body as JSON, without its secret."""
    return _encoder.encode(record)


def decode(kind: str, body: bytes, secret: bytes | None) -> Record:
    """The record from its kind, its body and its secret bytes."""
    record = _decoders[kind].decode(body)
    if secret:
        record.secret = Secret(secret)
    return record

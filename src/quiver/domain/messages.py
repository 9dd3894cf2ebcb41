"""What nodes say to each other: one type per kind of item, and the one answer.

Items of one kind for one node share a message. Every message is answered when what it says is durable, never after
waiting for a third node (else opposite flows deadlock). `protocols.peer` gives each kind its form on the wire.
"""

from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from quiver.domain.records import Piece
from quiver.domain.secret import Secret

__all__ = [
    "ALONG",
    "ITEMS",
    "Announcement",
    "Answer",
    "Ciphertext",
    "Confirmation",
    "Container",
    "Credit",
    "Evidence",
    "Floor",
    "Gift",
    "Header",
    "Heartbeat",
    "Hello",
    "Inventory",
    "Item",
    "LinkBeat",
    "Lost",
    "Outcome",
    "Ready",
    "Retirement",
    "Segments",
    "Settle",
    "Voided",
    "Withdrawal",
]


class Outcome(StrEnum):
    """What an answer says of one item."""

    DONE = "done"  # durable
    SETTLED = "settled"  # below the floor: stop repeating
    REFUSED = "refused"  # it contradicts what is here; nothing was changed
    NO_CREDIT = "no-credit"  # there is no pad for it; nothing was changed
    NO_SEGMENT = "no-segment"  # a piece is of a segment that is not here, or not the sender's; nothing was changed
    PATH_MISMATCH = "path-mismatch"  # this node's entry of the path version differs
    MEET_FIRST = "meet-first"  # the run is not met; nothing was changed
    VOID = "void"  # the thing it names is void or was burned
    STORED = "stored"  # the keys are stored for their slaves
    WRONG_TAG = "wrong-tag"  # the container's check failed; its pad was burned


class Header(msgspec.Struct, frozen=True):
    """What every message and every answer says of its sender's database (rule 2).

    Attributes:
        incarnation: random name of the database.
        run: random name of the process start.
        number: the commit number that was durable when the message left.
        mac: the sender's own MAC over these three.
        to_run: the receiver's run as the sender knows it; empty before they have met.
    """

    incarnation: str
    run: str
    number: int
    mac: str
    to_run: str = ""


class Evidence(msgspec.Struct, frozen=True):
    """The highest commit number that a node has seen of another, with that node's own MAC."""

    incarnation: str
    run: str
    number: int
    mac: str


def _weight(value: object) -> int:
    match value:
        case bytes() | Secret():
            return len(value) * 4 // 3
        case tuple() | dict():
            return len(value) * 64
        case _:
            return 0


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything that a message can carry."""

    kind: ClassVar[str] = ""

    @property
    def weight(self) -> int:
        """Bytes that it adds to a message, roughly: base64 takes four for three."""
        return 256 + sum([_weight(getattr(self, field)) for field in self.__struct_fields__])


class Heartbeat(Item, frozen=True, kw_only=True):
    """Each second to neighbours and to the other ends of virtual links. The header says it all; levels are for neighbours.

    Attributes:
        level: bytes of pad towards the receiver that the sender owns and has not allocated.
        wanted: bytes of pad that the sender would like to be given.
    """

    kind: ClassVar[str] = "heartbeat"
    level: int = 0
    wanted: int = 0


class LinkBeat(Item, frozen=True, kw_only=True):
    """A link's own heartbeat, several times a second and along the link; says nothing that has to be durable."""

    kind: ClassVar[str] = "beat"
    link: str


class Floor(Item, frozen=True, kw_only=True):
    """A source's marks of one path version, for its destination and, from one to the next, its relays.

    Attributes:
        floor: below this sequence number all are closed.
        settled: below this byte count all is used, voided or burned.
        closed: below this byte count nothing will be announced any more; what is not settled of it is ready.
        urgent: bytes that requests of SAEs want of the path; what fills buffers comes after that.
    """

    kind: ClassVar[str] = "floor"
    key: str
    digest: str
    floor: int
    settled: int
    closed: int
    urgent: int = 0


class Credit(Item, frozen=True, kw_only=True):
    """Leave to take pad for a path version, from a node to the one before it (design section 3, Prime 0).

    Attributes:
        limit: the version's byte count up to which sequences may be taken; absolute, so repeats do no harm.
        counter: the grantor's own count; of one run the highest is the newest.
    """

    kind: ClassVar[str] = "credit"
    key: str
    digest: str
    limit: int
    counter: int


class Segments(Item, frozen=True, kw_only=True):
    """A new pad segment's source key_IDs in order, from its owner.

    Attributes:
        length: bytes of the segment.
    """

    kind: ClassVar[str] = "segments"
    segment: str
    link: str
    key_ids: tuple[str, ...]
    length: int


class Confirmation(Item, frozen=True, kw_only=True):
    """The neighbour's word that it holds the segment: nonce and Poly1305 tag. Both empty where the segment is void."""

    kind: ClassVar[str] = "confirmation"
    segment: str
    nonce: str = ""
    tag: str = ""


class Gift(Item, frozen=True, kw_only=True):
    """The owner gives an untouched segment to the other end."""

    kind: ClassVar[str] = "gift"
    segment: str


class Retirement(Item, frozen=True, kw_only=True):
    """The owner will allocate nothing more of the segment: what was not accepted is burned."""

    kind: ClassVar[str] = "retirement"
    segment: str


class Announcement(Item, frozen=True, kw_only=True):
    """A range for one sequence, from a node to the next on the path (design section 3, Prime 1 and 2).

    Attributes:
        start: the version's byte count before the sequence; it covers [start, start + length).
        pieces: the range of link pad between the two nodes.
        floor: the source's floor.
        settled: the source's settled byte count.
    """

    kind: ClassVar[str] = "announcement"
    key: str
    digest: str
    sequence: int
    start: int
    length: int
    pieces: tuple[Piece, ...]
    floor: int
    settled: int


class Ciphertext(Item, frozen=True, kw_only=True):
    """The XOR of a relay's two pads, straight to the destination."""

    kind: ClassVar[str] = "ciphertext"
    key: str
    digest: str
    sequence: int
    start: int
    length: int
    ciphertext: Secret  # one-time-padded, yet of the redacted type: it is in no log either
    floor: int
    settled: int


class Lost(Item, frozen=True, kw_only=True):
    """A relay's word to the destination that a sequence's ciphertext is gone."""

    kind: ClassVar[str] = "lost"
    key: str
    digest: str
    sequence: int
    start: int
    length: int


class Ready(Item, frozen=True, kw_only=True):
    """The destination's word to the source that a block is whole and stored."""

    kind: ClassVar[str] = "ready"
    key: str
    digest: str
    sequence: int


class Voided(Item, frozen=True, kw_only=True):
    """The destination's word to the source that a sequence will never be ready, or that its block was dropped for its age."""

    kind: ClassVar[str] = "voided"
    key: str
    digest: str
    sequence: int


class Container(Item, frozen=True, kw_only=True):
    """Keys under end-to-end pad, from source to destination (design section 3, Deliver and Check).

    Attributes:
        header: the header's bytes as sent; `delivery.ContainerHeader` says what they hold.
        nonce: 32 random bytes.
        ciphertext: K ⊕ pad, all keys of the batch one after another.
        tag: the Poly1305 tag over header and K.
        floor: below this container number all are closed.
    """

    kind: ClassVar[str] = "container"
    header: bytes
    nonce: bytes
    ciphertext: Secret
    tag: bytes
    floor: int


class Withdrawal(Item, frozen=True, kw_only=True):
    """The source gives a container up.

    Attributes:
        keep_stored: after the source's restart, a stored one is kept: the master may have had its answer.
    """

    kind: ClassVar[str] = "withdrawal"
    number: int
    batch: str
    paths: dict[str, list[tuple[int, int, int]]]
    keep_stored: bool
    floor: int


class Inventory(msgspec.Struct, frozen=True):
    """What a node holds together with the one it meets.

    Attributes:
        segments: segment → (owner, usable, mark or top of the accepted bytes, given).
        sources: path version → (next sequence, floor, settled, ready blocks), for those that start here and end there.
        destinations: path version → ready blocks (sequence, top of the used bytes), for those that start there.
        seen: path version → (one above the highest sequence, top of the byte count), for those that start there and
            pass or end here.
        containers: (floor, next number) of those that go there, and one above the highest number that came from there.
    """

    segments: dict[str, tuple[str, bool, int, bool]]
    sources: dict[str, tuple[int, int, int, list[int]]]
    destinations: dict[str, list[tuple[int, int]]]
    seen: dict[str, tuple[int, int]]
    containers: tuple[int, int, int]


class Hello(Item, frozen=True, kw_only=True):
    """First word of a meeting, and, as the answer's `offer`, the second.

    Attributes:
        nonce: fresh and random; the other side returns it.
        started: the commit number at which the run started.
        seen: what the sender has seen of the receiver.
        echo: in an offer, the nonce of the hello.
    """

    kind: ClassVar[str] = "hello"
    nonce: str
    started: int
    seen: Evidence | None
    inventory: Inventory
    echo: str = ""


class Settle(Item, frozen=True, kw_only=True):
    """Third word of a meeting: returns the offer's nonce. The answer `done` ends it."""

    kind: ClassVar[str] = "settle"
    nonce: str


class Answer(msgspec.Struct, frozen=True):
    """The answer to one item.

    Attributes:
        outcome: what became of it.
        reason: why it was refused, for the log.
        ack: of a container, the HMAC that proves that the destination itself answered.
        offer: of a hello, the other side's hello.
        header: the header under which it came, set by the receiver where there is an offer; never on the wire.
    """

    outcome: Outcome
    reason: str = ""
    ack: str = ""
    offer: Hello | None = None
    header: Header | None = None


ALONG: Final = frozenset(
    item.kind for item in (LinkBeat, Segments, Confirmation, Gift, Retirement, Announcement, Credit)
)
"""Kinds that concern a link between two neighbours and travel along it: who cuts the link cuts them (design section 10).

Floors concern a path and not its hops. Meetings and heartbeats go on without the link, over the network between the nodes.
"""

ITEMS: Final[dict[str, type[Item]]] = {
    item.kind: item
    for item in (
        Heartbeat,
        LinkBeat,
        Floor,
        Credit,
        Segments,
        Confirmation,
        Gift,
        Retirement,
        Announcement,
        Ciphertext,
        Lost,
        Ready,
        Voided,
        Container,
        Withdrawal,
        Hello,
        Settle,
    )
}

"""A destination, and what relays and sources send it."""

from functools import reduce

from quiver.domain.destination import Destination
from quiver.domain.messages import Announcement, Ciphertext, Lost, Outcome
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Part, Piece, Route
from quiver.domain.secret import Secret

from .ground import KIB, TWO_RELAYS, Station, bytes_of, shared_block, shared_segment

PAD = 16 * KIB


def announcement(sequence: int = 0, length: int = 100, *, offset: int = 16, floor: int = 0, settled: int = 0):
    return Announcement(
        key=TWO_RELAYS.key,
        digest=TWO_RELAYS.digest,
        sequence=sequence,
        start=sequence * 100,
        length=length,
        pieces=(Piece("cd", offset, length),),
        floor=floor,
        settled=settled,
    )


def ciphertext(relay: str, sequence: int = 0, *, material: bytes | None = None, length: int = 100, start: int = -1):
    return Ciphertext(
        key=TWO_RELAYS.key,
        digest=TWO_RELAYS.digest,
        sequence=sequence,
        start=sequence * 100 if start < 0 else start,
        length=length,
        ciphertext=Secret(material or bytes_of(f"{relay}{sequence}", 100)),
        floor=0,
        settled=0,
    )


def lost(sequence: int = 0) -> Lost:
    return Lost(key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, sequence=sequence, start=sequence * 100, length=100)


class Tail:
    """Destination D of A→B→C→D, or of A→D."""

    def __init__(self, entry: PathEntry = TWO_RELAYS, blocks: int = 0) -> None:
        self.entry = entry
        before = entry.nodes[-2]
        segment = shared_segment("cd", "d", before, before, PAD)
        self.station = Station("d", [before], (entry,))
        self.station.journal.put(segment, secret=True)
        for i in range(blocks):
            self.station.journal.put(shared_block(entry, "d", i, i * 4 * KIB), secret=True)
        self.station.journal.put(Route(key=entry.key, entry=entry, floor=blocks))
        self.station.commit()
        self.restart()

    def restart(self) -> None:
        self.station.start()
        kept = self.station.database.load()
        (route,) = (record for record in kept if isinstance(record, Route))
        parts = [record for record in kept if isinstance(record, Part)]
        blocks = [record for record in kept if isinstance(record, Block)]
        self.destination = Destination(self.station.context, self.entry, route, parts, blocks)

    def announce(self, item: Announcement) -> Outcome:
        return self.destination.announce(item).outcome

    def receive(self, relay: str, item: Ciphertext) -> Outcome:
        return self.destination.receive(relay, item).outcome

    def complete(self, sequence: int = 0) -> Block:
        assert self.receive("b", ciphertext("b", sequence)) is Outcome.DONE
        assert self.receive("c", ciphertext("c", sequence)) is Outcome.DONE
        assert self.announce(announcement(sequence, offset=16 + 100 * sequence)) is Outcome.DONE
        return self.destination.blocks[sequence]


def expected(sequence: int = 0) -> bytes:
    offset = 16 + 100 * sequence
    shares = [bytes_of(f"b{sequence}", 100), bytes_of(f"c{sequence}", 100), bytes_of("cd", PAD)[offset : offset + 100]]
    return reduce(lambda one, other: bytes(x ^ y for x, y in zip(one, other, strict=True)), shares)

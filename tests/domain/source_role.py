"""A source with pad and credit, for tests of its sequences and of its blocks."""

from quiver.domain import limits
from quiver.domain.messages import Announcement, Credit
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Route
from quiver.domain.source import Source

from .ground import KIB, TWO_RELAYS, Station, shared_block, shared_segment

PAD = 64 * KIB


class Head:
    """A source with pad and credit."""

    def __init__(self, entry: PathEntry = TWO_RELAYS, blocks: int = 0) -> None:
        after = entry.nodes[1]
        self.entry, self.after = entry, after
        segment = shared_segment("s", "a", after, "a", PAD)
        self.station = Station("a", [after], (entry,), kept=[segment])
        self.station.journal.put(segment, secret=True)
        self.route = Route(key=entry.key, entry=entry)
        for i in range(blocks):
            self.station.journal.put(shared_block(entry, "a", i, i * 4 * KIB), secret=True)
        self.route.next_sequence, self.route.next_start = blocks, blocks * 4 * KIB
        self.station.journal.put(self.route)
        self.station.commit()
        self.restart()

    def restart(self) -> None:
        self.station.start()
        kept = self.station.database.load()
        (self.route,) = (record for record in kept if isinstance(record, Route))
        blocks = [record for record in kept if isinstance(record, Block)]
        self.source = Source(self.station.context, self.entry, self.route, blocks)
        self.credit(16 * limits.BLOCK_MAX)

    def credit(self, limit: int, counter: int = 1, run: str = "run") -> None:
        self.source.grant(run, Credit(key=self.entry.key, digest=self.entry.digest, limit=limit, counter=counter))
        self.source.share = PAD

    @property
    def pads(self):
        return self.station.context.pads[self.after]

    def announced(self) -> list[Announcement]:
        return [item for item in self.station.said("announcement", self.after) if isinstance(item, Announcement)]

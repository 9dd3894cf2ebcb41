"""Two ends of a QKD link with their collectors, and keys as devices hand them out."""

from quiver.domain import limits
from quiver.domain.collector import Collector, DeviceFetch, DeviceGet, QkdKey
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.messages import Answer, Confirmation, Outcome, Segments
from quiver.domain.network import LinkEntry
from quiver.domain.records import Seen
from quiver.domain.secret import Secret

from .ground import HandClock, Station, bytes_of

COUNT = limits.SEGMENT_MIN // 32  # keys of 256 bits that make the smallest segment


def keys_of(first: int, count: int = COUNT, size: int = 32) -> list[QkdKey]:
    return [(f"Key-{i}", Secret(bytes_of(f"key {i}", size))) for i in range(first, first + count)]


class End:
    """A collector with its surroundings."""

    def __init__(self, node: str, other: str, clock: HandClock, level: int = limits.SEGMENT_MIN * 2) -> None:
        self.station = Station(node, [other], clock=clock)
        (link,) = self.station.network.links
        self.link = LinkEntry(link.id, other, level=level, collect=node == "a")
        self.other = other
        self.collector = self.made()

    def made(self) -> Collector:
        seen = [record for record in self.station.database.load() if isinstance(record, Seen)]
        collector = Collector(self.station.context, self.link, seen)
        collector.facts = DeviceFacts(key_size=256, most=COUNT)
        return collector

    @property
    def pads(self):
        return self.station.context.pads[self.other]


class Link:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.a, self.b = End("a", "b", self.clock), End("b", "a", self.clock)

    def announce(self, keys: list[QkdKey]) -> Segments:
        """The owner gets keys and tells the neighbour."""
        assert [type(call) for call in self.a.collector.calls()] == [DeviceGet]
        self.a.collector.got(keys)
        item = self.a.station.said(Segments.kind, "b")[-1]
        assert isinstance(item, Segments)
        return item

    def fetch(self, item: Segments, keys: list[QkdKey]) -> Confirmation:
        """The neighbour hears it and fetches the keys from its own device."""
        assert self.b.collector.announced(item) == Answer(Outcome.DONE)
        self.a.station.answer(Segments.kind, "b", Outcome.DONE)
        (call,) = self.b.collector.calls()
        assert call == DeviceFetch("a-b", item.segment, item.key_ids)
        self.b.collector.fetched(item.segment, keys)
        confirmation = self.b.station.one(Confirmation.kind, "a")
        assert isinstance(confirmation, Confirmation)
        return confirmation

    def judge(self, confirmation: Confirmation) -> Outcome:
        answer = self.a.collector.confirmed(confirmation)
        self.b.station.answer(Confirmation.kind, "a", answer)
        return answer.outcome

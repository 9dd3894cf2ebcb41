"""Two ends of a link, with lost, doubled and late messages, crashes and meetings, against a model of every byte.

Whatever happens: no byte enters two ranges that the other end accepted, both ends read the same bytes for a range, and after a
meeting nothing is left on which the two ends disagree.
"""

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quiver.domain import limits
from quiver.domain.errors import ExhaustedError, RequestError
from quiver.domain.messages import Gift, Outcome, Retirement
from quiver.domain.records import Piece, SegmentState

from .ground import Station, bytes_of, shared_segment

LENGTH = 64  # bytes of a segment: small, so that they run out often
ENDS = st.sampled_from("ab")
OTHER = {"a": "b", "b": "a"}


class Announced(NamedTuple):
    """A range on its way from its owner to the other end."""

    owner: str
    run: tuple[int, int]  # the run of each end: messages of runs that are not met are not heard
    pieces: tuple[Piece, ...]
    pad: bytes


class Link(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stations = {node: Station(node, [other]) for node, other in OTHER.items()}
        self.runs = {"a": 0, "b": 0}
        self.met = True
        self.made = 0
        self.on_way: list[Announced] = []
        self.gifts: list[tuple[str, tuple[int, int], str]] = []  # giver, runs and segment of gifts that arrived
        self.chosen: dict[str, set[tuple[str, int]]] = {"a": set(), "b": set()}  # bytes that each end took, ever
        self.agreed: set[tuple[str, int]] = set()  # bytes of accepted ranges

    def pads(self, node: str):
        return self.stations[node].context.pads[OTHER[node]]

    @property
    def run(self) -> tuple[int, int]:
        return self.runs["a"], self.runs["b"]

    @precondition(lambda self: self.met)
    @rule(owner=ENDS)
    def collect(self, owner: str) -> None:
        """Both ends hold a new segment."""
        self.made += 1
        for node, other in OTHER.items():
            self.pads(node).add(shared_segment(f"s{self.made}", node, other, owner, LENGTH))
            self.stations[node].commit()

    @precondition(lambda self: self.met)
    @rule(owner=ENDS, length=st.integers(1, 80))
    def allocate(self, owner: str, length: int) -> None:
        """The owner chooses a range; it is durable before the announcement leaves."""
        pads = self.pads(owner)
        available = pads.available
        try:
            pieces, secret = pads.allocate(length)
        except ExhaustedError:
            assert length > available
            return
        self.stations[owner].commit()
        self._choose(owner, pieces)
        expected = b"".join(bytes_of(p.segment, LENGTH)[p.offset : p.offset + p.length] for p in pieces)
        assert secret.reveal() == expected
        self.on_way.append(Announced(owner, self.run, pieces, expected))

    def _choose(self, node: str, pieces: Iterable[Piece]) -> None:
        for place in _places(pieces):
            assert place not in self.chosen[node], f"{node} takes {place} a second time"
            self.chosen[node].add(place)

    @precondition(lambda self: self.on_way)
    @rule(data=st.data(), fate=st.sampled_from(["arrives", "arrives", "arrives twice", "arrives, answer lost", "lost"]))
    def announce(self, data: st.DataObject, fate: str) -> None:
        """An announcement arrives, in any order, or does not."""
        item = self.on_way.pop(data.draw(st.integers(0, len(self.on_way) - 1)))
        heard = self.met and item.run == self.run
        accepted = heard and fate != "lost" and self._accept(item)
        if fate == "arrives twice" and heard:
            assert not self._accept(item), "no byte is accepted twice"
        if heard and fate != "arrives, answer lost":
            self.stations[item.owner].context.told(OTHER[item.owner], item.pieces, Outcome.DONE if accepted else None)
            self.stations[item.owner].commit()

    def _accept(self, item: Announced) -> bool:
        node = OTHER[item.owner]
        try:
            secret = self.pads(node).accept(item.pieces, len(item.pad))
        except RequestError:
            return False
        assert secret.reveal() == item.pad, "both ends read the same bytes"
        assert self.agreed.isdisjoint(_places(item.pieces)), "a byte stands in two accepted ranges"
        self.agreed |= set(_places(item.pieces))
        self._choose(node, item.pieces)
        self.stations[node].commit()
        return True

    @precondition(lambda self: self.met)
    @rule(owner=ENDS)
    def give(self, owner: str) -> None:
        """The owner gives an untouched segment away; the message is on its way."""
        segment = self.pads(owner).untouched()
        if segment is not None:
            self.stations[owner].context.give(OTHER[owner], segment)
            self.stations[owner].commit()

    @precondition(lambda self: self.met)
    @rule(sender=ENDS, kind=st.sampled_from([Gift.kind, Retirement.kind]), answered=st.booleans())
    def say(self, sender: str, kind: str, answered: bool) -> None:
        """Gifts or retirements on their way arrive; their answers do or do not."""
        station, node = self.stations[sender], OTHER[sender]
        items = station.said(kind, node)
        outcomes = []
        for item in items:
            if isinstance(item, Gift):
                self.gifts.append((sender, self.run, item.segment))
                outcomes.append(Outcome.DONE if self.pads(node).receive_gift(item.segment) else Outcome.VOID)
            elif isinstance(item, Retirement):
                self.pads(node).retire(item.segment)
                outcomes.append(Outcome.DONE)
        self.stations[node].commit()
        if items and answered:
            station.answer(kind, node, *outcomes)
        elif items:
            station.fail(kind, node)
        station.commit()
        station.clock.advance(limits.REPEAT_MOST)

    @precondition(lambda self: self.met and self.gifts)
    @rule(data=st.data())
    def late_gift(self, data: st.DataObject) -> None:
        """A copy of a gift arrives when it has long been answered."""
        giver, run, segment = data.draw(st.sampled_from(self.gifts))
        if run == self.run:
            self.pads(OTHER[giver]).receive_gift(segment)
            self.stations[OTHER[giver]].commit()

    @rule(node=ENDS)
    def crash(self, node: str) -> None:
        """A process ends; the new one knows what was committed."""
        self.stations[node].start()
        self.runs[node] += 1
        self.met = False

    @precondition(lambda self: not self.met)
    @rule()
    def meet(self) -> None:
        """The two tell each other what they hold, and settle."""
        views = {node: self.pads(node).view() for node in OTHER}
        for node, other in OTHER.items():
            self.pads(node).settle(views[other])
            self.stations[node].outbox.forget(other)
            self.stations[node].commit()
        self.met = True
        self._agree()

    def _agree(self) -> None:
        a, b = self.pads("a"), self.pads("b")
        assert a.segments.keys() == b.segments.keys()
        for name, segment in a.segments.items():
            assert segment.owner == b.segments[name].owner, name
            owner, other = (segment, b.segments[name]) if segment.owner == "a" else (b.segments[name], segment)
            assert list(other.accepted) == [(0, owner.mark)], "the floor is the owner's mark"
        assert (a.usable, b.usable) == (a.available + b.available,) * 2

    @invariant()
    def what_is_counted_is_what_is_there(self) -> None:
        for node in OTHER:
            pads = self.pads(node)
            own = [one for one in pads.segments.values() if one.owner == node and not one.given]
            usable = [one.length - one.mark for one in own if one.state is SegmentState.USABLE]
            assert (pads.owned, pads.available) == (sum(usable), sum(usable))
            assert sum(pads.level(link) for link in {one.link for one in own}) == sum(
                one.length - one.mark for one in own
            )

    @invariant()
    def used_bytes_are_wiped_in_memory_and_storage(self) -> None:
        for station in self.stations.values():
            for record in station.database.load():
                if record.secret is not None:
                    self._wiped(station.network.node, record.id, record.secret.reveal())
        for node in OTHER:
            for name, segment in self.pads(node).segments.items():
                assert segment.secret is not None
                self._wiped(node, name, segment.secret.reveal())

    def _wiped(self, node: str, name: str, kept: bytes) -> None:
        for segment, place in self.chosen[node]:
            if segment == name:
                assert kept[place] == 0

    def teardown(self) -> None:
        self.crash("a")
        self.meet()


def _places(pieces: Iterable[Piece]) -> list[tuple[str, int]]:
    return [(p.segment, place) for p in pieces for place in range(p.offset, p.offset + p.length)]


TestLink = Link.TestCase
TestLink.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)

"""Link pads: the pad segments shared with one neighbour, and the taking of ranges from them.

Rules that this module keeps:

* Only a segment's owner allocates ranges of it, in order, so that the two ends can never choose the same bytes.
* The other end accepts each byte at most once; a floor that only a meeting raises shuts out what a lost past may have used.
* A byte that was allocated or accepted is wiped in memory and, with the commit, in storage.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from quiver.domain import limits
from quiver.domain.errors import ExhaustedError, RequestError
from quiver.domain.journal import Journal
from quiver.domain.records import Piece, Segment, SegmentState
from quiver.domain.secret import Secret

__all__ = ["LinkPads", "SegmentView"]

SegmentView = tuple[str, bool, int, bool]  # owner, usable, mark or top, given


class _Count(NamedTuple):
    """What is counted over all segments, as of one number of the journal's changes of segments.

    Attributes:
        owned: see `LinkPads.owned`; likewise the next.
        owned_of: link → its part of that.
        levels: link → likewise, with what is under hand-over.
        announced: link → segments whose hand-over the neighbour has not confirmed.
    """

    changes: int
    owned: int
    available: int
    owned_of: dict[str, int]
    levels: dict[str, int]
    announced: dict[str, int]


class LinkPads:
    """All pad that this node shares with one neighbour, over all links between the two.

    Args:
        node: this node's id.
        neighbour: the other's.
        segments: the durable records, in the order in which they were made.
        journal: where changes are noted.
    """

    def __init__(self, node: str, neighbour: str, segments: Iterable[Segment], journal: Journal) -> None:
        self._node: Final = node
        self._neighbour: Final = neighbour
        self._journal: Final = journal
        self.segments: Final = {segment.segment: segment for segment in segments}
        self.allocated = 0  # bytes, since the start
        self.accepted = 0  # bytes, since the start
        self.theirs = 0  # bytes that the neighbour may still allocate, as it said last
        self.collected: Final[dict[str, int]] = {}  # link → bytes made usable since the start, checks included
        self.checked: Final[dict[str, int]] = {}  # link → bytes that checks have spent of them
        self._open: dict[str, int] = {}  # segment → announcements of its ranges without an answer
        self._holed: set[str] = set()  # own segments of which the neighbour did not accept all
        self._counted = _Count(-1, 0, 0, {}, {}, {})

    def _own(self) -> Iterable[Segment]:
        for segment in self.segments.values():
            if segment.owner == self._node and segment.state is SegmentState.USABLE and not segment.given:
                yield segment

    def _others(self) -> Iterable[Segment]:
        for segment in self.segments.values():
            if segment.owner != self._node and segment.state is SegmentState.USABLE:
                yield segment

    @property
    def owned(self) -> int:
        """Bytes that this node may allocate, by and by."""
        return self._count().owned

    @property
    def available(self) -> int:
        """Bytes that this node may allocate in one range, which takes of a bounded number of segments."""
        return self._count().available

    def owned_of(self, link: str) -> int:
        """Bytes of one link's segments that this node may allocate, by and by."""
        return self._count().owned_of.get(link, 0)

    def theirs_of(self, link: str) -> int:
        """Bytes of one link's segments that the neighbour may still allocate, as far as this end knows."""
        return sum(segment.length - segment.accepted.size for segment in self._others() if segment.link == link)

    @property
    def usable(self) -> int:
        """Bytes that either end may still allocate, as far as this end knows."""
        return self.owned + sum(segment.length - segment.accepted.size for segment in self._others())

    def level(self, link: str) -> int:
        """Bytes of one link that this node owns, those under hand-over included."""
        return self._count().levels.get(link, 0)

    def announced(self, link: str) -> int:
        """Segments of one link that this node has announced, and that the neighbour has not confirmed."""
        return self._count().announced.get(link, 0)

    def _count(self) -> _Count:
        """Count anew, but only after a change: this is asked for many times in each turn.

        Whoever changes a segment notes it in the journal before anything is counted again.
        """
        if self._counted.changes != self._journal.pad_changes:
            self._counted = self._counted_anew()
        return self._counted

    def _counted_anew(self) -> _Count:
        left: list[int] = []
        owned_of, levels, announced = dict[str, int](), dict[str, int](), dict[str, int]()
        for segment in self.segments.values():
            link, state = segment.link, segment.state
            if segment.owner == self._node and not segment.given:
                length = segment.length - segment.mark
                levels[link] = levels.get(link, 0) + length
                if state is SegmentState.USABLE and length > 0:
                    left.append(length)
                    owned_of[link] = owned_of.get(link, 0) + length
            if state is SegmentState.ANNOUNCED:
                announced[link] = announced.get(link, 0) + 1
        available = sum(left[: limits.PIECES_PER_RANGE])
        return _Count(self._journal.pad_changes, sum(left), available, owned_of, levels, announced)

    # --- the owner's side -----------------------------------------------------------------------------------------

    def allocate(self, length: int) -> tuple[tuple[Piece, ...], Secret]:
        """Take the next `length` bytes of own pad, oldest segments first.

        Returns:
            The range, and its bytes in order.

        Raises:
            ExhaustedError: there are fewer; nothing was taken.
        """
        if length > self.available:
            raise ExhaustedError(f"no {length} bytes of pad towards {self._neighbour}")
        pieces, taken = [], bytearray()
        for segment in list(self._own()):
            if len(taken) == length:
                break
            if segment.mark == segment.length:
                continue  # all of it is allocated, but not yet accepted
            piece = Piece(segment.segment, segment.mark, min(length - len(taken), segment.length - segment.mark))
            taken += _bytes_of(segment, piece)
            segment.mark += piece.length
            self._journal.erase(segment, piece.offset, piece.length)
            self._open[segment.segment] = self._open.get(segment.segment, 0) + 1
            pieces.append(piece)
        secret = Secret(taken)
        taken[:] = bytes(len(taken))
        self.allocated += length
        return tuple(pieces), secret

    def told(self, pieces: Iterable[Piece], *, accepted: bool) -> list[str]:
        """The neighbour has answered the announcement of a range, or never will.

        Returns:
            Own segments that are spent and of which the neighbour has to hear that the rest is burned.
        """
        retired = []
        for piece in pieces:
            segment = self.segments.get(piece.segment)
            if segment is None:
                continue
            self._open[segment.segment] = self._open.get(segment.segment, 1) - 1
            if not accepted:
                self._holed.add(segment.segment)
            if self._open[segment.segment] > 0 or segment.mark < segment.length:
                continue
            if segment.segment in self._holed:
                segment.move(SegmentState.SPENT)
                self._journal.put(segment, lazy=True)
                retired.append(segment.segment)
            else:
                self.drop(segment.segment)
        return retired

    # --- the other end's side -------------------------------------------------------------------------------------

    def allocates(self, pieces: Iterable[Piece]) -> bool:
        """Whether all pieces are of segments here that the neighbour may allocate."""
        states = (SegmentState.USABLE, SegmentState.CONFIRMING)
        found = [self.segments.get(piece.segment) for piece in pieces]
        return all(one is not None and one.owner == self._neighbour and one.state in states for one in found)

    def accept(self, pieces: Sequence[Piece], length: int) -> Secret:
        """Take a range that the neighbour has announced.

        Returns:
            Its bytes in order.

        Raises:
            RequestError: a piece is unknown, not the neighbour's to allocate, was accepted before, or the lengths
                do not add up; nothing was taken.
        """
        if sum(piece.length for piece in pieces) != length or len(pieces) > limits.PIECES_PER_RANGE:
            raise RequestError("the pieces do not add up to the range")
        named: dict[str, list[Piece]] = {}
        for piece in pieces:
            self._check(piece, named.setdefault(piece.segment, []))
        taken = bytearray()
        for piece in pieces:
            segment = self.segments[piece.segment]
            if segment.state is SegmentState.CONFIRMING:
                self.make_usable(segment)  # the owner allocates only what it has confirmed: this overtook its answer
            taken += _bytes_of(segment, piece)
            segment.accepted.add(piece.offset, piece.offset + piece.length)
            self._journal.erase(segment, piece.offset, piece.length)
        for name in named:
            self._drop_if_spent(self.segments[name])
        secret = Secret(taken)
        taken[:] = bytes(len(taken))
        self.accepted += length
        return secret

    def _check(self, piece: Piece, before: list[Piece]) -> None:
        segment = self.segments.get(piece.segment)
        if segment is None or not self.allocates([piece]):
            raise RequestError(f"segment {piece.segment} is not one that {self._neighbour} may allocate")
        stop = piece.offset + piece.length
        if piece.length <= 0 or piece.offset < limits.LINK_CHECK or stop > segment.length:
            raise RequestError(f"range [{piece.offset}, {stop}) is not within segment {piece.segment}")
        twice = any(piece.offset < other.offset + other.length and other.offset < stop for other in before)
        if twice or segment.accepted.overlaps(piece.offset, stop):
            raise RequestError(f"bytes of [{piece.offset}, {stop}) of segment {piece.segment} were accepted before")
        if len(segment.accepted) >= limits.ACCEPTED_HOLES:
            raise RequestError(f"segment {piece.segment} has too many holes")
        before.append(piece)

    def retire(self, name: str) -> None:
        """The owner will allocate nothing more of the segment: burn what was not accepted."""
        segment = self.segments.get(name)
        if segment is not None and segment.owner == self._neighbour:
            self.burn(name, "not-accepted")

    # --- both -----------------------------------------------------------------------------------------------------

    def add(self, segment: Segment) -> None:
        """Note a new segment, with its secret where it has one."""
        self.segments[segment.segment] = segment
        self._journal.put(segment, secret=segment.secret is not None)

    def make_usable(self, segment: Segment) -> None:
        """Both ends hold the same bytes, and know it."""
        segment.move(SegmentState.USABLE)
        link = segment.link
        self.collected[link] = self.collected.get(link, 0) + segment.length
        self.checked[link] = self.checked.get(link, 0) + limits.LINK_CHECK
        self._journal.collect(segment.length)
        self._journal.use("link-check", limits.LINK_CHECK)
        self._journal.put(segment)
        self._journal.audit(
            "segment-collected", segment=segment.segment, link=link, owner=segment.owner, bytes=segment.length
        )

    def burn(self, name: str, cause: str) -> None:
        """Drop a segment; what was neither allocated nor accepted counts as burned."""
        segment = self.segments[name]
        if segment.state in (SegmentState.USABLE, SegmentState.SPENT):
            spent = segment.mark if segment.owner == self._node else segment.accepted.size
            self._journal.burn(cause, segment.length - spent)
        elif segment.secret is not None:
            self._journal.collect(segment.length)
            self._journal.burn(cause, segment.length)
        self.drop(name)

    def drop(self, name: str) -> None:
        """Forget a segment of which nothing is left."""
        segment = self.segments.pop(name)
        self._open.pop(name, None)
        self._holed.discard(name)
        self._journal.delete(segment)

    def give(self, segment: Segment) -> None:
        """Give an untouched own segment to the neighbour; durable before the message says so."""
        segment.owner, segment.given, segment.mark = self._neighbour, True, 0
        segment.accepted.add(0, limits.LINK_CHECK)
        self._journal.put(segment)

    def receive_gift(self, name: str) -> bool:
        """The neighbour gives a segment: from now on this end allocates it. False where it is not here, or touched."""
        segment = self.segments.get(name)
        if segment is None or segment.state not in (SegmentState.USABLE, SegmentState.CONFIRMING):
            return False
        if segment.owner == self._neighbour:
            if segment.state is SegmentState.CONFIRMING:
                self.make_usable(segment)  # the owner gives only what it has confirmed: this overtook its answer
            if segment.accepted.size > limits.LINK_CHECK:
                return False
            self._own_from(segment, limits.LINK_CHECK)
        return True

    def gift_known(self, name: str) -> None:
        """The neighbour knows that the segment is its own."""
        segment = self.segments.get(name)
        if segment is not None and segment.given:
            segment.given = False
            self._journal.put(segment, lazy=True)

    def untouched(self) -> Segment | None:
        """The newest own segment of which nothing was allocated: one that may be given away."""
        for segment in reversed(list(self._own())):
            if segment.mark == limits.LINK_CHECK and not segment.received:
                return segment
        return None

    def _own_from(self, segment: Segment, mark: int) -> None:
        segment.owner, segment.given, segment.received, segment.mark = self._node, False, True, mark
        segment.accepted = type(segment.accepted)()
        self._journal.put(segment)

    def _drop_if_spent(self, segment: Segment) -> None:
        if segment.accepted.size >= segment.length:
            self.drop(segment.segment)

    # --- meeting --------------------------------------------------------------------------------------------------

    def view(self) -> dict[str, SegmentView]:
        """What the neighbour needs to know of all segments when the two meet."""
        return {
            name: (
                segment.owner,
                segment.state in (SegmentState.USABLE, SegmentState.SPENT),
                segment.mark if segment.owner == self._node else segment.accepted.top,
                segment.given,
            )
            for name, segment in self.segments.items()
        }

    def settle(self, theirs: Mapping[str, SegmentView]) -> None:
        """Agree with the neighbour's view after a restart of either (rule 2).

        A segment that only one side has, or that is under hand-over, is burned. Of the others the owner goes on at the
        higher mark; what lies below it and was not accepted is burned. A gift of which the receiver had not heard is
        the receiver's now.
        """
        for name in list(self.segments):
            segment = self.segments[name]
            owner, usable, mark, given = theirs.get(name, ("", False, 0, False))
            if not usable or segment.state not in (SegmentState.USABLE, SegmentState.SPENT):
                self.burn(name, "meeting")
                continue
            if segment.owner != owner:
                untouched = segment.accepted.size <= limits.LINK_CHECK  # a peer's word never revives a byte
                if given and owner == self._node and untouched:  # their gift: this end had not heard
                    self._own_from(segment, limits.LINK_CHECK)
                    mark = 0
                elif not segment.given:
                    self.burn(name, "meeting")
                    continue
                else:
                    mark = 0
            segment.given = False
            self._raise_mark(segment, mark)

    def _raise_mark(self, segment: Segment, mark: int) -> None:
        mark = min(mark, segment.length)
        if segment.owner == self._node:
            self._open.pop(segment.segment, None)
            if mark > segment.mark:
                self._journal.burn("meeting", mark - segment.mark)
                self._journal.erase(segment, segment.mark, mark - segment.mark)
                segment.mark = mark
            self._journal.put(segment)
            if segment.mark >= segment.length:
                self.drop(segment.segment)
            return
        for start, stop in list(segment.accepted.gaps(0, max(mark, segment.accepted.top))):
            self._journal.burn("meeting", stop - start)
            self._journal.erase(segment, start, stop - start)
            segment.accepted.add(start, stop)
        self._journal.put(segment)
        self._drop_if_spent(segment)


def _bytes_of(segment: Segment, piece: Piece) -> bytes:
    if segment.secret is None:
        raise RequestError(f"segment {segment.segment} holds no bytes here")
    return segment.secret.part(piece.offset, piece.length).reveal()

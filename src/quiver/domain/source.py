"""The source's side of priming: sequences, ready blocks, and the taking of end-to-end pad from them.

Rules that this module keeps (design section 3, Prime 1, 3 and 4):

* Without credit no range is taken: a path that is dry or not whole costs nothing.
* The source alone uses and voids a ready block; it takes bytes in order of sequence, each once.
* A sequence is closed when its `ready` is committed or when it is voided; after a restart all without `ready` are void.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.credit import Claim, Recent
from quiver.domain.events import PathPrimed
from quiver.domain.intervals import Intervals
from quiver.domain.messages import Announcement, Answer, Credit, Floor, Outcome
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Piece, Route
from quiver.domain.secret import Secret
from quiver.domain.standing import Standing

__all__ = ["PadRun", "Source"]


ACTIVE: Final = 10.0  # seconds after its last sequence that a path counts as busy


class PadRun(msgspec.Struct):
    """A run of end-to-end pad, taken for one container.

    Attributes:
        pieces: (sequence, offset, length) within the path version's blocks, in order.
        pad: their bytes in order.
        hash_key: that of the first block.
        nodes: all nodes that the blocks had passed.
    """

    pieces: list[tuple[int, int, int]]
    pad: Secret
    hash_key: Secret
    nodes: list[str]


class _Open(msgspec.Struct):
    start: int
    length: int
    pieces: tuple[Piece, ...]
    pad: Secret
    deadline: float
    answered: bool = False


class Source:
    """One path version at its source.

    Args:
        context: the node.
        entry: the path version.
        route: its durable marks.
        blocks: its durable ready blocks.
    """

    def __init__(self, context: Context, entry: PathEntry, route: Route, blocks: Iterable[Block]) -> None:
        self._context: Final = context
        self.entry: Final = entry
        self.after: Final = entry.after(context.node)  # the next node
        self._route: Final = route
        self.blocks: Final = {block.sequence: block for block in sorted(blocks, key=lambda block: block.sequence)}
        self._unused = sum(block.length - block.used.size for block in self.blocks.values())
        self._open: Final[dict[int, _Open]] = {}
        self.standing: Final = Standing(context, entry)
        self._taken: Final[dict[int, int]] = {}  # container without an outcome → lowest byte count it uses
        self._under_way: Final[dict[int, list[int]]] = {}  # container without an outcome → sequences it takes from
        self._was_ready: Final[set[int]] = set()  # above the floor: a repeated `ready` gets its first answer
        self.suspended_until = 0.0
        self.wrong_tags = 0  # in a row
        self.refusals = 0  # of containers, in a row
        self.share = 0  # bytes of pad towards the next node that this path may take now
        self._busy_until = 0.0
        self._waiting = 0  # bytes
        self._recent: Final = Recent()  # bytes of pad that requests took
        self.primed = False  # a block of it has become ready in this run
        self.taken = 0  # bytes of pad that containers took, in this run
        for length in route.open.values():
            context.journal.burn("restart", length)
        route.open.clear()
        context.journal.put(route, lazy=True)

    # --- levels ---------------------------------------------------------------------------------------------------

    @property
    def floor(self) -> int:
        """Below this sequence number all are closed."""
        return min(self._open, default=self._route.next_sequence)

    @property
    def settled(self) -> int:
        """Below this byte count of the version all is used, voided or burned."""
        moments = [self._route.next_start]
        moments += [sequence.start for sequence in self._open.values()]
        moments += [block.start + next(_unused(block))[0] for block in self.blocks.values()]
        moments += self._taken.values()
        return min(moments)

    @property
    def ready(self) -> int:
        """Bytes of pad that containers may take now."""
        if not self._context.met(self.entry.destination) or self.suspended:
            return 0
        return self._unused

    @property
    def suspended(self) -> bool:
        """Whether wrong tags have taken the path out of use for a while."""
        return self._context.clock.now() < self.suspended_until

    @property
    def coming(self) -> int:
        """Bytes of pad in open sequences, hash keys not counted."""
        return sum(sequence.length - limits.HASH_KEY for sequence in self._open.values())

    @property
    def open(self) -> int:
        """Number of open sequences."""
        return len(self._open)

    @property
    def credit(self) -> int:
        """Bytes that new sequences may take now; 0 says that the path is not whole, or dry."""
        return self.standing.credit(self._route.next_start)

    @property
    def held(self) -> int:
        """The limit that the next node has told last; 0 before any."""
        return self.standing.held

    def grant(self, run: str, credit: Credit) -> bool:
        """Credit has come from the next node. Nobody has to hear of it from here."""
        self.standing.grant(run, credit)
        return False

    def claim(self, missing: int) -> Claim:
        """What this path could use of the pad towards the next node: what its buffer lacks, and one large request."""
        need = missing + limits.LARGEST_REQUEST if self.credit and not self.standing.retiring else 0
        active = self._busy_until > self._context.clock.now()
        return Claim(self.entry.key, self.entry.priority, self.entry.rate, active, need, self.urgent)

    @property
    def urgent(self) -> int:
        """Bytes of pad that requests want: those that wait, and as much as they took lately while credit is honoured."""
        lately = self._recent.value(self._context.clock.now())
        return self._waiting + int(lately * limits.CREDIT_HONOURED / limits.RECENT)

    def waits(self, count: int) -> None:
        """Requests wait for so many bytes of pad, or for none; those before on the path hear of it at once where it is new."""
        new, self._waiting = count > 0 and not self._waiting, count
        if new and not self.standing.retiring:
            self.tell_floor()

    @property
    def finished(self) -> bool:
        """Whether nothing is left of a version that is no longer configured."""
        return self.standing.retiring and not self._open and not self.blocks and not self._taken

    # --- sequences ------------------------------------------------------------------------------------------------

    def prime(self, most: int, least: int) -> int:
        """Begin one sequence.

        Args:
            most: bytes to ask for, the hash key included.
            least: fewer are not worth a sequence.

        Returns:
            Its length in bytes; 0 where credit, window or pad do not allow it, or the version is not the one to be used.
        """
        context, after = self._context, self.after
        length = min(most, self.credit, self.share, context.pads[after].available)
        window = self._route.next_sequence - self.floor >= limits.WINDOW
        if length < least or window or context.outbox.full or not self.standing.live or self.suspended:
            return 0
        self.share -= length
        self._busy_until = context.clock.now() + ACTIVE
        pieces, pad = context.pads[after].allocate(length)
        sequence, start = self._route.next_sequence, self._route.next_start
        self._open[sequence] = _Open(start, length, pieces, pad, context.clock.now() + limits.SEQUENCE_TIME)
        self._route.open[sequence] = length
        self._route.next_sequence += 1
        self._route.next_start += length
        context.journal.put(self._route)
        self._announce(after, sequence)
        return length

    def _announce(self, after: str, sequence: int) -> None:
        opened = self._open[sequence]
        announcement = Announcement(
            key=self.entry.key,
            digest=self.entry.digest,
            sequence=sequence,
            start=opened.start,
            length=opened.length,
            pieces=opened.pieces,
            floor=self.floor,
            settled=self.settled,
        )

        def answered(answer: Answer) -> None:
            if self._open.get(sequence) is not opened:
                return
            opened.answered = True
            self._context.told(after, opened.pieces, answer.outcome)
            if answer.outcome is not Outcome.DONE:
                self.void(sequence, f"refused-{answer.outcome.value}")
            elif after == self.entry.destination:  # one hop: the answer is `ready`
                self.commit_ready(sequence)

        self._context.outbox.post(after, f"{self.entry.key}#{sequence}", announcement, answered)

    def commit_ready(self, sequence: int) -> Outcome:
        """The destination has the block: from now on containers may take it. The answer leaves after the commit."""
        opened = self._open.pop(sequence, None)
        if opened is None:
            known = sequence in self._was_ready or sequence in self.blocks
            return Outcome.DONE if known else Outcome.SETTLED if sequence < self.floor else Outcome.VOID
        self._close(sequence, opened, accepted=True)
        self._was_ready.add(sequence)
        block = Block(
            key=self.entry.key,
            sequence=sequence,
            start=opened.start,
            length=opened.length,
            far=self.entry.destination,
            source=True,
            nodes=self.entry.nodes,
            used=Intervals([(0, limits.HASH_KEY)]),
            born=self._context.service_time.now(),
        )
        block.secret = opened.pad
        self._context.journal.use("hash-key", limits.HASH_KEY)
        self.blocks[sequence] = block
        self._unused += block.length - block.used.size
        self._sort()
        self._context.journal.put(block, secret=True)
        if not self.primed:
            self.primed = True
            self._context.journal.events.note(PathPrimed(path=self.entry.key))
        return Outcome.DONE

    def voided(self, sequence: int) -> None:
        """The destination has given a sequence up before it was ready, or dropped a block that had lain there for too long."""
        if sequence in self.blocks:
            self.burn(sequence, "expired")
        else:
            self.void(sequence, "voided-by-destination")

    def void(self, sequence: int, cause: str) -> None:
        """Give up an open sequence; its range is burned."""
        opened = self._open.pop(sequence, None)
        if opened is None:
            return
        self._close(sequence, opened, accepted=False)
        opened.pad.wipe()
        self._context.journal.burn(cause, opened.length)

    def _close(self, sequence: int, opened: _Open, *, accepted: bool) -> None:
        self._route.open.pop(sequence, None)
        self._context.journal.put(self._route, lazy=True)
        if opened.answered:
            return
        after = self.after
        self._context.outbox.cancel(after, Announcement.kind, f"{self.entry.key}#{sequence}")
        self._context.told(after, opened.pieces, Outcome.DONE if accepted else None)

    def review(self) -> None:
        """Notice credit that has come or gone; void what is open on a version that cannot be relied on any more."""
        self.standing.review(self._route.next_start)
        if self._open and self.standing.forlorn:
            self.void_all("superseded" if self.standing.superseded else "credit-lost")

    @property
    def due(self) -> float | None:
        """When `review` has something to do that only time brings."""
        return self.standing.due(open_sequences=bool(self._open))

    def expire(self) -> None:
        """Void sequences whose time is over and burn blocks that nobody wanted."""
        now = self._context.clock.now()
        for sequence in [number for number, opened in self._open.items() if opened.deadline <= now]:
            self.void(sequence, "timeout")
        old = self._context.service_time.now() - limits.BLOCK_LIFE
        for sequence in [number for number, block in self.blocks.items() if block.born <= old]:
            self.burn(sequence, "expired")

    def void_all(self, cause: str) -> None:
        """Void every open sequence."""
        for sequence in list(self._open):
            self.void(sequence, cause)

    # --- taking pad -----------------------------------------------------------------------------------------------

    def take(self, container: int, length: int) -> PadRun:
        """Take `length` bytes of ready pad for a container, in order of sequence; the caller has checked `ready`.

        `settled` stays below them until `release`.
        """
        pieces: list[tuple[int, int, int]] = []
        nodes: dict[str, None] = {}
        taken, hash_key = bytearray(), None
        for block in list(self.blocks.values()):
            assert block.secret is not None
            if hash_key is None:
                hash_key = block.secret.part(0, limits.HASH_KEY)
            for start, stop in list(_unused(block)):
                count = min(stop - start, length - len(taken))
                if count:
                    self._taken.setdefault(container, block.start + start)
                    taken += block.secret.part(start, count).reveal()
                    pieces.append((block.sequence, start, count))
                    self._use(block, start, count)
                    nodes.update(dict.fromkeys(block.nodes))
            if len(taken) == length:
                break
        assert hash_key is not None
        assert len(taken) == length
        self._under_way[container] = [sequence for sequence, _, _ in pieces]
        self.taken += length
        self._recent.add(length, self._context.clock.now())
        pad = Secret(taken)
        taken[:] = bytes(len(taken))
        return PadRun(pieces, pad, hash_key, list(nodes))

    def release(self, container: int) -> None:
        """The container has its outcome."""
        self._taken.pop(container, None)
        self._under_way.pop(container, None)

    def _use(self, block: Block, start: int, count: int) -> None:
        block.used.add(start, start + count)
        self._unused -= count
        if block.used.size >= block.length:
            self._drop(block.sequence)
        else:
            self._context.journal.erase(block, start, count)

    def _drop(self, sequence: int) -> None:
        block = self.blocks.pop(sequence)
        self._unused -= block.length - block.used.size
        self._context.journal.delete(block)

    def burn(self, sequence: int, cause: str) -> None:
        """Burn what is left of a ready block."""
        block = self.blocks[sequence]
        self._context.journal.burn(cause, block.length - block.used.size)
        self._drop(sequence)

    def burn_all(self, cause: str) -> None:
        """Void every open sequence and burn every ready block."""
        self.void_all(cause)
        for sequence in list(self.blocks):
            self.burn(sequence, cause)

    def _sort(self) -> None:
        if list(self.blocks) != sorted(self.blocks):
            ordered = sorted(self.blocks.items())
            self.blocks.clear()
            self.blocks.update(ordered)

    # --- floors and meeting ---------------------------------------------------------------------------------------

    def tell_floor(self) -> None:
        """Tell destination and relays this version's marks; said once, and again each second.

        A relay or destination that never saw a sequence, because a node before it refused it, would count its bytes as
        outstanding for ever; or, if the settled mark alone were told, as long as a block before it is not used up.
        """
        self._was_ready.difference_update([number for number in self._was_ready if number < self.floor])
        floor = Floor(
            key=self.entry.key,
            digest=self.entry.digest,
            floor=self.floor,
            settled=self.settled,
            closed=min((sequence.start for sequence in self._open.values()), default=self._route.next_start),
            urgent=self.urgent,
        )
        for node in dict.fromkeys((self.entry.destination, self.entry.after(self._context.node))):
            self._context.outbox.tell(node, self.entry.key, floor)

    def view(self) -> tuple[int, int, int, list[int]]:
        """What the destination needs to know when the two meet: next sequence, floor, settled, ready blocks.

        A block that was used up counts as long as a container that takes from it is under way.
        """
        ready = set(self.blocks).union(*self._under_way.values())
        return self._route.next_sequence, self.floor, self.settled, sorted(ready)

    def continue_above(self, next_sequence: int, next_start: int) -> None:
        """The next node or the destination has seen these marks: numbers go on above them, within reason."""
        far = next_sequence - self._route.next_sequence > limits.SEEN_AHEAD_SEQUENCES
        if far or next_start - self._route.next_start > limits.SEEN_AHEAD_BYTES:
            self._context.journal.alarm("marks-refused", path=self.entry.key, sequence=next_sequence, start=next_start)
            return
        self._route.next_sequence = max(self._route.next_sequence, next_sequence)
        self._route.next_start = max(self._route.next_start, next_start)
        self._context.journal.put(self._route)

    def settle(self, theirs: Iterable[tuple[int, int]], *, restarted: bool) -> None:
        """Agree with the destination's ready blocks (sequence, top of the used bytes) after a restart of either.

        Args:
            theirs: the destination's blocks.
            restarted: whether it was this node that started; then a lost past of it may have had containers in flight
                whose bytes must not be used again (rule 2).
        """
        known = dict(theirs)
        for sequence in list(self.blocks):
            if sequence not in known:
                self.burn(sequence, "meeting")
                continue
            self._skip(sequence, known[sequence])
        if restarted:
            self._skip_bytes(limits.CONTAINER_BYTES_OPEN)

    def _skip(self, sequence: int, top: int) -> None:
        block = self.blocks[sequence]
        for start, stop in list(block.used.gaps(0, min(top, block.length))):
            self._burn_part(block, start, stop - start)

    def _skip_bytes(self, count: int) -> None:
        for block in list(self.blocks.values()):
            for start, stop in list(_unused(block)):
                skipped = min(count, stop - start)
                self._burn_part(block, start, skipped)
                count -= skipped
                if not count:
                    return

    def _burn_part(self, block: Block, start: int, count: int) -> None:
        self._context.journal.burn("meeting", count)
        self._use(block, start, count)


def _unused(block: Block) -> Iterator[tuple[int, int]]:
    return block.used.gaps(0, block.length)

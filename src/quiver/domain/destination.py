"""The destination's side of priming: ciphertexts and the last range become a block.

Rules that this module keeps (design section 3, Prime 3 and 4):

* A block is whole when exactly one ciphertext of each relay of the path entry is here, and the last hop's range.
* Parts are durable before they are answered; `ready` is sent until the source has answered.
* A ready block goes only when the source uses or voids it, a rule burns it, or after twice the source's time.
* A sequence is voided from here only if it was never reported ready.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.credit import RateBucket
from quiver.domain.errors import RequestError
from quiver.domain.intervals import Intervals
from quiver.domain.messages import Announcement, Answer, Ciphertext, Lost, Outcome, Ready, Voided
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Part, PartState, Route
from quiver.domain.relay import digest_of
from quiver.domain.secret import Secret

__all__ = ["Destination"]

RANGE: Final = ""  # the name under which the last hop's range stands among a part's digests


class Destination:
    """One path version at its destination.

    Args:
        context: the node.
        entry: the path version.
        route: its durable marks.
        parts: its durable sequences, whole or not.
        blocks: its durable ready blocks.
    """

    def __init__(
        self, context: Context, entry: PathEntry, route: Route, parts: Iterable[Part], blocks: Iterable[Block]
    ) -> None:
        self._context: Final = context
        self.entry: Final = entry
        self._route: Final = route
        self.parts: Final = {part.sequence: part for part in parts}
        self.blocks: Final = {block.sequence: block for block in blocks}
        self._bucket: Final = RateBucket(entry.rate, context.clock.now())
        self._needed: Final = frozenset((RANGE, *entry.relays))
        self._closed = route.settled  # below this byte count nothing comes any more, as the source has told
        self._granted = 0  # the highest limit since the start
        for block in self.blocks.values():
            if not block.told and len(entry.nodes) > 2:
                self._tell_ready(block)
        for part in self.parts.values():
            if part.state is PartState.VOID:
                self._tell_void(part.sequence)

    # --- credit ---------------------------------------------------------------------------------------------------

    def limit(self) -> int:
        """The credit to grant: what was used, voided or burned, plus what may be outstanding; by and by, as the rate allows.

        None while the source is not reached: it would not learn of what becomes ready, and give up all of it.
        """
        if not self._context.reached(self.entry.source) or self._context.outbox.full:
            return 0
        closed = max(self._route.settled, self._closed)  # what is below, and not in a block, will never be pad
        spent = closed
        for block in self.blocks.values():
            spent += block.used.size - min(block.length, max(0, closed - block.start))
        for part in self.parts.values():
            gone = part.state is PartState.READY and part.sequence not in self.blocks
            if part.start >= closed and (gone or part.state is PartState.VOID):
                spent += part.length
        limit = spent + self._outstanding
        limit = min(limit, max(closed, self.seen[1]) + self._bucket.left(self._context.clock.now()))
        self._granted = max(self._granted, limit)
        return limit

    @property
    def _outstanding(self) -> int:
        return max(self.entry.depth, limits.LARGEST_REQUEST)

    def _misplaced(self, start: int, length: int) -> bool:
        """Whether a sequence lies where no credit of this node can have put it."""
        if start < self._route.settled or not limits.HASH_KEY < length <= limits.BLOCK_MAX:
            return True
        # What was granted before a restart is not remembered: it was at most once more the same.
        top = start + length - self._outstanding
        return top > self._granted and top > self.limit()

    def close(self, closed: int) -> None:
        """The source announces nothing below this byte count any more, whether anything of it came here or not."""
        if closed <= limits.MARK_MAX:
            self._closed = max(closed, self._closed)

    @property
    def paced(self) -> bool:
        """Whether the path's rate may bound its credit now."""
        return self._bucket.filling(self._context.clock.now())

    # --- sequences ------------------------------------------------------------------------------------------------

    def announce(self, item: Announcement) -> Answer:
        """The last relay, or on a one-hop path the source, announces the range of the last hop."""
        self.observe(item.floor, item.settled)
        digest = digest_of(item.sequence, item.start, item.length, item.pieces)
        refusal = self._refusal(item.sequence, item.start, item.length, RANGE, digest)
        if refusal is not None:
            return refusal
        pads = self._context.pads[self.entry.before(self._context.node)]
        if not pads.allocates(item.pieces):
            return Answer(Outcome.NO_SEGMENT)
        try:
            taken = pads.accept(item.pieces, item.length)
        except RequestError as error:
            return Answer(Outcome.REFUSED, error.message)
        self._bucket.spend(item.length)
        return self._add(item.sequence, item.start, item.length, RANGE, digest, taken)

    def receive(self, relay: str, item: Ciphertext) -> Answer:
        """A relay's ciphertext."""
        self.observe(item.floor, item.settled)
        if relay not in self.entry.relays or len(item.ciphertext) != item.length:
            return Answer(Outcome.REFUSED, "not a relay of this path")
        digest = hashlib.sha256(item.ciphertext.reveal()).hexdigest()
        refusal = self._refusal(item.sequence, item.start, item.length, relay, digest)
        if refusal is not None:
            return refusal
        return self._add(item.sequence, item.start, item.length, relay, digest, item.ciphertext)

    def _refusal(self, sequence: int, start: int, length: int, sender: str, digest: str) -> Answer | None:
        if sequence < self._route.floor:
            return Answer(Outcome.SETTLED)
        part = self.parts.get(sequence)
        if part is None:
            full = len(self.blocks) >= limits.BLOCKS_PER_PATH
            beyond = sequence >= self._route.floor + limits.WINDOW
            if full or beyond or self._misplaced(start, length):
                return Answer(Outcome.REFUSED, "beyond the window or the credit")
            return None
        if sender in part.digests:
            same = part.digests[sender] == digest
            return Answer(Outcome.DONE) if same else Answer(Outcome.REFUSED, "other bytes before")
        if (part.start, part.length) != (start, length):
            return Answer(Outcome.REFUSED, "another place or length before")
        # A sequence that is void takes nothing more; the relay may forget its ciphertext, the source its range.
        return Answer(Outcome.VOID) if part.state is PartState.VOID else None

    def _add(self, sequence: int, start: int, length: int, sender: str, digest: str, share: Secret) -> Answer:
        part = self.parts.get(sequence)
        if part is None:
            part = Part(key=self.entry.key, sequence=sequence, start=start, length=length)
            part.secret = Secret(bytes(length))
            self.parts[sequence] = part
        assert part.secret is not None
        part.secret = part.secret ^ share
        part.digests[sender] = digest
        if self._needed <= part.digests.keys():
            self._complete(part, part.secret)
        else:
            self._context.journal.put(part, secret=True)
        return Answer(Outcome.DONE)

    def _complete(self, part: Part, pad: Secret) -> None:
        block = Block(
            key=part.key,
            sequence=part.sequence,
            start=part.start,
            length=part.length,
            far=self.entry.source,
            source=False,
            nodes=self.entry.nodes,
            used=Intervals([(0, limits.HASH_KEY)]),
            born=self._context.service_time.now(),
        )
        block.secret = pad
        self._context.journal.use("hash-key", limits.HASH_KEY)
        self.blocks[part.sequence] = block
        part.move(PartState.READY)
        part.secret = None
        self._context.journal.put(part, secret=True)
        self._context.journal.put(block, secret=True)
        if len(self.entry.nodes) > 2:  # on one hop the answer to the announcement is `ready`
            self._tell_ready(block)

    def _tell_ready(self, block: Block) -> None:
        ready = Ready(key=self.entry.key, digest=self.entry.digest, sequence=block.sequence)

        def answered(answer: Answer) -> None:
            if self.blocks.get(block.sequence) is not block:
                return
            if answer.outcome is Outcome.VOID:
                self.burn(block.sequence, "voided-by-source")
            else:
                block.told = True
                self._context.journal.put(block, lazy=True)

        self._context.outbox.post(self.entry.source, block.id, ready, answered)

    def lost(self, relay: str, item: Lost) -> Answer:
        """A relay has lost its ciphertext: void the sequence, unless it is here or the block is ready."""
        if item.sequence < self._route.floor or item.sequence >= self._route.floor + limits.WINDOW:
            return Answer(Outcome.SETTLED)
        part = self.parts.get(item.sequence)
        if part is None and self._misplaced(item.start, item.length):
            return Answer(Outcome.REFUSED, "beyond the credit")
        if part is None:
            part = Part(key=self.entry.key, sequence=item.sequence, start=item.start, length=item.length)
            self.parts[item.sequence] = part
        if part.state is PartState.OPEN and relay not in part.digests:
            self._void(part)
        return Answer(Outcome.DONE)

    def _void(self, part: Part) -> None:
        if RANGE in part.digests:
            self._context.journal.burn("relay-lost", part.length)
        if part.secret is not None:
            part.secret.wipe()
        part.move(PartState.VOID)
        part.secret = None
        self._context.journal.put(part, secret=True)
        self._tell_void(part.sequence)

    def _tell_void(self, sequence: int) -> None:
        voided = Voided(key=self.entry.key, digest=self.entry.digest, sequence=sequence)
        name = f"{self.entry.key}#{sequence}"
        self._context.outbox.post(self.entry.source, name, voided, lambda answer: None)

    def observe(self, floor: int, settled: int) -> None:
        """The source's marks have come by: close what is below the floor, burn what is below the settled byte count."""
        if (floor <= self._route.floor and settled <= self._route.settled) or max(floor, settled) > limits.MARK_MAX:
            return
        self._route.floor = max(floor, self._route.floor)
        self._route.settled = max(settled, self._route.settled)
        self._context.journal.put(self._route, lazy=True)
        for sequence in [number for number in self.parts if number < self._route.floor]:
            part = self.parts.pop(sequence)
            if part.state is PartState.OPEN and RANGE in part.digests:
                self._context.journal.burn("voided-by-source", part.length)
            if part.state is PartState.VOID:
                self._context.outbox.cancel(self.entry.source, Voided.kind, part.id)
            self._context.journal.delete(part, lazy=True)
        for block in [block for block in self.blocks.values() if block.start < self._route.settled]:
            self.use(block, 0, min(block.length, self._route.settled - block.start), cause="voided-by-source")

    # --- blocks ---------------------------------------------------------------------------------------------------

    def use(self, block: Block, start: int, length: int, *, cause: str = "") -> None:
        """Count bytes of a block as used, and wipe them; those not used before count as burned where a cause is given."""
        for low, high in list(block.used.gaps(start, start + length)):
            if cause:
                self._context.journal.burn(cause, high - low)
            else:
                self._context.journal.use("delivered", high - low)
            block.used.add(low, high)
            if block.used.size < block.length:
                self._context.journal.erase(block, low, high - low)
        if block.used.size >= block.length:
            self._drop(block.sequence)

    def burn(self, sequence: int, cause: str) -> None:
        """Burn what is left of a ready block."""
        block = self.blocks[sequence]
        self._context.journal.burn(cause, block.length - block.used.size)
        self._drop(sequence)

    def _drop(self, sequence: int) -> None:
        block = self.blocks.pop(sequence)
        self._context.outbox.cancel(self.entry.source, Ready.kind, block.id)
        self._context.journal.delete(block)

    def expire(self) -> None:
        """Burn blocks that have lain here for twice the source's time, and say so: the source may have been down meanwhile."""
        old = self._context.service_time.now() - 2 * limits.BLOCK_LIFE
        for sequence in [number for number, block in self.blocks.items() if block.born <= old]:
            self.burn(sequence, "expired")
            self._tell_void(sequence)

    def void_all(self) -> None:
        """Void what was never reported ready, as when the path version is removed at once."""
        for part in list(self.parts.values()):
            if part.state is PartState.OPEN:
                self._void(part)

    def burn_all(self, cause: str) -> None:
        """Burn every block and part: the source's storage or this node's is another one now."""
        for sequence in list(self.blocks):
            self.burn(sequence, cause)
        for part in self.parts.values():
            if part.state is PartState.OPEN and RANGE in part.digests:
                self._context.journal.burn(cause, part.length)
            self._context.outbox.cancel(self.entry.source, Voided.kind, part.id)
            self._context.journal.delete(part)
        self.parts.clear()

    # --- meeting --------------------------------------------------------------------------------------------------

    @property
    def seen(self) -> tuple[int, int]:
        """One above the highest sequence, and the top of the byte count, that arrived here."""
        marks = [(part.sequence + 1, part.start + part.length) for part in self.parts.values()]
        marks += [(block.sequence + 1, block.start + block.length) for block in self.blocks.values()]
        marks.append((self._route.floor, self._route.settled))
        return max(sequence for sequence, _ in marks), max(top for _, top in marks)

    def view(self) -> list[tuple[int, int]]:
        """What the source needs to know when the two meet: ready blocks and the top of their used bytes."""
        return [(block.sequence, block.used.top) for block in self.blocks.values()]

    def settle(self, floor: int, settled: int, ready: Iterable[int]) -> None:
        """Agree with the source's marks and ready blocks after a restart of either."""
        self.observe(floor, settled)
        known = frozenset(ready)
        for sequence in [number for number in self.blocks if number < self._route.floor and number not in known]:
            self.burn(sequence, "meeting")

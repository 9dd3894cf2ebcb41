"""A relay's side of priming: two ranges in, one ciphertext out, straight to the destination.

Rules that this module keeps (design section 3, Prime 2 and 4):

* The ciphertext leaves only after the next node has durably acknowledged the range that it uses.
* The announcement is answered when it is durable here, never after waiting for the next node.
* A ciphertext is in memory only. A relay that lost it says so to the destination.
* A repeat gets the first answer again; other bytes under the same number are refused.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.credit import Claim, Held, Promises, RateBucket
from quiver.domain.errors import RequestError
from quiver.domain.messages import Announcement, Answer, Ciphertext, Credit, Floor, Lost, Outcome
from quiver.domain.network import PathEntry
from quiver.domain.records import Piece, Relayed, RelayedState, Route
from quiver.domain.secret import Secret

__all__ = ["Relay", "digest_of"]

ACTIVE: Final = 10.0  # seconds after its last sequence that a path counts as busy


def digest_of(*parts: object) -> str:
    """SHA-256 over what identifies an item, in hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


class Relay:
    """One path version at one of its relays.

    Args:
        context: the node.
        entry: the path version.
        route: its durable marks.
        relayed: its durable sequences; the ciphertexts of those that are not closed are lost.
    """

    def __init__(self, context: Context, entry: PathEntry, route: Route, relayed: Iterable[Relayed]) -> None:
        self._context: Final = context
        self.entry: Final = entry
        self._route: Final = route
        self._before: Final = entry.before(context.node)
        self.after: Final = entry.after(context.node)  # the next node
        self.sequences: Final = {record.sequence: record for record in relayed}
        self._ciphertexts: Final[dict[int, Secret]] = {}
        self._announced: Final[dict[int, tuple[Piece, ...]]] = {}  # ranges of which the next node has yet to answer
        self._top = max((r.start + r.length for r in self.sequences.values()), default=0)
        self._top = max(self._top, route.settled)
        self._closed = route.settled  # below this byte count nothing is announced any more, as the source has told
        self._held: Held | None = None
        self._promises: Final = Promises()
        self._bucket: Final = RateBucket(entry.rate, context.clock.now())
        self._busy_until = 0.0
        self._urgent, self._urgent_until = 0, 0.0  # bytes that requests at the source want, as it told last
        for record in self.sequences.values():
            if record.state is not RelayedState.CLOSED:
                self._waste(record, "restart")
                self._lost(record)

    # --- credit ---------------------------------------------------------------------------------------------------

    def grant(self, run: str, credit: Credit) -> bool:
        """Credit has come from the next node; True where that makes the path whole from here on, or ends it."""
        before = self._allowed()
        if self._held is None or self._held.newer(run, credit.counter):
            until = self._context.clock.now() + limits.CREDIT_LIFE
            self._held = Held(run, credit.counter, credit.limit, until)
        return bool(before) != bool(self._allowed())

    @property
    def held(self) -> int:
        """The limit that the next node has told last; 0 before any."""
        return self._held.limit if self._held is not None else 0

    def _allowed(self) -> int:
        """The limit that is held; 0 while the next node or the destination is not reached: then the path is not whole."""
        context, held = self._context, self._held
        if held is None or held.until <= context.clock.now() or not context.linked(self.after) or context.outbox.full:
            return 0
        return held.limit if context.met(self.after) and context.reached(self.entry.destination) else 0

    @property
    def idle(self) -> bool:
        """Whether it neither needs pad nor binds any: most entries of a large network's relay, most of the time."""
        return not self.sequences and self._promises.empty and not self._allowed()

    def claim(self) -> Claim:
        """What this path could use of the pad towards the next node, what is set aside for it included."""
        active = self._busy_until > self._context.clock.now()
        need = max(0, self._allowed() - self._top) + self._unseen()
        urgent = self._urgent if self._urgent_until > self._context.clock.now() else 0
        return Claim(self.entry.key, self.entry.priority, self.entry.rate, active, need, urgent)

    @property
    def set_aside(self) -> int:
        """Bytes of pad that credit told to the node before still binds: a path that was promised pad finds it here."""
        return self._set_aside(self._context.clock.now(), self._unseen())

    def _set_aside(self, now: float, unseen: int) -> int:
        return max(0, self._promises.highest(now) - self._top) + unseen

    def limit(self, fair: int, extra: int) -> int:
        """The credit to pass to the node before: the least of that held, the pad for this path and the rate.

        Args:
            fair: bytes that are this path's share of all pad towards the next node.
            extra: bytes that it may have beyond what is set aside.
        """
        allowed = self._allowed()
        if not allowed:
            return 0
        now, unseen = self._context.clock.now(), self._unseen()
        own = min(self._set_aside(now, unseen) + extra, fair) - unseen
        own = min(
            own, self._bucket.left(now), self._context.pads[self.after].available
        )  # one range takes of few segments
        return max(0, min(allowed, self._top + max(0, own)))

    def promise(self, limit: int) -> None:
        """Credit up to this limit is told to the node before."""
        self._promises.tell(limit, self._context.clock.now())

    def _unseen(self) -> int:
        """Bytes below the highest seen that may still be announced: they need pad too."""
        if not self.sequences:
            return 0
        base = max(
            self._route.settled, self._closed, min((r.start for r in self.sequences.values()), default=self._top)
        )
        seen = sum(r.length for r in self.sequences.values() if r.start >= base)
        return max(0, self._top - base - seen)

    @property
    def paced(self) -> bool:
        """Whether the path's rate may bound its credit now."""
        return self._bucket.filling(self._context.clock.now())

    # --- sequences ------------------------------------------------------------------------------------------------

    def announce(self, item: Announcement) -> Answer:
        """The node before announces a range: commit its use and that of a range of the same length, tell the next."""
        self.observe(item.floor, item.settled)
        if item.sequence < self._route.floor:
            return Answer(Outcome.SETTLED)
        digest = digest_of(item.sequence, item.start, item.length, item.pieces)
        known = self.sequences.get(item.sequence)
        if known is not None:
            same = known.digest == digest
            return Answer(Outcome.DONE) if same else Answer(Outcome.REFUSED, "other bytes before")
        if item.sequence >= self._route.floor + limits.WINDOW or not 0 < item.length <= limits.BLOCK_MAX:
            return Answer(Outcome.REFUSED, "beyond the window")
        promised = max(self._allowed(), self._promises.highest(self._context.clock.now())) if self._allowed() else 0
        after = self._context.pads.get(self.after)
        if after is None or item.start + item.length > promised or after.available < item.length:
            return Answer(Outcome.NO_CREDIT)
        before = self._context.pads[self._before]
        if not before.allocates(item.pieces):
            return Answer(Outcome.NO_SEGMENT)
        try:
            taken = before.accept(item.pieces, item.length)
        except RequestError as error:
            return Answer(Outcome.REFUSED, error.message)
        pieces, pad = after.allocate(item.length)
        self._ciphertexts[item.sequence] = taken ^ pad
        taken.wipe()
        pad.wipe()
        record = Relayed(
            key=item.key,
            sequence=item.sequence,
            start=item.start,
            length=item.length,
            digest=digest,
            state=RelayedState.ANNOUNCING,
        )
        self.sequences[item.sequence] = record
        self._top = max(self._top, item.start + item.length)
        self._bucket.spend(item.length)
        self._busy_until = self._context.clock.now() + ACTIVE
        self._context.journal.put(record)
        self._tell_next(record, pieces)
        return Answer(Outcome.DONE)

    def _tell_next(self, record: Relayed, pieces: tuple[Piece, ...]) -> None:
        announcement = Announcement(
            key=self.entry.key,
            digest=self.entry.digest,
            sequence=record.sequence,
            start=record.start,
            length=record.length,
            pieces=pieces,
            floor=self._route.floor,
            settled=self._route.settled,
        )

        self._announced[record.sequence] = pieces

        def answered(answer: Answer) -> None:
            self._announced.pop(record.sequence, None)
            self._context.told(self.after, pieces, answer.outcome)
            if record.state is not RelayedState.ANNOUNCING:
                return
            if answer.outcome is Outcome.DONE:
                self._send(record)
                return
            self._waste(record, f"next-{answer.outcome.value}")
            if answer.outcome is Outcome.SETTLED:
                self._close(record)
            else:
                self._lost(record)

        self._context.outbox.post(self.after, record.id, announcement, answered)

    def _send(self, record: Relayed) -> None:
        record.move(RelayedState.SENDING)
        self._context.journal.put(record, lazy=True)
        self._context.journal.use("relayed", 2 * record.length)
        ciphertext = Ciphertext(
            key=self.entry.key,
            digest=self.entry.digest,
            sequence=record.sequence,
            start=record.start,
            length=record.length,
            ciphertext=self._ciphertexts[record.sequence],
            floor=self._route.floor,
            settled=self._route.settled,
        )
        self._context.outbox.post(self.entry.destination, record.id, ciphertext, lambda answer: self._close(record))

    def _waste(self, record: Relayed, cause: str) -> None:
        """The ciphertext of a sequence will not be sent: where it was not yet, both its ranges are burned."""
        if record.state is RelayedState.ANNOUNCING:
            self._context.journal.burn(cause, 2 * record.length)

    def _lost(self, record: Relayed) -> None:
        self._wipe(record.sequence)
        record.move(RelayedState.LOST)
        self._context.journal.put(record, lazy=True)
        lost = Lost(
            key=self.entry.key,
            digest=self.entry.digest,
            sequence=record.sequence,
            start=record.start,
            length=record.length,
        )
        self._context.outbox.post(self.entry.destination, record.id, lost, lambda answer: self._close(record))

    def _close(self, record: Relayed) -> None:
        self._wipe(record.sequence)
        if self.sequences.get(record.sequence) is record:
            record.move(RelayedState.CLOSED)
            self._context.journal.put(record, lazy=True)

    def _wipe(self, sequence: int) -> None:
        ciphertext = self._ciphertexts.pop(sequence, None)
        if ciphertext is not None:
            ciphertext.wipe()

    def close(self, closed: int) -> None:
        """The source announces nothing below this byte count any more, whether it was seen here or not."""
        if closed <= limits.MARK_MAX:
            self._closed = max(closed, self._closed)
            self._top = max(self._top, self._closed)

    def observe(self, floor: int, settled: int) -> None:
        """The source's floor has come by: what is below it is closed for everyone."""
        if (floor <= self._route.floor and settled <= self._route.settled) or max(floor, settled) > limits.MARK_MAX:
            return
        self._route.floor = max(floor, self._route.floor)
        self._route.settled = max(settled, self._route.settled)
        self._top = max(self._top, self._route.settled)
        self._context.journal.put(self._route, lazy=True)
        for sequence in [number for number in self.sequences if number < self._route.floor]:
            record = self.sequences.pop(sequence)
            self._waste(record, "voided-by-source")
            self._cancel(record)
            self._context.journal.delete(record, lazy=True)

    def urge(self, urgent: int) -> None:
        """The source says how much of its credit requests want: that comes before the filling of anybody's buffer."""
        self._urgent, self._urgent_until = urgent, self._context.clock.now() + limits.CREDIT_LIFE

    def tell_floor(self) -> None:
        """Pass the source's marks on, so that what it voided before it came here holds no credit back behind this node."""
        if self.after != self.entry.destination:  # to which the source speaks itself
            floor = Floor(
                key=self.entry.key,
                digest=self.entry.digest,
                floor=self._route.floor,
                settled=self._route.settled,
                closed=self._closed,
                urgent=self._urgent,
            )
            self._context.outbox.tell(self.after, self.entry.key, floor)

    @property
    def seen(self) -> tuple[int, int]:
        """One above the highest sequence, and the top of the byte count, that passed here."""
        return max((number + 1 for number in self.sequences), default=self._route.floor), self._top

    def peer_lost(self) -> None:
        """The next node's database or the destination's is another one: what was under way there ends."""
        for record in self.sequences.values():
            self._waste(record, "peer-incarnation")
            self._cancel(record)
            self._close(record)

    @property
    def open(self) -> int:
        """Number of sequences that still wait for an answer."""
        return sum(record.state is not RelayedState.CLOSED for record in self.sequences.values())

    def burn_all(self, cause: str) -> None:
        """Forget every sequence: this node's storage was rolled back, or the version is gone."""
        for record in self.sequences.values():
            self._waste(record, cause)
            self._cancel(record)
            self._context.journal.delete(record)
        self.sequences.clear()

    def _cancel(self, record: Relayed) -> None:
        self._wipe(record.sequence)
        pieces = self._announced.pop(record.sequence, None)
        if pieces is not None:  # nobody hears the answer any more; without this the segment would stay for ever
            self._context.told(self.after, pieces, None)
        for peer, kind in (
            (self.after, Announcement.kind),
            (self.entry.destination, Ciphertext.kind),
            (self.entry.destination, Lost.kind),
        ):
            self._context.outbox.cancel(peer, kind, record.id)

    def void_all(self) -> None:
        """Give up every open sequence, as when the path version is removed at once."""
        for record in self.sequences.values():
            if record.state in (RelayedState.ANNOUNCING, RelayedState.SENDING):
                self._waste(record, "retired")
                self._cancel(record)
                self._lost(record)

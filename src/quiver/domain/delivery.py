"""The source's side of delivery: fresh keys, sent to the destination under end-to-end pad, answered when stored there.

Rules that this module keeps (design section 3, Deliver, Check and Wait):

* A key is drawn fresh and never is pad. One commit with pad use, batch id and audit precedes its container.
* The master is answered only when the destination has proved that it stored the keys.
* A retry repeats the same bytes; a key_ID never names a second key.
* After a restart every container without an outcome is void; only a source still running may withdraw a stored one.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from quiver.domain import check, key_ids, limits
from quiver.domain.context import Context
from quiver.domain.errors import ExhaustedError, QuiverError
from quiver.domain.messages import Answer, Container, Outcome, Withdrawal
from quiver.domain.records import Peer, Sent
from quiver.domain.requests import Request, Requests
from quiver.domain.secret import Secret
from quiver.domain.source import Source

__all__ = ["ContainerHeader", "Delivery"]


class ContainerHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a container's tag covers beside the keys.

    Attributes:
        batch: batch id; with `count` it names the key_IDs.
        number: the container's number between the two nodes.
        count: keys.
        size: bits of each key.
        paths: path version → (SHA-256 of its entry, pieces (sequence, offset, length)); with n paths all n.
    """

    batch: str
    number: int
    source: str
    destination: str
    master: str
    slaves: tuple[str, ...]
    count: int
    size: int
    paths: dict[str, tuple[str, list[tuple[int, int, int]]]]


class _Flight(msgspec.Struct, eq=False):
    request: Request
    sent: Sent
    key: Secret
    hash_key: Secret
    digest: bytes
    sources: list[Source]
    deadline: float


class Delivery:
    """All requests of this node's SAEs that need another node.

    Args:
        context: the node.
        sources: path versions that start here.
        peer: gives the durable record of a node.
        sent: containers of an earlier run without an outcome.
    """

    def __init__(
        self,
        context: Context,
        sources: Mapping[str, Source],
        peer: Callable[[str], Peer],
        sent: Iterable[Sent],
    ) -> None:
        self._context: Final = context
        self._sources: Final = sources
        self._peer: Final = peer
        self.requests: Final = Requests(context, sources)
        self._flights: Final[dict[str, _Flight]] = {}  # Sent.id → its container
        self._sent: Final = {record.id: record for record in sent}
        for record in self._sent.values():
            self._tell_withdrawn(record, keep_stored=not record.withdrawing)

    # --- requests -------------------------------------------------------------------------------------------------

    def _paths_to(self, destination: str) -> Iterable[Source]:
        return (source for source in self._sources.values() if source.entry.destination == destination)

    def pump(self) -> None:
        """Serve what can be served, in order of arrival; begin sequences for the rest; give up what is late."""
        now = self._context.clock.now()
        stuck: dict[str, None] = {}  # in order of arrival: who waits longest primes first
        for request in self.requests:
            if request.destination not in stuck and self._serve(request):
                self.requests.take(request)
            elif request.deadline <= now:
                self.requests.exhaust(request)
            else:
                stuck[request.destination] = None  # first come, first served
        for source in self._sources.values():
            if source.entry.destination not in stuck:
                source.waits(0)
        for destination in stuck:
            self._prime(destination)
        for flight in [flight for flight in self._flights.values() if flight.deadline <= now]:
            self._give_up(flight, ExhaustedError(f"{flight.request.destination} did not acknowledge in time"))

    def _prime(self, destination: str) -> None:
        """Begin a sequence for the requests that wait, together; concurrent requests share it."""
        waiting = [request.pad_bytes for request in self.requests if request.destination == destination]
        candidates = sorted(self._paths_to(destination), key=lambda source: -source.credit)
        # What is open on a version that is not whole, or has a successor, may never come.
        available = sum(source.coming for source in candidates if source.standing.live)
        available += max((source.ready for source in candidates), default=0)
        missing = min(sum(waiting) - available, limits.BLOCK_MAX - limits.HASH_KEY)
        for source in candidates:
            source.waits(limits.HASH_KEY + max(0, missing))
        if missing <= 0:
            return
        least = min(missing, waiting[0])
        for source in candidates:
            if source.prime(limits.HASH_KEY + missing, limits.HASH_KEY + least):
                return

    # --- containers -----------------------------------------------------------------------------------------------

    def _serve(self, request: Request) -> bool:
        peer = self._peer(request.destination)
        # Containers that were given up count until the destination has answered: it may not have seen them (rule 2).
        open_bytes = sum(_pad_of(sent) for sent in self._sent.values() if sent.destination == request.destination)
        window = peer.next_number - self.floor(request.destination) >= limits.CONTAINERS_OPEN
        if (
            window
            or self._context.outbox.full
            or (open_bytes and open_bytes + request.pad_bytes > limits.CONTAINER_BYTES_OPEN)
        ):
            return False
        able = [source for source in self._paths_to(request.destination) if source.ready >= request.pad_bytes]
        if not able:
            return False
        drawn = self._context.entropy.draw_key(request.key_bytes)
        if drawn is None:
            return False
        # Blocks of a version that is no longer configured go first: nobody fills them up again.
        self._send(
            request, peer, [max(able, key=lambda source: (source.standing.retiring, source.ready))], Secret(drawn)
        )
        return True

    def _open_to(self, destination: str) -> Iterable[_Flight]:
        return (flight for flight in self._flights.values() if flight.request.destination == destination)

    def _send(self, request: Request, peer: Peer, sources: list[Source], key: Secret) -> None:
        context, number = self._context, peer.next_number
        peer.next_number += 1
        runs = [source.take(number, request.pad_bytes) for source in sources]
        pad, hash_key = check.combine(r.pad for r in runs), check.combine(r.hash_key for r in runs)
        batch = key_ids.new_batch(context.entropy)
        nonce = context.entropy.draw(check.NONCE)
        entries = [source.entry for source in sources]
        header = msgspec.json.encode(
            ContainerHeader(
                batch=batch,
                number=number,
                source=context.node,
                destination=request.destination,
                master=request.master,
                slaves=request.slaves,
                count=request.count,
                size=request.size,
                paths={e.key: (e.digest, run.pieces) for e, run in zip(entries, runs, strict=True)},
            )
        )
        ciphertext = key ^ pad.part(0, request.key_bytes)
        mask = pad.part(request.key_bytes, limits.TAG)
        tag = check.container_tag(hash_key, mask, nonce, header, key)
        sent = Sent(
            destination=request.destination,
            number=number,
            batch=batch,
            paths={e.key: run.pieces for e, run in zip(entries, runs, strict=True)},
        )
        digest = check.container_digest(header, ciphertext, tag)
        deadline = context.clock.now() + limits.CONTAINER_TIME
        flight = _Flight(request, sent, key, hash_key, digest, sources, deadline)
        self._sent[sent.id] = sent
        self._flights[sent.id] = flight
        context.journal.put(peer)
        context.journal.put(sent)
        context.journal.audit(
            "batch-sent",
            batch=context.blind(batch),
            destination=request.destination,
            master=request.master,
            slaves=" ".join(request.slaves),
            keys=request.count,
            bits=request.size,
        )
        container = Container(
            header=header, nonce=nonce, ciphertext=ciphertext, tag=tag, floor=self.floor(request.destination)
        )
        context.outbox.post(request.destination, sent.id, container, lambda answer: self._answered(flight, answer))

    def _answered(self, flight: _Flight, answer: Answer) -> None:
        sent, request = flight.sent, flight.request
        if self._flights.get(sent.id) is not flight:
            return
        expected = check.acknowledge(flight.hash_key, flight.digest, Outcome.STORED)
        if answer.outcome is Outcome.STORED and hmac.compare_digest(answer.ack, expected):
            self.requests.grant(request, sent.batch, flight.key)
            for source in flight.sources:
                source.wrong_tags = source.refusals = 0
            self._end(flight)
            self._account(sent, "")
            self._forget(sent)
            return
        wrong = answer.outcome in (Outcome.WRONG_TAG, Outcome.STORED)
        if wrong:
            self._distrust(flight, answer)
        else:
            self._rest(flight)
        self._account(sent, f"container-{answer.outcome.value}")
        self._withdraw(flight)
        if wrong and request.deadline > self._context.clock.now():
            self.requests.put_back(request)  # with fresh keys under a fresh batch id
        else:
            self.requests.refuse(request, ExhaustedError(f"{request.destination} refused the keys"))

    def _rest(self, flight: _Flight) -> None:
        """The destination does not take containers now: some in a row, and the path rests, so that no pad is poured away."""
        for source in flight.sources:
            source.refusals += 1
            if source.refusals >= limits.REFUSALS:
                source.refusals = 0
                source.suspended_until = self._context.clock.now() + limits.REFUSAL_PAUSE
                self._context.journal.alarm("containers-refused", path=source.entry.key)

    def _distrust(self, flight: _Flight, answer: Answer) -> None:
        """A tag or an acknowledgement was wrong: three in a row suspend the path (design section 3, Check)."""
        now = self._context.clock.now()
        for source in flight.sources:
            source.wrong_tags += 1
            self._context.journal.alarm("wrong-tag", path=source.entry.key, outcome=answer.outcome.value)
            if source.wrong_tags >= limits.WRONG_TAGS:
                source.wrong_tags = 0
                source.suspended_until = now + limits.SUSPENSION
                self._context.journal.alarm("path-suspended", path=source.entry.key)

    def _give_up(self, flight: _Flight, error: QuiverError) -> None:
        self._context.outbox.cancel(flight.request.destination, Container.kind, flight.sent.id)
        self._account(flight.sent, "container-timeout")
        self._withdraw(flight)
        self.requests.refuse(flight.request, error)

    def _withdraw(self, flight: _Flight) -> None:
        flight.sent.withdrawing = True
        self._context.journal.put(flight.sent)
        self._end(flight)
        self._tell_withdrawn(flight.sent, keep_stored=False)

    def _tell_withdrawn(self, sent: Sent, *, keep_stored: bool) -> None:
        withdrawal = Withdrawal(
            number=sent.number,
            batch=sent.batch,
            paths=sent.paths,
            keep_stored=keep_stored,
            floor=self.floor(sent.destination),
        )

        def answered(answer: Answer) -> None:
            if keep_stored:
                self._account(sent, "" if answer.outcome is Outcome.STORED else "restart")
            self._forget(sent)

        self._context.outbox.post(sent.destination, sent.id, withdrawal, answered)

    def _account(self, sent: Sent, cause: str) -> None:
        """The pad of a container was used to deliver, or is burned for a cause."""
        if cause:
            self._context.journal.burn(cause, _pad_of(sent))
        else:
            self._context.journal.use("delivered", _pad_of(sent))

    def _end(self, flight: _Flight) -> None:
        for source in flight.sources:
            source.release(flight.sent.number)
        flight.key.wipe()
        flight.hash_key.wipe()
        del self._flights[flight.sent.id]

    def _forget(self, sent: Sent) -> None:
        if self._sent.pop(sent.id, None) is not None:
            self._context.journal.delete(sent, lazy=True)

    # --- floors and meeting ---------------------------------------------------------------------------------------

    def floor(self, destination: str) -> int:
        """Below this number all containers for `destination` are closed."""
        numbers = (sent.number for sent in self._sent.values() if sent.destination == destination)
        return min(numbers, default=self._peer(destination).next_number)

    def continue_above(self, destination: str, number: int) -> None:
        """The destination has seen containers up to this number: numbers go on above them."""
        peer = self._peer(destination)
        if peer.next_number < number <= peer.next_number + limits.SEEN_AHEAD_SEQUENCES:
            peer.next_number = number
            self._context.journal.put(peer)

    def lost(self, destination: str, cause: str = "peer-incarnation") -> None:
        """Nothing sent there has an outcome any more, as where the destination's database, or this one, is another now."""
        for flight in list(self._open_to(destination)):
            self._context.outbox.cancel(destination, Container.kind, flight.sent.id)
            self._end(flight)
            self.requests.refuse(flight.request, ExhaustedError(f"{destination} cannot tell what became of the keys"))
        for sent in [sent for sent in self._sent.values() if sent.destination == destination]:
            self._context.outbox.cancel(destination, Withdrawal.kind, sent.id)
            if not sent.withdrawing:
                self._account(sent, cause)
            self._forget(sent)

    @property
    def deadline(self) -> float | None:
        """When the first request or container is given up; None where there is none."""
        moments = [flight.deadline for flight in self._flights.values()]
        if (first := self.requests.deadline) is not None:
            moments.append(first)
        return min(moments, default=None)

    @property
    def open(self) -> int:
        """Containers without an outcome."""
        return len(self._sent)

    def stop(self, error: QuiverError) -> None:
        """Refuse every request that is under way, as when the node can no longer write."""
        self.requests.stop(error)
        for flight in self._flights.values():
            self.requests.refuse(flight.request, error)


def _pad_of(sent: Sent) -> int:
    """Bytes of pad that a container took, over all its paths."""
    return sum(count for pieces in sent.paths.values() for _, _, count in pieces)

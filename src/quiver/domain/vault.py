"""The destination's side of delivery: keys restored from containers wait here for their slaves, each to be taken once.

Rules that this module keeps (design section 3, Deliver and Check):

* A container is acknowledged when its keys are durable. A repeat gets the first answer; other bytes under its number none.
* A wrong tag burns the range at this end too.
* A key is handed to each named slave once, and to nobody else.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from quiver.domain import check, key_ids, limits
from quiver.domain.context import Context
from quiver.domain.delivery import ContainerHeader
from quiver.domain.destination import Destination
from quiver.domain.errors import KeyNotFoundError, LimitError, RequestError, UnauthorizedError, UnavailableError
from quiver.domain.messages import Answer, Container, Outcome, Withdrawal
from quiver.domain.records import Batch, Block, Peer
from quiver.domain.reply import DeliveredKey, Reply
from quiver.domain.requests import Request
from quiver.domain.secret import Secret

__all__ = ["Vault"]


class Vault:
    """All keys that wait at this node for its SAEs.

    Args:
        context: the node.
        destinations: path versions that end here.
        peer: gives the durable record of a node.
        batches: the durable records.
    """

    def __init__(
        self,
        context: Context,
        destinations: Mapping[str, Destination],
        peer: Callable[[str], Peer],
        batches: Iterable[Batch],
    ) -> None:
        self._context: Final = context
        self._destinations: Final = destinations
        self._peer: Final = peer
        self.batches: Final = {batch.batch: batch for batch in batches}
        self._numbers: Final = {
            (batch.source, batch.number): batch.batch
            for batch in self.batches.values()
            if batch.number >= peer(batch.source).floor
        }
        self._held: Final = Counter(batch.source for batch in self.batches.values())

    # --- containers -----------------------------------------------------------------------------------------------

    def receive(self, source: str, item: Container) -> Answer:
        """A container from another node."""
        try:
            header = msgspec.json.decode(item.header, type=ContainerHeader)
        except msgspec.DecodeError:
            return Answer(Outcome.REFUSED, "not a container header")
        self.observe(source, item.floor)
        peer, number = self._peer(source), header.number
        if number < peer.floor:
            return Answer(Outcome.SETTLED)
        digest = check.container_digest(item.header, item.ciphertext, item.tag)
        known = self._numbers.get((source, number))
        if known is not None:
            batch = self.batches[known]
            same = batch.digest == digest.hex()
            return Answer(Outcome.STORED, ack=batch.answer) if same else Answer(Outcome.REFUSED, "other bytes before")
        if number in peer.voided:
            return Answer(Outcome.VOID)
        try:
            self._judge(source, header, len(item.ciphertext))
            blocks = self._blocks(header)
        except (RequestError, LimitError) as error:
            return Answer(Outcome.REFUSED, error.message)
        return self._restore(source, header, item, digest, blocks)

    def _judge(self, source: str, header: ContainerHeader, length: int) -> None:
        """Refuse what a right source never sends, before anything is used."""
        directory, peer = self._context.network.directory, self._peer(source)
        if (header.source, header.destination) != (source, self._context.node):
            raise RequestError("the container is for other nodes")
        if header.number >= peer.floor + limits.CONTAINERS_OPEN:
            raise RequestError("beyond the window")
        if not 1 <= header.count <= limits.KEYS_PER_REQUEST or header.count * header.size != 8 * length:
            raise RequestError("the sizes do not add up")
        if not limits.KEY_SIZE_MIN <= header.size <= limits.KEY_SIZE_MAX or header.size % 8:
            raise RequestError("the size of the keys is not allowed")
        if len(set(header.slaves)) != len(header.slaves) or len(header.slaves) > limits.SLAVES_PER_REQUEST:
            raise RequestError("a slave SAE is named twice, or there are too many")
        if not header.slaves or any(directory.homes.get(slave) != self._context.node for slave in header.slaves):
            raise RequestError("a slave SAE is not at home here")
        if not all(directory.permits(header.master, slave) for slave in header.slaves):
            raise RequestError("the pair of SAEs is not permitted here")
        if header.batch in self.batches or key_ids.parse(key_ids.key_id(header.batch, 0)) != (header.batch, 0):
            raise RequestError("the batch id is known, or none")
        if len(self.batches) >= limits.UNFETCHED_BATCHES or self._held[source] >= limits.UNFETCHED_PER_SOURCE:
            raise LimitError("too many keys wait for their slaves")

    def _blocks(self, header: ContainerHeader) -> list[list[tuple[Block, int, int]]]:
        """For each path of a container the parts of blocks that it names, all here and unused."""
        length = header.count * header.size // 8 + limits.TAG
        passed: set[str] = set()
        runs = []
        for key, (digest, pieces) in header.paths.items():
            destination = self._destinations.get(key)
            if destination is None or destination.entry.digest != digest or destination.entry.source != header.source:
                raise RequestError(f"path {key} is not one between these nodes")
            run = [self._part(destination, *piece) for piece in pieces]
            nodes = {node for block, _, _ in run for node in block.nodes} - {header.source, header.destination}
            if passed & nodes:
                raise RequestError("two paths pass the same node")
            passed |= nodes
            places = sorted((block.sequence, start, start + count) for block, start, count in run)
            twice = any(a[0] == b[0] and b[1] < a[2] for a, b in pairwise(places))
            if twice or sum(count for _, _, count in run) != length:
                raise RequestError("the pieces do not add up to the container")
            runs.append(run)
        if not runs:
            raise RequestError("the container names no path")
        return runs

    def _part(self, destination: Destination, sequence: int, start: int, count: int) -> tuple[Block, int, int]:
        block = destination.blocks.get(sequence)
        if block is None:
            raise RequestError(f"block {sequence} is not here")
        if count <= 0 or start < 0 or start + count > block.length or block.used.overlaps(start, start + count):
            raise RequestError(f"bytes of block {sequence} are not free")
        return block, start, count

    def _restore(
        self,
        source: str,
        header: ContainerHeader,
        item: Container,
        digest: bytes,
        runs: list[list[tuple[Block, int, int]]],
    ) -> Answer:
        length = len(item.ciphertext)
        pad = check.combine(Secret(b"".join(_bytes_of(*part) for part in run)) for run in runs)
        hash_key = check.combine(Secret(_bytes_of(run[0][0], 0, limits.HASH_KEY)) for run in runs)
        key = item.ciphertext ^ pad.part(0, length)
        mask = pad.part(length, limits.TAG)
        right = check.verify_container(hash_key, mask, item.nonce, item.header, key, item.tag)
        nodes = sorted({node for run in runs for block, _, _ in run for node in block.nodes})
        for run in runs:
            for block, start, count in run:
                self._destinations[block.key].use(block, start, count, cause="" if right else "wrong-tag")
        pad.wipe()
        if not right:
            self._void(source, header.number)
            self._context.journal.alarm("wrong-tag", source=source, paths=" ".join(header.paths))
            return Answer(Outcome.WRONG_TAG)
        batch = Batch(
            batch=header.batch,
            source=source,
            number=header.number,
            master=header.master,
            slaves=list(header.slaves),
            count=header.count,
            size=header.size,
            digest=digest.hex(),
            answer=check.acknowledge(hash_key, digest, Outcome.STORED),
            nodes=nodes,
        )
        self._store(batch, key)
        return Answer(Outcome.STORED, ack=batch.answer)

    def _store(self, batch: Batch, key: Secret) -> None:
        batch.secret = key
        self.batches[batch.batch] = batch
        self._held[batch.source] += 1
        batch.born = self._context.service_time.now()
        if batch.number >= 0:
            self._numbers[batch.source, batch.number] = batch.batch
        self._context.journal.put(batch, secret=True)
        self._context.journal.audit(
            "batch-stored",
            batch=self._context.blind(batch.batch),
            source=batch.source,
            master=batch.master,
            slaves=" ".join(batch.slaves),
            keys=batch.count,
            bits=batch.size,
        )

    def store_local(self, request: Request) -> None:
        """Fresh keys for two SAEs of this node: they use no pad. Answers the master with the commit.

        Raises:
            LimitError: too many keys wait already.
            UnavailableError: policy wants random numbers of a source that has not so many.
        """
        own = self._held[self._context.node]
        if len(self.batches) >= limits.UNFETCHED_BATCHES or own >= limits.UNFETCHED_PER_SOURCE:
            raise LimitError("too many keys wait for their slaves")
        drawn = self._context.entropy.draw_key(request.key_bytes)
        if drawn is None:
            raise UnavailableError("the generator of random numbers has too few for these keys")
        key = Secret(drawn)
        batch = Batch(
            batch=key_ids.new_batch(self._context.entropy),
            source=self._context.node,
            number=-1,
            master=request.master,
            slaves=list(request.slaves),
            count=request.count,
            size=request.size,
            nodes=[self._context.node],
        )
        self._store(batch, key)
        request.reply.grant(batch.batch, key, request.count)

    def withdraw(self, source: str, item: Withdrawal) -> Answer:
        """The source gives a container up: burn its range, or drop its keys, or keep them (after a restart)."""
        self.observe(source, item.floor)
        peer = self._peer(source)
        if item.number < peer.floor:
            return Answer(Outcome.SETTLED)
        known = self._numbers.get((source, item.number))
        if known is not None:
            if item.keep_stored:
                return Answer(Outcome.STORED)
            self._drop(self.batches[known])
        else:
            self._burn_pieces(source, item.paths)
        self._void(source, item.number)
        return Answer(Outcome.DONE)

    def _burn_pieces(self, source: str, paths: Mapping[str, list[tuple[int, int, int]]]) -> None:
        for key, pieces in paths.items():
            destination = self._destinations.get(key)
            if destination is None or destination.entry.source != source:
                continue
            for sequence, start, count in pieces:
                block = destination.blocks.get(sequence)
                if block is not None and 0 <= start <= start + count <= block.length:
                    destination.use(block, start, count, cause="withdrawn")

    def _void(self, source: str, number: int) -> None:
        peer = self._peer(source)
        if number not in peer.voided and len(peer.voided) < limits.CONTAINERS_OPEN:
            peer.voided.append(number)
        self._context.journal.put(peer)

    def observe(self, source: str, floor: int) -> None:
        """The source's container floor has come by: answers below it need not be repeated any more."""
        peer = self._peer(source)
        if not peer.floor < floor <= limits.MARK_MAX:
            return
        for number in range(peer.floor, min(floor, peer.floor + limits.CONTAINERS_OPEN)):
            self._numbers.pop((source, number), None)
        peer.floor = floor
        peer.voided = [number for number in peer.voided if number >= floor]
        self._context.journal.put(peer, lazy=True)

    # --- slaves ---------------------------------------------------------------------------------------------------

    def fetch(self, caller: str, master: str, texts: Sequence[str]) -> Reply:
        """Hand the named keys to a slave, all or none (ETSI GS QKD 014 clause 5.4).

        Raises:
            RequestError: a key_ID is not a UUID, or named twice.
            UnauthorizedError: the caller was not named for one of the keys that are here; nothing was taken.
            KeyNotFoundError: a key is not here, or was taken before; nothing was taken.
        """
        named = [key_ids.parse(text) for text in texts]
        if len(set(named)) != len(named):
            raise RequestError("a key_ID is named twice")
        here = [self.batches.get(batch) for batch, _ in named]
        # Clause 5.4: first whether the caller may have them, then whether they are there.
        if any(batch is not None and caller not in batch.slaves for batch in here):
            raise UnauthorizedError("the calling SAE was not named for all of these keys")
        found: list[tuple[Batch, int]] = []
        for batch, (_, index) in zip(here, named, strict=True):
            gone = batch is None or index >= batch.count or batch.taken_by(caller) >> index & 1
            if batch is None or gone or batch.master != master:
                raise KeyNotFoundError
            found.append((batch, index))
        reply = Reply(keys=[])
        for (batch, index), text in zip(found, texts, strict=True):
            assert reply.keys is not None
            reply.keys.append(DeliveredKey(text, self._take(batch, caller, index)))
        for batch in {id(batch): batch for batch, _ in found}.values():
            self._note_taken(batch, caller)
        return reply

    def _take(self, batch: Batch, caller: str, index: int) -> Secret:
        assert batch.secret is not None
        length = batch.size // 8
        key = batch.secret.part(index * length, length)
        batch.taken[caller] = f"{batch.taken_by(caller) | 1 << index:x}"
        if all(batch.taken_by(slave) >> index & 1 for slave in batch.slaves):
            self._context.journal.erase(batch, index * length, length)
        return key

    def _note_taken(self, batch: Batch, caller: str) -> None:
        whole = (1 << batch.count) - 1
        self._context.journal.audit(
            "keys-taken", batch=self._context.blind(batch.batch), slave=caller, taken=batch.taken_by(caller).bit_count()
        )
        if all(batch.taken_by(slave) == whole for slave in batch.slaves) and not self._awaits_floor(batch):
            self._drop(batch)
        else:
            self._context.journal.put(batch)

    def _awaits_floor(self, batch: Batch) -> bool:
        """Whether the source may still repeat the container: then its record is kept, without key, to answer it."""
        return (batch.source, batch.number) in self._numbers

    def _drop(self, batch: Batch) -> None:
        del self.batches[batch.batch]
        self._held[batch.source] -= 1
        self._numbers.pop((batch.source, batch.number), None)
        self._context.journal.delete(batch)

    def expire(self) -> None:
        """Erase keys that nobody fetched, and records that only waited for the source's floor."""
        old = self._context.service_time.now() - limits.UNFETCHED_LIFE
        for batch in list(self.batches.values()):
            whole = (1 << batch.count) - 1
            taken = all(batch.taken_by(slave) == whole for slave in batch.slaves)
            if not taken and batch.born <= old:
                self._context.journal.audit("batch-expired", batch=self._context.blind(batch.batch))
                batch.taken = dict.fromkeys(batch.slaves, f"{whole:x}")
                self._context.journal.erase(batch, 0, len(batch.secret or b""))
                taken = True
            if taken and not self._awaits_floor(batch):
                self._drop(batch)

    def seen(self, source: str) -> int:
        """One above the highest container number that came from a node."""
        numbers = (number + 1 for name, number in self._numbers if name == source)
        return max(self._peer(source).floor, max(numbers, default=0), *(n + 1 for n in self._peer(source).voided), 0)

    def burn_all(self) -> None:
        """Erase every key that waits: this node's storage was rolled back."""
        for batch in list(self.batches.values()):
            self._context.journal.audit("batch-burned", batch=self._context.blind(batch.batch))
            self._drop(batch)

    def forget_source(self, source: str) -> None:
        """The source's database is another one: its numbers start anew, its old containers never come again."""
        for name in [name for name in self._numbers if name[0] == source]:
            del self._numbers[name]
        peer = self._peer(source)
        peer.floor, peer.voided = 0, []
        for batch in self.batches.values():
            if batch.source == source and batch.number >= 0:
                batch.number = -1
                self._context.journal.put(batch)


def _bytes_of(block: Block, start: int, count: int) -> bytes:
    assert block.secret is not None
    return block.secret.part(start, count).reveal()

"""Rules broken on purpose, to show that the checks see it. Nothing of the product can be set to do any of this."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

import structlog

from quiver.domain import check, key_ids, limits
from quiver.domain.delivery import Delivery
from quiver.domain.intervals import Intervals
from quiver.domain.journal import Journal
from quiver.domain.pads import LinkPads
from quiver.domain.ports import Entropy
from quiver.domain.records import Batch, Block, Piece, Record
from quiver.domain.relay import Relay
from quiver.domain.secret import Secret
from quiver.domain.source import Source
from quiver.domain.standing import Standing
from quiver.domain.vault import Vault

from . import run
from .site import Site


@contextmanager
def send_early() -> Iterator[None]:
    """Rules 1 and 5: what a turn sends and answers leaves before its commit."""
    with mock.patch.object(Site, "send_early", new=True):
        yield


@contextmanager
def tag_over_ciphertext() -> Iterator[None]:
    """Section 3, Check: the tag covers the header and the ciphertext instead of the keys."""
    combine, right, verify = check.combine, check.container_tag, check.verify_container
    combined: list[Secret] = []

    def noting(secrets: Iterable[Secret]) -> Secret:
        combined.append(combine(secrets))
        del combined[:-2]  # the pad, then the hash key
        return combined[-1]

    def ciphertext(key: Secret) -> Secret:
        return key ^ combined[0].part(0, len(key))

    def tag(hash_key: Secret, mask: Secret, nonce: bytes, header: bytes, key: Secret) -> bytes:
        return right(hash_key, mask, nonce, header, ciphertext(key))

    def verified(hash_key: Secret, mask: Secret, nonce: bytes, header: bytes, key: Secret, tag: bytes) -> bool:
        return verify(hash_key, mask, nonce, header, ciphertext(key), tag)

    with mock.patch.multiple(check, combine=noting, container_tag=tag, verify_container=verified):
        yield


@contextmanager
def no_credit() -> Iterator[None]:
    """Section 3, Prime 0: ranges are taken whether the path is whole or not."""
    plenty = 1 << 40
    with (
        mock.patch.object(Source, "credit", new=property(lambda self: plenty)),
        mock.patch.object(Standing, "live", new=True),
        mock.patch.object(Relay, "_allowed", return_value=plenty),
    ):
        yield


@contextmanager
def few_batch_ids() -> Iterator[None]:
    """Rule 3: batch ids come again."""
    fresh = key_ids.new_batch
    known: list[str] = []

    def drawn(entropy: Entropy) -> str:
        known.append(fresh(entropy) if len(known) < 8 else known[-8])
        return known[-1]

    with mock.patch.object(key_ids, "new_batch", new=drawn):
        yield


@contextmanager
def key_given_again() -> Iterator[None]:
    """Rule 3: what a slave has taken is not noted."""

    def take(_self: Vault, batch: Batch, _caller: str, index: int) -> Secret:
        assert batch.secret is not None
        return batch.secret.part(index * batch.size // 8, batch.size // 8)

    with mock.patch.object(Vault, "_take", new=take):
        yield


@contextmanager
def first_takes_all() -> Iterator[None]:
    """Section 3, Deliver: what one slave has taken is gone for the others."""
    take = Vault._take

    def greedy(self: Vault, batch: Batch, caller: str, index: int) -> Secret:
        key = take(self, batch, caller, index)
        for slave in batch.slaves:
            batch.taken[slave] = f"{batch.taken_by(slave) | 1 << index:x}"
        return key

    with mock.patch.object(Vault, "_take", new=greedy):
        yield


@contextmanager
def answered_unstored() -> Iterator[None]:
    """Rule 3: the master is answered when the container leaves."""
    send = Delivery._send

    def sent(self: Delivery, request, peer, sources, key) -> None:
        send(self, request, peer, sources, key)
        flight = next(flight for flight in self._flights.values() if flight.request is request)
        if not request.reply.done:
            request.reply.grant(flight.sent.batch, flight.key, request.count)
            request.reply.when_done = None

    with mock.patch.object(Delivery, "_send", new=sent):
        yield


def _in_memory(kind: type[Record]) -> AbstractContextManager[object]:
    put = Journal.put

    def forgetful(self: Journal, record: Record, *, secret: bool = False, lazy: bool = False) -> None:
        if not isinstance(record, kind):
            put(self, record, secret=secret, lazy=lazy)

    return mock.patch.object(Journal, "put", new=forgetful)


@contextmanager
def stored_in_memory() -> Iterator[None]:
    """Rule 5: a container is acknowledged although its keys are not durable."""
    with _in_memory(Batch):
        yield


@contextmanager
def ready_in_memory() -> Iterator[None]:
    """Rule 5: source and destination say that they have a block which is not durable."""
    with _in_memory(Block):
        yield


@contextmanager
def nothing_stored_any_more() -> Iterator[None]:
    """Rule 5: a node that has burned everything once acknowledges keys which it throws away."""
    burn_all, store = Vault.burn_all, Vault._store
    burned: set[Vault] = set()

    def burning(self: Vault) -> None:
        burned.add(self)
        burn_all(self)

    def forgetful(self: Vault, batch: Batch, key: Secret) -> None:
        store(self, batch, key)
        if self in burned:
            self._drop(batch)

    with mock.patch.multiple(Vault, burn_all=burning, _store=forgetful):
        yield


@contextmanager
def key_in_audit() -> Iterator[None]:
    """Rule 4: a key stands in a log line."""
    store = Vault._store

    def telling(self: Vault, batch: Batch, key: Secret) -> None:
        self._context.journal.audit("debug", key=key.reveal().hex())
        store(self, batch, key)

    with mock.patch.object(Vault, "_store", new=telling):
        yield


def _logged(word: Callable[[bytes], object]) -> AbstractContextManager[object]:
    store = Vault._store

    def telling(self: Vault, batch: Batch, key: Secret) -> None:
        structlog.get_logger().info("stored", key=word(key.reveal()))
        store(self, batch, key)

    return mock.patch.object(Vault, "_store", new=telling)


@contextmanager
def key_in_log() -> Iterator[None]:
    """Rule 4: the bytes of a key stand in a log line."""
    with _logged(lambda key: key):
        yield


@contextmanager
def key_in_words() -> Iterator[None]:
    """Rule 4: the bytes of a key stand among the words of a log line."""
    with _logged(lambda key: f"{[key]} is here"):
        yield


@contextmanager
def key_in_message() -> Iterator[None]:
    """Rule 4: containers travel under zeros."""
    combine = check.combine

    def zeros(secrets: Iterable[Secret]) -> Secret:
        return Secret(bytes(len(combine(secrets))))

    with mock.patch.object(check, "combine", new=zeros):
        yield


@contextmanager
def limits_lifted() -> Iterator[None]:
    """Rule 10: tables grow as they like."""
    with mock.patch.multiple(limits, WAITING_REQUESTS=1 << 30):
        yield


@contextmanager
def accepted_forgotten() -> Iterator[None]:
    """Rules 1 and 2: an end does not remember which bytes it accepted."""

    accept = LinkPads.accept

    def forgetful(self: LinkPads, pieces: Sequence[Piece], length: int) -> Secret:
        taken = accept(self, pieces, length)
        for segment in self.segments.values():
            if segment.owner != self._node:
                segment.accepted = Intervals([(0, limits.LINK_CHECK)])
        return taken

    with mock.patch.object(LinkPads, "accept", new=forgetful):
        yield


@contextmanager
def marks_not_raised() -> Iterator[None]:
    """Rule 2: a source that comes back from an earlier commit goes on in its blocks where that commit says."""
    with (
        mock.patch.object(Source, "_skip"),
        mock.patch.object(Source, "_skip_bytes"),
    ):
        yield


@contextmanager
def burning_uncounted() -> Iterator[None]:
    """Section 3: what is burned does not show in the accounts."""
    with mock.patch.object(Journal, "burn"):
        yield


@contextmanager
def no_priming() -> Iterator[None]:
    """Nobody is served as long as anybody asks: no sequence begins before the load is over."""

    def idle(phase: Callable) -> Callable:
        def passed(*given):
            with mock.patch.object(Source, "prime", return_value=0):
                return phase(*given)

        return passed

    with mock.patch.multiple(run, bring_up=idle(run.bring_up), put_under_load=idle(run.put_under_load)):
        yield


RULES: dict[str, Callable] = {
    "send-early": send_early,
    "tag-over-ciphertext": tag_over_ciphertext,
    "no-credit": no_credit,
    "no-priming": no_priming,
}

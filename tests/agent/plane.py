"""An SAE plane in a thread of its own, with a small node behind it, so that blocking clients can visit it."""

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from quiver.agent.sae_plane import REQUEST_LIMITS, SaePlane
from quiver.domain.errors import KeyNotFoundError, RequestError, UnauthorizedError
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from quiver.identity.lab import Lab
from quiver.net import tls
from quiver.protocols.etsi014 import Status

MASTER, SLAVE, OTHER = "site 1/alice", "bob", "carol"


def key_bytes(number: int, length: int) -> bytes:
    """Different keys, equal in each run."""
    return (f"key {number} ".encode() * length)[:length]


def nth_key_id(number: int) -> str:
    """A key_ID as the node makes them: UUIDv8."""
    return f"00000000-0000-8000-8000-{number:012x}"


@dataclass
class Shelf:
    """A KeyService for tests: MASTER, SLAVE and OTHER may share keys; each key is there once for each slave."""

    permitted: frozenset[frozenset[str]] = frozenset({frozenset({MASTER, SLAVE}), frozenset({MASTER, OTHER})})
    known: frozenset[str] = frozenset({MASTER, SLAVE, OTHER, "dave"})
    error: Exception | None = None  # what the next calls raise
    calls: list[tuple[object, ...]] = field(default_factory=list)
    _keys: dict[str, tuple[str, set[str], frozenset[str], bytes]] = field(default_factory=dict)
    _count: Iterator[int] = field(default_factory=itertools.count)
    held: asyncio.Event | None = None  # enc_keys waits for it
    waiting: threading.Event = field(default_factory=threading.Event)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def _judge(self, caller: str, slaves: Sequence[str]) -> None:
        if self.error is not None:
            raise self.error
        for slave in slaves:
            if slave not in self.known:
                raise RequestError(f"SAE {slave} is unknown")
            if frozenset({caller, slave}) not in self.permitted:
                raise UnauthorizedError(f"SAE {caller} may not share keys with {slave}")

    def status(self, caller: str, slave: str) -> Status:
        self._judge(caller, [slave])
        return Status(
            source_kme_id="kme-a",
            target_kme_id="kme-b",
            master_sae_id=caller,
            slave_sae_id=slave,
            key_size=REQUEST_LIMITS.key_size,
            stored_key_count=812,
            max_key_count=10_000,
            max_key_per_request=REQUEST_LIMITS.max_keys,
            max_key_size=REQUEST_LIMITS.max_key_size,
            min_key_size=REQUEST_LIMITS.min_key_size,
            max_sae_id_count=REQUEST_LIMITS.max_sae_ids,
        )

    async def enc_keys(self, caller: str, slaves: tuple[str, ...], number: int, size: int) -> list[DeliveredKey]:
        self.calls.append(("enc_keys", caller, slaves, number, size))
        self._judge(caller, slaves)
        if self.held is not None:
            self.waiting.set()
            try:
                await self.held.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        given = []
        for _ in range(number):
            count = next(self._count)
            key_id = nth_key_id(count)
            self._keys[key_id] = (caller, set(slaves), frozenset(slaves), key_bytes(count, size // 8))
            given.append(DeliveredKey(key_id, Secret(self._keys[key_id][3])))
        return given

    async def dec_keys(self, caller: str, master: str, key_ids: Sequence[str]) -> list[DeliveredKey]:
        self.calls.append(("dec_keys", caller, master, tuple(key_ids)))
        if self.error is not None:
            raise self.error
        found = [self._keys.get(key_id) for key_id in key_ids]
        if any(entry is not None and caller not in entry[2] for entry in found):
            raise UnauthorizedError("the caller was not among the slaves of each of these keys")
        keys = []
        for key_id, entry in zip(key_ids, found, strict=True):
            if entry is None or entry[0] != master or caller not in entry[1]:
                raise KeyNotFoundError({"key_ID": key_id})
            keys.append(DeliveredKey(key_id, Secret(entry[3])))
        for entry in found:
            if entry is not None:
                entry[1].discard(caller)
        return keys


@dataclass
class Running:
    """A plane that listens."""

    url: str
    port: int
    service: Shelf
    lab: Lab
    loop: asyncio.AbstractEventLoop

    def files(self, identity: str, *, pq: bool = False) -> tls.Credentials:
        """The certificate and key of an SAE, made once."""
        profile = "sae-pq" if pq else "sae"
        stem = f"{profile}-{identity}".replace("/", "_").replace(" ", "_")
        found = tls.Credentials(self.lab.directory / f"{stem}.pem", self.lab.directory / f"{stem}.key")
        return found if found.certificate.exists() else self.lab.issue(profile, identity)


def kme_context(lab: Lab, trust: Sequence[Path] | None = None) -> tls.TlsContext:
    """The SAE plane's side of TLS, with both certificates."""
    pairs = []
    for profile in ("kme", "kme-pq"):
        pair = tls.Credentials(lab.directory / f"{profile}-kme-a.pem", lab.directory / f"{profile}-kme-a.key")
        pairs.append(pair if pair.certificate.exists() else lab.issue(profile, "kme-a"))
    return tls.sae_server(pairs[0], pairs[1], trust or lab.saes_trust)


@contextmanager
def running(lab: Lab, service: Shelf | None = None, trust: Sequence[Path] | None = None) -> Iterator[Running]:
    """A plane in a thread, until the end of the block."""
    shelf = service or Shelf()
    context = kme_context(lab, trust)
    started: Future[tuple[SaePlane, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        plane = SaePlane(shelf, host="127.0.0.1", tls=context)
        await plane.start()
        ended = asyncio.Event()
        started.set_result((plane, asyncio.get_running_loop(), ended))
        await ended.wait()
        await plane.stop()

    thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
    thread.start()
    plane, loop, ended = started.result(20)
    try:
        yield Running(plane.url, plane.server.address[1], shelf, lab, loop)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)
        assert not thread.is_alive()

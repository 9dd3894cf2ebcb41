"""SAEs at work: a master asks for keys, its slave fetches each of them, the two are compared."""

import asyncio
import hashlib
import math
from collections.abc import Sequence
from time import perf_counter
from typing import Final

import msgspec

from quiver.client import KmeClient
from quiver.demo.plan import request_sizes
from quiver.domain.errors import QuiverError, RemoteError, UnavailableError
from quiver.domain.reply import DeliveredKey

__all__ = ["Ledger", "Load", "Tally", "percentile"]

_AT_ONCE: Final = 4  # requests of one pair under way
_TRIES: Final = 4  # of one request; each may wait at the KME first
_PAUSE: Final = 1.0  # seconds before a refused request is made again, as Retry-After says


class Ledger:
    """Every key_ID and the digest of every key that any SAE of the demo has got, to notice one given twice."""

    def __init__(self) -> None:
        self._seen: Final[set[bytes]] = set()

    def repeated(self, key: DeliveredKey) -> bool:
        """Whether the key's key_ID or its bytes were there before; notes both.

        Keys of fewer than 128 bits may well repeat by chance: of those only the key_ID counts.
        """
        marks = {hashlib.sha256(b"id " + key.key_id.lower().encode()).digest()}
        if len(key.key) >= 16:
            marks.add(hashlib.sha256(b"key " + key.key.reveal()).digest())
        known = not marks.isdisjoint(self._seen)
        self._seen.update(marks)
        return known


class Tally(msgspec.Struct):
    """What came of a load.

    Attributes:
        requested: keys that the master wanted.
        delivered: keys that master and slave both hold, equal.
        mismatched: keys that differ at the two.
        duplicated: keys, or key_IDs, that had been given before.
        failed_requests: requests for new keys that were refused or not answered; each was made again.
        latencies: seconds from each request for new keys to its answer.
        seconds: from the first request to the last key fetched.
        reasons: why requests failed, each once.
    """

    requested: int = 0
    delivered: int = 0
    mismatched: int = 0
    duplicated: int = 0
    failed_requests: int = 0
    latencies: list[float] = []
    seconds: float = 0.0
    reasons: list[str] = []

    @property
    def flawless(self) -> bool:
        """Whether everything wanted is there, equal and once; requests that failed count beside that."""
        return self.delivered == self.requested and not self.mismatched and not self.duplicated

    def add(self, other: "Tally") -> None:
        """Count another load with this one."""
        self.requested += other.requested
        self.delivered += other.delivered
        self.mismatched += other.mismatched
        self.duplicated += other.duplicated
        self.failed_requests += other.failed_requests
        self.latencies += other.latencies
        self.seconds += other.seconds
        self.reasons += [reason for reason in other.reasons if reason not in self.reasons]


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, `share` from 0 to 1; values must not be empty."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Load:
    """Requests of one pair of SAEs in one direction.

    Args:
        master, slave: their clients, each of its own KME.
        names: SAE IDs of master and slave.
        size: bits of each key.
        ledger: of the whole demo.
    """

    def __init__(
        self, master: KmeClient, slave: KmeClient, names: tuple[str, str], *, size: int, ledger: Ledger
    ) -> None:
        self._master: Final = master
        self._slave: Final = slave
        self._names: Final = names
        self._size: Final = size
        self._ledger: Final = ledger

    async def warm(self) -> None:
        """Open both connections, so that no handshake is measured."""
        await self._master.status(self._names[1])
        await self._slave.status(self._names[0])

    async def bulk(self, keys: int, *, rate: float = math.inf) -> Tally:
        """`keys` keys in requests of up to 50, several under way at a time.

        Args:
            keys: how many.
            rate: bytes of key per second at most.
        """
        tally = Tally(requested=keys)
        started = perf_counter()
        left = iter(_moments(request_sizes(keys, self._size), self._size / 8 / rate))

        async def work() -> None:
            for moment, number in left:
                await asyncio.sleep(max(0.0, started + moment - perf_counter()))
                await self.exchange(number, tally)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work())
        tally.seconds = perf_counter() - started
        return tally

    async def singles(self, count: int) -> Tally:
        """`count` requests for one key, one after another."""
        tally = Tally(requested=count)
        started = perf_counter()
        for _ in range(count):
            await self.exchange(1, tally)
        tally.seconds = perf_counter() - started
        return tally

    async def exchange(self, number: int, tally: Tally) -> list[DeliveredKey]:
        """One request for `number` keys, made again where it is refused; the slave's keys."""
        for attempt in range(_TRIES):
            asked = perf_counter()
            try:
                keys = await self._master.get_keys(self._names[1], number, self._size)
                break
            except (UnavailableError, RemoteError) as error:
                tally.failed_requests += 1
                _note(tally, error)
                await asyncio.sleep(_PAUSE if attempt + 1 < _TRIES else 0)
        else:
            return []
        tally.latencies.append(perf_counter() - asked)
        try:
            fetched = await self._slave.get_keys_by_id(self._names[0], [key.key_id for key in keys])
        except QuiverError as error:
            _note(tally, error)
            return []
        for mine, theirs in zip(keys, fetched, strict=True):
            if mine.key != theirs.key:
                tally.mismatched += 1
            elif self._ledger.repeated(theirs):
                tally.duplicated += 1
            else:
                tally.delivered += 1
        return fetched


def _moments(numbers: Sequence[int], seconds_per_key: float) -> list[tuple[float, int]]:
    """When each request may be made, in seconds from the start, and for how many keys."""
    moments, keys = [], 0
    for number in numbers:
        moments.append((keys * seconds_per_key, number))
        keys += number
    return moments


def _note(tally: Tally, error: QuiverError) -> None:
    if error.message not in tally.reasons:
        tally.reasons.append(error.message)

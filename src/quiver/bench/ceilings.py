"""Ceilings: what the same machine does with everything of ours left out but TLS and HTTP, or but one commit."""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Final

import msgspec

from quiver.bench.load import Caller, Load, closed_loop, connected, one_by_one, post
from quiver.bench.network import Line, Link
from quiver.bench.processes import Child
from quiver.protocols.etsi014 import KeyIDs, KeyRequest, encode
from quiver.protocols.etsi014_urls import Method, path_of
from quiver.qkd.profiles import profile_named

__all__ = ["BareCommits", "Serial", "bare_commits", "container_of", "fetch_rate"]

SMALL: Final = 512  # bytes of a body like an announcement's
_ROW: Final = 256  # bytes that a bare commit writes


class Serial(msgspec.Struct, frozen=True):
    """What has to happen one after the other before a master is answered (design section 3, "One key").

    Attributes:
        round_trips: between processes, the master's own included; two messages one way count as one.
        commits: on the way, at all nodes.
    """

    round_trips: int
    commits: int

    @classmethod
    def buffered(cls) -> "Serial":
        """From a filled buffer: the container and its acknowledgement, a commit at either end."""
        return cls(round_trips=2, commits=2)

    @classmethod
    def unbuffered(cls, hops: int) -> "Serial":
        """Without a buffer, over a path of `hops` hops.

        One hop: announcement and `ready`, container and acknowledgement; four commits. With relays: an announcement a hop, the
        last relay's answer and its ciphertext, `ready`, container and acknowledgement; a commit before each of them.
        """
        if hops == 1:
            return cls(round_trips=3, commits=4)
        messages = hops + 5
        return cls(round_trips=1 + -(-messages // 2), commits=hops + 4)

    @property
    def name(self) -> str:
        """As a ceiling is named."""
        return f"{self.round_trips} bare POST round trips + {self.commits} bare commits"

    async def milliseconds(self, caller: Caller, commits: "BareCommits", seconds: float) -> float:
        """The time of that many round trips to a bare listener and commits of a bare database, each by its median."""
        request = post("/0", bytes(SMALL))
        round_trip = await one_by_one(caller, lambda: request, seconds / 2)
        return self.round_trips * round_trip + self.commits * commits.milliseconds(seconds / 2)


class BareCommits:
    """A SQLite database as durable as the agent's: write-ahead log, synchronous=FULL."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: Final = connection

    def milliseconds(self, seconds: float) -> float:
        """The median time of a commit of one small row, one after the other."""
        clock, times, row = time.perf_counter, list[float](), bytes(_ROW)
        begun = clock()
        while not times or clock() - begun < seconds:
            started = clock()
            self._connection.execute("INSERT INTO bare (row) VALUES (?)", (row,))
            times.append(clock() - started)
        return 1000 * statistics.median(times)


@contextmanager
def bare_commits(directory: Path) -> Iterator[BareCommits]:
    """A database for bare commits, on the disk of the agents' ones."""
    connection = sqlite3.connect(directory / "bare.sqlite", isolation_level=None)
    try:
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, row BLOB)")
        yield BareCommits(connection)
    finally:
        connection.close()


async def container_of(listener: Child, line: Line, count: int, connections: int, seconds: float) -> Load:
    """Requests for a constant container of `count` keys to a bare listener with the SAE plane's TLS."""
    request = post(f"/{count}", bytes(SMALL // 4))
    async with connected(listener.ready["sae_url"], line.sae_tls(line.nodes[0]), connections) as callers:
        return await closed_loop(callers, repeat(request), seconds)


class _KeyName(msgspec.Struct):
    key_id: str = msgspec.field(name="key_ID")


class _Names(msgspec.Struct):
    """Of a Key container only the key_IDs."""

    keys: list[_KeyName]


_names: Final = msgspec.json.Decoder(_Names)


async def fetch_rate(line: Line, link: Link, connections: int, seconds: float) -> float:
    """Bytes per second that both ends of a link can get from its devices: *Get key* here, *Get key with key IDs* there.

    Raises:
        RemoteError: a device refused.
    """
    vendor = profile_named(link.vendor)
    take = post(path_of(Method.ENC_KEYS, link.right), encode(KeyRequest(number=vendor.max_keys)))
    there = path_of(Method.DEC_KEYS, link.left)
    clock, fetched = time.perf_counter, 0
    left = connected(line.device_url(link.name, link.left), line.device_tls(link.left), connections)
    right = connected(line.device_url(link.name, link.right), line.device_tls(link.right), connections)
    async with left as owners, right as others:
        begun = clock()

        async def worker(owner: Caller, other: Caller) -> None:
            nonlocal fetched
            while clock() - begun < seconds:
                names = [key.key_id for key in _names.decode(await owner.call(take)).keys]
                await other.call(post(there, encode(KeyIDs.of(names))))
                fetched += len(names)

        await asyncio.gather(*map(worker, owners, others))
        return fetched * vendor.key_size / 8 / (clock() - begun)

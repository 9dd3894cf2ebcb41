"""The relay figures: pad from devices, end-to-end pad over a relay, and one key over three hops without a buffer."""

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise, repeat
from pathlib import Path
from typing import Final

from quiver.bench.bench import Bench
from quiver.bench.ceilings import Serial, fetch_rate
from quiver.bench.figures import RUNS, Figure, throughput
from quiver.bench.load import closed_loop, connected, post
from quiver.bench.network import Line, Link, Watch
from quiver.bench.processes import Children
from quiver.bench.progress import Progress
from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.domain.network import PathEntry

__all__ = ["measure_relay"]

HOPS: Final = 3
_SINGLE: Final = PathEntry(virtual_link="a-d", path=1, version=1, nodes=("a", "b", "c", "d"))
_PACE: Final = 2 * limits.KIB**2  # bytes of link pad that are collected for each second of a figure
_RESERVE: Final = (
    RUNS + 1
) * limits.LARGEST_REQUEST + 2 * limits.SEGMENT_MAX  # bytes of it that paths keep back, or lack
_PAIRS: Final = 2  # connections to the devices at either end for the bare fetch loop
_POLL: Final = 0.004  # seconds between two looks at a filling
_FULL: Final = 0.9  # of its depth, from which on a buffer counts as filled
_PATIENCE: Final = 30.0  # seconds for a filling


async def measure_relay(root: Path, seconds: float, progress: Progress) -> list[Figure]:
    """All figures of relaying.

    Args:
        root: an empty directory.
        seconds: that each figure may take, its ceiling included.
        progress: is told what goes on.

    Raises:
        RemoteError: a process did not start, or a request was refused.
    """
    level = max(limits.KIB**2, min(limits.PAD_LEVEL_MAX, int(_PACE * seconds)))
    links = [
        Link("a", "b", "cedar", level=level),
        Link("b", "c", "cedar", level=level),
        Link("c", "d", "alder", level=limits.PAD_LEVEL_MAX),
    ]
    depth = (level - _RESERVE) // RUNS
    bulk = [
        PathEntry(virtual_link="a-c", path=run, version=1, nodes=("a", "b", "c"), depth=depth)
        for run in range(1, RUNS + 1)
    ]
    async with Children(root) as children:
        line = Line(root, links, children)
        progress("relay.collect: devices alone")
        await line.start_devices()
        fetched = [await fetch_rate(line, links[-1], _PAIRS, seconds / (2 * RUNS)) for _ in range(RUNS)]
        progress("relay: four nodes start and collect pad")
        await line.start_agents([_SINGLE], inert=bulk)
        bench = Bench(line, await line.start_listener(), seconds, progress)
        for node, neighbour in (("a", "b"), ("b", "c")):
            await line.pad(node, neighbour, level - limits.SEGMENT_MAX)
        collect = await _collect(bench, fetched)
        await line.stop_devices()
        single = await bench.latency("relay.latency", "a", "d", Serial.unbuffered(HOPS))
        return [collect, await _bulk(bench, bulk), single]


async def _collect(bench: Bench, fetched: list[float]) -> Figure:
    """Bytes of pad of the link c-d that become usable, while the other links have what they need.

    A run ends with the first segment after its time, so that whole segments count.
    """
    name, link = "relay.collect", bench.line.links[-1].name
    bench.progress(name)
    seen: list[tuple[float, float]] = []
    async with bench.line.watching("c") as watch:
        level = await watch.read("pad_collected_bytes", link)
        for _ in range(RUNS + 1):
            grown = await watch.until("pad_collected_bytes", link, level + 1)
            if grown <= level:
                raise RemoteError(f"no pad comes in on {link}")
            seen.append((time.perf_counter(), grown))
            await asyncio.sleep(bench.run)
            level = await watch.read("pad_collected_bytes", link)
    rates = [(after - before) / (late - early) for (early, before), (late, after) in pairwise(seen)]
    return throughput(name, "bytes/s", rates, "a bare ETSI 014 fetch loop at the same devices", fetched)


async def _bulk(bench: Bench, paths: Sequence[PathEntry]) -> Figure:
    """The filling of a buffer from a to c, a new one in each run; the relay has a core of its own."""
    name, line, rates, ceilings = "relay.bulk", bench.line, list[float](), list[float]()
    bench.progress(name)
    block = min(limits.BLOCK_MAX, paths[0].depth // 4)
    request = post("/0", bytes(block * 4 // 3))  # in base64, as a ciphertext travels
    bare = connected(bench.listener.ready["peer_url"], line.peer_tls("b", "a"), limits.PEER_CONNECTIONS)
    async with bare as callers, line.watching("a") as watch:
        for run, path in enumerate(paths):
            with line.children.alone(line.agents["b"], bench.listener):
                line.reconfigure("a", [_SINGLE, *paths[: run + 1]])
                rates.append(await _filling(watch, path))
                load = await closed_loop(callers, repeat(request), bench.run)
                ceilings.append(load.rate * block)
    return throughput(name, "bytes/s", rates, "constant bodies of a block in base64 to a bare listener", ceilings)


async def _filling(watch: Watch, path: PathEntry) -> float:
    """Bytes of pad that become ready per second, from the first range that the source takes to the last block."""
    taken, begun = await watch.read("pad_allocated_bytes", "b"), time.perf_counter()
    deadline = begun + _PATIENCE
    while await watch.read("pad_allocated_bytes", "b") == taken:
        begun = time.perf_counter()
        if begun > deadline:
            raise RemoteError(f"no credit came for path {path.key}")
        await asyncio.sleep(_POLL)
    ended, ready = begun, 0.0
    while ready < _FULL * path.depth and time.perf_counter() < deadline:
        if (grown := await watch.read("block_ready_bytes", path.key)) > ready:
            ended, ready = time.perf_counter(), grown
        await asyncio.sleep(_POLL)
    if ready < _FULL * path.depth:
        raise RemoteError(f"only {ready:.0f} of {path.depth} bytes became ready on path {path.key}")
    return ready / (ended - begun)

"""The delivery figures: what one agent gives its SAEs while its buffer is filled."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from quiver.bench.bench import Bench, asking
from quiver.bench.ceilings import Serial, container_of
from quiver.bench.figures import RUNS, Figure, throughput
from quiver.bench.load import closed_loop, connected, post
from quiver.bench.network import Line, Link
from quiver.bench.processes import Children
from quiver.bench.progress import Progress
from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.domain.network import PathEntry
from quiver.protocols.etsi014 import KeyIDs, decode_key_container, encode
from quiver.protocols.etsi014_urls import Method, path_of

__all__ = ["measure_delivery"]

KEY: Final = limits.KEY_SIZE_DEFAULT // 8  # bytes
MANY: Final = limits.KEYS_PER_REQUEST
SINGLE: Final = 32  # connections that ask for single keys
BULK: Final = 8  # connections that ask for many at once
_DEPTH: Final = 2 * limits.KIB * limits.KIB  # bytes that the buffer holds
_LEVEL: Final = 4 * limits.KIB * limits.KIB  # bytes of link pad behind it
_FETCHES: Final = 8_000  # keys per second that dec_keys may need at most; more only shortens its runs
_PACE: Final = 1024 * limits.KIB  # bytes of pad that are wanted for each second of a figure
_LEAST: Final = 256 * limits.KIB  # bytes of pad without which there is nothing to measure
_PATIENCE: Final = 30.0  # seconds for these
_POLL: Final = 0.05  # seconds between two looks at the pad
_SHARE: Final = 0.8  # of the pad that is there, that runs may spend

_THERE: Final = PathEntry(virtual_link="a-b", path=1, version=1, nodes=("a", "b"), depth=_DEPTH)
_BACK: Final = PathEntry(virtual_link="b-a", path=1, version=1, nodes=("b", "a"))


async def _pad(bench: Bench) -> int:
    """Bytes of pad that `a` can spend on containers: those ready, and those that its buffer will be filled up from."""
    async with bench.line.watching("a") as watch:
        ready = await watch.read("block_ready_bytes", _THERE.key)
        return int(_SHARE * (ready + await watch.read("pad_level_bytes", "b")))


async def measure_delivery(root: Path, seconds: float, progress: Progress) -> list[Figure]:
    """All figures of delivery.

    Args:
        root: an empty directory.
        seconds: that each figure may take, its ceiling included.
        progress: is told what goes on.

    Raises:
        RemoteError: a process did not start, or a request was refused.
    """
    async with _filled(root, seconds, progress) as bench:
        return [
            await bench.latency("delivery.latency.buffered", "a", "b", Serial.buffered()),
            await bench.latency("delivery.latency.unbuffered", "b", "a", Serial.unbuffered(hops=1)),
            await _single(bench),
            await _fetched(bench),
            await _many(bench),
        ]


@asynccontextmanager
async def _filled(root: Path, seconds: float, progress: Progress) -> AsyncIterator[Bench]:
    """Both nodes, once pad has come in for a while; then the devices are gone, so that nobody is busy with collecting."""
    progress("delivery: two nodes start and fill their buffer")
    async with Children(root) as children:
        back = limits.LARGEST_REQUEST
        line = Line(root, [Link("a", "b", "cedar", level=_LEVEL, backwards=back)], children)
        await line.start_devices()
        await line.start_agents([_THERE, _BACK])
        listener = await line.start_listener()
        bench = Bench(line, listener, seconds, progress)
        await line.pad("b", "a", limits.SEGMENT_MIN)
        await _come_in(bench)
        await line.stop_devices()
        yield bench


async def _come_in(bench: Bench) -> None:
    """Wait until pad for all figures is there, or for twice a figure's time; in any case until there is some.

    Raises:
        RemoteError: not even some came.
    """
    begun, want = time.monotonic(), min(_SHARE * (_DEPTH + _LEVEL - limits.SEGMENT_MAX), bench.seconds * _PACE)
    while (pad := await _pad(bench)) < want:
        waited = time.monotonic() - begun
        if waited > 2 * bench.seconds and pad >= _LEAST:
            return
        if waited > _PATIENCE:
            raise RemoteError(f"only {pad} bytes of pad came in within {_PATIENCE:.0f} seconds")
        await asyncio.sleep(_POLL)


# --- throughput -------------------------------------------------------------------------------------------------------


async def _single(bench: Bench) -> Figure:
    bench.progress("delivery.enc_keys.1")
    return await _enc_keys(bench, "delivery.enc_keys.1", "requests/s", 1, SINGLE, 0.1)


async def _many(bench: Bench) -> Figure:
    bench.progress("delivery.enc_keys.128")
    return await _enc_keys(bench, "delivery.enc_keys.128", "keys/s", MANY, BULK, 1.0)


async def _enc_keys(bench: Bench, name: str, unit: str, number: int, connections: int, share: float) -> Figure:
    """Requests of `number` keys, for which a share of the pad may be spent."""
    line, request, rates, ceilings = bench.line, asking("b", number), [], []
    most = int(share * await _pad(bench) / (number * KEY + limits.TAG) / RUNS)
    async with connected(line.sae_url("a"), line.sae_tls("a"), connections) as callers:
        for _ in range(RUNS):
            with line.children.alone(line.agents["a"], bench.listener):
                load = await closed_loop(callers, iter([request] * most), bench.run)
                bare = await container_of(bench.listener, line, number, connections, bench.run)
            rates.append(number * load.rate)
            ceilings.append(number * bare.rate)
    return throughput(name, unit, rates, f"a constant container of {number} from a bare listener", ceilings)


async def _fetched(bench: Bench) -> Figure:
    """Single keys by their key_ID at `b`; they were made beforehand."""
    name = "delivery.dec_keys.1"
    bench.progress(name)
    line, rates, ceilings = bench.line, [], []
    requests = await _made(bench, int(RUNS * bench.run * _FETCHES))
    most = len(requests) // RUNS
    source = iter(requests)
    async with connected(line.sae_url("b"), line.sae_tls("b"), SINGLE) as callers:
        for _ in range(RUNS):
            with line.children.alone(line.agents["b"], bench.listener):
                load = await closed_loop(callers, islice(source, most), bench.run)
                bare = await container_of(bench.listener, line, 1, SINGLE, bench.run)
            rates.append(load.rate)
            ceilings.append(bare.rate)
    return throughput(name, "requests/s", rates, "a constant container of 1 from a bare listener", ceilings)


async def _made(bench: Bench, count: int) -> list[bytes]:
    """Requests of the slave for single keys that the master has just got."""
    line, path = bench.line, path_of(Method.DEC_KEYS, "sae-a")
    rounds = min(-(-count // MANY), await _pad(bench) // (2 * MANY * KEY))
    made: list[bytes] = []
    async with connected(line.sae_url("a"), line.sae_tls("a")) as (caller,):
        for _ in range(max(1, rounds)):
            container = decode_key_container(await caller.call(asking("b", MANY)))
            made += [post(path, encode(KeyIDs.of([key.key_id]))) for key in container.keys]
    return made

"""The main job of `quiver demo`: SAEs get keys, and what that took is measured; then things break, and a node joins."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Final

import msgspec

from quiver.client import KmeClient
from quiver.demo.draw import draw_plan
from quiver.demo.faults import FaultResult, Faults
from quiver.demo.join import join
from quiver.demo.load import Ledger, Load, Tally
from quiver.demo.network import DemoNetwork, running_network, state_directory
from quiver.demo.observer import Observer
from quiver.demo.pad import PadSnapshot, bits_per_key_bit_and_hop, settled_pad
from quiver.demo.plan import PairPlan
from quiver.demo.results import JobOptions, JobResult, PadFigures
from quiver.demo.steady import SteadyLoad
from quiver.demo.trace import Step, follow, read_events
from quiver.domain.errors import UnavailableError
from quiver.domain.network import PathEntry

__all__ = ["run_job"]

_SINGLES: Final = 20  # requests for one key each, with and without a buffer
_BESIDE: Final = 20  # keys of each pair beside the main one, in either direction
_BESIDE_BYTES: Final = 4096  # of key in one of their requests; their buffers are small

_STEADY: Final = {
    "main": (4096, 5, 0.1),
    "unbuffered": (256, 1, 0.25),
}  # pair → bits, keys in a request, seconds between two
_DRAIN: Final = (65_536, 2, 0.125)  # likewise: 128 KiB each second, to use up what a dark link has stored
_JOINED_BITS: Final = 256  # of the keys of the node that joins


async def run_job(options: JobOptions, say: Callable[[str], None]) -> JobResult:
    """Start the network, do the job, end the network.

    Raises:
        QuiverError: the network does not come up, or breaks where nobody broke it.
    """
    started = perf_counter()
    plan = draw_plan(options.seed, key_bytes=options.keys * options.size // 8)
    async with state_directory() as root, AsyncExitStack() as stack:
        level = "DEBUG" if options.trace else "INFO"
        network = await stack.enter_async_context(running_network(plan, root, say=say, log_level=level))
        observer = await stack.enter_async_context(Observer(network.files.identities))
        await observer.watch({node: network.files.places.planes[node]["tls"] for node in plan.nodes})
        await network.filled()
        say("the controller has made a path for each demand, and the buffers are filled")
        result = await _Job(network, observer, options, say).run()
        result.seconds = perf_counter() - started
    return result


class _Measured(msgspec.Struct):
    tally: Tally
    figure: float | None


class _Broken(msgspec.Struct):
    cut: FaultResult
    killed: FaultResult
    darkened: FaultResult


class _Job:
    def __init__(
        self, network: DemoNetwork, observer: Observer, options: JobOptions, say: Callable[[str], None]
    ) -> None:
        self._network: Final = network
        self._observer: Final = observer
        self._plan: Final = network.plan
        self._options: Final = options
        self._say: Final = say
        self._ledger: Final = Ledger()

    async def run(self) -> JobResult:
        """All loads, one after another: what each costs is told from the agents' counters before and after."""
        plan, keys = self._plan, self._options.keys
        tls = await self._network.peer_tls(plan.main.source, plan.main.destination)
        beside = {pair.name: await self._beside(pair) for pair in plan.pairs}
        self._say(f"{len(beside)} pairs of SAEs have shared some keys in both directions")
        async with AsyncExitStack() as stack:
            main = await self._load(stack, plan.main)
            unbuffered = await self._load(stack, plan.unbuffered)
            bulk = await self._measured(plan.main, lambda: main.bulk(keys, rate=plan.load_rate))
            self._say(f"{bulk.tally.delivered} of {keys} keys of {self._options.size} bits are at both ends")
            single = await self._measured(plan.main, lambda: main.singles(_SINGLES))
            alone = await self._measured(plan.unbuffered, lambda: unbuffered.singles(_SINGLES))
            self._say(f"{_SINGLES} single keys came from the buffer, {_SINGLES} more without one")
            traced = await self._trace(main) if self._options.trace else None
        calm, entries = await self._settled(), await self._entries()
        broken = await self._broken()
        joined = await join(self._network, self._observer, self._ledger, size=_JOINED_BITS, say=self._say)
        self._say(f"keys flow from {joined.node} to {joined.route[-1]}")
        return JobResult(
            options=self._options,
            plan=plan,
            entries=entries,
            bulk=bulk.tally,
            single=single.tally,
            unbuffered=alone.tally,
            beside=beside,
            pad=PadFigures(bulk=bulk.figure, single=single.figure, single_unbuffered=alone.figure),
            tls=tls,
            calm=calm,
            cut=broken.cut,
            killed=broken.killed,
            darkened=broken.darkened,
            joined=joined,
            last=await self._settled(),
            trace=traced,
        )

    # --- what keys cost -------------------------------------------------------------------------------------------

    async def _measured(self, pair: PairPlan, work: Callable[[], Awaitable[Tally]]) -> "_Measured":
        """A load of a pair, and what it cost."""
        before = await self._settled()
        tally = await work()
        after = await self._settled()
        key_bytes = tally.delivered * self._options.size // 8
        figure = bits_per_key_bit_and_hop(before, after, key_bytes, pair.virtual_link, self._observer.entries)
        return _Measured(tally, figure)

    async def _settled(self) -> PadSnapshot:
        await self._observer.reports()  # so that all path versions are known
        return await settled_pad(self._network.metrics, self._observer.entries)

    async def _entries(self) -> dict[str, PathEntry]:
        """Virtual link → the newest version of its path that its source holds."""
        found: dict[str, PathEntry] = {}
        for node, report in (await self._observer.reports()).items():
            for entry in sorted(report.configured, key=lambda entry: entry.version):
                if entry.source == node:
                    found[entry.virtual_link] = entry
        return found

    # --- loads ----------------------------------------------------------------------------------------------------

    async def _load(
        self, stack: AsyncExitStack, pair: PairPlan, *, back: bool = False, size: int | None = None
    ) -> Load:
        clients: list[KmeClient] = []
        names = (pair.slave, pair.master) if back else (pair.master, pair.slave)
        for name in names:
            client = self._network.client(name, post_quantum=pair.post_quantum)
            clients.append(await stack.enter_async_context(client))
        load = Load(clients[0], clients[1], names, size=size or self._options.size, ledger=self._ledger)
        await load.warm()
        return load

    async def _beside(self, pair: PairPlan) -> Tally:
        """Some keys of a pair in either direction; of the main one only back, the rest is the job itself."""
        keys = max(1, min(_BESIDE, _BESIDE_BYTES * 8 // self._options.size))
        total = Tally()
        for back in (True,) if pair == self._plan.main else (False, True):
            async with AsyncExitStack() as stack:
                total.add(await (await self._load(stack, pair, back=back)).bulk(keys))
        return total

    async def _trace(self, load: Load) -> list[Step]:
        """The way of one more key of the main pair."""
        tally = Tally(requested=1)
        keys = await load.exchange(1, tally)
        if not tally.flawless:
            raise UnavailableError(f"no key to follow: {'; '.join(tally.reasons)}")
        await self._observer.reports()
        logs = [self._network.files.logs / f"agent-{node}.log" for node in self._plan.nodes]
        return follow(keys[0].key_id, self._plan, self._observer.entries, read_events(logs))

    # --- what breaks ----------------------------------------------------------------------------------------------

    async def _broken(self) -> _Broken:
        """All faults, one after another, under a steady load with and without a buffer."""
        plan = self._plan
        async with AsyncExitStack() as stack:
            pairs = (plan.main, plan.unbuffered)
            drain = await self._steady(stack, plan.main, *_DRAIN, at_once=1)
            loads = {pair.name: await self._steady(stack, pair, *_STEADY[pair.name]) for pair in pairs}
            for load in loads.values():
                await stack.enter_async_context(load)
            faults = Faults(self._network, self._observer, pairs, loads)
            cut = await faults.cut()
            self._say(f"link {cut.what} was cut: {_words(cut)}")
            killed = await faults.kill()
            self._say(f"the agent of {killed.what} was killed: {_words(killed)}; it runs again")
            darkened = await faults.darken(drain)
            self._say(f"the quantum channel of {darkened.what} went dark: {_words(darkened)}")
        return _Broken(cut=cut, killed=killed, darkened=darkened)

    async def _steady(
        self, stack: AsyncExitStack, pair: PairPlan, size: int, number: int, interval: float, **bounds: int
    ) -> SteadyLoad:
        return SteadyLoad(await self._load(stack, pair, size=size), number, interval, **bounds)


def _words(fault: FaultResult) -> str:
    """When the paths had moved, in a line of progress."""
    moved = (
        f"{name} moved after {move.ready:.2f} s" if move.ready is not None else f"{name} has not moved"
        for name, move in fault.moves.items()
    )
    return ", ".join(moved) or "no path passed it"

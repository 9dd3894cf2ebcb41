"""The main job of `quiver demo`: each pair of SAEs gets keys, and what that took is measured."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Final

import msgspec

from quiver.client import KmeClient
from quiver.demo.load import Ledger, Load, Tally
from quiver.demo.network import DemoNetwork, running_network, state_directory
from quiver.demo.pad import PadSnapshot, bits_per_key_bit_and_hop, settled_pad
from quiver.demo.plan import PairPlan, Plan, draw_plan
from quiver.demo.trace import Step, follow, read_events
from quiver.domain.errors import UnavailableError
from quiver.net.tls import PeerFacts

__all__ = ["JobOptions", "JobResult", "PadFigures", "run_job"]

_SINGLES: Final = 20  # requests for one key each, with and without a buffer
_BESIDE: Final = 20  # keys of each pair beside the main one, in either direction
_BESIDE_BYTES: Final = 4096  # of key in one of their requests; their buffers are small


class JobOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        keys: on the main pair.
        size: bits of each key.
        seed: of the network.
        trace: whether to follow one key.
    """

    keys: int
    size: int
    seed: int
    trace: bool = False


class PadFigures(msgspec.Struct, kw_only=True):
    """Link-pad bits per key bit and hop; None where nothing was delivered."""

    bulk: float | None = None
    single: float | None = None
    single_unbuffered: float | None = None


class JobResult(msgspec.Struct, kw_only=True):
    """What happened.

    Attributes:
        options: what was to be done.
        plan: the network.
        bulk: the main pair's job.
        single: single keys from the main pair's filled buffer.
        unbuffered: single keys over as many hops without one.
        beside: pair → what the other pairs got, both directions.
        pad: its cost.
        tls: what protects the peer plane, from a real connection.
        last: counters at the end.
        trace: one key's way, where wanted.
        seconds: from the start to the end of the last request.
    """

    options: JobOptions
    plan: Plan
    bulk: Tally
    single: Tally
    unbuffered: Tally
    beside: dict[str, Tally]
    pad: PadFigures
    tls: PeerFacts
    last: PadSnapshot
    trace: list[Step] | None
    seconds: float = 0.0

    @property
    def flawless(self) -> bool:
        """Whether every key that was wanted is at both its SAEs, equal and once."""
        return all(tally.flawless for tally in (self.bulk, self.single, self.unbuffered, *self.beside.values()))


async def run_job(options: JobOptions, say: Callable[[str], None]) -> JobResult:
    """Start the network, do the job, end the network.

    Raises:
        QuiverError: the network does not come up, or breaks.
    """
    started = perf_counter()
    plan = draw_plan(options.seed, key_bytes=options.keys * options.size // 8)
    async with state_directory() as root, AsyncExitStack() as stack:
        level = "DEBUG" if options.trace else "INFO"
        network = await stack.enter_async_context(running_network(plan, root, say=say, log_level=level))
        await network.filled()
        say("the buffers are filled")
        result = await _Job(network, options, say).run()
        result.seconds = perf_counter() - started
    return result


class _Measured(msgspec.Struct):
    tally: Tally
    figure: float | None


class _Job:
    def __init__(self, network: DemoNetwork, options: JobOptions, say: Callable[[str], None]) -> None:
        self._network: Final = network
        self._plan: Final = network.plan
        self._options: Final = options
        self._say: Final = say
        self._ledger: Final = Ledger()
        self._entries: Final = {entry.key: entry for entry in self._plan.paths}
        self._metrics: Final = {node: str(ready["metrics_url"]) for node, ready in network.agents.items()}

    async def run(self) -> JobResult:
        """All loads, one after another: what each costs is told from the agents' counters before and after."""
        plan, keys = self._plan, self._options.keys
        tls = await self._network.peer_tls(plan.main.route[0], plan.main.route[-1])
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
        return JobResult(
            options=self._options,
            plan=plan,
            bulk=bulk.tally,
            single=single.tally,
            unbuffered=alone.tally,
            beside=beside,
            pad=PadFigures(bulk=bulk.figure, single=single.figure, single_unbuffered=alone.figure),
            tls=tls,
            last=await self._settled(),
            trace=traced,
        )

    async def _measured(self, pair: PairPlan, work: Callable[[], Awaitable[Tally]]) -> "_Measured":
        """A load of a pair, and what it cost."""
        before = await self._settled()
        tally = await work()
        after = await self._settled()
        key_bytes = tally.delivered * self._options.size // 8
        figure = bits_per_key_bit_and_hop(before, after, key_bytes, pair.entries[0], self._entries)
        return _Measured(tally, figure)

    async def _settled(self) -> PadSnapshot:
        return await settled_pad(self._metrics, self._entries)

    async def _load(self, stack: AsyncExitStack, pair: PairPlan, *, back: bool = False) -> Load:
        clients: list[KmeClient] = []
        names = (pair.slave, pair.master) if back else (pair.master, pair.slave)
        for name in names:
            client = self._network.client(name, post_quantum=pair.post_quantum)
            clients.append(await stack.enter_async_context(client))
        load = Load(clients[0], clients[1], names, size=self._options.size, ledger=self._ledger)
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
        files = self._network.files
        logs = [files.logs / f"agent-{node}.log" for node in self._plan.nodes]
        return follow(keys[0].key_id, self._plan, read_events(logs))

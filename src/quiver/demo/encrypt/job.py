"""The demonstration itself: traffic through a tunnel whose keys are relayed, and change, while links are cut and relays die."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from quiver.demo.draw import draw_plan
from quiver.demo.encrypt.consumers import Consumers
from quiver.demo.encrypt.link import link_sites
from quiver.demo.encrypt.results import EncryptOptions, EncryptResult
from quiver.demo.encrypt.site import Sites
from quiver.demo.encrypt.wireguard import missing, wireguard_sites
from quiver.demo.faults import FaultResult, Faults, Meanwhile
from quiver.demo.network import DemoNetwork, running_network, state_directory
from quiver.demo.observer import Observer
from quiver.domain.errors import UnavailableError

__all__ = ["Live", "run_encrypt"]

_QUIET: Final = 0.7  # share of the interval after a rollover in which nothing breaks: the fault then meets the next key
_FIRST: Final = 60.0  # seconds until the tunnel has its first key
_SLACK: Final = 3.0  # intervals until a rollover that does not come counts as one that will not


class Live:
    """What can be looked at while it runs.

    Attributes:
        result: so far; None before traffic flows.
        broken: what is broken now.
    """

    def __init__(self) -> None:
        self.result: EncryptResult | None = None
        self.broken: str | None = None


async def run_encrypt(options: EncryptOptions, say: Callable[[str], None], live: Live) -> EncryptResult:
    """Start the network and the tunnel, let traffic flow, break things, and end everything.

    Args:
        options: what to do.
        say: gets a line about each step.
        live: is kept up to date.

    Raises:
        QuiverError: something does not come up, or breaks where nobody broke it.
    """
    plan = draw_plan(options.seed)
    async with state_directory() as root, AsyncExitStack() as stack:
        network = await stack.enter_async_context(running_network(plan, root, say=say))
        observer = await stack.enter_async_context(Observer(network.files.identities))
        await observer.watch({node: network.files.places.planes[node]["tls"] for node in plan.nodes})
        await network.filled()
        say("the controller has made a path for each demand, and the buffers are filled")
        state = root / "consumers"
        state.mkdir(mode=0o700)
        sites = await stack.enter_async_context(_sites(options.kind, (plan.main.master, plan.main.slave), state, say))
        say(f"two sites: {sites.words}")
        return await _Job(options, network, observer, sites, state, say, live).run()


@asynccontextmanager
async def _sites(kind: str, saes: tuple[str, str], state: Path, say: Callable[[str], None]) -> AsyncIterator[Sites]:
    """WireGuard, or the link encryptor: where the kind is `auto`, because WireGuard cannot be shown here."""
    if kind == "auto" and (reason := missing()) is not None:
        say(f"no WireGuard: {reason}")
        kind = "link"
    if kind == "link":
        async with link_sites(saes) as link:
            yield link
    else:
        async with wireguard_sites(saes, state) as wireguard:
            yield wireguard


class _Job:
    def __init__(
        self,
        options: EncryptOptions,
        network: DemoNetwork,
        observer: Observer,
        sites: Sites,
        state: Path,
        say: Callable[[str], None],
        live: Live,
    ) -> None:
        self._options: Final = options
        self._network: Final = network
        self._sites: Final = sites
        self._say: Final = say
        self._live: Final = live
        self._consumers: Final = Consumers(network, sites, state)
        self._faults: Final = Faults(network, observer, (network.plan.main,), {})
        self._done: Final[list[FaultResult]] = []
        self._began = 0.0

    async def run(self) -> EncryptResult:
        """All of it."""
        await self._consumers.start()
        async with asyncio.timeout(_FIRST):
            while not (await self._consumers.state()).keys:  # noqa: ASYNC110  # likewise
                await asyncio.sleep(0.2)
        self._say("both consumers have their first key of the network")
        async with self._sites.traffic:
            self._began = perf_counter()
            self._say("traffic flows through the tunnel")
            looking = asyncio.create_task(self._look())
            try:
                await self._rollovers()
            finally:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)
            seconds = perf_counter() - self._began
        return await self._result(seconds)

    async def _rollovers(self) -> None:
        """One rollover after the other; before each but the first something breaks, and is repaired after it."""
        await self._reach(1)
        for number in range(2, self._options.rollovers + 1):
            await asyncio.sleep(_QUIET * self._sites.interval)
            fault = await (self._faults.cut if number % 2 == 0 else self._faults.kill)(self._hold(number))
            self._live.broken = None
            self._done.append(fault)
            self._say(f"{fault.what} is repaired")

    def _hold(self, number: int) -> Meanwhile:
        """What happens while something is broken: the next rollover."""

        async def hold(fault: FaultResult) -> None:
            what = f"link {fault.what} is cut" if number % 2 == 0 else f"the agent of {fault.what} was killed"
            moved = [move.ready for move in fault.moves.values()]
            self._live.broken = what
            times = ", ".join(f"{one:.2f} s" for one in moved if one is not None)
            self._say(f"{what}: keys had another way after {times}" if times else f"{what}: keys have no other way")
            await self._reach(number)

        return hold

    async def _reach(self, number: int) -> None:
        limit = _SLACK * self._sites.interval + _FIRST
        try:
            async with asyncio.timeout(limit):
                state = await self._consumers.until(number)
        except TimeoutError:
            raise UnavailableError(f"rollover {number} did not come within {limit:.0f} s") from None
        self._say(f"rollover {state.rollovers}: the tunnel uses a new key at both ends")

    async def _look(self) -> None:
        """Keep what can be looked at up to date."""
        while True:
            self._live.result = await self._result(perf_counter() - self._began)
            await asyncio.sleep(0.5)

    async def _result(self, seconds: float) -> EncryptResult:
        plan = self._network.plan
        return EncryptResult(
            options=self._options,
            kind=self._sites.kind,
            words=self._sites.words,
            saes=(plan.main.master, plan.main.slave),
            hops=plan.main.hops,
            faults=list(self._done),
            state=await self._consumers.state(),
            counts=self._sites.traffic.counts,
            seconds=seconds,
        )

"""One run: a mesh, traffic on it, random steps of one seed, and then every check."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from quiver.client import KmeClient
from quiver.demo.observer import Observer
from quiver.domain.errors import RemoteError
from tests.chaos import checks
from tests.chaos.mesh import NODES, PAIRS, PLAN, Mesh, running_mesh
from tests.chaos.steps import Step, Steps
from tests.scenarios.traffic import Traffic

WHOLE = 30.0  # seconds until everything has to be whole again: pauses between repeats have grown to some seconds
HEALED = 90.0  # seconds for which that is looked at, so that a failure says whether it came at all
LOOK = 0.5
CALM = 3  # requests of each direction after which a network without faults has burned nothing more
TRIES = 5  # of that: paths may still move to a better route, which burns what was open on the old one

Say = Callable[[str], None]


class Outcome(NamedTuple):
    """What a run has found.

    Attributes:
        steps: that were taken.
        keys: that came to both sides.
        healed: seconds from the last repair until all was whole.
        violations: sentences about what must not be.
    """

    seed: int
    steps: list[Step]
    keys: int
    healed: float
    violations: list[str]

    def __str__(self) -> str:
        lines = [f"{number}. {step}" for number, step in enumerate(self.steps, 1)]
        head = f"seed {self.seed}: {len(self.steps)} steps, {self.keys} keys, whole after {self.healed:.1f} s"
        return "\n".join([head, *(lines if self.violations else []), *self.violations])


async def run(seed: int, steps: int, root: Path, say: Say = lambda _: None) -> Outcome:
    """Run, with everything in an empty directory."""
    async with running_mesh(root, say) as mesh, _traffic(mesh) as traffic:
        chaos = Steps(mesh, traffic, random.Random(seed))
        healed, violations = 0.0, list[str]()
        async with asyncio.TaskGroup() as running:
            asking = [running.create_task(one.run()) for one in traffic]
            for number in range(1, steps + 1):
                say(f"{number}. {await chaos.take()}")
            say("all faults end")
            await mesh.heal()
            begun = time.monotonic()
            async with mesh.auditor() as observer:
                violations += await _whole(mesh, observer)
                healed = time.monotonic() - begun
                say(f"whole after {healed:.1f} s")
                violations += [f"whole only after {healed:.1f} s"] if healed > WHOLE else []
                violations += await _calm(traffic, observer)
                violations += checks.burned_pad_is_explained(await observer.reports())
            for task in asking:
                task.cancel()
        for one in traffic:
            await one.settle()
        keys = [key for one in traffic for key in one.keys]
        violations += checks.keys_are_equal_and_once(keys)
        violations += [f"{one.names} got nothing" for one in traffic if not one.fetched]
        violations += checks.versions_name_one_route(await _history(mesh)) + checks.terms_rise(chaos.terms)
        violations += mesh.surprises
    violations += checks.nobody_raised_an_alarm(root / "logs")
    violations += checks.pad_is_accounted_for({node: root / "agents" / node / "keys.sqlite" for node in NODES})
    return Outcome(seed, chaos.taken, len(keys), healed, violations)


@asynccontextmanager
async def _traffic(mesh: Mesh) -> AsyncIterator[list[Traffic]]:
    """Both directions of both pairs."""
    async with AsyncExitStack() as stack:
        clients: dict[str, KmeClient] = {}
        for sae in PLAN.homes:
            clients[sae] = await stack.enter_async_context(mesh.network.client(sae, post_quantum=True))
        yield [
            Traffic(clients[master], clients[slave], (master, slave), count=2, rest=0.5)
            for pair in PAIRS
            for master, slave in ((pair.master, pair.slave), (pair.slave, pair.master))
        ]


async def _whole(mesh: Mesh, observer: Observer) -> list[str]:
    """What is not whole when the time for it is over."""
    end = time.monotonic() + HEALED
    async with mesh.operator() as operator:
        while True:
            try:
                reports, paths = await observer.reports(), await operator.all("paths")
            except RemoteError as error:
                found = [f"cannot be read: {error.message}"]
            else:
                found = checks.paths_are_whole_or_absent(reports)
                found += checks.nothing_is_left_over(reports, paths)
                found += checks.demands_have_credit(reports, (demand.name for demand in PLAN.demands))
            if not found or time.monotonic() > end:
                return found
            await asyncio.sleep(LOOK)


async def _calm(traffic: list[Traffic], observer: Observer) -> list[str]:
    """Pad that is burned although there is no fault any more and no path moves."""
    found: list[str] = []
    for _ in range(TRIES):
        before = await observer.reports()
        async with asyncio.timeout(HEALED):
            await asyncio.gather(*(one.served_again(CALM) for one in traffic))
        after = await observer.reports()
        found = [
            f"{node} burns without a fault: {before[node].burned} became {after[node].burned}"
            for node in NODES
            if before[node].burned != after[node].burned
        ]
        if not found:
            break
    return found


async def _history(mesh: Mesh) -> list[dict[str, Any]]:
    """All that the controllers have noted, each with the memory of those before it."""
    found: list[dict[str, Any]] = []
    async with mesh.operator() as operator:
        while page := (await operator.get("history", after=found[-1]["number"] if found else 0))["items"]:
            found += page
    return found

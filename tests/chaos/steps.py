"""Random steps, all of one seed: something is killed, stopped, started again, cut or repaired, and then something else may come.

Which steps come is the seed's; how far the network is when they come is not, as its processes run as fast as they can. So a seed
that failed may pass the next time: the steps that were taken are printed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, NamedTuple

from quiver.client.operator import OperatorClient
from quiver.domain.errors import RemoteError
from tests.chaos.mesh import PLAN, Mesh
from tests.scenarios.traffic import Traffic

DEAD = 2  # agents at a time at most, those that are stopped included
CUT = 2  # links at a time at most
PATIENCE = 5.0  # seconds that a step waits for what may never come while so much is broken
LOOK = 0.1


class What(StrEnum):
    KILL = "kill"
    START = "start"
    STOP = "stop"
    RESUME = "resume"
    KILL_CONTROLLER = "kill controller"
    START_CONTROLLER = "start controller"
    CUT = "cut"
    REPAIR = "repair"


class Then(StrEnum):
    """What is waited for before the next step."""

    NOTHING = "at once"
    KEYS = "keys were delivered"
    NEWS = "the controller has done something"
    SESSIONS = "the controller has a session with each living agent"


WEIGHTS = {
    What.KILL: 4,
    What.START: 5,
    What.STOP: 2,
    What.RESUME: 3,
    What.KILL_CONTROLLER: 2,
    What.START_CONTROLLER: 5,
    What.CUT: 2,
    What.REPAIR: 2,
}


class Step(NamedTuple):
    """One step: what, of whom, and what is waited for."""

    what: What
    whom: str
    then: Then

    def __str__(self) -> str:
        return f"{self.what} {self.whom}".strip() + f", {self.then}"


class Steps:
    """Takes steps.

    Args:
        mesh: that runs.
        traffic: under which they are taken.
        chance: of the seed.
    """

    def __init__(self, mesh: Mesh, traffic: list[Traffic], chance: random.Random) -> None:
        self._mesh, self._traffic, self._chance = mesh, traffic, chance
        self.taken: list[Step] = []
        self.terms: list[int] = []  # of each controller that was seen to lead

    def _draw(self) -> Step:
        mesh, links = self._mesh, {link.id for link in PLAN.links}
        hurt = len(mesh.dead | mesh.stopped)
        whom: dict[What, set[str]] = {
            What.KILL: mesh.alive if hurt < DEAD else set(),
            What.START: mesh.dead,
            What.STOP: mesh.alive if hurt < DEAD else set(),
            What.RESUME: mesh.stopped,
            What.KILL_CONTROLLER: {""} if mesh.leads else set(),
            What.START_CONTROLLER: set() if mesh.leads else {""},
            What.CUT: links - mesh.cut if len(mesh.cut) < CUT else set(),
            What.REPAIR: mesh.cut,
        }
        possible = [what for what, names in whom.items() if names]
        (what,) = self._chance.choices(possible, [WEIGHTS[one] for one in possible])
        return Step(what, self._chance.choice(sorted(whom[what])), self._chance.choice(list(Then)))

    async def take(self) -> Step:
        """Take one step."""
        step = self._draw()
        self.taken.append(step)
        mesh = self._mesh
        match step.what:
            case What.KILL:
                await mesh.kill(step.whom)
            case What.START:
                await mesh.start(step.whom)
            case What.STOP:
                mesh.stop(step.whom)
            case What.RESUME:
                mesh.resume(step.whom)
            case What.KILL_CONTROLLER:
                await mesh.kill_controller()
            case What.START_CONTROLLER:
                await mesh.start_controller()
            case What.CUT:
                await mesh.fault(step.whom)
            case What.REPAIR:
                await mesh.repair(step.whom)
        await self._wait(step.then)
        return step

    # --- waiting --------------------------------------------------------------------------------------------------

    async def _wait(self, then: Then) -> None:
        waits: dict[Then, Callable[[], Awaitable[None]]] = {
            Then.KEYS: self._keys,
            Then.NEWS: self._news,
            Then.SESSIONS: self._sessions,
        }
        if then in waits and (then is Then.KEYS or self._mesh.leads):
            try:
                async with asyncio.timeout(PATIENCE):
                    await waits[then]()
            except TimeoutError:
                return

    async def _keys(self) -> None:
        served = [asyncio.create_task(one.served_again(1)) for one in self._traffic]
        try:
            await asyncio.wait(served, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in served:
                task.cancel()

    async def _news(self) -> None:
        async with self._mesh.operator() as operator:
            first = (await self._network(operator))["newest"]
            await self._until(operator, lambda found: found["newest"] > first)

    async def _sessions(self) -> None:
        async with self._mesh.operator() as operator:
            await self._until(operator, lambda found: found["sessions"] >= len(self._mesh.alive))

    async def _until(self, operator: OperatorClient, holds: Callable[[dict[str, Any]], bool]) -> None:
        found = await self._network(operator)
        while not holds(found):
            await asyncio.sleep(LOOK)
            found = await self._network(operator)

    async def _network(self, operator: OperatorClient) -> dict[str, Any]:
        """The network in a few figures, as soon as the controller tells them."""
        while True:
            try:
                found: dict[str, Any] = await operator.get("network")
            except RemoteError:
                await asyncio.sleep(LOOK)
                continue
            if found["phase"] == "leading" and found["term"] not in self.terms:
                self.terms.append(found["term"])
            return found

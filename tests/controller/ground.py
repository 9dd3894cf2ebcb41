"""An engine over a network on paper, with a real database, that tests can watch turn by turn."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from quiver.controller.database import ControllerDatabase
from quiver.controller.endpoints import AgentTable
from quiver.controller.engine import Engine
from quiver.domain.sdn.controller import Controller
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.optimising import Plan, Work, solve
from tests.controller.paper_network import PaperNetwork

PATIENCE = 60.0  # seconds until a test that waits for good is ended; nothing is measured by it


class HereSolver:
    """Solves where it is asked."""

    def __init__(self) -> None:
        self.works: list[Work] = []

    async def solve(self, work: Work) -> Plan:
        self.works.append(work)
        return solve(work)

    async def stop(self) -> None:
        """Nothing is held."""


class WatchedEngine(Engine):
    """Tells of each turn."""

    turned: asyncio.Event

    async def _rest(self, controller: Controller) -> None:
        self.turned.set()
        await super()._rest(controller)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds after a turn."""
        async with asyncio.timeout(PATIENCE):
            while not (self.trouble is None and holds()):
                self.turned.clear()
                await self.turned.wait()

    def up(self, demand: str) -> bool:
        """Whether all paths of a demand have credit."""
        return any(row.demand.name == demand and row.up >= row.demand.paths for row in self.live().demands)

    def route(self, demand: str, path: int = 1) -> tuple[str, ...]:
        """The route in use."""
        return next(row.nodes for row in self.live().paths if (row.virtual_link, row.path) == (demand, path))


@asynccontextmanager
async def running(
    state: Path,
    network: PaperNetwork,
    *demands: Demand,
    agents: Sequence[AgentTable] | None = None,
    database: Callable[[Path], ControllerDatabase] = ControllerDatabase,
    ready: bool = True,
) -> AsyncIterator[WatchedEngine]:
    """An engine that runs until the end of the block."""
    held = database(state / "controller.sqlite")
    engine = WatchedEngine(held, network, HereSolver())
    engine.turned = asyncio.Event()
    tables = network.tables() if agents is None else agents
    task = asyncio.create_task(engine.run(tables, demands))
    try:
        if ready:
            await engine.until(lambda: True)
        yield engine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        held.close()

"""Allocations are computed in a process of their own, which nobody has to clear away."""

import asyncio
import signal
from pathlib import Path

import pytest

from quiver.controller.background import ChildSolver, Planner
from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.domain.sdn.demands import Demand, Origin
from quiver.domain.sdn.optimising import Plan, Work, solve
from tests.controller.ground import PATIENCE, HereSolver, running
from tests.controller.paper_network import PaperNetwork

A_TO_D = Demand(name="a-d", source="a", destination="d", rate=1000, origin=Origin.FILE)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """What a controller wants to know."""
    monkeypatch.setattr(limits, "ALLOCATION_INTERVAL", 0.0)

    async def main() -> Work:
        network = PaperNetwork("a-b", "b-d", "a-c", "c-d")
        async with asyncio.timeout(PATIENCE), running(tmp_path, network, A_TO_D) as engine:
            solver = engine.planner._solver
            assert isinstance(solver, HereSolver)
            await engine.until(lambda: engine.planner.newest is not None)
            return solver.works[-1]

    return asyncio.run(main())


def test_the_child_finds_what_would_be_found_here(work: Work) -> None:
    async def main() -> None:
        solver = ChildSolver()
        assert await solver.solve(work) == await solver.solve(work) == solve(work)
        await solver.stop()

    asyncio.run(main())


def test_a_child_that_dies_costs_one_allocation(work: Work) -> None:
    async def main() -> None:
        solver = ChildSolver()
        await solver.solve(work)
        assert solver._child is not None
        solver._child.send_signal(signal.SIGSTOP)
        late = asyncio.create_task(solver.solve(work))
        await asyncio.sleep(0)
        solver._child.kill()
        with pytest.raises(RemoteError):
            await late
        assert await solver.solve(work) == solve(work)
        await solver.stop()

    asyncio.run(main())


def test_the_child_ends_with_its_parent(work: Work) -> None:
    async def main() -> None:
        solver = ChildSolver()
        await solver.solve(work)
        child = solver._child
        assert child is not None
        assert child.stdin is not None
        child.stdin.close()  # as the kernel does for a parent that was killed
        assert await child.wait() == 0

    asyncio.run(main())


def test_one_allocation_is_computed_at_a_time(work: Work) -> None:
    class Slow:
        def __init__(self) -> None:
            self.go, self.begun = asyncio.Event(), 0

        async def solve(self, work: Work) -> Plan:
            self.begun += 1
            await self.go.wait()
            return solve(work)

        async def stop(self) -> None:
            """Nothing is held."""

    async def main() -> None:
        solver, plans = Slow(), asyncio.Queue[Plan]()
        planner = Planner(solver, plans.put_nowait)
        for _ in range(3):
            planner.start(work)
            await asyncio.sleep(0)
        solver.go.set()
        await plans.get()
        assert (solver.begun, plans.empty()) == (1, True)
        await planner.stop()

    asyncio.run(main())

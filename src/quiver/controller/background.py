"""Global allocations beside the event loop: in a process of its own, since solving one takes up to seconds of Python.

The child reads works from its stdin and writes plans to its stdout, each as a length and a pickle; it ends with its parent, as
its stdin does. Pickles pass between this process and its own child only.
"""

import asyncio
import contextlib
import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import BinaryIO, Final, Protocol

import msgspec
import structlog

from quiver.domain import limits
from quiver.domain.errors import RemoteError
from quiver.domain.sdn.optimising import Plan, Work, solve
from quiver.net.log import place_of

__all__ = ["ChildSolver", "Planned", "Planner", "Solver", "serve"]

_log = structlog.get_logger("quiver.controller.background")
_LENGTH: Final = 8  # bytes
_NICE: Final = 10  # rerouting goes first
_PROGRAM: Final = "from quiver.controller.background import serve; serve()"


class Solver(Protocol):
    """Computes allocations."""

    async def solve(self, work: Work) -> Plan:
        """The plan.

        Raises:
            RemoteError: there is none.
        """
        ...

    async def stop(self) -> None:
        """Let go of what it uses."""
        ...


class ChildSolver:
    """A child process, made at the first work and again after it failed."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None

    async def solve(self, work: Work) -> Plan:
        """As `Solver.solve`. A child that takes longer than `limits.ALLOCATION_TIME` is ended.

        Raises:
            RemoteError: there is none.
        """
        try:
            async with asyncio.timeout(limits.ALLOCATION_TIME):
                return await self._exchange(work)
        except (TimeoutError, OSError, EOFError, asyncio.IncompleteReadError) as error:
            await self.stop()
            raise RemoteError(f"no allocation: {type(error).__name__}") from None
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def _exchange(self, work: Work) -> Plan:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        body = pickle.dumps(work)
        self._child.stdin.write(len(body).to_bytes(_LENGTH, "big") + body)
        await self._child.stdin.drain()
        length = int.from_bytes(await self._child.stdout.readexactly(_LENGTH), "big")
        if length == 0:
            raise EOFError
        plan = pickle.loads(await self._child.stdout.readexactly(length))  # noqa: S301  # our own child's
        assert isinstance(plan, Plan)
        return plan

    async def stop(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def serve() -> None:
    """The child: works in, plans out, until there are no more."""
    os.nice(_NICE)
    works, plans = sys.stdin.buffer, sys.stdout.buffer
    while (body := _read(works)) is not None:
        try:
            answer = pickle.dumps(solve(pickle.loads(body)))  # noqa: S301  # our own parent's
        except Exception as error:  # noqa: BLE001  # the next work may be solved
            _log.error("allocation failed", exception=place_of(error))
            answer = b""
        plans.write(len(answer).to_bytes(_LENGTH, "big") + answer)
        plans.flush()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(_LENGTH)
    return stream.read(int.from_bytes(head, "big")) if len(head) == _LENGTH else None


class Planned(msgspec.Struct, frozen=True):
    """The newest allocation.

    Attributes:
        time: when it was there, seconds since 1970-01-01 UTC.
        seconds: that it took.
        plan: the allocation.
    """

    time: float
    seconds: float
    plan: Plan


class Planner:
    """Has one allocation computed at a time.

    Args:
        solver: computes them.
        hand_in: takes each plan.
    """

    def __init__(self, solver: Solver, hand_in: Callable[[Plan], None]) -> None:
        self._solver: Final = solver
        self._hand_in: Final = hand_in
        self._task: asyncio.Task[None] | None = None
        self.newest: Planned | None = None
        self.failures = 0

    def start(self, work: Work) -> None:
        """Begin with a work; not while another is under way, which the controller does not ask for."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._solve(work))

    async def _solve(self, work: Work) -> None:
        began = time.monotonic()
        try:
            plan = await self._solver.solve(work)
        except RemoteError as error:
            self.failures += 1
            _log.error("allocation failed", reason=error.message)
            return
        self.newest = Planned(time.time(), time.monotonic() - began, plan)
        self._hand_in(plan)

    def drop(self) -> None:
        """Nobody waits for what is under way any more."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._solver.stop()

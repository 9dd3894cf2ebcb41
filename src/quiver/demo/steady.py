"""A load that goes on whatever happens to the network: requests at fixed moments, not when the one before has been answered."""

import asyncio
from time import perf_counter
from types import TracebackType
from typing import Final, Self

from quiver.demo.load import Load, Tally

__all__ = ["SteadyLoad"]

_AT_ONCE: Final = 64  # requests under way; more would only tell that nothing is answered any more


class SteadyLoad:
    """Asks for keys until it is left; then waits for what it has asked for.

    Args:
        load: of a pair of SAEs.
        number: keys in each request.
        interval: seconds between two requests.
        at_once: requests under way at most; with one a network that is slow is asked for less.
    """

    def __init__(self, load: Load, number: int, interval: float, *, at_once: int = _AT_ONCE) -> None:
        self._load: Final = load
        self._number: Final = number
        self._interval: Final = interval
        self._at_once: Final = at_once
        self._tally = Tally()
        self._ends: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._ends.set()
        if kind is not None:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=kind is not None)

    def turn(self) -> Tally:
        """Count anew: what is asked for from now on. The tally is complete once the load has been left."""
        self._tally = Tally()
        return self._tally

    async def _run(self) -> None:
        due = perf_counter()
        room = asyncio.Semaphore(self._at_once)
        async with asyncio.TaskGroup() as group:
            while not self._ends.is_set():
                await room.acquire()
                self._tally.requested += self._number
                group.create_task(self._ask(self._tally, room))
                due = max(due + self._interval, perf_counter())  # what this machine has missed is not made up for
                await asyncio.sleep(due - perf_counter())

    async def _ask(self, tally: Tally, room: asyncio.Semaphore) -> None:
        try:
            await self._load.exchange(self._number, tally)
        finally:
            room.release()

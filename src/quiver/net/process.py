"""What daemons do with signals, with the task that is their work, and so that their memory is written nowhere."""

import asyncio
import ctypes
import resource
import signal
from collections.abc import Awaitable, Callable
from typing import Final

__all__ = ["HangUp", "ended", "keep_memory", "signalled"]

_PR_SET_DUMPABLE: Final = 4


class HangUp:
    """What SIGHUP does: once more after what it does now, where it comes meanwhile, as the files may have changed again.

    Args:
        act: takes the files over; does not raise.
    """

    def __init__(self, act: Callable[[], Awaitable[None]]) -> None:
        self._act: Final = act
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        """The signal has come."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._again:
            self._again = False
            await self._act()


def keep_memory() -> None:
    """No core file of this process, whatever happens to it: pads and keys are in its memory (rule 4). No debugger either.

    The limit alone does not hold where the system pipes core files to a program (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def ended(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def signalled(running: "asyncio.Task[None]") -> None:
    """Wait for SIGINT or SIGTERM, or until the daemon's work ends by itself, which is an error.

    Raises:
        Exception: as the work has.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait((waiting, running), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()

"""What daemons do with signals and with the task that is their work."""

import asyncio
import signal

__all__ = ["ended", "signalled"]


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

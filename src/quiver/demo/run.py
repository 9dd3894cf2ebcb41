"""`quiver demo` without its command line: do the work, or serve, until a signal comes; nothing is left in either case."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from quiver.demo.draw import draw_plan
from quiver.demo.network import DemoNetwork, running_network, state_directory
from quiver.demo.processes import Command

__all__ = ["serve", "until_signalled"]

T = TypeVar("T")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_signalled(work: Coroutine[Any, Any, T]) -> T | None:
    """The work's result; None where SIGINT, SIGTERM or SIGHUP ended it. Its clean-up runs to its end either way.

    Further signals change nothing: Ctrl-C pressed twice leaves no more behind than once.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work)
    ended: list[int] = []

    def end(number: int) -> None:
        if not ended:
            ended.append(number)
            task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not ended:
            raise
        return None
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def serve(seed: int, say: Callable[[str], None], tell: Callable[[DemoNetwork], None]) -> None:
    """Run the network until cancelled.

    Args:
        seed: of the network.
        say: gets a line about each step, and about each child that dies: the rest goes on.
        tell: gets the network once its buffers are filled.

    Raises:
        QuiverError: the network does not come up.
    """

    def died(command: Command, code: int) -> None:
        say(f"{command.name} has ended with exit code {code}; the rest goes on. Its log: {command.log}")

    async with state_directory() as root, running_network(draw_plan(seed), root, say=say, on_death=died) as network:
        await network.filled()
        tell(network)
        await asyncio.Event().wait()

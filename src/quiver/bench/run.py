"""The groups of figures, and one run of the command."""

import asyncio
import contextlib
import enum
import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from quiver.bench.delivery import measure_delivery
from quiver.bench.figures import Figure, Machine, Report
from quiver.bench.netconf import measure_netconf
from quiver.bench.progress import Progress
from quiver.bench.relay import measure_relay
from quiver.bench.routing import measure_routing

__all__ = ["Group", "measure"]


class Group(enum.Enum):
    """What is measured together, on one network."""

    RELAY = "relay"
    DELIVERY = "delivery"
    ROUTING = "routing"
    NETCONF = "netconf"
    ALL = "all"


_GROUPS: Final[dict[Group, Callable[[Path, float, Progress], Awaitable[list[Figure]]]]] = {
    Group.RELAY: measure_relay,
    Group.DELIVERY: measure_delivery,
    Group.ROUTING: measure_routing,
    Group.NETCONF: measure_netconf,
}


async def measure(group: Group, seconds: float, progress: Progress) -> Report:
    """Measure; all that was started and written is gone when this returns, also after SIGINT and SIGTERM.

    Args:
        group: which figures.
        seconds: that each may take, its ceiling included, not counting the start of its network.
        progress: is told what goes on.

    Raises:
        RemoteError: a process did not start, or a request was refused.
        asyncio.CancelledError: a signal came.
    """
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    machine, figures = Machine.here(), list[Figure]()
    with contextlib.ExitStack() as stack:
        for one, work in _GROUPS.items():
            if group in (one, Group.ALL):
                root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quiver-bench-")))
                figures += await work(root, seconds, progress)
    return Report(machine, figures)

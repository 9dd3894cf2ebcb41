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
from quiver.bench.rerouting import measure_reroutes
from quiver.bench.routing import measure_routing

__all__ = ["Group", "measure"]


class Group(enum.Enum):
    """What is measured together, on one network."""

    RELAY = "relay"
    DELIVERY = "delivery"
    ROUTING = "routing"
    REROUTE = "reroute"
    NETCONF = "netconf"
    ALL = "all"


_Work = Callable[[Path, float, Progress], Awaitable[list[Figure]]]
_WORK: Final[tuple[tuple[_Work, frozenset[Group]], ...]] = (
    (measure_relay, frozenset({Group.RELAY, Group.ALL})),
    (measure_delivery, frozenset({Group.DELIVERY, Group.ALL})),
    (measure_routing, frozenset({Group.ROUTING, Group.ALL})),
    (measure_reroutes, frozenset({Group.REROUTE, Group.ROUTING, Group.ALL})),
    (measure_netconf, frozenset({Group.NETCONF, Group.ROUTING, Group.ALL})),
)


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
        for work, groups in _WORK:
            if group in groups:
                root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quiver-bench-")))
                figures += await work(root, seconds, progress)
    return Report(machine, figures)

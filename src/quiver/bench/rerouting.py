"""How long paths of a large network are without credit after a link was cut: 145 emulated nodes, real NETCONF sessions.

All agents and the controller share this machine; on a network each of them has one of its own.
"""

from pathlib import Path
from typing import Final

from quiver.bench.emulated.network import EmulatedNetwork
from quiver.bench.emulated.plan import EmulationPlan
from quiver.bench.emulated.reroute import Cut, demands_between, reroutes
from quiver.bench.figures import Figure, percentile, usable_cores
from quiver.bench.progress import Progress
from quiver.simulate.networks import network_named

__all__ = ["measure_reroutes"]

_NETWORK: Final = "backbone-145+12"
_DEMANDS: Final = 30  # between its 20 metropolitan networks, each in one direction
_DEPTH: Final = (
    0  # bytes of buffer: on two cores one path's filling, which comes after its credit, would hold up others' credit
)
_LEAST: Final = 100  # reroutes
_SEED: Final = 1  # of the demands and of the links that are cut
_CEILING: Final = (
    "from the fault to its notice at the first of the link's two agents; no controller has heard of it yet"
)


async def measure_reroutes(root: Path, _seconds: float, progress: Progress) -> list[Figure]:
    """Milliseconds from a fault to credit at the source over another route; as long as the reroutes take.

    Args:
        root: an empty directory.
        progress: is told what goes on.

    Raises:
        RemoteError: a process did not start.
        UnavailableError: a path did not come back.
    """
    progress(f"reroute.p50, reroute.p99: starting {_NETWORK}")
    network = network_named(_NETWORK)
    plan = EmulationPlan.of(network, max(2, len(usable_cores())), root)
    async with EmulatedNetwork(plan, demands_between(network.users, _DEMANDS, _SEED, _DEPTH)) as emulated:
        cuts = await reroutes(emulated, _LEAST, _SEED, lambda line: progress(f"reroute.p50, reroute.p99: {line}"))
    return _figures(cuts)


def _figures(cuts: list[Cut]) -> list[Figure]:
    values = [1000 * seconds for cut in cuts for seconds in cut.credit.values()]
    noticed = [1000 * cut.noticed for cut in cuts for _ in cut.credit]
    return [percentile(f"reroute.p{percent}", percent, values, _CEILING, noticed) for percent in (50, 99)]

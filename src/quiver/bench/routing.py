"""The routing figures: the time of one route, and on the committed traces the share of the possible that is served."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from quiver.bench.figures import RUNS, Figure, latency, share
from quiver.bench.progress import Progress
from quiver.bench.routing_bound import servable
from quiver.domain.routing.choice import choose
from quiver.domain.routing.demand import Placement, placed_on
from quiver.domain.routing.graph import Graph
from quiver.simulate.networks import network_named
from quiver.simulate.outcome import PolicyName
from quiver.simulate.policies import KeyAware
from quiver.simulate.run import demand_of, run
from quiver.simulate.trace import Trace, committed

__all__ = ["BENCH_NETWORK", "Shares", "measure_routing", "served_of_possible"]

BENCH_NETWORK: Final = "backbone-145+12"
"""Of its traces the network is loaded so that static shortest paths reject 10 to 40 %, and not all can be served."""

_SIZES: Final = {145: "mesh-145", 1000: "mesh-1000"}
_RATE: Final = 5_000  # bit/s of the demand that is routed
_PAIRS: Final = 1_000  # drawn; as many are routed as there is time for
_SHARES: Final = {
    "lp_share": "what a linear program over arcs, which may split and reroute all, could serve",
    "rejections": "no rejection that static shortest paths make",
    "lp_of_demand": "all that is asked for; says how the traces are loaded, and nothing of the router",
    "static_rejected": "all requests; likewise",
}
_CEILING: Final = "scipy's Dijkstra in C from one node, arcs and prices ready"


async def measure_routing(_root: Path, seconds: float, progress: Progress) -> list[Figure]:
    """All figures of routing; the shares take as long as the traces need.

    Args:
        seconds: for each figure of time, its ceiling included.
        progress: is told what goes on.
    """
    figures = []
    for size, name in _SIZES.items():
        progress(f"routing.one_route.{size}")
        figures.append(_one_route(f"routing.one_route.{size}", _busy(name), seconds / (2 * RUNS)))
        await asyncio.sleep(0)  # a signal is heard here
    found = []
    for trace in committed(BENCH_NETWORK):
        progress(f"routing.lp_share, routing.rejections: seed {trace.seed}")
        found.append(served_of_possible(trace))
        await asyncio.sleep(0)
    for name, ceiling in _SHARES.items():
        figures.append(share(f"routing.{name}", [getattr(one, name) for one in found], ceiling))
    return figures


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """What fast choice and global allocation make of a trace, without any pad ahead, and how the trace is loaded.

    Attributes:
        lp_share: bits served, of those that the bound's program could serve.
        rejections: share of the rejections of static shortest paths that are avoided.
        lp_of_demand: bits that the program could serve, of those asked for: below 1 not everything can be.
        static_rejected: requests that static shortest paths reject, of all.
    """

    lp_share: float
    rejections: float
    lp_of_demand: float
    static_rejected: float


def served_of_possible(trace: Trace) -> Shares:
    """All shares of a trace."""
    network = network_named(trace.network)
    static, steered = (run(network, trace, policy, 0.0) for policy in (PolicyName.STATIC, PolicyName.GLOBAL))
    possible = servable(network, trace)
    return Shares(
        lp_share=steered.served / possible,
        rejections=1 - steered.rejected / static.rejected,
        lp_of_demand=possible / trace.demanded,
        static_rejected=static.rejected_share,
    )


def _busy(name: str) -> Graph:
    """A network with the virtual links on it that its first trace begins with."""
    trace, graph = committed(name)[0], network_named(name).graph()
    demands = [demand_of(number, request) for number, request in enumerate(trace.requests) if not request.begins]
    placements: dict[str, Placement] = KeyAware().arrange(graph, demands, {})
    return placed_on(graph, placements)


def _one_route(name: str, graph: Graph, seconds: float) -> Figure:
    """Milliseconds of one choice between two nodes, the mean over pairs drawn from a seed; its ceiling likewise."""
    chance = random.Random(name)  # noqa: S311  # pairs of nodes, no secret
    pairs = [(ends[0], ends[1]) for _ in range(_PAIRS) for ends in [chance.sample(graph.nodes, 2)]]
    hops = np.array(graph.shape.hops)
    tails, heads = np.concatenate([hops[:, 0], hops[:, 1]]), np.concatenate([hops[:, 1], hops[:, 0]])
    prices = np.tile(1.0 / np.maximum(graph.rates - graph.placed, 1), 2)
    matrix = csr_array((prices, (tails, heads)), shape=(len(graph.nodes),) * 2)
    numbers = graph.shape.node_number
    times, least = list[float](), list[float]()
    for _ in range(RUNS):
        times.append(_each(lambda pair: choose(graph, *pair, _RATE), pairs, seconds))
        least.append(_each(lambda pair: dijkstra(matrix, indices=[numbers[pair[0]]]), pairs, seconds))
    return latency(name, times, _CEILING, least)


def _each(work: Callable[[tuple[str, str]], object], pairs: Sequence[tuple[str, str]], seconds: float) -> float:
    """Milliseconds that the work takes for one pair; as many pairs as there is time for, at least one."""
    begun, done = time.perf_counter(), 0
    for pair in pairs:
        work(pair)
        done += 1
        if time.perf_counter() - begun >= seconds:
            break
    return 1000 * (time.perf_counter() - begun) / done

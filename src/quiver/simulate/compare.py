"""Policies side by side on the traces of one network."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from quiver.domain.errors import ConfigurationError
from quiver.simulate.generate import LOADS, Load, make_trace
from quiver.simulate.networks import SimulatedNetwork
from quiver.simulate.outcome import Comparison, PolicyName, Run, summaries
from quiver.simulate.run import run
from quiver.simulate.trace import Trace, committed

__all__ = ["compare", "trace_of"]

_BITS: Final = 2 * 8  # of pad by hop for each byte of level: both directions


def trace_of(network: SimulatedNetwork, seed: int) -> Trace:
    """The trace that comes with Quiver for a network and a seed, or one made from the seed."""
    known = {trace.seed: trace for trace in committed(network.name)}
    if seed in known:
        return known[seed]
    # Ways grow with the root of a mesh's size, and so does what it can carry.
    load = LOADS.get(network.name) or Load(offered=8e4 * math.sqrt(len(network.graph().nodes)))
    return make_trace(network, seed, load)


def compare(
    network: SimulatedNetwork,
    traces: Sequence[Trace],
    policies: Sequence[PolicyName],
    level: int,
    progress: Callable[[str], None],
) -> Comparison:
    """Run each policy on each trace.

    Args:
        network: in full health.
        traces: of this network, at least one.
        policies: at least one.
        level: bytes of pad per hop and direction at which collecting stops.
        progress: is told what goes on.

    Raises:
        ConfigurationError: a trace is of another network.
    """
    for trace in traces:
        if trace.network != network.name:
            raise ConfigurationError(f"the trace is of the network {trace.network}, not of {network.name}")
    runs = []
    for trace in traces:
        outcomes = []
        for policy in policies:
            progress(f"{network.name}, seed {trace.seed}, {policy}: {len(trace.requests)} requests")
            outcomes.append(run(network, trace, policy, _BITS * level))
        runs.append(Run(trace.seed, outcomes))
    nodes, links = len(network.graph().nodes), len(network.spans)
    return Comparison(network.name, nodes, links, level, summaries(runs), runs)

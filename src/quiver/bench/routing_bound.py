"""The most that any routing could serve of a trace: a linear program of its own, over arcs, that shares no code with the router.

It may split each virtual link over any number of routes, change them whenever anything changes, serve any part of any virtual
link at any time, whatever its class, and knows no limit of hops. Only what links make counts: the sum of both directions is at
most the rate, and there is no pad ahead. So nothing that keeps no pad can serve more. Between two events nothing changes: one
program for each stretch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import block_diag, coo_array, csr_array, eye_array, hstack

from quiver.simulate.networks import SimulatedNetwork
from quiver.simulate.trace import FaultKind, Request, Trace

__all__ = ["servable", "servable_rate"]

_UNIT: Final = 1000.0  # bit/s; the solver's tolerances are absolute


def servable(network: SimulatedNetwork, trace: Trace) -> float:
    """Bits of a trace's demand that could be served at most."""
    total = 0.0
    for now, then in pairwise(trace.times):
        requests = [request for request in trace.requests if request.begins <= now < request.ends]
        total += (then - now) * servable_rate(_working(network, trace, now), requests)
    return total


def _working(network: SimulatedNetwork, trace: Trace, now: int) -> dict[tuple[str, str], float]:
    """The links that make key at a time: ends → bit/s."""
    faults = [fault for fault in trace.faults if fault.begins <= now < fault.ends]
    links = {fault.name for fault in faults if fault.kind is not FaultKind.LOST}
    nodes = {fault.name for fault in faults if fault.kind is FaultKind.LOST}
    working: dict[tuple[str, str], float] = {}
    for span in network.spans:
        if span.id not in links and not nodes & {span.one, span.other}:
            ends = span.one, span.other
            working[ends] = working.get(ends, 0.0) + span.rate
    return working


def servable_rate(links: dict[tuple[str, str], float], requests: Sequence[Request]) -> float:
    """Bit/s that can be served at most of requests that are there at the same time.

    Variables: for each node where requests begin, a flow on every arc; for each pair of nodes, what is served. What goes from s
    to t loads a link as what goes from t to s: each pair begins at the node with more requests, which makes fewer flows.

    Args:
        links: ends → bit/s, shared by both directions.
        requests: of which any part may be served.
    """
    nodes = {name: number for number, name in enumerate(sorted({end for ends in links for end in ends}))}
    pairs = _pairs([request for request in requests if {request.source, request.destination} <= nodes.keys()])
    if not pairs:
        return 0.0
    tails = np.array([nodes[one] for one, _ in links])
    heads = np.array([nodes[other] for _, other in links])
    count, arcs = len(links), 2 * len(links)
    rows, columns = np.concatenate([tails, heads, heads, tails]), np.concatenate([np.arange(arcs), np.arange(arcs)])
    signs = np.repeat([1.0, -1.0], arcs)
    conserve = csr_array(coo_array((signs, (rows, columns)), shape=(len(nodes), arcs)))
    starts = sorted({start for start, _ in pairs})
    flows = block_diag([conserve] * len(starts), format="csr")
    served = np.zeros((flows.shape[0], len(pairs)))
    for place, (start, end) in enumerate(pairs):
        offset = starts.index(start) * len(nodes)
        served[offset + nodes[start], place], served[offset + nodes[end], place] = -1.0, 1.0
    # The type stubs know dense matrices only.
    both: Any = hstack([eye_array(count)] * 2 * len(starts) + [csr_array((count, len(pairs)))], format="csr")
    aim = np.array([0.0] * flows.shape[1] + [-1.0] * len(pairs))
    most = [np.inf] * flows.shape[1] + [rate / _UNIT for rate in pairs.values()]
    result = linprog(
        aim,
        A_ub=both,
        b_ub=np.array(list(links.values())) / _UNIT,
        A_eq=hstack([flows, csr_array(served)], format="csr"),
        b_eq=np.zeros(flows.shape[0]),
        bounds=[(0.0, upper) for upper in most],
        method="highs",
    )
    if result.status != 0 or result.fun is None:
        raise ArithmeticError(f"the bound's linear program has no solution: {result.message}")
    return -float(result.fun) * _UNIT


def _pairs(requests: Sequence[Request]) -> dict[tuple[str, str], float]:
    """Bit/s asked for between two nodes, either way; each pair begins at its busier node."""
    ends = [name for request in requests for name in (request.source, request.destination)]
    busy = {name: ends.count(name) for name in ends}
    pairs: dict[tuple[str, str], float] = {}
    for request in requests:
        pair = sorted((request.source, request.destination), key=lambda name: (-busy[name], name))
        pairs[pair[0], pair[1]] = pairs.get((pair[0], pair[1]), 0.0) + request.rate
    return pairs

"""The bound is what trying all routes gives, and on the committed traces the router comes near it."""

import random

import numpy as np
import pytest
from scipy.optimize import linprog

from quiver.bench.figures import share
from quiver.bench.routing import BENCH_NETWORK, served_of_possible
from quiver.bench.routing_bound import servable, servable_rate
from quiver.simulate.networks import network_named
from quiver.simulate.outcome import PolicyName
from quiver.simulate.run import run
from quiver.simulate.trace import Request, committed
from tests.domain.routing.networks import all_routes, arcs_of, small


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_what_a_program_over_all_routes_gives(seed: int):
    graph = small(seed, nodes=6, links=9)
    shape, chance = graph.shape, random.Random(seed)
    links = {
        (shape.nodes[one], shape.nodes[other]): float(rate)
        for (one, other), rate in zip(shape.hops, graph.rates, strict=True)
    }
    drawn = [(chance.sample(shape.nodes, 2), chance.randint(1, 900)) for _ in range(8)]
    requests = [Request(ends[0], ends[1], rate, 1, 0, 1) for ends, rate in drawn]
    columns = [
        (number, {arc // 2 for arc in arcs_of(shape, route)})
        for number, request in enumerate(requests)
        for route in all_routes(shape, shape.node(request.source), shape.node(request.destination), set())
    ]
    rows = [[float(hop in way) for _, way in columns] for hop in range(len(shape.hops))]
    rows += [[float(owner == number) for owner, _ in columns] for number in range(len(requests))]
    bounds = [*graph.rates, *(request.rate for request in requests)]
    best = -linprog(-np.ones(len(columns)), A_ub=np.array(rows), b_ub=np.array(bounds, float)).fun if columns else 0.0
    assert servable_rate(links, requests) == pytest.approx(best, rel=1e-6, abs=1e-3)


def test_the_bound_knows_faults_and_time():
    trace = committed("backbone-145")[0]
    network = network_named("backbone-145")
    bound = servable(network, trace)
    assert 0 < bound < trace.demanded
    for policy in PolicyName:
        assert run(network, trace, policy, 0.0).served <= bound * (1 + 1e-9)


def test_on_a_committed_trace_the_router_serves_95_percent_of_the_possible_and_rejects_a_quarter_less_than_static_routes():
    trace = committed(BENCH_NETWORK)[2]
    shares = served_of_possible(trace)
    assert 0.95 <= shares.lp_share <= 1 + 1e-9
    assert shares.rejections >= 0.25
    assert shares.lp_of_demand < 1, "not even the linear program can serve everything"
    assert 0.1 <= shares.static_rejected <= 0.4


def test_a_share_shows_the_mean_and_the_worst_case():
    figure = share("routing.lp_share", [0.9, 1.0, 0.98], "all")
    assert (figure.value, figure.ratio, figure.min, figure.max, figure.runs) == (0.96, 0.96, 0.9, 1.0, 3)
    assert figure.ceiling.value == 1.0

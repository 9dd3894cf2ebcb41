"""Demand traces from seeds: virtual links come as a Poisson process and stay for exponentially distributed times.

Users' nodes are unequally busy, as cities are; rates and classes are drawn from the tables below. All times are moved to a grid,
so that a network changes some dozens of times in a trace and not a thousand. At its start the network is as busy as later on.
"""

import math
import random
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from quiver.simulate.networks import SimulatedNetwork
from quiver.simulate.trace import Fault, FaultKind, Request, Trace

__all__ = ["LOADS", "Load", "make_trace"]

_RATES: Final = (
    2_000,
    2_000,
    5_000,
    5_000,
    5_000,
    10_000,
    10_000,
    20_000,
    40_000,
)  # bit/s; 8 to 156 keys of 256 bits a second
_CLASSES: Final = (0, 1, 1, 1, 1, 1, 1, 2, 2, 2)
_BUSY: Final = (0.5, 2.0)  # weights of users' nodes
_FAR: Final = 40  # hops; nobody asks for more, and a path entry could not hold many more


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How busy a network is.

    Attributes:
        offered: bit/s that are asked for at a time, on average.
        hold: seconds that a virtual link stays, on average.
        seconds: length of a trace.
        step: seconds between two changes.
        cuts: links that are cut in a trace; `darks` lose their quantum channel only, `losses` are relay nodes lost.
        repair: seconds that each is broken at most; half of it at least.
    """

    offered: float
    hold: int = 4 * 3600
    seconds: int = 12 * 3600
    step: int = 1800
    cuts: int = 3
    darks: int = 1
    losses: int = 1
    repair: int = 4 * 3600


LOADS: Final = {
    "backbone-145": Load(offered=0.15e6),
    "backbone-145+12": Load(offered=0.6e6),
    "mesh-145": Load(offered=1.5e6),
    "mesh-1000": Load(offered=2.4e6, cuts=10, darks=5, losses=5),
    "mesh-10000": Load(
        offered=6e6, hold=2 * 3600, seconds=4 * 3600, step=3600, repair=2 * 3600, cuts=50, darks=25, losses=25
    ),
}
"""Of the networks that have traces: so that static shortest paths reject 10 to 40 % of the requests."""


def make_trace(network: SimulatedNetwork, seed: int, load: Load) -> Trace:
    """The trace of a seed; equal input gives an equal trace."""
    chance = random.Random(f"{network.name}/{seed}")  # noqa: S311  # a trace, no secret
    requests = sorted(_requests(network, chance, load), key=lambda request: request.begins)
    faults = sorted(_faults(network, chance, load), key=lambda fault: (fault.begins, fault.name))
    return Trace(network.name, seed, load.seconds, tuple(requests), tuple(faults))


def _requests(network: SimulatedNetwork, chance: random.Random, load: Load) -> list[Request]:
    busy = {user: _BUSY[0] + (_BUSY[1] - _BUSY[0]) * chance.random() for user in network.users}
    near = _within_reach(network)
    pause = sum(_RATES) / len(_RATES) * load.hold / load.offered
    requests: list[Request] = []
    now = -4.0 * load.hold  # after four times the mean stay the start no longer matters
    while True:
        now -= math.log(1 - chance.random()) * pause
        source = _drawn(network.users, busy, chance)
        destination = _drawn([user for user in near[source] if user != source], busy, chance)
        rate, priority = (table[int(chance.random() * len(table))] for table in (_RATES, _CLASSES))
        begins = max(0, math.floor(now / load.step) * load.step)
        ends = min(load.seconds, math.ceil((now - math.log(1 - chance.random()) * load.hold) / load.step) * load.step)
        if begins >= load.seconds:
            return requests
        if ends > begins:
            requests.append(Request(source, destination, rate, priority, begins, ends))


def _drawn(users: Sequence[str], busy: dict[str, float], chance: random.Random) -> str:
    """One of them, by weight."""
    mark = chance.random() * sum(busy[user] for user in users)
    for user in users:
        mark -= busy[user]
        if mark < 0:
            return user
    return users[-1]


def _within_reach(network: SimulatedNetwork) -> dict[str, list[str]]:
    """By user's node, those that are not too far."""
    shape = network.graph().shape
    ends = np.array(shape.hops)
    matrix = csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(shape.nodes),) * 2)
    numbers = np.array([shape.node(user) for user in network.users])
    reach: dict[str, list[str]] = {}
    for user, number in zip(network.users, numbers, strict=True):
        hops = dijkstra(matrix, directed=False, indices=[int(number)], unweighted=True, limit=_FAR)[0]
        reach[user] = [other for other, far in zip(network.users, hops[numbers], strict=True) if far <= _FAR]
    return reach


def _faults(network: SimulatedNetwork, chance: random.Random, load: Load) -> list[Fault]:
    relays = sorted({end for span in network.spans for end in (span.one, span.other)} - set(network.users))
    links = [span.id for span in network.spans]
    faults: list[Fault] = []
    for kind, count, names in (
        (FaultKind.CUT, load.cuts, links),
        (FaultKind.DARK, load.darks, links),
        (FaultKind.LOST, load.losses, relays),
    ):
        for _ in range(count):
            name = names[int(chance.random() * len(names))]
            begins = int(chance.random() * load.seconds / load.step) * load.step
            lasts = load.repair * (0.5 + chance.random() / 2)
            faults.append(
                Fault(kind, name, begins, min(load.seconds, begins + max(1, round(lasts / load.step)) * load.step))
            )
    return faults

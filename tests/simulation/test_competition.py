"""Paths that compete for the pad of one link: credit is a promise, and pad that was promised to one is not given to another."""

import pytest

from .load import Load
from .scenery import Scenery
from .world import World

EDGES = [(0, 2), (1, 2), (2, 3), (3, 4)]
ROUTES = [(0, 2, 3), (1, 2, 3, 4), (2, 3), (0, 2, 3, 4)]  # all of them cross link 2-3


@pytest.mark.parametrize("seed", range(4))
def test_scarce_pad_is_shared_without_burning_any(seed):
    world = World(seed)
    scenery = Scenery(world, 5, edges=EDGES, routes=ROUTES, rate=3000, stock=30_000)
    load = Load(world, scenery)
    world.run(3.0)
    load.random_requests(120, 30.0)
    world.run(40.0)
    burned = {name: site.node.journal.burned.causes for name, site in scenery.sites.items()}
    assert not any(burned.values()), (seed, burned)
    served = sum(1 for asked in load.asked if asked.keys)
    assert served >= 0.9 * len(load.asked), seed

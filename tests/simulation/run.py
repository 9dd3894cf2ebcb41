"""One run: a network, a load and faults, all from one seed, and every check at its end."""

from dataclasses import dataclass
from pathlib import Path

from . import checks
from .faults import Faults
from .load import Load
from .scenery import Scenery
from .world import World

LOADED = 6.0  # seconds of load and faults
QUIET = 10.0  # seconds in which everything has to come to rest


@dataclass
class Outcome:
    """What one run showed."""

    seed: int
    violations: list[str]
    plan: list[str]
    asked: int
    served: int

    def __str__(self) -> str:
        found = "\n  ".join(self.violations) or "nothing"
        plan = "\n  ".join(self.plan) or "none"
        return f"seed {self.seed}: {self.served} of {self.asked} requests served; violations:\n  {found}\nfaults:\n  {plan}"


def run_seed(seed: int, *, sqlite: Path | None = None, prepare=None) -> Outcome:
    """Run one seed.

    Args:
        seed: of everything.
        sqlite: a directory for real databases; None for disks in memory.
        prepare: called with the scenery before time begins, to break something on purpose.
    """
    world = World(seed)
    random = world.random
    nodes = random.choice((2, 3, 3, 4, 4, 5, 5, 6, 8, 12))
    scenery = Scenery(
        world,
        nodes,
        sqlite=sqlite,
        drop=random.choice((0.0, 0.0, 0.01, 0.1)),
        double=random.choice((0.0, 0.02, 0.2)),
        slow=random.choice((0.0, 0.0, 0.02, 0.1)),
        pool=random.choice((1, 2, 2, 4)),
    )
    load, faults = Load(world, scenery), Faults(world, scenery)
    if scenery.transport.drop >= 0.1 or scenery.transport.slow >= 0.1:
        faults.windows.append((world.now(), world.now() + LOADED))  # every tenth message lost or late
    faults.windows.append((world.now(), world.now()))  # the network is starting
    if prepare is not None:
        prepare(scenery)
    faults.draw(random.choice((0, 1, 2, 4)), LOADED)
    load.random_requests(random.choice((6, 12, 20)), LOADED)
    world.run(LOADED)
    scenery.transport.calm()
    for link in scenery.devices.values():
        link.up = True
    world.run(QUIET)
    for site in scenery.sites.values():
        if not site.up:
            site.restart()
    world.run(1.0)
    load.random_requests(4, 1.0, fetch=0.0)
    world.run(4.0)
    load.fetch_rest()
    world.run(0.5)
    load.fetch_all_again()
    world.run(0.5)
    load.settle_lost()
    burned = set(faults.burned)
    for name, site in scenery.sites.items():
        if any(alarm.name == "rolled-back" for alarm in site.alarms):
            burned.add(name)
    violations = [
        *checks.pad_bytes_are_used_once(scenery),
        *checks.key_ids_name_one_value(load),
        *checks.answered_keys_are_fetched_once(load, burned),
        *checks.no_key_leaves(scenery, load),
        *checks.tables_are_bounded(scenery),
        *checks.pad_is_accounted_for(scenery),
        *checks.half_is_served(load, faults.troubled),
    ]
    scenery.close()
    served = sum(1 for asked in load.asked if asked.keys)
    return Outcome(seed, violations, faults.plan, len(load.asked), served)

"""One run: a network, a load and faults, all from one seed, and every check at its end."""

import hashlib
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from quiver.domain import limits

from . import checks
from .faults import WAIT, Faults, over
from .load import Asked, Load
from .scenery import Scenery
from .world import World

SIZES = (2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 8, 12)  # nodes
START_UP = (
    2.0  # seconds in which the first pad is collected and the first credit comes; twice that where messages get lost
)
LOADED = 7.0  # seconds of load and faults
TRIES = 5  # requests over each path at the end of a run, until one is served
QUIET = 6.0  # seconds in which everything has to come to rest; what still waits for its repeat then, does so under the tries


@dataclass
class Outcome:
    """What one run showed.

    Attributes:
        served: requests that were served.
        explained: requests that were not, and of which a fault says why.
        loaded: of the requests, those that needed another node and were over while faults were about.
        loaded_served: of those, the ones that were served.
    """

    seed: int
    violations: list[str]
    plan: list[str]
    asked: int
    served: int
    explained: int
    loaded: int = 0
    loaded_served: int = 0
    digest: str = ""  # SHA-256 of all messages in order: what the seed has made of the network

    def __str__(self) -> str:
        found = "\n  ".join(self.violations) or "nothing"
        plan = "\n  ".join(self.plan) or "none"
        counts = f"{self.served} of {self.asked} requests served, {self.explained} failures explained"
        return f"seed {self.seed}: {counts}; violations:\n  {found}\nfaults:\n  {plan}"


def run_seed(
    seed: int,
    *,
    most_nodes: int = 12,
    sqlite: Path | None = None,
    prepare: Callable[[Scenery, Faults], None] | None = None,
) -> Outcome:
    """Run one seed.

    Args:
        seed: of everything.
        most_nodes: of the network.
        sqlite: a directory for real databases; None for disks in memory.
        prepare: called before time begins, to plan more or to break something on purpose.
    """
    with capture_logs() as logs:
        return _run(World(seed), most_nodes, sqlite, prepare, logs)


def _run(
    world: World,
    most_nodes: int,
    sqlite: Path | None,
    prepare: Callable[[Scenery, Faults], None] | None,
    logs: list[MutableMapping[str, Any]],
) -> Outcome:
    random = world.random
    scenery = Scenery(
        world,
        random.choice([nodes for nodes in SIZES if nodes <= most_nodes]),
        sqlite=sqlite,
        drop=random.choice((0.0, 0.0, 0.01, 0.1)),
        double=random.choice((0.0, 0.02, 0.2)),
        slow=random.choice((0.0, 0.0, 0.02, 0.1)),
        pool=random.choice((1, 2, 2, 4)),
    )
    scenery.logs = logs
    load, faults = Load(world, scenery), Faults(world, scenery)
    transport = scenery.transport
    clean = transport.drop + transport.slow == 0.0
    faults.note("start", START_UP if clean else 2 * START_UP, lambda _route: True, aftermath=0.0)
    for link in scenery.devices.values():  # who is quicker takes what is in stock; the other end waits for what comes
        faults.note(f"{link.name} fills", 3 * limits.SEGMENT_MIN / link.rate, over(link.ends), aftermath=0.0)
    if transport.poor:
        faults.note("every tenth message lost or late, or late ones hold up all others", LOADED, lambda _route: True)
    if prepare is not None:
        prepare(scenery, faults)
    faults.draw(random.choice((0, 1, 2, 4)), LOADED)
    load.random_requests(random.choice((6, 12, 20)), LOADED)
    world.run(LOADED)
    loaded = [asked for asked in load.asked if asked.home != asked.far and asked.time < world.now() - WAIT]
    under_load = checks.tables_are_bounded(scenery)
    come_to_rest(scenery)
    tries = try_all_paths(scenery, load)
    load.fetch_everything()
    violations = under_load + judge(scenery, load, faults)
    violations += checks.half_is_served(load, faults.explain)
    violations += checks.no_path_is_stuck(tries, faults.explain)
    scenery.close()
    served = sum(1 for asked in load.asked if asked.keys)
    explained = sum(1 for asked in load.asked if not asked.keys and faults.explain(asked))
    digest = hashlib.sha256(b"|".join(message.body for message in scenery.transport.record)).hexdigest()
    return Outcome(
        world.seed,
        violations,
        [t.what for t in faults.troubles],
        len(load.asked),
        served,
        explained,
        len(loaded),
        sum(1 for asked in loaded if asked.keys),
        digest,
    )


def come_to_rest(scenery: Scenery) -> None:
    """No fault begins any more; time for everything to be repeated, answered or given up."""
    scenery.transport.calm()
    for link in scenery.devices.values():
        link.up = True
    for site in scenery.sites.values():
        site.crash_at = None
    scenery.world.run(QUIET)
    for site in scenery.sites.values():
        if not site.up:
            site.restart()
    scenery.world.run(1.0)


def try_all_paths(scenery: Scenery, load: Load) -> dict[str, list[Asked]]:
    """Ask for one key over every path, and again where none came: what stood aside for another path comes back in time."""
    tries: dict[str, list[Asked]] = {entry.key: [] for entry in scenery.paths}
    for _ in range(TRIES):
        for entry in scenery.paths:
            if not any(asked.keys for asked in tries[entry.key]):
                tries[entry.key].append(load.ask(f"sae-{entry.source}-0", f"sae-{entry.destination}-0"))
        scenery.world.run(WAIT + 0.1)
        if all(asked[-1].keys for asked in tries.values()):
            break
    return tries


def judge(scenery: Scenery, load: Load, faults: Faults) -> list[str]:
    """What must hold at the end of every run, whether anything was served or not."""
    return [
        *checks.pad_bytes_are_used_once(scenery),
        *checks.key_ids_name_one_value(load),
        *checks.answered_keys_are_fetched_once(load, scenery, faults.rolled_back),
        *checks.no_key_leaves(scenery, load),
        *checks.credit_is_kept(scenery),
        *checks.half_paths_spend_nothing(scenery),
        *checks.tables_are_bounded(scenery),
        *checks.pad_is_accounted_for(scenery),
    ]

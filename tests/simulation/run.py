"""One run: a network, a load and faults, all from one seed, and every check at its end."""

import gc
import hashlib
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from quiver.domain.network import PathEntry

from . import checks
from .faults import WAIT, Faults
from .load import Asked, Load
from .scenery import Scenery
from .tables import tables_are_bounded
from .world import World

SIZES = (2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 8, 12)  # nodes
UP = 12.0  # seconds within which every path is up; the slowest link makes one segment in two, its two ends by turns
LOOK = 0.25  # seconds between two looks at that
LEAST = 128  # bytes of pad for the smallest requests; more comes to a path that competes once it is asked for
LOADED = 6.0  # seconds of load and faults
SERVED = 0.6  # of the loaded requests of many runs; usual are 0.75, and next to none where nothing is primed
TRIES = 5  # requests over each path at the end of a run, until one is served
QUIET = 6.0  # seconds in which everything has to come to rest; what still waits for its repeat then, does so under the tries


@dataclass
class Outcome:
    """What one run showed.

    Attributes:
        served: requests that were served.
        explained: requests that were not, and of which a fault says why.
        loaded: of the requests, those that needed another node and were over before the faults were.
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
    with capture_logs() as logs, uncollected():
        return _run(World(seed), most_nodes, sqlite, prepare, logs)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection meanwhile: nearly all objects of a run live until its end, so that it looks at them for nothing."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()  # the next one to come takes all that the run has left


def _run(
    world: World,
    most_nodes: int,
    sqlite: Path | None,
    prepare: Callable[[Scenery, Faults], None] | None,
    logs: list[MutableMapping[str, Any]],
) -> Outcome:
    random = world.random
    nodes = random.choice([nodes for nodes in SIZES if nodes <= most_nodes])
    scenery = Scenery(world, nodes, sqlite=sqlite, pool=random.choice((1, 2, 2, 4)))
    scenery.logs = logs
    load, faults = Load(world, scenery), Faults(world, scenery)
    if prepare is not None:
        prepare(scenery, faults)
    violations = bring_up(scenery, faults)
    loaded = put_under_load(scenery, load, faults)
    violations += tables_are_bounded(scenery)
    come_to_rest(scenery)
    tries = try_all_paths(scenery, load)
    load.fetch_everything()
    violations += judge(scenery, load, faults)
    violations += checks.half_is_served(loaded, faults.explain)
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


def bring_up(scenery: Scenery, faults: Faults) -> list[str]:
    """Nothing is asked for and nothing goes wrong until every path has credit, and pad for requests."""
    begin = scenery.world.now()
    while waiting := [entry for entry in scenery.paths if not is_up(scenery, entry)]:
        if scenery.world.now() >= begin + UP:
            return [f"{entry.key} is not up after {UP} s" for entry in waiting if not faults.hurt(entry.nodes)]
        scenery.world.run(LOOK)
    return []


def is_up(scenery: Scenery, entry: PathEntry) -> bool:
    """Whether the source of a path could serve requests now."""
    site = scenery.sites[entry.source]
    if not site.up or entry.key not in site.node.paths.sources:
        return False
    source, pads = site.node.paths.sources[entry.key], site.node.context.pads[entry.after(entry.source)]
    return source.credit > 0 and source.ready + min(source.credit, source.share, pads.available) >= LEAST


def put_under_load(scenery: Scenery, load: Load, faults: Faults) -> list[Asked]:
    """Requests and faults, on a network that is up.

    Returns:
        The requests that needed another node and were over before the faults were.
    """
    world, random, transport = scenery.world, scenery.world.random, scenery.transport
    transport.drop = random.choice((0.0, 0.0, 0.01, 0.1))
    transport.double = random.choice((0.0, 0.02, 0.2))
    transport.slow = random.choice((0.0, 0.0, 0.02, 0.1))
    if transport.poor:
        faults.note("every tenth message lost or late, or late ones hold up all others", LOADED, lambda _route: True)
    faults.draw(random.choice((0, 1, 2, 4)), LOADED)
    load.random_requests(random.choice((6, 12, 20)), LOADED)
    begin = world.now()
    world.run(LOADED)
    return [a for a in load.asked if a.home != a.far and begin <= a.time < world.now() - WAIT]


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
        *checks.answered_keys_are_fetched_once(load, scenery),
        *checks.no_key_leaves(scenery, load),
        *checks.credit_is_kept(scenery),
        *checks.half_paths_spend_nothing(scenery),
        *tables_are_bounded(scenery),
        *checks.pad_is_accounted_for(scenery),
    ]

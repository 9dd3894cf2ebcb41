"""Whole networks under load and faults, each from one number: nothing that was promised may break.

`python -m tests.simulation.long_run` runs more of them, or one again.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from .disk import SqliteDisk
from .faults import Faults, passing
from .run import run_seed
from .scenery import Scenery
from .site import Site
from .world import World

SEEDS = 880  # with those on the real key database a thousand
CHUNK = 10
SERVED = 0.4  # of the loaded requests of one chunk; of many chunks it is `run.SERVED`
EVERY = 12  # each so many commits of its lives a node dies, on the real key database ...
RUNS = 120  # ... in ten networks for each of the first of them, so that every commit is a crash point in some
ON_DISK = 1_000_000  # these seeds are apart from the others


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A directory on a memory file system, where there is one: processes die here and machines do not."""
    place = Path("/dev/shm")
    if not os.access(place, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="quiver-", dir=place) as made:
        yield Path(made)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_promises_hold_under_faults(first: int) -> None:
    loaded = served = 0
    for seed in range(first, first + CHUNK):
        outcome = run_seed(seed)
        assert not outcome.violations, str(outcome)
        loaded, served = loaded + outcome.loaded, served + outcome.loaded_served
    assert served >= SERVED * loaded, f"{served} of {loaded} requests served under load"


@pytest.mark.parametrize("run", range(RUNS))
def test_promises_hold_when_every_node_dies_again_and_again(run: int, memory: Path) -> None:
    first = 1 + run % EVERY

    def prepare(scenery: Scenery, faults: Faults) -> None:
        for index, site in enumerate(scenery.sites.values()):
            where = ("before", "after")[(run + index) % 2]
            die_from(faults, site, first, where)

    outcome = run_seed(ON_DISK + run, most_nodes=4, sqlite=memory, prepare=prepare)
    assert not outcome.violations, str(outcome)
    assert any(" killed " in what for what in outcome.plan), "no node came as far"


def test_a_seed_says_everything() -> None:
    """Nothing but the seed decides what happens: not even the order of Python's sets."""
    seeds = range(20, 28)
    script = f"from tests.simulation.run import run_seed\nfor seed in {seeds}: print(run_seed(seed).digest)"
    root = Path(__file__).parents[2]
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": str(number)},
            cwd=root,
            check=True,
            capture_output=True,
        ).stdout
        for number in (0, 2, 5)
    }
    assert len(said) == 1
    assert len(said.pop().split()) == len(seeds)


def die_from(faults: Faults, site: Site, first: int, where: str) -> None:
    """Kill a site just before or just after a commit of all its lives and each EVERY-th from there on, and start it again."""
    due = first

    def crash_at(transaction: object) -> str | None:
        nonlocal due
        if transaction is None or site.commits + 1 < due:
            return None
        faults.note(f"{site.name} killed {where} commit {due}", 0.3, passing(site.name))
        due += EVERY
        site.world.after(0.3, lambda: site.up or site.restart())
        return where

    site.crash_at = crash_at


def test_a_real_database_goes_back_to_any_of_its_commits(tmp_path: Path) -> None:
    """A rollback means the same on both disks: what it finds there is what was there after that commit."""
    scenery = Scenery(World(1), 2, edges=[(0, 1)], routes=[(0, 1)], depth=8192, sqlite=tmp_path)
    disk, after = scenery.sites["n0"].disk, {}
    commit = disk.commit

    def noted(writes, audit):
        number = commit(writes, audit)
        after[number] = rows(disk)
        return number

    with mock.patch.object(disk, "commit", noted):
        scenery.world.run(8.0)
    last = disk.number
    assert last > 20
    for number in (last, last - 1, last // 2, 1, 0):
        disk.roll_back(number)
        assert disk.number == number
        assert rows(disk) == after.get(number, [])
    scenery.close()


def rows(disk: SqliteDisk) -> list[tuple[str, str, bytes, bytes]]:
    return sorted((kind, name, body, (secret and secret.reveal()) or b"") for kind, name, body, secret in disk.load())

"""Whole networks under load and faults, each from one number: nothing that was promised may break.

`python -m tests.simulation.long_run` runs more of them, or one again.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .faults import Faults
from .run import run_seed
from .scenery import Scenery
from .site import Site

SEEDS = 1000
CHUNK = 10
SERVED = 0.4  # of the loaded requests of one chunk; of many chunks it is `run.SERVED`
KILLS = 24  # every one of a node's first commits is a crash point, on the real key database ...
RUNS = 120  # ... in five networks each
ON_DISK = 1_000_000  # these seeds are apart from the others


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_promises_hold_under_faults(first: int) -> None:
    loaded = served = 0
    for seed in range(first, first + CHUNK):
        outcome = run_seed(seed)
        assert not outcome.violations, str(outcome)
        loaded, served = loaded + outcome.loaded, served + outcome.loaded_served
    assert served >= SERVED * loaded, f"{served} of {loaded} requests served under load"


@pytest.mark.parametrize("run", range(RUNS))
def test_promises_hold_when_every_node_dies_at_its_kth_commit(run: int, tmp_path: Path) -> None:
    commit = 1 + run % KILLS

    def prepare(scenery: Scenery, faults: Faults) -> None:
        for index, site in enumerate(scenery.sites.values()):
            where = ("before", "after")[(run + index) % 2]
            die_at(faults, site, commit, where)

    outcome = run_seed(ON_DISK + run, most_nodes=4, sqlite=tmp_path, prepare=prepare)
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


def die_at(faults: Faults, site: Site, commit: int, where: str) -> None:
    """Kill a site just before or just after the given commit of all its lives, and start it again."""

    def crash_at(transaction: object) -> str | None:
        if transaction is None or site.commits + 1 != commit:
            return None
        site.crash_at = None
        faults.note(f"{site.name} killed {where} commit {commit}", 0.3, lambda route: site.name in route)
        site.world.after(0.3, lambda: site.up or site.restart())
        return where

    site.crash_at = crash_at

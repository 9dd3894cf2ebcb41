"""Kills, stops, cuts and restarts in any order: a short run. The long one is `make chaos`."""

import asyncio
import os
import shutil

import pytest

from tests.chaos.run import run
from tests.scenarios.processes import temporary_directory

pytestmark = pytest.mark.processes

STEPS = 40


def test_after_kills_stops_and_cuts_in_any_order_every_path_is_whole_or_absent_and_no_rule_was_broken():
    seed = int(os.environ.get("QUIVER_CHAOS_SEED", "1"))
    with temporary_directory() as temporary:
        root = temporary / "mesh"
        root.mkdir(mode=0o700)
        try:
            outcome = asyncio.run(run(seed, STEPS, root))
        finally:
            shutil.rmtree(root)
    print(outcome)
    assert outcome.violations == []
    assert len(outcome.steps) == STEPS

"""Managed networks under faults, each from one number: afterwards every path is whole or absent, and all demands are served."""

import pytest

from .run import run_on_paper, run_with_nodes

ON_PAPER = 200
CHUNK = 20
WITH_NODES = 8


@pytest.mark.parametrize("first", range(0, ON_PAPER, CHUNK))
def test_paths_are_whole_or_absent_after_faults(first: int) -> None:
    for seed in range(first, first + CHUNK):
        outcome = run_on_paper(seed)
        assert not outcome.violations, str(outcome)


@pytest.mark.parametrize("seed", range(WITH_NODES))
def test_real_nodes_are_served_after_faults_and_break_no_rule(seed: int) -> None:
    outcome = run_with_nodes(seed)
    assert not outcome.violations, str(outcome)

"""The checks are worth something: each rule of the controller, broken on purpose, is seen by them."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.memory import Memory
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.search import Search
from tests.simulation.checks import no_key_leaves
from tests.simulation.world import World

from .network import ManagedNetwork
from .run import run_on_paper

SEEDS = range(40)


@contextmanager
def forgotten_numbers() -> Iterator[None]:
    """A controller gives out versions by its own database alone, however old that is."""
    true = Memory.next_version, Memory.own

    def next_version(memory: Memory, name: str, path: int, _above: int) -> int:
        with mock.patch.object(Memory, "own", true[1]):
            return true[0](memory, name, path, 0)

    with (
        mock.patch.object(Memory, "seen", return_value=True),
        mock.patch.object(Memory, "own"),  # what is taken over
        mock.patch.object(Memory, "next_version", next_version),
    ):
        yield


RULES = {
    "orphans are swept": lambda: mock.patch.object(Provisioning, "_unwanted", return_value=False),
    "numbers are never used again": forgotten_numbers,
    "paths of a demand do not meet": lambda: mock.patch.object(Search, "_siblings", return_value=[]),
    "paths leave what is broken": lambda: mock.patch.object(Search, "route", lambda self, path, *_: path.nodes or None),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_broken_is_seen(rule: str) -> None:
    with RULES[rule]():
        assert any(_violated(seed) for seed in SEEDS)


def _violated(seed: int) -> bool:
    try:
        return bool(run_on_paper(seed).violations)
    except AssertionError:  # a state machine or a table of the controller says so
        return True


def test_a_key_in_what_an_agent_tells_its_controller_is_seen() -> None:
    demand = Demand(name="v", source="n0", destination="n1")
    network = ManagedNetwork(World(1), 2, [demand], edges=[(0, 1)], level=64 * 1024, rate=20_000, stock=40_000)
    network.world.run(4.0)
    asked = network.load.ask("sae-n0-0", "sae-n1-0")
    network.world.run(2.0)
    assert not no_key_leaves(network, network.load)
    (key,) = asked.keys.values()
    network.sites["n1"].told.append(b"<note>" + key.hex().encode() + b"</note>")
    assert no_key_leaves(network, network.load)
    network.close()

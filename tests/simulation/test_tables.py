"""The check of the tables sees each of them: in a run that fills all, with each limit just below what comes."""

from collections import Counter
from collections.abc import Iterator
from unittest import mock

import pytest

from quiver.domain import limits

from . import promises, tables
from .scenery import Scenery
from .stage import Stage

pytestmark = pytest.mark.xdist_group("tables")  # two runs, which all tests share


def crowded(stage: Stage) -> Iterator[None]:
    """Whatever a node has a table for, happens; after each step there is a look."""
    stage.run(6.0)
    yield
    stage.ask(0, 3, every=0.02, seconds=4.0, size=1024)
    stage.run(1.0)
    yield
    stage.faults.reroute(("n0", "n2", "n3"))
    for _ in range(10):
        stage.run(0.5)
        yield
    stage.site(2).crash()
    stage.site(2).restart()
    stage.run(2.0)
    yield
    stage.cut(0, 3)
    stage.ask(0, 3, every=0.1, seconds=2.0)
    stage.run(limits.CONTAINER_TIME + 1.0)
    yield
    stage.cut(0, 3, heal=True)
    stage.ask(0, 3, every=0.1, seconds=2.0, count=10, size=65_536 // 16)
    for _ in range(20):
        stage.run(0.2)
        yield
    number = stage.site(3).disk.number
    stage.site(3).crash()
    stage.site(3).restart(number - 20)
    for _ in range(5):
        stage.run(2.0)
        yield


def looks() -> Iterator[Scenery]:
    """The network after each step."""
    stage = Stage(promises.SQUARE, [(0, 1, 3)], depth=16_384)
    for _ in crowded(stage):
        yield stage.scenery


@pytest.fixture(scope="module")
def largest() -> dict[str, int]:
    """The size that each table had at most, over all nodes and looks."""
    found: Counter[str] = Counter()
    for scenery in looks():
        for site in scenery.sites.values():
            for what, sizes in tables.SIZES.items():
                found[what] = max(found[what], *sizes(site.node), 0)
        assert tables.tables_are_bounded(scenery) == []
    return found


@pytest.fixture(scope="module")
def lowered(largest: dict[str, int]) -> list[str]:
    """What the check finds in the same run where each limit is one lower than what comes."""
    with mock.patch.dict(tables.MOST, {what: most - 1 for what, most in largest.items()}):
        return [words for scenery in looks() for words in tables.tables_are_bounded(scenery)]


@pytest.mark.parametrize("what", tables.SIZES)
def test_a_table_above_its_limit_is_seen(what: str, largest: dict[str, int], lowered: list[str]) -> None:
    assert 0 < largest[what] <= tables.MOST[what]
    assert any(f": {what}: " in words for words in lowered)

"""What the controller remembers survives its process, stays bounded, and belongs to it alone."""

import sqlite3
from pathlib import Path

import pytest

from quiver.controller.database import ControllerDatabase
from quiver.controller.endpoints import AgentTable
from quiver.controller.history import HistoryEntry
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, StorageError
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.memory import Memory
from quiver.domain.sdn.records import Drained, Leadership, Mark, Member, What
from quiver.net.addresses import Address
from quiver.store.sqlite import SqliteDatabase

FACTS = (
    Leadership(term=7),
    Demand(name="v", source="a", destination="b", excluded=("c",)),
    Mark(virtual_link="v", path=1, version=3),
    Member(node="a", address="a.example:1"),
    Drained(what=What.LINK, name="l/1"),
)
AGENTS = (
    AgentTable(id="a", tls=Address("a.example:6513"), peer=Address("[2001:db8::1]:8443")),
    AgentTable(id="b", ssh=Address("b.example:830"), host_keys=("ssh-ed25519 AAAA",)),
)


def entry(number: int) -> HistoryEntry:
    return HistoryEntry(
        number=number, time=float(number), name="rerouted", about={"path": "v"}, seconds={"credit": 0.5}
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "controller.sqlite"


def test_everything_comes_back_as_it_was_written(path: Path) -> None:
    memory = Memory()
    for fact in FACTS:
        memory.put(fact)
    database = ControllerDatabase(path)
    database.commit(memory.changes(), [entry(1), entry(2)], {agent.id: agent for agent in AGENTS})
    database.close()
    database = ControllerDatabase(path)
    kept = database.load()
    assert set(kept.facts) == set(FACTS)
    assert set(kept.agents) == set(AGENTS)
    assert kept.number == 2
    assert database.history() == [entry(1), entry(2)]
    memory.delete(FACTS[1])
    memory.put(Leadership(term=8))
    database.commit(memory.changes(), [], {"a": None})
    kept = database.load()
    assert set(kept.facts) == {Leadership(term=8), *FACTS[2:]}
    assert kept.agents == [AGENTS[1]]
    database.close()


def test_the_history_keeps_its_newest_entries_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HISTORY_LINES", 10)
    monkeypatch.setattr(limits, "HISTORY_TRIM", 1)
    database = ControllerDatabase(path)
    for number in range(1, 31):
        database.commit([], [entry(number)])
    assert [one.number for one in database.history()] == list(range(21, 31))
    assert [one.number for one in database.latest(most=2)] == [29, 30]
    assert [one.number for one in database.latest(before=25, most=2)] == [23, 24]
    assert [one.number for one in database.history(after=26, most=2)] == [27, 28]
    assert database.load().number == 30
    database.close()


def test_a_commit_that_fails_holds_as_a_whole_or_not_at_all(path: Path) -> None:
    database = ControllerDatabase(path)
    memory = Memory()
    memory.put(FACTS[0])
    changes = memory.changes()
    with pytest.raises(StorageError):
        database.commit(changes, [entry(1), entry(1)])  # a number is there twice
    assert database.load().facts == []
    database.commit(changes, [entry(1)])
    assert database.load().facts == [FACTS[0]]
    database.close()


def test_a_key_database_is_not_taken_for_a_controller_s(path: Path) -> None:
    SqliteDatabase(path).close()
    with pytest.raises(ConfigurationError, match="none of Quiver's"):
        ControllerDatabase(path)


def test_records_of_a_newer_controller_are_not_passed_over(path: Path) -> None:
    ControllerDatabase(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO fact VALUES ('novelty', 'x', '{}')")
    connection.close()
    database = ControllerDatabase(path)
    with pytest.raises(StorageError, match="another Quiver"):
        database.load()
    database.close()


def test_others_may_not_read_it(path: Path) -> None:
    ControllerDatabase(path).close()
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        ControllerDatabase(path)

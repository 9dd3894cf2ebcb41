"""Full disks and I/O errors: StorageError, nothing promised, and on it goes without a restart."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quiver.domain.errors import StorageError
from quiver.domain.journal import AuditLine, Write
from quiver.store.sqlite import SqliteDatabase
from tests.store.model import state_of

FILLING = [sys.executable, "-m", "tests.store.filling"]
BEFORE = [Write("own", "", b"before")]
AFTER = [Write("own", "", b"after")]


def told_by(*command: str) -> dict[str, object]:
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, object] = json.loads(run.stdout.splitlines()[-1])
    return told


def went_well(told: dict[str, object]) -> None:
    assert [name for name, value in told.items() if value is False] == []
    for message in (told.pop("first"), told.pop("again")):
        assert str(message).startswith("key database: ")
    assert len(told) == 6


def test_a_full_disk_refuses_commits_changes_nothing_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    went_well(told_by(*FILLING, str(tmp_path), "limit"))


@pytest.mark.system
def test_a_file_system_without_room_refuses_commits_until_there_is_some(tmp_path: Path) -> None:
    mounted = 'mount -t tmpfs -o size=8m,mode=700 tmpfs "$0" && exec "$@"'
    told = told_by("unshare", "--mount", "sh", "-c", mounted, str(tmp_path), *FILLING, str(tmp_path), "disk")
    assert told["first"] == "key database: the disk is full (SQLITE_FULL)"
    went_well(told)


class Broken:
    """A connection whose COMMIT ends with an I/O error, before or after it took effect."""

    def __init__(self, connection: sqlite3.Connection, statement: str, *, first: bool) -> None:
        self._connection, self._statement, self._first = connection, statement, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement.startswith(self._statement):
            if self._first:
                self._connection.execute(statement, *arguments)
            error = sqlite3.OperationalError("disk I/O error in a secret place")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return self._connection.execute(statement, *arguments)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "keys.sqlite")
    database.commit(BEFORE, [])
    yield database
    database.close()


def break_commit(database: SqliteDatabase, statement: str = "COMMIT", *, holds: bool = False) -> None:
    assert database._connection is not None
    database._connection = Broken(database._connection, statement, first=holds)  # type: ignore[assignment]


def unreachable(database: SqliteDatabase, patch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse() -> None:
        raise StorageError("key database: gone for now")

    patch.setattr(database._file, "connect", refuse)
    return patch.undo


@pytest.mark.parametrize("statement", ["BEGIN", "UPDATE meta", "COMMIT"])
def test_a_commit_that_failed_changed_nothing_and_the_next_one_works(database: SqliteDatabase, statement: str) -> None:
    break_commit(database, statement)
    with pytest.raises(StorageError) as refused:
        database.commit(AFTER, [AuditLine("never", {})])
    assert refused.value.message == "key database: it cannot be read or written now (SQLITE_IOERR_FSYNC)"
    assert refused.value.status == 503
    assert (database.number, state_of(database)) == (1, {("own", ""): (b"before", None)})
    assert database.commit(AFTER, [AuditLine("once", {})]) == 2
    assert [line.event for line in database.audit_lines()] == ["once"]


def test_a_commit_that_broke_off_but_is_on_the_disk_counts_as_done(database: SqliteDatabase) -> None:
    break_commit(database, holds=True)
    assert database.commit(AFTER, []) == 2
    assert database.number == 2
    assert state_of(database) == {("own", ""): (b"after", None)}
    assert database.commit(BEFORE, []) == 3


@pytest.mark.parametrize("holds", [False, True])
def test_an_unknown_outcome_is_told_truly_by_the_next_load(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    break_commit(database, holds=holds)
    reachable = unreachable(database, monkeypatch)
    for _ in range(2):
        with pytest.raises(StorageError):
            database.commit(AFTER, [])
        with pytest.raises(StorageError, match="gone for now"):
            list(database.load())
    reachable()
    assert state_of(database) == {("own", ""): (b"after" if holds else b"before", None)}
    assert database.number == (2 if holds else 1)
    assert database.commit(BEFORE, []) == database.number


def test_nothing_goes_on_top_of_a_commit_whose_caller_was_told_that_it_failed(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_commit(database, holds=True)
    reachable = unreachable(database, monkeypatch)
    with pytest.raises(StorageError):
        database.commit(AFTER, [])
    reachable()
    for _ in range(2):
        with pytest.raises(StorageError, match="have to be loaded first"):
            database.commit([Write("route", "r", b"blind")], [])
    assert state_of(database) == {("own", ""): (b"after", None)}
    assert database.commit([Write("route", "r", b"seeing")], []) == 3


def test_a_lost_transaction_needs_no_load_before_the_next(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_commit(database)
    reachable = unreachable(database, monkeypatch)
    with pytest.raises(StorageError):
        database.commit(AFTER, [])
    reachable()
    assert database.commit(AFTER, []) == 2


def test_a_log_that_cannot_be_cut_off_does_not_undo_a_commit(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quiver.domain.limits.LOG_COMMITS", 1)
    break_commit(database, "PRAGMA wal_checkpoint")
    assert database.commit(AFTER, []) == 2
    assert database.commit(BEFORE, []) == 3
    assert state_of(database) == {("own", ""): (b"before", None)}


def test_a_file_that_was_replaced_under_a_running_node_is_not_taken_for_its_own(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    other = SqliteDatabase(tmp_path / "other")
    other.commit(AFTER, [])
    other.close()
    (tmp_path / "other").rename(tmp_path / "keys.sqlite")
    break_commit(database)
    with pytest.raises(StorageError):
        database.commit(AFTER, [])
    with pytest.raises(StorageError, match="replaced while it was in use"):
        list(database.load())

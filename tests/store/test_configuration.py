"""The database of what came over NETCONF: it holds what was acknowledged, says who asked for it, and nothing by half."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quiver.domain.errors import ConfigurationError, StorageError
from quiver.store.configuration import Author, ConfigurationDatabase, Entry
from quiver.store.sqlite import SqliteDatabase
from tests.store.test_trouble import Broken

OLGA = Author(user="olga", role="operator", transport="ssh", peer="192.0.2.7", session=4, cause="edit-config")
HOME = Entry("home", "sae-1", b"alice")
PATH = Entry("path", "a-c/1/1", b"{}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ConfigurationDatabase]:
    made = ConfigurationDatabase(tmp_path / "configuration.sqlite", wall=lambda: 1_800_000_000.0)
    yield made
    made.close()


def entries(database: ConfigurationDatabase) -> set[tuple[str, str, bytes | None]]:
    return {(entry.kind, entry.key, entry.body) for entry in database.load().entries}


def again(database: ConfigurationDatabase) -> ConfigurationDatabase:
    database.close()
    return ConfigurationDatabase(database._file.path)


def test_what_was_committed_is_there_after_a_restart(database: ConfigurationDatabase) -> None:
    database.commit([HOME, PATH], OLGA)
    database.commit([Entry("home", "sae-1", b"bob"), Entry("path", "a-c/1/1", None)], OLGA)
    fresh = again(database)
    assert entries(fresh) == {("home", "sae-1", b"bob")}
    fresh.close()


def test_the_fallback_is_that_of_the_last_commit(database: ConfigurationDatabase) -> None:
    back = [Entry("home", "sae-1", None), Entry("path", "x", b"old")]
    database.commit([HOME], OLGA, fallback=back)
    fresh = again(database)
    assert {(entry.kind, entry.body) for entry in fresh.load().fallback} == {("home", None), ("path", b"old")}
    fresh.commit([], OLGA)
    assert fresh.load().fallback == []
    fresh.close()


def test_the_audit_says_who_changed_what(database: ConfigurationDatabase) -> None:
    database.commit([HOME, PATH], OLGA)
    database.commit([Entry("path", "a-c/1/1", None)], OLGA)
    assert database.authors() == [
        (OLGA, [("home", "sae-1", True), ("path", "a-c/1/1", True)]),
        (OLGA, [("path", "a-c/1/1", False)]),
    ]


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO entry", "UPDATE meta", "COMMIT"])
def test_a_commit_that_failed_changed_nothing_and_the_next_one_works(
    database: ConfigurationDatabase, statement: str
) -> None:
    database.commit([HOME], OLGA)
    database._connection = Broken(database._connection, statement, first=False)  # type: ignore[assignment]
    with pytest.raises(StorageError, match=r"configuration database: .*SQLITE_IOERR_FSYNC") as failed:
        database.commit([PATH], OLGA)
    assert "secret place" not in failed.value.message
    assert entries(database) == {("home", "sae-1", b"alice")}
    database.commit([PATH], OLGA)
    assert len(entries(database)) == 2


def test_a_commit_that_was_called_failed_and_held_after_all_is_taken_back(database: ConfigurationDatabase) -> None:
    """Its client was told that nothing had changed."""
    database.commit([HOME], OLGA, fallback=[PATH])
    database._connection = Broken(database._connection, "COMMIT", first=True)  # type: ignore[assignment]
    with pytest.raises(StorageError):
        database.commit([Entry("home", "sae-1", b"bob"), Entry("home", "sae-2", b"bob")], OLGA)
    assert entries(database) == {("home", "sae-1", b"alice")}
    assert [entry.kind for entry in database.load().fallback] == ["path"]
    assert database.authors()[-1][0].cause == "a commit of unknown outcome"
    fresh = again(database)
    assert entries(fresh) == {("home", "sae-1", b"alice")}
    fresh.close()


def test_a_file_that_was_put_back_while_it_was_in_use_is_not_written_to(
    database: ConfigurationDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.commit([HOME], OLGA)
    database._let_go()
    connect = database._file.connect

    def older() -> tuple[sqlite3.Connection, int]:
        connection, number = connect()
        return connection, number - 1

    monkeypatch.setattr(database._file, "connect", older)
    with pytest.raises(StorageError, match="it shows commit 0 where 1 was the last"):
        database.commit([PATH], OLGA)


def test_a_key_database_is_not_taken_for_a_configuration(tmp_path: Path) -> None:
    SqliteDatabase(tmp_path / "keys.sqlite").close()
    with pytest.raises(ConfigurationError):
        ConfigurationDatabase(tmp_path / "keys.sqlite")


def test_two_processes_never_share_it(database: ConfigurationDatabase, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="another process uses it"):
        ConfigurationDatabase(tmp_path / "configuration.sqlite")


KILLED = """
import os, sys
from pathlib import Path
from quiver.store.configuration import Author, ConfigurationDatabase, Entry
author = Author(user="o", role="operator", transport="ssh", peer="", session=1, cause="edit-config")
database = ConfigurationDatabase(Path(sys.argv[1]))
for number in range(1000):
    database.commit([Entry("home", f"sae-{number}", b"alice")], author)
    print(number, flush=True)
"""


def test_a_killed_process_leaves_all_that_it_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "configuration.sqlite")]
    tmp_path.chmod(0o700)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said: list[Any] = []
        for line in process.stdout:
            said.append(int(line))
            if len(said) == 25:
                process.kill()
        assert process.wait() == -9
    database = ConfigurationDatabase(tmp_path / "configuration.sqlite")
    found = {int(key.removeprefix("sae-")) for _, key, _ in entries(database)}
    assert set(said) <= found <= {*said, said[-1] + 1}
    assert len(database.authors()) == len(found)
    database.close()

"""The SQLite key database: what goes in comes out, what is erased is gone, and nobody else gets at the file."""

import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from quiver.domain import limits, records
from quiver.domain.errors import ConfigurationError, StorageError
from quiver.domain.journal import AuditLine, Journal, Write
from quiver.domain.records import RECORDS, Burned, Segment, SegmentState
from quiver.domain.secret import Secret
from quiver.store.sqlite import SqliteDatabase
from tests.store.model import State, apply, bytes_of, state_of


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.sqlite"


@pytest.fixture
def database(path: Path, clock: Clock) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(path, wall=lambda: 1.8e9, clock=clock)
    yield database
    database.close()


def files_of(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


# --- what goes in comes out ---------------------------------------------------------------------------------------


def test_every_kind_of_record_comes_back_with_and_without_its_secret(database: SqliteDatabase, path: Path) -> None:
    writes = [Write(kind, "bare", b"body of " + kind.encode()) for kind in RECORDS]
    writes += [Write(kind, "", b"", Secret(bytes_of(kind, 70_000))) for kind in RECORDS]
    assert database.commit(writes, []) == 1
    expected: State = {}
    apply(expected, writes)
    assert len(expected) == 2 * len(RECORDS)
    assert state_of(database) == expected
    database.close()
    assert state_of(SqliteDatabase(path)) == expected


def test_a_journal_of_records_comes_back_as_records(database: SqliteDatabase) -> None:
    segment = Segment(
        segment="5e", link="a-b", neighbour="bob", owner="alice", state=SegmentState.USABLE, length=64, mark=16
    )
    segment.secret = Secret(bytes(range(64)))
    journal = Journal(Burned())
    journal.put(segment, secret=True)
    database.commit(*journal.take())
    journal.erase(segment, 0, 32)
    segment.mark = 32
    database.commit(*journal.take())
    ((kind, key, body, secret),) = database.load()
    assert (kind, key) == ("segment", "5e")
    assert secret is not None
    found = records.decode(kind, body, secret.reveal())
    assert records.encode(found) == records.encode(segment)
    assert found.secret == Secret(bytes(32) + bytes(range(32, 64)))


def test_a_body_alone_leaves_the_secret_and_an_empty_one_removes_it(database: SqliteDatabase) -> None:
    database.commit([Write("block", "x", b"1", Secret(b"pad"))], [])
    database.commit([Write("block", "x", b"2")], [])
    assert state_of(database) == {("block", "x"): (b"2", b"pad")}
    database.commit([Write("block", "x", b"3", Secret(b""))], [])
    assert state_of(database) == {("block", "x"): (b"3", None)}


def test_a_record_that_returns_has_nothing_of_its_former_secret(database: SqliteDatabase) -> None:
    database.commit([Write("block", "x", b"1", Secret(b"pad"))], [])
    database.commit([Write("block", "x", None), Write("block", "x", b"2")], [])
    assert state_of(database) == {("block", "x"): (b"2", None)}


def test_records_come_in_the_order_in_which_they_were_first_written(database: SqliteDatabase) -> None:
    names = ["q", "b", "x", "a"]
    database.commit([Write("route", name, b"1") for name in names], [])
    database.commit([Write("route", "x", b"2"), Write("route", "q", b"2")], [])
    assert [key for _, key, _, _ in database.load()] == names


def test_the_commit_number_grows_by_one_and_survives(database: SqliteDatabase, path: Path) -> None:
    assert database.number == 0
    assert [database.commit([], []) for _ in range(3)] == [1, 2, 3]
    database.close()
    again = SqliteDatabase(path)
    assert again.number == 3
    assert again.commit([], []) == 4
    again.close()


def test_a_commit_may_come_from_another_thread(database: SqliteDatabase) -> None:
    worker = threading.Thread(target=database.commit, args=([Write("own", "", b"x")], []))
    worker.start()
    worker.join()
    assert database.number == 1
    assert state_of(database) == {("own", ""): (b"x", None)}


def test_an_unknown_kind_is_refused_before_anything_is_written(database: SqliteDatabase) -> None:
    with pytest.raises(ValueError, match="no such kind of record: spell"):
        database.commit([Write("own", "", b"x"), Write("spell", "", b"x")], [])
    assert (database.number, state_of(database)) == (0, {})


def test_a_faulty_write_takes_the_whole_transaction_with_it(database: SqliteDatabase) -> None:
    faulty = Write("block", "x", b"2", None, [(0, -1)])
    database.commit([Write("block", "x", b"1", Secret(b"pad"))], [])
    with pytest.raises(ValueError, match="negative"):
        database.commit([Write("own", "", b"x"), faulty], [AuditLine("never", {})])
    assert state_of(database) == {("block", "x"): (b"1", b"pad")}
    assert database.audit_lines() == []
    assert database.commit([], []) == 2


# --- audit --------------------------------------------------------------------------------------------------------


def test_audit_lines_are_read_in_order_and_in_pages(database: SqliteDatabase) -> None:
    database.commit([], [AuditLine("delivered", {"batch": "b1", "keys": 3}), AuditLine("burned", {"bytes": 16})])
    database.commit([], [AuditLine("rolled-back", {})])
    lines = database.audit_lines()
    assert [(line.event, line.number, line.time) for line in lines] == [
        ("delivered", 1, 1.8e9),
        ("burned", 1, 1.8e9),
        ("rolled-back", 2, 1.8e9),
    ]
    assert lines[0].facts == {"batch": "b1", "keys": 3}
    assert database.audit_lines(after=lines[0].line, most=1) == [lines[1]]
    assert database.audit_lines(after=lines[-1].line) == []


def test_the_audit_keeps_its_newest_lines_only(database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AUDIT_LINES", 100)
    for number in range(3 * limits.AUDIT_TRIM):
        database.commit([], [AuditLine("one", {"n": number}), AuditLine("two", {"n": number})])
    lines = database.audit_lines()
    assert len(lines) == 100
    assert lines[-1].facts == {"n": 3 * limits.AUDIT_TRIM - 1}
    assert lines[-1].line == 6 * limits.AUDIT_TRIM


# --- what is erased is gone ---------------------------------------------------------------------------------------


def test_erased_bytes_are_in_no_file_once_the_log_is_cut_off(
    database: SqliteDatabase, path: Path, clock: Clock
) -> None:
    pad = bytes_of("pad", 65_536)
    database.commit([Write("segment", "s", b"1", Secret(pad)), Write("batch", "k", b"1", Secret(pad[:40]))], [])
    erasures = [(0, 40), (9_000, 48), (65_520, 16)]
    database.commit([Write("segment", "s", b"2", None, erasures), Write("batch", "k", None)], [])
    clock.time += limits.LOG_TIME
    database.commit([], [])
    stored = files_of(path)
    for offset, length in erasures:
        assert pad[offset : offset + 8] not in stored
        assert pad[offset + length - 8 : offset + length] not in stored
    assert pad[40:56] in stored
    assert pad[8_984:9_000] in stored


def test_no_piece_of_an_erased_secret_is_left_behind_in_a_page(database: SqliteDatabase, path: Path) -> None:
    """Records of all sizes come and go, so that SQLite moves rows between pages; it must leave no copies where they were."""
    chance = random.Random(6)
    living: dict[str, bytes] = {}
    gone: list[bytes] = []
    for _ in range(60):
        writes = []
        for _ in range(10):
            key = chance.randbytes(8).hex()
            living[key] = chance.randbytes(chance.choice([16, 32, 300, 2_000, 4_000, 9_000]))
            writes.append(Write("batch", key, b"", Secret(living[key])))
        for key in chance.sample(sorted(living), min(len(living), chance.randrange(5, 16))):
            gone.append(living.pop(key))
            # One way ends with the record, one with an empty secret, one with zeros and the record.
            way = chance.randrange(3)
            if way == 2:
                writes.append(Write("batch", key, b"", None, [(0, len(gone[-1]))]))
            writes.append(Write("batch", key, None if way else b"", None if way else Secret(b"")))
        database.commit(writes, [])
    database.close()
    stored = files_of(path)
    assert all(secret in stored or len(secret) > 4_000 for secret in living.values())  # the search does find secrets
    words = {stored[at : at + 8] for at in range(len(stored))}
    left = sum(any(secret[at : at + 8] in words for at in range(0, len(secret) - 7, 8)) for secret in gone)
    assert (left, len(gone) > 500) == (0, True)


def test_the_log_is_cut_off_after_bytes_after_commits_and_at_the_end(
    database: SqliteDatabase, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = path.with_name("keys.sqlite-wal")
    for _ in range(100):
        database.commit([Write("segment", "s", b"", Secret(bytes(65_536)))], [])
        assert log.stat().st_size < limits.LOG_BYTES
    monkeypatch.setattr(limits, "LOG_COMMITS", 3)
    sizes = []
    for _ in range(6):
        database.commit([Write("own", "", b"x")], [])
        sizes.append(log.stat().st_size)
    assert sizes.count(0) == 2
    database.close()
    assert [file.name for file in path.parent.iterdir()] == ["keys.sqlite"]


# --- whose file it is ---------------------------------------------------------------------------------------------


def test_files_and_directory_are_for_their_owner_only(database: SqliteDatabase, path: Path) -> None:
    previous = os.umask(0)
    try:
        other = SqliteDatabase(path.parent.with_name("other") / "keys.sqlite")
        other.commit([], [])
        found = [*other._file.path.parent.iterdir()]
        assert {stat.S_IMODE(file.stat().st_mode) for file in found} == {0o600}
        assert {file.name for file in found} == {"keys.sqlite", "keys.sqlite-wal"}
        assert stat.S_IMODE(other._file.path.parent.stat().st_mode) == 0o700
        other.close()
    finally:
        os.umask(previous)
    database.close()
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read it; chmod 600"):
        SqliteDatabase(path)
    path.chmod(0o600)
    path.parent.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"others may enter .*/state; chmod 700"):
        SqliteDatabase(path)
    path.parent.chmod(0o700)
    SqliteDatabase(path).close()


def test_a_second_opener_is_refused_in_this_and_in_another_process(database: SqliteDatabase, path: Path) -> None:
    database.commit([], [])
    with pytest.raises(ConfigurationError, match=r"keys\.sqlite: another process uses it"):
        SqliteDatabase(path)
    opened = (
        "import sys, pathlib; from quiver.store.sqlite import SqliteDatabase; SqliteDatabase(pathlib.Path(sys.argv[1]))"
    )
    other = subprocess.run([sys.executable, "-c", opened, path], capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "another process uses it" in other.stderr
    assert database.commit([], []) == 2
    database.close()
    SqliteDatabase(path).close()


def test_a_foreign_program_can_neither_read_along_nor_be_pushed_aside(database: SqliteDatabase, path: Path) -> None:
    read = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM meta')"
    other = subprocess.run([sys.executable, "-c", read, path], capture_output=True, text=True, check=False)
    assert "database is locked" in other.stderr
    database.close()
    foreign = sqlite3.connect(path)
    foreign.execute("SELECT * FROM meta").fetchall()
    with pytest.raises(ConfigurationError, match="another program has it open"):
        SqliteDatabase(path)
    foreign.close()


def write_foreign(path: Path) -> None:
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE recipes (name)")
    foreign.close()


def write_newer(path: Path) -> None:
    SqliteDatabase(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute("UPDATE meta SET schema = 2")
    newer.close()


def write_damaged(path: Path) -> None:
    database = SqliteDatabase(path)
    database.commit([Write("route", str(number), bytes(200)) for number in range(200)], [])
    database.close()
    content = bytearray(path.read_bytes())
    content[8192:-4096] = random.Random(1).randbytes(len(content) - 12288)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("my shopping list, which is long enough" * 30), "no SQLite file"),
        (write_foreign, "a SQLite database, but none of Quiver's"),
        (write_newer, "version 2, of another Quiver; this one reads 1"),
        (write_damaged, "damaged"),
        (lambda path: path.symlink_to(path.with_name("other")), "symbolic links"),
        (os.mkfifo, "no plain file"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_a_wrong_file_is_refused_and_left_as_it_is(path: Path, write: object, message: str) -> None:
    assert callable(write)
    path.parent.mkdir(mode=0o700)
    write(path)
    if not path.is_symlink():
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(ConfigurationError, match=message):
        SqliteDatabase(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_closed_database_does_nothing_more(database: SqliteDatabase) -> None:
    database.close()
    database.close()
    with pytest.raises(StorageError, match="closed"):
        database.commit([], [])
    with pytest.raises(StorageError, match="closed"):
        list(database.load())

"""Whatever was acknowledged is there after `kill -9` and after power loss, and no transaction is there by half."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

from quiver.store.sqlite import SqliteDatabase
from tests.store.model import state_after, state_of, transaction


def commit_until_killed(path: Path, *arguments: str, stop_after: int | None = None) -> list[int]:
    """The numbers that the process said before its end."""
    command = [sys.executable, "-m", "tests.store.committing", str(path), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(int(line))
            if len(said) == stop_after:
                process.kill()
        assert process.wait() == -9
    return said


def holds_exactly(path: Path, least: int, most: int) -> int:
    database = SqliteDatabase(path)
    number = database.number
    assert least <= number <= most
    assert state_of(database) == state_after(number)
    assert [line.facts for line in database.audit_lines(most=10_000)] == [{"number": n} for n in range(1, number + 1)]
    database.close()
    return number


def test_a_killed_process_leaves_all_that_it_reported_and_nothing_torn(tmp_path: Path) -> None:
    chance, number = random.Random(2711), 0
    for _ in range(8):
        said = commit_until_killed(tmp_path / "db", stop_after=chance.randrange(1, 30))
        assert said[0] == number + 1
        number = holds_exactly(tmp_path / "db", said[-1], said[-1] + 1)


def test_a_process_killed_in_the_middle_of_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    chance, number = random.Random(2712), 0
    for _ in range(8):
        said = commit_until_killed(tmp_path / "db", str(chance.randrange(20, 4000)))
        number = holds_exactly(tmp_path / "db", *[said[-1] if said else number] * 2)


def test_a_log_torn_by_power_loss_shows_a_whole_number_of_transactions(tmp_path: Path) -> None:
    chance = random.Random(2713)
    living, copy = tmp_path / "living", tmp_path / "copy"
    database = SqliteDatabase(living, clock=lambda: 0.0)
    for number in range(1, 26):
        database.commit(*transaction(number))
    log = living.with_name("living-wal").read_bytes()
    seen = set()
    for _ in range(25):
        shutil.copy(living, copy)
        kept = chance.randrange(len(log))
        torn = log[:kept] + chance.choice([b"", bytes(4096), chance.randbytes(6000)])
        copy.with_name("copy-wal").write_bytes(torn)
        seen.add(holds_exactly(copy, 0, 25))
        copy.unlink()
    assert len(seen) > 10
    database.close()


def test_each_commit_waits_for_the_disk(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "db")
    assert database._connection is not None
    assert database._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert database._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()

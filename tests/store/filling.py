"""A process whose disk fills up and gets room again; prints what its database did, as one JSON object.

python -m tests.store.filling DIRECTORY limit: the process may not write beyond a file's first page.
python -m tests.store.filling DIRECTORY disk: DIRECTORY is a small file system, which another file fills.
"""

import contextlib
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from quiver.domain.errors import StorageError
from quiver.store.sqlite import SqliteDatabase
from tests.store.model import state_after, state_of, transaction


class Limit:
    """No write of this process goes beyond the first page of a file."""

    def fill(self, directory: Path) -> None:
        del directory
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def clear(self, directory: Path) -> None:
        del directory
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Disk:
    """Another file takes all the room there is."""

    def fill(self, directory: Path) -> None:
        with (directory / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))

    def clear(self, directory: Path) -> None:
        (directory / "filler").unlink()


def commit_until_refused(commit: Callable[[], int]) -> str:
    while True:
        try:
            commit()
        except StorageError as error:
            return error.message


def main() -> None:
    directory, trouble = Path(sys.argv[1]), {"limit": Limit, "disk": Disk}[sys.argv[2]]()
    # The log is cut off when `time` jumps, and only then.
    time = [0.0]
    database = SqliteDatabase(directory / "keys.sqlite", clock=lambda: time[0])

    def commit() -> int:
        return database.commit(*transaction(database.number + 1))

    def is_true() -> bool:
        return state_of(database) == state_after(database.number)

    told: dict[str, object] = {}
    for _ in range(30):
        commit()
    trouble.fill(directory)
    told["first"] = commit_until_refused(commit)
    held = database.number
    told["again"] = commit_until_refused(commit)
    told["number stays"] = database.number == held
    trouble.clear(directory)
    told["nothing changed"] = is_true() and database.number == held
    told["after"] = commit() == held + 1 and is_true()

    # Now the log is to be cut off, and there is no room to copy it into the database.
    time[0] += 1000
    commit()
    trouble.fill(directory)
    time[0] += 1000
    with contextlib.suppress(StorageError):
        for _ in range(3):
            commit()
    trouble.clear(directory)
    told["log cut off"] = is_true() and bool(commit()) and is_true()
    held = database.number
    database.close()
    database = SqliteDatabase(directory / "keys.sqlite")
    told["reopened"] = database.number == held and is_true()
    told["audit"] = [line.facts["number"] for line in database.audit_lines()] == [*range(1, held + 1)]
    database.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()

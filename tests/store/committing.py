"""A process that commits `transaction(n)` for n = 1, 2, … and says each number once it is durable, until it is killed.

python -m tests.store.committing PATH [STEPS]: with STEPS it kills itself after so many steps of SQLite's machine.
"""

import os
import signal
import sys
from pathlib import Path

from quiver.store.sqlite import SqliteDatabase
from tests.store.model import transaction


def main() -> None:
    database = SqliteDatabase(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        assert database._connection is not None
        database._connection.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), int(sys.argv[2]))
    while True:
        number = database.commit(*transaction(database.number + 1))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

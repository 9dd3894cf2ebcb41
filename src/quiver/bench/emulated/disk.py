"""Databases of emulated nodes. On a network each node has a disk of its own; here all of them would wait for one.

So commits go no further than to the system's memory, and take as long as a disk of the node's own would. Nothing has to survive.
"""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from quiver.domain.journal import AuditLine, Write
from quiver.store.configuration import Author, ConfigurationDatabase, Entry
from quiver.store.sqlite import SqliteDatabase

__all__ = ["FLUSH", "OwnConfiguration", "OwnKeys"]

FLUSH: Final = 0.001  # seconds that a commit takes at least; what drives of data centres need for one flush


class OwnKeys(SqliteDatabase):
    """A key database on a disk of its own.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        _unflushed(self._connection)

    def commit(self, writes: Sequence[Write], audit: Sequence[AuditLine]) -> int:
        """As `KeyDatabase.commit`; called in a worker thread."""
        number = super().commit(writes, audit)
        time.sleep(FLUSH)
        return number


class OwnConfiguration(ConfigurationDatabase):
    """A configuration database likewise.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        _unflushed(self._connection)

    def commit(self, entries: Sequence[Entry], author: Author, *, fallback: Sequence[Entry] = ()) -> None:
        """As `ConfigurationDatabase.commit`; called in a worker thread."""
        super().commit(entries, author, fallback=fallback)
        time.sleep(FLUSH)


def _unflushed(connection: sqlite3.Connection | None) -> None:
    """Commits of this connection do not wait for the disk."""
    assert connection is not None
    connection.execute("PRAGMA synchronous = OFF")

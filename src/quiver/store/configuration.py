"""What has come over NETCONF, in a SQLite file of its own: a lost key database keeps its node's configuration.

One row for each entry, so that an edit of one entry writes one row however many there are. What an entry is, its callers know;
here it has a kind, a key and a body. Every commit says who asked for it.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, StorageError
from quiver.store.sqlite_file import DatabaseFile, Layout, storage_error

__all__ = ["Author", "ConfigurationDatabase", "Entry", "Stored"]

_log = structlog.get_logger("quiver.store")

_LAYOUT: Final = Layout(
    what="configuration database",
    application=0x5176_4346,  # "QvCF"
    schema=1,
    tables={
        "entry": "(kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
        "fallback": "(kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID",
        "audit": "(line INTEGER PRIMARY KEY, number INTEGER NOT NULL, time REAL NOT NULL, author BLOB NOT NULL,"
        " entries BLOB NOT NULL)",
    },
)
_PUT: Final = "INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body"
_DELETE: Final = "DELETE FROM entry WHERE kind = ? AND key = ?"
_FIND: Final = "SELECT body FROM entry WHERE kind = ? AND key = ?"


class Entry(msgspec.Struct, frozen=True):
    """One entry as it is to be stored; without a body it is to be removed."""

    kind: str
    key: str
    body: bytes | None


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for a change, for the audit.

    Attributes:
        user: name, empty where the agent itself changed something.
        role: of the user.
        transport: "ssh" or "tls".
        peer: address that the user came from.
        session: NETCONF session-id, 0 for none.
        cause: what was done, such as "edit-config".
    """

    user: str
    role: str
    transport: str
    peer: str
    session: int
    cause: str


class Stored(msgspec.Struct, frozen=True):
    """All that a database holds.

    Attributes:
        entries: running.
        fallback: what the entries go back to, as far as a commit waits for its confirmation (RFC 6241 section 8.4).
    """

    entries: list[Entry]
    fallback: list[Entry]


class ConfigurationDatabase:
    """The file, held by this process. Its calls block; they come from one thread at a time.

    Args:
        path: the file; made where it is not there.
        wall: seconds since 1970-01-01 UTC, for the audit.

    Raises:
        ConfigurationError: the file is not ours, of a newer version, damaged, readable by others or in use.
        StorageError: it cannot be read or written now.
    """

    def __init__(self, path: Path, *, wall: Callable[[], float] = time.time) -> None:
        self._wall: Final = wall
        self._file: Final = DatabaseFile(path, _LAYOUT)
        self._connection: sqlite3.Connection | None = None
        self._undo: list[Entry] | None = None  # what takes back a commit of which nobody knows whether it holds
        self._undo_fallback: list[Entry] = []
        self._commits = 0  # since the log was cut off
        try:
            self._connection, self._number = self._file.connect()
        except (ConfigurationError, StorageError):
            self.close()
            raise

    def load(self) -> Stored:
        """All entries, in no order that means anything.

        Raises:
            StorageError: it cannot be read now.
        """
        connection = self._ready()
        try:
            return Stored(
                [Entry(*row) for row in connection.execute("SELECT kind, key, body FROM entry")],
                [Entry(*row) for row in connection.execute("SELECT kind, key, body FROM fallback")],
            )
        except sqlite3.Error as error:
            self._let_go()
            raise storage_error(error, _LAYOUT.what) from None

    def commit(self, entries: Sequence[Entry], author: Author, *, fallback: Sequence[Entry] = ()) -> None:
        """Make a change durable, with a line of who asked for it, in one transaction.

        Args:
            entries: what is new or gone.
            author: for the audit.
            fallback: takes the place of the whole fallback.

        Raises:
            StorageError: it cannot be written now. Nothing of it holds, or it is taken back before the next commit or load.
        """
        connection = self._ready()
        number = self._number + 1
        try:
            connection.execute("BEGIN IMMEDIATE")
            before = [Entry(e.kind, e.key, _body(connection, e)) for e in entries]
            _write(connection, entries)
            former = _replace_fallback(connection, fallback)
            self._note(connection, number, author, entries)
            connection.execute("UPDATE meta SET number = ?", (number,))
        except (sqlite3.Error, MemoryError) as error:
            self._let_go()
            raise storage_error(error, _LAYOUT.what) from None
        self._undo, self._undo_fallback = before, former
        try:
            connection.execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            self._let_go()
            raise storage_error(error, _LAYOUT.what) from None
        self._undo, self._number = None, number
        self._tidy(connection)

    def _note(self, connection: sqlite3.Connection, number: int, author: Author, entries: Sequence[Entry]) -> None:
        changed = [(entry.kind, entry.key, entry.body is not None) for entry in entries[: limits.CONFIGURATION_AUDITED]]
        connection.execute(
            "INSERT INTO audit (number, time, author, entries) VALUES (?, ?, ?, ?)",
            (number, self._wall(), msgspec.json.encode(author), msgspec.json.encode(changed)),
        )
        if number % limits.AUDIT_TRIM == 0:
            connection.execute(
                "DELETE FROM audit WHERE line <= (SELECT max(line) FROM audit) - ?", (limits.AUDIT_LINES,)
            )

    def authors(self, most: int = 1000) -> list[tuple[Author, list[tuple[str, str, bool]]]]:
        """The newest changes, oldest first: who, and (kind, key, whether it is there now) of each entry.

        Raises:
            StorageError: it cannot be read now.
        """
        connection = self._ready()
        try:
            rows = connection.execute(
                "SELECT author, entries FROM audit ORDER BY line DESC LIMIT ?", (most,)
            ).fetchall()
        except sqlite3.Error as error:
            self._let_go()
            raise storage_error(error, _LAYOUT.what) from None
        return [
            (msgspec.json.decode(author, type=Author), msgspec.json.decode(entries, type=list[tuple[str, str, bool]]))
            for author, entries in reversed(rows)
        ]

    # --- trouble --------------------------------------------------------------------------------------------------

    def _ready(self) -> sqlite3.Connection:
        """The connection; a new one where the last was let go.

        A commit that broke off may hold after all, though its caller was told that it failed and told the client so: then it
        is taken back here, before anything else.
        """
        if self._connection is not None:
            return self._connection
        try:
            connection, found = self._file.connect()
        except ConfigurationError as error:
            raise StorageError(error.message) from None
        try:
            if self._undo is not None and found == self._number + 1:
                self._take_back(connection, self._undo, found + 1)
                found += 1
            elif found != self._number:
                raise StorageError(f"{_LAYOUT.what}: it shows commit {found} where {self._number} was the last")
        except (sqlite3.Error, MemoryError) as error:
            connection.close()
            raise storage_error(error, _LAYOUT.what) from None
        except StorageError:
            connection.close()
            raise
        self._connection, self._number, self._undo = connection, found, None
        return connection

    def _take_back(self, connection: sqlite3.Connection, undo: Sequence[Entry], number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        _write(connection, undo)
        _replace_fallback(connection, self._undo_fallback)
        nobody = Author(user="", role="", transport="", peer="", session=0, cause="a commit of unknown outcome")
        self._note(connection, number, nobody, undo)
        connection.execute("UPDATE meta SET number = ?", (number,))
        connection.execute("COMMIT")

    def _let_go(self) -> None:
        """Close the connection after an error: what SQLite has in memory is no longer relied on."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Copy the write-ahead log into the file and cut it off, once that is due."""
        self._commits += 1
        if self._commits < limits.LOG_COMMITS and self._file.log_size < limits.LOG_BYTES:
            return
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:  # what was committed stays in the log; the next commit tries again
            _log.warning("log not cut off", reason=storage_error(error, _LAYOUT.what).message)
            return
        self._commits = 0

    def close(self) -> None:
        """Let go of the file; every later call raises StorageError. Closing twice does no harm."""
        self._let_go()
        self._file.close()


def _body(connection: sqlite3.Connection, entry: Entry) -> bytes | None:
    found = connection.execute(_FIND, (entry.kind, entry.key)).fetchone()
    return None if found is None else bytes(found[0])


def _write(connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if entry.body is None:
            connection.execute(_DELETE, (entry.kind, entry.key))
        else:
            connection.execute(_PUT, (entry.kind, entry.key, entry.body))


def _replace_fallback(connection: sqlite3.Connection, fallback: Sequence[Entry]) -> list[Entry]:
    """What was there before."""
    former = [Entry(*row) for row in connection.execute("SELECT kind, key, body FROM fallback")]
    if former:
        connection.execute("DELETE FROM fallback")
    for entry in fallback:
        connection.execute("INSERT INTO fallback VALUES (?, ?, ?)", (entry.kind, entry.key, entry.body))
    return former

"""The key database in one SQLite file: nothing to install, one fsync for each commit.

Erased bytes are overwritten where they lie. Older copies of them stay in SQLite's write-ahead log until it is cut off, which
happens with a commit once enough commits, bytes or seconds have passed, and on `close`. Secrets are not sealed: whoever can
read the file can read them.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, StorageError
from quiver.domain.journal import AuditLine, Write
from quiver.domain.secret import Secret
from quiver.store.database import AuditEntry
from quiver.store.sqlite_file import SQL, DatabaseFile, storage_error

__all__ = ["SqliteDatabase"]

_log = structlog.get_logger("quiver.store")
_facts: Final = msgspec.json.Decoder(dict[str, str | int])


class SqliteDatabase:
    """A `KeyDatabase` in a SQLite file. The audit keeps its newest `limits.AUDIT_LINES` lines and a few more.

    Args:
        path: the file; made where it is not there.
        wall: seconds since 1970-01-01 UTC, for the audit.
        clock: monotonic seconds, for cutting off the log.

    Raises:
        ConfigurationError: the file is not ours, of a newer version, damaged, readable by others or in use.
        StorageError: it cannot be read or written now.
    """

    def __init__(
        self, path: Path, *, wall: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall: Final = wall
        self._clock: Final = clock
        self._guard: Final = threading.Lock()
        self._file: Final = DatabaseFile(path)
        self._connection: sqlite3.Connection | None = None
        self._doubt = False  # a commit failed half-way, and the file was not read since
        self._ahead = False  # it holds after all, though its caller was told that it failed
        self._commits = 0  # since the log was cut off
        self._cut = clock()
        try:
            self._connection, self._number = self._file.connect()
        except (ConfigurationError, StorageError):
            self.close()
            raise

    @property
    def number(self) -> int:
        """The last commit number known to be durable. After a commit of unknown outcome, `load` makes it known."""
        return self._number

    # --- reading --------------------------------------------------------------------------------------------------

    def load(self) -> Iterator[tuple[str, str, bytes, Secret | None]]:
        """As `KeyDatabase.load`. One kind at a time is in memory."""
        for kind, sql in SQL.items():
            for key, body, secret in self._query(sql.load):
                yield kind, key, body, None if secret is None else Secret(secret)
        self._ahead = False

    def audit_lines(self, *, after: int = 0, most: int = 1000) -> list[AuditEntry]:
        """As `KeyDatabase.audit_lines`."""
        found = self._query("SELECT * FROM audit WHERE line > ? ORDER BY line LIMIT ?", after, most)
        return [
            AuditEntry(line, number, when, event, _facts.decode(facts)) for line, number, when, event, facts in found
        ]

    def _query(self, statement: str, *values: int) -> list[tuple[Any, ...]]:
        with self._guard:
            connection = self._ready()
            try:
                return connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                self._let_go()
                raise storage_error(error) from None

    # --- writing --------------------------------------------------------------------------------------------------

    def commit(self, writes: Sequence[Write], audit: Sequence[AuditLine]) -> int:
        """As `KeyDatabase.commit`."""
        if unknown := {write.kind for write in writes} - SQL.keys():
            message = f"no such kind of record: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        with self._guard:
            connection = self._ready()
            if self._ahead:
                raise StorageError(
                    "key database: an earlier commit holds after all; its records have to be loaded first"
                )
            number = self._number + 1
            try:
                connection.execute("BEGIN IMMEDIATE")
                _apply(connection, writes)
                self._note(connection, audit, number)
                connection.execute("UPDATE meta SET number = ?", (number,))
            except (sqlite3.Error, MemoryError) as error:
                self._let_go()
                raise storage_error(error) from None
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            self._doubt = True
            try:
                connection.execute("COMMIT")
            except (sqlite3.Error, MemoryError) as error:
                self._settle(error, number)
            self._number, self._doubt = number, False
            self._tidy()
            return number

    def _note(self, connection: sqlite3.Connection, audit: Sequence[AuditLine], number: int) -> None:
        if audit:
            now = self._wall()
            connection.executemany(
                "INSERT INTO audit (number, time, event, facts) VALUES (?, ?, ?, ?)",
                [(number, now, line.event, msgspec.json.encode(line.facts)) for line in audit],
            )
        if number % limits.AUDIT_TRIM == 0:
            connection.execute(
                "DELETE FROM audit WHERE line <= (SELECT max(line) FROM audit) - ?", (limits.AUDIT_LINES,)
            )

    # --- trouble --------------------------------------------------------------------------------------------------

    def _ready(self) -> sqlite3.Connection:
        """The connection; a new one where the last was let go, once the file shows the number it must show."""
        if self._connection is not None:
            return self._connection
        try:
            connection, found = self._file.connect()
        except ConfigurationError as error:
            raise StorageError(error.message) from None
        if found == self._number + 1 and self._doubt:
            self._number, self._ahead = found, True
        elif found != self._number:
            connection.close()
            raise StorageError(f"key database: it shows commit {found} where {self._number} was the last")
        self._connection, self._doubt = connection, False
        return connection

    def _let_go(self) -> None:
        """Close the connection after an error: what SQLite has in memory is no longer relied on."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _settle(self, error: sqlite3.Error | MemoryError, number: int) -> None:
        """Learn from the file whether a commit holds that broke off; return where it does.

        Raises:
            StorageError: it does not, or the file cannot be read now.
        """
        self._let_go()
        with contextlib.suppress(StorageError):
            self._ready()
        if self._number != number:
            raise storage_error(error) from None
        self._ahead = False

    # --- the log --------------------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """Copy the log into the database and cut it off, once that is due: the copies of erased bytes go with it."""
        self._commits += 1
        if (
            self._commits >= limits.LOG_COMMITS
            or self._clock() - self._cut >= limits.LOG_TIME
            or self._file.log_size >= limits.LOG_BYTES
        ):
            self._cut_log()

    def _cut_log(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:  # what was committed stays in the log; the next commit tries again
            _log.warning("key database log not cut off", reason=storage_error(error).message)
            return
        self._commits, self._cut = 0, self._clock()

    def close(self) -> None:
        """Cut off the log and let go of the file."""
        with self._guard:
            self._cut_log()
            self._let_go()
            self._file.close()


def _apply(connection: sqlite3.Connection, writes: Iterable[Write]) -> None:
    """All writes in their order; neighbours of one kind that do the same go together."""
    for (kind, gone), group in groupby(writes, lambda write: (write.kind, write.body is None)):
        sql, alike = SQL[kind], list(group)
        if gone:
            ids = [(write.id,) for write in alike]
            connection.executemany(sql.delete, ids)
            connection.executemany(sql.delete_secret, ids)
            continue
        connection.executemany(sql.put, [(write.id, write.body) for write in alike])
        for write in alike:
            if write.secret is not None:
                _replace(connection, kind, write.id, write.secret)
            if write.erasures:
                _erase(connection, kind, write)


def _replace(connection: sqlite3.Connection, kind: str, key: str, secret: Secret) -> None:
    if len(secret):
        connection.execute(SQL[kind].put_secret, (key, secret.reveal()))
    else:
        connection.execute(SQL[kind].delete_secret, (key,))


def _erase(connection: sqlite3.Connection, kind: str, write: Write) -> None:
    """Overwrite parts of a stored secret in place; only their pages are written."""
    found = connection.execute(SQL[kind].find_secret, (write.id,)).fetchone()
    if found is None:
        return
    with connection.blobopen(SQL[kind].secrets, "secret", found[0]) as stored:
        for offset, length in write.erasures:
            start, stop = min(offset, len(stored)), min(offset + length, len(stored))
            stored.seek(start)
            stored.write(bytes(stop - start))

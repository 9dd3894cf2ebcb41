"""The file of a SQLite database: who may open it, how it is opened, and what tables a key database has.

It belongs to this process's user, nobody else can read it, and no second process can open it while this one has it. In a key
database a record's secret has a row of its own beside the record's: a change of a mark then writes a page, not the whole pad.
"""

import contextlib
import fcntl
import os
import sqlite3
import stat
from pathlib import Path
from typing import Final

import msgspec

from quiver.domain.errors import ConfigurationError, StorageError
from quiver.domain.records import RECORDS

__all__ = ["KEY_DATABASE", "SCHEMA", "SQL", "DatabaseFile", "KindSql", "Layout", "storage_error"]

SCHEMA: Final = 1
"""Version of the tables; a file with a higher one is of a newer Quiver and is left alone."""

_PRAGMAS: Final = (
    "temp_store = MEMORY",  # no copy of a secret in a temporary file
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit is on the disk when it returns, also after power loss
    "secure_delete = ON",  # freed bytes become zeros
    "wal_autocheckpoint = 0",  # `SqliteDatabase` does it, and cuts the log off
    "cell_size_check = ON",
    "trusted_schema = OFF",
    "cache_size = -16384",  # KiB
)

_META: Final = "(one INTEGER PRIMARY KEY CHECK (one = 1), schema INTEGER NOT NULL, number INTEGER NOT NULL)"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of database a file holds.

    Attributes:
        what: its name in messages.
        application: number in the file's header by which it is known as ours.
        schema: version of the tables; a file with a higher one is of a newer Quiver and is left alone.
        tables: name → columns, beside `meta`, which holds version and commit number.
    """

    what: str
    application: int
    schema: int
    tables: dict[str, str]


KEY_DATABASE: Final = Layout(
    what="key database",
    application=0x5176_4B44,  # "QvKD"
    schema=SCHEMA,
    tables={
        "audit": "(line INTEGER PRIMARY KEY, number INTEGER NOT NULL, time REAL NOT NULL, event TEXT NOT NULL,"
        " facts BLOB NOT NULL)",
        **{f"record_{kind}": "(id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL)" for kind in RECORDS},
        **{f"secret_{kind}": "(id TEXT NOT NULL PRIMARY KEY, secret BLOB NOT NULL)" for kind in RECORDS},
    },
)


class KindSql(msgspec.Struct, frozen=True):
    """The statements for one kind of record."""

    secrets: str
    put: str
    delete: str
    put_secret: str
    delete_secret: str
    find_secret: str
    load: str

    @classmethod
    def of(cls, kind: str) -> "KindSql":
        """Those of a kind of `RECORDS`; the kind becomes part of the text."""
        record, secret = f"record_{kind}", f"secret_{kind}"
        put = "INSERT INTO {} (id, {}) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET {} = excluded.{}"
        return cls(
            secrets=secret,
            put=put.format(record, *["body"] * 3),
            delete=f"DELETE FROM {record} WHERE id = ?",  # noqa: S608  # kinds are constants of ours
            put_secret=put.format(secret, *["secret"] * 3),
            delete_secret=f"DELETE FROM {secret} WHERE id = ?",  # noqa: S608
            find_secret=f"SELECT rowid FROM {secret} WHERE id = ?",  # noqa: S608
            load=f"SELECT id, body, secret FROM {record} LEFT JOIN {secret} USING (id) ORDER BY {record}.rowid",  # noqa: S608
        )


SQL: Final = {kind: KindSql.of(kind) for kind in RECORDS}
"""Kind → its statements."""
_STATEMENTS: Final = 8 * len(SQL)  # that SQLite keeps prepared


class DatabaseFile:
    """The file, held and locked from the moment this object is made until `close`.

    Args:
        path: the file. It is made (0600) where it is not there, and so is its directory (0700).
        layout: what it holds.

    Raises:
        ConfigurationError: others may read the file or its directory, another process uses it, or it is no plain file.
    """

    def __init__(self, path: Path, layout: Layout = KEY_DATABASE) -> None:
        self.path: Final = path.absolute()
        self.layout: Final = layout
        self._lock = -1
        try:
            self._lock = self._hold()
            self._check()
        except OSError as error:
            self.close()
            raise ConfigurationError(f"{self.layout.what} {self.path}: {error.strerror}") from None
        except ConfigurationError:
            self.close()
            raise

    def _hold(self) -> int:
        """Open the file, or make it, and lock it. The lock lies on this descriptor, so SQLite may come and go."""
        directory = self.path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(directory.stat().st_mode) & 0o077:
            raise ConfigurationError(f"{self.layout.what}: others may enter {directory}; chmod 700 it")
        held = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise ConfigurationError(f"{self.layout.what} {self.path}: another process uses it") from None
        return held

    def _check(self) -> None:
        """Refuse a file that is not this user's own; make a new file's name durable."""
        found = os.fstat(self._lock)
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"{self.layout.what} {self.path}: no plain file")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigurationError(f"{self.layout.what} {self.path}: others may read it; chmod 600 it")
        if found.st_uid != os.geteuid():
            raise ConfigurationError(f"{self.layout.what} {self.path}: belongs to another user")
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @property
    def log_size(self) -> int:
        """Bytes of the write-ahead log."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    def connect(self) -> tuple[sqlite3.Connection, int]:
        """A connection to the database, made where the file is empty, and the commit number. What it shows is on the disk.

        Raises:
            ConfigurationError: the file is not ours, of a newer version, damaged, or locked by another program.
            StorageError: it cannot be read or written now.
        """
        self._check_place()
        try:
            connection = sqlite3.connect(
                f"{self.path.as_uri()}?mode=rw",
                uri=True,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=_STATEMENTS,
            )
        except sqlite3.Error as error:
            raise self._explain(error) from None
        try:
            return connection, self._prepare(connection)
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
            raise self._explain(error) from None
        except ConfigurationError:
            connection.close()
            raise

    def _check_place(self) -> None:
        if self._lock < 0:
            raise StorageError(f"{self.layout.what}: closed")
        held = os.fstat(self._lock)
        try:
            there = self.path.stat()
        except OSError as error:
            raise StorageError(f"{self.layout.what}: {error.strerror}") from None
        if (held.st_dev, held.st_ino) != (there.st_dev, there.st_ino):
            raise StorageError(f"{self.layout.what}: its file was replaced while it was in use")

    def _prepare(self, connection: sqlite3.Connection) -> int:
        # Nothing is changed before it is clear that the file is ours.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != self.layout.application and (tables or application):
            raise ConfigurationError(f"{self.layout.what} {self.path}: a SQLite database, but none of Quiver's")
        if "meta" in tables:
            (schema,) = connection.execute("SELECT schema FROM meta").fetchone() or (0,)
            if not 1 <= schema <= self.layout.schema:
                allowed = f"1 to {self.layout.schema}" if self.layout.schema > 1 else "1"
                message = f"version {schema}, of another Quiver; this one reads {allowed}"
                raise ConfigurationError(f"{self.layout.what} {self.path}: {message}")
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if {"meta", *self.layout.tables} - tables:
            self._make_tables(connection)
        # What is read from the log may still be in the operating system's memory only: a commit that was under way when
        # the process was killed, or whose fsync failed. Now it goes to the disk, or this fails.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise ConfigurationError(f"{self.layout.what} {self.path}: damaged ({state})")
        (number,) = connection.execute("SELECT number FROM meta").fetchone()
        return int(number)

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {self.layout.application}").fetchall()
        for name, columns in {"meta": _META, **self.layout.tables}.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns}")
        connection.execute("INSERT OR IGNORE INTO meta VALUES (1, ?, 0)", (self.layout.schema,))
        connection.execute("COMMIT")

    def _explain(self, error: sqlite3.Error) -> ConfigurationError | StorageError:
        code = error.sqlite_errorcode & 0xFF if hasattr(error, "sqlite_errorcode") else 0
        match code:
            case sqlite3.SQLITE_NOTADB:
                return ConfigurationError(f"{self.layout.what} {self.path}: no SQLite file")
            case sqlite3.SQLITE_CORRUPT:
                return ConfigurationError(f"{self.layout.what} {self.path}: damaged")
            case sqlite3.SQLITE_BUSY:
                return ConfigurationError(f"{self.layout.what} {self.path}: another program has it open")
        return storage_error(error, self.layout.what)

    def close(self) -> None:
        """Let go of the lock. SQLite's connection has to be closed before."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def storage_error(error: sqlite3.Error | MemoryError, database: str = KEY_DATABASE.what) -> StorageError:
    """What an error of SQLite's is to callers. Its own text stays here: it may quote a statement."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    what = "the disk is full" if name == "SQLITE_FULL" else "it cannot be read or written now"
    return StorageError(f"{database}: {what} ({name})")

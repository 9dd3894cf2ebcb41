"""What the controller remembers, in one SQLite file: the core's records, agents that operators made known, history.

A commit is on the disk when it returns. Whoever gets an error from one makes everything anew from what `load` gives: whether
the commit held or not, nothing that follows from it has left the process.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from quiver.controller.endpoints import AgentTable
from quiver.controller.history import HistoryEntry
from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, StorageError
from quiver.domain.sdn.memory import FACTS, decode, encode
from quiver.domain.sdn.records import Change, Fact
from quiver.net.config_file import path_hook
from quiver.store.sqlite_file import DatabaseFile, Layout, storage_error

__all__ = ["CONTROLLER_DATABASE", "ControllerDatabase", "Kept"]

_log = structlog.get_logger("quiver.controller.database")

CONTROLLER_DATABASE: Final = Layout(
    what="controller database",
    application=0x5176_5344,  # "QvSD"
    schema=1,
    tables={
        "fact": "(kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
        "agent": "(id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
        "history": "(number INTEGER PRIMARY KEY, time REAL NOT NULL, name TEXT NOT NULL, about BLOB NOT NULL,"
        " seconds BLOB NOT NULL)",
    },
)
_PUT_FACT: Final = "INSERT INTO fact VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"
_PUT_AGENT: Final = "INSERT INTO agent VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body"
_agents: Final = msgspec.json.Decoder(AgentTable, dec_hook=path_hook(Path()))
_about: Final = msgspec.json.Decoder(dict[str, str])
_seconds: Final = msgspec.json.Decoder(dict[str, float])


class Kept(msgspec.Struct, frozen=True):
    """All that a database holds, history apart.

    Attributes:
        facts: the core's records.
        agents: those that operators made known.
        number: of the newest entry of the history; 0 where there is none.
    """

    facts: list[Fact]
    agents: list[AgentTable]
    number: int


class ControllerDatabase:
    """The database, held by this process alone until `close`: so there is one active controller with this memory.

    Args:
        path: the file; made (0600) where it is not there, and so is its directory (0700).

    Raises:
        ConfigurationError: the file is not ours, of a newer version, damaged, readable by others, or another process has it.
        StorageError: it cannot be read or written now.
    """

    def __init__(self, path: Path) -> None:
        self._file: Final = DatabaseFile(path, CONTROLLER_DATABASE)
        self._guard: Final = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._commits = 0
        try:
            self._ready()
        except (ConfigurationError, StorageError):
            self._file.close()
            raise

    def load(self) -> Kept:
        """All that is kept.

        Raises:
            StorageError: it cannot be read now, or holds a record that this Quiver does not know.
        """
        try:
            facts = [decode(kind, body) for kind, _, body in self._query("SELECT * FROM fact") if _known(kind)]
            agents = [_agents.decode(body) for _, body in self._query("SELECT * FROM agent")]
        except (msgspec.DecodeError, ConfigurationError) as error:
            raise StorageError(
                f"{CONTROLLER_DATABASE.what}: a record cannot be read ({type(error).__name__})"
            ) from None
        (number,) = self._query("SELECT coalesce(max(number), 0) FROM history")[0]
        return Kept(facts, agents, number)

    def history(self, *, after: int = 0, most: int = limits.HISTORY_PAGE) -> list[HistoryEntry]:
        """Entries with a number above `after`, oldest first.

        Raises:
            StorageError: it cannot be read now.
        """
        return _entries(self._query("SELECT * FROM history WHERE number > ? ORDER BY number LIMIT ?", after, most))

    def latest(self, *, before: int | None = None, most: int = limits.HISTORY_PAGE) -> list[HistoryEntry]:
        """The newest entries, or those just below a number, oldest first.

        Raises:
            StorageError: it cannot be read now.
        """
        bound = before if before is not None else limits.MARK_MAX
        found = self._query("SELECT * FROM history WHERE number < ? ORDER BY number DESC LIMIT ?", bound, most)
        return _entries(found[::-1])

    def _query(self, statement: str, *values: int) -> list[tuple[Any, ...]]:
        with self._guard:
            try:
                return self._ready().execute(statement, values).fetchall()
            except sqlite3.Error as error:
                self._let_go()
                raise storage_error(error, CONTROLLER_DATABASE.what) from None

    def commit(
        self,
        changes: Sequence[Change],
        history: Sequence[HistoryEntry] = (),
        agents: Mapping[str, AgentTable | None] | None = None,
    ) -> None:
        """Make all of it durable, or nothing.

        Args:
            changes: of the core's records.
            history: new entries, with numbers above all that there are.
            agents: id → what operators made known, None for one that they removed.

        Raises:
            StorageError: nobody knows whether it holds; `load` tells.
        """
        with self._guard:
            connection = self._ready()
            try:
                connection.execute("BEGIN IMMEDIATE")
                _apply(connection, changes, agents or {})
                _note(connection, history)
                connection.execute("UPDATE meta SET number = number + 1")
                if self._commits % limits.HISTORY_TRIM == 0:
                    connection.execute(
                        "DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?",
                        (limits.HISTORY_LINES,),
                    )
                connection.execute("COMMIT")
            except (sqlite3.Error, MemoryError) as error:
                self._let_go()
                raise storage_error(error, CONTROLLER_DATABASE.what) from None
            except BaseException:
                self._let_go()
                raise
            self._commits += 1
            if self._commits % limits.LOG_COMMITS == 0 or self._file.log_size >= limits.LOG_BYTES:
                self._cut_log()

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection, _ = self._file.connect()
        return self._connection

    def _let_go(self) -> None:
        """Close the connection after an error: what SQLite has in memory is no longer relied on."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _cut_log(self) -> None:
        if self._connection is None:
            return
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:  # what was committed stays in the log; a later commit tries again
            reason = storage_error(error, CONTROLLER_DATABASE.what).message
            _log.warning("controller database log not cut off", reason=reason)

    def close(self) -> None:
        """Cut off the log and let go of the file."""
        with self._guard:
            self._cut_log()
            self._let_go()
            self._file.close()


def _known(kind: str) -> bool:
    if kind not in FACTS:
        raise StorageError(f"{CONTROLLER_DATABASE.what}: holds a record of another Quiver")
    return True


def _entries(rows: Sequence[tuple[Any, ...]]) -> list[HistoryEntry]:
    return [
        HistoryEntry(number=number, time=time, name=name, about=_about.decode(about), seconds=_seconds.decode(seconds))
        for number, time, name, about, seconds in rows
    ]


def _apply(connection: sqlite3.Connection, changes: Sequence[Change], agents: Mapping[str, AgentTable | None]) -> None:
    for change in changes:
        if change.record is None:
            connection.execute("DELETE FROM fact WHERE kind = ? AND id = ?", (change.kind, change.id))
        else:
            connection.execute(_PUT_FACT, (change.kind, change.id, encode(change.record)))
    for node, agent in agents.items():
        if agent is None:
            connection.execute("DELETE FROM agent WHERE id = ?", (node,))
        else:
            connection.execute(_PUT_AGENT, (node, msgspec.json.encode(agent, enc_hook=str)))


def _note(connection: sqlite3.Connection, history: Sequence[HistoryEntry]) -> None:
    rows = [
        (entry.number, entry.time, entry.name, msgspec.json.encode(entry.about), msgspec.json.encode(entry.seconds))
        for entry in history
    ]
    connection.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?)", rows)

"""Disks: one in memory that can go back to any commit, and the real SQLite with copies of its file."""

import shutil
from pathlib import Path

from quiver.domain.errors import StorageError
from quiver.domain.secret import Secret
from quiver.store.sqlite import SqliteDatabase


class MemoryDisk:
    """A key database without a disk: it keeps what every commit replaced."""

    def __init__(self):
        self.number = 0
        self.broken = False
        self.audit = []
        self._rows: dict[tuple[str, str], tuple[bytes, bytes | None]] = {}
        self._undo: list[tuple[dict, int]] = []  # for each commit: rows it replaced, audit lines before it

    def load(self):
        for (kind, name), (body, secret) in list(self._rows.items()):
            yield kind, name, body, Secret(secret) if secret is not None else None

    def commit(self, writes, audit):
        if self.broken:
            raise StorageError("no space left")
        undo = {}
        for write in writes:
            name = (write.kind, write.id)
            old = self._rows.get(name)
            undo.setdefault(name, old)
            if write.body is None:
                self._rows.pop(name, None)
                continue
            secret = old[1] if old is not None else None
            if write.secret is not None:
                secret = write.secret.reveal() or None
            if secret is not None and write.erasures:
                changed = bytearray(secret)
                for offset, length in write.erasures:
                    changed[offset : offset + length] = bytes(length)
                secret = bytes(changed)
            self._rows[name] = (write.body, secret)
        self._undo.append((undo, len(self.audit)))
        self.audit += audit
        self.number += 1
        return self.number

    def roll_back(self, number: int) -> None:
        while self.number > number:
            undo, lines = self._undo.pop()
            del self.audit[lines:]
            for name, row in undo.items():
                if row is None:
                    self._rows.pop(name, None)
                else:
                    self._rows[name] = row
            self.number -= 1

    def reopen(self) -> None:
        """A new process opens it."""

    def close(self) -> None:
        """The run is over."""


class SqliteDisk:
    """The real key database. A crash is a copy of its files taken at that moment: what the next process finds."""

    def __init__(self, directory: Path):
        directory.mkdir(mode=0o700)
        self._home, self._life = directory, 0
        self.broken = False
        self._open()

    def _open(self):
        self._database = SqliteDatabase(self._home / f"{self._life}" / "keys.sqlite")

    @property
    def number(self):
        return self._database.number

    @property
    def audit(self):
        return self._database.audit_lines(most=1_000_000)

    def load(self):
        return self._database.load()

    def commit(self, writes, audit):
        if self.broken:
            raise StorageError("no space left")
        return self._database.commit(writes, audit)

    def reopen(self):
        old = self._home / f"{self._life}"
        self._life += 1
        shutil.copytree(old, self._home / f"{self._life}")
        self._database.close()
        shutil.rmtree(old)
        self._open()

    def close(self):
        self._database.close()

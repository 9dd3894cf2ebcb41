"""Disks: one in memory and the real SQLite, which can both go back to any commit."""

import shutil
from pathlib import Path

from msgspec.structs import replace

from quiver.domain.errors import StorageError
from quiver.domain.journal import AuditLine, Write
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
    """The real key database. A crash is a copy of its files taken at that moment: what the next process finds.

    Its earlier states are made anew from the commits that led to them, by the same code as they were made first.
    """

    def __init__(self, directory: Path):
        directory.mkdir(mode=0o700)
        self._home, self._life = directory, 0
        self.broken = False
        self._commits: list[tuple[list[Write], list[AuditLine]]] = []
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
        # The node wipes what it has handed over as soon as it does not need it any more.
        kept = [replace(write, secret=Secret(write.secret.reveal())) if write.secret else write for write in writes]
        number = self._database.commit(writes, audit)
        self._commits.append((kept, list(audit)))
        return number

    def roll_back(self, number):
        """The files of an earlier commit stand where the present ones were."""
        self._database.close()
        shutil.rmtree(self._home / f"{self._life}")
        self._open()
        del self._commits[number:]
        for writes, audit in self._commits:
            self._database.commit(writes, audit)

    def reopen(self):
        old = self._home / f"{self._life}"
        self._life += 1
        shutil.copytree(old, self._home / f"{self._life}")
        self._database.close()
        shutil.rmtree(old)
        self._open()

    def close(self):
        self._database.close()

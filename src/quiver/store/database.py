"""The key database as its callers see it: records in, records out, all or nothing.

One process owns a database at a time. Where records lie, and later how their secrets are sealed, is the business of what
stands behind this interface.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from quiver.domain.journal import AuditLine, Write
from quiver.domain.secret import Secret

__all__ = ["AuditEntry", "KeyDatabase"]


class AuditEntry(msgspec.Struct, frozen=True):
    """A line of the audit as it was stored.

    Attributes:
        line: its place in the audit; ascending, never used twice.
        number: the commit that made it durable.
        time: wall-clock time of that commit, in seconds since 1970-01-01 UTC.
        event: what happened.
        facts: names, sizes and counts; never key material.
    """

    line: int
    number: int
    time: float
    event: str
    facts: dict[str, str | int]


class KeyDatabase(Protocol):
    """Records of all kinds of `quiver.domain.records`, their secrets, and the audit."""

    @property
    def number(self) -> int:
        """The last commit number known to be durable; 0 for a new database. It lies in the database and grows by 1."""

    def load(self) -> Iterator[tuple[str, str, bytes, Secret | None]]:
        """Every record as (kind, id, body, secret), of each kind in the order in which the ids first came.

        To be read to its end before the next commit.

        Raises:
            StorageError: it cannot be read now.
        """

    def commit(self, writes: Sequence[Write], audit: Sequence[AuditLine]) -> int:
        """Make writes and audit lines durable in one transaction; the new commit number.

        Writes take effect in their order. Erasing what is not there is no error. May be called from any thread.

        Raises:
            StorageError: it cannot be written now. Nothing of the transaction holds, with one exception: where even the
                outcome could not be learnt, it may hold. The caller throws away what it has in memory and calls `load`
                as soon as that works again: then `number` and the records say what is durable. Until then no commit
                goes on top of a transaction whose caller was told that it failed.
            ValueError: a write names a kind that there is not.
        """

    def audit_lines(self, *, after: int = 0, most: int = 1000) -> list[AuditEntry]:
        """The oldest `most` lines of the audit that come after line `after`.

        Raises:
            StorageError: it cannot be read now.
        """

    def close(self) -> None:
        """Let go of the database; every later call raises StorageError. Closing twice does no harm."""

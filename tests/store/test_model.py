"""Whatever is written, in whatever order and with restarts between, the database holds what a dict would hold."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from quiver.domain.errors import StorageError
from quiver.domain.journal import AuditLine, Write
from quiver.domain.secret import Secret
from quiver.store.sqlite import SqliteDatabase
from tests.store.model import State, apply, state_of

KINDS = st.sampled_from(["segment", "block", "batch"])
IDS = st.sampled_from(["", "a", "b", "å#1"])
SECRETS = st.none() | st.binary(max_size=40).map(Secret) | st.integers(0, 9000).map(lambda size: Secret(b"p" * size))
ERASURES = st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 5000)), max_size=3)
PUTS = st.builds(Write, KINDS, IDS, st.binary(max_size=300), SECRETS, ERASURES)
DELETES = st.builds(Write, KINDS, IDS, st.none())
AUDIT = st.lists(st.builds(AuditLine, st.sampled_from(["x", "y"]), st.just({"n": 1, "who": "alice"})), max_size=3)


class Database(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.database = SqliteDatabase(self.directory / "keys.sqlite")
        self.state: State = {}
        self.number = 0
        self.audit: list[tuple[int, AuditLine]] = []

    @rule(writes=st.lists(PUTS | DELETES, max_size=6), audit=AUDIT)
    def commit(self, writes: list[Write], audit: list[AuditLine]) -> None:
        self.number += 1
        assert self.database.commit(writes, audit) == self.number
        apply(self.state, writes)
        self.audit += [(self.number, line) for line in audit]

    @rule()
    def fail(self) -> None:
        connection = self.database._connection
        assert connection is not None
        connection.set_authorizer(lambda *_: 1)  # SQLITE_DENY
        with pytest.raises(StorageError):
            self.database.commit([Write("segment", "a", b"never", Secret(b"never"))], [AuditLine("never", {})])

    @rule()
    def reopen(self) -> None:
        self.database.close()
        self.database = SqliteDatabase(self.directory / "keys.sqlite")

    @invariant()
    def holds_what_was_written(self) -> None:
        assert self.database.number == self.number
        assert state_of(self.database) == self.state
        found = self.database.audit_lines()
        assert [(entry.number, AuditLine(entry.event, entry.facts)) for entry in found] == self.audit

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.directory)


TestDatabase = Database.TestCase
TestDatabase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None, derandomize=True)

"""What one step of a node writes: collected in memory, made durable in one commit.

A step changes the node's memory at once and notes here what the database has to learn. Whatever the step sends or answers
leaves only after the commit (rules 1, 3 and 5). Writes marked lazy wait for the next commit without asking for one: they are
those whose loss costs pad or a repeat, never agreement.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from quiver.domain import records
from quiver.domain.event_log import EventLog
from quiver.domain.events import RaisedAlarm
from quiver.domain.records import Burned, Own, Peer, Record, Segment
from quiver.domain.secret import Secret

__all__ = ["Alarm", "AuditLine", "Journal", "Write"]


class Write(msgspec.Struct):
    """One change of one record.

    Attributes:
        kind: the record's kind.
        id: its id within the kind.
        body: its new body; None deletes the record with its secret.
        secret: its new secret, an empty one to remove it; None leaves the stored one as it is.
        erasures: parts (offset, length) of the stored secret to overwrite with zeros.
    """

    kind: str
    id: str
    body: bytes | None
    secret: Secret | None = None
    erasures: list[tuple[int, int]] = []


class AuditLine(msgspec.Struct, frozen=True):
    """One security event, durable in the transaction of what it records. One per batch or segment, never per key."""

    event: str
    facts: dict[str, str | int]


class Alarm(msgspec.Struct, frozen=True):
    """Something that an operator must hear of."""

    name: str
    facts: dict[str, str | int]


class Journal:
    """The writes, audit lines, alarms and events since the last commit.

    Attributes:
        burned: the account of all pad.
        urgent: whether something has to become durable before anything leaves.
        changes: of records of pad and of paths, since the start; what is counted from them holds as long as this stays.
        pad_changes: of those, the changes of pad segments.
        events: what has happened in this run; nothing of it needs a commit.
        alarmed: name → times raised in this run.
    """

    def __init__(self, burned: Burned) -> None:
        self._records: dict[tuple[str, str], Record | None] = {}
        self._secrets: set[tuple[str, str]] = set()
        self._erasures: dict[tuple[str, str], list[tuple[int, int]]] = {}
        self._audit: list[AuditLine] = []
        self._alarms: list[Alarm] = []
        self.burned: Final = burned
        self.urgent = False
        self.changes = 0
        self.pad_changes = 0
        self.events: Final = EventLog()
        self.alarmed: Final[dict[str, int]] = {}

    def put(self, record: Record, *, secret: bool = False, lazy: bool = False) -> None:
        """Note that a record is new or changed; `secret` says that its secret is new too."""
        name = (record.kind, record.id)
        self._records[name] = record
        self.changes += record.kind not in (Peer.kind, Own.kind)  # noted with almost every message, and each second
        self.pad_changes += record.kind == Segment.kind
        if secret:
            self._secrets.add(name)
            self._erasures.pop(name, None)
        self.urgent |= not lazy

    def delete(self, record: Record, *, lazy: bool = False) -> None:
        """Note that a record is gone, its secret with it; wipes the secret in memory."""
        name = (record.kind, record.id)
        self._records[name] = None
        self.changes += 1
        self.pad_changes += record.kind == Segment.kind
        self._secrets.discard(name)
        self._erasures.pop(name, None)
        if record.secret is not None:
            record.secret.wipe()
        self.urgent |= not lazy

    def erase(self, record: Record, offset: int, length: int) -> None:
        """Wipe part of a record's secret, in memory now and in storage with the commit."""
        if record.secret is None or length <= 0:
            return
        record.secret.wipe(offset, length)
        name = (record.kind, record.id)
        if name not in self._secrets:
            self._erasures.setdefault(name, []).append((offset, length))
        self.put(record)

    def audit(self, event: str, **facts: str | int) -> None:
        """Note a security event."""
        self._audit.append(AuditLine(event, facts))
        self.urgent = True

    def alarm(self, name: str, **facts: str | int) -> None:
        """Tell the operator, and note it as a security event; of one name and one commit the first is an event too."""
        if all(alarm.name != name for alarm in self._alarms):
            self.events.note(RaisedAlarm(name=name, about={fact: str(value) for fact, value in facts.items()}))
        self.alarmed[name] = self.alarmed.get(name, 0) + 1
        self._alarms.append(Alarm(name, facts))
        self.audit(name, **facts)

    def burn(self, cause: str, length: int) -> None:
        """Count bytes of pad that will never be used, by cause."""
        if length > 0:
            self.burned.causes[cause] = self.burned.causes.get(cause, 0) + length
            self.put(self.burned, lazy=True)

    def use(self, purpose: str, length: int) -> None:
        """Count bytes of pad that were used, by purpose."""
        self.burned.uses[purpose] = self.burned.uses.get(purpose, 0) + length
        self.put(self.burned, lazy=True)

    def collect(self, length: int) -> None:
        """Count bytes of pad that a segment brings; each end counts its own."""
        self.burned.collected += length
        self.put(self.burned, lazy=True)

    def take(self) -> tuple[list[Write], list[AuditLine]]:
        """All writes since the last call, as one transaction; records as they are now."""
        writes = list(self._writes())
        audit = self._audit
        self._records, self._secrets, self._erasures, self._audit = {}, set(), {}, []
        self.urgent = False
        return writes, audit

    def take_alarms(self) -> list[Alarm]:
        """All alarms since the last call."""
        alarms, self._alarms = self._alarms, []
        return alarms

    def _writes(self) -> Iterator[Write]:
        for name, record in self._records.items():
            kind, key = name
            if record is None:
                yield Write(kind, key, None)
                continue
            # A copy: the step's outcome is what becomes durable, whatever the next step does to the buffer.
            fresh = (
                Secret(record.secret.reveal() if record.secret is not None else b"") if name in self._secrets else None
            )
            yield Write(kind, key, records.encode(record), fresh, self._erasures.get(name, []))

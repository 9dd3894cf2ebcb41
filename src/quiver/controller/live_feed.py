"""The live state for those who follow it: server-sent events (HTML Living Standard, section 9.2), computed once for all readers.

Events of the history have their number as id: a reader who returns with `Last-Event-ID` is given what it missed, as far as the
log goes back. A `state` event carries what has changed since the one before; the first one of a connection carries everything.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from quiver.controller.engine import Engine
from quiver.controller.history import HistoryEntry
from quiver.controller.resources import Resources
from quiver.domain import limits
from quiver.domain.errors import LimitError, QuiverError

__all__ = ["LiveFeed"]

_log = structlog.get_logger("quiver.controller.live")
_VOLATILE: Final = "age"  # differs at each look; a row in which nothing else does has not changed
_HEARTBEAT: Final = b": still here\n\n"
_RETRY: Final = b"retry: 2000\n\n"  # milliseconds until a browser that lost us comes again

Rows = dict[str, dict[str, dict[str, Any]]]


class _Reader:
    """One who follows."""

    def __init__(self) -> None:
        self.waiting: Final[asyncio.Queue[bytes]] = asyncio.Queue(limits.LIVE_WAITING)
        self.slow = False

    def give(self, event: bytes) -> None:
        """The next event; a reader that has too many before it is cut off when it has read them."""
        if self.slow:
            return
        try:
            self.waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.slow = True


class LiveFeed:
    """Tells all readers what changes.

    Args:
        engine: whose history is told.
        resources: whose state is told.
        clock: seconds since 1970-01-01 UTC, for `state` events.
    """

    def __init__(self, engine: Engine, resources: Resources, clock: Callable[[], float] = time.time) -> None:
        self._engine: Final = engine
        self._resources: Final = resources
        self._clock: Final = clock
        self._readers: Final[set[_Reader]] = set()
        self._rows: Rows = {}
        engine.followers.append(self._happened)

    @property
    def readers(self) -> int:
        """How many follow."""
        return len(self._readers)

    async def run(self) -> None:
        """Look at the state each `limits.LIVE_PERIOD`, or less often where that takes long; until cancelled."""
        while True:
            began = time.monotonic()
            try:
                self._look()
            except QuiverError as error:
                _log.debug("no live state", reason=error.message)
            took = time.monotonic() - began
            await asyncio.sleep(max(limits.LIVE_PERIOD, 20 * took))

    def _look(self) -> None:
        if not self._readers:
            self._resources.alarms()  # whose times begin when they are seen first
            return
        rows = self._collect()
        changed: dict[str, Any] = {}
        for table, entries in rows.items():
            before = self._rows.get(table, {})
            differing = {key: row for key, row in entries.items() if _steady(row) != _steady(before.get(key, {}))}
            gone = [key for key in before if key not in entries]
            if differing or gone:
                changed[table] = {"changed": list(differing.values()), "gone": gone}
        self._rows = rows
        if changed:
            self._tell(_event("state", {"time": self._clock(), "whole": False, **changed}))

    def _collect(self) -> Rows:
        live = self._resources.live()
        named: dict[str, dict[str, object]] = {
            "nodes": dict(self._resources.nodes()),
            "links": dict(self._resources.links()),
            "paths": dict(self._resources.paths()),
            "demands": dict(self._resources.demands()),
            "alarms": {f"{one.name}/{one.about}/{one.id}": one for one in self._resources.alarms()},
        }
        rows: Rows = {
            table: {key: msgspec.to_builtins(row, enc_hook=str) for key, row in entries.items()}
            for table, entries in named.items()
        }
        rows["controller"] = {"controller": {"phase": live.phase.value, "term": live.term}}
        return rows

    def _happened(self, entries: Sequence[HistoryEntry]) -> None:
        for entry in entries:
            self._tell(_event("history", entry, entry.number))

    def _tell(self, event: bytes) -> None:
        for reader in self._readers:
            reader.give(event)

    async def follow(self, last: int | None) -> AsyncGenerator[bytes, None]:
        """The events for one reader, until it is too slow.

        Args:
            last: number of the last event of the history that it has; None where it has none.

        Raises:
            LimitError: there are too many readers.
            StorageError: there is no state now.
        """
        if len(self._readers) >= limits.LIVE_READERS:
            raise LimitError(f"{limits.LIVE_READERS} follow the live state already")
        self._resources.live()
        events = self._events(last)
        await anext(events)  # it counts from now on, and lets go of its place whenever it is closed or collected
        return events

    async def _events(self, last: int | None) -> AsyncGenerator[bytes, None]:
        reader = _Reader()
        self._readers.add(
            reader
        )  # before the log is read: what happens meanwhile waits, and may come twice, with its id
        try:
            yield b""  # for `follow`
            yield _RETRY
            for event in await self._missed(last):
                yield event
            yield self._whole()
            while not (reader.slow and reader.waiting.empty()):
                try:
                    async with asyncio.timeout(limits.LIVE_HEARTBEAT):
                        event = await reader.waiting.get()
                except TimeoutError:
                    event = _HEARTBEAT
                yield event
            _log.info("reader of the live state was too slow")
        finally:
            self._readers.discard(reader)
            if not self._readers:
                self._rows = {}

    async def _missed(self, last: int | None) -> list[bytes]:
        if last is None:
            return []
        entries = await self._engine.history(after=last, most=limits.LIVE_REPLAY + 1)
        too_many = len(entries) > limits.LIVE_REPLAY
        told = [] if too_many else [_event("history", entry, entry.number) for entry in entries]
        if too_many or last > self._engine.newest or (entries and entries[0].number != last + 1):
            told.insert(0, _event("gap", {"after": last, "newest": self._engine.newest}))
        return told

    def _whole(self) -> bytes:
        if not self._rows:
            self._rows = self._collect()
        tables = {table: {"changed": list(entries.values()), "gone": []} for table, entries in self._rows.items()}
        number = self._engine.newest
        return _event("state", {"time": self._clock(), "whole": True, **tables}, number)


def _steady(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != _VOLATILE}


def _event(name: str, body: object, number: int | None = None) -> bytes:
    """One event; JSON has no line break that would end its data."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + msgspec.json.encode(body, enc_hook=str) + b"\n\n"

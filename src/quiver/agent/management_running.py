"""The running configuration: what the node works by, what its database keeps, and what local policy says about it.

A change is taken by the node first, which refuses what it cannot do and then has changed nothing; then it becomes durable; then
it is acknowledged. Where the database fails, the node goes back. A process that ends in between has acknowledged nothing, and
starts with what the database has.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Protocol

import structlog

from quiver.agent.management_entries import Edit, EntryKind, changed, document_of, edits_of, entry_of, read_entry
from quiver.agent.management_sessions import Caller
from quiver.domain.errors import ConfigurationError, QuiverError, RequestError, StorageError
from quiver.domain.network import Network
from quiver.domain.provision import Provision, compose
from quiver.protocols.netconf.change import Change, PendingChange
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.xml import Element
from quiver.store.configuration import Author, ConfigurationDatabase

__all__ = ["Running", "Works"]

_log = structlog.get_logger("quiver.agent.management")


class Works(Protocol):
    """Who works by the configuration: an `Engine`."""

    async def provision(self, provision: Provision) -> None:
        """Take over what has come over NETCONF.

        Raises:
            ConfigurationError: it is not possible here; nothing was changed.
            StorageError: there is no node now.
        """
        ...


class Running:
    """The running configuration of one node.

    Args:
        database: where it lasts. It is read here.
        policy: of the configuration file.
        excluded: nodes that local policy allows on no path that comes over NETCONF.

    Raises:
        ConfigurationError: the database is of another Quiver.
        StorageError: it cannot be read or written now.
    """

    def __init__(self, database: ConfigurationDatabase, policy: Network, excluded: frozenset[str]) -> None:
        self._database: Final = database
        self._worker: Final = ThreadPoolExecutor(1, "configuration")
        self._policy = policy
        self._excluded = excluded
        self._engine: Works | None = None
        self._entries = self._restored()
        self.provision = changed(Provision(), self._entries)

    def work_by(self, engine: Works) -> None:
        """Who takes changes from now on; it has what `provision` says."""
        self._engine = engine

    def documents(self) -> list[Element]:
        """What a datastore has to hold at the start."""
        return [document_of(self._entries)]

    def close(self) -> None:
        """No change comes any more."""
        self._worker.shutdown()

    # --- at the start ---------------------------------------------------------------------------------------------

    def _restored(self) -> list[Edit]:
        """What the database holds, without what waited for a confirmation, and without what local policy no longer allows."""
        stored = self._database.load()
        held = {(edit.kind, edit.key): edit for edit in map(read_entry, stored.entries)}
        undone = [edit for edit in map(read_entry, stored.fallback) if edit.kind is not EntryKind.TERM]
        for edit in undone:
            if edit.value is None:
                held.pop((edit.kind, edit.key), None)
            else:
                held[edit.kind, edit.key] = edit
        if undone:
            _log.warning(
                "confirmed commit taken back", entries=len(undone), reason="the agent ended before it was confirmed"
            )
        dropped = self._against_policy(held.values())
        for edit in dropped:
            del held[edit.kind, edit.key]
        if undone or dropped:
            gone = [Edit(edit.kind, edit.key, None) for edit in dropped]
            self._database.commit([entry_of(edit) for edit in (*undone, *gone)], _itself("start"))
        return list(held.values())

    def _against_policy(self, edits: Iterable[Edit]) -> list[Edit]:
        """The entries that the node could not start with: the file says otherwise now, and the file is local policy."""
        held = list(edits)
        if self._objection(held) is None:
            return []
        refused: list[Edit] = []
        groups: dict[object, list[Edit]] = {}
        for edit in held:  # only versions of one path can be in each other's way
            together = edit.key.rpartition("/")[0] if edit.kind is EntryKind.PATH else (edit.kind, edit.key)
            groups.setdefault(together, []).append(edit)
        for group in groups.values():
            allowed: list[Edit] = []
            for edit in sorted(group, key=_version, reverse=True):
                if (reason := self._objection([*allowed, edit])) is None:
                    allowed.append(edit)
                else:
                    refused.append(edit)
                    _log.warning("entry dropped", kind=edit.kind.value, entry=edit.key, reason=reason)
        return refused

    def _objection(self, edits: Sequence[Edit]) -> str | None:
        try:
            compose(self._policy, changed(Provision(), edits), self._excluded)
        except QuiverError as error:
            return error.message
        return None

    # --- changes --------------------------------------------------------------------------------------------------

    def check(self, change: PendingChange) -> None:
        """Whether local policy and the node's links allow a change.

        Raises:
            RpcError: they do not; it names the entry.
        """
        try:
            edits = edits_of(change.changes)
            compose(self._policy, changed(self.provision, edits), self._excluded)
        except (ConfigurationError, RequestError) as error:
            raise _refusal(error, change.changes) from None

    async def take(self, change: PendingChange, caller: Caller | None) -> None:
        """As `management_sessions.Take`.

        Raises:
            QuiverError: as there.
        """
        assert self._engine is not None
        edits = edits_of(change.changes)
        before, after = self.provision, changed(self.provision, edits)
        fallback = [edit for edit in edits_of(change.fallback) if edit.kind is not EntryKind.TERM]
        try:
            await self._engine.provision(after)
        except ConfigurationError as error:
            raise _refusal(error, change.changes) from None
        author = _author(change, caller)
        commit = partial(
            self._database.commit, list(map(entry_of, edits)), author, fallback=list(map(entry_of, fallback))
        )
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, commit)
        except StorageError:
            with contextlib.suppress(QuiverError):
                await self._engine.provision(before)
            raise
        self.provision = after
        _log.info(
            "configuration changed", user=author.user, role=author.role, cause=author.cause, entries=_named(edits)
        )


_SHOWN: Final = 8  # entries of one change that a log line names


def _named(edits: Sequence[Edit]) -> list[str]:
    shown = [f"{'-' if edit.value is None else '+'} {edit.kind.value} {edit.key}".rstrip() for edit in edits[:_SHOWN]]
    return shown if len(edits) <= _SHOWN else [*shown, f"and {len(edits) - _SHOWN} more"]


def _version(edit: Edit) -> int:
    return int(edit.key.rpartition("/")[2]) if edit.kind is EntryKind.PATH else 0


def _author(change: PendingChange, caller: Caller | None) -> Author:
    if caller is None:
        return _itself(change.cause.value)
    return Author(
        user=caller.user,
        role=caller.role.value,
        transport=caller.transport,
        peer=caller.peer,
        session=change.session or 0,
        cause=change.cause.value,
    )


def _itself(cause: str) -> Author:
    return Author(user="", role="", transport="", peer="", session=0, cause=cause)


def _refusal(error: QuiverError, changes: Sequence[Change]) -> RpcError:
    """Why a change is not possible, with the place of the entry that the message names."""
    path = changes[0].path if len(changes) == 1 else ()
    for change in changes:
        named = change.path[-1].keys
        key = "/".join(value for _, value in named)
        if named and error.message.startswith((f"path {key}:", f"SAE {key}:")):
            path = change.path
    return RpcError(Tag.INVALID_VALUE, error.message, path=path)

"""The running configuration: what the node works by, what its database keeps, and what local policy says about it.

A change is taken by the node first, which refuses what it cannot do and then has changed nothing; then it becomes durable; then
it is acknowledged. Where the database fails, the node goes back. A process that ends in between has acknowledged nothing, and
starts with what the database has.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from quiver.agent.management_entries import (
    Edit,
    EntryKind,
    Place,
    changed,
    document_of,
    edits_of,
    entry_of,
    read_entry,
    rivals_of,
)
from quiver.agent.management_sessions import Caller
from quiver.domain.errors import ConfigurationError, QuiverError, RequestError, StorageError
from quiver.domain.network import Network
from quiver.domain.provision import Provision, compose
from quiver.protocols.netconf.change import Cause, Change, PendingChange
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.xml import Element
from quiver.store.configuration import Author, ConfigurationDatabase

__all__ = ["Running", "Works", "against_policy"]

_log = structlog.get_logger("quiver.agent.management")


class Works(Protocol):
    """Who works by the configuration: an `Engine`."""

    def check(self, provision: Provision) -> None:
        """Whether `provision` would take this; changes nothing.

        Raises:
            ConfigurationError: it would not.
            StorageError: there is no node now.
        """
        ...

    async def provision(self, provision: Provision) -> None:
        """Take over what has come over NETCONF.

        Raises:
            ConfigurationError: it is not possible here; nothing was changed.
            StorageError: there is no node now.
        """
        ...

    def alarm(self, name: str, **facts: str) -> None:
        """Tell the operator of something that needs a person."""
        ...


class _Checked(NamedTuple):
    """A change that was found possible: it is worked out once, and not again when it is taken."""

    changes: tuple[Change, ...]
    edits: list[Edit]
    after: Provision


class Running:
    """The running configuration of one node.

    Args:
        database: where it lasts. It is read here, and what the file no longer allows is taken out of it.
        policy: of the configuration file.
        excluded: nodes that local policy allows on no path that comes over NETCONF.

    Raises:
        ConfigurationError: the database is of another Quiver.
        StorageError: it cannot be read or written now.
    """

    def __init__(self, database: ConfigurationDatabase, policy: Network, excluded: frozenset[str]) -> None:
        self._database: Final = database
        self._worker: Final = ThreadPoolExecutor(1, "configuration")
        self._one: Final = asyncio.Lock()  # one change at a time, whoever asks for it
        self._engine: Works | None = None
        self._tell: Callable[[Provision], None] = lambda _: None
        self._checked: _Checked | None = None  # what `check` has found possible last
        self._entries: Final = self._restored(policy, excluded)
        self.provision = changed(Provision(), list(self._entries.values()))

    def work_by(self, engine: Works, tell: Callable[[Provision], None] = lambda _: None) -> None:
        """Who takes changes from now on, and has what `provision` says.

        Args:
            engine: takes them.
            tell: hears of each change, of new addresses before the engine does.
        """
        self._engine, self._tell = engine, tell

    @property
    def engine(self) -> Works:
        """Who works by it."""
        assert self._engine is not None, "work_by comes first"
        return self._engine

    def documents(self) -> list[Element]:
        """What a datastore has to hold at the start."""
        return [document_of(self._entries.values())]

    def places(self) -> frozenset[Place]:
        """What there is an entry of."""
        return frozenset(self._entries)

    def close(self) -> None:
        """No change comes any more."""
        self._worker.shutdown()

    # --- at the start ---------------------------------------------------------------------------------------------

    def _restored(self, policy: Network, excluded: frozenset[str]) -> dict[Place, Edit]:
        """What the database holds, without what waited for a confirmation, and without what local policy no longer allows."""
        stored = self._database.load()
        held = {edit.place: edit for edit in map(read_entry, stored.entries)}
        undone = [edit for edit in map(read_entry, stored.fallback) if edit.kind is not EntryKind.TERM]
        _put(held, undone)
        if undone:
            reason = "the agent ended before it was confirmed"
            _log.warning("confirmed commit taken back", entries=len(undone), reason=reason)
        gone = against_policy(held.values(), policy, excluded)
        _put(held, gone)
        try:
            changed(Provision(), list(held.values()))
        except RequestError as error:  # as long as the file still has what it fell back from
            raise ConfigurationError(f"configuration database: {error.message}") from None
        if undone or gone:
            self._database.commit([entry_of(edit) for edit in (*undone, *gone)], _itself("start"))
        return held

    def against(self, policy: Network, excluded: frozenset[str]) -> list[Edit]:
        """What another configuration file would not allow, as edits that take it away."""
        return against_policy(self._entries.values(), policy, excluded)

    async def adopt(self, policy: Network, excluded: frozenset[str]) -> None:
        """Let go of what another configuration file does not allow, where no datastore is in use that has it as well.

        Raises:
            QuiverError: nothing was changed.
        """
        async with self._one:
            if gone := self.against(policy, excluded):
                await self._change(gone, [], _itself(Cause.WITHDRAWN.value))

    # --- changes --------------------------------------------------------------------------------------------------

    def check(self, change: PendingChange) -> None:
        """Whether local policy and the node's links allow a change.

        Raises:
            RpcError: they do not; it names the entry.
        """
        try:
            edits = edits_of(change.changes)
            after = changed(self.provision, edits)
            self.engine.check(after)
        except (ConfigurationError, RequestError) as error:
            raise _refusal(error, change.changes) from None
        self._checked = _Checked(change.changes, edits, after)

    async def take(self, change: PendingChange, caller: Caller | None) -> None:
        """As `management_sessions.Take`.

        Raises:
            QuiverError: as there.
        """
        checked = self._found_possible(change)
        edits = checked.edits if checked is not None else edits_of(change.changes)
        after = checked.after if checked is not None else None
        fallback = [edit for edit in edits_of(change.fallback) if edit.kind is not EntryKind.TERM]
        author = _author(change, caller)
        try:
            async with self._one:
                await self._change(edits, fallback, author, after)
        except ConfigurationError as error:
            raise _refusal(error, change.changes) from None
        for edit in edits_of(change.left):
            _log.warning(
                "entry not rolled back", kind=edit.kind.value, entry=edit.key, reason="others wrote against it"
            )
            self.engine.alarm("rollback-incomplete", kind=edit.kind.value, entry=edit.key)
        _log.info(
            "configuration changed", user=author.user, role=author.role, cause=author.cause, entries=_named(edits)
        )

    def _found_possible(self, change: PendingChange) -> _Checked | None:
        """What `check` has worked out for this change, if nothing has come between."""
        checked, self._checked = self._checked, None
        return checked if checked is not None and checked.changes is change.changes else None

    async def _change(
        self, edits: Sequence[Edit], fallback: Sequence[Edit], author: Author, after: Provision | None = None
    ) -> None:
        before = self.provision
        after = after or changed(before, edits)
        # New addresses first: the node calls the nodes of a new path at once, and tries again only half a second later.
        self._tell(msgspec.structs.replace(before, addresses={**before.addresses, **after.addresses}))
        commit = partial(
            self._database.commit, list(map(entry_of, edits)), author, fallback=list(map(entry_of, fallback))
        )
        try:
            await self.engine.provision(after)
            try:
                await asyncio.get_running_loop().run_in_executor(self._worker, commit)
            except StorageError:
                with contextlib.suppress(QuiverError):
                    await self.engine.provision(before)
                raise
        except BaseException:
            self._tell(before)
            raise
        self.provision = after
        _put(self._entries, edits)
        self._tell(after)


def against_policy(edits: Iterable[Edit], policy: Network, excluded: frozenset[str]) -> list[Edit]:
    """The entries that a node with this file could not start with, as edits that take them away: the file is local policy."""
    held = list(edits)
    if _objection(held, policy, excluded) is None:
        return []
    refused: list[Edit] = []
    groups: dict[Place, list[Edit]] = {}
    for edit in held:
        groups.setdefault((edit.kind, rivals_of(edit)), []).append(edit)
    for group in groups.values():
        allowed: list[Edit] = []
        for edit in sorted(group, key=_version, reverse=True):
            if (reason := _objection([*allowed, edit], policy, excluded)) is None:
                allowed.append(edit)
            else:
                refused.append(Edit(edit.kind, edit.key, None))
                _log.warning("entry dropped", kind=edit.kind.value, entry=edit.key, reason=reason)
    return refused


def _objection(edits: Sequence[Edit], policy: Network, excluded: frozenset[str]) -> str | None:
    try:
        compose(policy, changed(Provision(), edits), excluded)
    except QuiverError as error:
        return error.message
    return None


def _put(held: dict[Place, Edit], edits: Iterable[Edit]) -> None:
    for edit in edits:
        if edit.value is None:
            held.pop(edit.place, None)
        else:
            held[edit.place] = edit


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

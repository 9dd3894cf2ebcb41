"""The running configuration, and how it comes to change: proposed, made durable by its owner, and only then in force.

A method here proposes a `PendingChange`, its owner makes that durable and works by it, and only `settled` makes it the running
configuration. One change is out at a time; whoever drives this holds back all other writers. Beside those who edit, time changes
it (a confirmed commit that nobody confirmed), and so does its owner (`withdraw`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from quiver.domain.errors import QuiverError
from quiver.protocols.netconf.access import Access, Principal
from quiver.protocols.netconf.change import Cause, Change, PendingChange, difference, replay
from quiver.protocols.netconf.confirmation import Confirmation
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.paths import Path, Step
from quiver.protocols.netconf.schema import Kind, Schema, SchemaNode
from quiver.protocols.netconf.tree import Branch, place, value_at
from quiver.protocols.netconf.validate import Validator

__all__ = ["Check", "RunningDatastore"]

Check = Callable[[PendingChange], None]
"""Raises a QuiverError where the owner cannot take the change; of a rollback an RpcError where it never will as things are."""

_RETRY: Final = 5.0  # seconds until a rollback that could not be made durable is tried again
_NOW: Final = float("-inf")


class RunningDatastore:
    """The running configuration.

    Args:
        schema: of the configuration.
        running: as it was stored; see `load`.
        access: who may change what.
        check: the owner's own rules, asked before each change and by `validate`.
        lasting: paths of leaves outside of lists whose values never go back or away but by an edit of their own, such as a
            count of leaderships: no rollback, commit or copy changes them.
    """

    def __init__(
        self, schema: Schema, running: Branch, access: Access, check: Check, lasting: Iterable[str] = ()
    ) -> None:
        self.schema: Final = schema
        self.running = running
        self.pending: PendingChange | None = None
        self.confirmation: Confirmation | None = None
        self._next: Confirmation | None = None  # what `confirmation` becomes with the pending change
        self._withdrawn: tuple[Path, ...] = ()  # what the owner takes away as soon as no other change is out
        self._access: Final = access
        self._check: Final = check
        self._validator: Final = Validator(schema)
        self._numbers = 0
        nodes = [schema.node(path) for path in lasting]
        assert all(node.kind is Kind.LEAF for node in nodes)
        self._lasting: Final = {node: _place_of(node) for node in nodes}

    @property
    def deadline(self) -> float | None:
        """When `due` has something to do, in seconds of the steady clock."""
        if self.pending is not None:
            return None
        if self._withdrawn:
            return _NOW
        return None if self.confirmation is None else self.confirmation.deadline

    # --- the owner and time ---------------------------------------------------------------------------------------

    def withdraw(self, places: Iterable[Path]) -> None:
        """The owner takes entries away, whoever holds a lock; `due` gives the change. A confirmed commit does not revive them."""
        self._withdrawn += tuple(places)

    @property
    def withdrawing(self) -> bool:
        """Whether a withdrawal waits or is out."""
        return bool(self._withdrawn) or (self.pending is not None and self.pending.cause is Cause.WITHDRAWN)

    def due(self, now: float) -> PendingChange | None:
        """The withdrawal that waits, or the rollback whose time has come."""
        while self.deadline is not None and self.deadline <= now:
            change = self._withdraw() if self._withdrawn else self._rollback(None)
            if change is not None:
                return change
        return None

    def settled(self, *, durable: bool, now: float) -> PendingChange:
        """The pending change has become durable, or was refused and did not happen."""
        change, self.pending = self.pending, None
        assert change is not None
        if durable:
            self.running = change.new
            self.confirmation = self._next
        elif change.cause is Cause.ROLLBACK and change.session is None and self.confirmation is not None:
            self.confirmation = replace(self.confirmation, deadline=now + _RETRY)
        self._next = None
        return change

    def ended(self, session: int) -> None:
        """A session is gone, and its confirmed commit is due (RFC 6241 section 8.4.1)."""
        self.confirmation = self.confirmation and self.confirmation.orphaned(session)
        self._next = self._next and self._next.orphaned(session)

    def _withdraw(self) -> PendingChange | None:
        places, self._withdrawn = self._withdrawn, ()
        new = self.running
        for path in places:
            if value_at(new, path) is not None:
                new = place(new, path, None)
        changes = difference(self.running, new)
        if not changes:
            return None
        return self._offer(None, new, changes, Cause.WITHDRAWN, self._left_alone(changes))

    def _rollback(self, who: Principal | None) -> PendingChange | None:
        assert self.confirmation is not None
        undo = self.confirmation.undo(self.running, frozenset(self._lasting))
        undo, left = _divided(undo, self._would_take)
        # Access is not asked: it was the commit's.
        return self._offer(who, replay(self.running, undo), undo, Cause.ROLLBACK, None, left)

    def _would_take(self, undo: Sequence[Change]) -> bool:
        """Whether this much of a rollback is possible. Others may have written since what stands against a part of it."""
        changes = tuple(undo)
        new = replay(self.running, changes)
        try:
            self._validator.settle(self.running, new)
            self._check(self._change(None, new, changes, Cause.ROLLBACK))
        except RpcError:
            return False
        except QuiverError:
            pass  # nobody can tell now; whoever makes it durable will say so, and it is tried again
        return True

    # --- changes that somebody asks for ---------------------------------------------------------------------------

    def _propose(
        self,
        who: Principal,
        new: Branch,
        cause: Cause,
        after: Callable[[tuple[Change, ...]], Confirmation | None],
        *,
        make: bool = True,
    ) -> PendingChange | None:
        """Propose a change.

        Args:
            who: asks.
            new: what running shall be.
            cause: why.
            after: given what is different, what waits for a confirmation afterwards.
            make: do it, not only judge it.

        Raises:
            RpcError: it breaks a rule; nothing was changed.
        """
        new = self._validator.settle(self.running, new)
        changes = difference(self.running, new)
        self._access.check_changes(who, changes)
        if changes:
            self._ask(self._change(who, new, changes, cause))
        return self._offer(who, new, changes, cause, after(changes)) if make else None

    def _left_alone(self, changes: Iterable[Change]) -> Confirmation | None:
        """The confirmed commit that waits, after changes that are not of it: what they write is their author's, and stays."""
        if self.confirmation is None:
            return None
        written = {change.path for change in changes}
        places = tuple(one for one in self.confirmation.places if one[0] not in written)
        unconcerned = len(places) == len(self.confirmation.places)
        return self.confirmation if unconcerned else replace(self.confirmation, places=places)

    def _offer(
        self,
        who: Principal | None,
        new: Branch,
        changes: tuple[Change, ...],
        cause: Cause,
        after: Confirmation | None,
        left: tuple[Change, ...] = (),
    ) -> PendingChange | None:
        assert self.pending is None
        if not changes and after is self.confirmation:
            return None
        self._numbers += 1
        self._next = after
        fallback = after.undo(new, frozenset(self._lasting)) if after else ()
        offered = self._change(who, new, changes, cause)
        self.pending = replace(offered, number=self._numbers, fallback=fallback, left=left)
        return self.pending

    def _change(self, who: Principal | None, new: Branch, changes: tuple[Change, ...], cause: Cause) -> PendingChange:
        return PendingChange(
            number=0,
            old=self.running,
            new=new,
            changes=changes,
            cause=cause,
            session=who.session if who else None,
            user=who.user if who else "",
        )

    def _judge(self, tree: Branch) -> None:
        new = self._validator.settle(None, tree)
        self._ask(self._change(None, new, difference(self.running, new), Cause.COMMIT))

    def _ask(self, change: PendingChange) -> None:
        try:
            self._check(change)
        except RpcError:
            raise
        except QuiverError as error:
            raise RpcError(Tag.OPERATION_FAILED, error.message) from error

    def _with_lasting(self, tree: Branch) -> Branch:
        for path in self._lasting.values():
            held = value_at(self.running, path)
            if held is not None and value_at(tree, path) is None:
                tree = place(tree, path, held)
        return tree


def _divided(
    changes: Sequence[Change], possible: Callable[[Sequence[Change]], bool]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """The changes that are possible together, and those that stand against them: by halves, as few of many are in the way."""
    taken: list[Change] = []
    left: list[Change] = []

    def take(part: Sequence[Change]) -> None:
        if possible([*taken, *part]):
            taken.extend(part)
        elif len(part) == 1:
            left.extend(part)
        else:
            take(part[: len(part) // 2])
            take(part[len(part) // 2 :])

    if changes:
        take(sorted(changes, key=lambda change: change.new is not None))  # what goes makes room for what comes
    return tuple(taken), tuple(left)


def _place_of(node: SchemaNode) -> Path:
    return tuple(Step(tag) for tag in node.tags)

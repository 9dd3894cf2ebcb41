"""The running and the candidate configuration, and how they may change (RFC 6241 sections 5, 7 and 8).

Running changes in two steps: a method here proposes a `PendingChange`, its owner makes that durable and works by it, and only
`settled` makes it the running configuration. One change is out at a time; whoever drives this holds back all other writers.

The candidate follows running wherever nobody has edited it, so a commit changes what its author wrote and does not take back
what a controller has written meanwhile.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from quiver.domain.errors import QuiverError
from quiver.protocols.netconf.access import Access, Principal
from quiver.protocols.netconf.change import Cause, Change, PendingChange, difference, replay
from quiver.protocols.netconf.confirmation import Confirmation, ConfirmRequest, check_word
from quiver.protocols.netconf.edit import Operation, edit
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.locks import Locks, Target, denied
from quiver.protocols.netconf.paths import Path, Step
from quiver.protocols.netconf.schema import Kind, Schema, SchemaNode
from quiver.protocols.netconf.tree import Branch, place, value_at
from quiver.protocols.netconf.validate import Validator
from quiver.protocols.netconf.xml import Element, graft, make

__all__ = ["Check", "Datastores", "TestOption", "load"]

Check = Callable[[PendingChange], None]  # raises a QuiverError where the owner cannot take the change
_RETRY: Final = 5.0  # seconds until a rollback that could not be made durable is tried again


@dataclass(frozen=True, slots=True)
class TestOption:
    """What of an edit is done (RFC 6241 sections 7.2 and 8.6.4.1).

    Attributes:
        test: judge the whole datastore, also where it is the candidate.
        make: make the change.
    """

    __test__ = False  # pytest shall not collect it

    test: bool
    make: bool


def load(schema: Schema, documents: Iterable[Element]) -> Branch:
    """The configuration that `Change.document` elements make, merged in order; valid by its schema.

    Raises:
        RpcError: they do not fit the schema, such as after a change of the module.
    """
    tree = Branch(schema.root, {})
    for document in documents:
        holder = make("config")
        graft(holder, document)
        tree = edit(schema, tree, holder)
    return Validator(schema).settle(None, tree)


class Datastores:
    """Running and candidate.

    Args:
        schema: of both.
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
        self.candidate = running
        self.locks: Final = Locks()
        self.pending: PendingChange | None = None
        self.confirmation: Confirmation | None = None
        self._next: Confirmation | None = None  # what `confirmation` becomes with the pending change
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
        return None if self.confirmation is None or self.pending else self.confirmation.deadline

    def tree(self, target: Target) -> Branch:
        """A whole datastore."""
        return self.running if target is Target.RUNNING else self.candidate

    def edit(
        self, who: Principal, target: Target, config: Element, default: Operation, option: TestOption | None
    ) -> PendingChange | None:
        """edit-config (RFC 6241 section 7.2). None: done, nothing needs to become durable.

        Raises:
            RpcError: nothing was changed.
        """
        self.locks.check(target, who.session)
        old = self.tree(target)
        new = edit(self.schema, old, config, default)
        if default is Operation.REPLACE:
            new = self._with_lasting(new)
        make = option is None or option.make
        if target is Target.CANDIDATE:
            # A candidate may be incomplete until it is committed (RFC 7950 section 8.3.3), unless its author asks.
            self._access.check_changes(who, difference(old, new))
            if option is not None and option.test:
                self._judge(new)
            self.candidate = new if make else old
            return None
        return self._propose(who, new, Cause.EDIT, self.confirmation, make=make)

    def copy(self, who: Principal, target: Target, tree: Branch) -> PendingChange | None:
        """copy-config (RFC 6241 section 7.3) into a datastore.

        Raises:
            RpcError: nothing was changed.
        """
        self.locks.check(target, who.session)
        tree = self._with_lasting(tree)
        if target is Target.RUNNING:
            return self._propose(who, tree, Cause.COPY, self.confirmation)
        self._access.check_changes(who, difference(self.candidate, tree))
        self.candidate = tree
        return None

    def read(self, config: Element) -> Branch:
        """A configuration that stands in an rpc.

        Raises:
            RpcError: it does not fit the schema.
        """
        return edit(self.schema, Branch(self.schema.root, {}), config, Operation.REPLACE)

    def validate(self, tree: Branch) -> None:
        """Validate (RFC 6241 section 8.6): the schema's rules and the owner's.

        Raises:
            RpcError: it breaks one.
        """
        self._judge(tree)

    def discard(self, who: Principal) -> None:
        """discard-changes (RFC 6241 section 8.3.4.2).

        Raises:
            RpcError: another session holds the candidate.
        """
        self.locks.check(Target.CANDIDATE, who.session)
        self.candidate = self.running

    def lock(self, who: Principal, target: Target) -> None:
        """Lock (RFC 6241 sections 7.5 and 8.3.5.2).

        Raises:
            RpcError: lock-denied.
        """
        waiting = self.confirmation
        if target is Target.RUNNING and waiting is not None and waiting.session not in (None, who.session):
            raise denied("a confirmed commit of another session waits", waiting.session or 0)
        free = self.locks.holder(target) is None
        if free and target is Target.CANDIDATE and difference(self.running, self.candidate):
            raise denied("the candidate has changes that are neither committed nor discarded", 0)
        self.locks.take(target, who.session)

    def commit(
        self, who: Principal, request: ConfirmRequest | None, persist_id: str | None, now: float
    ) -> PendingChange | None:
        """Commit, confirmed or confirming (RFC 6241 sections 8.3.4.1 and 8.4.5.1).

        Args:
            who: asks.
            request: with `<confirmed/>`.
            persist_id: the word of a confirmed commit that waits.
            now: seconds of the steady clock.

        Raises:
            RpcError: nothing was changed.
        """
        for target in Target:
            self.locks.check(target, who.session)
        check_word(self.confirmation, who.session, persist_id)
        new = self._with_lasting(self.candidate)
        if request is None:
            return self._propose(who, new, Cause.COMMIT, None)
        waiting = self.confirmation or Confirmation(None, None, self.running, (), now)
        changes = difference(self.running, new)
        return self._propose(who, new, Cause.CONFIRMED, waiting.extended(changes, request, who.session, now))

    def cancel(self, who: Principal, persist_id: str | None) -> PendingChange | None:
        """cancel-commit (RFC 6241 section 8.4.4.1).

        Raises:
            RpcError: none waits, or it is not this session's and the word is wrong.
        """
        if self.confirmation is None:
            raise RpcError(Tag.OPERATION_FAILED, "no confirmed commit waits", type=ErrorType.PROTOCOL)
        self.locks.check(Target.RUNNING, who.session)
        check_word(self.confirmation, who.session, persist_id)
        return self._rollback(who)

    def ended(self, session: int) -> None:
        """A session is gone: its locks end, and its confirmed commit is due (RFC 6241 sections 7.5 and 8.4.1)."""
        if Target.CANDIDATE in self.locks.release(session):
            self.candidate = self.running  # RFC 6241 section 8.3.5.2
        self.confirmation = self.confirmation and self.confirmation.orphaned(session)
        self._next = self._next and self._next.orphaned(session)

    def due(self, now: float) -> PendingChange | None:
        """The rollback whose time has come, if there is one."""
        if self.deadline is None or self.deadline > now:
            return None
        return self._rollback(None)

    def settled(self, *, durable: bool, now: float) -> PendingChange:
        """The pending change has become durable, or was refused and did not happen."""
        change, self.pending = self.pending, None
        assert change is not None
        if durable:
            self._follow(change)
            self.running = change.new
            self.confirmation = self._next
        elif change.cause is Cause.ROLLBACK and self.confirmation is not None:
            self.confirmation = replace(self.confirmation, deadline=now + _RETRY)
        self._next = None
        return change

    def _follow(self, change: PendingChange) -> None:
        if change.cause in (Cause.COMMIT, Cause.CONFIRMED) or self.candidate is self.running:
            self.candidate = change.new
        else:
            self.candidate = replay(self.candidate, change.changes, unless_edited=True)

    def _rollback(self, who: Principal | None) -> PendingChange | None:
        assert self.confirmation is not None
        undo = self.confirmation.undo(self.running, frozenset(self._lasting))
        new = replay(self.running, undo)
        # The owner had this configuration before and is not asked again; nor is access, as it was the commit's.
        return self._offer(who, new, undo, Cause.ROLLBACK, None)

    def _propose(
        self, who: Principal, new: Branch, cause: Cause, after: Confirmation | None, *, make: bool = True
    ) -> PendingChange | None:
        new = self._validator.settle(self.running, new)
        changes = difference(self.running, new)
        self._access.check_changes(who, changes)
        if changes:
            self._ask(
                PendingChange(
                    number=0,
                    old=self.running,
                    new=new,
                    changes=changes,
                    cause=cause,
                    session=who.session,
                    user=who.user,
                )
            )
        return self._offer(who, new, changes, cause, after) if make else None

    def _offer(
        self, who: Principal | None, new: Branch, changes: tuple[Change, ...], cause: Cause, after: Confirmation | None
    ) -> PendingChange | None:
        assert self.pending is None
        fallback = after.undo(new, frozenset(self._lasting)) if after else ()
        if not changes and after is self.confirmation:
            return None
        self._numbers += 1
        self._next = after
        self.pending = PendingChange(
            number=self._numbers,
            old=self.running,
            new=new,
            changes=changes,
            cause=cause,
            session=who.session if who else None,
            user=who.user if who else "",
            fallback=fallback,
        )
        return self.pending

    def _judge(self, tree: Branch) -> None:
        new = self._validator.settle(None, tree)
        changes = difference(self.running, new)
        self._ask(
            PendingChange(
                number=0, old=self.running, new=new, changes=changes, cause=Cause.COMMIT, session=None, user=""
            )
        )

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


def _place_of(node: SchemaNode) -> Path:
    return tuple(Step(tag) for tag in node.tags)

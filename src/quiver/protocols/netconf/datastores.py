"""The running and the candidate configuration, and how they may change (RFC 6241 sections 5, 7 and 8).

Running changes in two steps, as `running` says.

The candidate follows running wherever nobody has edited it, so a commit changes what its author wrote and does not take back
what a controller has written meanwhile.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from quiver.protocols.netconf.access import Access, Principal
from quiver.protocols.netconf.change import Cause, PendingChange, difference, replay
from quiver.protocols.netconf.confirmation import Confirmation, ConfirmRequest, check_word
from quiver.protocols.netconf.edit import Operation, edit
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.locks import Locks, Target, denied
from quiver.protocols.netconf.running import Check, RunningDatastore
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.tree import Branch
from quiver.protocols.netconf.validate import Validator
from quiver.protocols.netconf.xml import Element, graft, make

__all__ = ["Datastores", "TestOption", "load"]


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


class Datastores(RunningDatastore):
    """Running and candidate.

    Args:
        schema: of both.
        running: as it was stored; see `load`.
        access: who may change what.
        check: the owner's own rules, asked before each change and by `validate`.
        lasting: as for `RunningDatastore`.
    """

    def __init__(
        self, schema: Schema, running: Branch, access: Access, check: Check, lasting: Iterable[str] = ()
    ) -> None:
        super().__init__(schema, running, access, check, lasting)
        self.candidate = running
        self.locks: Final = Locks()

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
        self._edited(who, config, new)
        make = option is None or option.make
        if target is Target.CANDIDATE:
            # A candidate may be incomplete until it is committed (RFC 7950 section 8.3.3), unless its author asks.
            self._access.check_changes(who, difference(old, new))
            if option is not None and option.test:
                self._judge(new)
            self.candidate = new if make else old
            return None
        return self._propose(who, new, Cause.EDIT, self._left_alone, make=make)

    def copy(self, who: Principal, target: Target, tree: Branch) -> PendingChange | None:
        """copy-config (RFC 6241 section 7.3) into a datastore.

        Raises:
            RpcError: nothing was changed.
        """
        self.locks.check(target, who.session)
        tree = self._with_lasting(tree)
        if target is Target.RUNNING:
            return self._propose(who, tree, Cause.COPY, self._left_alone)
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
        if target is Target.RUNNING and waiting is not None and waiting.session != who.session:
            # RFC 6241 section 7.5; one with a persist word is of no session, and who has the word needs no lock to use it.
            raise denied("a confirmed commit waits that is not of this session", waiting.session or 0)
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
            return self._propose(who, new, Cause.COMMIT, lambda _: None)
        waiting = self.confirmation or Confirmation(None, None, self.running, (), now)
        return self._propose(
            who, new, Cause.CONFIRMED, lambda changes: waiting.extended(changes, request, who.session, now)
        )

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
        super().ended(session)

    def settled(self, *, durable: bool, now: float) -> PendingChange:
        """As `RunningDatastore.settled`; the candidate follows."""
        follows = self.candidate is self.running
        change = super().settled(durable=durable, now=now)
        if durable:
            self._follow(change, whole=follows or change.cause in (Cause.COMMIT, Cause.CONFIRMED))
        return change

    def _follow(self, change: PendingChange, *, whole: bool) -> None:
        if whole:
            self.candidate = change.new
        else:
            self.candidate = replay(self.candidate, change.changes, unless_edited=True)

    def _edited(self, who: Principal, config: Element, new: Branch) -> None:
        """What an owner demands of the outcome of an edit beyond access, whatever operations led to it.

        Raises:
            RpcError: it is refused.
        """

"""The table of operations: what each does, and whether it waits for changes of running that are under way."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from quiver.domain import limits
from quiver.protocols.netconf.access import CANDIDATE, Access, Principal
from quiver.protocols.netconf.change import PendingChange
from quiver.protocols.netconf.confirmation import ConfirmRequest
from quiver.protocols.netconf.datastores import Datastores, TestOption
from quiver.protocols.netconf.edit import Operation
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.filter import Filter, asks_for, narrow, read_filter
from quiver.protocols.netconf.locks import Target
from quiver.protocols.netconf.merge import merge
from quiver.protocols.netconf.rpc import Parameters
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.selection import Selection
from quiver.protocols.netconf.tree import Branch, add_elements
from quiver.protocols.netconf.xml import BASE, Element, base, element, local_of

__all__ = ["OPERATIONS", "Done", "Entry", "Operations", "Result", "State", "Wanted"]


class Wanted(Protocol):
    """Whether a node of the state is asked for; what is not may be left out."""

    def __call__(self, *tags: str) -> bool:
        """Args are the names on the way to the node, a top-level one first, in Clark's notation."""
        ...


State = Callable[[Wanted], Iterable[Element]]
"""Gives top-level elements with the operational state, keys of lists included."""


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that has been done.

    Attributes:
        content: elements of the reply; none stands for `<ok/>`.
    """

    content: tuple[Element, ...] = ()


Result = Done | PendingChange  # a change is answered when it is durable
_OK: Final = Done()


def _result(change: PendingChange | None) -> Result:
    return _OK if change is None else change


class Operations:
    """The operations on datastores.

    Args:
        datastores: to work on.
        access: who may do what.
        state: gives the operational state.
    """

    def __init__(self, datastores: Datastores, access: Access, state: State) -> None:
        self._datastores: Final = datastores
        self._access: Final = access
        self._state: Final = state
        self._schema: Final[Schema] = datastores.schema

    def get(self, who: Principal, request: Element, now: float) -> Result:
        """Configuration in force and state (RFC 6241 section 7.7)."""
        del who, now
        filters = _filters(Parameters(request, "filter"))
        holder = self._written(self._datastores.running, filters)
        for found in self._state(_wanted(filters)):
            merge(holder, found, self._schema.root)
        return self._data(holder, filters)

    def get_config(self, who: Principal, request: Element, now: float) -> Result:
        """The configuration of one datastore (RFC 6241 section 7.1)."""
        del who, now
        parameters = Parameters(request, "source", "filter")
        filters = _filters(parameters)
        tree = self._datastores.tree(self._target(parameters.need("source")))
        return self._data(self._written(tree, filters), filters)

    def _written(self, tree: Branch, filters: tuple[Filter, ...] | None) -> Element:
        holder = element(base("data"))
        add_elements(holder, narrow(tree, filters))
        return holder

    def _data(self, holder: Element, filters: tuple[Filter, ...] | None) -> Done:
        return Done((holder if filters is None else Selection(filters).select(holder, self._schema.root),))

    def edit_config(self, who: Principal, request: Element, now: float) -> Result:
        """Change parts of a datastore (RFC 6241 section 7.2)."""
        del now
        names = ("target", "default-operation", "test-option", "error-option", "config", "url")
        parameters = Parameters(request, *names)
        target = self._target(parameters.need("target"))
        if target is Target.CANDIDATE:
            self._access.check_call(who, CANDIDATE)
        defaults = (Operation.MERGE, Operation.REPLACE, Operation.NONE)
        default = Operation(parameters.choice("default-operation", [each.value for each in defaults], "merge"))
        # Edits are all or nothing, which both of the others permit.
        parameters.choice("error-option", ("stop-on-error", "continue-on-error", "rollback-on-error"), "stop-on-error")
        chosen = parameters.choice("test-option", ("test-then-set", "set", "test-only"), "")
        option = TestOption(test=chosen != "set", make=chosen != "test-only") if chosen else None
        if parameters.get("url") is not None:
            raise _unsupported("url is not handled")
        return _result(self._datastores.edit(who, target, parameters.need("config"), default, option))

    def copy_config(self, who: Principal, request: Element, now: float) -> Result:
        """Replace a datastore by another one, or by what stands in the rpc (RFC 6241 section 7.3)."""
        del now
        parameters = Parameters(request, "target", "source")
        target = self._target(parameters.need("target"))
        tree = self._source(parameters.need("source"), other_than=target)
        return _result(self._datastores.copy(who, target, tree))

    def delete_config(self, who: Principal, request: Element, now: float) -> Result:
        """Refused: running cannot be deleted, and there is no startup datastore (RFC 6241 section 7.4)."""
        del who, now
        self._target(Parameters(request, "target").need("target"))
        raise _unsupported("running and candidate cannot be deleted")

    def validate(self, who: Principal, request: Element, now: float) -> Result:
        """Judge a datastore, or what stands in the rpc (RFC 6241 section 8.6.4.1)."""
        del who, now
        self._datastores.validate(self._source(Parameters(request, "source").need("source")))
        return _OK

    def lock(self, who: Principal, request: Element, now: float) -> Result:
        """Take a datastore for oneself (RFC 6241 section 7.5)."""
        del now
        self._datastores.lock(who, self._locked(who, request))
        return _OK

    def unlock(self, who: Principal, request: Element, now: float) -> Result:
        """Give it back (RFC 6241 section 7.6)."""
        del now
        self._datastores.locks.give(self._locked(who, request), who.session)
        return _OK

    def _locked(self, who: Principal, request: Element) -> Target:
        target = self._target(Parameters(request, "target").need("target"))
        if target is Target.CANDIDATE:
            self._access.check_call(who, CANDIDATE)
        return target

    def commit(self, who: Principal, request: Element, now: float) -> Result:
        """Make the candidate the running configuration (RFC 6241 sections 8.3.4.1 and 8.4)."""
        parameters = Parameters(request, "confirmed", "confirm-timeout", "persist", "persist-id")
        seconds = parameters.number("confirm-timeout", 1, limits.NETCONF_CONFIRM_MAX)
        persist = parameters.text("persist")
        confirm = None
        if parameters.get("confirmed") is not None:
            confirm = ConfirmRequest(seconds or limits.NETCONF_CONFIRM_TIME, persist)
        elif seconds is not None or persist is not None:
            parameters.need("confirmed")
        return _result(self._datastores.commit(who, confirm, parameters.text("persist-id"), now))

    def cancel_commit(self, who: Principal, request: Element, now: float) -> Result:
        """Take back a confirmed commit (RFC 6241 section 8.4.4.1)."""
        del now
        return _result(self._datastores.cancel(who, Parameters(request, "persist-id").text("persist-id")))

    def discard_changes(self, who: Principal, request: Element, now: float) -> Result:
        """Make the candidate what running is (RFC 6241 section 8.3.4.2)."""
        del now
        Parameters(request)
        self._datastores.discard(who)
        return _OK

    def _source(self, parent: Element, other_than: Target | None = None) -> Branch:
        if len(parent) == 1 and parent[0].tag == base("config"):
            return self._datastores.read(parent[0])
        source = self._target(parent)
        if source is other_than:
            raise RpcError(Tag.INVALID_VALUE, "source and target are the same", type=ErrorType.PROTOCOL)
        return self._datastores.tree(source)

    def _target(self, parent: Element) -> Target:
        if len(parent) != 1:
            info = (("bad-element", local_of(parent.tag)),)
            raise RpcError(Tag.BAD_ELEMENT, "it names exactly one datastore", type=ErrorType.PROTOCOL, info=info)
        for target in Target:
            if parent[0].tag == base(target.value):
                return target
        if parent[0].tag in (base("startup"), base("url")):
            raise _unsupported(f"{local_of(parent[0].tag)} is not handled")
        info = (("bad-element", local_of(parent[0].tag)),)
        raise RpcError(Tag.UNKNOWN_ELEMENT, "no datastore has this name", type=ErrorType.PROTOCOL, info=info)


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation.

    Attributes:
        run: does it.
        writes: it waits until no other change of running is under way, so that it sees what came before.
    """

    run: Callable[[Operations, Principal, Element, float], Result]
    writes: bool


OPERATIONS: Final = {
    "get": Entry(Operations.get, writes=False),
    "get-config": Entry(Operations.get_config, writes=False),
    "edit-config": Entry(Operations.edit_config, writes=True),
    "copy-config": Entry(Operations.copy_config, writes=True),
    "delete-config": Entry(Operations.delete_config, writes=False),
    "validate": Entry(Operations.validate, writes=True),
    "lock": Entry(Operations.lock, writes=True),
    "unlock": Entry(Operations.unlock, writes=True),
    "commit": Entry(Operations.commit, writes=True),
    "cancel-commit": Entry(Operations.cancel_commit, writes=True),
    "discard-changes": Entry(Operations.discard_changes, writes=True),
}
"""By name in NETCONF's own namespace; `server` adds those on sessions."""


def _unsupported(message: str) -> RpcError:
    return RpcError(Tag.OPERATION_NOT_SUPPORTED, message, type=ErrorType.PROTOCOL)


def _filters(parameters: Parameters) -> tuple[Filter, ...] | None:
    given = parameters.get("filter")
    if given is None:
        return None
    kind = given.get("type", given.get(f"{{{BASE}}}type", "subtree"))
    if kind != "subtree":
        info = (("bad-attribute", "type"), ("bad-element", "filter"))
        message = "the only type of filters is subtree"
        raise RpcError(Tag.BAD_ATTRIBUTE, message, type=ErrorType.PROTOCOL, info=info)
    return read_filter(given)


def _wanted(filters: tuple[Filter, ...] | None) -> Wanted:
    return lambda *tags: asks_for(filters, tags)

"""Who may do what: a table of operations and a table of subtrees, each with the roles that it is open to.

What stands in no table is closed to everyone. Everything in the datastores may be read by every role that may read at all: there
is no key in any of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from quiver.protocols.netconf.change import Change, touched
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.schema import Schema, SchemaNode

__all__ = ["CANDIDATE", "OPERATIONS", "Access", "Principal", "Role"]


class Role(StrEnum):
    """What an authenticated user is to this node."""

    CONTROLLER = "controller"
    OPERATOR = "operator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        session: its number.
        user: its name, as its key or certificate says.
        role: of the user.
    """

    session: int
    user: str
    role: Role


_ALL: Final = frozenset(Role)
_WRITERS: Final = frozenset((Role.CONTROLLER, Role.OPERATOR))
_OPERATOR: Final = frozenset((Role.OPERATOR,))
CANDIDATE: Final = "candidate"  # stands for everything that changes or locks the candidate

OPERATIONS: Final[Mapping[str, frozenset[Role]]] = {
    "get": _ALL,
    "get-config": _ALL,
    "get-schema": _ALL,
    "create-subscription": _ALL,
    "close-session": _ALL,
    "validate": _ALL,
    "edit-config": _WRITERS,
    "lock": _WRITERS,
    "unlock": _WRITERS,
    # A controller edits running, entry by entry; what waits in the candidate is an operator's.
    CANDIDATE: _OPERATOR,
    "copy-config": _OPERATOR,
    "delete-config": _OPERATOR,
    "commit": _OPERATOR,
    "cancel-commit": _OPERATOR,
    "discard-changes": _OPERATOR,
    "kill-session": _OPERATOR,
}


class Access:
    """The tables of one server.

    Args:
        schema: of the datastores.
        writes: path of a node, as for `Schema.node` → the roles that may change it and all below; a deeper path goes first.
        operations: name of an operation → the roles that may call it.

    Raises:
        KeyError: a path names no node.
    """

    def __init__(
        self,
        schema: Schema,
        writes: Mapping[str, frozenset[Role]],
        operations: Mapping[str, frozenset[Role]] = OPERATIONS,
    ) -> None:
        self._operations: Final = operations
        self._writers: Final[dict[SchemaNode, frozenset[Role]]] = {}
        ruled = {schema.node(path): roles for path, roles in writes.items()}
        for node in schema.root.below():  # parents come before their children
            inherited = self._writers[node.parent] if node.parent else frozenset[Role]()
            self._writers[node] = ruled.get(node, inherited)

    def check_call(self, who: Principal, operation: str) -> None:
        """Refuse an operation that is not open to a role.

        Raises:
            RpcError: access-denied.
        """
        if who.role not in self._operations.get(operation, frozenset()):
            message = f"the role {who.role.value} may not use {operation}"
            raise RpcError(Tag.ACCESS_DENIED, message, type=ErrorType.PROTOCOL)

    def check_changes(self, who: Principal, changes: Iterable[Change]) -> None:
        """Refuse changes of which one is not open to a role, down to the last leaf.

        Raises:
            RpcError: access-denied, with the first such place.
        """
        for change in changes:
            for path, node in touched(change):
                if who.role not in self._writers[node]:
                    raise RpcError(Tag.ACCESS_DENIED, f"the role {who.role.value} may not change this", path=path)

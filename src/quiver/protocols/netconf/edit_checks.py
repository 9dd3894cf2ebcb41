"""What an element of an edit says, and the errors that follow where it makes no sense (RFC 6241 section 7.2, RFC 7950 8.3.1)."""

from enum import StrEnum
from typing import Final, NoReturn

from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.paths import Path
from quiver.protocols.netconf.schema import SchemaNode
from quiver.protocols.netconf.xml import YANG, Element, base, local_of, namespace_of, text_of

__all__ = [
    "REMOVING",
    "Operation",
    "is_to_set",
    "missing",
    "read_operation",
    "read_value",
    "refuse",
    "refuse_attribute",
]

_OPERATION: Final = base("operation")


class Operation(StrEnum):
    """What an edit does with a node (RFC 6241 section 7.2); NONE only as the default operation."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


REMOVING: Final = (Operation.DELETE, Operation.REMOVE)
_ATTRIBUTES: Final = frozenset(Operation) - {Operation.NONE}


def read_operation(element: Element, inherited: Operation, path: Path) -> Operation:
    """The operation that an element names, or else the one that it inherits.

    Raises:
        RpcError: bad-attribute, or unknown-attribute for any other that is no place in an order.
    """
    named = element.get(_OPERATION)
    for attribute in element.keys():  # noqa: SIM118  # an element is no mapping
        if attribute != _OPERATION and namespace_of(str(attribute)) != YANG:
            # An `operation` without its namespace would be a merge to a lenient reader, and a delete to its author.
            message = "no attribute of an edit; operation stands in NETCONF's namespace"
            refuse_attribute(Tag.UNKNOWN_ATTRIBUTE, message, path, local_of(str(attribute)), element)
    if named is None:
        return inherited
    if named not in _ATTRIBUTES:
        allowed = ", ".join(sorted(_ATTRIBUTES))
        refuse_attribute(Tag.BAD_ATTRIBUTE, f"operation shall be one of {allowed}", path, "operation", element)
    return Operation(named)


def is_to_set(operation: Operation, exists: bool, path: Path, node: SchemaNode) -> bool:
    """Whether the node shall be set. False: it shall go, or stay as it is.

    Raises:
        RpcError: data-exists or data-missing (RFC 6241 section 7.2).
    """
    if operation is Operation.CREATE and exists:
        raise RpcError(Tag.DATA_EXISTS, f"{node.name} is there already", path=path)
    if operation in (Operation.DELETE, Operation.NONE) and not exists:
        missing(path)
    return operation not in (*REMOVING, Operation.NONE)


def read_value(node: SchemaNode, element: Element, path: Path) -> str:
    """Canonical text of a leaf's value.

    Raises:
        RpcError: invalid-value, or bad-element where it has elements in it.
    """
    assert node.type is not None
    if len(element):
        refuse(Tag.BAD_ELEMENT, f"{node.name} has a value, no elements", path, node.name)
    try:
        return node.type.parse(text_of(element), element.nsmap if node.type.identity else {})
    except ValueError as error:
        # RFC 7950 section 8.3.1
        reason = str(error)
    raise RpcError(Tag.INVALID_VALUE, f"{node.name}: {reason}", path=path, info=(("bad-element", node.name),))


def missing(path: Path) -> NoReturn:
    """Raise data-missing."""
    raise RpcError(Tag.DATA_MISSING, "there is nothing here", path=path)


def refuse(tag: Tag, message: str, path: Path, name: str) -> NoReturn:
    """Raise an error about an element."""
    raise RpcError(tag, message, path=path, info=(("bad-element", name),))


def refuse_attribute(tag: Tag, message: str, path: Path, attribute: str, element: Element | SchemaNode) -> NoReturn:
    """Raise an error about an attribute of an element."""
    name = local_of(element.tag)
    raise RpcError(tag, message, path=path, info=(("bad-attribute", attribute), ("bad-element", name)))

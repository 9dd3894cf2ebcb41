"""The frame of an rpc: what its element must have, its parameters, and the reply to it (RFC 6241 section 4)."""

from collections.abc import Iterable, Mapping
from typing import Final

from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag, to_element
from quiver.protocols.netconf.xml import (
    BASE,
    Element,
    add,
    base,
    enclose,
    local_of,
    make,
    namespace_of,
    qualified,
    serialise,
    text_of,
)

__all__ = ["Parameters", "operation_of", "reply", "reply_error", "reply_ok"]

_MESSAGE_ID: Final = "message-id"


def operation_of(rpc: Element) -> Element:
    """The one element in an rpc.

    Raises:
        RpcError: missing-attribute without a message-id (RFC 6241 section 4.1); or no element is in it, or several.
    """
    if rpc.get(_MESSAGE_ID) is None:
        info = (("bad-attribute", _MESSAGE_ID), ("bad-element", "rpc"))
        raise RpcError(Tag.MISSING_ATTRIBUTE, "an rpc has a message-id", type=ErrorType.RPC, info=info)
    if len(rpc) != 1:
        tag = Tag.UNKNOWN_ELEMENT if len(rpc) else Tag.MISSING_ELEMENT
        name = local_of(rpc[1].tag) if len(rpc) else "operation"
        raise RpcError(tag, "an rpc holds exactly one operation", type=ErrorType.RPC, info=(("bad-element", name),))
    return rpc[0]


def _reply(rpc: Element) -> Element:
    """An empty rpc-reply with all attributes of its rpc (RFC 6241 section 4.2)."""
    attributes = {str(name): str(value) for name, value in rpc.attrib.items()}
    needed = {namespace_of(name) for name in attributes}
    names: dict[str | None, str] = {None: BASE}
    names.update((prefix, uri) for prefix, uri in rpc.nsmap.items() if prefix and uri in needed)
    return make(base("rpc-reply"), names, attributes)


def reply_ok(rpc: Element) -> bytes:
    """A reply that says only that it was done."""
    made = _reply(rpc)
    add(made, base("ok"))
    return serialise(made)


def reply(rpc: Element, content: Iterable[Element]) -> bytes:
    """A reply with data."""
    return enclose(_reply(rpc), content)


def reply_error(rpc: Element, error: RpcError, prefixes: Mapping[str, str]) -> bytes:
    """A reply that says why nothing was done."""
    return enclose(_reply(rpc), (to_element(error, prefixes),))


class Parameters:
    """The elements in an operation, each at most once and none unknown.

    Args:
        operation: the operation's element.
        allowed: local names of its parameters; they are in the operation's namespace.

    Raises:
        RpcError: another one is there, or one is there twice.
    """

    def __init__(self, operation: Element, *allowed: str) -> None:
        self._name: Final = local_of(operation.tag)
        self._given: Final[dict[str, Element]] = {}
        namespace = namespace_of(operation.tag)
        for part in operation:
            name = local_of(part.tag)
            if part.tag != qualified(namespace, name) or name not in allowed:
                raise self._refusal(Tag.UNKNOWN_ELEMENT, f"no parameter of {self._name}", name)
            if name in self._given:
                raise self._refusal(Tag.BAD_ELEMENT, "a parameter stands only once", name)
            self._given[name] = part

    def get(self, name: str) -> Element | None:
        """A parameter's element, or None."""
        return self._given.get(name)

    def need(self, name: str) -> Element:
        """A parameter's element.

        Raises:
            RpcError: missing-element.
        """
        found = self._given.get(name)
        if found is None:
            raise self._refusal(Tag.MISSING_ELEMENT, f"{self._name} needs it", name)
        return found

    def text(self, name: str) -> str | None:
        """A parameter's characters without white space around them, or None."""
        found = self._given.get(name)
        return None if found is None else text_of(found).strip()

    def choice(self, name: str, allowed: Iterable[str], default: str) -> str:
        """A parameter that has one of some values.

        Raises:
            RpcError: invalid-value.
        """
        found = self.text(name)
        if found is None:
            return default
        options = tuple(allowed)
        if found not in options:
            raise self._refusal(Tag.INVALID_VALUE, f"{name} shall be one of {', '.join(options)}", name)
        return found

    def number(self, name: str, least: int, most: int) -> int | None:
        """A parameter that is a whole number.

        Raises:
            RpcError: invalid-value.
        """
        found = self.text(name)
        if found is None:
            return None
        if not (found.isascii() and found.isdigit() and len(found) <= 10 and least <= int(found) <= most):
            raise self._refusal(Tag.INVALID_VALUE, f"{name} shall be {least} to {most}", name)
        return int(found)

    def _refusal(self, tag: Tag, message: str, name: str) -> RpcError:
        return RpcError(tag, message, type=ErrorType.PROTOCOL, info=(("bad-element", name),))

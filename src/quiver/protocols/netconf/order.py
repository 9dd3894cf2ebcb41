"""Where an edit puts an entry of a list whose order is the user's (RFC 7950 sections 7.7.9 and 7.8.6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.paths import Path
from quiver.protocols.netconf.schema import Kind, SchemaNode
from quiver.protocols.netconf.tree import Key
from quiver.protocols.netconf.xml import YANG, Element, local_of, namespace_of

__all__ = ["Position", "insert", "read_position"]

_K = TypeVar("_K", str, Key)
_V = TypeVar("_V")
_PLACES: Final = ("first", "last", "before", "after")
_PREDICATE: Final = re.compile(r"""\[\s*(?:([^\s:\]=]+):)?([^\s:\]=]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]""")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order.

    Attributes:
        where: first, last, before or after.
        anchor: the entry before or after which: a leaf-list's value, or a list's keys.
    """

    where: str
    anchor: str | Key | None = None


def read_position(node: SchemaNode, element: Element, path: Path) -> Position | None:
    """The place that an element asks for; None where it asks for none.

    Raises:
        RpcError: the attributes are not of this node, incomplete or wrong.
    """
    names = {local_of(str(name)) for name in element.keys() if namespace_of(str(name)) == YANG}  # noqa: SIM118
    if not names:
        return None
    anchor = "key" if node.kind is Kind.LIST else "value"
    for name in sorted(names):
        if not node.user_ordered or name not in ("insert", anchor):
            _refuse(Tag.UNKNOWN_ATTRIBUTE, "no attribute of this node", path, name, node)
    where = element.get(f"{{{YANG}}}insert")
    if where is None:
        _refuse(Tag.MISSING_ATTRIBUTE, "a place needs insert", path, "insert", node)
    if where not in _PLACES:
        _refuse(Tag.BAD_ATTRIBUTE, f"insert shall be one of {', '.join(_PLACES)}", path, "insert", node)
    text = element.get(f"{{{YANG}}}{anchor}")
    if where in ("first", "last"):
        return Position(where)
    if text is None:
        _refuse(Tag.MISSING_ATTRIBUTE, f"insert {where} needs {anchor}", path, anchor, node)
    return Position(where, _anchor(node, element, text, path))


def _anchor(node: SchemaNode, element: Element, text: str, path: Path) -> str | Key:
    try:
        if node.kind is Kind.LEAF_LIST:
            assert node.type is not None
            return node.type.parse(text, element.nsmap)
        return _keys(node, element, text)
    except (ValueError, KeyError):
        _refuse(Tag.BAD_ATTRIBUTE, "no entry can have these keys or this value", path, "key", node)


def _keys(node: SchemaNode, element: Element, text: str) -> Key:
    """Values of the key predicates of RFC 7950 section 7.8.6, such as `[ex:first='a'][ex:last='b']`."""
    if _PREDICATE.sub("", text).strip():
        raise ValueError
    own = namespace_of(node.tag)
    found = {}
    for prefix, name, single, double in _PREDICATE.findall(text):
        found[f"{{{element.nsmap[prefix] if prefix else own}}}{name}"] = single or double
    if found.keys() != set(node.keys):
        raise ValueError
    values = []
    for tag in node.keys:
        datatype = node.children[tag].type
        assert datatype is not None
        values.append(datatype.parse(found[tag], element.nsmap))
    return tuple(values)


def insert(entries: Mapping[_K, _V], key: _K, value: _V, position: Position, path: Path) -> dict[_K, _V]:
    """The entries with one of them, new or moved, at a place.

    Raises:
        RpcError: the entry before or after which it shall stand is not there, or is itself (RFC 7950 section 15.7).
    """
    others = {name: entry for name, entry in entries.items() if name != key}
    if position.where == "first":
        return {key: value, **others}
    if position.where == "last":
        return {**others, key: value}
    made: dict[_K, _V] = {}
    for name, entry in others.items():
        if name == position.anchor and position.where == "before":
            made[key] = value
        made[name] = entry
        if name == position.anchor and position.where == "after":
            made[key] = value
    if key not in made:
        raise RpcError(
            Tag.BAD_ATTRIBUTE, "there is no such entry to stand beside", path=path, app_tag="missing-instance"
        )
    return made


def _refuse(tag: Tag, message: str, path: Path, attribute: str, node: SchemaNode) -> NoReturn:
    raise RpcError(tag, message, path=path, info=(("bad-attribute", attribute), ("bad-element", node.name)))

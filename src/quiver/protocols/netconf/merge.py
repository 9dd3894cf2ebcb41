"""Configuration and state, which have the same containers and entries, as one tree of XML (RFC 6241 section 7.7)."""

from collections.abc import Iterable

from quiver.protocols.netconf.schema import Kind, SchemaNode
from quiver.protocols.netconf.xml import Element, graft, text_of

__all__ = ["merge"]

_Index = dict[tuple[str, tuple[str, ...]], Element]


def merge(holder: Element, top: Element, root: SchemaNode) -> None:
    """Put one top-level element with state into the tree.

    Args:
        holder: has the top-level nodes as children.
        top: the state; it is copied.
        root: of the schema; nodes that it does not know are appended.
    """
    _merge(holder, (top,), root)


def _merge(parent: Element, parts: Iterable[Element], node: SchemaNode) -> None:
    index: _Index = {}
    for child in parent:
        below = node.children.get(child.tag)
        if below is not None and below.kind in (Kind.CONTAINER, Kind.LIST):
            index[child.tag, _key(child, below)] = child
    for part in list(parts):
        below = node.children.get(part.tag)
        if (
            below is None
            or below.kind not in (Kind.CONTAINER, Kind.LIST)
            or (below.kind is Kind.LIST and not below.keys)
        ):
            if part.tag not in node.keys:
                graft(parent, part)
            continue
        key = part.tag, _key(part, below)
        present = index.get(key)
        if present is None:
            index[key] = graft(parent, part)
        else:
            _merge(present, part, below)


def _key(element: Element, node: SchemaNode) -> tuple[str, ...]:
    found = (element.find(tag) for tag in node.keys)
    return tuple("" if leaf is None else text_of(leaf) for leaf in found)

"""Subtree filters (RFC 6241 section 6), as they are read, and what can be left out of a tree before they are applied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from quiver.domain import limits
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.schema import Kind, SchemaNode
from quiver.protocols.netconf.tree import Branch, Entries, Key, Value
from quiver.protocols.netconf.xml import Element, is_blank, local_of, namespace_of, text_of

__all__ = ["Filter", "asks_for", "narrow", "read_filter"]

_ANY: Final = ""  # a filter's node without a namespace stands for all namespaces (RFC 6241 section 6.2.1)


@dataclass(frozen=True, slots=True)
class Filter:
    """One node of a filter.

    Attributes:
        namespace: of the nodes that it stands for; empty for all.
        name: their local name.
        text: what a leaf must hold (a content match node) as it stands in the filter, or None.
        prefixes: prefix → namespace of the one prefix that the text may have.
        parts: the nodes below; empty selects everything below (a selection node).
    """

    namespace: str
    name: str
    text: str | None = None
    prefixes: tuple[tuple[str, str], ...] = ()
    parts: tuple["Filter", ...] = ()

    def fits(self, tag: str) -> bool:
        """Whether it stands for nodes of this name."""
        return local_of(tag) == self.name and self.namespace in (_ANY, namespace_of(tag))

    @property
    def texts(self) -> tuple[str, ...]:
        """What a leaf may hold that it matches: white space around may be the layout's, or the value's."""
        return () if self.text is None else tuple(dict.fromkeys((self.text, self.text.strip())))

    @property
    def identities(self) -> tuple[tuple[str, str], ...]:
        """Namespace and name of the identity that it may mean."""
        return tuple((uri, (self.text or "").strip().partition(":")[2]) for _, uri in self.prefixes)

    @property
    def takes_all(self) -> bool:
        """Whether it may select all that is below: it has no nodes there, or nothing but content matches."""
        return all(below.text is not None for below in self.parts)


def read_filter(element: Element) -> tuple[Filter, ...]:
    """The nodes of a `<filter>`; none at all selects nothing (RFC 6241 section 6.4.2).

    Raises:
        RpcError: it matches attributes (RFC 6241 section 6.2.2), which no node of ours has, or has too many nodes.
    """
    if sum(1 for _ in element.iter()) > limits.NETCONF_FILTER + 1:
        message = f"a filter has at most {limits.NETCONF_FILTER} nodes"
        raise RpcError(Tag.TOO_BIG, message, type=ErrorType.PROTOCOL)
    return tuple(_read(child) for child in element)


def _read(element: Element) -> Filter:
    if element.keys():
        name = local_of(str(element.keys()[0]))
        info = (("bad-attribute", name), ("bad-element", local_of(element.tag)))
        message = "filters with attributes are not handled"
        raise RpcError(Tag.UNKNOWN_ATTRIBUTE, message, type=ErrorType.PROTOCOL, info=info)
    namespace, name = namespace_of(element.tag), local_of(element.tag)
    if len(element):
        return Filter(namespace, name, parts=tuple(_read(child) for child in element))
    if is_blank(element.text):
        return Filter(namespace, name)
    text = text_of(element)
    prefix, colon, _ = text.strip().partition(":")
    uri = element.nsmap.get(prefix) if prefix and colon else None
    return Filter(namespace, name, text, () if uri is None else ((prefix, uri),))


def asks_for(filters: Sequence[Filter] | None, tags: Iterable[str]) -> bool:
    """Whether filters may leave something of a node.

    Args:
        filters: of the top-level nodes; None asks for everything.
        tags: the names on the way to the node, a top-level one first, in Clark's notation.
    """
    for tag in tags:
        if filters is None:
            return True
        fitting = _fitting(filters, tag)
        if not fitting:
            return False
        filters = _below(fitting)
    return True


def _fitting(filters: Iterable[Filter], tag: str) -> list[Filter]:
    return [part for part in filters if part.fits(tag)]


def _below(filters: Sequence[Filter]) -> list[Filter] | None:
    """The nodes below some that stand for the same node; None where all of that may be selected."""
    return None if any(part.takes_all for part in filters) else [deep for part in filters for deep in part.parts]


def narrow(branch: Branch, filters: Sequence[Filter] | None) -> Branch:
    """A tree without what a filter certainly does not want: the top-level nodes and entries that it does not name.

    So one entry of ten thousand is found by its key, not by writing all of them as XML first; `select` does the rest.

    Args:
        branch: the tree; it stays as it is.
        filters: of its children; None takes everything.
    """
    if filters is None:
        return branch
    children: dict[str, Value] = {}
    for tag, value in branch.children.items():
        fitting = _fitting(filters, tag)
        if not fitting:
            if tag in branch.node.keys:
                children[tag] = value
            continue
        match value:
            case Branch():
                children[tag] = narrow(value, _below(fitting))
            case Entries():
                children[tag] = _narrow_entries(value, fitting)
            case _:
                children[tag] = value
    return Branch(branch.node, children)


def _narrow_entries(entries: Entries, filters: Sequence[Filter]) -> Entries:
    named: dict[Key, None] = {}
    for part in filters:
        keys = _keys(entries.node, part)
        if keys is None:
            return entries
        named.update(dict.fromkeys(keys))
    return Entries(entries.node, {key: entries.rows[key] for key in named if key in entries.rows})


def _keys(node: SchemaNode, part: Filter) -> Iterable[Key] | None:
    """The entries that a filter's node can match, or None where it does not name all keys."""
    assert node.kind is Kind.LIST
    values = []
    for tag in node.keys:
        match = next((below for below in part.parts if below.text is not None and below.fits(tag)), None)
        possible = [] if match is None else _values(node.children[tag], match)
        if not possible:
            return None  # or no entry has such a key; `select` will find that out
        values.append(possible)
    return product(*values)


def _values(node: SchemaNode, match: Filter) -> list[str]:
    """The canonical texts of a leaf that a content match may mean."""
    assert node.type is not None
    found = []
    for text in match.texts:
        try:
            found.append(node.type.parse(text, dict(match.prefixes)))
        except ValueError:
            continue
    return found

"""Subtree filters (RFC 6241 section 6)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from quiver.domain import limits
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.schema import Kind, SchemaNode
from quiver.protocols.netconf.tree import Branch, Entries, Key, Value
from quiver.protocols.netconf.xml import Element, graft, graft_empty, is_blank, local_of, make, namespace_of, text_of

__all__ = ["Filter", "narrow", "passes", "read_filter", "select"]

_ANY: Final = ""  # a filter's node without a namespace stands for all namespaces (RFC 6241 section 6.2.1)


@dataclass(frozen=True, slots=True)
class Filter:
    """One node of a filter.

    Attributes:
        namespace: of the nodes that it stands for; empty for all.
        name: their local name.
        text: what a leaf must hold (a content match node), or None.
        prefixes: prefix → namespace in force at that text.
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

    def matches(self, leaf: Element) -> bool:
        """Whether a leaf holds what a content match node asks for (RFC 6241 section 6.2.5)."""
        assert self.text is not None
        held = text_of(leaf).strip()
        if held == self.text:
            return True
        # The same identity may have one prefix here and another one there.
        return ":" in held and ":" in self.text and _named(held, leaf.nsmap) == _named(self.text, dict(self.prefixes))


def _named(text: str, prefixes: dict[str | None, str] | dict[str, str]) -> tuple[str, str]:
    prefix, _, name = text.partition(":")
    return {str(key): value for key, value in prefixes.items()}.get(prefix, f"?{prefix}"), name


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
    prefixes = tuple((prefix, uri) for prefix, uri in element.nsmap.items() if prefix)
    return Filter(namespace, name, text_of(element).strip(), prefixes)


def passes(filters: Sequence[Filter], top: Element) -> bool:
    """Whether a filter leaves anything of a top-level element."""
    return _choose(top, _fitting(filters, top.tag), None) is not None


def select(filters: Sequence[Filter], holder: Element, root: SchemaNode) -> Element:
    """A copy of an element with what the filter leaves of its children.

    Keys of lists stay in every entry of which something stays, so that a reader can tell the entries apart.

    Args:
        filters: of the holder's children.
        holder: has the top-level nodes as children.
        root: of the schema.
    """
    made = make(holder.tag, holder.nsmap)
    for top in holder:
        chosen = _choose(top, _fitting(filters, top.tag), root.children.get(top.tag))
        if chosen is not None:
            _copy(made, top, chosen)
    return made


def _fitting(filters: Iterable[Filter], tag: str) -> list[Filter]:
    return [part for part in filters if part.fits(tag)]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a filter leaves of an element: all of it, or some children by their place."""

    parts: dict[int, "_Chosen"] | None = None


def _choose(source: Element, filters: Sequence[Filter], node: SchemaNode | None) -> _Chosen | None:
    """What the filters that stand for `source` leave of it, together; None where that is nothing."""
    wanted: list[Filter] = []
    for part in filters:
        if _whole(source, part):
            return _Chosen()
        if part.parts and _contents_match(source, part):
            wanted += part.parts
    found = {}
    keys = {}
    for index, child in enumerate(source):
        fitting = _fitting(wanted, child.tag)
        below = node.children.get(child.tag) if node else None
        chosen = _choose(child, fitting, below) if fitting else None
        if chosen is not None:
            found[index] = chosen
        elif node and child.tag in node.keys:
            keys[index] = _Chosen()
    return _Chosen({**found, **keys}) if found else None


def _copy(parent: Element, source: Element, chosen: _Chosen) -> None:
    if chosen.parts is None:
        graft(parent, source)
        return
    made = graft_empty(parent, source)
    for index, child in enumerate(source):
        if index in chosen.parts:
            _copy(made, child, chosen.parts[index])


def _whole(source: Element, part: Filter) -> bool:
    """Whether a filter's node takes all of an element."""
    if part.text is not None:
        return part.matches(source)
    # A selection node (RFC 6241 section 6.2.4), or nothing but content matches that hold (section 6.2.5).
    return all(below.text is not None for below in part.parts) and _contents_match(source, part)


def _contents_match(source: Element, part: Filter) -> bool:
    matches = [below for below in part.parts if below.text is not None]
    return all(any(match.fits(leaf.tag) and match.matches(leaf) for leaf in source) for match in matches)


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
        # What has no parts but content matches may select all that is beside them.
        all_of_it = any(all(deep.text is not None for deep in part.parts) for part in fitting)
        below = None if all_of_it else [deep for part in fitting for deep in part.parts]
        match value:
            case Branch():
                children[tag] = narrow(value, below)
            case Entries():
                children[tag] = _narrow_entries(value, fitting)
            case _:
                children[tag] = value
    return Branch(branch.node, children)


def _narrow_entries(entries: Entries, filters: Sequence[Filter]) -> Entries:
    named = [_key(entries.node, part) for part in filters]
    if any(key is None for key in named):
        return entries
    rows = {key: entries.rows[key] for key in named if key is not None and key in entries.rows}
    return Entries(entries.node, rows)


def _key(node: SchemaNode, part: Filter) -> Key | None:
    """The one entry that a filter's node can match, or None where it does not name all keys."""
    assert node.kind is Kind.LIST
    values = []
    for tag in node.keys:
        texts = [below for below in part.parts if below.text is not None and below.fits(tag)]
        datatype = node.children[tag].type
        if not texts or datatype is None:
            return None
        try:
            values.append(datatype.parse(texts[0].text or "", dict(texts[0].prefixes)))
        except ValueError:
            return None  # no entry has such a key; `select` will find that out
    return tuple(values)

"""What a subtree filter leaves of a tree (RFC 6241 section 6).

A list may have 65,536 entries, and a filter 1,024 nodes. So the nodes of a filter that stand for the entries of one list are
never held against each entry one by one: the leaves of an entry say which content matches hold, and those say, by tables that are
made once, what is left of the entry. The work is that of the tree and that of the filter, added.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from quiver.protocols.netconf.filter import Filter
from quiver.protocols.netconf.schema import SchemaNode
from quiver.protocols.netconf.xml import Element, graft, graft_empty, local_of, make, text_of

__all__ = ["Selection"]

_REMEMBERED: Final = 1024  # combinations of content matches of which a node of a filter keeps what follows from them


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What a filter leaves of an element: all of it, or some children by their place."""

    parts: dict[int, "_Chosen"] | None = None


_ALL: Final = _Chosen()


class Selection:
    """A filter, ready to be applied to any number of trees.

    Args:
        filters: of the top-level nodes.
    """

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._filters: Final = _Siblings(filters)

    def passes(self, top: Element) -> bool:
        """Whether it leaves anything of a top-level element."""
        wanted = self._filters.of(top.tag)
        return wanted is not None and _choose(top, wanted, None) is not None

    def select(self, holder: Element, root: SchemaNode) -> Element:
        """A copy of an element with what the filter leaves of its children.

        Keys of lists stay in every entry of which something stays, so that a reader can tell the entries apart.

        Args:
            holder: has the top-level nodes as children.
            root: of the schema.
        """
        made = make(holder.tag, holder.nsmap)
        for top in holder:
            wanted = self._filters.of(top.tag)
            chosen = None if wanted is None else _choose(top, wanted, root.children.get(top.tag))
            if chosen is not None:
                _copy(made, top, chosen)
        return made


class _Siblings:
    """Nodes of a filter below one parent, or below several that select together."""

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._by_name: Final[dict[str, list[Filter]]] = {}
        for part in filters:
            self._by_name.setdefault(part.name, []).append(part)
        self._nodes: Final[dict[str, _Node | None]] = {}  # by name in Clark's notation; a schema's names are few

    def of(self, tag: str) -> "_Node | None":
        """Those that stand for nodes of this name, together; None where there are none."""
        if tag not in self._nodes:
            fitting = [part for part in self._by_name.get(local_of(tag), ()) if part.fits(tag)]
            self._nodes[tag] = _Node(fitting) if fitting else None
        return self._nodes[tag]


@dataclass(frozen=True, slots=True)
class _Containment:
    """A node of a filter with nodes below it (RFC 6241 section 6.2.3).

    Attributes:
        matches: the content matches below it; all of them have to hold.
        parts: all nodes below it.
        whole: whether they are content matches only, which select all that is beside them (RFC 6241 section 6.2.5).
    """

    matches: frozenset[Filter]
    parts: tuple[Filter, ...]
    whole: bool


class _Node:
    """All nodes of a filter that stand for the same node of a tree, such as the entries of a list."""

    def __init__(self, filters: Iterable[Filter]) -> None:
        self._whole = False  # a selection node is among them (RFC 6241 section 6.2.4)
        values = []
        containments = []
        for part in filters:
            if part.text is not None:
                values.append(part)
            elif part.parts:
                matches = frozenset(below for below in part.parts if below.text is not None)
                containments.append(_Containment(matches, part.parts, part.takes_all))
            else:
                self._whole = True
        shared = Counter(chain.from_iterable(each.matches for each in containments))
        self._values: Final = _ContentMatches(values)
        self._contents: Final = _ContentMatches(shared)
        # Each stands with the rarest of its matches, or with None, so that few have to be looked at for one entry.
        self._containments: Final[dict[Filter | None, list[_Containment]]] = {}
        for each in containments:
            rarest = min(each.matches, key=shared.__getitem__, default=None)
            self._containments.setdefault(rarest, []).append(each)
        self._remembered: Final[dict[frozenset[Filter], _Siblings | _Chosen | None]] = {}

    def judge(self, source: Element) -> _Siblings | _Chosen | None:
        """What they leave of an element: all, nothing, or what the nodes below them leave of its children."""
        if self._whole or any(self._values.of(source)):
            return _ALL
        held = frozenset(chain.from_iterable(map(self._contents.of, source))) if self._contents else frozenset()
        if held not in self._remembered:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[held] = self._follows(held)
        return self._remembered[held]

    def _follows(self, held: frozenset[Filter]) -> _Siblings | _Chosen | None:
        """What follows from the content matches that hold."""
        below: list[Filter] = []
        for each in chain.from_iterable(self._containments.get(match, ()) for match in (None, *held)):
            if each.matches <= held:
                if each.whole:
                    return _ALL
                below += each.parts
        return _Siblings(below) if below else None


class _ContentMatches:
    """Content match nodes, found by the leaves that they match (RFC 6241 section 6.2.5)."""

    def __init__(self, matches: Iterable[Filter]) -> None:
        self._texts: Final[dict[tuple[str, str], list[Filter]]] = {}
        self._identities: Final[dict[tuple[str, str, str], list[Filter]]] = {}
        for match in matches:
            for text in match.texts:
                self._texts.setdefault((match.name, text), []).append(match)
            for namespace, name in match.identities:
                self._identities.setdefault((match.name, namespace, name), []).append(match)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def of(self, leaf: Element) -> Iterator[Filter]:
        """Those that hold at an element."""
        if not self._texts:
            return
        name, held = local_of(leaf.tag), text_of(leaf)
        found = self._texts.get((name, held), ())
        if self._identities and ":" in held:  # the same identity may have one prefix here and another one there
            prefix, _, identity = held.partition(":")
            also = self._identities.get((name, leaf.nsmap.get(prefix, ""), identity), ())
            found = [*found, *also]
        for match in found:
            if match.fits(leaf.tag):
                yield match


def _choose(source: Element, wanted: _Node, node: SchemaNode | None) -> _Chosen | None:
    """What a filter's node leaves of an element; None where that is nothing."""
    below = wanted.judge(source)
    if not isinstance(below, _Siblings):
        return below
    found = {}
    keys = {}
    for index, child in enumerate(source):
        deeper = below.of(child.tag)
        inside = node.children.get(child.tag) if node else None
        chosen = _choose(child, deeper, inside) if deeper is not None else None
        if chosen is not None:
            found[index] = chosen
        elif node and child.tag in node.keys:
            keys[index] = _ALL
    return _Chosen({**found, **keys}) if found else None


def _copy(parent: Element, source: Element, chosen: _Chosen) -> None:
    if chosen.parts is None:
        graft(parent, source)
        return
    made = graft_empty(parent, source)
    for index, child in enumerate(source):
        if index in chosen.parts:
            _copy(made, child, chosen.parts[index])

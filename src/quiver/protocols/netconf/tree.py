"""Configuration as values that never change: a new tree shares with the old one whatever is the same.

So a reader needs no lock, a change that fails needs no undoing, and what changed is found by comparing identities. A tree has
only what was set; defaults and empty containers without a meaning of their own are not in it (RFC 6243 section 2.3, "explicit").
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from yangson.instvalue import ArrayValue, ObjectValue

from quiver.protocols.netconf.paths import Path
from quiver.protocols.netconf.schema import Choice, Kind, SchemaNode
from quiver.protocols.netconf.xml import Element, Names, add, namespace_of

__all__ = ["Branch", "Entries", "Key", "Value", "active_cases", "add_elements", "cooked", "place", "same", "value_at"]

Key = tuple[str, ...]  # canonical values of a list's keys, in the schema's order
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)  # yangson stamps its values; nobody asks for it


@dataclass(slots=True, eq=False)
class Branch:
    """A container, a list's entry, or a whole datastore. Never changed after it is made.

    Attributes:
        node: its schema node.
        children: by tag; only what was set.
    """

    node: SchemaNode
    children: Mapping[str, "Value"]
    _cooked: ObjectValue | None = field(default=None, repr=False)


@dataclass(slots=True, eq=False)
class Entries:
    """All entries of a list, in their order. Never changed after it is made.

    Attributes:
        node: its schema node.
        rows: by the values of their keys.
    """

    node: SchemaNode
    rows: Mapping[Key, Branch]
    _cooked: ArrayValue | None = field(default=None, repr=False)


Value = str | tuple[str, ...] | Branch | Entries  # a leaf, a leaf-list, a container or entry, a list


def same(one: "Value | None", other: "Value | None") -> bool:
    """Whether two values hold the same; the order counts only where the user decides about it."""
    if one is other:
        return True
    match one, other:
        case Branch(), Branch():
            return one.children.keys() == other.children.keys() and all(
                same(value, other.children[tag]) for tag, value in one.children.items()
            )
        case Entries(), Entries():
            if one.node.user_ordered and list(one.rows) != list(other.rows):
                return False
            return one.rows.keys() == other.rows.keys() and all(
                same(row, other.rows[key]) for key, row in one.rows.items()
            )
    return one == other


def active_cases(branch: Branch) -> dict[Choice, str]:
    """The case of each choice that has something in it."""
    found: dict[Choice, str] = {}
    for tag in branch.children:
        found.update(branch.node.children[tag].cases)
    return found


def value_at(root: Branch, path: Path) -> Value | None:
    """What stands at a place, or None."""
    found: Value = root
    for step in path:
        below = found.children.get(step.tag) if isinstance(found, Branch) else None
        if step.keys and isinstance(below, Entries):
            below = below.rows.get(tuple(value for _, value in step.keys))
        if below is None:
            return None
        found = below
    return found


def place(branch: Branch, path: Path, value: Value | None) -> Branch:
    """A tree with another value at a place; None takes it away, and with it containers that become empty.

    Args:
        branch: the tree; it stays as it is.
        path: the place, relative to `branch`; not empty.
        value: what shall stand there.
    """
    step, rest = path[0], path[1:]
    node = branch.node.children[step.tag]
    old = branch.children.get(step.tag)
    new: Value | None
    if node.kind is Kind.LIST and step.keys:
        rows = dict(old.rows) if isinstance(old, Entries) else {}
        key = tuple(text for _, text in step.keys)
        entry = rows.get(key) or Branch(node, dict(step.keys))
        changed = place(entry, rest, value) if rest else value
        if isinstance(changed, Branch):
            rows[key] = changed
        else:
            rows.pop(key, None)
        new = Entries(node, rows) if rows else None
    elif rest:
        below = old if isinstance(old, Branch) else Branch(node, {})
        changed = place(below, rest, value)
        assert isinstance(changed, Branch)
        new = changed if changed.children or node.presence else None
    else:
        new = value
    children = dict(branch.children)
    if new is None:
        children.pop(step.tag, None)
    else:
        children[step.tag] = new
    return Branch(branch.node, children)


def add_elements(parent: Element, branch: Branch) -> None:
    """Write a branch's children below an element: keys first, then in the schema's order (RFC 7950 section 7.8.5)."""
    for key in branch.node.keys:
        if key in branch.children:
            add_value(parent, branch.node.children[key], branch.children[key])
    for tag, node in branch.node.children.items():
        if tag not in branch.node.keys and (value := branch.children.get(tag)) is not None:
            add_value(parent, node, value)


def add_value(parent: Element, node: SchemaNode, value: Value) -> None:
    """Write one value below an element."""
    match value:
        case str():
            _add_leaf(parent, node, value)
        case tuple():
            for text in value:
                _add_leaf(parent, node, text)
        case Branch():
            add_elements(_add(parent, node), value)
        case Entries():
            for row in value.rows.values():
                add_elements(_add(parent, node), row)


def _add(parent: Element, node: SchemaNode, declared: Names | None = None) -> Element:
    names: dict[str | None, str] = dict(declared or {})
    if node.parent is None or node.parent.module != node.module:
        names[None] = namespace_of(node.tag)  # it becomes the default one where a module's nodes begin
    return add(parent, node.tag, names or None)


def _add_leaf(parent: Element, node: SchemaNode, text: str) -> None:
    assert node.type is not None
    if not node.type.identity:
        _add(parent, node).text = text or None
        return
    shown, declared = node.type.shown(text)
    names: dict[str | None, str] = {None: namespace_of(node.tag)}  # first, so that the element's name needs no prefix
    names.update(declared.items())
    _add(parent, node, names).text = shown


def cooked(value: Value, node: SchemaNode) -> Any:  # noqa: ANN401  # a value of yangson
    """The value as yangson sees it, with defaults in use (RFC 7950 section 6.4.1); worked out once for each branch."""
    match value:
        case str():
            assert node.type is not None
            return node.type.cooked(value)
        case tuple():
            assert node.type is not None
            return ArrayValue([node.type.cooked(text) for text in value], _NO_TIME)
        case Branch():
            if value._cooked is None:  # noqa: SLF001  # a memory of the branch's own, filled here only
                value._cooked = _cooked_branch(value)  # noqa: SLF001
            return value._cooked  # noqa: SLF001
        case Entries():
            if value._cooked is None:  # noqa: SLF001
                value._cooked = ArrayValue([cooked(row, node) for row in value.rows.values()], _NO_TIME)  # noqa: SLF001
            return value._cooked  # noqa: SLF001


def _cooked_branch(branch: Branch) -> ObjectValue:
    members = {
        branch.node.children[tag].member: cooked(value, branch.node.children[tag])
        for tag, value in branch.children.items()
    }
    members.update(_defaults(branch, active_cases(branch)))
    return ObjectValue(members, _NO_TIME)


def _defaults(branch: Branch, active: Mapping[Choice, str]) -> Iterator[tuple[str, Any]]:
    """Members that were not set and have a default, unless a condition (`when`) stands at them."""
    for tag, node in branch.node.children.items():
        if tag in branch.children or not node.config or node.yang.when is not None:
            continue
        if any(active.get(choice, choice.default) != case for choice, case in node.cases):
            continue
        if node.kind is Kind.CONTAINER and not node.presence:
            below = cooked(Branch(node, {}), node)
            if below:
                yield node.member, below
        elif node.defaults:
            assert node.type is not None
            values = [node.type.cooked(text) for text in node.defaults]
            yield node.member, ArrayValue(values, _NO_TIME) if node.kind is Kind.LEAF_LIST else values[0]

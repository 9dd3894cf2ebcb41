"""edit-config: one configuration and a list of wishes make another one, or none at all (RFC 6241 section 7.2).

Edits are all or nothing whatever `error-option` says: a tree is never changed, so an error leaves the old one standing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from quiver.protocols.netconf.edit_checks import (
    REMOVING,
    Operation,
    is_to_set,
    missing,
    read_operation,
    read_value,
    refuse,
    refuse_attribute,
)
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.order import Position, insert, read_position
from quiver.protocols.netconf.paths import VALUE, Path, Step
from quiver.protocols.netconf.schema import Choice, Kind, Schema, SchemaNode
from quiver.protocols.netconf.tree import Branch, Entries, Key, Value
from quiver.protocols.netconf.xml import Element, is_blank, local_of, namespace_of

__all__ = ["Operation", "edit"]


def edit(schema: Schema, tree: Branch, config: Element, default: Operation = Operation.MERGE) -> Branch:
    """The configuration that an edit makes of another one.

    Args:
        schema: of the tree.
        tree: a datastore; it stays as it is.
        config: the `<config>` element.
        default: merge, replace (of the whole datastore) or none.

    Raises:
        RpcError: an element, attribute or value is wrong, or something is there that must not be, or is not there.
    """
    for attribute in config.keys():  # noqa: SIM118  # an element is no mapping
        # An operation here would be meant for all of the datastore, as default-operation is.
        message = "config has no attributes; default-operation stands beside it"
        refuse_attribute(Tag.UNKNOWN_ATTRIBUTE, message, (), local_of(str(attribute)), config)
    start = Branch(schema.root, {}) if default is Operation.REPLACE else tree
    made = _Editor(schema).children(start, config, default, ())
    return tree if made is start and start is tree else made


@dataclass(slots=True)
class _Draft:
    """A branch under work: copies what it changes, once, and only then."""

    branch: Branch
    children: dict[str, Value] | None = None
    lists: dict[str, dict[Key, Branch]] = field(default_factory=dict)
    leaf_lists: dict[str, dict[str, None]] = field(default_factory=dict)
    chosen: dict[Choice, str] = field(default_factory=dict)  # cases that this edit has put something into
    seen: set[str] = field(default_factory=set)  # nodes that may stand in an edit only once

    def get(self, tag: str) -> Value | None:
        return (self.branch.children if self.children is None else self.children).get(tag)

    def set(self, tag: str, value: Value | None) -> None:
        if self.children is None:
            self.children = dict(self.branch.children)
        if value is None:
            self.children.pop(tag, None)
        else:
            self.children[tag] = value

    def rows(self, tag: str) -> Mapping[Key, Branch]:
        """The entries of a list as they stand now."""
        if tag in self.lists:
            return self.lists[tag]
        held = self.get(tag)
        return held.rows if isinstance(held, Entries) else {}

    def drop(self, tag: str) -> None:
        self.lists.pop(tag, None)
        self.leaf_lists.pop(tag, None)
        if self.get(tag) is not None:
            self.set(tag, None)

    def finish(self) -> Branch:
        for tag, rows in self.lists.items():
            self.set(tag, Entries(self.branch.node.children[tag], rows) if rows else None)
        for tag, texts in self.leaf_lists.items():
            self.set(tag, tuple(texts) if texts else None)
        return self.branch if self.children is None else Branch(self.branch.node, self.children)


class _Editor:
    """Walks an edit and a tree side by side."""

    def __init__(self, schema: Schema) -> None:
        self._schema: Final = schema

    def children(self, branch: Branch, element: Element, operation: Operation, path: Path) -> Branch:
        """The branch with the edits of all child elements; the very same where none changes anything."""
        if not is_blank(element.text) or any(not is_blank(child.tail) for child in element):
            refuse(Tag.BAD_ELEMENT, "characters between elements", path, local_of(element.tag))
        draft = _Draft(branch)
        for child in element:
            node = self._node(branch.node, child, path)
            if child.tag in branch.node.keys:
                self._key_leaf(node, child, draft, path)
                continue
            own = read_operation(child, operation, path)
            position = read_position(node, child, (*path, Step(node.tag)))
            match node.kind:
                case Kind.LEAF:
                    self._leaf(draft, node, child, own, path)
                case Kind.LEAF_LIST:
                    self._leaf_list(draft, node, child, own, path, position)
                case Kind.LIST:
                    self._entry(draft, node, child, own, path, position)
                case _:
                    self._container(draft, node, child, own, path)
        return draft.finish()

    def _node(self, parent: SchemaNode, element: Element, path: Path) -> SchemaNode:
        node = parent.children.get(element.tag)
        if node is None:
            namespace, name = namespace_of(element.tag), local_of(element.tag)
            if namespace not in self._schema.by_namespace:
                raise RpcError(
                    Tag.UNKNOWN_NAMESPACE,
                    "no module has this namespace",
                    path=path,
                    info=(("bad-element", name), ("bad-namespace", namespace)),
                )
            refuse(Tag.UNKNOWN_ELEMENT, "no such node here", path, name)
        if not node.config:
            refuse(Tag.UNKNOWN_ELEMENT, "state, not configuration", path, node.name)
        return node

    def _leaf(self, draft: _Draft, node: SchemaNode, element: Element, operation: Operation, path: Path) -> None:
        here = (*path, Step(node.tag))
        _once(draft, node, here)
        held = draft.get(node.tag)
        if not is_to_set(operation, held is not None, here, node):
            if operation in REMOVING and held is not None:
                draft.set(node.tag, None)
            return
        _choose(draft, node, here)
        text = read_value(node, element, here)
        if text != held:
            draft.set(node.tag, text)

    def _key_leaf(self, node: SchemaNode, element: Element, draft: _Draft, path: Path) -> None:
        """The entry was found by its keys; here is only seen that nothing else was meant."""
        _once(draft, node, (*path, Step(node.tag)))
        if read_operation(element, Operation.MERGE, path) in REMOVING:
            refuse_attribute(Tag.BAD_ATTRIBUTE, "a key cannot be taken away from its entry", path, "operation", node)

    def _leaf_list(
        self,
        draft: _Draft,
        node: SchemaNode,
        element: Element,
        operation: Operation,
        path: Path,
        position: Position | None,
    ) -> None:
        text = read_value(node, element, (*path, Step(node.tag)))
        here = (*path, Step(node.tag, ((VALUE, text),)))
        held = draft.get(node.tag)
        texts = draft.leaf_lists.get(node.tag)
        if texts is None:
            texts = dict.fromkeys(held if isinstance(held, tuple) else ())
        if not is_to_set(operation, text in texts, here, node):
            if operation in REMOVING and text in texts:
                draft.leaf_lists[node.tag] = texts
                del texts[text]
            return
        _choose(draft, node, here)
        if position is not None:
            draft.leaf_lists[node.tag] = insert(texts, text, None, position, here)
        elif text not in texts:
            draft.leaf_lists[node.tag] = texts
            texts[text] = None

    def _entry(
        self,
        draft: _Draft,
        node: SchemaNode,
        element: Element,
        operation: Operation,
        path: Path,
        position: Position | None,
    ) -> None:
        key = self._key(node, element, path)
        here = (*path, Step(node.tag, tuple(zip(node.keys, key, strict=True))))
        rows = draft.rows(node.tag)
        held = rows.get(key)
        if operation is Operation.NONE and held is None:
            missing(here)
        if operation is not Operation.NONE and not is_to_set(operation, held is not None, here, node):
            if held is not None:
                self._working(draft, node).pop(key)
            return
        if operation is not Operation.NONE:
            _choose(draft, node, here)
        empty = Branch(node, dict(zip(node.keys, key, strict=True)))
        start = empty if held is None or operation in (Operation.REPLACE, Operation.CREATE) else held
        made = self.children(start, element, operation, here)
        if position is not None:
            draft.lists[node.tag] = insert(dict(rows), key, made, position, here)
        elif made is not held:
            self._working(draft, node)[key] = made

    def _working(self, draft: _Draft, node: SchemaNode) -> dict[Key, Branch]:
        if node.tag not in draft.lists:
            draft.lists[node.tag] = dict(draft.rows(node.tag))
        return draft.lists[node.tag]

    def _key(self, node: SchemaNode, element: Element, path: Path) -> Key:
        texts = []
        for tag in node.keys:
            leaf = element.find(tag)
            if leaf is None:
                # RFC 7950 section 8.3.1
                refuse(
                    Tag.MISSING_ELEMENT,
                    f"an entry of {node.name} needs its key",
                    (*path, Step(node.tag)),
                    local_of(tag),
                )
            texts.append(read_value(node.children[tag], leaf, (*path, Step(node.tag), Step(tag))))
        return tuple(texts)

    def _container(self, draft: _Draft, node: SchemaNode, element: Element, operation: Operation, path: Path) -> None:
        here = (*path, Step(node.tag))
        _once(draft, node, here)
        held = draft.get(node.tag)
        # A container without presence is always there, as far as an edit that does nothing to it is concerned.
        if operation is Operation.NONE:
            if held is None and node.presence:
                missing(here)
        elif not is_to_set(operation, held is not None, here, node):
            if held is not None:
                draft.set(node.tag, None)
            return
        start = Branch(node, {})
        if isinstance(held, Branch) and operation in (Operation.MERGE, Operation.NONE):
            start = held
        made = self.children(start, element, operation, here)
        kept = made if made.children or node.presence else None
        if kept is not None and kept is not held:
            _choose(draft, node, here)
        if kept is not held:
            draft.set(node.tag, kept)


def _choose(draft: _Draft, node: SchemaNode, path: Path) -> None:
    """A node of one case takes away those of the others (RFC 7950 section 8.2), unless this edit has just set them."""
    for choice, case in node.cases:
        if draft.chosen.setdefault(choice, case) != case:
            # RFC 7950 section 8.3.1
            refuse(Tag.BAD_ELEMENT, f"another case of {choice.name} is in the same edit", path, node.name)
        present = (
            *(draft.branch.children if draft.children is None else draft.children),
            *draft.lists,
            *draft.leaf_lists,
        )
        for tag in dict.fromkeys(present):
            if dict(draft.branch.node.children[tag].cases).get(choice, case) != case:
                draft.drop(tag)


def _once(draft: _Draft, node: SchemaNode, path: Path) -> None:
    if node.tag in draft.seen:
        refuse(Tag.BAD_ELEMENT, f"{node.name} stands here twice", path, node.name)
    draft.seen.add(node.tag)

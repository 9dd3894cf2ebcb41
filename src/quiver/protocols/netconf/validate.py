"""Whether a configuration keeps to its schema, looked at only where it has changed (RFC 7950 section 8).

Types are checked when values are read. What remains: mandatory nodes, numbers of entries, `unique`, `when`, `must` and leafrefs.
Rules that YANG does not say are the owner's, who sees every change before it is made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from yangson.datatype import LeafrefType
from yangson.exceptions import YangsonException
from yangson.instance import RootNode
from yangson.instvalue import ObjectValue

from quiver.protocols.netconf.constraints import Constraints
from quiver.protocols.netconf.errors import RpcError, Tag
from quiver.protocols.netconf.paths import VALUE, Path, Step
from quiver.protocols.netconf.schema import Kind, Schema, SchemaNode
from quiver.protocols.netconf.tree import Branch, Entries, Value, active_cases, cooked, place, same
from quiver.protocols.netconf.xml import local_of

__all__ = ["Validator"]

_SETTLING: Final = 8  # rounds of removing what a condition no longer allows; each may make another one false
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Place:
    """A node while the tree is walked: its path, and on demand its instance in yangson's view of the whole tree."""

    validator: "Validator"
    root: Branch
    path: Path
    parent: "_Place | None" = None
    member: str = ""
    index: int | None = None

    def below(self, node: SchemaNode, keys: tuple[tuple[str, str], ...] = (), index: int | None = None) -> "_Place":
        path = (*self.path, Step(node.tag, keys))
        return _Place(self.validator, self.root, path, self, node.member, index)

    def instance(self) -> Any:  # noqa: ANN401  # yangson's
        if self.parent is None:
            return self.validator.instance(self.root)
        above = self.parent.instance()
        if self.member not in above.value:  # a container without presence, in which something is mandatory
            return above.put_member(self.member, ObjectValue({}, _NO_TIME))
        found = above[self.member]
        return found if self.index is None else found[self.index]


class Validator:
    """Judges the trees of one schema.

    Args:
        schema: of the datastores.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema: Final = schema
        self._constraints: Final = Constraints(schema.root)
        self._demanding: Final = {node for node in schema.root.below() if node.config and _demands(node)}

    def instance(self, root: Branch) -> Any:  # noqa: ANN401  # yangson's
        """Yangson's view of a whole tree; what has not changed since the last time is not worked out again."""
        return RootNode(cooked(root, root.node), self._schema.model.schema, self._schema.model.schema_data, _NO_TIME)

    def settle(self, old: Branch | None, new: Branch) -> Branch:
        """The tree as it will stand: nodes whose condition has become false are gone (RFC 7950 section 8.2).

        Args:
            old: a tree that is valid, or None to look at everything.
            new: the tree to judge.

        Raises:
            RpcError: it breaks a rule of its schema; the error has the tag, app-tag and path that RFC 7950 section 15 gives.
        """
        for _ in range(_SETTLING):
            try:
                stale = tuple(self._branch(old, new, _Place(self, new, ())))
            except YangsonException as error:
                message = f"a condition of the schema cannot be evaluated: {type(error).__name__}"
                raise RpcError(Tag.OPERATION_FAILED, message) from error
            if not stale:
                return new
            for path in stale:
                new = place(new, path, None)
        raise RpcError(Tag.OPERATION_FAILED, "conditions of the schema contradict each other")

    def _branch(self, old: Branch | None, new: Branch, here: _Place) -> Iterator[Path]:
        """Check one branch; gives the places whose condition is false now and which were there before."""
        node = new.node
        if old is new and node not in self._constraints.watching:
            return
        active = active_cases(new)
        for choice in node.choices:
            inside = choice.within is None or active.get(choice.within[0]) == choice.within[1]
            if choice.mandatory and inside and choice not in active:
                # RFC 7950 section 15.6
                raise RpcError(
                    Tag.DATA_MISSING,
                    f"one of the cases of {choice.name} is needed",
                    path=here.path,
                    app_tag="missing-choice",
                    info=(("missing-choice", choice.name),),
                )
        if node in self._constraints.bound:
            self._musts(node, here)
        for tag, child in node.children.items():
            if not child.config:
                continue
            value, before = new.children.get(tag), old.children.get(tag) if old else None
            if value is None:
                needed = child in self._demanding and all(active.get(choice) == case for choice, case in child.cases)
                if needed and self._holds(child, here, absent=True):
                    self._absent(child, here)
            elif not self._holds(child, here):
                if not same(before, value):
                    # RFC 7950 section 8.3.1
                    message = "its condition (when) is false"
                    raise RpcError(Tag.UNKNOWN_ELEMENT, message, path=here.below(child).path, info=_bad(child))
                yield here.below(child).path
            else:
                yield from self._value(child, before, value, here)

    def _value(self, node: SchemaNode, old: Value | None, new: Value, above: _Place) -> Iterator[Path]:
        match new:
            case Branch():
                yield from self._branch(old if isinstance(old, Branch) else None, new, above.below(node))
            case Entries():
                yield from self._entries(old if isinstance(old, Entries) else None, new, above)
            case tuple():
                self._count(node, len(new), above)
                if node in self._constraints.bound:
                    for index, text in enumerate(new):
                        self._leaf(node, above.below(node, ((VALUE, text),), index))
            case str():
                if node in self._constraints.bound:
                    self._leaf(node, above.below(node))

    def _entries(self, old: Entries | None, new: Entries, above: _Place) -> Iterator[Path]:
        node = new.node
        if old is new and node not in self._constraints.watching:
            return
        self._count(node, len(new.rows), above)
        if node.yang.unique:
            self._unique(new, above)
        before = old.rows if old else {}
        everything = node in self._constraints.watching
        changed = [
            (index, key)
            for index, (key, row) in enumerate(new.rows.items())
            if everything or before.get(key) is not row
        ]
        for index, key in changed:
            here = above.below(node, tuple(zip(node.keys, key, strict=True)), index)
            yield from self._branch(before.get(key), new.rows[key], here)

    def _leaf(self, node: SchemaNode, here: _Place) -> None:
        self._musts(node, here)
        datatype = node.yang.type
        if isinstance(datatype, LeafrefType) and datatype.require_instance:
            instance = here.instance()
            if not any(str(found) == str(instance) for found in datatype.path.evaluate(instance)):
                # RFC 7950 section 15.5
                message = "it refers to something that is not there"
                raise RpcError(Tag.DATA_MISSING, message, path=here.path, app_tag="instance-required")

    def _musts(self, node: SchemaNode, here: _Place) -> None:
        for must in node.yang.must if node.tag else ():
            if not must.expression.evaluate(here.instance()):
                message = must.error_message or f"the condition of {node.name} does not hold: {must.expression}"
                # RFC 7950 section 15.4
                raise RpcError(
                    Tag.OPERATION_FAILED, message, path=here.path, app_tag=must.error_tag or "must-violation"
                )

    def _holds(self, node: SchemaNode, above: _Place, *, absent: bool = False) -> bool:
        """Whether the conditions of a node, and of the choices, cases and groups around it, are true."""
        conditions = _conditions(node)
        if not conditions:
            return True
        parent = above.instance()
        own = parent.put_member(node.member, (None,)) if absent else parent[node.member]
        return all(bool(when.evaluate(own if at_node else parent)) for when, at_node in conditions)

    def _absent(self, node: SchemaNode, above: _Place) -> None:
        if node.kind is Kind.CONTAINER:
            for _ in self._branch(None, Branch(node, {}), above.below(node)):
                pass
        elif node.kind is Kind.LEAF:
            path = above.below(node).path
            raise RpcError(Tag.DATA_MISSING, f"{node.name} is mandatory", path=path, info=_bad(node))
        else:
            self._count(node, 0, above)

    def _count(self, node: SchemaNode, count: int, above: _Place) -> None:
        # RFC 7950 sections 15.2 and 15.3
        if node.most is not None and count > node.most:
            message = f"{node.name} has at most {node.most} entries"
            raise RpcError(Tag.OPERATION_FAILED, message, path=above.below(node).path, app_tag="too-many-elements")
        if count < node.least:
            message = f"{node.name} has at least {node.least} entries"
            raise RpcError(Tag.OPERATION_FAILED, message, path=above.below(node).path, app_tag="too-few-elements")

    def _unique(self, entries: Entries, above: _Place) -> None:
        """RFC 7950 sections 7.8.3 and 15.1; looks at all entries, so a long list had better have no `unique`."""
        instance = above.instance()[entries.node.member]
        for expressions in entries.node.yang.unique:
            seen = set()
            for row in instance:
                values = tuple(str(found) for expression in expressions for found in expression.evaluate(row))
                if len(values) < len(expressions):
                    continue
                if values in seen:
                    message = f"entries of {entries.node.name} are not unique in {', '.join(map(str, expressions))}"
                    path = above.below(entries.node).path
                    raise RpcError(Tag.OPERATION_FAILED, message, path=path, app_tag="data-not-unique")
                seen.add(values)


def _bad(node: SchemaNode) -> tuple[tuple[str, str], ...]:
    return (("bad-element", local_of(node.tag)),)


def _conditions(node: SchemaNode) -> list[tuple[Any, bool]]:
    """(expression, whether its context is the node itself) of a node and of what stands between it and its data parent.

    The context of a condition at a choice, case, uses or augment is the closest data node above (RFC 7950 section 7.21.5).
    """
    found = [] if node.yang.when is None else [(node.yang.when, True)]
    above = node.yang.parent
    while above is not None and node.parent is not None and above is not node.parent.yang:
        if above.when is not None:
            found.append((above.when, False))
        above = above.parent
    return found


def _demands(node: SchemaNode) -> bool:
    """Whether something is missing where the node is not set."""
    if node.mandatory or node.least > 0:
        return True
    if node.kind is not Kind.CONTAINER or node.presence or not node.tag:
        return False
    return any(choice.mandatory and choice.within is None for choice in node.choices) or any(
        child.config and _demands(child) for child in node.children.values()
    )

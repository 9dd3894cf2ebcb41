"""What the datastores need to know of YANG modules, worked out once from a yangson data model.

yangson reads the modules, resolves groupings, types, augments and deviations, and judges values and XPath expressions. It
looks names up by walking lists; an edit wants them at once, so each data node of the configuration and of the state is one
`SchemaNode` here, with its children in a table.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import msgspec
from yangson import DataModel
from yangson.datatype import IdentityrefType, InstanceIdentifierType, LeafrefType, UnionType
from yangson.exceptions import YangsonException
from yangson.schemanode import (
    AnyContentNode,
    CaseNode,
    ChoiceNode,
    ContainerNode,
    DataNode,
    LeafListNode,
    LeafNode,
    ListNode,
    NotificationNode,
    RpcActionNode,
)

from quiver.domain.errors import ConfigurationError
from quiver.protocols.netconf.modules import Module, ModuleName, find_modules
from quiver.protocols.netconf.values import ValueType

__all__ = ["Choice", "Kind", "Schema", "SchemaNode"]


class Kind(Enum):
    """Of a data node (RFC 7950 section 4.2.2)."""

    CONTAINER = auto()
    LIST = auto()
    LEAF = auto()
    LEAF_LIST = auto()
    ANY = auto()  # anydata and anyxml; only in state


@dataclass(eq=False, slots=True)
class Choice:
    """A choice below a data node (RFC 7950 section 7.9).

    Attributes:
        name: of the choice.
        mandatory: one of its cases must be there.
        within: the (choice, case) that it stands in itself, or None.
        default: name of the case whose defaults are in use when no case is there.
    """

    name: str
    mandatory: bool
    within: "tuple[Choice, str] | None"
    default: str | None


@dataclass(eq=False, slots=True)
class SchemaNode:
    """One data node.

    Attributes:
        tag: name in Clark's notation.
        name: local name.
        module: name of the module that defines it.
        member: its name in yangson's trees: local, or `module:name` where the parent is of another module.
        kind: what it is.
        config: whether it is configuration.
        parent: the data node above; None for the root.
        children: by tag.
        keys: tags of a list's keys in the schema's order.
        user_ordered: whether the user decides about the order of entries (RFC 7950 section 7.7.7).
        presence: whether a container means something when empty (RFC 7950 section 7.5.5).
        mandatory: whether a leaf must be there (RFC 7950 section 7.6.5).
        least: entries of a list or leaf-list at least.
        most: entries at most, or None.
        defaults: canonical texts of the default values.
        cases: the (choice, case) pairs around it, from the outermost.
        choices: the choices of configuration below it, inner ones included, apart from those of its children.
        type: of a leaf's or leaf-list's values; None for others.
        yang: yangson's node.
    """

    tag: str
    name: str
    module: str
    member: str
    kind: Kind
    config: bool
    parent: "SchemaNode | None"
    yang: Any
    children: dict[str, "SchemaNode"] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    user_ordered: bool = False
    presence: bool = False
    mandatory: bool = False
    least: int = 0
    most: int | None = None
    defaults: tuple[str, ...] = ()
    cases: tuple[tuple[Choice, str], ...] = ()
    choices: tuple[Choice, ...] = ()
    type: ValueType | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """Names from the top down to this node."""
        return (*(self.parent.tags if self.parent else ()), self.tag) if self.tag else ()

    def below(self) -> Iterator["SchemaNode"]:
        """This node and all below it."""
        yield self
        for child in self.children.values():
            yield from child.below()


class Schema:
    """The data nodes of a set of modules.

    Args:
        modules: what the server implements, and what those import.
        directories: where the modules' files lie, searched in this order; afterwards pyang's collection of IETF modules.

    Raises:
        ConfigurationError: a module is missing or broken, or uses what the datastores do not handle.
    """

    def __init__(self, modules: Sequence[ModuleName], directories: Sequence[Path] = ()) -> None:
        self.modules: Final[tuple[Module, ...]] = find_modules(modules, directories)
        try:
            self.model: Final = DataModel(*_library(self.modules))
        except (YangsonException, OSError) as error:
            raise ConfigurationError(f"YANG: {type(error).__name__}: {error}") from error
        self.by_namespace: Final[Mapping[str, Module]] = {module.namespace: module for module in self.modules}
        self.prefixes: Final[Mapping[str, str]] = {module.namespace: module.prefix for module in self.modules}
        self._namespaces: Final = {module.name: module.namespace for module in self.modules}
        self.root: Final = SchemaNode("", "", "", "", Kind.CONTAINER, True, None, self.model.schema)
        self.notifications: Final = frozenset(self._tops(NotificationNode))
        self.operations: Final = frozenset(self._tops(RpcActionNode))
        self._grow(self.root, self.model.schema)

    def node(self, path: str) -> SchemaNode:
        """The node at a path such as `/module:container/list/leaf`; a name without a module is of its parent's module.

        Raises:
            KeyError: there is none.
        """
        found, module = self.root, ""
        for part in path.strip("/").split("/"):
            prefix, _, name = part.rpartition(":")
            module = prefix or module
            found = found.children[f"{{{self._namespaces[module]}}}{name}"]
        return found

    def _tops(self, kind: Any) -> Iterator[str]:  # noqa: ANN401  # a class of yangson
        nodes: list[Any] = self.model.schema.children
        return (f"{{{self._namespaces[node.ns]}}}{node.name}" for node in nodes if isinstance(node, kind))

    def _grow(self, parent: SchemaNode, source: Any, cases: tuple[tuple[Choice, str], ...] = ()) -> None:  # noqa: ANN401
        """Add what yangson has below `source` to `parent`, with choices and cases flattened."""
        for node in source.children:
            match node:
                case NotificationNode() | RpcActionNode():
                    continue
                case ChoiceNode():
                    default = node.default_case[0] if node.default_case else None
                    choice = Choice(node.name, node.mandatory, cases[-1] if cases else None, default)
                    parent.choices += (choice,) if node.config else ()
                    for case in node.children:
                        self._grow(parent, case, (*cases, (choice, case.name)))
                case DataNode():
                    self._add(parent, node, cases)
                case CaseNode() | _:
                    self._grow(parent, node, cases)  # a group made by `uses` or `augment` with a condition

    def _add(self, parent: SchemaNode, node: Any, cases: tuple[tuple[Choice, str], ...]) -> None:  # noqa: ANN401
        tag = f"{{{self._namespaces[node.ns]}}}{node.name}"
        member = node.iname()
        made = SchemaNode(tag, node.name, node.ns, member, _kind(node), node.config, parent, node, cases=cases)
        parent.children[tag] = made
        if isinstance(node, (LeafNode, LeafListNode)):
            self._add_value(made, node)
        if isinstance(node, (ListNode, LeafListNode)):
            made.user_ordered, made.least, made.most = node.user_ordered, node.min_elements, node.max_elements
        if isinstance(node, ContainerNode):
            made.presence = node.presence
        if isinstance(node, ListNode):
            made.keys = tuple(f"{{{self._namespaces[space]}}}{name}" for name, space in node.keys)
        if isinstance(node, (ContainerNode, ListNode)):
            self._grow(made, node)
        if made.config and (made.kind is Kind.ANY or (made.kind is Kind.LIST and not made.keys)):
            raise ConfigurationError(f"YANG: {node.data_path()}: configuration without a type or without keys")

    def _add_value(self, made: SchemaNode, node: Any) -> None:  # noqa: ANN401  # a node of yangson
        made.type = ValueType(node.type, node.ns, self.prefixes, self._namespaces)
        if made.config and _names_instances(node.type):
            raise ConfigurationError(f"YANG: {node.data_path()}: instance-identifiers in configuration are not handled")
        made.mandatory = node.mandatory if isinstance(node, LeafNode) else False
        default = node.default
        if default is not None:
            values = default if isinstance(node, LeafListNode) else [default]
            made.defaults = tuple(made.type.canonical(value) for value in values)


def _kind(node: object) -> Kind:
    match node:
        case ContainerNode():
            return Kind.CONTAINER
        case ListNode():
            return Kind.LIST
        case LeafNode():
            return Kind.LEAF
        case LeafListNode():
            return Kind.LEAF_LIST
        case AnyContentNode():
            return Kind.ANY
    raise ConfigurationError(f"YANG: a {type(node).__name__} is not handled")


def _names_instances(datatype: object) -> bool:
    """Whether a type's values name places or, inside a union, identities: their text depends on prefixes in force."""
    match datatype:
        case LeafrefType():
            return _names_instances(datatype.ref_type)
        case UnionType():
            return any(_names_instances(part) or isinstance(part, IdentityrefType) for part in datatype.types)
    return isinstance(datatype, InstanceIdentifierType)


def _library(modules: Sequence[Module]) -> tuple[str, tuple[str, ...]]:
    """The YANG library that yangson reads, and the directories of the files."""
    entries = [
        {
            "name": module.name,
            "revision": module.revision,
            "namespace": module.namespace,
            "feature": list(module.features),
            "conformance-type": "implement" if module.implemented else "import",
        }
        for module in modules
    ]
    state = {"module-set-id": "", "module": entries}
    directories = tuple(dict.fromkeys(str(module.file.parent) for module in modules))
    return msgspec.json.encode({"ietf-yang-library:modules-state": state}).decode(), directories

"""XPath expressions of a schema: which there are, and which look beyond the branch that they stand in.

yangson evaluates them. It is asked only where a branch has changed; an expression that looks further is asked after every
change, everywhere. So a module whose expressions stay inside a list's entry costs the same at 10 and at 10,000 entries.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from yangson.datatype import LeafrefType
from yangson.enumerations import Axis
from yangson.xpathast import Expr, FuncDeref, LocationPath, PathExpr, Root, Step

from quiver.protocols.netconf.schema import Kind, SchemaNode

__all__ = ["Constraints"]

_SIDEWAYS: Final = frozenset((Axis.ancestor, Axis.ancestor_or_self, Axis.following_sibling, Axis.preceding_sibling))
_FAR: Final = 1 << 16  # levels; more than any tree has


@dataclass(slots=True)
class Constraints:
    """The constraints of one schema.

    Args:
        root: of the schema.

    Attributes:
        bound: nodes that hold expressions, and all nodes above them: only their instances are ever shown to yangson.
        watching: nodes with an expression below them, or at them, that looks further than the branch it stands in.
    """

    root: SchemaNode
    bound: set[SchemaNode] = field(default_factory=set)
    watching: set[SchemaNode] = field(default_factory=set)

    def __post_init__(self) -> None:
        for node in self.root.below():
            if node.tag and node.config:
                reach = _reach(node)
                if reach is not None:
                    self._mark(node, reach)

    def _mark(self, node: SchemaNode, reach: int) -> None:
        above: SchemaNode | None = node
        while above is not None:
            self.bound.add(above)
            if reach > 1:  # beyond the parent, whose every change has the expression evaluated
                self.watching.add(above)
            above = above.parent


def _reach(node: SchemaNode) -> int | None:
    """How many levels up a node's expressions look; None where it has none."""
    expressions = [must.expression for must in node.yang.must]
    reaches = []
    if node.yang.when is not None:
        reaches.append(_levels(node.yang.when))
    if node.kind in (Kind.LEAF, Kind.LEAF_LIST):
        if isinstance(node.yang.type, LeafrefType) and node.yang.type.require_instance:
            expressions.append(node.yang.type.path)
        reaches += map(_levels, expressions)
    else:
        # A `must` of an inner node is evaluated when that node has changed, not when only its parent has.
        reaches += [2 * _levels(expression) for expression in expressions]
    return max(reaches, default=None)


def _levels(expression: Any) -> int:  # noqa: ANN401  # yangson's expressions have no common interface for this
    """How many levels up an expression can lead."""
    match expression:
        case Root() | FuncDeref():
            return _FAR
        case Step():
            own = _FAR if expression.axis in _SIDEWAYS else int(expression.axis is Axis.parent)
            return own + max(map(_levels, expression.predicates or ()), default=0)
        case LocationPath() | PathExpr():
            return _levels(expression.left) + _levels(expression.right)
    return max((_levels(part) for part in _parts(expression)), default=0)


def _parts(expression: object) -> list[Expr]:
    values = vars(expression).values()
    return [
        part for value in values for part in (value if isinstance(value, list) else [value]) if isinstance(part, Expr)
    ]

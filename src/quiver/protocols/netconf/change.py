"""What is different between two configurations, and a change on its way into the running one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from quiver.protocols.netconf.paths import Path, Step
from quiver.protocols.netconf.schema import SchemaNode
from quiver.protocols.netconf.tree import Branch, Entries, Value, add_value, place, same, value_at
from quiver.protocols.netconf.xml import Element, add, make, namespace_of

__all__ = ["Cause", "Change", "PendingChange", "difference", "replay", "touched"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different.

    That is an entry of an outermost list, or outside of lists a leaf, a leaf-list or a container with presence. Where the
    user's order of a list has changed, the list as a whole stands in another change.

    Attributes:
        path: where.
        node: its schema node.
        old: what was there, or None.
        new: what is there now, or None.
    """

    path: Path
    node: SchemaNode
    old: Value | None
    new: Value | None

    def document(self) -> Element | None:
        """The new value with all that is above it, as an element of a top-level node; None where it was taken away.

        All changes of a datastore since it was empty, merged in order, make the datastore again.
        """
        if self.new is None:
            return None
        holder = make("holder")
        parent, node = holder, self.node
        above: list[SchemaNode] = []
        while node.parent is not None and node.parent.tag:
            above.insert(0, node.parent)
            node = node.parent
        for upper in above:
            parent = add(parent, upper.tag, {None: namespace_of(upper.tag)})
        add_value(parent, self.node, self.new)
        return holder[0]


class Cause(StrEnum):
    """Why running changes."""

    EDIT = "edit-config"
    COPY = "copy-config"
    COMMIT = "commit"
    CONFIRMED = "confirmed-commit"
    ROLLBACK = "rollback"
    WITHDRAWN = "local policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingChange:
    """A change that the owner of the running datastore makes durable and applies, or refuses, before `<ok/>` is sent.

    Attributes:
        number: of the change, from 1.
        old: running as it is.
        new: running as it will be.
        changes: what is different.
        cause: why.
        session: the session that asked, or None for a rollback by time.
        user: its user; empty for a rollback by time.
        fallback: what running goes back to when this process ends before the commit is confirmed, relative to `new`;
            durable together with the change, and empty when nothing waits for confirmation (RFC 6241 section 8.4.1).
        left: what a rollback leaves as it is, as others have written since what stands against it.
    """

    number: int
    old: Branch
    new: Branch
    changes: tuple[Change, ...]
    cause: Cause
    session: int | None
    user: str
    fallback: tuple[Change, ...] = ()
    left: tuple[Change, ...] = ()


def difference(old: Branch, new: Branch) -> tuple[Change, ...]:
    """What is different; costs a look at each entry of a list that has changed, and no more for those that are the same."""
    return tuple(_between(old.node, old, new, ()))


def _between(node: SchemaNode, old: Branch | None, new: Branch | None, path: Path) -> Iterator[Change]:
    before: Mapping[str, Value] = old.children if old else {}
    after: Mapping[str, Value] = new.children if new else {}
    for tag in dict.fromkeys((*before, *after)):
        one, other = before.get(tag), after.get(tag)
        if one is other:
            continue
        child, here = node.children[tag], (*path, Step(tag))
        if isinstance(one, Entries) or isinstance(other, Entries):
            yield from _between_entries(child, one, other, path)
        elif isinstance(one, Branch) or isinstance(other, Branch):
            if child.presence and (one is None or other is None):
                yield Change(here, child, one, other)
            else:
                yield from _between(child, _branch(one), _branch(other), here)
        elif one != other:
            yield Change(here, child, one, other)


def _branch(value: Value | None) -> Branch | None:
    return value if isinstance(value, Branch) else None


def _between_entries(node: SchemaNode, old: Value | None, new: Value | None, path: Path) -> Iterator[Change]:
    before = old.rows if isinstance(old, Entries) else {}
    after = new.rows if isinstance(new, Entries) else {}
    # Two plain loops over all entries: this is what an edit of one among thousands spends its time on.
    changed = [key for key, row in after.items() if before.get(key) is not row]
    common = len(after) - sum(key not in before for key in changed)
    gone = [key for key in before if key not in after] if len(before) > common else []
    for key in (*gone, *changed):
        one, other = before.get(key), after.get(key)
        if not same(one, other):
            yield Change((*path, Step(node.tag, tuple(zip(node.keys, key, strict=True)))), node, one, other)
    if node.user_ordered and [key for key in before if key in after] != [key for key in after if key in before]:
        yield Change((*path, Step(node.tag)), node, old, new)


def touched(change: Change) -> Iterator[tuple[Path, SchemaNode]]:
    """Every place that a change creates, changes or removes, down to leaves and entries; for access control."""
    if isinstance(change.old, Entries) or isinstance(change.new, Entries):
        yield change.path, change.node
        return
    yield from _touched(change.path, change.node, change.old, change.new)


def _touched(path: Path, node: SchemaNode, old: Value | None, new: Value | None) -> Iterator[tuple[Path, SchemaNode]]:
    if not (isinstance(old, Branch) or isinstance(new, Branch)):
        yield path, node
        return
    if old is None or new is None:
        yield path, node
    for part in _between(node, _branch(old), _branch(new), path):
        yield from touched(part)


def replay(root: Branch, changes: Iterable[Change], *, unless_edited: bool = False) -> Branch:
    """Put the new values of changes into a tree.

    Args:
        root: the tree.
        changes: made elsewhere.
        unless_edited: leave alone what in this tree is not as it was before the change.
    """
    for change in changes:
        if not unless_edited or same(value_at(root, change.path), change.old):
            root = place(root, change.path, change.new)
    return root

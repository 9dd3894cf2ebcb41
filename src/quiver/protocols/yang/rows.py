"""Entries of a YANG tree whose leaves are a table: one line of a module for one leaf, in either direction.

A row writes values as child elements, in order, and reads an element whose children may stand in any order (RFC 7950 section
7.8.5 wants only the keys first, and libraries forget even that).
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from lxml import etree

from quiver.domain.errors import RequestError
from quiver.protocols.netconf.xml import Element, local_of, qualified
from quiver.protocols.yang.forms import Form
from quiver.protocols.yang.names import KMS

__all__ = ["Row", "StrictRow", "children", "gather"]


class Row:
    """An entry of a list, or another element that has leaves only.

    What a node tells may come from a newer agent, which knows more (RFC 7950 section 11): an unknown leaf is passed over.

    Args:
        name: of the element.
        leaves: form of each leaf by its name, with `_` for `-` (a field), in the order of writing; keys come first.
    """

    strict: ClassVar[bool] = False

    def __init__(self, name: str, /, **leaves: Form) -> None:
        self.name: Final = name
        self.tag: Final = qualified(KMS, name)
        self.fields: Final = tuple(leaves)
        self.forms: Final = {field.replace("_", "-"): form for field, form in leaves.items()}
        tags = [qualified(KMS, leaf) for leaf in self.forms]
        self._writing: Final = tuple(
            (tag, form.write, bool(form.most)) for tag, form in zip(tags, leaves.values(), strict=True)
        )
        self._reading: Final = {
            tag: (field, form.read, form.most) for tag, (field, form) in zip(tags, leaves.items(), strict=True)
        }

    def write(self, parent: Element, values: Iterable[Any]) -> Element:
        """Append an entry; a value of None leaves its leaf out."""
        made = etree.SubElement(parent, self.tag)
        self.fill(made, values)
        return made

    def fill(self, element: Element, values: Iterable[Any]) -> None:
        """Append the leaves to an element."""
        for (tag, write, many), value in zip(self._writing, values, strict=True):
            if many:
                for item in value:
                    etree.SubElement(element, tag).text = write(item)
            elif value is not None:
                etree.SubElement(element, tag).text = write(value)

    def read(self, element: Element, *required: str) -> dict[str, Any]:
        """Field → value of the leaves that are there.

        Args:
            element: the entry; its name is not looked at.
            required: fields that must be there.

        Raises:
            RequestError: a leaf is missing, doubled, or no value of its type; it names the leaf and shows no value.
        """
        found: dict[str, Any] = {}
        for leaf in element:  # the innermost loop of every poll of every node
            known = self._reading.get(leaf.tag)
            if known is None:
                self._pass_over(leaf)
                continue
            field, read, most = known
            if len(leaf):
                raise RequestError(f"{self._place(field)} shall be a leaf")
            try:
                value = read(leaf.text or "")
            except ValueError as error:
                reason = f"{self._place(field)} {error}"
                break
            if most:
                value = self._longer(found.get(field, ()), field, value, most)
            elif field in found:
                raise RequestError(f"{self._place(field)} is there twice")
            found[field] = value
        else:
            for field in required:
                if field not in found:
                    raise RequestError(f"{self._place(field)} is missing")
            return found
        raise RequestError(reason)  # outside the handler: no chain to what came

    def _place(self, field: str) -> str:
        return f"{self.name}.{field.replace('_', '-')}"

    def _pass_over(self, leaf: Element) -> None:
        if self.strict and isinstance(leaf.tag, str):  # comments have another kind of tag
            raise RequestError(f"{self.name}: no such leaf; {', '.join(self.forms)} are")

    def _longer(self, known: tuple[Any, ...], field: str, value: Any, most: int) -> tuple[Any, ...]:  # noqa: ANN401
        if len(known) >= most:
            raise RequestError(f"{self._place(field)} shall have at most {most} entries")
        return (*known, value)


class StrictRow(Row):
    """A row of the configuration, which has to be understood: an unknown leaf is refused."""

    strict = True


def children(element: Element) -> Iterator[Element]:
    """The child elements, without comments and processing instructions."""
    return (child for child in element if isinstance(child.tag, str))


def gather(element: Element, rows: dict[str, int], *, strict: bool) -> dict[str, list[Element]]:
    """The entries of an element's lists, and its leaves.

    Args:
        element: a container.
        rows: local name → entries at most, of each list that is read.
        strict: whether an unknown child is refused.

    Raises:
        RequestError: a list is too long, or a child is unknown.
    """
    found: dict[str, list[Element]] = {name: [] for name in rows}
    names = {qualified(KMS, name): name for name in rows}
    for child in children(element):
        name = names.get(child.tag)
        if name is None:
            if strict:
                raise RequestError(f"{local_of(element.tag)}: no such node; {', '.join(rows)} are")
            continue
        if len(found[name]) >= rows[name]:
            raise RequestError(f"{name}: at most {rows[name]} entries are allowed")
        found[name].append(child)
    return found

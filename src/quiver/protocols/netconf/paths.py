"""Places in a datastore: instance identifiers with keys (RFC 7950 section 9.13)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from quiver.protocols.netconf.xml import local_of, namespace_of

__all__ = ["VALUE", "Path", "Step", "identifier", "prefixes_of"]

VALUE: Final = "."  # the key of a leaf-list's entry is its value


@dataclass(frozen=True, slots=True)
class Step:
    """One level of a path.

    Attributes:
        tag: name in Clark's notation.
        keys: of a list's entry, (name in Clark's notation, canonical value) in the schema's order; of a leaf-list's entry
            `VALUE` and its value.
    """

    tag: str
    keys: tuple[tuple[str, str], ...] = ()


Path = tuple[Step, ...]


def prefixes_of(path: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Prefix → namespace of all names in a path.

    Args:
        path: a place.
        known: namespace → the prefix that its module chose.
    """
    found: dict[str, str] = {}
    for tag in _tags(path):
        namespace = namespace_of(tag)
        prefix = known.get(namespace) or f"n{len(found)}"
        if found.get(prefix, namespace) != namespace:
            prefix = f"n{len(found)}"
        if namespace not in found.values():
            found[prefix] = namespace
    return found


def _tags(path: Path) -> Iterable[str]:
    for step in path:
        yield step.tag
        yield from (tag for tag, _ in step.keys if tag != VALUE)


def identifier(path: Path, prefixes: Mapping[str, str]) -> str:
    """A path as text (RFC 7950 section 9.13).

    Args:
        path: a place; empty for the datastore itself.
        prefixes: prefix → namespace, as from `prefixes_of`.
    """
    by_namespace = {namespace: prefix for prefix, namespace in prefixes.items()}

    def name(tag: str) -> str:
        return tag if tag == VALUE else f"{by_namespace[namespace_of(tag)]}:{local_of(tag)}"

    return (
        "".join(
            f"/{name(step.tag)}" + "".join(f"[{name(tag)}={_quoted(value)}]" for tag, value in step.keys)
            for step in path
        )
        or "/"
    )


def _quoted(value: str) -> str:
    """A literal; one that has both kinds of quotes cannot be written in this grammar, so its double quotes are left out."""
    return f"'{value}'" if "'" not in value else '"{}"'.format(value.replace('"', ""))

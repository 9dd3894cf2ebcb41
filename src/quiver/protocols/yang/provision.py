"""The configuration of `quiver-kms`, as a NETCONF datastore holds it, and `Provision`, as the node has it."""

from collections.abc import Iterable
from typing import Final, TypeVar

from quiver.domain import limits
from quiver.domain.errors import RequestError
from quiver.domain.provision import Provision
from quiver.protocols.netconf.xml import Element, child, local_of, qualified
from quiver.protocols.netconf.xml import element as new
from quiver.protocols.yang.entries import (
    ADDRESS_ROW,
    HOME_ROW,
    PAIR_ROW,
    PATH_ROW,
    address_from_xml,
    home_from_xml,
    pair_from_xml,
    path_from_xml,
    path_values,
)
from quiver.protocols.yang.forms import COUNT
from quiver.protocols.yang.names import KMS
from quiver.protocols.yang.rows import StrictRow, gather

__all__ = ["provision_from_xml", "provision_to_xml"]

T = TypeVar("T")

_TOP: Final = qualified(KMS, "kms")
_CONTROLLER: Final = StrictRow("controller", term=COUNT)
_KMS: Final = {"controller": 1, "directory": 1, "path": limits.MODEL_ENTRIES}
_DIRECTORY: Final = {
    "node": limits.MODEL_NODES,
    "sae": limits.MODEL_SAES,
    "permitted-pair": limits.MODEL_SAES,
}


def provision_to_xml(provision: Provision) -> Element:
    """The `kms` element with all its configuration; entries in order of their keys."""
    kms = new(_TOP)
    _CONTROLLER.write(kms, (provision.term,))
    directory = child(kms, "directory")
    for address in sorted(provision.addresses.items()):
        ADDRESS_ROW.write(directory, address)
    for home in sorted(provision.homes.items()):
        HOME_ROW.write(directory, home)
    for pair in sorted(map(sorted, provision.pairs)):
        PAIR_ROW.write(directory, pair)
    for _, entry in sorted(provision.paths.items()):
        PATH_ROW.write(kms, path_values(entry))
    return kms


def provision_from_xml(element: Element) -> Provision:
    """What a `kms` element without state holds.

    A pair that is there in both orders is one pair.

    Raises:
        RequestError: a node is unknown, missing, doubled or out of range, or a list too long; it names the node.
    """
    if element.tag != _TOP:
        raise RequestError(f"{local_of(str(element.tag))}: kms is needed")
    parts = gather(element, _KMS, strict=True)
    term = 0
    for controller in parts["controller"]:
        term = _CONTROLLER.read(controller).get("term", 0)
    lists: dict[str, list[Element]] = {name: [] for name in _DIRECTORY}
    for directory in parts["directory"]:
        lists = gather(directory, _DIRECTORY, strict=True)
    entries = map(path_from_xml, parts["path"])
    return Provision(
        term=term,
        paths=_table("path", ((entry.key, entry) for entry in entries)),
        addresses=_table("node", map(address_from_xml, lists["node"])),
        homes=_table("sae", map(home_from_xml, lists["sae"])),
        pairs=frozenset(map(pair_from_xml, lists["permitted-pair"])),
    )


def _table(name: str, entries: Iterable[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for key, value in entries:
        if key in found:
            raise RequestError(f"{name}: an entry is there twice")
        found[key] = value
    return found

"""Single entries of the configuration: a path version, a node's address, an SAE's home, a permitted pair.

Each is the lxml element of one list entry below `kms`, as an edit names it, so that one changed entry costs one entry's work
and not the whole tree's.
"""

from typing import Final

from quiver.domain.errors import ConfigurationError, RequestError
from quiver.domain.network import PathEntry
from quiver.protocols.netconf.xml import Element
from quiver.protocols.netconf.xml import element as new
from quiver.protocols.yang.forms import ADDRESS, COUNT, DEPTH, NAME, NODES, ORDINAL, PRIORITY, SAE
from quiver.protocols.yang.rows import Row, StrictRow

__all__ = [
    "ADDRESS_ROW",
    "HOME_ROW",
    "PAIR_ROW",
    "PATH_ROW",
    "address_from_xml",
    "address_to_xml",
    "home_from_xml",
    "home_to_xml",
    "join_key",
    "key_from_xml",
    "pair_from_xml",
    "pair_to_xml",
    "path_from_xml",
    "path_key_from_xml",
    "path_of_row",
    "path_to_xml",
    "path_values",
    "split_key",
]

PATH_ROW: Final = StrictRow(
    "path",
    virtual_link=NAME,
    number=ORDINAL,
    version=ORDINAL,
    node=NODES,
    depth=DEPTH,
    rate=COUNT,
    priority=PRIORITY,
)
ADDRESS_ROW: Final = StrictRow("node", id=NAME, address=ADDRESS)
HOME_ROW: Final = StrictRow("sae", id=SAE, home=NAME)
PAIR_ROW: Final = StrictRow("permitted-pair", one=SAE, other=SAE)

PathValues = tuple[str, int, int, tuple[str, ...], int, int, int]


def split_key(key: str) -> tuple[str, str, str]:
    """Virtual link, path number and version of `PathEntry.key`; the name of a virtual link may have slashes of its own."""
    virtual_link, number, version = key.rsplit("/", 2)
    return virtual_link, number, version


def join_key(virtual_link: str, number: int, version: int) -> str:
    """`PathEntry.key` of virtual link, path number and version."""
    return f"{virtual_link}/{number}/{version}"


def path_values(entry: PathEntry) -> PathValues:
    """The leaves of a path entry."""
    return (entry.virtual_link, entry.path, entry.version, entry.nodes, entry.depth, entry.rate, entry.priority)


def path_of_row(row: Row, element: Element) -> PathEntry:
    """The path entry that an element with the leaves of `row` holds.

    Raises:
        RequestError: as `path_from_xml`.
    """
    values = row.read(element, "virtual_link", "number", "version", "node")
    values["path"], values["nodes"] = values.pop("number"), values.pop("node")
    try:
        return PathEntry(**values)
    except ConfigurationError as error:
        message = error.message
    raise RequestError(message)


def path_to_xml(entry: PathEntry) -> Element:
    """A `path` entry."""
    element = new(PATH_ROW.tag)
    PATH_ROW.fill(element, path_values(entry))
    return element


def path_from_xml(element: Element) -> PathEntry:
    """The path version of a `path` entry.

    Raises:
        RequestError: a leaf is missing, unknown, doubled or out of range, or the nodes are not two or more different ones.
    """
    return path_of_row(PATH_ROW, element)


def path_key_from_xml(element: Element) -> str:
    """`PathEntry.key` of a `path` entry of which only the keys have to be there, as where it is deleted.

    Raises:
        RequestError: a key is missing, or a leaf as in `path_from_xml`.
    """
    values = PATH_ROW.read(element, "virtual_link", "number", "version")
    return join_key(values["virtual_link"], values["number"], values["version"])


def address_to_xml(node: str, address: str) -> Element:
    """A `directory/node` entry."""
    element = new(ADDRESS_ROW.tag)
    ADDRESS_ROW.fill(element, (node, address))
    return element


def address_from_xml(element: Element) -> tuple[str, str]:
    """Node and "host:port" of a `directory/node` entry.

    Raises:
        RequestError: a leaf is missing, unknown, doubled or of another form.
    """
    values = ADDRESS_ROW.read(element, "id", "address")
    return values["id"], values["address"]


def home_to_xml(sae: str, home: str) -> Element:
    """A `directory/sae` entry."""
    element = new(HOME_ROW.tag)
    HOME_ROW.fill(element, (sae, home))
    return element


def home_from_xml(element: Element) -> tuple[str, str]:
    """SAE and home node of a `directory/sae` entry.

    Raises:
        RequestError: a leaf is missing, unknown, doubled or of another form.
    """
    values = HOME_ROW.read(element, "id", "home")
    return values["id"], values["home"]


def key_from_xml(element: Element) -> str:
    """The key of a `directory/node` or `directory/sae` entry of which nothing else has to be there.

    Raises:
        RequestError: it is missing, or a leaf is unknown, doubled or of another form.
    """
    row = HOME_ROW if element.tag == HOME_ROW.tag else ADDRESS_ROW
    key: str = row.read(element, "id")["id"]
    return key


def pair_to_xml(pair: frozenset[str]) -> Element:
    """A `directory/permitted-pair` entry, the lesser name first."""
    element = new(PAIR_ROW.tag)
    PAIR_ROW.fill(element, sorted(pair))
    return element


def pair_from_xml(element: Element) -> frozenset[str]:
    """The two SAEs of a `directory/permitted-pair` entry.

    Raises:
        RequestError: a leaf is missing, unknown, doubled or of another form, or both name one SAE.
    """
    values = PAIR_ROW.read(element, "one", "other")
    if values["one"] == values["other"]:
        raise RequestError("permitted-pair: two different SAEs are needed")
    return frozenset((values["one"], values["other"]))

"""Changes of the running datastore, entry by entry: as the node takes them, and as the configuration database keeps them."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from lxml import etree

from quiver.domain.errors import ConfigurationError, QuiverError, RequestError
from quiver.domain.network import PathEntry
from quiver.domain.provision import Provision
from quiver.net.addresses import Address
from quiver.protocols.netconf.change import Change
from quiver.protocols.netconf.tree import add_value
from quiver.protocols.netconf.xml import Element, element, make, qualified, text_of
from quiver.protocols.yang.entries import (
    ADDRESS_ROW,
    HOME_ROW,
    PAIR_ROW,
    PATH_ROW,
    address_from_xml,
    home_from_xml,
    join_key,
    pair_from_xml,
    path_from_xml,
    path_values,
)
from quiver.protocols.yang.forms import COUNT
from quiver.protocols.yang.names import KMS
from quiver.store.configuration import Entry

__all__ = [
    "Edit",
    "EntryKind",
    "EntryValue",
    "Place",
    "changed",
    "document_of",
    "edits_of",
    "entry_of",
    "read_entry",
    "rivals_of",
]


class EntryKind(StrEnum):
    """What an entry is."""

    TERM = "term"
    PATH = "path"
    ADDRESS = "address"
    HOME = "home"
    PAIR = "pair"


EntryValue = PathEntry | str | int | bool
"""A path; a node's address or an SAE's home; the term; True for a pair, all of which is in its key."""


class Edit(msgspec.Struct, frozen=True):
    """One entry of the configuration is new, another, or gone.

    Attributes:
        kind: of the entry.
        key: `PathEntry.key`, node, SAE, both SAEs of a pair as a JSON array in the order in which they were written; empty for
            the term.
        value: None where the entry is gone.
    """

    kind: EntryKind
    key: str
    value: EntryValue | None

    @property
    def place(self) -> "Place":
        """What tells it from all others."""
        return self.kind, self.key


Place = tuple[EntryKind, str]


_TERM: Final = qualified(KMS, "term")
_LISTS: Final = {
    PATH_ROW.tag: EntryKind.PATH,
    ADDRESS_ROW.tag: EntryKind.ADDRESS,
    HOME_ROW.tag: EntryKind.HOME,
    PAIR_ROW.tag: EntryKind.PAIR,
}
_VALUES: Final[dict[EntryKind, msgspec.json.Decoder[Any]]] = {
    EntryKind.TERM: msgspec.json.Decoder(int),
    EntryKind.PATH: msgspec.json.Decoder(PathEntry),
    EntryKind.ADDRESS: msgspec.json.Decoder(str),
    EntryKind.HOME: msgspec.json.Decoder(str),
    EntryKind.PAIR: msgspec.json.Decoder(bool),
}
_pair: Final = msgspec.json.Decoder(tuple[str, str])


def edits_of(changes: Iterable[Change]) -> list[Edit]:
    """What changes of the datastore are to the node; what goes stands before what comes.

    Raises:
        RequestError: an entry is not possible, whatever the schema says, or it is none of ours.
    """
    edits = [_edit_of(change) for change in changes]
    return sorted(edits, key=lambda edit: edit.value is not None)


def _edit_of(change: Change) -> Edit:
    tag = change.node.tag
    if tag == _TERM:
        return Edit(EntryKind.TERM, "", int(change.new) if isinstance(change.new, str) else None)
    kind = _LISTS.get(tag)
    if kind is None:
        raise RequestError(f"{tag.rpartition('}')[2]} cannot be configured here")
    values = [value for _, value in change.path[-1].keys]
    if change.new is None:
        return Edit(kind, _key_of(kind, values), None)
    holder = make("holder")
    add_value(holder, change.node, change.new)
    return _edit_in(kind, holder[0])


def _edit_in(kind: EntryKind, entry: Element) -> Edit:
    match kind:
        case EntryKind.PATH:
            path = path_from_xml(entry)
            return Edit(kind, path.key, path)
        case EntryKind.ADDRESS:
            node, address = address_from_xml(entry)
            try:
                Address(address)
            except ValueError as error:
                raise RequestError(f"node {node}: {error}") from None
            return Edit(kind, node, address)
        case EntryKind.HOME:
            return Edit(kind, *home_from_xml(entry))
    pair_from_xml(entry)
    return Edit(kind, _key_of(kind, [text_of(leaf) for leaf in entry]), True)


def _key_of(kind: EntryKind, values: list[str]) -> str:
    match kind:
        case EntryKind.PATH:
            virtual_link, number, version = values
            return join_key(virtual_link, int(number), int(version))
        case EntryKind.PAIR:
            return msgspec.json.encode(values).decode()
    return values[0]


def changed(provision: Provision, edits: Sequence[Edit]) -> Provision:
    """The provision after edits. The term never falls.

    Raises:
        RequestError: a pair is there already, in the other order.
    """
    touched: Final = {edit.kind for edit in edits}
    tables: dict[EntryKind, dict[str, Any]] = {
        EntryKind.PATH: provision.paths,
        EntryKind.ADDRESS: provision.addresses,
        EntryKind.HOME: provision.homes,
    }
    tables = {kind: dict(table) if kind in touched else table for kind, table in tables.items()}
    pairs = set(provision.pairs) if EntryKind.PAIR in touched else provision.pairs
    term = provision.term
    for edit in edits:
        match edit.kind:
            case EntryKind.TERM:
                term = max(term, int(edit.value) if isinstance(edit.value, int) else 0)
            case EntryKind.PAIR:
                assert isinstance(pairs, set)
                _change_pair(pairs, edit)
            case kind if edit.value is None:
                tables[kind].pop(edit.key, None)
            case kind:
                tables[kind][edit.key] = edit.value
    return Provision(
        term=term,
        paths=tables[EntryKind.PATH],
        addresses=tables[EntryKind.ADDRESS],
        homes=tables[EntryKind.HOME],
        pairs=frozenset(pairs),
    )


def rivals_of(edit: Edit) -> str:
    """What entries of one kind have in common that can be in each other's way: versions of one path, both orders of a pair."""
    match edit.kind:
        case EntryKind.PATH:
            return edit.key.rpartition("/")[0]
        case EntryKind.PAIR:
            return " ".join(sorted(_pair.decode(edit.key)))
    return edit.key


def _change_pair(pairs: set[frozenset[str]], edit: Edit) -> None:
    pair = frozenset(_pair.decode(edit.key))
    if edit.value is None:
        pairs.discard(pair)
    elif pair in pairs:
        raise RequestError(f"permitted-pair {' '.join(sorted(pair))}: it is there in the other order")
    else:
        pairs.add(pair)


# --- the configuration database ---------------------------------------------------------------------------------------


def entry_of(edit: Edit) -> Entry:
    """As the database keeps it."""
    return Entry(edit.kind, edit.key, None if edit.value is None else msgspec.json.encode(edit.value))


def read_entry(entry: Entry) -> Edit:
    """What the database keeps.

    Raises:
        ConfigurationError: it is of another Quiver, or nothing that an edit could have written.
    """
    try:
        kind = EntryKind(entry.kind)
        value = None if entry.body is None else _VALUES[kind].decode(entry.body)
        edit = Edit(kind, entry.key, value)
        if not _written(edit):
            raise ValueError("it is not as an edit writes it")
    except (ValueError, msgspec.MsgspecError, QuiverError):
        raise ConfigurationError(f"configuration database: entry {entry.kind} {entry.key!r} cannot be read") from None
    return edit


def _written(edit: Edit) -> bool:
    """Whether an edit could have written this: values of the model's forms, and the key that belongs to them."""
    if edit.kind is EntryKind.TERM:
        return edit.key == "" and (edit.value is None or COUNT.read(str(edit.value)) == edit.value)
    if edit.value is None:
        return edit.kind is not EntryKind.PAIR or bool(_pair.decode(edit.key))
    holder = make("holder")
    _write(holder, edit)
    return _edit_in(edit.kind, holder[0]) == edit


def _write(parent: Element, edit: Edit) -> None:
    """An entry of a list as an element."""
    match edit:
        case Edit(EntryKind.PATH, _, PathEntry() as path):
            PATH_ROW.write(parent, path_values(path))
        case Edit(EntryKind.ADDRESS, node, str() as address):
            ADDRESS_ROW.write(parent, (node, address))
        case Edit(EntryKind.HOME, sae, str() as home):
            HOME_ROW.write(parent, (sae, home))
        case Edit(EntryKind.PAIR, pair, bool()):
            PAIR_ROW.write(parent, _pair.decode(pair))


def document_of(edits: Iterable[Edit]) -> Element:
    """The `kms` element whose configuration these entries are."""
    kms = element(qualified(KMS, "kms"))
    controller = etree.SubElement(kms, qualified(KMS, "controller"))
    directory = etree.SubElement(kms, qualified(KMS, "directory"))
    for edit in edits:
        if edit.kind is EntryKind.TERM and edit.value is not None:
            etree.SubElement(controller, _TERM).text = str(edit.value)
        else:
            _write(kms if edit.kind is EntryKind.PATH else directory, edit)
    return kms

"""The forms that messages between nodes take, from the item types of `quiver.domain.messages`.

* An item with a secret is an entry of a *Key container* (ETSI GS QKD 014 clause 6.3): the secret is its `key`, which is a
  ciphertext under one-time pad, all other members stand in its `key_extension`.
* A range of link pad and the source key_IDs of a segment are *Key IDs* (clause 6.4).
* Every other item is a plain object in `items`.

Members are those of the structs: an item that gains one needs no change here. Members that a node does not know are ignored,
so that a later version can add some.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import GenericAlias
from typing import Any, Final, Protocol

import msgspec

from quiver.domain import limits
from quiver.domain.errors import RequestError
from quiver.domain.key_ids import key_id
from quiver.domain.messages import ITEMS, Announcement, Ciphertext, Container, Header, Item, Segments
from quiver.domain.records import Piece
from quiver.domain.secret import Secret
from quiver.protocols import etsi014
from quiver.protocols.etsi014 import Extension, Key, KeyContainer, KeyID, KeyIDs
from quiver.protocols.peer_checks import check_count, convert, decode

__all__ = ["FORMS", "HEADER", "Form"]

HEADER: Final = "quiver_header"
_RANGE: Final = "quiver_range"
_ANNOUNCEMENTS: Final = "quiver_announcements"
_SEGMENTS: Final = "quiver_segments"
_CIPHERTEXTS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:quiver:ciphertext")
_BATCH: Final = re.compile(r"[0-9a-f]{32}")
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

Fields = dict[str, Any]
_encoder: Final = msgspec.json.Encoder()  # knows no form for a Secret: only a Key container can carry one


class Form(Protocol):
    """One kind's form on the wire."""

    def encode(self, header: Header, items: Sequence[Item]) -> bytes:
        """The body of a message."""

    def decode(self, body: bytes) -> tuple[Header, tuple[Item, ...]]:
        """What a body says; only its types are checked.

        Raises:
            RequestError: the body has not this form.
        """


def _without(item: Item, omitted: str) -> Fields:
    return {field: getattr(item, field) for field in item.__struct_fields__ if field != omitted}


def _header(extension: Extension | None, place: str) -> Header:
    return convert((extension or {}).get(HEADER), Header, f"{place}.{HEADER}")


class Plain:
    """Items as they are: `{"quiver_header": …, "items": […]}`."""

    def __init__(self, item: type[Item]) -> None:
        items = GenericAlias(tuple, (item, ...))
        body = msgspec.defstruct(f"{item.__name__}Message", [(HEADER, Header), ("items", items)])
        self._decoder: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(body)

    def encode(self, header: Header, items: Sequence[Item]) -> bytes:
        """The body of a message."""
        return _encoder.encode({HEADER: header, "items": items})

    def decode(self, body: bytes) -> tuple[Header, tuple[Item, ...]]:
        """What a body says."""
        message = decode(self._decoder, body)
        return message.quiver_header, message.items


# --- Key containers ---------------------------------------------------------------------------------------------------


class _Named(msgspec.Struct):
    batch: str


_named: Final = msgspec.json.Decoder(_Named)


def _container_name(_: Header, item: Item) -> str:
    """The key_ID of the container's first key."""
    assert isinstance(item, Container)
    batch = decode(_named, item.header).batch
    if not _BATCH.fullmatch(batch):
        raise RequestError("header: the batch shall be 32 lower-case hexadecimal digits")
    return key_id(batch, 0)


def _ciphertext_name(header: Header, item: Item) -> str:
    """A name for a ciphertext, by sender, path version and sequence: UUID version 5 (RFC 9562 section 5.5)."""
    assert isinstance(item, Ciphertext)
    return str(uuid.uuid5(_CIPHERTEXTS, f"{header.incarnation}/{item.key}/{item.sequence}"))


class Sealed:
    """Items with a secret as a Key container; the secret is a ciphertext under one-time pad.

    Args:
        item: their type.
        secret: the member that is the `key`.
        name: gives the `key_ID`, which follows from header and item.
    """

    def __init__(self, item: type[Item], secret: str, name: Callable[[Header, Item], str]) -> None:
        self._item: Final = item
        self._secret: Final = secret
        self._name: Final = name
        self._extension: Final = f"quiver_{item.kind}"

    def encode(self, header: Header, items: Sequence[Item]) -> bytes:
        """The body of a message."""
        keys = tuple(
            Key(
                key_id=self._name(header, item),
                key=getattr(item, self._secret),
                key_extension={self._extension: _without(item, self._secret)},
            )
            for item in items
        )
        return etsi014.encode(KeyContainer(keys=keys, key_container_extension={HEADER: header}))

    def decode(self, body: bytes) -> tuple[Header, tuple[Item, ...]]:
        """What a body says."""
        container = etsi014.decode_key_container(body)
        check_count("keys", len(container.keys), 1, limits.ITEMS_PER_MESSAGE)
        header = _header(container.key_container_extension, "key_container_extension")
        return header, tuple(self._open(header, index, key) for index, key in enumerate(container.keys))

    def _open(self, header: Header, index: int, key: Key) -> Item:
        place = f"keys[{index}].key_extension.{self._extension}"
        fields = convert((key.key_extension or {}).get(self._extension), Fields, place)
        item = convert(fields | {self._secret: key.key}, self._item, place)
        if key.key_id.lower() != self._name(header, item):
            raise RequestError(f"keys[{index}].key_ID: not the one that follows from {self._extension}")
        return item


# --- Key IDs ----------------------------------------------------------------------------------------------------------


class _Range(msgspec.Struct):
    """A piece of the announcement at index `item`; its segment is the key_ID."""

    item: int
    offset: int
    length: int


class Ranges:
    """Announcements as Key IDs: each piece of link pad is a key_ID, that of its segment."""

    def encode(self, header: Header, items: Sequence[Item]) -> bytes:
        """The body of a message."""
        key_ids = tuple(
            KeyID(key_id=_uuid_of(piece.segment), key_id_extension={_RANGE: _Range(index, piece.offset, piece.length)})
            for index, item in enumerate(items)
            for piece in _pieces(item)
        )
        extension = {HEADER: header, _ANNOUNCEMENTS: [_without(item, "pieces") for item in items]}
        return etsi014.encode(KeyIDs(key_ids=key_ids, key_ids_extension=extension))

    def decode(self, body: bytes) -> tuple[Header, tuple[Item, ...]]:
        """What a body says."""
        header, entries, key_ids = _open_key_ids(body, _ANNOUNCEMENTS)
        pieces: list[list[Piece]] = [[] for _ in entries]
        for place, entry in enumerate(key_ids):
            where = f"key_IDs[{place}].key_ID_extension.{_RANGE}"
            found = convert((entry.key_id_extension or {}).get(_RANGE), _Range, where)
            if not 0 <= found.item < len(entries):
                raise RequestError(f"{where}.item: no such entry of {_ANNOUNCEMENTS}")
            if not _UUID.fullmatch(entry.key_id):
                raise RequestError(f"key_IDs[{place}].key_ID: shall be a segment's id as a UUID in lower case")
            pieces[found.item].append(Piece(entry.key_id.replace("-", ""), found.offset, found.length))
        return header, tuple(
            convert(fields | {"pieces": tuple(pieces[index])}, Announcement, _entry(_ANNOUNCEMENTS, index))
            for index, fields in enumerate(entries)
        )


class _Run(msgspec.Struct):
    """How many of the key_IDs that follow are a segment's."""

    count: int


class SourceKeys:
    """Segments as Key IDs: the source key_IDs, in order and as the vendor spells them, as the neighbour will ask for them."""

    def encode(self, header: Header, items: Sequence[Item]) -> bytes:
        """The body of a message."""
        names: list[str] = []
        entries: list[Fields] = []
        for item in items:
            assert isinstance(item, Segments)
            names += item.key_ids
            entries.append(_without(item, "key_ids") | {"count": len(item.key_ids)})
        key_ids = tuple(KeyID(key_id=name) for name in names)
        return etsi014.encode(KeyIDs(key_ids=key_ids, key_ids_extension={HEADER: header, _SEGMENTS: entries}))

    def decode(self, body: bytes) -> tuple[Header, tuple[Item, ...]]:
        """What a body says."""
        header, entries, key_ids = _open_key_ids(body, _SEGMENTS)
        names = [entry.key_id for entry in key_ids]
        items: list[Item] = []
        first = 0
        for index, fields in enumerate(entries):
            where = _entry(_SEGMENTS, index)
            count = convert(fields, _Run, where).count
            if not 0 <= count <= len(names) - first:
                raise RequestError(f"{where}.count: not as many key_IDs are here")
            items.append(convert(fields | {"key_ids": tuple(names[first : first + count])}, Segments, where))
            first += count
        if first != len(names):
            raise RequestError("key_IDs: more than the segments have")
        return header, tuple(items)


def _pieces(item: Item) -> Iterator[Piece]:
    assert isinstance(item, Announcement)
    return iter(item.pieces)


def _uuid_of(segment: str) -> str:
    """A segment's id as the text of a UUID."""
    if not _BATCH.fullmatch(segment):
        message = "a segment's id has 32 lower-case hexadecimal digits"
        raise ValueError(message)
    return f"{segment[:8]}-{segment[8:12]}-{segment[12:16]}-{segment[16:20]}-{segment[20:]}"


def _entry(member: str, index: int) -> str:
    return f"key_IDs_extension.{member}[{index}]"


def _open_key_ids(body: bytes, member: str) -> tuple[Header, list[Fields], tuple[KeyID, ...]]:
    """Header, the items without their key_IDs, and the key_IDs.

    Raises:
        RequestError: one of them is wrong or too long.
    """
    key_ids = etsi014.decode_key_ids(body)
    check_count("key_IDs", len(key_ids.key_ids), 0, limits.PEER_ENTRIES)
    extension = key_ids.key_ids_extension
    header = _header(extension, "key_IDs_extension")
    place = f"key_IDs_extension.{member}"
    entries = convert((extension or {}).get(member), list[Fields], place)
    check_count(place, len(entries), 1, limits.ITEMS_PER_MESSAGE)
    return header, entries, key_ids.key_ids


# --- one form per kind ------------------------------------------------------------------------------------------------

_NAMES: Final[dict[str, Callable[[Header, Item], str]]] = {
    Ciphertext.kind: _ciphertext_name,
    Container.kind: _container_name,
}
_OWN: Final[dict[str, Form]] = {Announcement.kind: Ranges(), Segments.kind: SourceKeys()}


def _form(item: type[Item]) -> Form:
    secrets = [field.name for field in msgspec.structs.fields(item) if field.type is Secret]
    if secrets:
        (secret,) = secrets
        return Sealed(item, secret, _NAMES[item.kind])
    return _OWN.get(item.kind) or Plain(item)


FORMS: Final[dict[str, Form]] = {kind: _form(item) for kind, item in ITEMS.items()}
"""Kind → its form."""

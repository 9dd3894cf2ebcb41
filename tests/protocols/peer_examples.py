"""Messages of every kind, generated from the structs of `quiver.domain.messages`: a new member is tested without a word here."""

import json
import types
from typing import Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.check import NONCE
from quiver.domain.messages import ITEMS, Answer, Container, Header, Hello, Item, Outcome
from quiver.domain.secret import Secret

DIGESTS = {"ack", "batch", "digest", "echo", "incarnation", "mac", "nonce", "run", "tag", "to_run"}
BYTES = {"nonce": NONCE, "tag": limits.TAG}

printable = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
names = st.text(printable, max_size=24)
hexadecimal = st.binary(max_size=32).map(bytes.hex)
identifiers = st.binary(min_size=16, max_size=16).map(bytes.hex)
vendor_key_ids = st.uuids().map(lambda key_id: str(key_id).upper()) | st.text(printable, min_size=1, max_size=128)


def _container_headers() -> st.SearchStrategy[bytes]:
    """Headers that name a batch, with other members, order and spaces: they have to survive byte for byte."""
    others = st.dictionaries(names.filter(lambda name: name != "batch"), st.integers() | names, max_size=3)
    return st.builds(
        lambda batch, more, indent: json.dumps({**more, "batch": batch}, indent=indent).encode(),
        identifiers,
        others,
        st.sampled_from([None, 0, 3]),
    )


def _text(name: str) -> st.SearchStrategy[str]:
    match name:
        case "segment":
            return identifiers
        case "key_ids":
            return vendor_key_ids
        case _:
            return hexadecimal if name in DIGESTS else names


def values(wanted: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Values of a type; the member's name decides where texts have a form of their own."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        return st.one_of(*(st.none() if one is type(None) else values(one, name) for one in inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(values(inner[0], name), max_size=5).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(one, name) for one in inner))
    if origin is list:
        return st.lists(values(inner[0], name), max_size=5)
    if origin is dict:
        return st.dictionaries(names, values(inner[1], name), max_size=3)
    if issubclass(wanted, msgspec.Struct):
        return structs(wanted)
    plain: dict[type, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(0, (1 << 63) - 1),
        str: _text(name),
        bytes: st.binary(min_size=BYTES.get(name, 0), max_size=BYTES.get(name, 64)),
        Secret: st.binary(max_size=200).map(Secret),
        Outcome: st.sampled_from(Outcome),
    }
    return plain[wanted]


def structs(wanted: type[Any]) -> st.SearchStrategy[Any]:
    """Objects of a struct type."""
    members = {field.name: values(field.type, field.name) for field in msgspec.structs.fields(wanted)}
    if wanted is Container:
        members["header"] = _container_headers()
    return st.builds(wanted, **members)


headers: st.SearchStrategy[Header] = structs(Header)


def items(kind: str) -> st.SearchStrategy[list[Item]]:
    """What one message of a kind may carry."""
    return st.lists(structs(ITEMS[kind]), min_size=1, max_size=4)


def answers(kind: str) -> st.SearchStrategy[list[Answer]]:
    """What a message of a kind may be answered with."""
    members = {field.name: values(field.type, field.name) for field in msgspec.structs.fields(Answer)}
    members["header"] = st.none()
    members["ack"] = members["ack"] if kind == Container.kind else st.just("")
    members["offer"] = members["offer"] if kind == Hello.kind else st.none()
    return st.lists(st.builds(Answer, **members), max_size=4)

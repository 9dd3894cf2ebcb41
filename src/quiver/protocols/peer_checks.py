"""What every body between nodes has to keep to, whatever its kind: forms, sizes, and errors that show no value.

Types are checked by msgspec against the structs of `quiver.domain.messages`. What a type does not say is checked here by the
member's name, so that the pure rooms never see a negative offset, a digest that is no digest, or a name of a megabyte.
"""

import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.check import NONCE
from quiver.domain.errors import RequestError, TooLargeError

__all__ = ["check_body", "check_count", "check_struct", "convert", "decode"]

_T = TypeVar("_T")

_LARGEST: Final = (1 << 63) - 1  # the largest integer of every database
_DIGESTS: Final = frozenset(
    ("ack", "batch", "digest", "echo", "incarnation", "mac", "nonce", "run", "segment", "tag", "to_run")
)
_HEX: Final = re.compile(r"[0-9a-f]{0,64}")  # up to 32 bytes: SHA-256
_BYTES: Final = {"nonce": NONCE, "tag": limits.TAG}  # bytes that a member has
_SOURCE_KEY_IDS: Final = "key_ids"
_PLACE: Final = re.compile(r" - at `\$\.?(?P<where>[^`]*)`$")
_SHOWN: Final = 200  # characters of an explanation


def check_body(body: bytes) -> None:
    """Refuse a body that is longer than any message may be.

    Raises:
        TooLargeError: it is.
    """
    if len(body) > limits.PEER_BODY:
        raise TooLargeError(f"the body shall have at most {limits.PEER_BODY} bytes")


def check_count(place: str, count: int, least: int, most: int) -> None:
    """Refuse a list with too few or too many entries.

    Raises:
        RequestError: it has.
    """
    if not least <= count <= most:
        raise RequestError(f"{place} shall have {least} to {most} entries, not {count}")


def _explain(error: Exception, place: str) -> str:
    """What is wrong where, from msgspec's words; never a value."""
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return "the body is not JSON (RFC 8259)"
    words = str(error)
    found = _PLACE.search(words)
    where = ".".join(part for part in (place, found["where"] if found else "") if part)
    what = words[: found.start()] if found else words
    if what.startswith("Invalid enum value"):
        what = "not one of the values that are allowed"  # msgspec repeats the wrong one
    return f"{where or 'body'}: {what[:1].lower()}{what[1:]}".replace("`", "")[:_SHOWN]


def decode(decoder: "msgspec.json.Decoder[_T]", body: bytes) -> _T:
    """The object that a body holds.

    Raises:
        RequestError: the body is no JSON or not of that type; the message names the member and shows no value.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        message = _explain(error, "")
    raise RequestError(message)  # outside the handler: no chain to what was parsed


def convert(value: Any, wanted: type[_T], place: str) -> _T:  # noqa: ANN401  # an extension object, of any JSON type
    """An object from a part of a body that was decoded as plain JSON, as extension objects are.

    Args:
        value: the part, or None where it is missing.
        wanted: its type.
        place: where it stands, for the error.

    Raises:
        RequestError: it is not of that type.
    """
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        message = _explain(error, place)
    raise RequestError(message)


def check_struct(place: str, struct: msgspec.Struct) -> None:
    """Check every member of an object, at any depth, by the rules that types do not say.

    Raises:
        RequestError: an integer is negative or beyond 63 bits, a text too long or not printable, a digest not in
            hexadecimal digits, a list too long; the message names the member and shows no value.
    """
    try:
        _check("", struct)
    except RequestError as error:
        message = f"{place}.{error.message}"
    else:
        return
    raise RequestError(message)


def _check(name: str, value: object) -> None:
    if isinstance(value, str):  # most are
        _check_text(name, value)
    elif isinstance(value, msgspec.Struct):
        for field, check in _checks_of(type(value)):
            check(field, getattr(value, field))
    elif isinstance(value, int):
        _check_number(name, value)
    elif isinstance(value, bytes):
        if name in _BYTES and len(value) != _BYTES[name]:
            raise RequestError(f"{name} shall have {_BYTES[name]} bytes")
    elif isinstance(value, tuple | list | dict):
        check_count(name, len(value), 0, limits.PEER_ENTRIES)
        for entry in chain(value, value.values()) if isinstance(value, dict) else value:
            (_check_text if isinstance(entry, str) else _check)(name, entry)  # key_IDs by the hundred


@cache
def _checks_of(struct: type[msgspec.Struct]) -> tuple[tuple[str, Callable[[str, Any], None]], ...]:
    """The members of a type, each with its check: found once, as every message has some dozen of them."""
    direct: dict[object, Callable[[str, Any], None]] = {str: _check_text, int: _check_number}
    return tuple((field.name, direct.get(field.type, _check)) for field in msgspec.structs.fields(struct))


def _check_number(name: str, number: int) -> None:
    if not 0 <= number <= _LARGEST:
        raise RequestError(f"{name} shall be 0 to {_LARGEST}")


def _check_text(name: str, text: str) -> None:
    if name in _DIGESTS:
        if len(text) % 2 or not _HEX.fullmatch(text):
            raise RequestError(f"{name} shall be at most 64 lower-case hexadecimal digits, of whole bytes")
    elif name == _SOURCE_KEY_IDS:
        if not 0 < len(text) <= limits.KEY_ID_LENGTH or not text.isprintable():
            raise RequestError(f"a key_ID shall have 1 to {limits.KEY_ID_LENGTH} printable characters")
    elif len(text) > limits.PEER_TEXT or not text.isprintable():
        raise RequestError(f"{name} shall have at most {limits.PEER_TEXT} printable characters")

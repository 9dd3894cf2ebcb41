"""Values of leaves as text and back, within the bounds that `quiver-kms.yang` states (RFC 7950 section 9).

A form reads whatever a stranger may have written there: anything else than a value of its type is a ValueError that says what
is allowed and does not repeat what came.
"""

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import msgspec

from quiver.domain import limits

__all__ = [
    "ADDRESS",
    "BYTES",
    "COUNT",
    "DEPTH",
    "DIGEST",
    "EXPLANATION",
    "FLAG",
    "NAME",
    "NODES",
    "ORDINAL",
    "PRIORITY",
    "RATIO",
    "RUN",
    "SAE",
    "Form",
    "one_of",
]

_WHOLE: Final = re.compile(r"[ \t\r\n]*[+-]?[0-9]+[ \t\r\n]*")
_LONGEST: Final = 64  # characters of a number; Python's own limit is far higher
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
_RATIO_DIGITS: Final = 6  # of fraction, as the module's type `error-ratio`
_PORT: Final = r"[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_ADDRESS: Final = re.compile(rf"(?:[A-Za-z0-9._-]+|\[(?P<six>[0-9A-Za-z._%-]*:[0-9A-Za-z:._%-]*)\]):(?:{_PORT})")
_SPACE: Final = " \t\r\n"  # XML's white space; it is no part of numbers and other words (RFC 7950 section 9)


class Form(msgspec.Struct, frozen=True):
    """One type of leaf.

    Attributes:
        read: the value of a text.
        write: the text of a value.
        most: entries of a leaf-list at most, 0 for a leaf; the value of a leaf-list is a tuple.
    """

    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    most: int = 0


def _refuse(allowed: str) -> ValueError:
    return ValueError(f"shall be {allowed}")


def _words(least: int, most: int) -> Callable[[str], str]:
    """Reads printable characters; white space is part of them."""

    def read(text: str) -> str:
        if least <= len(text) <= most and text.isprintable():
            return text
        raise _refuse(f"{least} to {most} printable characters")

    return read


def _shown(words: str) -> str:
    """Words that XML can hold and that fit; what cannot be printed becomes a question mark."""
    fitting = words[: limits.PEER_TEXT]
    return fitting if fitting.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in fitting)


def _sae(text: str) -> str:
    if text in {".", ".."}:
        raise _refuse("neither '.' nor '..', which mean something else in URLs")
    return _words(1, limits.SAE_ID_LENGTH)(text)


def _digits(count: int) -> Callable[[str], str]:
    """Reads hexadecimal digits."""
    pattern = re.compile(rf"[0-9a-f]{{{count}}}")

    def read(text: str) -> str:
        if pattern.fullmatch(text):
            return text
        raise _refuse(f"{count} lower-case hexadecimal digits")

    return read


def _whole(least: int, most: int, also: int | None = None) -> Callable[[str], int]:
    """Reads an integer from `least` to `most`, or `also` (RFC 7950 section 9.2.1)."""
    allowed = f"{least} to {most}" if also is None else f"{also} or {least} to {most}"

    def read(text: str) -> int:
        if len(text) <= _LONGEST and ((text.isdigit() and text.isascii()) or _WHOLE.fullmatch(text)):
            value = int(text)
            if least <= value <= most or value == also:
                return value
        raise _refuse(allowed)

    return read


def _flag(text: str) -> bool:
    match text.strip(_SPACE):
        case "true":
            return True
        case "false":
            return False
    raise _refuse("true or false")


def _ratio(text: str) -> float:
    lexical = text.strip(_SPACE)
    if _DECIMAL.fullmatch(lexical):
        value = float(lexical)
        if 0 <= value <= 1 and len(lexical.partition(".")[2]) <= _RATIO_DIGITS:
            return value
    raise _refuse(f"0 to 1 with at most {_RATIO_DIGITS} digits of fraction")


def _decimal(ratio: float) -> str:
    """Canonical text (RFC 7950 section 9.3.2): no zeros at the end but one behind the point."""
    digits = f"{ratio:.{_RATIO_DIGITS}f}".rstrip("0")
    return digits + "0" if digits.endswith(".") else digits


def _address(text: str) -> str:
    match = _ADDRESS.fullmatch(text) if len(text) <= limits.MODEL_ADDRESS else None
    if match is None:
        raise _refuse("HOST:PORT or [IPv6]:PORT")
    if match["six"]:
        try:
            ipaddress.IPv6Address(match["six"])
        except ValueError:
            raise _refuse("HOST:PORT, or [IPv6]:PORT with an IPv6 address") from None
    return text


def one_of(kind: type[StrEnum]) -> Form:
    """The form of an enumeration (RFC 7950 section 9.6)."""
    members = {member.value: member for member in kind}
    allowed = ", ".join(members)

    def read(text: str) -> StrEnum:
        try:
            return members[text.strip(_SPACE)]
        except KeyError:
            pass
        raise _refuse(f"one of {allowed}")

    return Form(read)


NAME: Final = Form(_words(1, limits.SAE_ID_LENGTH))
SAE: Final = Form(_sae)
EXPLANATION: Final = Form(_words(0, limits.PEER_TEXT), _shown)
ADDRESS: Final = Form(_address)
COUNT: Final = Form(_whole(0, limits.MARK_MAX))
BYTES: Final = COUNT
ORDINAL: Final = Form(_whole(1, limits.MARK_MAX))
PRIORITY: Final = Form(_whole(0, limits.PRIORITIES - 1))
DEPTH: Final = Form(_whole(limits.BLOCK_MIN, limits.DEPTH_MAX, also=0))
RATIO: Final = Form(_ratio, _decimal)
FLAG: Final = Form(_flag, lambda flag: "true" if flag else "false")
RUN: Final = Form(_digits(32))
DIGEST: Final = Form(_digits(64))
NODES: Final = Form(NAME.read, most=limits.NODES_PER_PATH)

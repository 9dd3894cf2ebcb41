"""The URLs and query forms of ETSI GS QKD 014 V1.1.1, clauses 5.1 to 5.4.

A path is `/api/v1/keys/{SAE_ID}/{status|enc_keys|dec_keys}`. The SAE ID is percent-encoded (RFC 3986), so a
`/` in it travels as `%2F`: always parse the *raw* path of a request, before a web framework splits it.
"""

import enum
import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

from quiver.domain.errors import RequestError
from quiver.domain.limits import SAE_ID_LENGTH
from quiver.protocols.etsi014 import KeyIDs, KeyRequest, decode_key_ids, decode_key_request

__all__ = [
    "Call",
    "Method",
    "check_sae_id",
    "key_ids_query",
    "key_request_query",
    "parse_key_ids_query",
    "parse_key_request_query",
    "parse_path",
    "path_of",
    "read_key_ids",
    "read_key_request",
]

PREFIX: Final = "/api/v1/keys/"
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Method(enum.Enum):
    """The three methods of clause 5, by the last segment of their path."""

    STATUS = "status"
    ENC_KEYS = "enc_keys"
    DEC_KEYS = "dec_keys"

    @property
    def verbs(self) -> tuple[str, ...]:
        """The HTTP methods that the standard gives it."""
        return ("GET",) if self is Method.STATUS else ("GET", "POST")


class Call(tuple[Method, str]):
    """A parsed path: the method, and the SAE ID in it, decoded."""

    __slots__ = ()

    @property
    def method(self) -> Method:
        """Which of the three methods."""
        return self[0]

    @property
    def sae_id(self) -> str:
        """The slave for status and enc_keys, the master for dec_keys."""
        return self[1]


def check_sae_id(sae_id: str, field: str = "SAE_ID") -> str:
    """The SAE ID itself, where it is one: 1 to 128 printable characters, neither `.` nor `..`.

    Raises:
        RequestError: naming `field`.
    """
    if not 1 <= len(sae_id) <= SAE_ID_LENGTH:
        raise RequestError(f"{field} shall have 1 to {SAE_ID_LENGTH} characters, not {len(sae_id)}")
    if not sae_id.isprintable() or sae_id in {".", ".."}:
        raise RequestError(f"{field} shall be printable characters, and neither '.' nor '..'")
    return sae_id


def path_of(method: Method, sae_id: str) -> str:
    """The raw path for a call, percent-encoded.

    Raises:
        RequestError: the SAE ID is none.
    """
    return f"{PREFIX}{quote(check_sae_id(sae_id), safe='')}/{method.value}"


def parse_path(raw_path: str) -> Call | None:
    """The call that a raw path (still percent-encoded, no query) stands for; None for no path of 014.

    Raises:
        RequestError: the SAE ID in it is not percent-encoded UTF-8, or no SAE ID.
    """
    if not raw_path.startswith(PREFIX):
        return None
    segments = raw_path[len(PREFIX) :].split("/")
    if len(segments) != 2 or segments[1] not in {method.value for method in Method}:
        return None
    if _BAD_ESCAPE.search(segments[0]):
        raise RequestError("SAE_ID in the path shall be percent-encoded UTF-8")
    try:
        sae_id = unquote(segments[0], errors="strict")
    except UnicodeDecodeError:
        raise RequestError("SAE_ID in the path shall be percent-encoded UTF-8") from None
    return Call((Method(segments[1]), check_sae_id(sae_id)))


def _parameters(query: str, allowed: tuple[str, ...]) -> dict[str, str]:
    """The parameters of a raw query string, each at most once.

    Raises:
        RequestError: one is not allowed here, doubled or not UTF-8.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=8)
    except (UnicodeDecodeError, ValueError):
        raise RequestError(f"the query shall be of {', '.join(allowed)}, percent-encoded") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            raise RequestError(
                f"query parameter {name[:64]!r} is unknown; allowed are {', '.join(allowed)}, others need POST"
            )
        if name in found:
            raise RequestError(f"query parameter {name} shall occur once")
        found[name] = value
    return found


def _integer(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise RequestError(f"{name} shall be a decimal integer of at most 9 digits")
    return int(text)


def parse_key_request_query(query: str) -> KeyRequest:
    """The Key request of a GET: `number` and `size` only (clause 5.3); everything else needs POST.

    Raises:
        RequestError: a parameter is unknown, doubled or no decimal integer.
    """
    found = {name: _integer(name, text) for name, text in _parameters(query, ("number", "size")).items()}
    return KeyRequest(number=found.get("number", 1), size=found.get("size"))


def parse_key_ids_query(query: str) -> KeyIDs:
    """The Key IDs of a GET: exactly one `key_ID` (clause 5.4).

    Raises:
        RequestError: it is missing, doubled, or there is another parameter.
    """
    found = _parameters(query, ("key_ID",))
    if "key_ID" not in found:
        raise RequestError("query parameter key_ID is missing; for several keys use POST")
    return KeyIDs.of([found["key_ID"]])


def key_request_query(request: KeyRequest) -> str:
    """The query string for a Key request.

    Raises:
        RequestError: it has members that only a POST can carry.
    """
    if request.additional_slave_sae_ids or request.extension_mandatory or request.extension_optional:
        raise RequestError("additional SAEs and extensions need POST (clause 5.3)")
    size = "" if request.size is None else f"&size={request.size}"
    return f"number={request.number}{size}"


def key_ids_query(key_ids: KeyIDs) -> str:
    """The query string for Key IDs.

    Raises:
        RequestError: there is not exactly one key_ID, or an extension: that needs POST.
    """
    if len(key_ids.key_ids) != 1 or key_ids.key_ids_extension or key_ids.key_ids[0].key_id_extension:
        raise RequestError("several key_IDs and extensions need POST (clause 5.4)")
    return f"key_ID={quote(key_ids.key_ids[0].key_id, safe='')}"


def _no_query(query: str) -> None:
    if query:
        raise RequestError("a POST has its parameters in the body, none in the query")


def read_key_request(verb: str, query: str, body: bytes) -> KeyRequest:
    """The Key request of an HTTP request, GET or POST form.

    Raises:
        RequestError: naming what is wrong.
    """
    if verb == "GET":
        return parse_key_request_query(query)
    _no_query(query)
    return decode_key_request(body)


def read_key_ids(verb: str, query: str, body: bytes) -> KeyIDs:
    """The Key IDs of an HTTP request, GET or POST form.

    Raises:
        RequestError: naming what is wrong.
    """
    if verb == "GET":
        return parse_key_ids_query(query)
    _no_query(query)
    return decode_key_ids(body)

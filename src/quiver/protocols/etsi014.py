"""The objects of ETSI GS QKD 014 V1.1.1 (2019-02): one set of types for SAEs, QKD devices and other nodes.

Purpose: turn JSON into checked objects and back. Clause 6 of the standard defines Status (6.1), Key request
(6.2), Key container (6.3), Key IDs (6.4) and Error (6.5), with Key and Key ID inside them. Where clause 6
fixes the text of an error it is used to the letter.

Choices where the standard is silent:

* requests (Key request, Key IDs) with a member that the standard does not define are refused with 400, since
  a misspelt `extension_mandatory` must not be dropped in silence; answers (Status, Key container, Error) may
  have more members, because devices send them;
* a `key_ID` in a request is a UUID in text form, compared without case, and none may occur twice;
* key bytes leave base64 (RFC 4648 section 4, padded) at this edge and are a `Secret` from here on, so sizes
  are multiples of 8.

Nothing here does input or output; `etsi014_urls` holds the paths and query forms, `etsi014_checks` the rules
that a KME applies to requests.
"""

import base64
import re
from typing import Any, Final, TypeVar, cast

import msgspec

from quiver.domain.errors import QuiverError, RequestError
from quiver.domain.secret import Secret

__all__ = [
    "Error",
    "Extension",
    "Key",
    "KeyContainer",
    "KeyID",
    "KeyIDs",
    "KeyRequest",
    "Status",
    "decode_error",
    "decode_key_container",
    "decode_key_ids",
    "decode_key_request",
    "decode_status",
    "encode",
    "error_of",
]

Extension = dict[str, Any]
"""An extension object: names (with a vendor's prefix, `acme_`) and values of any JSON type."""

MESSAGE_LENGTH: Final = 300  # characters of a message about a wrong body; it repeats parts of what came in


def _wire_name(name: str) -> str:
    """`max_sae_id_count` is `max_SAE_ID_count` on the wire."""
    return name.replace("kme", "KME").replace("sae", "SAE").replace("_id", "_ID")


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=_wire_name):
    """Clause 6.1: what a KME can do for a pair of SAEs. Sizes are in bits.

    `max_sae_id_count` of 0 means no multicast. `stored_key_count` counts keys of `key_size` bits.
    """

    source_kme_id: str
    target_kme_id: str
    master_sae_id: str
    slave_sae_id: str
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_sae_id_count: int
    status_extension: Extension | None = None


class KeyRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename=_wire_name,
):
    """Clause 6.2: ask for `number` keys of `size` bits (None: the KME's `key_size`)."""

    number: int = 1
    size: int | None = None
    additional_slave_sae_ids: tuple[str, ...] = ()
    extension_mandatory: tuple[Extension, ...] = ()
    extension_optional: tuple[Extension, ...] = ()


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=_wire_name):
    """One key of a Key container (clause 6.3): base64 on the wire, `Secret` here."""

    key_id: str
    key: Secret
    key_id_extension: Extension | None = None
    key_extension: Extension | None = None


class KeyContainer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Clause 6.3: keys, in the order of the request where it named them."""

    keys: tuple[Key, ...]
    key_container_extension: Extension | None = None


class KeyID(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename=_wire_name,
):
    """One entry of Key IDs (clause 6.4)."""

    key_id: str
    key_id_extension: Extension | None = None


class KeyIDs(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename=_wire_name,
):
    """Clause 6.4: the keys that a slave asks for."""

    key_ids: tuple[KeyID, ...]
    key_ids_extension: Extension | None = None

    @classmethod
    def of(cls, key_ids: "list[str] | tuple[str, ...]") -> "KeyIDs":
        """Key IDs without extensions."""
        return cls(key_ids=tuple(KeyID(key_id=key_id) for key_id in key_ids))


class Error(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Clause 6.5: a message, and details as an array of objects of name and value."""

    message: str
    details: tuple[Extension, ...] = ()


_T = TypeVar("_T")


def _to_wire(value: object) -> object:
    if isinstance(value, Secret):
        return base64.b64encode(value.reveal()).decode("ascii")
    message = f"no JSON form for {type(value).__name__}"
    raise NotImplementedError(message)


def _from_wire(wanted: type, value: object) -> object:
    if wanted is Secret and isinstance(value, str):
        try:
            return Secret(msgspec.convert(value, bytes))  # four times as fast as binascii's strict mode, and stricter
        except msgspec.ValidationError:
            raise ValueError("Expected padded base64 of RFC 4648") from None  # the text itself may be a key
    raise ValueError("Expected a base64 string")


_status: Final = msgspec.json.Decoder(Status)
_key_request: Final = msgspec.json.Decoder(KeyRequest)
_key_container: Final = msgspec.json.Decoder(KeyContainer, dec_hook=_from_wire)
_key_ids: Final = msgspec.json.Decoder(KeyIDs)
_error: Final = msgspec.json.Decoder(Error)
_plain: Final = msgspec.json.Encoder()
_with_keys: Final = msgspec.json.Encoder(enc_hook=_to_wire)

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>.*)`)?$", re.DOTALL)
_JSON_NAMES: Final = {"int": "integer", "str": "string", "bool": "boolean", "float": "number"}
_TYPE: Final = re.compile(r"\b(int|str|bool|float)\b")


def _explain(error: Exception, wanted: type[msgspec.Struct]) -> str:
    """A sentence that names the member of the object and what is allowed there; never its value."""
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    if not isinstance(error, msgspec.ValidationError):
        return f"the body is not JSON (RFC 8259): {error}"[:MESSAGE_LENGTH]
    match = _PLACE.match(str(error))
    what, where = (match["what"], match["where"]) if match else (str(error), None)
    what = what.replace("`", "")
    if what.startswith("Expected"):
        what = _TYPE.sub(lambda found: _JSON_NAMES[found[1]], what)
    elif "unknown field" in what:
        inner = KeyID if wanted is KeyIDs and where else wanted
        allowed = ", ".join(msgspec.structs.fields(inner)[i].encode_name for i in range(len(inner.__struct_fields__)))
        what = f"{what[: MESSAGE_LENGTH // 2]}; allowed are {allowed}"
    return f"{where or 'body'}: {what[:1].lower()}{what[1:]}"[:MESSAGE_LENGTH]


def _decode(decoder: "msgspec.json.Decoder[_T]", body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        message = _explain(error, cast("type[msgspec.Struct]", decoder.type))
    raise RequestError(message)  # outside the handler: no chain to what was parsed


def decode_status(body: bytes) -> Status:
    """A Status from JSON.

    Raises:
        RequestError: the body is no Status; the message names the member.
    """
    return _decode(_status, body)


def decode_key_request(body: bytes) -> KeyRequest:
    """A Key request from a POST body; an empty body is an empty request.

    Only the form is checked: `etsi014_checks.check_key_request` knows the KME's ranges.

    Raises:
        RequestError: the body is no Key request; the message names the member.
    """
    return _decode(_key_request, body) if body.strip() else KeyRequest()


def decode_key_container(body: bytes) -> KeyContainer:
    """A Key container from JSON.

    Raises:
        RequestError: the body is no Key container; the message names the member and never shows a value.
    """
    return _decode(_key_container, body)


def decode_key_ids(body: bytes) -> KeyIDs:
    """Key IDs from a POST body.

    Only the form is checked: `etsi014_checks.check_key_ids` knows the rules for identifiers.

    Raises:
        RequestError: the body is no Key IDs object; the message names the member.
    """
    return _decode(_key_ids, body)


def decode_error(body: bytes) -> Error:
    """An Error from JSON.

    Raises:
        RequestError: the body is no Error.
    """
    return _decode(_error, body)


def encode(body: Status | KeyRequest | KeyContainer | KeyIDs | Error) -> bytes:
    """The JSON of any object of clause 6. Key bytes can leave only through a Key container."""
    return (_with_keys if isinstance(body, KeyContainer) else _plain).encode(body)


def error_of(error: QuiverError) -> Error:
    """The Error body for an exception: its public message, each detail an object of one name and value."""
    return Error(message=error.message, details=tuple({name: value} for name, value in error.details.items()))

"""The rules that a KME applies to requests of ETSI GS QKD 014 V1.1.1, with the texts of clause 6.

All checks come before anything is consumed. They raise `RequestError` (400) with a message that names the
member and what is allowed.
"""

import re
from collections.abc import Collection
from typing import Final

import msgspec

from quiver.domain.errors import RequestError
from quiver.protocols.etsi014 import KeyIDs, KeyRequest, Status
from quiver.protocols.etsi014_urls import check_sae_id

__all__ = [
    "MANDATORY_NOT_MET",
    "MANDATORY_UNSUPPORTED",
    "OPTIONAL_NOT_HANDLED",
    "SIZE_NOT_BYTES",
    "RequestLimits",
    "check_extensions",
    "check_key_id",
    "check_key_ids",
    "check_key_request",
]

SIZE_NOT_BYTES: Final = "size shall be a multiple of 8"
MANDATORY_UNSUPPORTED: Final = "not all extension_mandatory parameters are supported"
MANDATORY_NOT_MET: Final = "not all extension_mandatory request options could be met"
OPTIONAL_NOT_HANDLED: Final = "not all extension_optional request options handled"

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_BITS: Final = 8


class RequestLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a KME allows in one request: sizes in bits, `max_bytes` in bytes of key."""

    key_size: int
    min_key_size: int
    max_key_size: int
    max_keys: int
    max_sae_ids: int = 0
    max_bytes: int | None = None

    @classmethod
    def of_status(cls, status: Status) -> "RequestLimits":
        """The limits that a Status announces."""
        return cls(
            key_size=status.key_size,
            min_key_size=status.min_key_size,
            max_key_size=status.max_key_size,
            max_keys=status.max_key_per_request,
            max_sae_ids=status.max_sae_id_count,
        )


def _range(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        allowed = f"{least}" if least == most else f"{least} to {most}"
        raise RequestError(f"{field} shall be {allowed}, not {value}", details={field: f"{value} is not allowed"})


def check_key_request(request: KeyRequest, limits: RequestLimits) -> tuple[int, int]:
    """The number of keys and their size in bits, once the request is within the limits.

    Raises:
        RequestError: `number`, `size` (clause 6.2: exact text where it is no multiple of 8), their product
            or `additional_slave_SAE_IDs` are out of range.
    """
    _range("number", request.number, 1, limits.max_keys)
    size = limits.key_size if request.size is None else request.size
    if size % _BITS:
        raise RequestError(SIZE_NOT_BYTES, details={"size": f"{size} is no multiple of 8"})
    _range("size", size, limits.min_key_size, limits.max_key_size)
    if limits.max_bytes is not None and request.number * size // _BITS > limits.max_bytes:
        raise RequestError(
            f"number × size shall be at most {limits.max_bytes * _BITS} bits, not {request.number * size}",
            details={"number": f"at most {limits.max_bytes * _BITS // size} of {size} bits"},
        )
    others = request.additional_slave_sae_ids
    if len(others) > limits.max_sae_ids:
        raise RequestError(
            f"additional_slave_SAE_IDs shall have at most {limits.max_sae_ids} entries, not {len(others)}"
        )
    for sae_id in others:
        check_sae_id(sae_id, "additional_slave_SAE_IDs")
    if len(set(others)) != len(others):
        raise RequestError("additional_slave_SAE_IDs shall not repeat an SAE")
    return request.number, size


def check_extensions(request: KeyRequest, supported: Collection[str]) -> None:
    """Every mandatory extension has to be one that we support (clause 6.2).

    Raises:
        RequestError: with the standard's text and the names in `extension_mandatory_unsupported`.
    """
    unknown = sorted({name for pairs in request.extension_mandatory for name in pairs} - set(supported))
    if unknown:
        listed = ", ".join(name[:64] for name in unknown[:8])
        verb = "is" if len(unknown) == 1 else "are"
        raise RequestError(
            MANDATORY_UNSUPPORTED,
            details={"extension_mandatory_unsupported": f"{listed} {verb} not supported"},
        )


def check_key_id(key_id: str, field: str = "key_ID") -> str:
    """The key_ID in lower case.

    Raises:
        RequestError: it is no UUID in text form (RFC 9562 section 4).
    """
    if not _UUID.fullmatch(key_id):
        raise RequestError(f"{field} shall be a UUID, 36 characters of 8-4-4-4-12 hexadecimal digits")
    return key_id.lower()


def check_key_ids(key_ids: KeyIDs, most: int) -> list[str]:
    """The key_IDs in lower case and in the order of the request.

    Raises:
        RequestError: there is none, more than `most`, one is no UUID, or one occurs twice.
    """
    count = len(key_ids.key_ids)
    if not 1 <= count <= most:
        raise RequestError(f"key_IDs shall have 1 to {most} entries, not {count}")
    wanted = [check_key_id(entry.key_id, f"key_IDs[{i}].key_ID") for i, entry in enumerate(key_ids.key_ids)]
    if len(set(wanted)) != count:
        raise RequestError("key_IDs shall not name a key twice")
    return wanted

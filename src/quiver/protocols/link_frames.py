"""Frames of the link encryptor, which is a demonstration: AES-256-GCM under keys derived from relayed ones.

    octet 0    version, 1
          1    carrier: 1 UDP, 2 TCP, 3 TUN
          2    length of the payload in octets, 16 bits
          4    key tag, 64 bits: the first of SHA-256 over a label and the key_ID; it names the key and says nothing of it
         12    counter, 64 bits; one for all keys of a sender's process
         20    ciphertext, as long as the payload
         ..    authentication tag, 16 octets

All numbers are big-endian. The header is the associated data. The IV of 96 bits is the counter with 32 zero bits before it
(NIST SP 800-38D section 8.2.1, with an empty fixed field: each direction of each key has a key of its own, so that one sender
alone counts). There is no padding. The payload's first octet is its `Kind`, which an observer does not see.
"""

import enum
import hashlib
import struct
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quiver.domain import limits
from quiver.domain.secret import Secret

__all__ = ["HEADER", "OVERHEAD", "TAG", "Carrier", "Drop", "Header", "Kind", "Subkey", "key_tag", "read_header"]

VERSION: Final = 1
HEADER: Final = 20  # bytes
TAG: Final = 16  # bytes
OVERHEAD: Final = HEADER + TAG
_LAYOUT: Final = struct.Struct(">BBHQQ")
_IV: Final = struct.Struct(">IQ")
_TAG_LABEL: Final = b"quiver link 1 key tag\0"
_LABEL: Final = b"quiver link 1\0"
_KEY: Final = 32  # bytes; AES-256


class Carrier(enum.IntEnum):
    """What carries frames, and what they carry."""

    UDP = 1
    TCP = 2
    TUN = 3


class Kind(enum.IntEnum):
    """What a payload is. Those from OPEN on are followed by the number of a stream."""

    KEEP = 0  # nothing: it shows that the sender is there, and its key
    PACKET = 1  # a datagram or an IP packet
    OPEN = 2
    BYTES = 3
    CREDIT = 4
    END = 5
    RESET = 6


class Drop(enum.Enum):
    """Why something was dropped. The values are labels of a metric."""

    MALFORMED = "malformed"
    OVERSIZE = "oversize"
    OTHER_CARRIER = "other-carrier"
    UNKNOWN_KEY = "unknown-key"
    REPLAYED = "replayed"
    WRONG_TAG = "wrong-tag"
    OUT_OF_ORDER = "out-of-order"
    NO_KEY = "no-key"
    BLOCKED = "blocked"
    EXHAUSTED = "exhausted"
    FULL = "full"
    NO_TARGET = "no-target"


class Header(msgspec.Struct, frozen=True):
    """What a frame says in clear.

    Attributes:
        carrier: it is for.
        length: bytes of its payload.
        tag: of its key.
        counter: of its sender.
    """

    carrier: int
    length: int
    tag: int
    counter: int

    def encode(self) -> bytes:
        """The first 20 bytes of the frame."""
        return _LAYOUT.pack(VERSION, self.carrier, self.length, self.tag, self.counter)


def read_header(frame: bytes) -> Header | Drop:
    """The header of a frame, or of its first 20 bytes; why it is none of ours."""
    if len(frame) < HEADER:
        return Drop.MALFORMED
    version, carrier, length, tag, counter = _LAYOUT.unpack_from(frame)
    if version != VERSION or length == 0:
        return Drop.MALFORMED
    return Header(carrier, length, tag, counter) if length <= limits.ENCRYPTOR_PAYLOAD else Drop.OVERSIZE


def key_tag(key_id: str) -> int:
    """The tag of the key of this key_ID."""
    return int.from_bytes(hashlib.sha256(_TAG_LABEL + key_id.encode()).digest()[:8], "big")


class Subkey:
    """The AES-256-GCM key of one direction under one relayed key.

    HKDF-SHA-256 (RFC 5869) without salt; its info is the protocol, the direction and the key_ID, each ended by a zero byte.
    A frame that is sent back to its sender, or given out for one of another key, does not open.

    Args:
        key: the relayed key.
        key_id: its key_ID.
        initiator: whether the initiator of rollovers is the one who seals.
    """

    def __init__(self, key: Secret, key_id: str, *, initiator: bool) -> None:
        direction = b"initiator to responder\0" if initiator else b"responder to initiator\0"
        kdf = HKDF(SHA256(), _KEY, salt=None, info=_LABEL + direction + key_id.encode() + b"\0")
        self._aead: Final = AESGCM(kdf.derive(key.reveal()))

    def seal(self, header: Header, payload: bytes) -> bytes:
        """The frame. The caller sees to it that no counter comes twice."""
        associated = header.encode()
        return associated + self._aead.encrypt(_IV.pack(0, header.counter), payload, associated)

    def open(self, header: Header, frame: bytes) -> bytes | None:
        """The payload; None where the frame was not sealed with this key, or was changed."""
        try:
            return self._aead.decrypt(_IV.pack(0, header.counter), frame[HEADER:], frame[:HEADER])
        except InvalidTag:
            return None

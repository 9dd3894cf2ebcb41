"""The two checks of design section 3: of a link's segment, and of a container of keys.

Both are Wegman-Carter tags with Poly1305 (RFC 8439 section 2.5): a polynomial hash under r, masked by s, where s is pad that is
used once. A tag is never made over a ciphertext: devices that differ in one byte, or a relay that shifts the pad, would go
unnoticed. For a container r depends on a nonce that is drawn only when the pad is already fixed at both ends.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

from quiver.domain import limits
from quiver.domain.secret import Secret

__all__ = ["acknowledge", "container_digest", "container_tag", "link_tag", "verify_container", "verify_link"]

NONCE: Final = 32  # bytes sent with a container
_R_LABEL: Final = b"quiver container tag 1\0"
_ACK_LABEL: Final = b"quiver acknowledgement 1\0"


def link_tag(segment: Secret, nonce: bytes) -> bytes:
    """The tag that confirms a segment: over all but its first 16 bytes, which are s; `nonce` is r (16 bytes)."""
    material = segment.reveal()
    return Poly1305.generate_tag(nonce + material[: limits.LINK_CHECK], material[limits.LINK_CHECK :])


def verify_link(segment: Secret, nonce: bytes, tag: bytes) -> bool:
    """Whether both ends of the link hold the same segment."""
    return len(nonce) == limits.LINK_CHECK and hmac.compare_digest(link_tag(segment, nonce), tag)


def combine(secrets: Iterable[Secret]) -> Secret:
    """The XOR of one or more secrets of equal length: with n paths, hash key, s and pad are the XOR of all n."""
    first, *rest = secrets
    for secret in rest:
        first = first ^ secret
    return first


def _one_time_key(hash_key: Secret, mask: Secret, nonce: bytes, header: bytes) -> bytes:
    r = hashlib.sha256(_R_LABEL + hash_key.reveal() + nonce + header).digest()[:16]
    return r + mask.reveal()


def container_tag(hash_key: Secret, mask: Secret, nonce: bytes, header: bytes, key: Secret) -> bytes:
    """The tag of a container, over its header as sent and the keys, never over the ciphertext.

    Args:
        hash_key: 32 bytes, of the first block that the container takes from.
        mask: 16 bytes of pad used once (s).
        nonce: 32 bytes sent in the container.
        header: its bytes as sent; they name the length of `key`.
        key: all keys of the batch, concatenated.
    """
    return Poly1305.generate_tag(_one_time_key(hash_key, mask, nonce, header), header + key.reveal())


def verify_container(hash_key: Secret, mask: Secret, nonce: bytes, header: bytes, key: Secret, tag: bytes) -> bool:
    """Whether header and keys are those that the source sent."""
    try:
        Poly1305.verify_tag(_one_time_key(hash_key, mask, nonce, header), header + key.reveal(), tag)
    except InvalidSignature:
        return False
    return True


def container_digest(header: bytes, ciphertext: Secret, tag: bytes) -> bytes:
    """SHA-256 of a container as sent."""
    return hashlib.sha256(header + ciphertext.reveal() + tag).digest()


def acknowledge(hash_key: Secret, digest: bytes, result: str) -> str:
    """The destination's acknowledgement: HMAC-SHA-256 under the hash key, in hexadecimal digits."""
    return hmac.new(hash_key.reveal(), _ACK_LABEL + digest + result.encode(), hashlib.sha256).hexdigest()

"""key_IDs: UUIDs of version 8 (RFC 9562 section 5.8) made of a random batch id and an index.

A batch is the keys of one request. Its 106 random bits make a key_ID unguessable until the master has it; the lowest 16
bits count the keys. So a batch needs one record, one tag and one audit line, whatever the number of its keys.
"""

import re
from typing import Final

from quiver.domain.errors import RequestError
from quiver.domain.ports import Entropy

__all__ = ["key_id", "new_batch", "parse"]

_INDEX: Final = 0xFFFF
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_batch(entropy: Entropy) -> str:
    """A fresh batch id: 32 hexadecimal digits, those of the first key's UUID."""
    bits = int.from_bytes(entropy.draw(16), "big")
    bits = bits & ~(0xF << 76) | 0x8 << 76  # version 8
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant of RFC 9562
    return f"{bits & ~_INDEX:032x}"


def key_id(batch: str, index: int) -> str:
    """The key_ID of the batch's key number `index`, as the text of a UUID."""
    digits = batch[:28] + f"{index:04x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse(text: str) -> tuple[str, int]:
    """The batch id and the index of a key_ID, in upper or lower case.

    Raises:
        RequestError: the text is not a UUID.
    """
    lowered = text.lower()
    if not _UUID.fullmatch(lowered):
        raise RequestError("key_ID must be a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
    digits = lowered.replace("-", "")
    return digits[:28] + "0000", int(digits[28:], 16)

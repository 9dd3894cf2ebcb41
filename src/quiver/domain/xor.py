"""Bytewise exclusive or: the one-time pad itself."""

import numpy as np

__all__ = ["combine"]

# Below this many bytes Python's integers are faster than setting up two numpy views.
SMALL = 256

Buffer = bytes | bytearray | memoryview


def combine(one: Buffer, other: Buffer) -> bytes:
    """`one` ⊕ `other`.

    Raises:
        ValueError: they differ in length; a pad is never cut or repeated.
    """
    if len(one) != len(other):
        message = f"a pad of {len(other)} bytes does not fit {len(one)} bytes"
        raise ValueError(message)
    if len(one) <= SMALL:
        return (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).to_bytes(len(one), "little")
    return np.bitwise_xor(np.frombuffer(one, np.uint8), np.frombuffer(other, np.uint8)).tobytes()

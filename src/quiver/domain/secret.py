"""Secret bytes: a type that never shows what it holds."""

import hmac
from typing import Final, NoReturn

from quiver.domain import xor

__all__ = ["Secret"]


class Secret:
    """Key material or pad, in bytes, in a buffer of its own that can be wiped.

    Its repr and str are redacted, it cannot be pickled, copied into JSON or compared in variable time.
    `reveal` is the only way out; searching the code for it finds each place where key material is used.
    """

    __slots__ = ("_buffer",)

    def __init__(self, material: bytes | bytearray | memoryview) -> None:
        self._buffer: Final = bytearray(material)

    def __len__(self) -> int:
        """Length in bytes."""
        return len(self._buffer)

    def __repr__(self) -> str:
        return f"<Secret of {len(self._buffer)} bytes>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a table

    def __xor__(self, other: "Secret") -> "Secret":
        """Both secrets combined, byte by byte.

        Raises:
            ValueError: they differ in length.
        """
        return Secret(xor.combine(self._buffer, other._buffer))

    def __reduce__(self) -> NoReturn:
        message = "a secret is never serialised"
        raise TypeError(message)

    def reveal(self) -> bytes:
        """The bytes themselves, for the one party they are for."""
        return bytes(self._buffer)

    def part(self, start: int, length: int) -> "Secret":
        """A copy of `length` bytes from `start` on.

        Raises:
            ValueError: the part reaches beyond the end.
        """
        if start < 0 or length < 0 or start + length > len(self._buffer):
            message = f"no part [{start}, {start + length}) in {self!r}"
            raise ValueError(message)
        return Secret(memoryview(self._buffer)[start : start + length])

    def wipe(self, start: int = 0, length: int | None = None) -> None:
        """Overwrite `length` bytes from `start` on (to the end where None) with zeros, in place.

        Raises:
            ValueError: the part reaches beyond the end.
        """
        stop = len(self._buffer) if length is None else start + length
        if not 0 <= start <= stop <= len(self._buffer):
            message = f"no part [{start}, {stop}) in {self!r}"
            raise ValueError(message)
        self._buffer[start:stop] = bytes(stop - start)

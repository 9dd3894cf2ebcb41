"""The connections that the link encryptor's TCP carrier takes through one sequence of frames: numbers, credit, ends.

A payload of a stream is its kind, its number (32 bits) and what the kind needs: BYTES the bytes, CREDIT a number of bytes (32
bits). The initiator of rollovers opens even numbers, the responder odd ones, each higher than the one before. Each side may send
`ENCRYPTOR_CREDIT` bytes of a stream, and more once it is given credit: a reader that is slow stops its own stream and no other.
END closes one direction, RESET both at once. Frames of a stream that was reset here may still come; they are ignored.
"""

import struct
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.errors import LimitError, RequestError
from quiver.protocols.link_frames import Kind

__all__ = ["Message", "Stream", "Streams", "credit_of", "pack", "read_message"]

_NUMBER: Final = struct.Struct(">BI")
_COUNT: Final = struct.Struct(">I")
_NUMBERS: Final = 1 << 32


class Message(msgspec.Struct, frozen=True):
    """A payload of a stream, or one without a stream, whose number is 0."""

    kind: Kind
    number: int = 0
    body: bytes = b""


def pack(kind: Kind, number: int, body: bytes | int = b"") -> bytes:
    """The payload of a stream's message; of CREDIT `body` is the number of bytes."""
    return _NUMBER.pack(kind, number) + (_COUNT.pack(body) if isinstance(body, int) else body)


def read_message(payload: bytes) -> Message:
    """The message that a payload is.

    Raises:
        RequestError: it is none.
    """
    try:
        kind = Kind(payload[0])
    except (IndexError, ValueError):
        raise RequestError("a payload of an unknown kind") from None
    if kind < Kind.OPEN:
        return Message(kind, body=payload[1:])
    if len(payload) < _NUMBER.size:
        raise RequestError(f"{kind.name}: the number of the stream is missing")
    body = payload[_NUMBER.size :]
    if kind is not Kind.BYTES and len(body) != (_COUNT.size if kind is Kind.CREDIT else 0):
        raise RequestError(f"{kind.name}: {len(body)} bytes after the number of the stream")
    return Message(kind, _NUMBER.unpack_from(payload)[1], body)


def credit_of(message: Message) -> int:
    """The bytes that a CREDIT gives."""
    return int(_COUNT.unpack(message.body)[0])


class Stream:
    """One carried connection.

    Attributes:
        number: of it.
        room: bytes that may still be sent.
        open_there: bytes that may still come.
        ended: whether END was sent; `ended_there`: whether it has come.
    """

    def __init__(self, number: int) -> None:
        self.number: Final = number
        self.room = self.open_there = limits.ENCRYPTOR_CREDIT
        self.ended = self.ended_there = False
        self.given_on = 0  # bytes that were given on and for which no credit was given yet


class Streams:
    """All streams of one connection of the carrier.

    Args:
        initiator: whether this is the end that begins rollovers.
        most: streams that each end may have opened at a time.
    """

    def __init__(self, *, initiator: bool, most: int = limits.ENCRYPTOR_STREAMS) -> None:
        self._most: Final = most
        self._next = 0 if initiator else 1
        self._next_there = 1 if initiator else 0
        self._streams: Final[dict[int, Stream]] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._streams)

    def open(self) -> Stream:
        """A new stream; then OPEN is to be sent.

        Raises:
            LimitError: there are too many.
        """
        if self._opened(self._next) >= self._most or self._next >= _NUMBERS:
            raise LimitError(f"{self._most} connections are carried already")
        stream = self._streams[self._next] = Stream(self._next)
        self._next += 2
        return stream

    def take(self, message: Message) -> Stream | None:
        """The stream of a message, with what the message changes; None where it is gone.

        Raises:
            RequestError: the other end may not say this; nothing that it says can be relied on.
        """
        if message.kind is Kind.OPEN:
            return self._open_there(message.number)
        stream = self._streams.get(message.number)
        if stream is None:
            if message.number >= (self._next if message.number % 2 == self._next % 2 else self._next_there):
                raise RequestError(f"{message.kind.name}: stream {message.number} was never opened")
            return None
        match message.kind:
            case Kind.BYTES:
                self._count(stream, len(message.body))
            case Kind.CREDIT:
                stream.room += credit_of(message)
                if stream.room > limits.ENCRYPTOR_CREDIT:
                    raise RequestError(f"CREDIT: more than was sent on stream {stream.number}")
            case Kind.END:
                if stream.ended_there:
                    raise RequestError(f"END: a second one on stream {stream.number}")
                stream.ended_there = True
                self._forget_ended(stream)
            case Kind.RESET:
                del self._streams[stream.number]
        return stream

    def given_on(self, stream: Stream, count: int) -> int:
        """So many bytes of it were given on; the credit that is to be sent for them and for those before, 0 for not yet."""
        stream.given_on += count
        if 2 * stream.given_on < limits.ENCRYPTOR_CREDIT or stream.ended_there:
            return 0
        credit, stream.given_on = stream.given_on, 0
        stream.open_there += credit
        return credit

    def end(self, stream: Stream) -> None:
        """END is sent."""
        stream.ended = True
        self._forget_ended(stream)

    def reset(self, stream: Stream) -> bool:
        """Whether RESET is to be sent: it is not where the stream is gone."""
        return self._streams.pop(stream.number, None) is not None

    def _open_there(self, number: int) -> Stream:
        if number % 2 != self._next_there % 2 or number < self._next_there:
            raise RequestError(f"OPEN: stream {number} is not the other end's to open, or was opened before")
        if self._opened(number) >= self._most:
            raise RequestError(f"OPEN: {self._most} streams are open already")
        self._next_there = number + 2
        stream = self._streams[number] = Stream(number)
        return stream

    @staticmethod
    def _count(stream: Stream, count: int) -> None:
        if stream.ended_there:
            raise RequestError(f"BYTES: after the end of stream {stream.number}")
        if count > stream.open_there:
            raise RequestError(f"BYTES: more than the credit of stream {stream.number}")
        stream.open_there -= count

    def _opened(self, like: int) -> int:
        """How many are open whose number is as odd as this one."""
        return sum(1 for number in self._streams if number % 2 == like % 2)

    def _forget_ended(self, stream: Stream) -> None:
        if stream.ended and stream.ended_there:
            self._streams.pop(stream.number, None)

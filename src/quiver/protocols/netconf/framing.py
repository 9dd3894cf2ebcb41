"""How NETCONF messages stand in a stream of bytes: end-of-message marks and chunks (RFC 6242 section 4).

Both directions, incremental: bytes come in any pieces. What a peer claims costs nothing; only what it has sent is kept, and
never more than one message's limit.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import NetconfError

__all__ = ["Framing", "MessageReader", "frame"]

END_OF_MESSAGE: Final = b"]]>]]>"
END_OF_CHUNKS: Final = b"\n##\n"
_CHUNK: Final = 64 * 1024  # bytes of the chunks that we write
_SIZE_DIGITS: Final = 10  # of 4294967295, the largest size of a chunk (RFC 6242 section 4.2)
_LARGEST: Final = 4294967295


class Framing(Enum):
    """Which mark ends a message."""

    END_OF_MESSAGE = auto()  # base:1.0 and every hello (RFC 6242 section 4.3)
    CHUNKED = auto()  # once both sides have announced base:1.1 (RFC 6242 section 4.2)


def frame(message: bytes, framing: Framing) -> bytes:
    """A message with the marks around it that its receiver expects."""
    if framing is Framing.END_OF_MESSAGE:
        return message + END_OF_MESSAGE
    return b"".join((*_chunks(message), END_OF_CHUNKS))


def _chunks(message: bytes) -> Iterable[bytes]:
    for start in range(0, len(message), _CHUNK):
        part = message[start : start + _CHUNK]
        yield b"\n#%d\n" % len(part)
        yield part


class MessageReader:
    """Takes bytes from a peer and gives its messages.

    Args:
        most: bytes of one message at most; lowered for the hello by its reader.
    """

    def __init__(self, most: int = limits.NETCONF_MESSAGE) -> None:
        self.most = most
        self._framing = Framing.END_OF_MESSAGE
        self._unread = bytearray()
        self._searched = 0  # bytes of `_unread` that hold no beginning of an end-of-message mark
        self._message = bytearray()  # chunks of the message that is coming in
        self._left = 0  # bytes of the present chunk that have not come yet
        self._chunks = 0

    @property
    def held(self) -> int:
        """Bytes in memory: what has come and was not taken as a message."""
        return len(self._unread) + len(self._message)

    def switch(self, framing: Framing) -> None:
        """Read what follows the last message that was taken in another framing (RFC 6242 section 4.1)."""
        self._framing = framing
        self._searched = 0

    def push(self, data: bytes) -> None:
        """Take bytes as they come."""
        self._unread += data

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes and give all messages that are whole now.

        Raises:
            NetconfError: the framing is broken or a message too long; the session must end (RFC 6242 section 4.2).
        """
        self.push(data)
        messages = []
        while (message := self.pop()) is not None:
            messages.append(message)
        return messages

    def pop(self) -> bytes | None:
        """The next whole message, or None until more has come.

        Raises:
            NetconfError: as `feed`.
        """
        return self._pop_marked() if self._framing is Framing.END_OF_MESSAGE else self._pop_chunked()

    def _pop_marked(self) -> bytes | None:
        end = self._unread.find(END_OF_MESSAGE, self._searched)
        if (len(self._unread) if end < 0 else end) > self.most + (len(END_OF_MESSAGE) if end < 0 else 0):
            raise NetconfError(f"a message has more than {self.most} bytes")
        if end < 0:
            self._searched = max(0, len(self._unread) - len(END_OF_MESSAGE) + 1)
            return None
        message = bytes(self._unread[:end])
        del self._unread[: end + len(END_OF_MESSAGE)]
        self._searched = 0
        return message

    def _pop_chunked(self) -> bytes | None:
        used = 0
        try:
            while True:
                if self._left:
                    part = self._unread[used : used + self._left]
                    self._message += part
                    self._left -= len(part)
                    used += len(part)
                    if self._left:
                        return None
                header = self._read_header(used)
                if header is None:
                    return None
                used, self._left = header
                if not self._left:
                    return self._end_message()
        finally:
            del self._unread[:used]

    def _end_message(self) -> bytes:
        if not self._chunks:
            raise NetconfError("a chunked message has no chunk")  # RFC 6242 section 4.2: 1*chunk
        message, self._message, self._chunks = bytes(self._message), bytearray(), 0
        return message

    def _read_header(self, start: int) -> tuple[int, int] | None:
        """Where the header at `start` ends and the size that it announces, 0 at the end of chunks; None until it is whole."""
        head = bytes(self._unread[start : start + 3 + _SIZE_DIGITS])
        if not (head.startswith(b"\n#") or b"\n#".startswith(head)):
            raise NetconfError("a chunk does not begin with a line feed and a number sign")
        if END_OF_CHUNKS.startswith(head):
            return (start + len(END_OF_CHUNKS), 0) if head == END_OF_CHUNKS else None
        if head.startswith(END_OF_CHUNKS):
            return start + len(END_OF_CHUNKS), 0
        digits, ended, _ = head[2:].partition(b"\n")
        # chunk-size = [1-9] [0-9]{0,9}, at most 4294967295 (RFC 6242 section 4.2)
        if not (digits or not ended) or (digits and (not digits.isdigit() or digits[:1] == b"0")):
            raise NetconfError("a chunk's size is not a decimal number without leading zeros")
        if not ended:
            if len(digits) > _SIZE_DIGITS:
                raise NetconfError("a chunk's size has more than ten digits")
            return None
        return start + 2 + len(digits) + 1, self._checked(int(digits))

    def _checked(self, size: int) -> int:
        if size > _LARGEST:
            raise NetconfError(f"a chunk's size is above {_LARGEST}")
        if len(self._message) + size > self.most:
            raise NetconfError(f"a message has more than {self.most} bytes")
        self._chunks += 1
        return size

"""An authenticated connection as a stream of bytes, the same over SSH and over TLS."""

from typing import Protocol

__all__ = ["ByteStream"]


class ByteStream(Protocol):
    """Bytes both ways. One task reads and one writes at a time."""

    async def read(self) -> bytes:
        """What has come, at least one byte and at most `limits.STREAM_PART`; nothing when the peer has ended.

        Raises:
            ConnectionError: the connection broke.
        """
        ...

    async def write(self, content: bytes) -> None:
        """Send. Returns when the transport has room for more, so that a slow reader slows its writer down.

        Raises:
            ConnectionError: the connection is gone, or the peer took nothing for `limits.STREAM_WRITE` seconds.
        """
        ...

    async def close(self) -> None:
        """Send what is still to be sent and end the stream. Never raises for a connection that is gone."""
        ...

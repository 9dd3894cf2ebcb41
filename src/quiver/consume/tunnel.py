"""What a consumer feeds: one end of something that encrypts and takes a new key now and then."""

from collections.abc import Mapping
from typing import Protocol

from quiver.domain.errors import RemoteError
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.losses import Packets

__all__ = ["Tunnel", "TunnelError"]


class TunnelError(RemoteError):
    """The tunnel's own program or interface did not do what it was asked for; the message says what it answered."""


class Tunnel(Protocol):
    """One end of a tunnel. It keeps keys that were made ready until they are retired. One call is under way at a time.

    Attributes:
        kind: what it is, the same at both ends.
        key_bits: size of its keys.
        lead: seconds before a new key's time that a round is to begin, so that the tunnel finds it in place.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def key_bits(self) -> int: ...  # noqa: D102
    @property
    def lead(self) -> float: ...  # noqa: D102

    async def open(self) -> None:
        """Take over what is there. Until the first key nothing passes that no key of ours protects.

        Raises:
            TunnelError: it cannot be reached.
        """

    async def stage(self, key: DeliveredKey) -> None:
        """Make a key ready; the one in use stays in use.

        Raises:
            TunnelError: it did not take it.
        """

    async def switch(self, key_id: str) -> None:
        """Use a key that is ready, or the one that was in use before; a blocked tunnel is open again.

        Raises:
            TunnelError: it did not.
        """

    async def proven(self, key_id: str) -> bool:
        """Whether both ends have been seen to use this key.

        Raises:
            TunnelError: it cannot be reached.
        """

    async def intact(self) -> bool:
        """Whether it still holds the key that it was switched to last; False also before the first one.

        Raises:
            TunnelError: it cannot be reached.
        """

    async def retire(self) -> None:
        """Forget all keys but the one in use.

        Raises:
            TunnelError: it cannot be reached.
        """

    async def block(self) -> None:
        """Carry nothing until the next `switch`.

        Raises:
            TunnelError: it cannot be reached; it may carry traffic still.
        """

    async def close(self) -> None:
        """The consumer ends; what is in use stays in use where the tunnel lives without us."""

    def hungry(self) -> bool:
        """Whether it wants a new key before its time, as so much was sent under the present one."""

    async def packets(self) -> Packets | None:
        """Packets of its users that it has carried since the consumer's start; None where it does not count them.

        Raises:
            TunnelError: it cannot be reached.
        """

    def figures(self) -> Mapping[str, float]:
        """Numbers of its own for the metrics: name, with its unit → value; those that end in `_total` only rise."""

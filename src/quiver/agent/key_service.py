"""What the SAE plane asks of the node behind it."""

from collections.abc import Sequence
from typing import Protocol

from quiver.domain.reply import DeliveredKey
from quiver.protocols.etsi014 import Status

__all__ = ["KeyService"]


class KeyService(Protocol):
    """The three methods of ETSI GS QKD 014 clause 5, for callers whose certificate was verified.

    The form of a request is checked before: SAE IDs are SAE IDs, numbers and sizes are within the limits, key_IDs are
    distinct UUIDs in lower case. Whom the caller may share keys with is judged here.

    A request whose client goes away is cancelled: `asyncio.CancelledError` at any `await`.
    """

    def status(self, caller: str, slave: str) -> Status:
        """What there is for the caller as master and the slave.

        Raises:
            RequestError: the slave is unknown (400).
            UnauthorizedError: the caller may not share keys with it (401).
            UnavailableError: the node cannot tell now (503).
        """
        ...

    async def enc_keys(self, caller: str, slaves: tuple[str, ...], number: int, size: int) -> list[DeliveredKey]:
        """`number` new keys of `size` bits, which each of the slaves can fetch by their key_ID when this returns.

        Args:
            caller: the master.
            slaves: the SAE of the URL, then the additional ones; each once.
            number: how many keys.
            size: bits of each, a multiple of 8.

        Raises:
            RequestError: a slave is unknown (400).
            UnauthorizedError: the caller may not share keys with one of them (401).
            UnavailableError: no keys within the time to wait, or nothing could be stored (503).
        """
        ...

    async def dec_keys(self, caller: str, master: str, key_ids: Sequence[str]) -> list[DeliveredKey]:
        """The keys of these key_IDs, in their order, each of which the caller gets once; all of them or none.

        Args:
            caller: a slave.
            master: the SAE that asked for them.
            key_ids: in lower case, each once.

        Raises:
            UnauthorizedError: the caller was no slave of each request that made one of them (401).
            KeyNotFoundError: one of them is not here, or no longer (400).
            UnavailableError: what was taken could not be stored (503).
        """
        ...

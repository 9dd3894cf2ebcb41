"""The keys of one QKD link: a stock that the channel fills, and what each end holds ready for the other.

Both ends of a link gain the same bits, so one stock stands for both. Its keys get a key_ID and bytes when one
end asks for new ones; from then on the other end has them under the same key_ID, once, until their time is
over. With too many unfetched keys at an end, *Get key* at the other is refused.

Clock and randomness are arguments. Bits in the stock, bytes in keys.
"""

import uuid
from collections.abc import Sequence

import msgspec

from quiver.domain.errors import ExhaustedError, KeyNotFoundError, LimitError
from quiver.domain.ports import Entropy
from quiver.domain.secret import Secret

__all__ = ["KeyBuffer", "RawKey"]


class RawKey(msgspec.Struct, frozen=True):
    """A key with its key_ID in lower case."""

    key_id: str
    key: Secret


class _Waiting(msgspec.Struct, frozen=True):
    key: Secret
    until: float


class KeyBuffer:
    """The stock of one link, and the keys that wait at each of its two ends (0 and 1).

    Args:
        capacity: bits that the stock holds; it starts filled.
        room: keys that may wait at each end.
        keep: seconds after which a waiting key is dropped.
        entropy: key material and key_IDs come from it.
    """

    def __init__(self, *, capacity: int, room: int, keep: float, entropy: Entropy) -> None:
        self._capacity = capacity
        self._bits = float(capacity)
        self._room = room
        self._keep = keep
        self._entropy = entropy
        self._waiting: tuple[dict[str, _Waiting], dict[str, _Waiting]] = ({}, {})
        self._expired = 0

    @property
    def bits(self) -> int:
        """Secret bits in stock."""
        return int(self._bits)

    @property
    def expired(self) -> int:
        """Keys that nobody fetched in time."""
        return self._expired

    def waiting(self, end: int) -> int:
        """Keys that wait at this end."""
        return len(self._waiting[end])

    def fill(self, bits: float) -> None:
        """Put in what the channel gained; what finds no room is lost, as in a device."""
        self._bits = min(self._bits + bits, float(self._capacity))

    def take(self, end: int, number: int, size: int, now: float, *, partial: bool = False) -> list[RawKey]:
        """New keys of `size` bits for this end; the other end has them from now on.

        Raises:
            ExhaustedError: the stock has not enough bits (where `partial`: not for one key).
            LimitError: too many keys wait at the other end.
        """
        if partial:
            number = min(number, self.bits // size)
        if number < 1 or number * size > self._bits:
            raise ExhaustedError("not enough keys available")
        other = self._waiting[1 - end]
        self._drop_expired(1 - end, now)
        if len(other) + number > self._room:
            raise LimitError("too many keys wait to be fetched at the other end")
        self._bits -= number * size
        keys = []
        for _ in range(number):
            key_id = str(uuid.UUID(bytes=self._entropy.draw(16), version=4))
            material = self._entropy.draw(size // 8)
            other[key_id] = _Waiting(Secret(material), now + self._keep)
            keys.append(RawKey(key_id, Secret(material)))
        return keys

    def fetch(self, end: int, key_ids: Sequence[str], now: float) -> list[RawKey]:
        """The keys that wait at this end under these key_IDs (lower case, no repeats), all or none.

        Raises:
            KeyNotFoundError: one of them is not here, or no longer; none was removed.
        """
        self._drop_expired(end, now)
        waiting = self._waiting[end]
        missing = sum(key_id not in waiting for key_id in key_ids)
        if missing:
            raise KeyNotFoundError({"key_ID": f"{missing} of {len(key_ids)} keys are not here"})
        return [RawKey(key_id, waiting.pop(key_id).key) for key_id in key_ids]

    def _drop_expired(self, end: int, now: float) -> None:
        waiting = self._waiting[end]
        for key_id in list(waiting):  # in order of arrival, so of expiry
            if waiting[key_id].until > now:
                break
            waiting.pop(key_id).key.wipe()
            self._expired += 1

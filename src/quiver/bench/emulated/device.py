"""The device of an emulated link: both ends make the same keys of one seed, each in its own process, without a word between them.

These keys are as good as the seed, which lies in a file beside the emulation: they protect nothing, and nothing that an installed
agent reads can name this device.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from quiver.bench.emulated.plan import LEVEL
from quiver.domain.secret import Secret
from quiver.protocols.etsi014 import Status
from quiver.qkd.device import DeviceError, DeviceKey, DeviceStatus, Failure

__all__ = ["EmulatedDevice"]

_KEY: Final = 4096  # bytes of one key: long ones, so that making them costs little
_MOST: Final = 16  # keys in one request
_FIRST: Final = LEVEL * 5 // 4 // _KEY  # keys in stock at the start: enough for full pads


class EmulatedDevice:
    """One end of a link.

    Args:
        link: its id.
        node: at this end.
        other: at the other end.
        rate: bits per second that this end may hand out; the other end has as many of its own.
        seed: of the emulation.
    """

    def __init__(self, link: str, node: str, other: str, rate: float, seed: Secret) -> None:
        self._node: Final = node
        self._other: Final = other
        self._rate: Final = rate / 8 / _KEY
        self._seed: Final = Secret(hashlib.sha256(seed.reveal() + link.encode()).digest())
        self._stock, self._then = float(_FIRST), time.monotonic()
        self._made = 0
        self.light = True  # whether the quantum channel works

    async def status(self) -> DeviceStatus:
        """As `Device.status`."""
        self._produce()
        status = Status(
            source_kme_id=f"emulated-{self._node}",
            target_kme_id=f"emulated-{self._other}",
            master_sae_id=self._node,
            slave_sae_id=self._other,
            key_size=8 * _KEY,
            stored_key_count=int(self._stock),
            max_key_count=_FIRST,
            max_key_per_request=_MOST,
            max_key_size=8 * _KEY,
            min_key_size=8 * _KEY,
            max_sae_id_count=0,
        )
        return DeviceStatus(status=status, link_up=self.light)

    async def get_keys(self, number: int, size: int | None = None) -> list[DeviceKey]:
        """As `Device.get_keys`.

        Raises:
            DeviceError: none is in stock, or the size is another one.
        """
        self._produce()
        count = min(number, _MOST, int(self._stock))
        if not count or size not in (None, 8 * _KEY):
            raise DeviceError(Failure.REFUSED, "no keys in stock")
        self._stock -= count
        return [self._key(self._name()) for _ in range(count)]

    async def get_keys_by_id(self, key_ids: Sequence[str]) -> list[DeviceKey]:
        """As `Device.get_keys_by_id`."""
        return [self._key(key_id) for key_id in key_ids]

    def _produce(self) -> None:
        now = time.monotonic()
        made = (now - self._then) * self._rate if self.light else 0.0
        self._stock, self._then = min(float(_FIRST), self._stock + made), now

    def _name(self) -> str:
        self._made += 1
        said = f"{self._node} {self._made}".encode()
        return str(UUID(bytes=hashlib.sha256(self._seed.reveal() + said).digest()[:16], version=4))

    def _key(self, key_id: str) -> DeviceKey:
        return DeviceKey(key_id, Secret(hashlib.shake_256(self._seed.reveal() + key_id.lower().encode()).digest(_KEY)))

"""A link encryptor of our own, for demonstrations: AES-256-GCM between the two ends, over UDP, TCP or between TUN interfaces.

It shows what relayed keys are for where there is no WireGuard. It is no product: nobody outside has looked at it, it is written
in Python, and traffic can be told by sizes and times. Nothing passes in clear in any state: without a key nothing passes at all.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Literal

from quiver.consume.config_tables import LinkTable
from quiver.consume.link_carrier import LinkCarrier
from quiver.consume.link_tcp import TcpCarrier
from quiver.consume.link_tun import TunCarrier
from quiver.consume.link_udp import UdpCarrier
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.domain.errors import ConflictError, NotFoundError
from quiver.domain.reply import DeliveredKey
from quiver.net.process import ended
from quiver.protocols.link_frames import Carrier
from quiver.protocols.link_ring import KeyRing

__all__ = ["Link"]


class Link:
    """One end.

    Args:
        table: its carrier and addresses.
        role: of this end.
    """

    kind: Final = "link"
    key_bits: Final = 256
    lead: Final = 0.0

    def __init__(self, table: LinkTable, *, role: Literal["initiator", "responder"]) -> None:
        self._most: Final = table.rekey_bytes
        self.ring: Final = KeyRing(Carrier[table.carrier.upper()], initiator=role == "initiator")
        self._carrier: Final = _carrier_of(table, self.ring)
        self._beating: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the carrier; nothing passes before the first key.

        Raises:
            TunnelError: an address or the interface cannot be taken.
        """
        await self._carrier.open()
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())

    async def stage(self, key: DeliveredKey) -> None:
        """Accept frames under a key.

        Raises:
            TunnelError: it was given before.
        """
        try:
            self.ring.stage(key.key_id, key.key)
        except ConflictError as error:
            raise TunnelError(error.message) from None

    async def switch(self, key_id: str) -> None:
        """Send under a key, and show it to the other end.

        Raises:
            TunnelError: the key is not ready, or the carrier is gone and cannot be started again.
        """
        await self._carrier.open()
        try:
            self.ring.switch(key_id)
        except NotFoundError as error:
            raise TunnelError(error.message) from None
        self._carrier.beat()

    async def proven(self, key_id: str) -> bool:
        """Whether a frame of the other end has come under this key."""
        return self.ring.proven(key_id)

    async def intact(self) -> bool:
        """Whether there is a key in use and the carrier is there."""
        return self.ring.active is not None and self._carrier.up

    async def retire(self) -> None:
        """Accept frames under the key in use alone."""
        self.ring.retire()

    async def block(self) -> None:
        """Drop everything until the next switch; connections are reset."""
        self.ring.block()
        self._carrier.cut()

    async def close(self) -> None:
        """End the carrier, and forget all keys."""
        if self._beating is not None:
            await ended(self._beating)
            self._beating = None
        await self._carrier.close()
        self.ring.block()
        self.ring.retire()

    def hungry(self) -> bool:
        """Whether `rekey_bytes` or too many frames went under the present key."""
        return self.ring.hungry(self._most)

    async def packets(self) -> None:
        """None: frames are counted in `figures`, those that carry nothing among them."""

    def figures(self) -> Mapping[str, float]:
        """Frames and bytes either way, what was dropped, and connections that are carried."""
        ring = self.ring
        return {
            "link_sent_frames_total": float(ring.sent),
            "link_sent_bytes_total": float(ring.sent_bytes),
            "link_received_frames_total": float(ring.received),
            "link_received_bytes_total": float(ring.received_bytes),
            "link_connections": float(self._carrier.connections),
            **{
                f"link_dropped_{cause.value.replace('-', '_')}_total": float(count)
                for cause, count in ring.dropped.items()
            },
        }

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(limits.ENCRYPTOR_BEAT)
            if self.ring.active is not None:
                self._carrier.beat()


def _carrier_of(table: LinkTable, ring: KeyRing) -> LinkCarrier:
    if table.carrier == "tcp":
        return TcpCarrier(ring, listen=table.listen, far=table.far, entry=table.entry, target=table.target)
    assert table.listen is not None
    assert table.far is not None
    if table.carrier == "udp":
        assert table.entry is not None
        return UdpCarrier(ring, listen=table.listen, far=table.far, entry=table.entry, target=table.target)
    assert table.interface is not None
    return TunCarrier(ring, listen=table.listen, far=table.far, interface=table.interface)

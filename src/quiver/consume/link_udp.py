"""The UDP carrier: datagrams that come to a local port go to the far end, which hands them to its own user, and back."""

import socket
from typing import Final

from quiver.consume.link_carrier import DatagramSocket, FarEnd, Place, bound, family_of, resolved
from quiver.consume.tunnel import TunnelError
from quiver.net.addresses import Address
from quiver.protocols.link_frames import Drop
from quiver.protocols.link_ring import KeyRing

__all__ = ["UdpCarrier"]


class UdpCarrier:
    """One end.

    Args:
        ring: the keys.
        listen: where frames come to.
        far: where the other end listens.
        entry: the port for this side's user.
        target: the user; None for whoever sent to `entry` last.
    """

    connections: Final = 0

    def __init__(self, ring: KeyRing, *, listen: Address, far: Address, entry: Address, target: Address | None) -> None:
        self._ring: Final = ring
        self._far: Final = FarEnd(ring, listen, far, self._leave)
        self._entry: Final = entry
        self._target: Final = target
        self._socket: DatagramSocket | None = None
        self._user: Place | None = None

    @property
    def up(self) -> bool:
        """Whether it was opened: UDP has nothing that ends by itself."""
        return self._socket is not None

    async def open(self) -> None:
        """Take both ports.

        Raises:
            TunnelError: one cannot be taken, or a name is unknown.
        """
        if self._socket is not None:
            return
        if self._target is not None:
            self._user = await resolved(self._target, family_of(self._entry), socket.SOCK_DGRAM)
        await self._far.open()
        try:
            self._socket = DatagramSocket(bound(self._entry), self._enter)
        except TunnelError:
            self._far.close()
            raise

    async def close(self) -> None:
        """Give the ports back."""
        self._far.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def beat(self) -> None:
        """Send a frame that says nothing."""
        self._far.beat()

    def cut(self) -> None:
        """Nothing is under way: each datagram is dropped by itself."""

    def _enter(self, datagram: bytes, place: Place) -> None:
        if self._target is None:
            self._user = place
        self._far.packet(datagram)

    def _leave(self, datagram: bytes) -> None:
        if self._user is None or self._socket is None:
            self._ring.drop(Drop.NO_TARGET)
        elif not self._socket.send(datagram, self._user):
            self._ring.drop(Drop.FULL)

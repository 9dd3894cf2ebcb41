"""The TUN carrier: IP packets of an interface of this machine go to the far end's interface, over UDP. It needs CAP_NET_ADMIN.

An interface that is not there is made and goes away with the process; one that was made beforehand (`ip tuntap add mode tun`)
stays, so that its routes do, and needs no more than its owner. Addresses and routes are the operator's to set.
"""

import asyncio
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from quiver.consume.link_carrier import FarEnd
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.net.addresses import Address
from quiver.protocols.link_frames import Drop
from quiver.protocols.link_ring import KeyRing

__all__ = ["TunCarrier"]

_DEVICE: Final = Path("/dev/net/tun")
_TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000  # nothing before the packet
_REQUEST: Final = struct.Struct("16sH22x")  # struct ifreq
_LARGEST: Final = 65_535  # bytes of a packet


class TunCarrier:
    """One end.

    Args:
        ring: the keys.
        listen: where frames come to.
        far: where the other end listens.
        interface: its name.
    """

    connections: Final = 0

    def __init__(self, ring: KeyRing, *, listen: Address, far: Address, interface: str) -> None:
        self._ring: Final = ring
        self._far: Final = FarEnd(ring, listen, far, self._leave)
        self._interface: Final = interface
        self._descriptor: int | None = None

    @property
    def up(self) -> bool:
        """Whether the interface is there."""
        return self._descriptor is not None

    async def open(self) -> None:
        """Take port and interface.

        Raises:
            TunnelError: one cannot be taken, or a name is unknown.
        """
        if self._descriptor is not None:
            return
        self._far.close()  # of an interface that has gone
        descriptor = _attached(self._interface)
        try:
            await self._far.open()
        except TunnelError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._enter)

    async def close(self) -> None:
        """Give both back."""
        self._far.close()
        self._detach()

    def beat(self) -> None:
        """Send a frame that says nothing."""
        self._far.beat()

    def cut(self) -> None:
        """Nothing is under way: each packet is dropped by itself. The interface stays, so that nothing takes another way."""

    def _enter(self) -> None:
        for _ in range(limits.ENCRYPTOR_BATCH):
            if self._descriptor is None:
                return
            try:
                packet = os.read(self._descriptor, _LARGEST)
            except BlockingIOError:
                return
            except OSError:  # somebody has removed it
                self._detach()
                return
            self._far.packet(packet)

    def _leave(self, packet: bytes) -> None:
        if self._descriptor is None:
            self._ring.drop(Drop.NO_TARGET)
            return
        try:
            os.write(self._descriptor, packet)
        except BlockingIOError:
            self._ring.drop(Drop.FULL)
        except OSError:  # it is down, or this is no IP packet
            self._ring.drop(Drop.NO_TARGET)

    def _detach(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


def _attached(interface: str) -> int:
    """A descriptor of the interface.

    Raises:
        TunnelError: it cannot be opened or made.
    """
    try:
        descriptor = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TunnelError(f"{_DEVICE}: {error.strerror}") from None
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, _REQUEST.pack(interface.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        os.close(descriptor)
        raise TunnelError(f"{interface}: {error.strerror}; making it needs CAP_NET_ADMIN") from None
    return descriptor

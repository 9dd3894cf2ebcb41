"""What carriers of the link encryptor have in common: frames over UDP to the far end, and sockets without queues of ours."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.net.addresses import Address
from quiver.protocols.link_frames import Drop, Kind
from quiver.protocols.link_ring import KeyRing

__all__ = ["DatagramSocket", "FarEnd", "LinkCarrier", "Place", "bound", "family_of", "resolved"]

Place = tuple[Any, ...]  # an address as sockets have it
_LARGEST: Final = 65_535  # bytes of a datagram


class LinkCarrier(Protocol):
    """Carries frames between the two ends, and what they protect between this end and those who use it."""

    @property
    def up(self) -> bool:
        """Whether all that was opened is still there."""

    async def open(self) -> None:
        """Take its addresses or its interface.

        Raises:
            TunnelError: it cannot; nothing is left open.
        """

    async def close(self) -> None:
        """Give them back."""

    def beat(self) -> None:
        """Send a frame that says nothing, which shows the key in use to the far end."""

    def cut(self) -> None:
        """Nothing passes from now on: end what cannot go on without what is dropped."""

    @property
    def connections(self) -> int:
        """Connections that are carried now."""


async def resolved(address: Address, family: int, kind: int) -> Place:
    """An address as sockets of this family have it.

    Raises:
        TunnelError: there is none of the name.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, family=family, type=kind)
    except OSError as error:
        raise TunnelError(f"{address}: {error.strerror or 'unknown host'}") from None
    return found[0][4]


def family_of(address: Address) -> socket.AddressFamily:
    """Of an address in digits."""
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


def bound(address: Address) -> socket.socket:
    """A UDP socket at an address of this machine.

    Raises:
        TunnelError: it cannot be taken.
    """
    made = socket.socket(family_of(address), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        made.bind((address.host, address.port))
    except OSError as error:
        made.close()
        raise TunnelError(f"{address}: {error.strerror}") from None
    return made


class DatagramSocket:
    """A UDP socket. What the kernel has no room for is dropped: nothing waits here.

    Args:
        own: the socket.
        receive: gets each datagram and where it is from.
    """

    def __init__(self, own: socket.socket, receive: Callable[[bytes, Place], None]) -> None:
        self._socket: Final = own
        self._receive: Final = receive
        asyncio.get_running_loop().add_reader(own, self._read)

    def close(self) -> None:
        """Give it back."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def send(self, datagram: bytes, to: Place) -> bool:
        """Send; whether the kernel took it."""
        try:
            self._socket.sendto(datagram, to)
        except OSError:  # no room, nobody there, no route, or longer than the way takes
            return False
        return True

    def _read(self) -> None:
        for _ in range(limits.ENCRYPTOR_BATCH):
            try:
                datagram, place = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # nobody was there for one that we sent (RFC 1122 section 4.1.3.3)
                continue
            self._receive(datagram, place)


class FarEnd:
    """The other end of the link, over UDP.

    Args:
        ring: the keys.
        listen: where its frames come to.
        far: where it listens.
        receive: gets each datagram or packet that comes out.
    """

    def __init__(self, ring: KeyRing, listen: Address, far: Address, receive: Callable[[bytes], None]) -> None:
        self._ring: Final = ring
        self._listen: Final = listen
        self._far: Final = far
        self._receive: Final = receive
        self._socket: DatagramSocket | None = None
        self._place: Place = ()

    async def open(self) -> None:
        """Listen.

        Raises:
            TunnelError: the address cannot be taken, or the other end's name is unknown.
        """
        self._place = await resolved(self._far, family_of(self._listen), socket.SOCK_DGRAM)
        self._socket = DatagramSocket(bound(self._listen), self._take)

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def beat(self) -> None:
        """Send a frame that says nothing."""
        self._send(Kind.KEEP, b"")

    def packet(self, packet: bytes) -> None:
        """Send a datagram or a packet, or drop it."""
        self._send(Kind.PACKET, packet)

    def _send(self, kind: Kind, body: bytes) -> None:
        if self._socket is None:
            return
        frame = self._ring.seal(bytes((kind,)) + body)
        if not isinstance(frame, Drop) and not self._socket.send(frame, self._place):
            self._ring.drop(Drop.FULL)

    def _take(self, datagram: bytes, _place: Place) -> None:
        """A frame, from wherever: its tag says whose it is."""
        payload = self._ring.open(datagram)
        if isinstance(payload, Drop) or payload[0] == Kind.KEEP:
            return
        if payload[0] != Kind.PACKET:
            self._ring.drop(Drop.MALFORMED)
            return
        self._receive(payload[1:])

"""Both ends of a link encryptor: as two ends at work over real KMEs, or alone with keys from the test."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from quiver.consume.config_tables import LinkTable
from quiver.consume.link import Link
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from quiver.net.addresses import Address, ListenAddress
from quiver.net.ports import free_ports
from tests.consume.ground import until

_KEYS = itertools.count()


class Addresses:
    """Free ports for both ends of a carrier."""

    def __init__(self) -> None:
        ports = free_ports(6)
        self.far = {"initiator": ports[0], "responder": ports[1]}
        self.entry = {"initiator": ports[2], "responder": ports[3]}
        self.target = {"initiator": ports[4], "responder": ports[5]}

    def values(self, carrier: str, role: str) -> dict[str, str]:
        """What a [link] table says, without the users' addresses."""
        other = "responder" if role == "initiator" else "initiator"
        ends = {"listen": f"127.0.0.1:{self.far[role]}", "far": f"127.0.0.1:{self.far[other]}"}
        if carrier == "tcp":
            ends.pop("listen" if role == "initiator" else "far")
        return {"carrier": carrier, **ends, "entry": f"127.0.0.1:{self.entry[role]}"}

    def toml(self, carrier: str, role: str, **more: object) -> str:
        """The table as text."""
        values = {**self.values(carrier, role), **more}
        return "[link]\n" + "\n".join(
            f"{name} = {value if isinstance(value, int) else f'{value!r}'}" for name, value in values.items()
        )

    def table(self, carrier: str, role: str, **more: Any) -> LinkTable:
        """The table itself."""
        kinds = {"listen": ListenAddress, "far": Address, "entry": ListenAddress, "target": Address}
        values = {**self.values(carrier, role), **more}
        return LinkTable(
            **{name: kinds.get(name, lambda one: one)(value) for name, value in values.items() if value is not None}
        )


def give(key_id: str) -> list[DeliveredKey]:
    """A key for each of the ends, the same bytes."""
    return [DeliveredKey(key_id, Secret(key_id.encode().ljust(32, b"."))) for _ in range(2)]


async def change(initiator: Link, responder: Link) -> str:
    """A whole rollover, in the order of its steps."""
    key_id = f"key-{next(_KEYS)}"
    for end, key in zip((responder, initiator), give(key_id), strict=True):
        await end.stage(key)
    await responder.switch(key_id)
    await initiator.switch(key_id)
    await until(lambda: initiator.ring.proven(key_id) and responder.ring.proven(key_id))
    await responder.retire()
    await initiator.retire()
    return key_id


@asynccontextmanager
async def links(initiator: LinkTable, responder: LinkTable) -> AsyncIterator[tuple[Link, Link]]:
    """Both ends, open and without a key."""
    here, there = Link(initiator, role="initiator"), Link(responder, role="responder")
    try:
        await here.open()
        await there.open()
        yield here, there
    finally:
        await here.close()
        await there.close()


class Datagrams:
    """A user of the UDP carrier: a socket of its own."""

    def __init__(self, port: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, datagram: bytes, port: int) -> None:
        self.socket.sendto(datagram, ("127.0.0.1", port))

    async def receive(self) -> tuple[bytes, int]:
        """The next datagram, and the port that it is from."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                datagram, place = self.socket.recvfrom(65_535)
            except BlockingIOError:
                readable = asyncio.Event()
                loop.add_reader(self.socket, readable.set)
                try:
                    await readable.wait()
                finally:
                    loop.remove_reader(self.socket)
            else:
                return datagram, place[1]


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def target(port: int, serve: Serve) -> AsyncIterator[None]:
    """A TCP server for users of the other end."""
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it hears, to its end."""
    try:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


class Tap:
    """A UDP relay between both ends, which sees and meddles with each datagram.

    Args:
        meddle: what is sent on for a datagram.
    """

    def __init__(self, meddle: Callable[[bytes], list[bytes]] = lambda one: [one]) -> None:
        self.seen: list[bytes] = []
        self.meddle = meddle
        self.sockets: list[socket.socket] = []

    def lay(self, port: int, to: int) -> None:
        """Take what comes to a port on to another."""
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        own.bind(("127.0.0.1", port))
        self.sockets.append(own)

        def pass_on() -> None:
            datagram = own.recv(65_535)
            self.seen.append(datagram)
            for one in self.meddle(datagram):
                own.sendto(one, ("127.0.0.1", to))

        asyncio.get_running_loop().add_reader(own, pass_on)

    def close(self) -> None:
        for own in self.sockets:
            asyncio.get_running_loop().remove_reader(own)
            own.close()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def carried(places: Addresses) -> AsyncIterator[tuple[Link, Link]]:
    """Both ends with a key; each has users and a target."""
    here, there = (
        places.table("tcp", role, target=f"127.0.0.1:{places.target[role]}") for role in ("initiator", "responder")
    )
    async with links(here, there) as both:
        await change(*both)
        yield both


async def user(places: Addresses, role: str = "initiator") -> Ends:
    return await asyncio.open_connection("127.0.0.1", places.entry[role])


def dropped(link: Link) -> dict[str, int]:
    return {cause.value: count for cause, count in link.ring.dropped.items() if count}

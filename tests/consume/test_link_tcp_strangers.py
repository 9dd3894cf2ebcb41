"""The link encryptor over TCP with somebody on the way: all that he can do is break it off."""

import asyncio
import contextlib

import pytest

from quiver.consume.link_session import payloads
from quiver.domain import limits
from quiver.domain.secret import Secret
from quiver.protocols.link_frames import Carrier, Drop
from quiver.protocols.link_ring import KeyRing
from tests.consume.ground import run, until
from tests.consume.link_ground import Addresses, carried, change, dropped, echo, links, target, user


class Way:
    """A TCP relay between the two ends, which keeps what it saw and changes a byte when it is told to.

    Attributes:
        seen: of each connection, what came from the initiator.
        flip: the byte of that to change, once; None for none.
    """

    def __init__(self) -> None:
        self.seen: list[bytearray] = []
        self.flip: int | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: int) -> None:
        own: bytearray = bytearray()
        self.seen.append(own)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to)
            back = asyncio.create_task(_copy(far_reader, writer))
            while part := await reader.read(65_536):
                changed = bytearray(part)
                if self.flip is not None:
                    changed[self.flip % len(part)] ^= 1
                    self.flip = None
                own += part
                far_writer.write(changed)
                await far_writer.drain()
            far_writer.close()
            back.cancel()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    writer.close()


def test_a_stranger_on_the_way_can_only_break_it_off() -> None:
    """Each byte of a frame changed in turn; whole connections replayed; nothing false arrives, and the link comes back."""

    async def main() -> None:
        places, way = Addresses(), Way()
        here = places.table("tcp", "initiator", far=f"127.0.0.1:{places.far['initiator']}")
        there = places.table("tcp", "responder", target=f"127.0.0.1:{places.target['responder']}")
        async with (
            target(places.far["initiator"], lambda *ends: way.serve(*ends, places.far["responder"])),
            target(places.target["responder"], echo),
            links(here, there) as both,
        ):
            await change(*both)
            for place in range(0, 60, 7):
                reader, writer = await user(places)
                writer.write(b"before")
                assert await reader.readexactly(6) == b"before"
                sessions = len(way.seen)
                way.flip = place
                writer.write(b"after, which never comes")
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
                writer.close()
                await until(lambda sessions=sessions: len(way.seen) > sessions and bool(way.seen[-1]))  # type: ignore[misc]
                if place < 56:
                    await change(*both)
            bad = dropped(both[1])
            assert "wrong-tag" in bad
            assert not {"no-key", "blocked", "exhausted", "full", "no-target"} & bad.keys()
            for recorded in way.seen:
                reader, writer = await asyncio.open_connection("127.0.0.1", places.far["responder"])
                writer.write(bytes(recorded))
                with contextlib.suppress(ConnectionResetError):
                    assert await reader.read() == b""
                writer.close()
            assert both[1].ring.dropped[Drop.REPLAYED] >= 1
            assert b"before" not in b"".join(way.seen)
            reader, writer = await user(places)
            writer.write(b"still the same connection of the carrier")
            writer.write_eof()
            assert await reader.read() == b"still the same connection of the carrier"
            writer.close()

    run(main())


@pytest.mark.parametrize(
    ("order", "arrives", "cause"),
    [
        ([0, 1, 2, 3, 4, 5], 6, None),
        ([2, 3, 4, 5], 4, None),  # of a connection that begins later
        ([0, 1, 3, 4, 5], 2, Drop.OUT_OF_ORDER),  # one is left out
        ([0, 1, 2, 4, 5], 3, Drop.OUT_OF_ORDER),  # likewise: the last one under the old key
        ([0, 1, 2, 5], 3, Drop.OUT_OF_ORDER),
        ([0, 2, 1, 3], 1, Drop.OUT_OF_ORDER),
        ([0, 1, 1, 2], 2, Drop.OUT_OF_ORDER),
        ([0, 1, 2, 3, 4, 0], 5, Drop.OUT_OF_ORDER),
    ],
)
def test_a_sequence_goes_on_from_frame_to_frame_across_a_change(
    order: list[int], arrives: int, cause: Drop | None
) -> None:
    """Frames 0 to 3 are under the old key, 4 and 5 under the new one."""
    rings = [KeyRing(Carrier.TCP, initiator=initiator) for initiator in (True, False)]
    frames: list[bytes] = []
    for key_id, count in (("k0", 4), ("k1", 2)):
        for ring in rings:
            ring.stage(key_id, Secret(key_id.encode() * 16))
        rings[0].switch(key_id)
        if key_id == "k0":
            rings[1].switch(key_id)
        for _ in range(count):
            frame = rings[0].seal(b"\0%d" % len(frames))
            assert isinstance(frame, bytes)
            frames.append(frame)

    async def main() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(frames[number] for number in order))
        reader.feed_eof()
        return [payload async for payload in payloads(reader, rings[1])]

    assert run(main()) == [b"\0%d" % number for number in order[:arrives]]
    assert {one for one, count in rings[1].dropped.items() if count} == ({cause} if cause else set())


def test_strangers_at_the_port_are_few_and_do_not_disturb() -> None:
    async def main() -> None:
        places = Addresses()
        async with carried(places) as both, target(places.target["responder"], echo):
            reader, writer = await user(places)
            strangers = [
                await asyncio.open_connection("127.0.0.1", places.far["responder"])
                for _ in range(3 * limits.ENCRYPTOR_STRANGERS)
            ]
            await until(lambda: both[1].ring.dropped[Drop.FULL] == 2 * limits.ENCRYPTOR_STRANGERS)
            for number, (_, stranger) in enumerate(strangers):
                if not stranger.is_closing():
                    stranger.write((b"GET / HTTP/1.1\r\n\r\n" if number % 2 else b"\1\2\xff\xff") + bytes(70_000))
                stranger.close()
            writer.write(b"on and on")
            assert await reader.readexactly(9) == b"on and on"
            writer.close()

    run(main())

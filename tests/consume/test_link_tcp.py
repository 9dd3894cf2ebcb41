"""The link encryptor over TCP: connections arrive byte for byte, end as they were ended, and stop where nobody reads."""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from quiver.consume.link import Link
from quiver.consume.link_flow import abort
from quiver.consume.link_session import payloads
from quiver.domain import limits
from quiver.domain.secret import Secret
from quiver.identity.lab import Lab
from quiver.protocols.link_frames import Carrier, Drop
from quiver.protocols.link_ring import KeyRing
from tests.consume.ground import Sites, both_ends, play, process, rolled_over, run, until
from tests.consume.link_ground import Addresses, change, echo, links, target

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def tcp(places: Addresses) -> AsyncIterator[tuple[Link, Link]]:
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


def test_connections_of_both_sides_at_a_time_arrive_byte_for_byte() -> None:
    """Each way carries 30 connections with 1 to 300,000 bytes, echoed, while keys change."""

    async def main() -> None:
        places = Addresses()
        drawn = random.Random(5)

        async def converse(role: str, material: bytes) -> None:
            reader, writer = await user(places, role)
            writer.write(material)
            writer.write_eof()
            assert hashlib.sha256(await reader.read()).digest() == hashlib.sha256(material).digest()
            writer.close()

        async with (
            tcp(places) as both,
            target(places.target["initiator"], echo),
            target(places.target["responder"], echo),
        ):
            sent = 0
            async with asyncio.TaskGroup() as work:
                tasks = []
                for role in ("initiator", "responder") * 30:
                    material = drawn.randbytes(drawn.choice([1, 1000, 300_000]))
                    sent += len(material)
                    tasks.append(work.create_task(converse(role, material)))
                while not all(task.done() for task in tasks):
                    await change(*both)
            await until(lambda: all(one.figures()["link_connections"] == 0 for one in both))
            assert dropped(both[0]) == dropped(both[1]) == {}
            assert both[0].ring.sent_bytes > sent
            assert both[0].ring.received == both[1].ring.sent

    run(main())


def test_one_direction_may_end_before_the_other() -> None:
    async def main() -> None:
        places = Addresses()
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.read() == b"question"
            ended.set()
            for part in (b"a long ", b"answer"):
                writer.write(part)
                await writer.drain()
            writer.close()

        async with tcp(places), target(places.target["responder"], serve):
            reader, writer = await user(places)
            writer.write(b"question")
            writer.write_eof()
            await ended.wait()
            assert await reader.read() == b"a long answer"
            writer.close()

    run(main())


def test_a_reader_that_is_slow_stops_its_writer_and_nobody_else() -> None:
    async def main() -> None:
        places = Addresses()
        go_on = asyncio.Event()
        got = bytearray()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if await reader.readexactly(1) == b"s":
                await go_on.wait()
            while part := await reader.read(65_536):
                got.extend(part)
            writer.write(b"done")
            writer.close()

        async with tcp(places) as both, target(places.target["responder"], serve):
            reader, writer = await user(places)
            writer.write(b"s")
            given = 0
            with contextlib.suppress(TimeoutError):
                while given < 64 << 20:
                    writer.write(bytes(65_536))
                    given += 65_536
                    async with asyncio.timeout(1.0):
                        await writer.drain()
            assert given < 32 << 20, "sockets of the kernel on three hops, and the credit of one stream"
            assert both[0].ring.sent_bytes < 16 << 20
            await change(*both)
            quick_reader, quick = await user(places)
            quick.write(b"q" + b"others go on")
            quick.write_eof()
            assert await quick_reader.read() == b"done"
            assert got == b"others go on"
            quick.close()
            got.clear()
            go_on.set()
            await writer.drain()
            writer.write_eof()
            assert await reader.read() == b"done"
            assert len(got) == given
            writer.close()

    run(main())


def test_a_connection_that_is_broken_off_is_broken_at_the_other_end() -> None:
    """RST, not an end: what was said is not whole."""

    async def main() -> None:
        places = Addresses()
        met: asyncio.Queue[Ends] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await met.put((reader, writer))

        async with tcp(places) as both, target(places.target["responder"], serve):
            for breaks in ("user", "target", "link"):
                near = await user(places)
                near[1].write(b"half of what")
                far = await met.get()
                assert await far[0].readexactly(12) == b"half of what"
                if breaks == "link":
                    await both[1].block()
                    for reader, _ in (near, far):
                        with pytest.raises(ConnectionResetError):
                            await reader.read()
                else:
                    ends, others = (near, far) if breaks == "user" else (far, near)
                    abort(ends[1])
                    with pytest.raises(ConnectionResetError):
                        await others[0].read()
                near[1].close()
                far[1].close()
                await until(lambda: all(one.figures()["link_connections"] == 0 for one in both))

    run(main())


def test_nobody_at_the_target_and_no_target_at_all() -> None:
    async def main() -> None:
        places = Addresses()
        there = places.table("tcp", "responder")  # without a target
        here = places.table("tcp", "initiator", target=f"127.0.0.1:{places.target['initiator']}")  # where nobody is
        async with links(here, there) as both:
            await change(*both)
            for role in ("initiator", "responder"):
                reader, writer = await user(places, role)
                with pytest.raises(ConnectionResetError):
                    await reader.read()
                writer.close()
            assert dropped(both[1]) == {"no-target": 1}
            await change(*both)

    run(main())


def test_nothing_passes_before_the_first_key_or_while_blocked() -> None:
    async def main() -> None:
        places = Addresses()
        async with (
            links(
                places.table("tcp", "initiator"),
                places.table("tcp", "responder", target=f"127.0.0.1:{places.target['responder']}"),
            ) as both,
            target(places.target["responder"], echo),
        ):
            await _refused(places)
            await change(*both)
            await both[0].block()
            await _refused(places)
            assert dropped(both[0]).keys() == {"no-key", "blocked"}
            await change(*both)
            reader, writer = await user(places)
            writer.write(b"open again")
            writer.write_eof()
            assert await reader.read() == b"open again"
            writer.close()

    run(main())


async def _refused(places: Addresses) -> None:
    reader, writer = await user(places)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


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
        async with tcp(places) as both, target(places.target["responder"], echo):
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


def test_over_real_kmes_a_restart_of_either_end_breaks_connections_and_new_ones_work(lab: Lab, tmp_path: Path) -> None:
    places = Addresses()

    async def scene(sites: Sites) -> None:
        paths = {
            role: sites.write(role, places.toml("tcp", role, target=f"127.0.0.1:{places.target[role]}"))
            for role in ("initiator", "responder")
        }

        async def works(role: str) -> None:
            """Until a connection of this side works again."""
            while True:
                with contextlib.suppress(OSError):
                    reader, writer = await user(places, role)
                    with contextlib.closing(writer):
                        writer.write(b"hello")
                        writer.write_eof()
                        if await reader.read() == b"hello":
                            return
                await asyncio.sleep(0.05)

        async with target(places.target["initiator"], echo), target(places.target["responder"], echo):
            async with both_ends(paths["initiator"], paths["responder"]) as ends:
                await rolled_over(ends, 2)
                await works("initiator")
                await works("responder")
                assert [dropped(end.end.tunnel) for end in ends] == [{}, {}]  # type: ignore[arg-type]
            async with process("link", paths["responder"]) as there:
                async with process("link", paths["initiator"]):
                    await works("initiator")
                async with process("link", paths["initiator"]):
                    await works("initiator")
                    await there.stopped(9)
                    async with process("link", paths["responder"]):
                        await works("initiator")
                        await works("responder")

    play(lab, tmp_path, scene)

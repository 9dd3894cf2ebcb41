"""The link encryptor over TCP: connections arrive byte for byte, end as they were ended, and stop where nobody reads."""

import asyncio
import contextlib
import hashlib
import random
from pathlib import Path

import pytest

from quiver.consume.link_flow import abort
from quiver.identity.lab import Lab
from tests.consume.ground import Sites, both_ends, play, process, rolled_over, run, until
from tests.consume.link_ground import Addresses, Ends, carried, change, dropped, echo, links, target, user


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
            carried(places) as both,
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

        async with carried(places), target(places.target["responder"], serve):
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

        async with carried(places) as both, target(places.target["responder"], serve):
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

        async with carried(places) as both, target(places.target["responder"], serve):
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

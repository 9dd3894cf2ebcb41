"""The link encryptor over UDP, with two real ends: datagrams come through, encrypted, and nothing comes through without a key."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from quiver.consume.link import Link
from quiver.consume.tunnel import TunnelError
from quiver.identity.lab import Lab
from quiver.net.ports import free_ports
from quiver.protocols.link_frames import Drop
from tests.consume.ground import Sites, both_ends, metrics, play, process, rolled_over, run, until
from tests.consume.link_ground import Addresses, Datagrams, Tap, change, dropped, give, links


def test_datagrams_go_to_the_target_and_answers_to_who_asked() -> None:
    async def main() -> None:
        places = Addresses()
        with Datagrams() as user, Datagrams() as server:
            there = places.table("udp", "responder", target=f"127.0.0.1:{server.port}")
            async with links(places.table("udp", "initiator"), there) as both:
                await change(*both)
                for size in (0, 1, 1400, 60_000):
                    user.send(bytes(size), places.entry["initiator"])
                    datagram, port = await server.receive()
                    assert (len(datagram), port) == (size, places.entry["responder"])
                    server.send(b"answer to %d" % size, port)
                    assert await user.receive() == (b"answer to %d" % size, places.entry["initiator"])
                assert dropped(both[0]) == dropped(both[1]) == {}

    run(main())


def test_nothing_passes_without_a_key_or_while_blocked() -> None:
    async def main() -> None:
        places = Addresses()
        with Datagrams() as user, Datagrams() as server:
            there = places.table("udp", "responder", target=f"127.0.0.1:{server.port}")
            async with links(places.table("udp", "initiator"), there) as both:
                user.send(b"too early", places.entry["initiator"])
                await until(lambda: dropped(both[0]) == {"no-key": 1})
                await change(*both)
                await both[0].block()
                assert not await both[0].intact()
                user.send(b"blocked", places.entry["initiator"])
                await until(lambda: both[0].ring.dropped[Drop.BLOCKED] >= 1)
                await change(*both)
                user.send(b"open again", places.entry["initiator"])
                assert (await server.receive())[0] == b"open again"

    run(main())


def test_a_stranger_on_the_way_changes_nothing() -> None:
    """Each frame comes doubled, flipped, sent back and with garbage: each datagram arrives once, and all else is counted."""

    async def main() -> None:
        places = Addresses()
        way, back = free_ports(2)
        frames: list[bytes] = []

        def meddle(frame: bytes) -> list[bytes]:
            frames.append(frame)
            flipped = bytearray(frame)
            flipped[len(frames) % len(frame)] ^= 1
            return [bytes(flipped), b"garbage" * 9, frame, frame, frame[:-1], *frames[-3:]]

        tap = Tap(meddle)
        tap.lay(way, places.far["responder"])
        tap.lay(back, places.far["initiator"])
        with Datagrams() as user, Datagrams() as server:
            ends = links(
                places.table("udp", "initiator", far=f"127.0.0.1:{way}"),
                places.table("udp", "responder", far=f"127.0.0.1:{back}", target=f"127.0.0.1:{server.port}"),
            )
            async with ends as both:
                await change(*both)
                for number in range(50):
                    user.send(b"secret %d" % number, places.entry["initiator"])
                    assert (await server.receive())[0] == b"secret %d" % number
                    if number % 10 == 5:
                        await change(*both)
                assert dropped(both[1]).keys() >= {"replayed", "malformed"}
                assert len({*dropped(both[1])} & {"wrong-tag", "unknown-key", "other-carrier"}) >= 1
        tap.close()
        assert not [frame for frame in tap.seen if b"secret" in frame]

    run(main())


def test_a_change_in_the_middle_of_traffic_loses_and_doubles_nothing() -> None:
    async def main() -> None:
        places = Addresses()
        with Datagrams() as user, Datagrams() as server:
            there = places.table("udp", "responder", target=f"127.0.0.1:{server.port}")
            async with links(places.table("udp", "initiator"), there) as both:
                await change(*both)
                got = []

                async def receive() -> None:
                    while len(got) < 2000:
                        datagram, port = await server.receive()
                        got.append(int(datagram))
                        server.send(datagram, port)

                async def send() -> None:
                    for number in range(2000):
                        user.send(b"%d" % number, places.entry["initiator"])
                        assert await user.receive() == (b"%d" % number, places.entry["initiator"])

                async with asyncio.TaskGroup() as work:
                    work.create_task(receive())
                    traffic = work.create_task(send())
                    changes = 0
                    while not traffic.done():
                        await change(*both)
                        changes += 1
                assert got == list(range(2000))
                assert changes >= 3
                assert dropped(both[0]) == dropped(both[1]) == {}

    run(main())


def test_proof_needs_no_traffic_and_a_key_of_the_other_end() -> None:
    async def main() -> None:
        places = Addresses()
        async with links(places.table("udp", "initiator"), places.table("udp", "responder")) as both:
            here, there = both
            key, other = give("k")
            await here.stage(key)
            await here.switch("k")
            assert not await here.proven("k")
            other.key.wipe()  # the other end was given another key
            await there.stage(other)
            await there.switch("k")
            await until(lambda: here.ring.dropped[Drop.WRONG_TAG] > 0)
            assert not await here.proven("k")
            await change(here, there)

    run(main())


def test_what_the_tunnel_refuses() -> None:
    async def main() -> None:
        places = Addresses()
        with Datagrams() as other:
            taken = Link(places.table("udp", "initiator", entry=f"127.0.0.1:{other.port}"), role="initiator")
            with pytest.raises(TunnelError, match="Address already in use"):
                await taken.open()
            assert not await taken.intact()
        await taken.open()
        with pytest.raises(TunnelError, match="no key k9 is ready"):
            await taken.switch("k9")
        for key in give("k")[:1]:
            await taken.stage(key)
            await taken.switch("k")
        with pytest.raises(TunnelError, match="was given before"):
            await taken.stage(give("k")[0])
        await taken.close()
        nowhere = Link(places.table("udp", "initiator", far="no-such-host.invalid:1"), role="initiator")
        with pytest.raises(TunnelError, match=r"no-such-host\.invalid:1"):
            await nowhere.open()
        await nowhere.close()

    run(main())


def test_two_ends_over_real_kmes_change_keys_by_time_and_by_bytes(lab: Lab, tmp_path: Path) -> None:
    places = Addresses()

    async def scene(sites: Sites) -> None:
        with Datagrams() as user, Datagrams() as server:
            target = {"target": f"127.0.0.1:{server.port}"}
            here = sites.write("initiator", places.toml("udp", "initiator", rekey_bytes=65_536))
            there = sites.write("responder", places.toml("udp", "responder", **target))
            async with both_ends(here, there) as ends:
                await rolled_over(ends, 2)  # by time: an interval of one second
            here = sites.write(
                "initiator", places.toml("udp", "initiator", rekey_bytes=65_536), rollover="interval = 3000"
            )
            async with both_ends(here, there) as ends:
                await rolled_over(ends, 1)
                for _ in range(3):
                    rollovers = ends[0].side.rollovers
                    while ends[0].side.rollovers == rollovers:
                        user.send(bytes(8192), places.entry["initiator"])
                        assert len((await server.receive())[0]) == 8192
                await rolled_over(ends, 4)
                failures = ends[0].side.machine.failures  # type: ignore[union-attr]
                assert sum(failures.values()) == 0

    with capture_logs() as logs:
        play(lab, tmp_path, scene)
    assert [one for one in logs if one["log_level"] in {"warning", "error"}] == []


def test_as_processes_with_metrics_and_a_restart_of_either_end(lab: Lab, tmp_path: Path) -> None:
    places = Addresses()
    (port,) = free_ports(1)

    async def scene(sites: Sites) -> None:
        with Datagrams() as user, Datagrams() as server:

            async def exchange() -> None:
                """Until one comes through."""
                while True:
                    user.send(b"are you there", places.entry["initiator"])
                    try:
                        async with asyncio.timeout(0.2):
                            await server.receive()
                            return
                    except TimeoutError:
                        continue

            shown = f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
            here = sites.write("initiator", places.toml("udp", "initiator"))
            there = sites.write(
                "responder", places.toml("udp", "responder", target=f"127.0.0.1:{server.port}") + "\n" + shown
            )
            async with process("link", there) as responder:
                async with process("link", here):
                    await exchange()
                async with process("link", here):
                    await exchange()
                    while (figures := await metrics(f"http://127.0.0.1:{port}"))["consumer_rollovers_total"] < 2:
                        pass  # one with each of the two initiators; it is counted after it is in use
                    assert figures["consumer_link_received_frames_total"] > 0
                    assert figures["consumer_link_dropped_replayed_total"] == 0
                    await responder.stopped()
                    async with process("link", there):
                        await exchange()

    play(lab, tmp_path, scene)

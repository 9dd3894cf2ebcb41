"""Real WireGuard, in userspace, between two network namespaces: its keys change in step, and nothing passes without them."""

import asyncio
import os
import re
import time
from contextlib import asynccontextmanager

import msgspec
import pytest
import uvloop

from quiver.consume.config_tables import WireguardTable
from quiver.consume.wireguard import Wireguard
from quiver.demo.encrypt.commands import run, started
from quiver.demo.encrypt.wireguard import wireguard_sites
from quiver.demo.tables import to_toml
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from quiver.net.config_file import path_hook
from quiver.qkd.simulator import Fault
from tests.consume.ground import ROLES, SAES, metrics, process, sites

pytestmark = pytest.mark.system

REJECT_AFTER = 180.0  # seconds; a session's life (WireGuard's paper, section 6.1)
LATE = 420.0  # seconds until a scene counts as one that hangs


async def until(condition):
    """Wait until a coroutine function says so: programs outside of ours tell nothing by themselves."""
    while not await condition():  # noqa: ASYNC110
        await asyncio.sleep(0.1)


class Ping:
    """20 echoes a second from one site to the other, through the tunnel."""

    def __init__(self, tunnel):
        self.words = ("ip", "netns", "exec", tunnel.namespaces[0], "ping", "-i", "0.05", "-O", "10.210.0.2")
        self.sent = self.answered = 0
        self.last = 0.0  # when the last answer came

    async def __aenter__(self):
        self.running = await started(self.words, self.line, lambda: None)
        return self

    async def __aexit__(self, *_):
        await self.running.end()

    def line(self, line):
        if (found := re.search(rb"(\d+) packets transmitted, (\d+)", line)) is not None:
            self.sent, self.answered = int(found[1]), int(found[2])
        elif b"bytes from" in line:
            self.answered += 1
            self.last = time.monotonic()

    async def comes_through(self):
        seen = self.answered

        async def answered():
            return self.answered >= seen + 3

        await until(answered)

    async def is_silent(self, seconds):
        """Whether no answer comes for so long."""
        seen = self.answered
        await asyncio.sleep(seconds)
        return self.answered == seen


class Ground:
    """Both sites, their KMEs and their tunnel."""

    def __init__(self, both, tunnel):
        self.sites, self.tunnel = both, tunnel

    def write(self, **rollover):
        rows = {"interval": 120, **rollover}
        lines = to_toml(rows)
        for site in self.tunnel.ends:
            self.sites.write(site.role, to_toml(site.tables) + '\n[metrics]\nlisten = "127.0.0.1:0"\n', rollover=lines)

    def consumer(self, role):
        return process("wireguard", self.sites.directory / f"{role}.toml")

    async def shown(self, number, what):
        """What `wg show` says of the one peer; None where there is none."""
        text = (await run("wg", "show", self.tunnel.interfaces[number], what)).decode().strip()
        return text.split("\t")[1] if text else None

    async def without_key(self, number):
        """Make the peer known as wg-quick would, without a pre-shared key."""
        row = self.tunnel.ends[number].tables["wireguard"]
        words = ("endpoint", row["endpoint"], "allowed-ips", row["allowed_ips"][0])
        await run("wg", "set", row["interface"], "peer", row["peer"], *words)

    async def held(self):
        """Both interfaces' pre-shared keys."""
        return [await self.shown(number, "preshared-keys") for number in (0, 1)]

    async def both_hold_one_key(self, but=None):
        """Wait until both interfaces have the same pre-shared key, another one than `but`; the key."""

        async def hold():
            one, other = await self.held()
            return one == other and one not in {None, "(none)", but}

        await until(hold)
        return (await self.held())[0]


def play(lab, directory, scene):
    @asynccontextmanager
    async def ground():
        state = directory / "tunnel"
        state.mkdir()
        async with sites(lab, directory) as both, wireguard_sites((SAES[ROLES[0]], SAES[ROLES[1]]), state) as tunnel:
            yield Ground(both, tunnel)

    async def main():
        async with ground() as made:
            await scene(made)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), LATE))


async def counted(started_, count):
    """Wait until a consumer has counted so many rollovers."""

    async def enough():
        return (await metrics(started_.told["metrics_url"]))["consumer_rollovers_total"] >= count

    await until(enough)


def test_two_rollovers_lose_no_packet_and_a_wrong_key_ends_the_tunnel_in_three_minutes(lab, tmp_path):
    async def scene(ground):
        ground.write(when_exhausted="keep")
        keys = []
        async with ground.consumer("responder") as there, ground.consumer("initiator") as here:
            keys.append(await ground.both_hold_one_key())
            async with Ping(ground.tunnel) as first:
                await first.comes_through()
            async with Ping(ground.tunnel) as ping:
                for number in (1, 2):
                    for end in (here, there):
                        await counted(end, number)
                keys.append(await ground.both_hold_one_key())
            assert ping.sent > 1000
            assert ping.answered >= ping.sent - 1  # the last one may be on its way
            logs = [await end.stopped() for end in (here, there)]
        assert len(set(keys)) == 2, "the second handshake used the first key"
        assert not [line for log in logs for line in log if line["level"] in {"warning", "error"}], logs
        for log in logs:
            assert not [key for key in keys if key.rstrip("=") in repr(log)], "a key stands in the log"

        handshake = int(await ground.shown(0, "latest-handshakes"))
        wrong = ground.tunnel.state / "wrong.key"
        wrong.write_bytes(await run("wg", "genpsk"))
        peer = ("peer", ground.tunnel.peers[0], "preshared-key", str(wrong))
        await run("wg", "set", ground.tunnel.interfaces[1], *peer)
        async with Ping(ground.tunnel) as ping:
            await ping.comes_through()  # the session goes on until it has to be renewed
            while not await ping.is_silent(5.0):
                pass
            lasted = time.time() - (time.monotonic() - ping.last) - handshake
            assert await ping.is_silent(8.0), "a handshake with two different keys has opened the tunnel again"
        assert lasted <= REJECT_AFTER + 2, f"{lasted:.0f} s after the last handshake"

    play(lab, tmp_path, scene)


def test_before_the_first_key_nothing_passes(lab, tmp_path):
    async def scene(ground):
        ground.write(when_exhausted="keep")
        ground.sites.simulator.apply(Fault.ONE_SIDE)
        async with ground.consumer("responder"), ground.consumer("initiator"), Ping(ground.tunnel) as ping:

            async def have_keys():
                return not {None, "(none)"}.intersection(await ground.held())

            await until(have_keys)
            held = await ground.held()
            assert held[0] != held[1]
            assert await ping.is_silent(8.0)  # handshakes are tried every 5 s
            assert ping.answered == 0
            for number in (0, 1):  # the interfaces are made anew before there is a key
                await ground.tunnel.down(number)
                await ground.tunnel.up(number)
                await ground.without_key(number)
            await until(have_keys)
            assert await ping.is_silent(8.0)
            ground.sites.simulator.apply(Fault.REPAIR)
            await ping.comes_through()

    play(lab, tmp_path, scene)


def test_interfaces_that_were_made_anew_have_the_last_key_again_though_the_network_has_none(lab, tmp_path):
    async def scene(ground):
        ground.write()
        async with ground.consumer("responder"), ground.consumer("initiator"), Ping(ground.tunnel) as ping:
            await ping.comes_through()
            key = await ground.both_hold_one_key()
            ground.sites.simulator.apply(Fault.ONE_SIDE)
            for renewed in ((1,), (0,), (0, 1)):
                for number in renewed:
                    await ground.tunnel.down(number)
                    await ground.tunnel.up(number)
                    await ground.without_key(number)
                assert await ground.both_hold_one_key() == key
                await ping.comes_through()

    play(lab, tmp_path, scene)


@pytest.mark.parametrize("killed", ROLES)
def test_a_consumer_that_was_killed_and_started_again_goes_on_without_a_lost_packet(lab, tmp_path, killed):
    async def scene(ground):
        ground.write()
        other = ROLES[1 - ROLES.index(killed)]
        async with ground.consumer(other), ground.consumer(killed) as ends:
            key = await ground.both_hold_one_key()
            async with Ping(ground.tunnel) as first:
                await first.comes_through()
            async with Ping(ground.tunnel) as ping:
                ends.process.kill()
                await ends.process.wait()
                async with ground.consumer(killed):
                    await ground.both_hold_one_key(but=key)
                    await ping.comes_through()
            assert ping.answered >= ping.sent - 1

    play(lab, tmp_path, scene)


def test_a_tunnel_that_is_blocked_passes_nothing_and_the_next_key_opens_it(lab, tmp_path):
    async def scene(ground):
        ends = [
            Wireguard(msgspec.convert(site.tables["wireguard"], WireguardTable, dec_hook=path_hook(tmp_path)))
            for site in ground.tunnel.ends
        ]
        keys = [DeliveredKey(f"key-{number}", Secret(os.urandom(32))) for number in (1, 2)]
        for end in ends:
            await end.open()
            await end.stage(keys[0])
            await end.switch("key-1")
        async with Ping(ground.tunnel) as ping:
            await ping.comes_through()
            assert all([await end.intact() for end in ends])
            for end in ends:
                await end.block()
                assert not await end.intact()
            assert await ping.is_silent(2.0)
            for end in ends:
                await end.stage(keys[1])
                await end.switch("key-2")
            await ping.comes_through()

    play(lab, tmp_path, scene)

"""The link encryptor between TUN interfaces of two network namespaces: ping and iperf3 through it, while keys change."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from quiver.consume.link import Link
from quiver.consume.tunnel import TunnelError
from quiver.identity.lab import Lab
from tests.consume.ground import Sites, play, process, run
from tests.consume.link_ground import Addresses
from tests.consume.namespaces import HOSTS, Namespaces, namespaces

INNER = {"initiator": "10.99.0.1", "responder": "10.99.0.2"}
MARK = "51756976657221"  # what pings carry
PORT = 8470


def table(role: str) -> str:
    other = "responder" if role == "initiator" else "initiator"
    ends = f'listen = "{HOSTS[role]}:{PORT}"\nfar = "{HOSTS[other]}:{PORT}"'
    return f'[link]\ncarrier = "tun"\n{ends}\ninterface = "quiver0"\n'


@pytest.mark.system
def test_pings_and_iperf3_through_a_tunnel_whose_keys_change(lab: Lab, tmp_path: Path) -> None:
    assert os.geteuid() == 0, "namespaces need root"
    assert shutil.which("iperf3"), "make system-packages installs iperf3"
    assert shutil.which("ping"), "make system-packages installs ping"
    with namespaces() as spaces:
        for role, host in INNER.items():
            spaces.ip(role, "tuntap", "add", "dev", "quiver0", "mode", "tun")
            spaces.ip(role, "addr", "add", f"{host}/30", "dev", "quiver0")
            spaces.ip(role, "link", "set", "quiver0", "mtu", "1380", "up")

        async def scene(sites: Sites) -> None:
            await _traffic(sites, spaces)

        play(lab, tmp_path, scene, spaces.inside)


async def _traffic(sites: Sites, spaces: Namespaces) -> None:
    paths = {role: sites.write(role, table(role), partner=HOSTS["responder"]) for role in INNER}
    with spaces.listening("responder") as heard:
        async with process("link", paths["responder"], spaces.within("responder")) as there:
            code, said = await ping(spaces, "-c", "3", "-W", "1")
            assert code == 1, f"nothing passes before the first key: {said}"
            async with process("link", paths["initiator"], spaces.within("initiator")) as here:
                while (await ping(spaces, "-c", "1", "-W", "1"))[0] != 0:
                    pass
                code, said = await ping(spaces, "-c", "600", "-i", "0.01")
                assert " 0% packet loss" in said
                assert code == 0
                server = asyncio.create_task(spaces.output("responder", "iperf3", "-s", "-1"))
                rate = await iperf3(spaces)
                await server
                lines = [*(await here.stopped()), *(await there.stopped())]
    print(f"iperf3: {rate / 1e6:.1f} Mbit/s; {said.splitlines()[-2]}")
    assert rate > 1e6
    rollovers = [one for one in lines if one["event"] == "rolled over"]
    assert len(rollovers) >= 6
    assert [one for one in lines if one["level"] == "error"] == []
    assert len(heard) > 100_000
    assert bytes.fromhex(MARK) not in heard, "nothing in clear on the cable"


async def ping(spaces: Namespaces, *options: str) -> tuple[int, str]:
    return await spaces.output("initiator", "ping", "-q", "-p", MARK, *options, INNER["responder"])


async def iperf3(spaces: Namespaces) -> float:
    """bit/s that were received."""
    while True:
        _, said = await spaces.output("initiator", "iperf3", "-c", INNER["responder"], "-t", "4", "-J")
        told = json.loads(said)
        if "error" not in told:
            return float(told["end"]["sum_received"]["bits_per_second"])


def test_a_name_that_is_no_tun_interface_is_refused() -> None:
    """Whether this is root or not, and also where the system has no TUN at all."""

    async def main() -> None:
        places = Addresses()
        ends = {"listen": f"127.0.0.1:{places.far['initiator']}", "far": "127.0.0.1:1", "entry": None}
        link = Link(places.table("tun", "initiator", interface="lo", **ends), role="initiator")
        with pytest.raises(TunnelError, match=r"^(lo|/dev/net/tun): "):
            await link.open()
        assert not await link.intact()
        await link.close()

    run(main())

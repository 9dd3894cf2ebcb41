"""Two `quiver consume strongswan` over a real network: keys change under load, and every packet that this costs is counted."""

import asyncio
import json
import re
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from quiver.bench.network import Line, Link
from quiver.bench.processes import Children
from quiver.bench.tables import table
from quiver.domain.limits import KIB
from quiver.domain.network import PathEntry
from quiver.net.ports import HOST, free_ports
from tests.interop.charons import Site, becomes, two_sites
from tests.interop.traffic import Ping, Stream
from tests.interop.visitors import PATIENCE

pytestmark = pytest.mark.system

ROLES = {"left": "initiator", "right": "responder"}
NODES = {"left": "a", "right": "c"}
INTERVAL = 2.0  # seconds from one key to the next
CHANGES = 4  # that are made under load, after the first key
LOAD = 12  # seconds; the changes take less
MOST_LOST = 3
"""Packets of a ping that a change may cost: what the responder sends in 150 ms, on a machine that does other things too."""
_SAMPLE = re.compile(r"^quiver_(consumer_\w+)\{[^}]*\} (\S+)$", re.MULTILINE)


class Consumer:
    """`quiver consume strongswan` as a process."""

    def __init__(self, config: Path) -> None:
        self.log = config.with_suffix(".log")
        with self.log.open("wb") as log:
            words = [str(Path(sys.executable).with_name("quiver")), "consume", "strongswan", str(config)]
            self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self.log.read_text()
        self.metrics_url = json.loads(line)["metrics_url"]

    def figures(self) -> dict[str, float]:
        """Its metrics without labels; what has several samples is summed up."""
        with urllib.request.urlopen(f"{self.metrics_url}/metrics") as answer:
            text = answer.read().decode()
        found: dict[str, float] = {}
        for name, value in _SAMPLE.findall(text):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    async def until(self, name: str, least: float) -> None:
        async def reached() -> bool:
            return self.figures().get(name, -1.0) >= least

        assert await becomes(reached, 2 * PATIENCE), (name, self.figures(), self.log.read_text())

    def end(self) -> None:
        assert self._process.stdout is not None
        self._process.terminate()
        assert self._process.wait(PATIENCE) == 0, self.log.read_text()
        self._process.stdout.close()


def configure(line: Line, site: Site, partner_port: int) -> Path:
    """The configuration file of a site's consumer."""
    node, initiates = NODES[site.name], ROLES[site.name] == "initiator"
    files = line.credentials("sae-partner", f"sae-{node}")
    own = {"certificate": files.certificate, "private_key": files.private_key}
    trust = line.root / "pki" / "saes-pq-ca.pem"
    partner = "sae-c" if initiates else "sae-a"
    where = {"address" if initiates else "listen": f"{HOST}:{partner_port}"}
    connection = site.connection()
    children = connection.pop("children")
    sides = {name: connection.pop(name) for name in ("local", "remote")}
    texts = [
        table("[consumer]", {"role": ROLES[site.name]}),
        table("[kme]", {"url": line.sae_url(node), **own, "trust": [trust]}),
        table("[partner]", {"sae": partner, **where, **own, "trust": [trust]}),
        table("[rollover]", {"interval": INTERVAL}),
        table("[strongswan]", {"name": "site", "socket": site.socket}),
        table("[strongswan.connection]", connection),
        *(table(f"[strongswan.connection.{name}]", side) for name, side in sides.items()),
        table("[strongswan.connection.children.net]", children["net"]),
        table("[metrics]", {"listen": f"{HOST}:0"}),
    ]
    path = site.directory / "consumer.toml"
    path.write_text("".join(texts))
    return path


def test_relayed_keys_change_under_load_and_every_lost_packet_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over one relay. Both ends ping; iperf3 sends towards the initiator, where packets are lost if anywhere."""

    async def scene(stack: ExitStack) -> None:
        sites = left, right = stack.enter_context(two_sites())
        left.start()
        right.start()
        links = [Link("a", "b", "cedar", level=256 * KIB), Link("b", "c", "alder", level=256 * KIB)]
        path = PathEntry(virtual_link="a-c", path=1, version=1, nodes=("a", "b", "c"), depth=16 * KIB)
        async with Children(tmp_path) as children:
            line = Line(tmp_path, links, children)
            await line.start_devices()
            await line.start_agents([path])
            (port,) = free_ports(1)
            consumers = []
            for site in (right, left):
                consumers.append(Consumer(configure(line, site, port)))
                stack.callback(consumers[-1].end)
            said = await under_load(sites, consumers[1], consumers[0], stack)
            with capsys.disabled():
                print(f"\nstrongSwan: {said}")

    with ExitStack() as stack:
        asyncio.run(asyncio.wait_for(scene(stack), 5 * PATIENCE))


async def under_load(sites: tuple[Site, Site], initiator: Consumer, responder: Consumer, stack: ExitStack) -> str:
    left, right = sites
    await initiator.until("consumer_rollovers_total", 1)
    assert left.reaches()
    assert "/PPK" in left.swanctl("--list-sas").stdout
    stream = Stream(right, left, LOAD)
    stack.callback(stream.kill)
    pings = [Ping(site) for site in sites]
    start = initiator.figures()["consumer_rollovers_total"]
    await initiator.until("consumer_packets_lost_last", 0)
    told = initiator.figures()["consumer_packets_lost_total"]
    await initiator.until("consumer_rollovers_total", start + CHANGES)
    streamed = await asyncio.to_thread(stream.end)
    pinged = [ping.end() for ping in pings]
    changes = int(initiator.figures()["consumer_rollovers_total"] - start)
    sent, lost = (sum(counts) for counts in zip(streamed, *pinged, strict=True))

    async def counted() -> bool:
        """Of what one end sent the other received all but what was lost: by the counts of both consumers."""
        near, far = initiator.figures(), responder.figures()
        gone = sum(
            one["consumer_esp_packets_out_total"] - other["consumer_esp_packets_in_total"]
            for one, other in ((near, far), (far, near))
        )
        return gone == lost

    async def summed_up() -> bool:
        """Likewise of what the initiator tells by itself, but for packets that were on their way while it compared."""
        return lost <= initiator.figures()["consumer_packets_lost_total"] - told <= lost + MOST_LOST

    assert await becomes(summed_up), (lost, told, initiator.figures())
    assert await becomes(counted), (lost, initiator.figures(), responder.figures())
    assert all(gone <= MOST_LOST * changes for _, gone in pinged)
    for consumer in (initiator, responder):
        assert consumer.figures()["consumer_failures_total"] == 0
        assert consumer.figures()["consumer_ike_failures_total"] == 0
    return f"{changes} changes under load, {sent} packets sent, {lost} lost: iperf3 {streamed}, pings {pinged}"

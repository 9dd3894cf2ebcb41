"""A line of trusted nodes for measuring: real agents and devices as processes, real TLS on loopback, real databases."""

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from quiver.bench.load import Caller, connected, post
from quiver.bench.processes import Child, Children
from quiver.bench.tables import table
from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.identity.lab import Lab
from quiver.net import tls
from quiver.net.ports import HOST, free_ports
from quiver.net.tls import Credentials, TlsContext

__all__ = ["Line", "Link", "Place", "Watch"]

_SCALE: Final = 50.0  # seconds of channel time per second: 60 MB/s, so that physics is not what limits
_SAMPLE: Final = re.compile(r'quiver_(?P<name>\w+?)(?:_total)?\{\w+="(?P<label>[^"]*)"\} (?P<value>\S+)')
_PATIENCE: Final = 30.0  # seconds for something to become so
_WAIT: Final = 20.0  # seconds that a request waits for pad: a busy machine makes it slow and not refused
_POLL: Final = 0.02  # seconds between two looks at a node's metrics


class Link(msgspec.Struct, frozen=True):
    """A QKD link between neighbours of the line.

    Attributes:
        left, right: node ids.
        vendor: profile of its devices.
        level: bytes of pad after which the left end stops collecting.
        backwards: the same for the right end; 0 where it collects none.
    """

    left: str
    right: str
    vendor: str
    level: int
    backwards: int = 0

    @property
    def name(self) -> str:
        """Its id."""
        return f"{self.left}-{self.right}"


class Place(msgspec.Struct, frozen=True):
    """Files and ports of one node.

    Attributes:
        config: the agent's configuration file.
        peer, sae, metrics: ports of its planes.
    """

    node: str
    config: Path
    peer: int
    sae: int
    metrics: int


class Line:
    """Nodes in a row with a QKD link between neighbours. Each has one SAE, `sae-NODE`; all may share keys.

    Args:
        root: an empty directory.
        links: from left to right.
        children: where processes are started.
    """

    def __init__(self, root: Path, links: Sequence[Link], children: Children) -> None:
        self.root: Final = root
        self.links: Final = tuple(links)
        self.nodes: Final = (links[0].left, *(link.right for link in links))
        self.children: Final = children
        self.agents: Final[dict[str, Child]] = {}
        self._devices: Child | None = None
        self._lab: Final = Lab(root / "pki")
        ports = free_ports(3 * len(self.nodes) + 2 * len(links))
        self.places: Final = {
            node: Place(node, root / f"{node}.toml", ports.pop(), ports.pop(), ports.pop()) for node in self.nodes
        }
        self._device_ports: Final = {
            (link.name, node): ports.pop() for link in links for node in (link.left, link.right)
        }
        self._credentials: Final[dict[tuple[str, str], Credentials]] = {}

    # --- processes ------------------------------------------------------------------------------------------------

    async def start_devices(self) -> None:
        """Start the devices of all links.

        Raises:
            RemoteError: they did not start.
        """
        for link in self.links:
            self._write_link(link)
        self._devices = await self.children.start("devices", *(self.root / f"{link.name}.toml" for link in self.links))

    async def start_agents(self, paths: Sequence[PathEntry], inert: Sequence[PathEntry] = ()) -> None:
        """Start all agents, with the path versions that pass each.

        Args:
            paths: path versions in use.
            inert: those that all nodes but their source get: on these nothing happens yet.

        Raises:
            RemoteError: one of them did not start.
        """
        for node in self.nodes:
            self._configure(node, [*paths, *(entry for entry in inert if entry.source != node)])
        started = await asyncio.gather(*(self.children.start("agent", p.config) for p in self.places.values()))
        self.agents.update(zip(self.places, started, strict=True))

    async def start_listener(self) -> Child:
        """Start bare listeners with the TLS of the first node; call it after `start_agents`."""
        return await self.children.start("listener", self.places[self.nodes[0]].config)

    def reconfigure(self, node: str, paths: Sequence[PathEntry]) -> None:
        """Let a running agent take over other path versions."""
        self._configure(node, paths)
        os.kill(self.agents[node].pid, signal.SIGHUP)

    async def stop_devices(self) -> None:
        """End all devices: from now on no new pad comes, and nobody works to get it."""
        if self._devices is not None:
            await self.children.stop(self._devices)
            self._devices = None

    # --- what a measurement needs ---------------------------------------------------------------------------------

    def credentials(self, profile: str, identity: str) -> Credentials:
        """Certificate and key in one profile of `quiver.identity.profiles`, issued when first asked for."""
        found = self._credentials.get((profile, identity))
        if found is None:
            found = self._credentials[profile, identity] = self._lab.issue(profile, identity)
        return found

    def sae_url(self, node: str) -> str:
        """Where a node serves its SAE."""
        return f"https://{HOST}:{self.places[node].sae}"

    def device_url(self, link: str, node: str) -> str:
        """Where the device of a link listens at one end."""
        return f"https://{HOST}:{self._device_ports[link, node]}"

    def sae_tls(self, node: str) -> TlsContext:
        """The context of a node's SAE, post-quantum."""
        return tls.sae_client(self.credentials("sae-pq", f"sae-{node}"), self._lab.saes_trust)

    def device_tls(self, node: str) -> TlsContext:
        """The context with which a node calls its devices."""
        return tls.device_client(self.credentials("device-client", node), self._lab.devices_trust)

    def peer_tls(self, node: str, other: str) -> TlsContext:
        """The context with which a node calls another."""
        context = tls.peer_client(self.credentials("node", node), self._lab.nodes_trust)
        return context.expecting(tls.quiver_uri("node", other))

    @asynccontextmanager
    async def watching(self, node: str) -> AsyncIterator["Watch"]:
        """A look at a node's metrics, as often as one likes."""
        async with connected(f"http://{HOST}:{self.places[node].metrics}", None) as (caller,):
            yield Watch(caller)

    async def pad(self, node: str, neighbour: str, least: int, seconds: float = _PATIENCE) -> int:
        """Wait until a node may allocate that many bytes of pad towards its neighbour, for some seconds at most.

        Returns:
            How many it may.
        """
        async with self.watching(node) as watch:
            return int(await watch.until("pad_level_bytes", neighbour, least, seconds))

    # --- configurations -------------------------------------------------------------------------------------------

    def _configure(self, node: str, paths: Sequence[PathEntry]) -> None:
        place = self.places[node]
        tables: dict[str, dict[str, object]] = {
            "node": {"id": node, "state": self.root / f"state-{node}"},
            "peer": {"listen": f"{HOST}:{place.peer}", **self._files("node", node), "trust": self._lab.nodes_trust},
            "sae": {
                "listen": f"{HOST}:{place.sae}",
                **self._files("kme", node),
                **self._files("kme-pq", node, "pq_"),
                "trust": self._lab.saes_trust,
            },
            "device": {**self._files("device-client", node), "trust": self._lab.devices_trust},
            "metrics": {"listen": f"{HOST}:{place.metrics}"},
            "delivery": {"wait": _WAIT},
            "log": {"level": "ERROR"},
            "directory": {
                "nodes": {o.node: f"{HOST}:{o.peer}" for o in self.places.values() if o is not place},
                "saes": {f"sae-{other}": other for other in self.nodes},
                "permitted": [(f"sae-{a}", f"sae-{b}") for a in self.nodes for b in self.nodes if a < b],
            },
        }
        links = [self._link_at(node, link) for link in self.links if node in (link.left, link.right)]
        entries = [msgspec.to_builtins(entry) for entry in paths if node in entry.nodes]
        text = "".join(table(f"[{name}]", values) for name, values in tables.items())
        text += "".join(table("[[links]]", link) for link in links)
        text += "".join(table("[[paths]]", entry) for entry in entries)
        place.config.write_text(text, encoding="utf-8")

    def _files(self, profile: str, identity: str, prefix: str = "") -> dict[str, object]:
        files = self.credentials(profile, identity)
        return {f"{prefix}certificate": files.certificate, f"{prefix}private_key": files.private_key}

    def _link_at(self, node: str, link: Link) -> dict[str, object]:
        neighbour, level = (link.right, link.level) if node == link.left else (link.left, link.backwards)
        url = self.device_url(link.name, node)
        return {
            "id": link.name,
            "neighbour": neighbour,
            "level": max(level, limits.SEGMENT_MIN),
            "collect": level > 0,
            "device": {"url": url, "peer_sae_id": neighbour, "profile": link.vendor},
        }

    def _write_link(self, link: Link) -> None:
        top = {"name": link.name, "profile": link.vendor, "length_km": 1.0, "time_scale": _SCALE}
        text = table("", {**top, "state": self.root / "devices"})
        for node in (link.left, link.right):
            name = f"KME-{link.name}-{node}"
            port = self._device_ports[link.name, node]
            files = self._files("device", name)
            trust = self._lab.devices_trust
            text += table("[[ends]]", {"kme_id": name, "sae_id": node, "port": port, **files, "clients_ca": trust})
        (self.root / f"{link.name}.toml").write_text(text, encoding="utf-8")


class Watch:
    """The metrics plane of a node, over one connection."""

    def __init__(self, caller: Caller) -> None:
        self._caller: Final = caller

    async def read(self, name: str, label: str) -> float:
        """The sample of a name whose one label has this value; 0 where there is none."""
        text = (await self._caller.call(post("/metrics", verb="GET"))).decode()
        for sample in map(_SAMPLE.fullmatch, text.splitlines()):
            if sample is not None and sample["name"] == name and sample["label"] == label:
                return float(sample["value"])
        return 0.0

    async def until(self, name: str, label: str, least: float, seconds: float = _PATIENCE) -> float:
        """Wait until a sample has reached a number, for some seconds at most; what it is then."""
        deadline = time.monotonic() + seconds
        while True:
            value = await self.read(name, label)
            if value >= least or time.monotonic() >= deadline:
                return value
            await asyncio.sleep(_POLL)

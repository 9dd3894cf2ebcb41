"""Random networks: sites, links, paths of any length, SAEs."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from quiver.domain.network import Directory, LinkEntry, Network, PathEntry

from .devices import LinkDevices
from .disk import MemoryDisk, SqliteDisk
from .site import Site
from .transport import Transport
from .world import World

KEY_BYTES = (32, 128, 256, 512)
LEVEL = 16 * 1024


class Scenery:
    """A network and everything around it.

    Args:
        world: time and randomness.
        nodes: number of nodes.
        edges: pairs of node numbers; None for a random connected graph.
        routes: lists of node numbers from source to destination, each a virtual link; None for random ones.
        depth: of all paths; None for random ones.
    """

    site_type = Site

    def __init__(
        self,
        world: World,
        nodes: int,
        *,
        edges=None,
        routes=None,
        depth=None,
        rate=None,
        stock=None,
        level=LEVEL,
        wait=2.0,
        sqlite: Path | None = None,
        **transport,
    ):
        self.world = world
        self.names = [f"n{i}" for i in range(nodes)]
        self.homes = {f"sae-{name}-{k}": name for name in self.names for k in (0, 1, 2)}
        random = world.random
        self.edges = edges if edges is not None else self._graph(nodes)
        self.transport = Transport(world, **transport)
        self.devices: dict[str, LinkDevices] = {}
        for low, high in self.edges:
            name = f"l{low}-{high}"
            ends = (self.names[low], self.names[high])
            speed = rate if rate is not None else random.choice((2_000, 4_000, 12_000))
            held = stock if stock is not None else random.choice((8_000, 30_000))
            self.devices[name] = LinkDevices(world, name, ends, speed, random.choice(KEY_BYTES), held)
        chosen = routes if routes is not None else self._routes(nodes)
        self.paths = [self._entry(number, route, depth) for number, route in enumerate(chosen)]
        self.all_paths = list(self.paths)
        self.halves: list[PathEntry] = []  # versions that one of their nodes never hears of
        self.wait = wait
        self.level = level
        self.logs: list[MutableMapping[str, Any]] = []  # what the code has logged
        self.sites: dict[str, Site] = {}
        for index, name in enumerate(self.names):
            disk = SqliteDisk(sqlite / name) if sqlite is not None else MemoryDisk()
            self.sites[name] = self.site_type(
                world, self.network_of(index, self.paths), disk, self.transport, self.devices
            )
        for site in self.sites.values():
            world.after(random.uniform(0, 0.5), site.start)

    def _graph(self, nodes: int):
        random = self.world.random
        edges = {(random.randrange(i), i) for i in range(1, nodes)}
        for _ in range(nodes // 2):
            low, high = sorted(random.sample(range(nodes), 2))
            edges.add((low, high))
        return sorted(edges)

    def neighbours(self, node: int) -> list[int]:
        return sorted({high if low == node else low for low, high in self.edges if node in (low, high)})

    def route(self, source: int, destination: int, avoid=frozenset()) -> tuple[int, ...] | None:
        """A random simple route, found by a random depth-first walk."""
        stack = [(source,)]
        while stack:
            route = stack.pop()
            if route[-1] == destination:
                return route
            steps = [n for n in self.neighbours(route[-1]) if n not in route and n not in avoid]
            self.world.random.shuffle(steps)
            stack += [(*route, step) for step in steps]
        return None

    def _routes(self, nodes: int):
        random = self.world.random
        found = []
        for _ in range(random.choice((1, 2, 3))):
            source, destination = random.sample(range(nodes), 2)
            route = self.route(source, destination)
            assert route is not None
            found.append(route)
            if random.random() < 0.5:
                found.append(tuple(reversed(route)))
        return list(dict.fromkeys(found))

    def _entry(self, number: int, route, depth) -> PathEntry:
        random = self.world.random
        chosen = depth if depth is not None else random.choice((0, 0, 8192, 16384))
        nodes = tuple(self.names[i] for i in route)
        return PathEntry(virtual_link=f"v{number}", path=1, version=1, nodes=nodes, depth=chosen)

    def network_of(self, index: int, paths) -> Network:
        name = self.names[index]
        links = tuple(
            LinkEntry(id=f"l{low}-{high}", neighbour=self.names[high if low == index else low], level=self.level)
            for low, high in self.edges
            if index in (low, high)
        )
        return Network(
            node=name,
            links=links,
            paths=tuple(entry for entry in paths if name in entry.nodes),
            directory=self.directory(),
            wait=self.wait,
        )

    def directory(self) -> Directory:
        pairs = {frozenset((f"sae-{e.source}-0", f"sae-{e.destination}-0")) for e in self.paths}
        pairs |= {frozenset((f"sae-{e.source}-1", f"sae-{e.destination}-1")) for e in self.paths}
        pairs |= {frozenset((f"sae-{e.source}-{k}", f"sae-{e.destination}-2")) for e in self.paths for k in (0, 1)}
        pairs |= {frozenset((f"sae-{name}-0", f"sae-{name}-{k}")) for name in self.names for k in (1, 2)}
        return Directory(homes=self.homes, pairs=frozenset(pairs))

    def reroute(self, old: PathEntry, nodes: tuple[str, ...] | None = None) -> PathEntry | None:
        """The next version of a path over another route, a random one where none is given."""
        if nodes is None:
            ends = [self.names.index(n) for n in (old.source, old.destination)]
            route = self.route(*ends)
            assert route is not None
            nodes = tuple(self.names[i] for i in route)
        if nodes == old.nodes:
            return None
        return PathEntry(virtual_link=old.virtual_link, path=1, version=old.version + 1, nodes=nodes, depth=old.depth)

    def configure(self, paths, *, only=None) -> None:
        """Write the paths into the configuration of every site (or of those named), running or not."""
        for index, name in enumerate(self.names):
            if only is not None and name not in only:
                continue
            site = self.sites[name]
            site.network = self.network_of(index, paths)
            site.hand_in(site.life, lambda driver, network=site.network: driver.node.reconfigure(network))

    def close(self) -> None:
        for site in self.sites.values():
            site.disk.close()

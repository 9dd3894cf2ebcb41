"""Networks to simulate: a long-haul backbone with the figures of the largest real one, and meshes of any size.

No map of a real QKD network is public down to its links. What is published of CN-QCN is met exactly: 145 backbone nodes, of which
104 are pure trusted relays, 144 fibre links of 10,103 km together, 20 metropolitan networks (abstract of npj Quantum Information,
2025, doi 10.1038/s41534-025-01089-8). A connected network of n nodes with n - 1 links is a tree, in which nothing can be
rerouted. So there is a variant, `backbone-145+12`: the same sites and as many relays, joined by twelve fibre routes more.

Each link's rate follows from its length by the published formula of its devices (`qkd/rates.py`); four vendors take turns.
"""

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import Delaunay

from quiver.domain.errors import ConfigurationError
from quiver.domain.routing.graph import Graph, Link
from quiver.qkd.channel import Fibre
from quiver.qkd.profiles import profile_named

__all__ = ["NETWORKS", "SimulatedNetwork", "Span", "network_named"]

VENDORS: Final = ("alder", "birch", "cedar", "elm")  # dogwood, an old device, makes next to nothing over such spans

_SEED: Final = 13  # of forty layouts the first whose longest way a path entry can hold (NODES_PER_PATH)
_SITES: Final = 41  # backbone nodes that are no pure relay: 145 - 104
_RELAYS: Final = 104
_METROS: Final = 20
_MEAN_KM: Final = 10_103 / 144  # of a backbone's spans
_SPREAD: Final = 0.15  # by which spans of one fibre route differ from their mean
_EXTRA: Final = 12  # fibre routes beyond the tree
_MESH_KM: Final = 60.0  # mean span of a mesh
_MESH_LINKS: Final = 1.5  # per node: a mean degree of three
_MESH_NEAR: Final = 0.75  # share of the pairs of neighbours between which a link may be; the longest would make no key
_MESH_USERS: Final = 5  # one node of so many has users
_MESH_NODES: Final = 100_000  # of the largest mesh; a run of it takes hours
_CANDIDATES: Final = 4  # points of which the loneliest is taken

Points = NDArray[np.float64]
Edge = tuple[int, int]


class Span(msgspec.Struct, frozen=True):
    """One QKD link: its two nodes, the length of its fibre and the vendor of its devices."""

    one: str
    other: str
    km: float
    vendor: str

    @property
    def id(self) -> str:
        """Its name."""
        return f"{self.one}~{self.other}"

    @property
    def rate(self) -> int:
        """Bits of key per second by the formula of the vendor's devices."""
        return int(profile_named(self.vendor).physics.rate(Fibre(length_km=self.km).loss_db))


class SimulatedNetwork(msgspec.Struct, frozen=True):
    """A network in full health.

    Attributes:
        name: by which `network_named` finds it.
        spans: its links.
        users: nodes where virtual links begin and end.
    """

    name: str
    spans: tuple[Span, ...]
    users: tuple[str, ...]

    def graph(self) -> Graph:
        """As routing sees it, with nothing placed and no pad read."""
        return Graph(Link(id=span.id, ends=(span.one, span.other), rate=span.rate) for span in self.spans)


def network_named(name: str) -> SimulatedNetwork:
    """A network by its name: one of `NETWORKS`, or `mesh-N` for a mesh of N nodes.

    Raises:
        ConfigurationError: there is none of this name; the message says which there are.
    """
    if name in NETWORKS:
        return NETWORKS[name]()
    kind, _, count = name.partition("-")
    if kind == "mesh" and count.isdecimal() and len(count) < 9 and 10 <= int(count) <= _MESH_NODES:
        return _mesh(int(count))
    allowed = f"{', '.join(NETWORKS)}, and mesh-N with N from 10 to {_MESH_NODES}"
    raise ConfigurationError(f"network {name!r} is unknown; allowed are {allowed}")


@cache
def _backbone(extra: int) -> SimulatedNetwork:
    """Sites, fibre routes between them, and relays on the routes."""
    chance = random.Random(_SEED)  # noqa: S311  # a layout, no secret
    points = _scattered(_SITES, chance)
    edges = _tree(points)
    for _ in range(extra):
        edges.append(_shortcut(points, edges))
    lengths = [math.dist(points[one], points[other]) for one, other in edges]
    sites = [f"site-{number:02}" for number in range(_SITES)]
    relays = (f"relay-{number:03}" for number in range(_RELAYS))
    pairs: list[tuple[str, str]] = []
    kilometres: list[float] = []
    for (one, other), length, count in zip(edges, lengths, _pieces(lengths, _RELAYS + len(edges)), strict=True):
        chain = [sites[one], *(next(relays) for _ in range(count - 1)), sites[other]]
        pairs += pairwise(chain)
        kilometres += [length / count * (1 + _SPREAD * (2 * chance.random() - 1)) for _ in range(count)]
    metros = sorted(sites[number] for number in _far_apart(points, _METROS))
    name = f"backbone-{_SITES + _RELAYS}" + (f"+{extra}" if extra else "")
    return SimulatedNetwork(name, _spans(pairs, kilometres, _MEAN_KM), tuple(metros))


@cache
def _mesh(count: int) -> SimulatedNetwork:
    """Nodes in a square, joined by the shortest tree and by some of their other neighbours."""
    chance = random.Random(count)  # noqa: S311  # a layout, no secret
    points = _scattered(count, chance)
    tree = _tree(points)
    others = sorted(set(_neighbours(points)) - set(tree), key=lambda edge: math.dist(points[edge[0]], points[edge[1]]))
    drawn = sorted((chance.random(), edge) for edge in others[: int(_MESH_NEAR * len(others))])
    edges = sorted([*tree, *(edge for _, edge in drawn[: round(_MESH_LINKS * count) - len(tree)])])
    names = [f"node-{number:05}" for number in range(count)]
    pairs = [(names[one], names[other]) for one, other in edges]
    lengths = [math.dist(points[one], points[other]) for one, other in edges]
    return SimulatedNetwork(f"mesh-{count}", _spans(pairs, lengths, _MESH_KM), tuple(names[::_MESH_USERS]))


NETWORKS: Final[dict[str, Callable[[], SimulatedNetwork]]] = {
    "backbone-145": lambda: _backbone(0),
    "backbone-145+12": lambda: _backbone(_EXTRA),
    "mesh-145": lambda: _mesh(145),
    "mesh-1000": lambda: _mesh(1_000),
    "mesh-10000": lambda: _mesh(10_000),
}
"""Those that the documentation names."""


def _spans(pairs: Sequence[tuple[str, str]], lengths: Sequence[float], mean: float) -> tuple[Span, ...]:
    """Links whose lengths are scaled to this mean, in km."""
    scale = mean * len(lengths) / sum(lengths)
    return tuple(
        Span(min(pair), max(pair), round(scale * length, 1), VENDORS[number % len(VENDORS)])
        for number, (pair, length) in enumerate(zip(pairs, lengths, strict=True))
    )


def _scattered(count: int, chance: random.Random) -> Points:
    """Points of the unit square, spread somewhat evenly: of each few candidates the loneliest."""
    points = np.empty((count, 2))
    for number in range(count):
        candidates = np.array([(chance.random(), chance.random()) for _ in range(_CANDIDATES)])
        seen = points[max(0, number - 1000) : number]
        if number:
            gaps = ((candidates[:, None, :] - seen[None, :, :]) ** 2).sum(axis=2).min(axis=1)
            points[number] = candidates[int(gaps.argmax())]
        else:
            points[number] = candidates[0]
    return points


def _neighbours(points: Points) -> list[Edge]:
    """Edges of the Delaunay triangulation; the shortest tree is among them."""
    faces = Delaunay(points).simplices.tolist()
    return sorted({(min(pair), max(pair)) for a, b, c in faces for pair in ((a, b), (b, c), (c, a))})


def _tree(points: Points) -> list[Edge]:
    """The shortest tree that joins all points."""
    edges = _neighbours(points)
    tree = minimum_spanning_tree(_lengths(points, edges)).tocoo()
    return sorted((int(one), int(other)) for one, other in zip(tree.row, tree.col, strict=True))


def _lengths(points: Points, edges: Sequence[Edge]) -> csr_array:
    """A matrix of the edges' lengths."""
    lengths = [math.dist(points[one], points[other]) for one, other in edges]
    ends = ([one for one, _ in edges], [other for _, other in edges])
    return csr_array((lengths, ends), shape=(len(points), len(points)))


def _shortcut(points: Points, edges: Sequence[Edge]) -> Edge:
    """The new edge that is shortest against the way that there was."""
    ways = dijkstra(_lengths(points, edges), directed=False)
    new = [edge for edge in _neighbours(points) if edge not in edges]
    return max(new, key=lambda edge: (ways[edge] / math.dist(points[edge[0]], points[edge[1]]), edge))


def _pieces(lengths: Sequence[float], total: int) -> list[int]:
    """Into how many spans each fibre route is cut, all together `total`: the longest span left is cut, again and again."""
    pieces = [1] * len(lengths)
    while sum(pieces) < total:
        longest = max(range(len(lengths)), key=lambda number: (lengths[number] / pieces[number], number))
        pieces[longest] += 1
    return pieces


def _far_apart(points: Points, count: int) -> list[int]:
    """So many points, each time the one that is farthest from those before."""
    chosen = [0]
    while len(chosen) < count:
        gaps = ((points[:, None, :] - points[None, chosen, :]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(int(gaps.argmax()))
    return chosen

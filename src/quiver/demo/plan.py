"""The demo's network on paper: nodes, QKD links, SAE pairs and their paths, drawn from a seed. No I/O.

        ulm ───── linz ───── wien ───── brno
         │           └─────────┐          │
        graz ───────────────── prag ──────┘

The main pair goes along the top; for each of its links and for each of its relays there is another way round. Beside it runs a
pair of as many hops without a buffer, one with a single hop, and one over the chord.
"""

import random
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.network import PathEntry

__all__ = ["COVERED", "LinkPlan", "PairPlan", "Plan", "draw_plan", "request_sizes"]

COVERED: Final = 5.0  # seconds of load that the main pair's buffer covers
BATCH: Final = 50  # keys in one request at most
_DEPTH: Final = 256 * limits.KIB  # bytes; of the main pair, for loads that are not larger
_DEPTH_MOST: Final = 1024 * limits.KIB  # bytes; more would take the devices too long to make
_DEPTH_BACK: Final = 64 * limits.KIB  # bytes; of the main pair's other direction
_DEPTH_SMALL: Final = 16 * limits.KIB  # bytes; of the pairs beside it
_LEVEL: Final = 96 * limits.KIB  # bytes per direction; the largest request and more
_LEVEL_SMALL: Final = 32 * limits.KIB  # bytes per direction; of links that only small buffers use
_LEVEL_SLOW: Final = (
    16 * limits.KIB
)  # bytes per direction; a slow device starts with 64 KiB, two small buffers take half

_MAIN_VENDORS: Final = ("alder", "cedar", "elm")  # of 1 Mbit/s and more at these lengths, and many bits in one request
_FAST: Final = (*_MAIN_VENDORS, "birch")
_SLOW: Final = "dogwood"
_NODES: Final = ("ulm", "linz", "wien", "brno", "graz", "prag")
_MAIN: Final = (("ulm", "linz"), ("linz", "wien"), ("wien", "brno"))
_UP: Final = ("ulm", "graz")  # of the unbuffered pair
_SMALL: Final = (("prag", "brno"), ("graz", "prag"), ("linz", "prag"))
_SLOW_PLACES: Final = _SMALL[1:]


class LinkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One QKD link.

    Attributes:
        id: names of its ends, joined.
        ends: the nodes.
        vendor: name of a profile.
        length_km: of the fibre.
        seed: of the fluctuation of its error rate.
        level: bytes of own pad at which either end stops collecting.
    """

    id: str
    ends: tuple[str, str]
    vendor: str
    length_km: float
    seed: int
    level: int


class PairPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Two SAEs that share keys, with a virtual link in either direction.

    Attributes:
        name: what the pair is in the demo: main, unbuffered, and so on.
        master: SAE ID; at home at the first node of the route.
        slave: SAE ID; at home at the last node.
        route: node ids.
        depth: bytes of buffer from the master's node to the slave's.
        depth_back: bytes of buffer the other way.
        post_quantum: whether the demo's own load uses their ML-DSA certificates; they have classical ones too.
    """

    name: str
    master: str
    slave: str
    route: tuple[str, ...]
    depth: int
    depth_back: int
    post_quantum: bool

    @property
    def hops(self) -> int:
        """QKD links on the route."""
        return len(self.route) - 1

    @property
    def entries(self) -> tuple[PathEntry, PathEntry]:
        """The path versions, there and back."""
        there, back = self.route, self.route[::-1]
        return (
            PathEntry(virtual_link=f"{there[0]}-{there[-1]}", path=1, version=1, nodes=there, depth=self.depth),
            PathEntry(virtual_link=f"{back[0]}-{back[-1]}", path=1, version=1, nodes=back, depth=self.depth_back),
        )


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole network. The first pair is the main one."""

    seed: int
    nodes: tuple[str, ...]
    links: tuple[LinkPlan, ...]
    pairs: tuple[PairPlan, ...]

    @property
    def main(self) -> PairPlan:
        """The pair of the main job."""
        return self.pairs[0]

    @property
    def unbuffered(self) -> PairPlan:
        """The pair of as many hops whose keys are primed when they are asked for."""
        return self.pair("unbuffered")

    def pair(self, name: str) -> PairPlan:
        """The pair of this name."""
        return next(pair for pair in self.pairs if pair.name == name)

    @property
    def paths(self) -> tuple[PathEntry, ...]:
        """All path versions, both directions of each pair."""
        return tuple(entry for pair in self.pairs for entry in pair.entries)

    @property
    def vendors(self) -> tuple[str, ...]:
        """Names of the profiles, each once."""
        return tuple(sorted({link.vendor for link in self.links}))

    @property
    def homes(self) -> dict[str, str]:
        """SAE ID → home node; the main pair's come first."""
        return {
            sae: node
            for pair in self.pairs
            for sae, node in ((pair.master, pair.route[0]), (pair.slave, pair.route[-1]))
        }

    def link_between(self, one: str, other: str) -> LinkPlan:
        """The link between two neighbours."""
        return next(link for link in self.links if set(link.ends) == {one, other})

    def links_at(self, node: str) -> tuple[LinkPlan, ...]:
        """The links that end at a node."""
        return tuple(link for link in self.links if node in link.ends)

    @property
    def load_rate(self) -> float:
        """Bytes of pad per second that the demo takes from the main pair at most: its buffer covers `COVERED` of it."""
        return self.main.depth / COVERED


def draw_plan(seed: int, *, key_bytes: int = 0) -> Plan:
    """A network.

    Args:
        seed: draws vendors, lengths and fluctuation; the same seed gives the same network.
        key_bytes: bytes of key that the main job will ask for; a larger job gets a deeper buffer, within bounds.
    """
    drawn = random.Random(seed)  # noqa: S311  # of the network's shape only, never of keys
    vendors = dict(zip(_MAIN, drawn.sample(_MAIN_VENDORS, len(_MAIN)), strict=True))
    vendors[_UP] = drawn.choice(_FAST)
    vendors |= {ends: drawn.choice(_FAST) for ends in _SMALL}
    slow, other = drawn.sample(_SLOW_PLACES, 2)
    vendors[slow], vendors[other] = _SLOW, "birch"  # so that there is one link of each vendor at least
    links = tuple(_link(drawn, ends, vendors[ends]) for ends in (*_MAIN, _UP, *_SMALL))
    depth = min(_DEPTH_MOST, max(_DEPTH, -(-key_bytes // limits.KIB) * limits.KIB))
    return Plan(seed=seed, nodes=_NODES, links=links, pairs=_pairs(depth))


def _link(drawn: random.Random, ends: tuple[str, str], vendor: str) -> LinkPlan:
    slow = vendor == _SLOW
    return LinkPlan(
        id="-".join(ends),
        ends=ends,
        vendor=vendor,
        length_km=round(drawn.uniform(4, 12) if slow else drawn.uniform(8, 25), 1),
        seed=drawn.randrange(1 << 31),
        level=_LEVEL_SLOW if slow else _LEVEL_SMALL if ends in _SMALL else _LEVEL,
    )


def _pairs(depth: int) -> tuple[PairPlan, ...]:
    return (
        PairPlan(
            name="main",
            master="encryptor-ulm",
            slave="encryptor-brno",
            route=("ulm", "linz", "wien", "brno"),
            depth=depth,
            depth_back=_DEPTH_BACK,
            post_quantum=True,
        ),
        PairPlan(
            name="unbuffered",
            master="gateway-graz",
            slave="gateway-wien",
            route=("graz", "ulm", "linz", "wien"),
            depth=0,
            depth_back=0,
            post_quantum=True,
        ),
        PairPlan(
            name="one hop",
            master="storage-graz",
            slave="storage-prag",
            route=("graz", "prag"),
            depth=_DEPTH_SMALL,
            depth_back=_DEPTH_SMALL,
            post_quantum=False,
        ),
        PairPlan(
            name="chord",
            master="router-linz",
            slave="router-brno",
            route=("linz", "prag", "brno"),
            depth=_DEPTH_SMALL,
            depth_back=_DEPTH_SMALL,
            post_quantum=False,
        ),
    )


def request_sizes(keys: int, size: int) -> list[int]:
    """How many keys each request asks for: up to 50, and no more than one request may carry.

    Args:
        keys: all of them.
        size: bits of each.
    """
    most = min(BATCH, limits.KEY_BYTES_PER_REQUEST * 8 // size)
    whole, rest = divmod(keys, most)
    return [most] * whole + [rest] * bool(rest)

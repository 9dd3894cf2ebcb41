"""The demo's network on paper: nodes, QKD links, pairs of SAEs and what they ask for. No I/O."""

from itertools import pairwise
from typing import Final

import msgspec

from quiver.domain import limits

__all__ = [
    "BATCH",
    "COVERED",
    "DELIVERY_WAIT",
    "DemandPlan",
    "LinkPlan",
    "NodePlan",
    "PairPlan",
    "Plan",
    "request_sizes",
]

COVERED: Final = 5.0  # seconds of load that the main pair's buffer covers
BATCH: Final = 50  # keys in one request at most
DELIVERY_WAIT: Final = 5.0  # seconds that a request may wait at an agent of the demo: a reroute and more


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


class DemandPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A virtual link that the controller is to serve; `depth` in bytes."""

    source: str
    destination: str
    depth: int

    @property
    def name(self) -> str:
        """Of the virtual link."""
        return f"{self.source}-{self.destination}"


class PairPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Two SAEs that share keys.

    Attributes:
        name: what the pair is in the demo: main, unbuffered, and so on.
        master: SAE ID.
        slave: SAE ID.
        source: the master's home node.
        destination: the slave's.
        hops: QKD links on the shortest way.
        post_quantum: whether the demo's own load uses their ML-DSA certificates; they have classical ones too.
    """

    name: str
    master: str
    slave: str
    source: str
    destination: str
    hops: int
    post_quantum: bool = False

    @property
    def virtual_link(self) -> str:
        """Name of the demand from master to slave."""
        return f"{self.source}-{self.destination}"

    @property
    def virtual_link_back(self) -> str:
        """Name of the demand from slave to master."""
        return f"{self.destination}-{self.source}"

    @property
    def homes(self) -> dict[str, str]:
        """SAE ID → home node."""
        return {self.master: self.source, self.slave: self.destination}


class NodePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A node that joins while the network runs.

    Attributes:
        id: its id.
        links: that come with it.
        pair: its SAE, and one that is in the network already; they ask for keys without a demand of theirs.
    """

    id: str
    links: tuple[LinkPlan, ...]
    pair: PairPlan


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole network. The first pair is the main one."""

    seed: int
    nodes: tuple[str, ...]
    links: tuple[LinkPlan, ...]
    pairs: tuple[PairPlan, ...]
    demands: tuple[DemandPlan, ...]
    joining: NodePlan

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

    def demand(self, virtual_link: str) -> DemandPlan:
        """The demand of this name."""
        return next(demand for demand in self.demands if demand.name == virtual_link)

    @property
    def all_links(self) -> tuple[LinkPlan, ...]:
        """The links, those that come with the node that joins included."""
        return (*self.links, *self.joining.links)

    @property
    def vendors(self) -> tuple[str, ...]:
        """Names of the profiles, each once."""
        return tuple(sorted({link.vendor for link in self.links}))

    @property
    def homes(self) -> dict[str, str]:
        """SAE ID → home node; the main pair's come first."""
        return {sae: node for pair in self.pairs for sae, node in pair.homes.items()}

    def link_between(self, one: str, other: str) -> LinkPlan:
        """The link between two neighbours."""
        return next(link for link in self.all_links if set(link.ends) == {one, other})

    def links_at(self, node: str) -> tuple[LinkPlan, ...]:
        """The links that end at a node of the network as it begins."""
        return tuple(link for link in self.links if node in link.ends)

    def neighbours(self, node: str) -> tuple[str, ...]:
        """The nodes at their other ends."""
        return tuple(other for link in self.links_at(node) for other in link.ends if other != node)

    def vendors_along(self, route: tuple[str, ...]) -> list[str]:
        """The vendor of each hop of a route."""
        return [self.link_between(one, other).vendor for one, other in pairwise(route)]

    @property
    def load_rate(self) -> float:
        """Bytes of pad per second that the demo takes from the main pair at most: its buffer covers `COVERED` of it."""
        return self.demand(self.main.virtual_link).depth / COVERED


def request_sizes(keys: int, size: int) -> list[int]:
    """How many keys each request asks for: up to 50, and no more than one request may carry.

    Args:
        keys: all of them.
        size: bits of each.
    """
    most = min(BATCH, limits.KEY_BYTES_PER_REQUEST * 8 // size)
    whole, rest = divmod(keys, most)
    return [most] * whole + [rest] * bool(rest)

"""The network as routing sees it: nodes, and between neighbours the key that comes, that stands, and that is spoken for.

A *hop* is an unordered pair of neighbours with all QKD links between them; an *arc* is a hop in one direction. Key comes in by
hop: either end may collect it, so both directions share it, u(A→B) + u(B→A) ≤ rate (design section 7). Pad stands by arc: only
its owner allocates it (design section 3, Collect), and it is counted for each neighbour, not for each link (`PadReport`).

A graph never changes. An update shares everything that it leaves alone; what it changes is an array of one number a hop.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from quiver.domain.errors import ConfigurationError

__all__ = ["Availability", "Graph", "Link", "Shape"]

Counts = NDArray[np.int64]


class Availability(StrEnum):
    """What routing may do with a link or a node."""

    UP = "up"
    DRAINED = "drained"  # an operator wants it empty: a node may still begin and end routes, but relays none
    DOWN = "down"  # no route at all


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One QKD link; there may be several between two nodes.

    Attributes:
        id: equal at both ends.
        ends: the two nodes, in any order.
        rate: bits of key per second, both directions together; 0 where nothing is known or the quantum channel is cut.
        availability: only an available link adds to its hop's rate, and a hop without any carries no route.
    """

    id: str
    ends: tuple[str, str]
    rate: int = 0
    availability: Availability = Availability.UP


class Shape:
    """Nodes, hops and arcs as numbers: what stays while rates, pads and states change.

    Hop h joins `hops[h]`, the lower node number first; its arcs are 2h in this direction and 2h + 1 in the other. Numbers follow
    the order of names, so that equal networks give equal routes.

    Args:
        nodes: names; those at links' ends need not be repeated.
        links: with ids that differ.

    Raises:
        ConfigurationError: a link's two ends are one node, or two links have one id.
    """

    def __init__(self, nodes: Iterable[str], links: Sequence[Link]) -> None:
        pairs = {link.id: _pair(link) for link in links}
        if len(pairs) != len(links):
            raise ConfigurationError("two links have the same id")
        self.nodes: Final = tuple(sorted({*nodes, *(end for pair in pairs.values() for end in pair)}))
        self.node_number: Final = {name: number for number, name in enumerate(self.nodes)}
        ordered: Final = sorted(set(pairs.values()))
        self.hop_number: Final = {pair: number for number, pair in enumerate(ordered)}
        self.hops: Final = tuple((self.node_number[one], self.node_number[other]) for one, other in ordered)
        self.links_of: Final[dict[int, list[str]]] = {}
        for link_id, pair in pairs.items():
            self.links_of.setdefault(self.hop_number[pair], []).append(link_id)
        around: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for hop, (one, other) in enumerate(self.hops):
            around[one].append((other, 2 * hop))
            around[other].append((one, 2 * hop + 1))
        self.arcs_from: Final = tuple(tuple(sorted(arcs)) for arcs in around)
        """Of each node: its neighbours and the arcs that lead there."""
        self._arc_between: Final = {
            ends[:: 1 - 2 * side]: 2 * hop + side for hop, ends in enumerate(self.hops) for side in (0, 1)
        }

    def node(self, name: str) -> int:
        """A node's number.

        Raises:
            ConfigurationError: there is no such node.
        """
        try:
            return self.node_number[name]
        except KeyError:
            raise ConfigurationError(f"there is no node {name} in the network") from None

    def arc(self, source: str, neighbour: str) -> int:
        """The number of the arc from one node to its neighbour.

        Raises:
            ConfigurationError: they are not neighbours.
        """
        try:
            if source < neighbour:
                return 2 * self.hop_number[source, neighbour]
            return 2 * self.hop_number[neighbour, source] + 1
        except KeyError:
            raise ConfigurationError(f"there is no link from {source} to {neighbour}") from None

    def arcs_of(self, route: Iterable[int]) -> list[int]:
        """The arcs of a route of numbered nodes.

        Raises:
            KeyError: two of them that follow each other are not neighbours.
        """
        return [self._arc_between[pair] for pair in pairwise(route)]

    def names(self, route: Iterable[int]) -> tuple[str, ...]:
        """The names of numbered nodes."""
        return tuple(self.nodes[number] for number in route)


class Graph:
    """The network at one time, with what is placed on it. Immutable.

    Args:
        links: all QKD links, usable or not.
        nodes: names of nodes, also of those without a link.
        states: node → what routing may do with it; up where nothing is said.
        now: seconds on the clock by which pads' readings are dated.

    Raises:
        ConfigurationError: links contradict each other, or a node is not known.
    """

    shape: Shape
    links: Mapping[str, Link]
    states: Mapping[str, Availability]
    now: float
    rates: Counts  # by hop, bit/s of its available links
    placed: Counts  # by hop, bit/s of the routes placed on it, both directions
    open_hops: NDArray[np.bool_]  # by hop, whether any link of it is available
    pads: Counts  # by arc, bits that its first node may allocate
    read: NDArray[np.float64]  # by arc, when that was so

    def __init__(
        self,
        links: Iterable[Link],
        *,
        nodes: Iterable[str] = (),
        states: Mapping[str, Availability] = MappingProxyType({}),
        now: float = 0.0,
    ) -> None:
        known = tuple(links)
        self.shape = Shape(nodes, known)
        self.links = {link.id: link for link in known}
        for name in states:
            self.shape.node(name)
        self.states = dict(states)
        self.now = now
        hops = len(self.shape.hops)
        self.placed = np.zeros(hops, np.int64)
        self.rates = np.zeros(hops, np.int64)
        self.open_hops = np.zeros(hops, np.bool_)
        for hop in range(hops):
            self.rates[hop], self.open_hops[hop] = _sum_of(self.links, self.shape.links_of[hop])
        self.pads = np.zeros(2 * hops, np.int64)
        self.read = np.full(2 * hops, -np.inf)

    # --- what has changed -----------------------------------------------------------------------------------------

    def at(self, now: float) -> Self:
        """The same network at another time: pads' readings have another age."""
        other = copy(self)
        other.now = now
        return other

    def with_link(self, link: Link) -> Self:
        """A link's rate or availability has changed, or the link is new."""
        known = self.links.get(link.id)
        if known is None or _pair(known) != _pair(link):
            return self._rebuilt({**self.links, link.id: link})
        other = copy(self)
        other.links = {**self.links, link.id: link}
        other.rates, other.open_hops = self.rates.copy(), self.open_hops.copy()
        hop = self.shape.hop_number[_pair(link)]
        other.rates[hop], other.open_hops[hop] = _sum_of(other.links, self.shape.links_of[hop])
        return other

    def without_link(self, link_id: str) -> Self:
        """A link is gone for good."""
        return self._rebuilt({known: link for known, link in self.links.items() if known != link_id})

    def with_node(self, node: str, state: Availability = Availability.UP) -> Self:
        """A node's state has changed, or the node is new."""
        other = copy(self) if node in self.shape.node_number else self._rebuilt(self.links, (node,))
        other.states = {**self.states, node: state}
        return other

    def with_pad(self, node: str, neighbour: str, bits: int, read: float) -> Self:
        """At the time `read`, `node` could allocate this much pad towards its neighbour."""
        arc = self.shape.arc(node, neighbour)
        other = copy(self)
        other.pads, other.read = self.pads.copy(), self.read.copy()
        other.pads[arc], other.read[arc] = bits, read
        return other

    def with_pads(self, bits: Counts, read: float) -> Self:
        """Likewise for all arcs at once, by their numbers."""
        other = copy(self)
        other.pads, other.read = bits.astype(np.int64), np.full(len(self.read), read)
        return other

    def place(self, nodes: Sequence[str], rate: int) -> Self:
        """A route has been given `rate` bit/s of each of its hops."""
        return self.place_all([(nodes, rate)])

    def place_all(self, routes: Iterable[tuple[Sequence[str], int]]) -> Self:
        """Routes have been given bit/s of their hops, or give them back where negative; hops that are gone are passed over."""
        other = copy(self)
        other.placed = self.placed.copy()
        for nodes, rate in routes:
            for hop in self.hops_of(nodes):
                other.placed[hop] += rate
        return other

    def release(self, nodes: Sequence[str], rate: int) -> Self:
        """A route has given back `rate` bit/s; hops that are no longer there are passed over."""
        return self.place(nodes, -rate)

    def cleared(self) -> Self:
        """The same network with nothing placed on it."""
        other = copy(self)
        other.placed = np.zeros_like(self.placed)
        return other

    def _rebuilt(self, links: Mapping[str, Link], nodes: Iterable[str] = ()) -> Self:
        """With another shape; what is known of hops that remain is carried over."""
        other = type(self)(links.values(), nodes=(*self.shape.nodes, *nodes), states=self.states, now=self.now)
        for pair, hop in other.shape.hop_number.items():
            before = self.shape.hop_number.get(pair)
            if before is not None:
                other.placed[hop] = self.placed[before]
                for side in (0, 1):
                    other.pads[2 * hop + side] = self.pads[2 * before + side]
                    other.read[2 * hop + side] = self.read[2 * before + side]
        return other

    # --- what holds -----------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> tuple[str, ...]:
        """All names, sorted."""
        return self.shape.nodes

    def hops_of(self, nodes: Sequence[str]) -> list[int]:
        """Numbers of the hops of a route, those that are no longer there left out."""
        pairs = ((one, other) if one < other else (other, one) for one, other in pairwise(nodes))
        return [self.shape.hop_number[pair] for pair in pairs if pair in self.shape.hop_number]

    def left(self, nodes: Sequence[str]) -> int:
        """The least bit/s that any hop of a route has left; negative where more is placed than comes."""
        return min(int(self.rates[hop] - self.placed[hop]) for hop in self.hops_of(nodes))

    def pad(self, node: str, neighbour: str) -> int:
        """Bits of pad towards a neighbour, as read last."""
        return int(self.pads[self.shape.arc(node, neighbour)])

    def carries(self, nodes: Sequence[str]) -> bool:
        """Whether every hop of a route is there and available, and every node of it may do its part."""
        hops = self.hops_of(nodes)
        if len(hops) != len(nodes) - 1 or not all(self.open_hops[hop] for hop in hops):
            return False
        states = [self.states.get(node, Availability.UP) for node in nodes]
        return Availability.DOWN not in states and Availability.DRAINED not in states[1:-1]

    def barred(self, source: str, destination: str, excluded: Iterable[str] = ()) -> set[int]:
        """Numbers of the nodes that a route between these two may not pass; an end itself, where it is down."""
        names = {node for node, state in self.states.items() if state is not Availability.UP}
        names.update(excluded)
        names -= {end for end in (source, destination) if self.states.get(end) is not Availability.DOWN}
        return {self.shape.node_number[name] for name in names if name in self.shape.node_number}


def _sum_of(links: Mapping[str, Link], ids: Iterable[str]) -> tuple[int, bool]:
    """Rate of a hop's available links, and whether there is any."""
    available = [links[link] for link in ids if links[link].availability is Availability.UP]
    return sum(link.rate for link in available), bool(available)


def _pair(link: Link) -> tuple[str, str]:
    """A link's ends in order.

    Raises:
        ConfigurationError: they are one node.
    """
    one, other = sorted(link.ends)
    if one == other:
        raise ConfigurationError(f"link {link.id}: both ends are {one}")
    return one, other

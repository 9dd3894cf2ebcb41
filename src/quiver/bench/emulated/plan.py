"""What is emulated, on paper: nodes, links, and which process emulates which nodes. Each process reads it from one file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from quiver.domain import limits
from quiver.domain.network import LinkEntry
from quiver.simulate.networks import SimulatedNetwork

__all__ = ["AUDITOR", "CONTROLLER", "OPERATOR", "EmulatedLink", "EmulationPlan"]

CONTROLLER: Final = "controller-1"
OPERATOR: Final = "operator-1"  # towards the controller
AUDITOR: Final = "auditor-1"  # towards agents

LEVEL: Final = limits.PAD_LEVEL // 4  # bytes per direction of a link: four times as many paths compete for it as should


class EmulatedLink(msgspec.Struct, frozen=True):
    """One QKD link: its id, its two nodes, and its rate in bits per second, both directions together."""

    id: str
    one: str
    other: str
    rate: int


class EmulationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole network.

    Attributes:
        root: directory of everything that is written.
        hosts: node → number of the process that emulates it, from 0.
    """

    root: str
    hosts: dict[str, int]
    links: tuple[EmulatedLink, ...]

    @classmethod
    def of(cls, network: SimulatedNetwork, processes: int, root: Path) -> Self:
        """Share a network's nodes out, so that most neighbours are in one process.

        Args:
            network: what is emulated.
            processes: among so many.
            root: an empty directory.
        """
        links = tuple(
            EmulatedLink(f"{span.one}.{span.other}", span.one, span.other, span.rate) for span in network.spans
        )
        order = _depth_first(links)
        hosts = {node: place * processes // len(order) for place, node in enumerate(order)}
        return cls(root=str(root), hosts=hosts, links=links)

    @classmethod
    def read(cls, path: Path) -> Self:
        """A plan that `write` has written."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self) -> list[Path]:
        """The file of each process, which bears its number."""
        paths = [Path(self.root) / f"{number}.json" for number in range(self.processes)]
        for path in paths:
            path.write_bytes(msgspec.json.encode(self))
        return paths

    @property
    def processes(self) -> int:
        """How many there are."""
        return max(self.hosts.values()) + 1

    def nodes_of(self, host: int) -> list[str]:
        """Those that one process emulates."""
        return [node for node, number in self.hosts.items() if number == host]

    def entries(self, node: str) -> tuple[LinkEntry, ...]:
        """The links of a node, as its configuration has them."""
        ends = [(link.id, other) for link in self.links for one, other in _both(link) if one == node]
        return tuple(LinkEntry(id=link, neighbour=other, level=LEVEL) for link, other in ends)

    # --- places ---------------------------------------------------------------------------------------------------

    @property
    def pki(self) -> Path:
        """Certificates."""
        return Path(self.root) / "pki"

    @property
    def seed(self) -> Path:
        """32 random bytes of which the links' keys are made; they serve this emulation only."""
        return Path(self.root) / "seed"

    def state(self, node: str) -> Path:
        """A node's databases."""
        return Path(self.root) / "nodes" / node

    def messages(self, host: int) -> Path:
        """The socket at which a process takes messages of the others' nodes."""
        return Path(self.root) / f"{host}.messages"

    def control(self, host: int) -> Path:
        """The socket at which a process takes orders, and tells what happens at its nodes."""
        return Path(self.root) / f"{host}.control"


def _both(link: EmulatedLink) -> tuple[tuple[str, str], tuple[str, str]]:
    return (link.one, link.other), (link.other, link.one)


def _depth_first(links: Sequence[EmulatedLink]) -> list[str]:
    """All nodes of a connected network, each near the one before where it can be."""
    neighbours: dict[str, list[str]] = {}
    for link in links:
        for one, other in _both(link):
            neighbours.setdefault(one, []).append(other)
    order: dict[str, None] = {}
    waiting = [min(neighbours)]
    while waiting:
        node = waiting.pop()
        if node not in order:
            order[node] = None
            waiting += neighbours[node]
    return list(order)

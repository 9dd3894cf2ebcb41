"""Networks built by hand, for promises that need a certain shape and figures."""

from collections.abc import Sequence

from quiver.domain.messages import Item
from quiver.domain.node import Node

from . import checks
from .faults import Faults
from .load import Load
from .run import come_to_rest, judge
from .scenery import Scenery
from .site import Site
from .tables import tables_are_bounded
from .world import World

Edges = Sequence[tuple[int, int]]


class Stage:
    """A network of a given shape with its SAEs; time passes only in `run`.

    Args:
        edges: pairs of node numbers.
        routes: lists of node numbers, each a virtual link.
        seed: of all randomness.
        settings: further ones of `Scenery`.
    """

    def __init__(self, edges: Edges, routes: Sequence[Sequence[int]], *, seed: int = 1, **settings):
        self.world = World(seed)
        nodes = 1 + max(high for _, high in edges)
        settings = {"depth": 0, "rate": 20_000, "stock": 40_000, "level": 64 * 1024} | settings
        self.scenery = Scenery(self.world, nodes, edges=list(edges), routes=[tuple(r) for r in routes], **settings)
        self.load, self.faults = Load(self.world, self.scenery), Faults(self.world, self.scenery)

    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    def site(self, number: int) -> Site:
        return self.scenery.sites[f"n{number}"]

    def node(self, number: int) -> Node:
        return self.site(number).node

    def ask(
        self, source: int, destination: int, *, every: float, seconds: float, count: int = 1, size: int = 256
    ) -> None:
        """One master asks all the time."""
        master, slave = f"sae-n{source}-0", f"sae-n{destination}-0"
        for turn in range(int(seconds / every)):
            self.world.after(turn * every, lambda: self.load.ask(master, slave, count, size))

    def cut(self, one: int, other: int, *, heal: bool = False) -> None:
        """No message passes between two nodes any more; or again."""
        pair = frozenset((f"n{one}", f"n{other}"))
        (self.scenery.transport.cut.discard if heal else self.scenery.transport.cut.add)(pair)

    def end(self) -> list[str]:
        """Let everything come to rest, fetch all keys, and check."""
        under_load = tables_are_bounded(self.scenery)
        come_to_rest(self.scenery)
        self.load.fetch_everything()
        violations = judge(self.scenery, self.load, self.faults)
        violations += checks.half_is_served(self.load.asked, self.faults.explain)
        self.scenery.close()
        return under_load + violations

    @property
    def served(self) -> int:
        return sum(1 for asked in self.load.asked if asked.keys)

    @property
    def share(self) -> float:
        """Part of the requests that were served."""
        return self.served / len(self.load.asked)

    def sent(self, kind: type[Item]) -> list[tuple[str, str, Item]]:
        """All items of a kind in the recorded messages: sender, receiver, item."""
        record = self.scenery.transport.record
        return [(m.sender, m.receiver, item) for m in record for item in m.items if isinstance(item, kind)]

    def burned(self, *numbers: int) -> int:
        """Bytes of pad burned at nodes, all where none is named."""
        chosen = [self.site(number) for number in numbers] or list(self.scenery.sites.values())
        return sum(sum(site.node.journal.burned.causes.values()) for site in chosen)


def chain(nodes: int) -> list[tuple[int, int]]:
    """The edges of a chain."""
    return [(i, i + 1) for i in range(nodes - 1)]


def ring(nodes: int) -> list[tuple[int, int]]:
    """The edges of a ring."""
    return [*chain(nodes), (0, nodes - 1)]

"""A managed network: nodes without paths of their own, the links between them, demands, and one controller or two."""

from quiver.domain.network import Directory
from quiver.domain.sdn.demands import Demand

from ..faults import Faults
from ..load import Load
from ..scenery import Scenery
from ..world import World
from .agents import ManagedSite
from .pilot import Pilot


class ManagedNetwork(Scenery):
    """Sites, links, demands and a controller that serves them.

    Args:
        world: time and randomness.
        nodes: how many.
        demands: what is to be served, between nodes named n0, n1, ...
        channel: of the controller: `drop` and `slow`.
        settings: further ones of `Scenery`.
    """

    site_type = ManagedSite

    def __init__(self, world: World, nodes: int, demands: list[Demand], *, channel=None, **settings):
        self.wanted = demands
        super().__init__(world, nodes, routes=[], **settings)
        self.load, self.faults = Load(world, self), Faults(world, self)
        self.pilot = Pilot(world, self.sites, **(channel or {}))
        world.after(0.0, self._begin)

    def _begin(self) -> None:
        self.pilot.start()
        for demand in self.wanted:
            self.pilot.core.operator.demand(demand)

    def directory(self) -> Directory:
        homes = {f"sae-{name}-{k}": name for name in self.names for k in (0, 1)}
        ends = [(demand.source, demand.destination) for demand in self.wanted]
        pairs = {frozenset((f"sae-{one}-{k}", f"sae-{other}-{k}")) for one, other in ends for k in (0, 1)}
        pairs |= {frozenset((f"sae-{name}-0", f"sae-{name}-1")) for name in self.names}
        return Directory(homes=homes, pairs=frozenset(pairs))

    def link(self, one: int, other: int) -> str:
        return f"l{min(one, other)}-{max(one, other)}"

    def cut(self, one: int, other: int, *, heal: bool = False) -> None:
        """The quantum channel and every message along the link are gone; or back."""
        link = self.link(one, other)
        self.devices[link].up = heal
        (self.transport.cut_links.discard if heal else self.transport.cut_links.add)(link)

    def routes(self) -> dict[str, tuple[str, ...]]:
        """Virtual link → the route in use, as the controller has it."""
        return {path.virtual_link: path.nodes for path in self.pilot.core.snapshot().paths}

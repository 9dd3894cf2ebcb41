"""A managed network: nodes without paths of their own, the links between them, demands, and one controller or two."""

from quiver.domain.network import Directory, PathEntry
from quiver.domain.provision import compose
from quiver.domain.sdn.demands import Demand
from tests.simulation.faults import Faults
from tests.simulation.load import Load
from tests.simulation.scenery import Scenery
from tests.simulation.world import World

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
        self.loaded_until = 0.0
        self.permitted: set[frozenset[str]] = set()
        self.entries: dict[str, PathEntry] = {}
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
        return Directory(homes=homes, pairs=frozenset(pairs | self.permitted))

    @property
    def ends(self) -> dict[str, tuple[str, str]]:
        return {link: devices.ends for link, devices in self.devices.items()}

    def between(self, one: str, other: str) -> str:
        return next(link for link, ends in self.ends.items() if set(ends) == {one, other})

    def permit(self, pair: frozenset[str]) -> None:
        """The operator permits one more pair of SAEs."""
        self.permitted.add(pair)
        for index, site in enumerate(self.sites.values()):
            site.policy = self.network_of(index, ())
            site.take(compose(site.policy, site.provision))

    def cut_link(self, link: str, *, whole: bool = True) -> None:
        """The quantum channel is gone, and with it, for a whole cut, every message along the link."""
        self.devices[link].up = False
        if whole:
            self.transport.cut_links.add(link)

    def heal_link(self, link: str) -> None:
        self.devices[link].up = True
        self.transport.cut_links.discard(link)

    @property
    def written(self) -> list[PathEntry]:
        return [entry for site in self.sites.values() for entry in site.written]

    def routes(self) -> dict[str, tuple[str, ...]]:
        """Virtual link → the route in use, as the controller has it."""
        return {path.virtual_link: path.nodes for path in self.pilot.core.snapshot().paths}

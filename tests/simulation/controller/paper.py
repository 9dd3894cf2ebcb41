"""Agents without pads and messages: they hold what they are told, and say what real ones would. For many seeds, and many nodes.

A path has credit at its source where every node of it is up and holds the same entry, every hop is heard, and no hop is dry; the
source learns of it a little later than it happens, as real credit travels.
"""

from itertools import pairwise

from quiver.domain.events import (
    CreditGained,
    CreditLost,
    DeviceFault,
    DeviceRepaired,
    Event,
    LinkDown,
    LinkUp,
    NumberedEvent,
    PadHigh,
    PadLow,
    PathPrimed,
)
from quiver.domain.network import Directory, LinkEntry, Network
from quiver.domain.report import (
    DeviceState,
    LinkReport,
    LinkState,
    NodeReport,
    PadReport,
    PathMark,
    PathReport,
    PathRole,
)
from quiver.domain.sdn.demands import Demand
from tests.simulation.world import World

from .agents import Managed
from .pilot import Pilot

LEVEL = 100_000
BEAT = 0.1  # seconds between two looks at links and credit
CREDIT_LOST = 3.0  # seconds until credit that is not repeated has expired


class PaperSite(Managed):
    """One agent."""

    def __init__(self, network: "PaperNetwork", name: str):
        self.network, self.name, self.world = network, name, network.world
        self.neighbours = {link: b if a == name else a for link, (a, b) in network.ends.items() if name in (a, b)}
        links = tuple(LinkEntry(id=link, neighbour=other) for link, other in self.neighbours.items())
        self.manage(Network(node=name, links=links, paths=(), directory=Directory()))
        self.up, self.life, self.marks = True, 0, {}
        self._begin()

    def _begin(self) -> None:
        self.run, self.sequence = self.world.draw(16).hex(), 0
        self.states = dict.fromkeys(self.neighbours, LinkState.UNKNOWN)
        self.devices = dict.fromkeys(self.neighbours, DeviceState.READY)
        self.low: set[str] = set()
        self.credit: dict[str, float] = {}  # path version → when it was last whole
        self.primed: set[str] = set()
        self.open: dict[str, float] = {}  # version that was removed → until when it has open sequences

    def crash(self) -> None:
        self.up, self.life = False, self.life + 1

    def restart(self) -> None:
        self.up = True
        self._begin()

    # --- what it says ---------------------------------------------------------------------------------------------

    def say(self, event: Event) -> None:
        self.sequence += 1
        for listener in self.listeners:
            listener(self, self.run, NumberedEvent(sequence=self.sequence, body=event))

    def true_report(self) -> NodeReport:
        now = self.world.now()
        paths = [self._path(entry, 0) for entry in self.provision.paths.values()]
        paths += [self._path(entry, 1) for entry in self.written if self.open.get(entry.key, 0.0) > now]
        links = [
            LinkReport(
                id=link,
                neighbour=other,
                state=self.states[link],
                device=self.devices[link],
                collected=int(self.network.made[link]),
            )
            for link, other in self.neighbours.items()
        ]
        return NodeReport(
            node=self.name,
            run=self.run,
            sequence=self.sequence,
            term=self.provision.term,
            links=tuple(links),
            pads=tuple(
                PadReport(neighbour=other, own=int(self.network.pad(self.name, link)), level=LEVEL)
                for link, other in self.neighbours.items()
            ),
            paths=tuple(paths),
            configured=tuple(self.provision.paths.values()),
            marks=tuple(PathMark(virtual_link=v, path=p, version=n) for (v, p), n in self.marks.items()),
            addresses=dict(self.provision.addresses),
        )

    def _path(self, entry, still_open: int) -> PathReport:
        return PathReport(
            key=entry.key,
            digest=entry.digest,
            role=PathRole.SOURCE if entry.source == self.name else PathRole.RELAY,
            retiring=bool(still_open),
            credit=10_000 if entry.key in self.credit else 0,
            open=still_open,
            primed=entry.key in self.primed,
        )

    # --- what it does ---------------------------------------------------------------------------------------------

    def take(self, network: Network) -> None:
        for entry in self.policy.paths + network.paths:
            path = entry.virtual_link, entry.path
            self.marks[path] = max(entry.version, self.marks.get(path, 0))
        for key in self.provision.paths.keys() - {entry.key for entry in network.paths}:
            if self.credit.pop(key, None) is not None:
                self.open[key] = self.world.now() + self.world.random.choice((0.0, 0.2, 3.0))

    def beat(self) -> None:
        """Look at links, pads and credit."""
        now = self.world.now()
        for link, other in self.neighbours.items():
            heard = link not in self.network.silent and self.network.sites[other].up
            state = LinkState.UP if heard else LinkState.DOWN
            if state is not self.states[link] and (heard or self.states[link] is LinkState.UP):
                self.states[link] = state
                self.say((LinkUp if heard else LinkDown)(link=link, neighbour=other))
            self._look_at_device(link, other)
        for key in [key for key, seen in self.credit.items() if now - seen > CREDIT_LOST]:
            del self.credit[key]
            self.say(CreditLost(path=key))

    def _look_at_device(self, link: str, other: str) -> None:
        dark, own = link in self.network.dark, self.network.pad(self.name, link)
        if dark and self.devices[link] is DeviceState.READY:
            self.devices[link] = DeviceState.FAULT
            self.say(DeviceFault(link=link, neighbour=other, reason="no channel"))
        elif not dark and self.devices[link] is DeviceState.FAULT:
            self.devices[link] = DeviceState.READY
            self.say(DeviceRepaired(link=link, neighbour=other))
        if own < LEVEL / 4 and other not in self.low:
            self.low.add(other)
            self.say(PadLow(neighbour=other, own=int(own), level=LEVEL))
        elif own > LEVEL / 2 and other in self.low:
            self.low.discard(other)
            self.say(PadHigh(neighbour=other, own=int(own), level=LEVEL))

    def whole(self, entry) -> None:
        """All of a path of this source is there."""
        new = entry.key not in self.credit
        self.credit[entry.key] = self.world.now()
        if new:
            self.say(CreditGained(path=entry.key, credit=10_000))
            if entry.key not in self.primed:
                self.primed.add(entry.key)
                self.say(PathPrimed(path=entry.key))


class PaperNetwork:
    """Agents on paper, links between them, and a controller.

    Args:
        world: time and randomness.
        edges: pairs of node numbers.
        demands: what is to be served.
        channel: of the controller: `drop` and `slow`.
    """

    def __init__(self, world: World, edges: list[tuple[int, int]], demands: list[Demand], *, channel=None):
        self.world, self.wanted = world, demands
        self.entries = {}
        self.names = [f"n{number}" for number in range(1 + max(max(edge) for edge in edges))]
        self.ends = {f"l{low}-{high}": (f"n{low}", f"n{high}") for low, high in edges}
        self._between = {frozenset(ends): link for link, ends in self.ends.items()}
        self.silent: set[str] = set()  # links along which nothing is heard
        self.dark: set[str] = set()  # links that make no key
        self.made = dict.fromkeys(self.ends, 0.0)
        self._pads = {(node, link): 0.8 * LEVEL for link, ends in self.ends.items() for node in ends}
        self.spent = dict.fromkeys(self.ends, 0.0)  # bytes per second that a link's paths take
        self.sites = {name: PaperSite(self, name) for name in self.names}
        self.transport = self
        self.pilot = Pilot(world, self.sites, **(channel or {}))
        world.after(0.0, self._begin)
        world.after(0.0, self._beat)

    def _begin(self) -> None:
        self.pilot.start()
        for demand in self.wanted:
            self.pilot.core.operator.demand(demand)

    def _beat(self) -> None:
        for link, ends in self.ends.items():
            gain = (0.0 if link in self.dark else 2_000.0) * BEAT
            self.made[link] += gain
            for node in ends:
                pad = self._pads[node, link] + gain / 2 - self.spent[link] * BEAT
                self._pads[node, link] = min(LEVEL, max(0.0, pad))
        for site in self.sites.values():
            if site.up:
                site.beat()
        for site in self.sites.values():
            for entry in site.provision.paths.values() if site.up else ():
                if entry.source == site.name and self._is_whole(entry):
                    site.whole(entry)
        self.world.after(BEAT, self._beat)

    def _is_whole(self, entry) -> bool:
        held = all(self.sites[n].up and self.sites[n].provision.paths.get(entry.key) == entry for n in entry.nodes)
        hops = [self.between(one, other) for one, other in pairwise(entry.nodes)]
        return held and all(
            link not in self.silent and self._pads[node, link] > 0
            for link, node in zip(hops, entry.nodes, strict=False)
        )

    def between(self, one: str, other: str) -> str:
        return self._between[frozenset((one, other))]

    def pad(self, node: str, link: str) -> float:
        return self._pads[node, link]

    def calm(self) -> None:
        """Nothing of its own goes wrong here."""

    def cut_link(self, link: str, *, whole: bool = True) -> None:
        self.dark.add(link)
        if whole:
            self.silent.add(link)

    def heal_link(self, link: str) -> None:
        self.dark.discard(link)
        self.silent.discard(link)

    @property
    def written(self):
        return [entry for site in self.sites.values() for entry in site.written]

    def routes(self) -> dict[str, tuple[str, ...]]:
        """Virtual link → the route in use, as the controller has it."""
        return {path.virtual_link: path.nodes for path in self.pilot.core.snapshot().paths}

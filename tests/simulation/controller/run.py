"""One run: a managed network and what goes wrong in it, all from one seed, and every check at its end."""

from dataclasses import dataclass, field

from quiver.domain.sdn.demands import Demand
from tests.simulation.run import judge
from tests.simulation.world import World

from . import wholeness
from .network import ManagedNetwork
from .paper import PaperNetwork
from .trouble import KINDS, Trouble

HEALED = 16.0  # seconds after the last fault in which everything has to be in order again
MOVING = 6.0  # seconds that a move may take: the last sequences of the old version have five
STRIKING = 15.0  # seconds of faults on paper; real agents cost more time, and get less of it


@dataclass
class Outcome:
    """What one run showed."""

    seed: int
    violations: list[str]
    struck: list[str]
    notices: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        found, struck = ("\n  ".join(lines) or "nothing" for lines in (self.violations, self.struck))
        return f"seed {self.seed}: violations:\n  {found}\nfaults:\n  {struck}"


def run_on_paper(seed: int) -> Outcome:
    """Many faults, in a network of agents that only say what real ones would."""
    world = World(seed)
    random = world.random
    nodes = random.choice((4, 5, 6, 8))
    edges = {(min(i, (i + 1) % nodes), max(i, (i + 1) % nodes)) for i in range(nodes)}
    edges |= {(low, high) for low, high in (sorted(random.sample(range(nodes), 2)) for _ in range(nodes // 2))}
    demands = []
    for number in range(random.choice((1, 3, 6))):
        source, destination = random.sample(range(nodes), 2)
        demands.append(
            Demand(
                name=f"v{number}",
                source=f"n{source}",
                destination=f"n{destination}",
                depth=random.choice((0, 8192)),
                rate=random.choice((0, 1000)),
                paths=random.choice((1, 1, 2)),
            )
        )
    channel = {"drop": random.choice((0.0, 0.0, 0.02, 0.1)), "slow": random.choice((0.0, 0.0, 0.05))}
    network = PaperNetwork(world, sorted(edges), demands, channel=channel)
    trouble = strike(network, random.choice((3, 8, 16, 40)), STRIKING)
    return Outcome(seed, check(network), trouble.struck, [notice.name for notice in network.pilot.notices])


def run_with_nodes(seed: int) -> Outcome:
    """Fewer faults, and real nodes with pads, messages and SAEs."""
    world = World(seed)
    random = world.random
    edges = [(0, 1), (1, 2), (2, 3), (0, 3), (1, 3)][: random.choice((4, 5))]
    demands = [
        Demand(name="v", source="n0", destination="n2", depth=random.choice((0, 8192))),
        Demand(name="b", source="n2", destination="n0"),
    ]
    channel = {"drop": random.choice((0.0, 0.0, 0.02, 0.1)), "slow": random.choice((0.0, 0.0, 0.05))}
    figures = {"level": 64 * 1024, "rate": 20_000, "stock": 40_000}
    network = ManagedNetwork(world, 4, demands, edges=edges, channel=channel, **figures)
    for turn in range(40):
        world.after(1.0 + turn * 0.2, lambda: network.load.ask("sae-n0-0", "sae-n2-0"))
    trouble = strike(network, random.choice((4, 8, 12)), 8.0)
    last = [network.load.ask(f"sae-{d.source}-0", f"sae-{d.destination}-0") for d in demands]
    world.run(3.0)
    network.load.fetch_everything()
    network.all_paths = list({entry.key: entry for entry in network.written}.values())
    found = check(network) + judge(network, network.load, network.faults)
    found += [f"{asked.master} gets no key any more: {asked.error}" for asked in last if not asked.keys]
    network.close()
    return Outcome(seed, found, trouble.struck, [notice.name for notice in network.pilot.notices])


def strike(network, count: int, seconds: float) -> Trouble:
    """Some kinds of faults, and the time to get over them."""
    random = network.world.random
    known = sorted(set(KINDS))
    trouble = Trouble(network, random.choice((KINDS, random.sample(known, 1), random.sample(known, 3))))
    network.world.run(random.choice((2.0, 4.0)))
    trouble.draw(count, seconds)
    network.world.run(seconds)
    trouble.end()
    network.world.run(HEALED)
    return trouble


def check(network) -> list[str]:
    """What must hold at the end of every run; a path that just moves to a better route may take its time for that."""
    for _ in range(int(MOVING / 0.5)):
        found = _violations(network)
        if not found:
            return []
        network.world.run(0.5)
    return found


def _violations(network) -> list[str]:
    return [
        *wholeness.paths_are_whole_or_absent(network),
        *wholeness.nothing_is_left_over(network),
        *wholeness.demands_are_served(network),
        *wholeness.versions_name_one_route(network),
        *wholeness.paths_are_disjoint(network),
    ]

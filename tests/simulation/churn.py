"""A controller that knows no order: path versions come and go at each node by themselves, some at a part of the nodes only."""

from typing import Protocol

from quiver.domain.network import PathEntry

from .scenery import Scenery
from .world import World

MAKE = 1.0  # seconds in which a new version reaches its nodes, one by one
BREAK = 1.0  # seconds in which the old one is taken from its nodes, one by one


class Faults(Protocol):
    """What it needs of a run's faults."""

    def reserve(self) -> bool: ...
    def release(self) -> None: ...
    def note(self, what: str, seconds: float, hurts, aftermath: float = ...) -> None: ...


class Churn:
    """Writes paths into the sites of a run, in any order."""

    def __init__(self, world: World, scenery: Scenery, faults: Faults):
        self.world, self.scenery, self.faults = world, scenery, faults
        self._count = 0

    def replace(self) -> None:
        """A path gets another route: every node takes the new version up, and lets the old one go, at a time of its own."""
        scenery, random = self.scenery, self.world.random
        old = random.choice(scenery.paths)
        new = scenery.reroute(old)
        if new is None or not self.faults.reserve():
            return
        keep = random.uniform(0.0, 1.0)
        seconds = MAKE + keep + BREAK
        self.faults.note(
            f"{old.key} replaced in any order by {new.nodes}", seconds, lambda route: route in (old.nodes, new.nodes)
        )
        both = [*scenery.paths, new]
        later = [entry for entry in both if entry is not old]
        scenery.paths[:] = later
        scenery.all_paths.append(new)
        for name in scenery.names:
            self.world.after(random.uniform(0.0, MAKE), lambda n=name: scenery.configure(both, only=[n]))
            gone = MAKE + keep + random.uniform(0.0, BREAK)
            self.world.after(gone, lambda n=name: scenery.configure(later, only=[n]))
        self.world.after(seconds, self.faults.release)

    def half(self) -> None:
        """A path version of which at least one node never hears: it must cost nothing."""
        scenery, random = self.scenery, self.world.random
        source, destination = random.sample(range(len(scenery.names)), 2)
        route = scenery.route(source, destination)
        assert route is not None
        if not self.faults.reserve():
            return
        self._count += 1
        nodes = tuple(scenery.names[i] for i in route)
        entry = PathEntry(virtual_link=f"half{self._count}", path=1, version=1, nodes=nodes, depth=8192)
        scenery.halves.append(entry)
        missing = random.choice(nodes[1:])  # without its source nobody would ask
        told = [name for name in nodes if name != missing]
        paths = list(scenery.paths)
        for name in told:
            self.world.after(random.uniform(0.0, MAKE), lambda n=name: scenery.configure([*paths, entry], only=[n]))
            gone = MAKE + random.uniform(0.5, 0.5 + BREAK)
            self.world.after(gone, lambda n=name: scenery.configure(paths, only=[n]))
        self.world.after(MAKE + 0.5 + BREAK, self.faults.release)

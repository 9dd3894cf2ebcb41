"""Faults of one run, drawn from its seed."""

from dataclasses import dataclass, field

from quiver.domain.messages import Ciphertext
from quiver.domain.secret import Secret

from .load import Asked
from .scenery import Scenery
from .world import World

AFTERMATH = 6.0  # seconds after a fault in which it still explains a failed request
KINDS = ("crash", "crash", "crash", "rollback", "dry", "cut", "one-side", "corrupt", "hostile", "reroute", "full")


@dataclass
class Faults:
    """What goes wrong, when, and whom it may hurt."""

    world: World
    scenery: Scenery
    windows: list[tuple[float, float]] = field(default_factory=list)
    burned: set[str] = field(default_factory=set)
    plan: list[str] = field(default_factory=list)
    rolled_back: str = ""

    def draw(self, count: int, seconds: float) -> None:
        """Plan some faults over the time."""
        for _ in range(count):
            kind = self.world.random.choice(KINDS)
            self.world.after(self.world.random.uniform(0.5, seconds), lambda kind=kind: self.strike(kind))

    def troubled(self, asked: Asked) -> bool:
        """Whether a fault explains that a request failed."""
        return any(start - 3.0 <= asked.time <= stop + AFTERMATH for start, stop in self.windows)

    def _explain(self, what: str, seconds: float) -> None:
        now = self.world.now()
        self.windows.append((now, now + seconds))
        self.plan.append(f"{now:.3f} {what} for {seconds:.2f} s")

    def strike(self, kind: str) -> None:
        random, scenery = self.world.random, self.scenery
        site = scenery.sites[random.choice(scenery.names)]
        link = random.choice(list(scenery.devices.values()))
        seconds = random.uniform(0.05, 2.0)
        if kind == "crash":
            self.crash(site, seconds)
        elif kind == "rollback" and not self.rolled_back and hasattr(site.disk, "roll_back"):
            self.rolled_back = site.name
            self.crash(site, seconds, back=random.choice((1, 2, 5, 20, 100, 10_000)))
        elif kind == "reroute":
            self.reroute()
        elif kind == "hostile":
            self.hostile()
        elif kind == "full":
            self._explain(f"{site.name}: disk full", seconds)
            site.disk.broken = True
            self.world.after(seconds, lambda: setattr(site.disk, "broken", False))
        elif kind == "dry":
            self._explain(f"{link.name} dry", seconds)
            link.up = False
            self.world.after(seconds, lambda: setattr(link, "up", True))
        elif kind == "one-side":
            end = random.choice(link.ends)
            self._explain(f"{link.name} unreachable at {end}", seconds)
            link.reachable[end] = False
            self.world.after(seconds, lambda: link.reachable.update({end: True}))
        elif kind == "corrupt":
            self._explain(f"{link.name} hands out wrong bytes", seconds)
            link.corrupt = True
            self.world.after(seconds, lambda: setattr(link, "corrupt", False))
        elif kind == "cut":
            pair = frozenset(random.sample(scenery.names, 2))
            self._explain(f"cut between {sorted(pair)}", seconds)
            scenery.transport.cut.add(pair)
            self.world.after(seconds, lambda: scenery.transport.cut.discard(pair))

    def crash(self, site, seconds: float, back: int = 0) -> None:
        """Kill a node at some point of one of its next turns and start it again."""
        if not site.up or site.crash_at is not None:
            return
        skip = [self.world.random.choice((0, 0, 1, 3))]
        where = self.world.random.choice(("before", "after", 0, 1, 2, 3, 5))
        self._explain(f"{site.name} killed at {where}, {back} commits back", seconds + 1.0)
        life = site.life

        def crash_at():
            skip[0] -= 1
            if skip[0] >= 0:
                return None
            site.crash_at = None
            return where

        site.crash_at = crash_at

        def revive() -> None:
            site.crash_at = None
            if site.life == life:
                site.crash()
            if not site.up:
                if back:
                    self.burned.add(site.name)
                site.restart(max(0, site.disk.number - back) if back else None)

        self.world.after(seconds, revive)

    def hostile(self) -> None:
        """A relay that shifts every ciphertext it sends, for a while."""
        relays = sorted({relay for entry in self.scenery.paths for relay in entry.relays})
        if not relays or self.scenery.transport.tamper is not None:
            return
        relay = self.world.random.choice(relays)

        def tamper(sender, _receiver, items):
            if sender != relay:
                return items
            return tuple(shifted(item) if isinstance(item, Ciphertext) else item for item in items)

        # Its blocks stay poisoned until they are used up, so it explains failures to the end.
        self._explain(f"{relay} shifts ciphertexts", 60.0)
        self.scenery.transport.tamper = tamper

    def reroute(self) -> None:
        """Another route for one path, taken up by the sites one after another in the controller's order."""
        scenery = self.scenery
        old = self.world.random.choice(scenery.paths)
        new = scenery.reroute(old)
        if new is None:
            return
        self._explain(f"{old.key} rerouted over {new.nodes}", 2.0)
        both = [*scenery.paths, new]
        later = [entry for entry in both if entry is not old]
        scenery.paths[:] = later
        scenery.all_paths.append(new)
        inner = [name for name in scenery.names if name != new.source]
        scenery.configure(both, only=inner)
        self.world.after(0.3, lambda: scenery.configure(both, only=[new.source]))
        self.world.after(1.2, lambda: scenery.configure(later, only=[new.source]))
        self.world.after(2.5, lambda: scenery.configure(scenery.paths))


def shifted(item: Ciphertext) -> Ciphertext:
    """The ciphertext with one bit of every byte turned."""
    fields = {name: getattr(item, name) for name in item.__struct_fields__}
    fields["ciphertext"] = Secret(bytes(byte ^ 1 for byte in item.ciphertext.reveal()))
    return Ciphertext(**fields)

"""Faults of one run, drawn from its seed, and which requests each of them may hurt."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from quiver.agent.driver import Transaction
from quiver.domain import limits
from quiver.domain.messages import Ciphertext, Item
from quiver.domain.secret import Secret

from .churn import Churn
from .devices import LinkDevices
from .load import Asked
from .scenery import Scenery
from .site import Site, Where
from .world import World

WAIT = 2.0  # seconds that a request waits: a fault that begins within them hurts it too
AFTERMATH = 4.0  # seconds after a fault: the meeting, a repeat after the longest of the early pauses, and new credit
KINDS = (
    *("crash", "crash", "crash", "rollback", "dry", "cut", "link-cut", "link-cut", "one-side", "corrupt", "hostile"),
    *("reroute", "replace", "half", "full"),
)

WHOLE = slice(None)
FIRST_KEY = slice(limits.HASH_KEY, limits.HASH_KEY + 16)  # of a block: what a tag over the ciphertext would not notice

Route = tuple[str, ...]


@dataclass(frozen=True)
class Trouble:
    """One fault.

    Attributes:
        start: when it begins, seconds.
        stop: when it and its consequences are over.
        hurts: whether a path over these nodes may fail because of it.
    """

    what: str
    start: float
    stop: float
    hurts: Callable[[Route], bool]


def passing(node: str) -> Callable[[Route], bool]:
    """Hurts every path that passes a node."""
    return lambda route: node in route


def over(ends: tuple[str, str]) -> Callable[[Route], bool]:
    """Hurts every path that passes both of two nodes: over the link between them, or straight from one to the other."""
    return lambda route: ends[0] in route and ends[1] in route


@dataclass
class Faults:
    """What goes wrong, when, and whom it may hurt."""

    world: World
    scenery: Scenery
    troubles: list[Trouble] = field(default_factory=list)
    _rolled_back: bool = False
    _rerouting: bool = False

    def __post_init__(self) -> None:
        self.churn = Churn(self.world, self.scenery, self)

    def draw(self, count: int, seconds: float) -> None:
        """Plan some faults over the time."""
        for _ in range(count):
            kind = self.world.random.choice(KINDS)
            self.world.after(self.world.random.uniform(0.5, seconds), lambda kind=kind: self.strike(kind))

    def explain(self, asked: Asked) -> bool:
        """Whether a fault explains that a request failed."""
        entries = self.scenery.all_paths
        routes = [e.nodes for e in entries if (e.source, e.destination) == (asked.home, asked.far)]
        routes = routes or [(asked.home,)]
        return any(
            trouble.start - WAIT <= asked.time <= trouble.stop and any(trouble.hurts(route) for route in routes)
            for trouble in self.troubles
        )

    def hurt(self, route: Route) -> bool:
        """Whether a fault explains that a path over these nodes is not up now."""
        now = self.world.now()
        return any(trouble.start <= now <= trouble.stop and trouble.hurts(route) for trouble in self.troubles)

    def note(self, what: str, seconds: float, hurts: Callable[[Route], bool], aftermath: float = AFTERMATH) -> None:
        """A fault begins now."""
        now = self.world.now()
        self.troubles.append(Trouble(f"{now:.3f} {what} for {seconds:.2f} s", now, now + seconds + aftermath, hurts))

    def strike(self, kind: str) -> None:
        """One fault of a kind, now, at a place and for a time that the seed says."""
        random, scenery = self.world.random, self.scenery
        site = scenery.sites[random.choice(scenery.names)]
        link = random.choice(list(scenery.devices.values()))
        seconds = random.uniform(0.05, 2.0)
        if kind == "crash":
            self.crash(site, seconds)
        elif kind == "rollback":
            self.roll_back(site, seconds)
        elif kind == "reroute":
            self.reroute()
        elif kind in ("replace", "half"):
            (self.churn.replace if kind == "replace" else self.churn.half)()
        elif kind == "hostile":
            self.hostile()
        elif kind == "full":
            self.note(f"{site.name}: disk full", seconds, passing(site.name))
            site.disk.broken = True
            self.world.after(seconds, lambda: setattr(site.disk, "broken", False))
        elif kind == "dry":
            self.note(f"{link.name} dry", seconds, over(link.ends))
            link.up = False
            self.world.after(seconds, lambda: setattr(link, "up", True))
        elif kind == "one-side":
            end = random.choice(link.ends)
            self.note(f"{link.name} unreachable at {end}", seconds, over(link.ends))
            link.reachable[end] = False
            self.world.after(seconds, lambda: link.reachable.update({end: True}))
        elif kind == "corrupt":
            self.note(f"{link.name} hands out wrong bytes", seconds, over(link.ends))
            link.corrupt = True
            self.world.after(seconds, lambda: setattr(link, "corrupt", False))
        elif kind == "link-cut":
            self.cut_link(link, seconds)
        elif kind == "cut":
            low, high = random.sample(scenery.names, 2)
            self.note(f"cut between {low} and {high}", seconds, over((low, high)))
            scenery.transport.cut.add(frozenset((low, high)))
            self.world.after(seconds, lambda: scenery.transport.cut.discard(frozenset((low, high))))

    def cut_link(self, link: LinkDevices, seconds: float) -> None:
        """The quantum channel is dark, and nothing passes that concerns the link; the two nodes go on talking beside."""
        cut = self.scenery.transport.cut_links
        self.note(f"{link.name} cut", seconds, over(link.ends))
        link.up = False
        cut.add(link.name)

        def heal() -> None:
            link.up = True
            cut.discard(link.name)

        self.world.after(seconds, heal)

    def roll_back(self, site: Site, seconds: float) -> None:
        """Kill a node and start it from any earlier commit; once in a run."""
        if self._rolled_back or not site.up or site.crash_at is not None:
            return
        self._rolled_back = True
        self.crash(site, seconds, back=True)

    def crash(self, site: Site, seconds: float, *, back: bool = False) -> None:
        """Kill a node at some point of one of its next turns and start it again, from an earlier commit if so."""
        if not site.up or site.crash_at is not None:
            return
        skip = [self.world.random.choice((0, 0, 1, 3))]
        where = self.world.random.choice(("before", "before", "after", 1, 2, 3, 5))
        # After a rollback all its pad is burned: its links have to make new pad first.
        aftermath = 3 * AFTERMATH if back else AFTERMATH
        # The last commits, which others may not have seen yet, come as often as the many before them.
        depth = self.world.random.random()
        what = f"rolled back at {where} by {depth:.3f}" if back else f"killed at {where}"
        self.note(f"{site.name} {what}", seconds, passing(site.name), aftermath)
        life = site.life

        def crash_at(transaction: Transaction | None) -> Where:
            if transaction is None:
                return None  # only what commits can be cut in two
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
                number = site.disk.number
                site.restart(number - min(number, int((number + 1) ** depth)) if back else None)

        self.world.after(seconds, revive)

    def hostile(self) -> None:
        """A relay that shifts every ciphertext it sends, whole or only where a key will be, to the end of the load."""
        relays = sorted({relay for entry in self.scenery.paths for relay in entry.relays})
        if not relays or self.scenery.transport.tamper is not None:
            return
        relay = self.world.random.choice(relays)
        self.scenery.transport.liars.add(relay)
        self.scenery.transport.tamper = shifts(relay, self.world.random.choice((WHOLE, FIRST_KEY)))
        # Its blocks stay poisoned until they are used up, and its paths are suspended: it explains failures to the end.
        self.note(f"{relay} shifts ciphertexts", 60.0, lambda route: relay in route[1:-1])

    def reroute(self, route: Route | None = None) -> None:
        """Another route for one path, any or the given one; the sites take it up in the controller's order."""
        scenery = self.scenery
        old = self.world.random.choice(scenery.paths)
        new = scenery.reroute(old, route)
        if new is None or not self.reserve():
            return
        self.note(f"{old.key} rerouted over {new.nodes}", 2.0, lambda route: route in (old.nodes, new.nodes))
        both = [*scenery.paths, new]
        later = [entry for entry in both if entry is not old]
        scenery.paths[:] = later
        scenery.all_paths.append(new)
        scenery.configure(both, only=[name for name in scenery.names if name != new.source])
        self.world.after(0.3, lambda: scenery.configure(both, only=[new.source]))
        self.world.after(1.2, lambda: scenery.configure(later, only=[new.source]))

        def end() -> None:
            scenery.configure(later)
            self.release()

        self.world.after(2.5, end)

    def reserve(self) -> bool:
        """Whether paths may be changed now: one change at a time, until `release`."""
        free, self._rerouting = not self._rerouting, True
        return free

    def release(self) -> None:
        """The change of paths is complete."""
        self._rerouting = False


def shifts(relay: str, part: slice) -> Callable[[str, str, tuple[Item, ...]], tuple[Item, ...]]:
    """What a relay does that turns one bit of every byte in a part of its ciphertexts."""

    def tamper(sender: str, _receiver: str, items: tuple[Item, ...]) -> tuple[Item, ...]:
        if sender != relay:
            return items
        return tuple(shifted(item, part) if isinstance(item, Ciphertext) else item for item in items)

    return tamper


def shifted(item: Ciphertext, part: slice) -> Ciphertext:
    """The ciphertext with one bit of every byte of the part turned."""
    changed = bytearray(item.ciphertext.reveal())
    changed[part] = bytes(byte ^ 1 for byte in changed[part])
    return msgspec.structs.replace(item, ciphertext=Secret(changed))

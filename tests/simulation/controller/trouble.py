"""What goes wrong in a managed network, drawn from its seed: at agents, links, sessions and the controller itself."""

from quiver.domain.sdn.records import What

KINDS = (
    *("controller", "forgetful", "restored"),
    *("agent", "agent", "agent"),
    *("cut", "cut", "cut", "cut", "cut", "quantum"),
    *("session", "drain", "drain-link"),
)


class Trouble:
    """Strikes a network a number of times, and lets everything heal at the end.

    Args:
        network: its sites, links and pilot.
        kinds: what may happen.
    """

    def __init__(self, network, kinds=KINDS):
        self.network, self.kinds = network, kinds
        self.world = network.world
        self.struck: list[str] = []
        self._calm = False

    def draw(self, count: int, seconds: float) -> None:
        for _ in range(count):
            kind = self.world.random.choice(self.kinds)
            self.world.after(self.world.random.uniform(0.0, seconds), lambda kind=kind: self.strike(kind))

    def strike(self, kind: str) -> None:
        if self._calm:
            return
        random, network = self.world.random, self.network
        seconds = random.choice((0.05, 0.5, 2.0, 6.0)) * random.uniform(0.5, 1.5)
        name, link = random.choice(network.names), random.choice(list(network.ends))
        self.struck.append(f"{self.world.now():.3f} {kind} {name} {link} for {seconds:.2f} s")
        if kind in ("controller", "forgetful", "restored"):
            self._controller(seconds, lost=kind == "forgetful", back=random.randint(1, 12) if kind == "restored" else 0)
        elif kind == "agent":
            site = network.sites[name]
            if site.up:
                site.crash()
                self.world.after(seconds, lambda: site.up or site.restart())
        elif kind in ("cut", "quantum"):
            network.cut_link(link, whole=kind == "cut")
            self.world.after(seconds, lambda: network.heal_link(link))
        elif kind == "session":
            network.pilot.cut.add(name)
            self.world.after(seconds, lambda: network.pilot.cut.discard(name))
        else:
            what, place = (What.NODE, name) if kind == "drain" else (What.LINK, link)
            if network.pilot.core is not None:
                network.pilot.core.operator.drain(what, place)

    def _controller(self, seconds: float, *, lost: bool, back: int) -> None:
        pilot = self.network.pilot
        if pilot.core is None:
            return
        pilot.crash()
        self.world.after(seconds, lambda: pilot.core or pilot.start(lost=lost, back=back))

    def end(self) -> None:
        """Nothing goes wrong any more, and the operator has what they want."""
        self._calm = True
        network = self.network
        network.transport.calm()
        network.pilot.calm()
        for link in network.ends:
            network.heal_link(link)
        for site in network.sites.values():
            site.crash_at = None
            if not site.up:
                site.restart()
        if network.pilot.core is None:
            network.pilot.start()
        operator = network.pilot.core.operator
        for name in network.names:
            operator.drain(What.NODE, name, drained=False)
        for link in network.ends:
            operator.drain(What.LINK, link, drained=False)
        for demand in network.wanted:
            operator.demand(demand)

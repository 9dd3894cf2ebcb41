"""A site: one node's process, which can be killed between any two of its steps, and its disk."""

from quiver.agent.driver import Driver, Edges
from quiver.domain import records
from quiver.domain.collector import DeviceFacts, DeviceFetch
from quiver.domain.errors import StorageError
from quiver.domain.node import Node

from .world import World


class Site:
    """One trusted node of the simulation."""

    def __init__(self, world: World, network, disk, transport, devices):
        self.world, self.network, self.disk = world, network, disk
        self.name = network.node
        self.transport, self.devices = transport, devices
        self.mac_key = world.draw(32)
        self.life = 0
        self.up = False
        self.driver: Driver | None = None
        self.alarms = []
        self.deaths = 0  # clients whose request was under way lose their answer
        self.crash_at = None  # None, or a callable that says where in the next turn the process dies
        self.send_early = False  # broken on purpose: effects before the commit
        self._awake = False
        self._wake_at = float("inf")
        transport.sites[self.name] = self

    @property
    def node(self) -> Node:
        assert self.driver is not None
        return self.driver.node

    def start(self) -> None:
        kept = [
            records.decode(kind, body, secret.reveal() if secret is not None else None)
            for kind, _, body, secret in self.disk.load()
        ]
        node = Node(self.network, self.mac_key, kept, self.disk.number, self.world, self.world)
        self.driver = Driver(node, Edges(lambda m: self.transport.send(self, m), self._call, self.alarms.append))
        for link in self.network.links:
            devices = self.devices[link.id]
            node.facts(link.id, DeviceFacts(key_size=8 * devices.key_bytes, most=devices.most))
        self.up = True
        self._wake(0.0)

    def crash(self) -> None:
        self.up, self.driver = False, None
        self.life += 1
        self.deaths += 1
        self._awake, self._wake_at = False, float("inf")

    def restart(self, number: int | None = None) -> None:
        """A new process opens the disk, rolled back to an earlier commit where one is given."""
        if number is not None:
            self.disk.roll_back(number)
        self.disk.reopen()
        self.start()

    def hand_in(self, life: int, event) -> None:
        """Something has happened for the process of this life."""
        if self.up and life == self.life:
            event(self.driver)
            self._wake(0.0005)

    def _wake(self, delay: float) -> None:
        moment = self.world.now() + delay
        if moment >= self._wake_at:
            return
        self._wake_at, life = moment, self.life

        def turn() -> None:
            if self.up and life == self.life and self._wake_at <= self.world.now():
                self._wake_at = float("inf")
                self._turn()

        self.world.after(delay, turn)

    def _turn(self) -> None:
        driver, life = self.driver, self.life
        assert driver is not None
        where = self.crash_at() if self.crash_at is not None else None
        transaction = driver.turn()
        early = [effect for effect in driver.effects()] if self.send_early else None
        for effect in early or ():
            effect()
        if where == "before":
            self.crash()
            return
        if transaction is not None:
            try:
                driver.committed(self.disk.commit(transaction.writes, transaction.audit))
            except StorageError:
                self.crash()
                self.world.after(0.5, self.restart)
                return
        if where == "after":
            self.crash()
            return
        for count, effect in enumerate(early if early is not None else driver.effects()):
            if where == count:
                self.crash()
                return
            if early is None:
                effect()
        if self.up and life == self.life:
            self._wake(max(0.0, min(driver.node.due, self.world.now() + 1.0) - self.world.now()) + 1e-6)

    def _call(self, call) -> None:
        devices, life = self.devices[call.link], self.life

        def answer() -> None:
            if isinstance(call, DeviceFetch):
                keys = devices.fetch(self.name, call.key_ids)
                if keys is None:
                    event = lambda driver: driver.node.fetch_failed(call, again=True)  # noqa: E731
                else:
                    event = lambda driver: driver.node.fetched(call, keys)  # noqa: E731
            else:
                keys = devices.get(self.name, call.number)
                if keys is None:
                    event = lambda driver: driver.node.refused(call.link)  # noqa: E731
                else:
                    event = lambda driver: driver.node.got(call.link, keys)  # noqa: E731
            self.hand_in(life, event)

        self.world.after(self.world.random.uniform(0.001, 0.02), answer)

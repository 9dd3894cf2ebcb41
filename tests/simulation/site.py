"""A site: one node's process, which can be killed between any two of its steps, and its disk."""

from collections.abc import Callable

from quiver.agent.driver import Driver, Edges, OnReply, Transaction
from quiver.domain import records
from quiver.domain.collector import DeviceFetch, DeviceGet
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.errors import StorageError
from quiver.domain.events import Event, LinkDown, NumberedEvent
from quiver.domain.journal import Alarm
from quiver.domain.messages import Outcome
from quiver.domain.network import Network
from quiver.domain.node import Node
from quiver.domain.outbox import Message
from quiver.domain.records import Batch, Own, decode
from quiver.domain.reply import Reply

from .world import World

TURN = 0.002  # seconds from an event to the turn that acts on it: what comes meanwhile shares its commit
REVIVAL = 0.1  # seconds from a commit that failed to the node made anew

Where = str | int | None  # "before" or "after" the commit, or after so many effects; None: not in this turn


class Site:
    """One trusted node of the simulation."""

    send_early = False  # broken on purpose: effects before the commit

    def __init__(self, world: World, network: Network, disk, transport, devices):
        self.world, self.network, self.disk = world, network, disk
        self.name = network.node
        self.transport, self.devices = transport, devices
        self.mac_key = world.draw(32)
        self.life = 0
        self.up = False
        self.driver: Driver | None = None
        self.alarms: list[Alarm] = []
        self.events: list[tuple[float, Event]] = []  # of all its lives
        self.distrusted_at = float("inf")  # when it learnt first that its storage was rolled back
        self.rolled_back_at = float("-inf")  # when it was
        self.burns: list[float] = []  # when it took a new incarnation: with that commit all older keys are burned
        self._incarnations: set[str] = set()  # of all its databases
        self.stored: dict[str, float] = {}  # batch id → when its keys became durable
        self.commits = 0  # of all its lives
        self.refused = 0  # requests that a failed commit refused
        self.crash_at: Callable[[Transaction | None], Where] | None = None  # asked in each turn
        self._requests: list[OnReply] = []
        self._wake_at = float("inf")
        self._stirred = False  # a turn is needed, whatever is due
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
        self.driver = Driver(node, Edges(lambda m: self.transport.send(self, m), self._call, self._alarm, self._event))
        for link in self.network.links:
            devices = self.devices[link.id]
            node.ends.facts(link.id, DeviceFacts(key_size=8 * devices.key_bytes, most=devices.most))
        self.up = True
        self._wake(0.0)

    def crash(self) -> None:
        """The process is gone; clients lose their answers."""
        self.up, self.driver = False, None
        self.life += 1
        self._requests.clear()
        self._wake_at = float("inf")

    def restart(self, number: int | None = None) -> None:
        """A new process opens the disk, rolled back to an earlier commit where one is given."""
        if number is not None:
            self.disk.roll_back(number)
            self.rolled_back_at = self.world.now()
        self.disk.reopen()
        self.start()

    # --- events ---------------------------------------------------------------------------------------------------

    def hand_in(self, life: int, event: Callable[[Driver], object]) -> None:
        """Something has happened for the process of this life."""
        if self.up and life == self.life:
            assert self.driver is not None
            event(self.driver)
            self._stir()

    def hear(self, sender: str, header, items):
        """Header and answers to beats of links; None where the process is down."""
        if not self.up:
            return None
        assert self.driver is not None
        return self._watching(self.driver, lambda driver: driver.hear(sender, header, items))

    def beaten(self, life: int, message: Message, answer) -> None:
        """A beat of the process of this life was answered, or not."""
        if not self.up or life != self.life:
            return
        assert self.driver is not None
        if answer is None:
            self._watching(self.driver, lambda driver: driver.failed(message))
            self._wake(max(0.0, self.driver.node.due - self.world.now()) + 1e-6)
        elif any(one.outcome is Outcome.MEET_FIRST for one in answer[1]):
            self.hand_in(life, lambda driver: driver.answered(message, *answer))
        else:
            self._watching(self.driver, lambda driver: driver.answered(message, *answer))

    def _watching(self, driver: Driver, event):
        """Hand in what needs a turn only where it changes the state of a link."""
        before = driver.node.ends.links.changes
        result = event(driver)
        if driver.node.ends.links.changes != before:
            self._stir()
        return result

    def request(self, make: Callable[[Driver, OnReply], object], on_reply: OnReply) -> bool:
        """A client asks; False where the process is down. No reply comes where it dies with the request."""
        if not self.up:
            return False

        def replied(reply: Reply) -> None:
            self._requests.remove(replied)
            on_reply(reply)

        self._requests.append(replied)
        self.hand_in(self.life, lambda driver: make(driver, replied))
        return True

    def _alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)
        if alarm.name == "rolled-back":
            self.distrusted_at = min(self.distrusted_at, self.world.now())

    def _event(self, event: NumberedEvent) -> None:
        self.events.append((self.world.now(), event.body))
        if isinstance(down := event.body, LinkDown):
            self.world.after(0.0, lambda: self.transport.hang_up(self.name, down.link))

    def _call(self, call: DeviceGet | DeviceFetch) -> None:
        devices, life = self.devices[call.link], self.life

        def answer() -> None:
            if isinstance(call, DeviceFetch):
                fetched = devices.fetch(self.name, call.key_ids)
                if fetched is None:
                    self.hand_in(life, lambda driver: driver.node.ends.fetch_failed(call, again=True))
                else:
                    self.hand_in(life, lambda driver: driver.node.ends.fetched(call, fetched))
                return
            keys = devices.get(self.name, call.number)
            if keys is None:
                self.hand_in(life, lambda driver: driver.node.ends.refused(call.link))
            else:
                self.hand_in(life, lambda driver: driver.node.ends.got(call.link, keys))

        self.world.after(self.world.random.uniform(0.001, 0.02), answer)

    # --- turns ----------------------------------------------------------------------------------------------------

    def _stir(self) -> None:
        self._stirred = True
        self._wake(TURN)

    def _wake(self, delay: float) -> None:
        moment = self.world.now() + delay
        if moment >= self._wake_at:
            return
        self._wake_at, life = moment, self.life

        def turn() -> None:
            now = self.world.now()
            if self.up and life == self.life and self._wake_at <= now:
                self._wake_at = float("inf")
                assert self.driver is not None
                due = None if self._stirred else self.driver.beat()
                if due is None:
                    self._stirred = False
                    self._turn()
                if self.up and life == self.life and self.driver is not None:
                    due = self.driver.node.due if due is None else due
                    self._wake(max(0.0, min(due, now + 1.0) - now) + 1e-6)

        self.world.after(delay, turn)

    def _turn(self) -> None:
        driver = self.driver
        assert driver is not None
        transaction = driver.turn()
        where = self.crash_at(transaction) if self.crash_at is not None else None
        if self.send_early:
            for effect in driver.effects():
                effect()
        if where == "before":
            self.crash()
            return
        if transaction is not None and not self._commit(driver, transaction):
            return
        if where == "after":
            self.crash()
            return
        for count, effect in enumerate(driver.effects()):
            if where == count:
                self.crash()
                return
            effect()

    def _commit(self, driver: Driver, transaction: Transaction) -> bool:
        """Make a turn durable; where that fails the node is thrown away and whoever waits is refused, as the engine does."""
        try:
            driver.committed(self.disk.commit(transaction.writes, transaction.audit))
        except StorageError as error:
            for refuse in list(self._requests):
                refuse(Reply(error=error))
                self.refused += 1
            self.crash()
            self.world.after(REVIVAL, lambda: self.up or self.restart())
            return False
        self.commits += 1
        self._note(transaction)
        return True

    def _note(self, transaction: Transaction) -> None:
        """What the checks have to know of a commit, whether the process lives long enough to tell of it or not."""
        now = self.world.now()
        for write in transaction.writes:
            if write.kind == Batch.kind and write.secret is not None:
                self.stored[write.id] = now
            elif write.kind == Own.kind and write.body is not None:
                own = decode(write.kind, write.body, None)
                assert isinstance(own, Own)
                if own.incarnation not in self._incarnations:  # it is written with another age, too
                    self._incarnations.add(own.incarnation)
                    self.burns.append(now)

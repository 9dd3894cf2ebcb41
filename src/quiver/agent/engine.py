"""The engine: one node, its key database, its calls of other nodes and of devices, in one event loop.

Turn after turn: take what has happened, let the node act, make it durable in a worker thread, let the effects out. What happens
during a commit waits for the next turn, so that one fsync serves all who came meanwhile. When a commit fails, or the node's code
does, the node is thrown away: everybody who waits gets 503, and a new one is made from the database under a new run id.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import structlog

from quiver.agent import trace
from quiver.agent.device_calls import DeviceCalls
from quiver.agent.driver import Driver, Event, Transaction
from quiver.agent.effects import Effects, Hear
from quiver.agent.surroundings import Peers, SystemClock, SystemEntropy
from quiver.domain import limits, records
from quiver.domain.errors import (
    ConfigurationError,
    LimitError,
    QuiverError,
    StorageError,
    UnavailableError,
)
from quiver.domain.messages import Answer, Header, Item, LinkBeat
from quiver.domain.network import Network
from quiver.domain.node import Node
from quiver.domain.provision import Provision, compose
from quiver.domain.reply import DeliveredKey, Reply
from quiver.domain.report import NodeReport
from quiver.domain.reporting import report
from quiver.net.log import place_of
from quiver.qkd.device import Device
from quiver.store.database import KeyDatabase

__all__ = ["Engine", "Hear", "SystemClock", "SystemEntropy"]

T = TypeVar("T")

_log = structlog.get_logger("quiver.agent.engine")
_SHORTEST: Final = 0.001  # seconds between two turns that nothing but time asks for


class Engine:
    """Runs one node.

    Args:
        policy: the configuration file's part of the node's configuration.
        mac_key: the key of its commit numbers, 32 bytes (rule 2).
        database: its key database; used by one worker thread at a time.
        peers: towards other nodes.
        devices: link → this end's device.
        provision: the part that came over NETCONF, as it was last.
        excluded: nodes that policy allows on no path of a controller's (rule 7).

    Raises:
        ConfigurationError: what came over NETCONF does not fit the file any more.
    """

    def __init__(
        self,
        policy: Network,
        mac_key: bytes,
        database: KeyDatabase,
        peers: Peers,
        devices: Mapping[str, Device],
        *,
        provision: Provision | None = None,
        excluded: frozenset[str] = frozenset(),
    ) -> None:
        self._policy = policy
        self._excluded = excluded
        self._provision = provision or Provision()
        self._network = compose(policy, self._provision, excluded)
        self._checked: tuple[Provision, Network] | None = None  # what `check` has found possible last
        self._mac_key: Final = mac_key
        self._database: Final = database
        self._devices: Final = DeviceCalls(devices, self._put)
        self._worker: Final = ThreadPoolExecutor(1, "key-database")
        self._driver: Driver | None = None
        self._life = 0
        self._inbox: list[Event] = []
        self._wake: Final = asyncio.Event()
        self._stirred = False  # a turn is needed, whatever is due
        self._waiting: Final[set[asyncio.Future[object]]] = set()
        self._tracing: Final = _log.is_enabled_for(logging.DEBUG)
        self._changing: Final = asyncio.Lock()  # neither of two changes may be made from what the other replaces
        self._effects: Final = Effects(policy.node, peers, self._devices, self._put, self._watch)
        self.alarms: Final = self._effects.alarms
        self.commits = 0
        self.restarts = 0

    # --- what planes ask ------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """The node, to look at.

        Raises:
            StorageError: there is none now; the key database cannot be read or written.
        """
        if self._driver is None:
            raise StorageError("the key database of this KME cannot be used now")
        return self._driver.node

    @property
    def trouble(self) -> str | None:
        """What keeps the node from working; None while all is well."""
        return "the key database of this KME cannot be used now" if self._driver is None else None

    def report(self) -> NodeReport:
        """What the node tells its controller and its operators, now.

        Raises:
            StorageError: there is no node now.
        """
        return report(self.node, self._provision)

    def listen(self, hear: Hear) -> Callable[[], None]:
        """Tell `hear` of each event of the node from now on, in order. It is called in the loop and must not raise.

        Returns:
            What ends it.
        """
        return self._effects.listen(hear)

    async def reconfigure(
        self, policy: Network, devices: Mapping[str, Device] | None = None, *, excluded: frozenset[str] | None = None
    ) -> None:
        """Take over another configuration file while everything goes on: links, paths, directory, time to wait.

        Args:
            policy: its part of the configuration; what came over NETCONF stays.
            devices: link → this end's device; None where links are as before.
            excluded: as at the start; None for no change.

        Raises:
            ConfigurationError: it is another node's, contradicts what came over NETCONF, or uses the number of a path version
                again; nothing was changed.
            StorageError: there is no node now.
        """
        async with self._changing:
            barred = self._excluded if excluded is None else excluded
            await self._take_over(compose(policy, self._provision, barred))
            self._policy, self._excluded, self._checked = policy, barred, None
            if devices is not None:
                self._devices.configure(devices)

    async def provision(self, provision: Provision) -> None:
        """Take over what has come over NETCONF, all or nothing. To make it durable is the caller's part.

        Raises:
            ConfigurationError: policy does not allow it, or as `reconfigure`; nothing was changed.
            StorageError: there is no node now.
        """
        async with self._changing:
            checked, self._checked = self._checked, None
            if checked is None or checked[0] is not provision:
                checked = provision, compose(self._policy, provision, self._excluded)
            await self._take_over(checked[1])
            self._provision = provision

    def check(self, provision: Provision) -> None:
        """Whether `provision` would take this; changes nothing.

        Raises:
            ConfigurationError: it would not.
            StorageError: there is no node now.
        """
        network = compose(self._policy, provision, self._excluded)
        self.node.check(network)
        self._checked = provision, network

    def alarm(self, name: str, **facts: str) -> None:
        """Tell the operator of something around the node; while there is no node, the caller's log alone has it."""
        self._put(lambda driver: driver.node.journal.alarm(name, **facts), None)

    async def _take_over(self, network: Network) -> None:
        done: asyncio.Future[QuiverError | None] = asyncio.get_running_loop().create_future()

        def change(driver: Driver) -> None:
            try:
                driver.node.reconfigure(network)
            except ConfigurationError as error:
                _resolve(done, error)
            else:
                self._network = network
                _resolve(done, None)

        if (error := await self._settled(done, change)) is not None:
            raise error

    async def receive(
        self, sender: str, kind: str, header: Header, items: Sequence[Item]
    ) -> tuple[Header, list[Answer]]:
        """A message of another node; its answers, once they are durable.

        Raises:
            UnavailableError: nothing of it holds.
        """
        if kind == LinkBeat.kind:
            return self._hear(sender, header, items)
        answered: asyncio.Future[tuple[Header, list[Answer]]] = asyncio.get_running_loop().create_future()

        def respond(header: Header, answers: list[Answer]) -> None:
            _resolve(answered, (header, answers))

        described = trace.described(items) if self._tracing else ()
        answer = await self._settled(answered, lambda driver: driver.receive(sender, kind, header, items, respond))
        if self._tracing:
            trace.log_answered(self._network.node, sender, kind, described, answer[1])
        return answer

    def _hear(self, sender: str, header: Header, items: Sequence[Item]) -> tuple[Header, list[Answer]]:
        """Beats of links are answered outside of turns: a commit that takes long does not make a link look dead."""
        heard: list[tuple[Header, list[Answer]]] = []
        self._watch(lambda driver: heard.append(driver.hear(sender, header, items)), None)
        if not heard:
            raise StorageError("the key database of this KME cannot be used now")
        return heard[0]

    def _watch(self, event: Event, life: int | None) -> None:
        """As `_put`, at once, for what is soft state: it needs a turn only where a link changes by it, or a message may leave."""
        if self._driver is None or life not in (self._life, None):
            return
        node = self._driver.node
        before = node.ends.links.changes
        event(self._driver)
        if node.ends.links.changes != before or node.outbox.eager:
            self._stir()

    async def ask(self, master: str, slaves: Sequence[str], count: int, size: int) -> list[DeliveredKey]:
        """New keys, as `SaeDesk.ask`.

        Raises:
            QuiverError: why not.
        """
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        asked: list[Reply] = []

        def request(driver: Driver) -> None:
            if not replied.done():
                asked.append(driver.ask(master, slaves, count, size, partial(_resolve, replied)))

        try:
            return _keys(await self._settled(replied, request))
        except asyncio.CancelledError:
            if asked:
                self._put(lambda driver: driver.node.saes.abandon(asked[0]), self._life)
            raise

    async def fetch(self, caller: str, master: str, key_ids: Sequence[str]) -> list[DeliveredKey]:
        """Keys by their key_IDs, as `SaeDesk.fetch`.

        Raises:
            QuiverError: why not.
        """
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def request(driver: Driver) -> None:
            if not replied.done():
                driver.fetch(caller, master, key_ids, partial(_resolve, replied))

        return _keys(await self._settled(replied, request))

    async def _settled(self, future: "asyncio.Future[T]", event: Event) -> T:
        if self._driver is None:
            raise StorageError("the key database of this KME cannot be used now")
        if len(self._inbox) >= limits.EVENTS:
            raise LimitError("this KME has too much to do now")
        waiting: asyncio.Future[object] = future  # type: ignore[assignment]  # only its errors are set through this name
        self._waiting.add(waiting)
        try:
            self._put(event, self._life)
            return await future
        finally:
            self._waiting.discard(waiting)

    def _put(self, event: Event, life: int | None) -> None:
        """Something has happened for the node of this life, None for the present one; for an older one it is too late."""
        if self._driver is not None and life in (self._life, None):
            self._inbox.append(event)
            self._stir()

    def _stir(self) -> None:
        """Have a turn as soon as may be."""
        self._stirred = True
        self._wake.set()

    # --- turns ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled."""
        self._devices.start()
        try:
            while True:
                await self._revive()
                try:
                    await self._turns()
                except StorageError as error:
                    _log.error("the key database failed", reason=error.message)
                    self._lose(error)
                except Exception as error:  # noqa: BLE001  # whatever went wrong, memory is no longer to be trusted
                    _log.critical("the node failed and is made anew", exception=place_of(error))
                    self._lose(UnavailableError("this KME had to start anew"))
                    await asyncio.sleep(limits.REPEAT_FIRST)
        finally:
            await self._devices.stop()
            await self._effects.stop()
            self._lose(UnavailableError("this KME stops"))
            self._worker.shutdown()

    async def _revive(self) -> None:
        """Make the node from the database; try until that works."""
        pause = limits.REPEAT_FIRST
        while True:
            try:
                number, kept = await self._in_worker(self._load)
                break
            except StorageError as error:
                _log.error("the key database cannot be read", reason=error.message)
                await asyncio.sleep(pause)
                pause = min(2 * pause, limits.REPEAT_MOST)
        node = Node(self._network, self._mac_key, kept, number, SystemClock(), SystemEntropy())
        self._driver = Driver(node, self._effects.edges(node.run, self._life))
        for link, facts in self._devices.facts.items():
            node.ends.facts(link, facts)
        _log.info("node started", node=self._network.node, commit=number, records=len(kept))

    def _load(self) -> tuple[int, list[records.Record]]:
        kept = [
            records.decode(kind, body, secret.reveal() if secret is not None else None)
            for kind, _, body, secret in self._database.load()
        ]
        return self._database.number, kept

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def _turns(self) -> None:
        driver = self._driver
        assert driver is not None
        while True:
            events, self._inbox = self._inbox, []
            self._wake.clear()
            self._stirred = False
            for event in events:
                event(driver)
            transaction = driver.turn()
            if transaction is not None:
                driver.committed(await self._in_worker(partial(self._commit, transaction)))
                self.commits += 1
            for effect in driver.effects():
                effect()
            await self._rest(driver)

    def _commit(self, transaction: Transaction) -> int:
        return self._database.commit(transaction.writes, transaction.audit)

    async def _rest(self, driver: Driver) -> None:
        """Until something happens or is due. What has happened meanwhile still lets other tasks run first."""
        if self._stirred:
            await asyncio.sleep(0)
            return
        while not self._stirred:
            seconds = max(_SHORTEST, driver.node.due - time.monotonic())
            timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
            await self._wake.wait()
            timer.cancel()
            if not (self._stirred or driver.beat()):
                return
            self._wake.clear()

    def _lose(self, error: QuiverError) -> None:
        """The node is gone: whoever waits is refused, what still comes for it is not heard."""
        self._driver = None
        self._life += 1
        self.restarts += 1
        self._inbox.clear()
        for future in self._waiting:
            if not future.done():
                future.set_exception(type(error)(error.message))


def _resolve(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _keys(reply: Reply) -> list[DeliveredKey]:
    if reply.error is not None:
        raise reply.error
    assert reply.keys is not None
    return reply.keys

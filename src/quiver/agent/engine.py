"""The engine: one node, its key database, its calls of other nodes and of devices, in one event loop.

The planes ask it; `quiver.agent.turns` drives the node, `quiver.agent.effects` carries out what a turn has produced.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import structlog

from quiver.agent import trace
from quiver.agent.device_calls import DeviceCalls
from quiver.agent.driver import Driver
from quiver.agent.effects import Effects, Hear
from quiver.agent.randomness import Randomness
from quiver.agent.surroundings import Peers, SystemClock
from quiver.agent.turns import Turns
from quiver.domain.errors import ConfigurationError, QuiverError, StorageError, UnavailableError
from quiver.domain.messages import Answer, Header, Item, LinkBeat
from quiver.domain.network import Network
from quiver.domain.node import Node
from quiver.domain.provision import Provision, compose
from quiver.domain.records import Record
from quiver.domain.reply import DeliveredKey, Reply
from quiver.domain.report import NodeReport
from quiver.domain.reporting import report
from quiver.qkd.device import Device
from quiver.store.database import KeyDatabase

__all__ = ["Engine", "Hear", "SystemClock"]

T = TypeVar("T")

_log = structlog.get_logger("quiver.agent.engine")


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
        randomness: None for the operating system's alone.

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
        randomness: Randomness | None = None,
    ) -> None:
        self.randomness: Final = randomness or Randomness()
        self._policy = policy
        self._excluded = excluded
        self._provision = provision or Provision()
        self._network = compose(policy, self._provision, excluded)
        self._checked: tuple[Provision, Network] | None = None  # what `check` has found possible last
        self._mac_key: Final = mac_key
        self._turns: Final = Turns(database, self._revive)
        self._devices: Final = DeviceCalls(devices, self._turns.put)
        self._tracing: Final = _log.is_enabled_for(logging.DEBUG)
        self._changing: Final = asyncio.Lock()  # neither of two changes may be made from what the other replaces
        self._effects: Final = Effects(policy.node, peers, self._devices, self._turns.put, self._turns.watch)
        self.alarms: Final = self._effects.alarms

    def _revive(self, number: int, kept: list[Record], life: int) -> Driver:
        """The node, from what its database holds."""
        node = Node(self._network, self._mac_key, kept, number, SystemClock(), self.randomness)
        for link, facts in self._devices.facts.items():
            node.ends.facts(link, facts)
        return Driver(node, self._effects.edges(node.run, life))

    async def run(self) -> None:
        """Run until cancelled."""
        self._devices.start()
        loop = asyncio.get_running_loop()
        self.randomness.start(lambda: loop.call_soon_threadsafe(self._generator_news))
        try:
            await self._turns.run()
        finally:
            self.randomness.stop()
            await self._devices.stop()
            await self._effects.stop()
            self._turns.end()

    def _generator_news(self) -> None:
        """The generator of random numbers gives bytes again, for which requests may wait, or has failed."""
        for reason in self.randomness.failures():
            self.alarm("random-generator", reason=reason)
        self._turns.put(_nothing, None)

    # --- what planes ask ------------------------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """The node, to look at.

        Raises:
            StorageError: there is none now; the key database cannot be read or written.
        """
        return self._turns.driver.node

    @property
    def trouble(self) -> str | None:
        """What keeps the node from working; None while all is well."""
        return self._turns.trouble

    @property
    def commits(self) -> int:
        """Turns that were made durable since the start."""
        return self._turns.commits

    @property
    def restarts(self) -> int:
        """How often the node had to be made anew from its database."""
        return self._turns.restarts

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
        self._turns.put(lambda driver: driver.node.journal.alarm(name, **facts), None)

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

        if (error := await self._turns.settled(done, change)) is not None:
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
        answer = await self._turns.settled(
            answered, lambda driver: driver.receive(sender, kind, header, items, respond)
        )
        if self._tracing:
            trace.log_answered(self._network.node, sender, kind, described, answer[1])
        return answer

    def _hear(self, sender: str, header: Header, items: Sequence[Item]) -> tuple[Header, list[Answer]]:
        """Beats of links are answered outside of turns: a commit that takes long does not make a link look dead."""
        if self.trouble is not None:
            raise StorageError(self.trouble)
        heard: list[tuple[Header, list[Answer]]] = []
        self._turns.watch(lambda driver: heard.append(driver.hear(sender, header, items)), None)
        if not heard:
            raise UnavailableError("this KME had to start anew")
        return heard[0]

    async def ask(self, master: str, slaves: Sequence[str], count: int, size: int) -> list[DeliveredKey]:
        """New keys, as `SaeDesk.ask`.

        Raises:
            QuiverError: why not.
        """
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        asked: list[Reply] = []
        if self.randomness.trouble is not None:
            raise UnavailableError(self.randomness.trouble)

        def request(driver: Driver) -> None:
            if not replied.done():
                asked.append(driver.ask(master, slaves, count, size, partial(_resolve, replied)))

        try:
            return _keys(await self._turns.settled(replied, request))
        except asyncio.CancelledError:
            if asked:
                self._turns.put(lambda driver: driver.node.saes.abandon(asked[0]), self._turns.life)
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

        return _keys(await self._turns.settled(replied, request))


def _nothing(_driver: Driver) -> None:
    """A turn for what waits for random numbers."""


def _resolve(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _keys(reply: Reply) -> list[DeliveredKey]:
    if reply.error is not None:
        raise reply.error
    assert reply.keys is not None
    return reply.keys

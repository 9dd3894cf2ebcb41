"""Turns: what drives a node with a real database, in one event loop.

Turn after turn: take what has happened, let the node act, make it durable in a worker thread, let the effects out. What happens
during a commit waits for the next turn, so that one fsync serves all who came meanwhile. When a commit fails, or the node's code
does, the node is thrown away: everybody who waits gets 503, and a new one is made from the database under a new run id.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import structlog

from quiver.agent.driver import Driver, Event, Transaction
from quiver.domain import limits, records
from quiver.domain.errors import LimitError, QuiverError, StorageError, UnavailableError
from quiver.domain.records import Record
from quiver.net.log import place_of
from quiver.store.database import KeyDatabase
from quiver.store.patience import read_patiently

__all__ = ["Revive", "Turns"]

T = TypeVar("T")

Revive = Callable[[int, list[Record], int], Driver]
"""Makes the node, with its edges, from the last commit number, the durable records, and the number of this life."""

_log = structlog.get_logger("quiver.agent.turns")
_SHORTEST: Final = 0.001  # seconds between two turns that nothing but time asks for
_NO_DATABASE: Final = "the key database of this KME cannot be used now"


class Turns:
    """The turns of one node.

    Args:
        database: its key database; used by one worker thread at a time.
        revive: makes the node.

    Attributes:
        commits: turns that were made durable.
        restarts: nodes that were thrown away.
    """

    def __init__(self, database: KeyDatabase, revive: Revive) -> None:
        self._database: Final = database
        self._revive: Final = revive
        self._worker: Final = ThreadPoolExecutor(1, "key-database")
        self._driver: Driver | None = None
        self._life = 0
        self._inbox: list[Event] = []
        self._wake: Final = asyncio.Event()
        self._stirred = False  # a turn is needed, whatever is due
        self._waiting: Final[set[asyncio.Future[object]]] = set()
        self.commits = 0
        self.restarts = 0

    @property
    def life(self) -> int:
        """Number of the present node; what belongs to an earlier one is not heard any more."""
        return self._life

    @property
    def driver(self) -> Driver:
        """The driver, to look at.

        Raises:
            StorageError: there is none now; the key database cannot be read or written.
        """
        if self._driver is None:
            raise StorageError(_NO_DATABASE)
        return self._driver

    @property
    def trouble(self) -> str | None:
        """What keeps the node from working; None while all is well."""
        return _NO_DATABASE if self._driver is None else None

    # --- what has happened ----------------------------------------------------------------------------------------

    def put(self, event: Event, life: int | None) -> None:
        """Something has happened for the node of this life, None for the present one; for an older one it is too late."""
        if self._driver is not None and life in (self._life, None):
            self._inbox.append(event)
            self._stir()

    def watch(self, event: Event, life: int | None) -> None:
        """As `put`, at once, for what is soft state: it needs a turn only where a link changes by it, or a message may leave."""
        if self._driver is None or life not in (self._life, None):
            return
        node = self._driver.node
        before = node.ends.links.changes
        try:
            event(self._driver)
        except Exception as error:  # noqa: BLE001  # as in a turn: memory is no longer to be trusted
            self.put(partial(_fail, error), life)
            return
        if node.ends.links.changes != before or node.outbox.eager:
            self._stir()

    async def settled(self, future: "asyncio.Future[T]", event: Event) -> T:
        """Hand an event in, and wait until it has settled a future.

        Raises:
            StorageError: there is no node now, or it goes before that.
            LimitError: too much waits for the next turn.
            UnavailableError: the node had to be made anew.
        """
        if self._driver is None:
            raise StorageError(_NO_DATABASE)
        if len(self._inbox) >= limits.EVENTS:
            raise LimitError("this KME has too much to do now")
        waiting: asyncio.Future[object] = future  # type: ignore[assignment]  # only its errors are set through this name
        self._waiting.add(waiting)
        try:
            self.put(event, self._life)
            return await future
        finally:
            self._waiting.discard(waiting)

    def _stir(self) -> None:
        """Have a turn as soon as may be."""
        self._stirred = True
        self._wake.set()

    # --- turns ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled. A node that was made anew and fails at once, as on a full disk, is made less and less often."""
        pause = limits.REPEAT_FIRST
        while True:
            driver, before = await self._begin(), self.commits
            try:
                await self._turn_after_turn(driver)
            except StorageError as error:
                _log.error("the key database failed", reason=error.message)
                self._lose(error)
            except Exception as error:  # noqa: BLE001  # whatever went wrong, memory is no longer to be trusted
                _log.critical("the node failed and is made anew", exception=place_of(error))
                self._lose(UnavailableError("this KME had to start anew"))
            pause = limits.REPEAT_FIRST if self.commits > before else min(2 * pause, limits.REPEAT_MOST)
            await asyncio.sleep(pause)

    def end(self) -> None:
        """There are no more turns: whoever waits is refused."""
        self._lose(UnavailableError("this KME stops"))
        self._worker.shutdown()

    async def _begin(self) -> Driver:
        """Make the node from the database; try until that works."""
        number, kept = await read_patiently(lambda: self._in_worker(self._load))
        self._driver = self._revive(number, kept, self._life)
        _log.info("node started", node=self._driver.node.network.node, commit=number, records=len(kept))
        return self._driver

    def _load(self) -> tuple[int, list[Record]]:
        kept = [
            records.decode(kind, body, secret.reveal() if secret is not None else None)
            for kind, _, body, secret in self._database.load()
        ]
        return self._database.number, kept

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def _turn_after_turn(self, driver: Driver) -> None:
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
            if not self._stirred and driver.beat() is None:
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


def _fail(error: Exception, _driver: Driver) -> None:
    raise error

"""The engine: one controller, its database, its agents' sessions and its background work, in one event loop.

Turn after turn: take what has happened, let the controller act, make that durable in a worker thread, and only then let orders
leave, answer operators and tell those who follow (a term or a version number that an agent has seen must never be given out
again). When a commit fails, or the controller's code does, it is thrown away and made anew from the database.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import structlog

from quiver.controller.agents import Connector
from quiver.controller.background import Planner, Solver
from quiver.controller.clock import SystemClock
from quiver.controller.database import ControllerDatabase, Kept
from quiver.controller.endpoints import AgentTable
from quiver.controller.fleet import Fleet
from quiver.controller.history import HistoryEntry
from quiver.controller.inbox import Inbox
from quiver.controller.membership import admit_all, dismiss_others
from quiver.controller.registry import Registry
from quiver.domain import limits
from quiver.domain.errors import QuiverError, StorageError, UnavailableError
from quiver.domain.sdn.controller import Controller
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.live import Live
from quiver.domain.sdn.notices import Notice
from quiver.domain.sdn.optimising import Plan
from quiver.domain.sdn.records import Member, What
from quiver.net.log import place_of
from quiver.store.patience import read_patiently

__all__ = ["Engine"]

T = TypeVar("T")
Follower = Callable[[Sequence[HistoryEntry]], None]

_log = structlog.get_logger("quiver.controller.engine")
_SHORTEST: Final = 0.001  # seconds between two turns that nothing but time asks for
_UNUSABLE: Final = "the controller's database cannot be used now"


class Engine:
    """Runs one controller.

    Args:
        database: its memory; used by one worker thread at a time.
        connector: makes sessions with agents.
        solver: computes allocations.
        poll: seconds between two reads of an agent.
        wall: seconds since 1970-01-01 UTC, for the history.
    """

    def __init__(
        self,
        database: ControllerDatabase,
        connector: Connector,
        solver: Solver,
        *,
        poll: float = limits.POLL_INTERVAL,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._database: Final = database
        self._clock: Final = SystemClock()
        self._poll: Final = poll
        self._wall: Final = wall
        self._worker: Final = ThreadPoolExecutor(1, "controller-database")
        self._controller: Controller | None = None
        self._inbox: Final = Inbox()
        self._said: list[Notice] = []  # by operators in this turn
        self._demands: tuple[Demand, ...] = ()  # of the configuration file
        self._live: tuple[int, Live] | None = None
        self.newest = 0  # number of the newest entry of the history
        self.turns = 0
        self.restarts = 0  # times that the controller was made anew after a failure
        self.counts: Final[dict[str, int]] = {}  # name of an entry of the history → how often there was one
        self.followers: Final[list[Follower]] = []  # each is told of new entries of the history, and must not raise
        self.registry: Final = Registry()
        self.fleet: Final = Fleet(self.registry, connector, self._inbox)
        self.planner: Final = Planner(solver, self._planned)

    # --- what planes ask ------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        """What keeps the controller from working; None while all is well."""
        return _UNUSABLE if self._controller is None else None

    def live(self) -> Live:
        """The live state, as of the last turn.

        Raises:
            StorageError: there is no controller now.
        """
        if self._controller is None:
            raise StorageError(_UNUSABLE)
        if self._live is None or self._live[0] != self.turns:
            self._live = self.turns, self._controller.snapshot()
        return self._live[1]

    def drains(self) -> list[tuple[What, str]]:
        """What operators want no path to pass.

        Raises:
            StorageError: there is no controller now.
        """
        if self._controller is None:
            raise StorageError(_UNUSABLE)
        return self._controller.operator.drains()

    async def history(self, *, after: int | None = None, before: int | None = None, most: int) -> list[HistoryEntry]:
        """Entries above `after`, or the newest below `before`; oldest first.

        Raises:
            StorageError: they cannot be read now.
        """
        if after is not None:
            return await self._in_worker(partial(self._database.history, after=after, most=most))
        return await self._in_worker(partial(self._database.latest, before=before, most=most))

    async def order(self, who: str, what: str, change: Callable[[Controller], T], **about: str) -> T:
        """Something that an operator wants; done and durable on return.

        Args:
            who: the operator, for the history.
            what: a word for it, for the history.
            change: does it, or raises.
            about: names, for the history.

        Raises:
            QuiverError: as `change`; then nothing was changed.
            UnavailableError: there is no controller now, or nobody knows whether it holds.
        """
        if self._controller is None:
            raise StorageError(_UNUSABLE)

        def act(controller: Controller) -> T:
            result = change(controller)
            self._said.append(Notice(name="ordered", at=self._clock.now(), about={"by": who, "what": what, **about}))
            return result

        return await self._inbox.ask(act)

    async def take_over(self, agents: Sequence[AgentTable], demands: Sequence[Demand]) -> None:
        """Take over what the configuration file says of agents and demands, while everything goes on.

        Raises:
            QuiverError: why not; agents are taken over nevertheless.
        """

        def change(controller: Controller) -> None:
            before = {agent.id for agent in self.registry}
            self.registry.of_file(agents)
            self._demands = tuple(demands)
            admit_all(controller, self.registry)
            try:
                controller.operator.demands_of_file(demands)
            finally:
                dismiss_others(controller, self.registry, before)

        await self.order("configuration file", "take-over", change)

    # --- turns ----------------------------------------------------------------------------------------------------

    async def run(self, agents: Sequence[AgentTable], demands: Sequence[Demand]) -> None:
        """Run until cancelled.

        Args:
            agents: of the configuration file.
            demands: of the configuration file.
        """
        self.registry.of_file(agents)
        self._demands = tuple(demands)
        try:
            while True:
                controller = await self._revive()
                try:
                    while True:
                        await self._turn(controller)
                except StorageError as error:
                    _log.error("the database failed", reason=error.message)
                    self._lose(error)
                except Exception as error:  # noqa: BLE001  # whatever went wrong, memory is no longer to be trusted
                    _log.critical("the controller failed and is made anew", exception=place_of(error))
                    self._lose(UnavailableError("the controller had to start anew"))
                await asyncio.sleep(limits.REPEAT_FIRST)
        finally:
            self._lose(UnavailableError("the controller stops"))
            await self.planner.stop()
            await self.fleet.stop()
            self._worker.shutdown()

    async def _revive(self) -> Controller:
        """Make the controller from the database; try until that works."""
        return self._start(await read_patiently(lambda: self._in_worker(self._database.load)))

    def _start(self, kept: Kept) -> Controller:
        salt = secrets.randbelow(limits.TERM_SALT + 1)
        controller = Controller(kept.facts, self._clock, salt, self._poll)
        self.newest = kept.number
        members = [fact for fact in kept.facts if isinstance(fact, Member)]
        self.registry.load(kept.agents, [member.node for member in members if member.leaving])
        admit_all(controller, self.registry)
        try:
            controller.operator.demands_of_file(self._demands)
        except QuiverError as error:
            _log.error("demands of the configuration file not taken over", reason=error.message)
        dismiss_others(controller, self.registry, {member.node for member in members})
        self.registry.gone(controller.operator.dismissal.leaving)
        for node in self.registry.reached().keys() & self.fleet.up():
            controller.connected(node)
        self._controller = controller
        _log.info("controller started", agents=len(self.registry), records=len(kept.facts))
        return controller

    async def _turn(self, controller: Controller) -> None:
        self._take(controller)
        controller.step()
        self.registry.gone(controller.operator.dismissal.leaving)
        changes, agents = controller.changes(), self.registry.changes()
        entries = self._entries([*self._said, *controller.notices()])
        self._said = []
        if changes or agents or entries:
            await self._in_worker(partial(self._database.commit, changes, entries, agents))
        self.turns += 1
        self._inbox.settle()
        self.fleet.follow()
        if entries:
            for follower in self.followers:
                follower(entries)
        for order in controller.orders():
            self.fleet.order(order)
        work = controller.work()
        if work is not None:
            self.planner.start(work)
        await self._rest(controller)

    def _take(self, controller: Controller) -> None:
        events = self._inbox.take()
        while events:
            event = events.popleft()
            try:
                event.act(controller)
            except Exception:
                self._inbox.put_back(events)
                if event.node is not None:
                    self.fleet.suspend(event.node)
                raise

    def _entries(self, notices: Sequence[Notice]) -> list[HistoryEntry]:
        made = []
        offset = self._wall() - self._clock.now()
        for notice in notices:
            self.newest += 1
            self.counts[notice.name] = self.counts.get(notice.name, 0) + 1
            entry = HistoryEntry(
                number=self.newest,
                time=round(notice.at + offset, 3),
                name=notice.name,
                about=notice.about,
                seconds={name: round(value, 3) for name, value in notice.seconds.items()},
            )
            _log.info("notice", notice=notice.name, **{f"about_{name}": value for name, value in notice.about.items()})
            made.append(entry)
        return made

    async def _rest(self, controller: Controller) -> None:
        """Until something happens or is due. What has happened meanwhile still lets other tasks run first."""
        seconds = max(_SHORTEST, controller.due - self._clock.now())
        await self._inbox.wait(min(seconds, limits.LIVE_PERIOD))

    def _lose(self, error: QuiverError) -> None:
        """The controller is gone: operators who wait are refused; sessions stay, and what they hand in waits."""
        self._controller = None
        self.planner.drop()  # the next controller counts its works from one again
        self._said = []
        self.restarts += 1
        self._inbox.lose(error)

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _planned(self, plan: Plan) -> None:
        self._inbox.put(lambda controller: controller.solved(plan))

"""One agent's session, kept up: a task of its own connects, waits out failures, carries orders, and listens for events.

Whatever an agent does - be slow, die, restart, flood, lie - only its own task waits for it. Its answers and events go to the
controller through `Reports`, which takes a bounded number of them at a time.
"""

import asyncio
import time
from typing import Final, Protocol

import structlog

from quiver.controller.agents import AgentSession, Connector, OrderRefusedError
from quiver.controller.endpoints import AgentTable
from quiver.domain import limits
from quiver.domain.errors import QuiverError, RemoteError
from quiver.domain.events import NumberedEvent
from quiver.domain.report import NodeReport
from quiver.domain.sdn.orders import Edit, Failure, Order, Read, Stamp
from quiver.net.log import place_of

__all__ = ["AgentLink", "Reports"]

_log = structlog.get_logger("quiver.controller.agents")


class Reports(Protocol):
    """Where a link hands in what comes of its agent."""

    def connected(self, node: str) -> None:
        """The session is up."""
        ...

    def lost(self, node: str) -> None:
        """It is not up any more."""
        ...

    def done(self, order: Order, report: NodeReport | None) -> None:
        """An order was carried out; a read with its report."""
        ...

    def failed(self, order: Order, failure: Failure, about: str) -> None:
        """An order was not carried out, or nobody knows."""
        ...

    async def happened(self, node: str, run: str, event: NumberedEvent) -> None:
        """An event has come; waits while too many of this agent's are not taken up."""
        ...


class AgentLink:
    """The session with one agent.

    Args:
        agent: where and who it is.
        connector: makes sessions.
        handshakes: bounds how many sessions are made at a time, over all agents.
        reports: where what comes is handed in.
        rest: seconds until it begins.
    """

    def __init__(
        self,
        agent: AgentTable,
        connector: Connector,
        handshakes: asyncio.Semaphore,
        reports: Reports,
        rest: float = 0.0,
    ) -> None:
        self.agent: Final = agent
        self._connector: Final = connector
        self._handshakes: Final = handshakes
        self._reports: Final = reports
        self._session: AgentSession | None = None
        self._broken = asyncio.Event()  # the present session has to be given up
        self._orders: Final[set[asyncio.Task[None]]] = set()
        self._retired = False
        self.trouble = ""  # why there is no session; for operators
        self.attempts = 0  # to connect, that have failed since the last session
        self.sessions = 0  # made so far
        self.edits = 0  # carried out so far
        self._task: Final = asyncio.create_task(self._run(rest))

    @property
    def up(self) -> bool:
        """Whether the session is up."""
        return self._session is not None

    def retire(self) -> "asyncio.Task[None]":
        """Hand in nothing any more and end the session; the task that ends when it has."""
        self._retired = True
        self._task.cancel()
        return self._task

    # --- the session ----------------------------------------------------------------------------------------------

    async def _run(self, rest: float) -> None:
        await asyncio.sleep(rest)
        pause = limits.REPEAT_FIRST
        while True:
            began = time.monotonic()
            try:
                session = await self._connect()
            except RemoteError as error:
                self._failed(error.message)
            except Exception as error:  # noqa: BLE001  # one agent's session must not end the task that looks after it
                self._failed("the session could not be made")
                _log.error("session not made", node=self.agent.id, exception=place_of(error))
            else:
                await self._keep(session)
                if time.monotonic() - began > limits.REPEAT_MOST:
                    pause = limits.REPEAT_FIRST
            await asyncio.sleep(pause)
            pause = min(2 * pause, limits.REPEAT_MOST)

    async def _connect(self) -> AgentSession:
        async with self._handshakes:
            session = await self._connector.connect(self.agent)
        self.trouble, self.attempts = "", 0
        self.sessions += 1
        return session

    def _failed(self, reason: str) -> None:
        if reason != self.trouble:
            _log.warning("no session", node=self.agent.id, reason=reason)
        self.trouble = reason
        self.attempts += 1

    async def _keep(self, session: AgentSession) -> None:
        """Use a session until it is lost; one that grows old is replaced before its agent ends it (rule 6)."""
        self._session = session
        self._reports.connected(self.agent.id)
        _log.info("session up", node=self.agent.id)
        try:
            while await self._grows_old(session):
                old, session = session, await self._connect()
                self._session = session
                if self._orders:
                    await asyncio.wait(tuple(self._orders))  # each has a time limit
                await old.close()
        except RemoteError as error:
            self.trouble = error.message
            _log.warning("session lost", node=self.agent.id, reason=error.message)
        except Exception as error:  # noqa: BLE001  # as in `_run`
            self.trouble = "the session failed"
            _log.error("session failed", node=self.agent.id, exception=place_of(error))
        finally:
            self._session = None
            if not self._retired:
                self._reports.lost(self.agent.id)
            for task in self._orders:
                task.cancel()
            await session.close()

    async def _grows_old(self, session: AgentSession) -> bool:
        """Listen until the session is old.

        Raises:
            RemoteError: it is lost before.
        """
        self._broken.clear()
        listening = asyncio.create_task(self._listen(session))
        broken = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait((listening, broken), timeout=limits.SESSION_AGE, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                raise RemoteError(self.trouble)
            if listening.done():
                listening.result()
            return True
        finally:
            for task in (listening, broken):
                task.cancel()
            await asyncio.gather(listening, broken, return_exceptions=True)

    async def _listen(self, session: AgentSession) -> None:
        while True:
            run, event = await session.event()
            await self._reports.happened(self.agent.id, run, event)

    # --- orders ---------------------------------------------------------------------------------------------------

    def order(self, order: Order) -> None:
        """Carry an order out; its outcome is handed in."""
        session = None if self._retired else self._session
        if session is None or len(self._orders) >= limits.AGENT_ORDERS:
            self._reports.failed(order, Failure.UNANSWERED, "")
            return
        task = asyncio.create_task(self._carry_out(order, session))
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def _carry_out(self, order: Order, session: AgentSession) -> None:
        report = None
        try:
            async with asyncio.timeout(limits.ORDER_TIME):
                match order:
                    case Stamp(term=term):
                        await session.stamp(term)
                    case Read():
                        report = await session.read()
                    case Edit():
                        await session.edit(order)
                        self.edits += 1
        except OrderRefusedError as error:
            _log.warning("order refused", node=order.node, failure=error.failure.value, reason=error.message)
            self._reports.failed(order, error.failure, error.about)
        except (QuiverError, TimeoutError) as error:
            late = f"no answer within {limits.ORDER_TIME:.0f} seconds"
            self._break(order, session, error.message if isinstance(error, QuiverError) else late)
        except Exception as error:  # noqa: BLE001  # whatever it is, the controller must not wait for this outcome for good
            _log.error("order failed", node=order.node, exception=place_of(error))
            self._break(order, session, "the session failed")
        else:
            self._reports.done(order, report)

    def _break(self, order: Order, session: AgentSession, reason: str) -> None:
        self._reports.failed(order, Failure.UNANSWERED, "")
        if session is self._session:
            self.trouble = reason
            self._broken.set()

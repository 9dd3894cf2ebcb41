"""The controller without its edges: it is told what happens, and says what to remember, what to order and what to tell.

Whoever drives it (the daemon, or the simulation) does this, again and again:

1. hand in what has happened: `connected`, `lost`, `reported`, `happened`, `done`, `failed`, `solved`, what the operator wants;
   then call `step`;
2. make `changes()` durable in one transaction;
3. only then carry out `orders()`, show `notices()`, and compute `work()` where there is any.

If the transaction fails, the controller is thrown away and made anew from its database. It may die at any time: agents go on over
the paths they have, and what it was doing is read from them by the next.
"""

from collections.abc import Iterable
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError, LimitError
from quiver.domain.events import (
    BufferExhausted,
    DeviceFault,
    DeviceRepaired,
    LinkDown,
    LinkUp,
    NewApplication,
    NumberedEvent,
    QberAlarm,
    QberNormal,
    RaisedAlarm,
)
from quiver.domain.ports import Clock
from quiver.domain.report import NodeReport
from quiver.domain.sdn.adoption import Adoption
from quiver.domain.sdn.applications import Applications
from quiver.domain.sdn.core import Core
from quiver.domain.sdn.demands import Demand
from quiver.domain.sdn.leadership import Phase
from quiver.domain.sdn.live import Live, live
from quiver.domain.sdn.notices import Notice
from quiver.domain.sdn.operator import Operator
from quiver.domain.sdn.optimising import Optimiser, Plan, Work
from quiver.domain.sdn.orders import Edit, Failure, Order, Stamp
from quiver.domain.sdn.provisioning import Provisioning
from quiver.domain.sdn.records import Change, Fact
from quiver.domain.sdn.scrutiny import scrutinise
from quiver.domain.sdn.sessions import Stage
from quiver.domain.sdn.steering import Steering

__all__ = ["Controller"]

TOLD: Final = (LinkDown, LinkUp, DeviceFault, DeviceRepaired, QberAlarm, QberNormal, BufferExhausted)


class Controller:
    """One SDN controller.

    Args:
        facts: all records of its database, of any kind.
        clock: monotonic time.
        salt: a random number from 0 to `limits.TERM_SALT`, so that two controllers that start at the same time, with
            different databases, do not claim the same term.
        poll: seconds between two reads of an agent, where no event makes one necessary.

    Attributes:
        operator: where nodes, demands and drains are entered.
    """

    def __init__(self, facts: Iterable[Fact], clock: Clock, salt: int = 0, poll: float = limits.POLL_INTERVAL) -> None:
        self._core: Final = Core(facts, clock, salt, poll)
        self._provisioning: Final = Provisioning(self._core)
        self._steering: Final = Steering(self._core, self._provisioning)
        self._adoption: Final = Adoption(self._core, self._provisioning, self._steering)
        self._optimiser: Final = Optimiser(self._core, self._steering)
        self._applications: Final = Applications(self._core)
        self.operator: Final = Operator(self._core, self._provisioning, self._steering, self._applications)
        self._orders: list[Order] = []
        self._opened = False  # all agents were read since the term was claimed, or had time for it
        self._led_at = self._swept_at = clock.now()

    # --- sessions -------------------------------------------------------------------------------------------------

    def connected(self, node: str) -> None:
        """A management session with an agent has come up.

        Raises:
            ConfigurationError: this node does not belong to the network.
        """
        core = self._core
        if node not in core.sessions:
            raise ConfigurationError(f"there is no node {node} in the network")
        view = core.knowledge.view(node)
        view.connected, view.changed_at = True, core.now()
        core.sessions[node].up(Stage.LISTENING if core.leader.phase is Phase.GATHERING else Stage.STAMPING)
        core.voices.say(node, "node-connected", core.now())
        core.stale = True

    def lost(self, node: str) -> None:
        """The session with an agent is lost. The agent may be well: its paths stay, unless its neighbours miss it too."""
        core = self._core
        if not core.hears(node):
            return
        core.sessions[node].down()
        view = core.knowledge.view(node)
        view.connected, view.changed_at = False, core.now()
        core.voices.say(node, "node-lost", core.now())
        core.stale = True

    # --- what agents say ------------------------------------------------------------------------------------------

    def reported(self, node: str, report: NodeReport) -> None:
        """An agent's report has come over its session; before `done` of the order that asked for it."""
        core, now = self._core, self._core.now()
        if not core.hears(node):
            return
        session = core.sessions[node]
        fault = core.knowledge.reported(node, report, now)
        if fault:
            core.distrust(node, fault)
        if fault or core.knowledge.view(node).report is not report:
            session.want_read(now, limits.POLL_INTERVAL if fault else limits.READ_PAUSE)
            return
        core.leader.shown(node, report.term, now)
        scrutinise(core, report, now)
        for path in report.paths:
            self._steering.touch(path.key)
        known = core.ready(node)
        if session.reported(report, now):  # now it may also be clear which entries of others are orphans
            self._provisioning.touch((node,) if known else core.sessions)
        self._applications.watch(node, now)
        self._serve(self._applications.reported(node, now))
        core.stale = True

    def happened(self, node: str, run: str, event: NumberedEvent) -> None:
        """An agent's event has come over its session."""
        core, now = self._core, self._core.now()
        if not core.hears(node) or not core.knowledge.view(node).happened(run, event):
            return
        if core.knowledge.view(node).missed:
            core.sessions[node].want_read(now)
        body = event.body
        path = getattr(body, "path", "")
        if path:
            self._steering.touch(path)
        core.stale = core.stale or not path
        if isinstance(body, TOLD):
            about = body.destination if isinstance(body, BufferExhausted) else body.link
            name = str(body.__struct_config__.tag)
            core.voices.say(node, name, now, about=about[: limits.NAME_LENGTH])
        elif isinstance(body, RaisedAlarm):
            core.voices.say(node, "alarm", now, alarm=body.name[: limits.NAME_LENGTH])
        elif isinstance(body, NewApplication):
            self._serve(self._applications.asked(node, body, now))

    def _serve(self, demands: Iterable[Demand]) -> None:
        """Serve demands that agents have brought."""
        for demand in demands:
            try:
                self.operator.demand(demand)
            except (ConfigurationError, LimitError) as error:  # an operator's demand has the name, or the table is full
                self._core.notices.say(
                    "application-refused", self._core.now(), demand=demand.name, reason=error.message
                )

    # --- what became of orders ------------------------------------------------------------------------------------

    def done(self, order: Order) -> None:
        """An order was carried out; a read after its report was handed in."""
        core = self._core
        session = core.sessions.get(order.node)
        if session is None or not session.done(order, core.leader.term):
            return
        if isinstance(order, Stamp | Edit) and order.term == core.leader.term:
            core.leader.accepted()
        if isinstance(order, Edit):
            self._provisioning.touch((order.node,))

    def failed(self, order: Order, failure: Failure, about: str = "") -> None:
        """An order was not carried out, or nobody knows.

        Args:
            order: which one.
            failure: how.
            about: key of the path entry that was refused, where the agent said it.
        """
        core, now = self._core, self._core.now()
        session = core.sessions.get(order.node)
        if session is None or not session.failed(order, failure, now):
            return
        if failure is Failure.STALE_TERM and isinstance(order, Stamp | Edit) and order.term == core.leader.term:
            session.stale()  # a report says which term the agent has accepted
        if isinstance(order, Edit):
            self._provisioning.touch((order.node,))
            if failure is Failure.REFUSED:
                self._provisioning.edit_refused(order, about)
                core.voices.say(order.node, "edit-refused", now, path=about)
                for entry in order.put:
                    self._steering.touch(entry.key)

    def solved(self, plan: Plan) -> None:
        """Background work was done."""
        self._optimiser.solved(plan)

    # --- time -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Do what has become possible or due. Called after events, and when `due` has come."""
        core, now = self._core, self._core.now()
        for session in core.sessions.values():
            for late in session.late(now):
                self.failed(late, Failure.UNANSWERED)
        self._lead(now)
        self.operator.dismissal.step(now)
        if core.stale:
            core.stale = False
            core.topology.refresh(now)
        if core.leader.edits and self._opened:
            self._adoption.step(now)
            self._sweep(now)
            for key in self._provisioning.advance(now):
                self._steering.touch(key)
            self._optimiser.step()
            self._steering.step(now)
            self._orders += self._provisioning.edits(now, core.leader.term)
        for session in core.sessions.values():
            order = session.next_order(now, core.leader.term)
            if order is not None:
                self._orders.append(order)

    def _lead(self, now: float) -> None:
        """Claim a term, end a doubt, and open the way for edits when agents are stamped and read."""
        core, leader = self._core, self._core.leader
        if leader.edits and self._opened:
            return
        heard = {node: core.knowledge.view(node).heard_at for node in core.connected()}
        read_at = {node: at for node, at in heard.items() if at is not None}
        if leader.gathered(len(read_at), len(core.sessions), now) or leader.step(read_at, now):
            self._led_at, self._opened = now, False
            for session in core.sessions.values():
                session.stamp_again()
        if leader.phase is Phase.DOUBTING:
            for node, at in read_at.items():
                if at < leader.since:  # does it confirm the term?
                    core.sessions[node].want_read(now, 0.0)
        if leader.edits and not self._opened:
            # Those that are not connected are stamped and read first when they come.
            read = all(core.ready(node) for node in core.connected())
            self._opened = read or now >= self._led_at + limits.ADOPT_TIME
            core.stale = core.stale or self._opened

    def _sweep(self, now: float) -> None:
        """Give up demands on the fly that nobody uses."""
        if now >= self._swept_at + limits.POLL_INTERVAL:
            self._swept_at = now
            for name in self._core.demands.unused(now):
                self.operator.give_up(name)

    @property
    def due(self) -> float:
        """When `step` is to be called at the latest, even if nothing happens."""
        core, now = self._core, self._core.now()
        moments = [session.due for session in core.sessions.values()]
        parts = (core.leader, self.operator.dismissal, self._steering, self._provisioning, self._optimiser)
        moments += [part.due for part in parts]
        if core.leader.edits and not self._opened:
            moments.append(self._led_at + limits.ADOPT_TIME)
        return max(now + limits.STEP_PAUSE, min(moments))

    # --- what is to be done ---------------------------------------------------------------------------------------

    def changes(self) -> list[Change]:
        """What to make durable, in one transaction, before anything else of this step leaves."""
        return self._core.memory.changes()

    def orders(self) -> list[Order]:
        """What to order of agents. Each is given back to `done` or `failed`."""
        orders, self._orders = self._orders, []
        return orders

    def notices(self) -> list[Notice]:
        """What to tell operators."""
        return self._core.notices.take()

    def work(self) -> Work | None:
        """What to compute in the background (`optimising.solve`) and give back to `solved`; None where there is nothing."""
        return self._optimiser.work()

    def snapshot(self) -> Live:
        """The live state of the network."""
        return live(self._core, self._steering.paths.values())

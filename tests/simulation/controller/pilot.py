"""The controller's process in the simulation: its database, its sessions over a channel that loses and delays, its deaths."""

from quiver.domain import limits
from quiver.domain.events import NumberedEvent
from quiver.domain.sdn.controller import Controller
from quiver.domain.sdn.memory import decode, encode
from quiver.domain.sdn.notices import Notice
from quiver.domain.sdn.optimising import solve
from quiver.domain.sdn.orders import Edit, Failure, Order
from quiver.domain.sdn.records import Member
from tests.simulation.world import World

from .agents import Managed, Outcome
from .wholeness import meetings

TURN = 0.005  # seconds from what happens to the step that acts on it
CONNECT = 0.2  # seconds between two attempts to connect
SILENCE = 2.0  # seconds until a session to an agent that is gone is given up
SOLVING = 0.5  # seconds that an allocation takes


class Pilot:
    """One controller process at a time, and its database.

    Args:
        world: time and randomness.
        sites: the agents.
        drop: probability that an order or its answer is lost, and the session with it.
        slow: probability that one of them takes long.
    """

    def __init__(self, world: World, sites: dict[str, Managed], *, drop=0.0, slow=0.0, name="controller"):
        self.world, self.sites, self.drop, self.slow, self.name = world, sites, drop, slow, name
        self.rows: dict[tuple[str, str], bytes] = {}
        self.saved: list[dict[tuple[str, str], bytes]] = []  # the database after each transaction
        self.life = 0
        self.core: Controller | None = None
        self.open: dict[str, int] = {}  # node → number of its session
        self.cut: set[str] = set()  # nodes that this controller cannot reach
        self.notices: list[Notice] = []
        self.met: list[str] = []  # versions that were laid where another path of their demand stood
        self.seen: dict[str, list[int]] = {}  # node → terms stamped
        self._sessions = 0
        self._behind: dict[str, float] = {}  # node → when its last event arrives
        self._wake_at = float("inf")
        for node in sites:
            record = Member(node=node, address=f"{node}:1")
            self.rows[record.kind, record.id] = encode(record)
        for site in sites.values():
            site.listeners.append(self._event)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self, *, lost: bool = False, back: int = 0) -> None:
        """A new process, with its database, an older one, or one that knows the nodes only."""
        if lost:
            self.rows = {name: body for name, body in self.rows.items() if name[0] == Member.kind}
        elif back:
            self.rows = dict(self.saved[max(0, len(self.saved) - 1 - back)]) if self.saved else self.rows
        facts = [decode(kind, body) for (kind, _), body in self.rows.items()]
        self.core = Controller(facts, self.world, self.world.random.randint(0, limits.TERM_SALT))
        self.life += 1
        self._wake_at = float("inf")
        self._wake(0.0)
        for node in self.sites:
            self._connect_later(node, self.life, self.world.random.uniform(0, CONNECT))

    def crash(self) -> None:
        self.core = None
        self.life += 1
        self.open.clear()

    # --- sessions -------------------------------------------------------------------------------------------------

    def _connect_later(self, node: str, life: int, delay: float) -> None:
        def attempt() -> None:
            if life != self.life or self.core is None or node in self.open:
                return
            site = self.sites[node]
            if not site.up or node in self.cut:
                self._connect_later(node, life, CONNECT)
                return
            self._sessions += 1
            self.open[node] = self._sessions
            self.core.connected(node)
            self._wake(TURN)
            self._watch(node, life, self._sessions, site.life)

        self.world.after(delay, attempt)

    def _watch(self, node: str, life: int, session: int, agent: int) -> None:
        """A process that dies closes its connections; a node that cannot be reached is noticed by its silence."""
        site = self.sites[node]

        def look() -> None:
            if life != self.life or self.open.get(node) != session:
                return
            if site.life != agent or node in self.cut:
                self.world.after(0.02 if site.life != agent else SILENCE, lambda: self._break(node, life, session))
                return
            self.world.after(0.1, look)

        look()

    def _break(self, node: str, life: int, session: int) -> None:
        if life == self.life and self.core is not None and self.open.get(node) == session:
            del self.open[node]
            self.core.lost(node)
            self._wake(TURN)
            self._connect_later(node, life, CONNECT)

    def _delay(self) -> float:
        random = self.world.random
        return random.uniform(0.3, 3.0) if random.random() < self.slow else random.uniform(0.002, 0.02)

    def _event(self, site: Managed, run: str, event: NumberedEvent) -> None:
        life, session = self.life, self.open.get(site.name)
        if session is None or site.name in self.cut or self.world.chance(self.drop):
            return

        def arrive() -> None:
            if life == self.life and self.core is not None and self.open.get(site.name) == session:
                self.core.happened(site.name, run, event)
                self._wake(TURN)

        moment = max(self.world.now() + self._delay(), self._behind.get(site.name, 0.0))
        self._behind[site.name] = moment  # one session's events stay in order
        self.world.after(moment - self.world.now(), arrive)

    def calm(self) -> None:
        """The channel is good from now on."""
        self.drop = self.slow = 0.0
        self.cut.clear()

    # --- orders ---------------------------------------------------------------------------------------------------

    def _alive(self, life: int, node: str, session: int | None) -> bool:
        return life == self.life and self.core is not None and self.open.get(node) == session

    def _send(self, order: Order) -> None:
        """An order travels, is carried out, and its outcome travels back; where one of them is lost the session breaks."""
        life, session, world = self.life, self.open.get(order.node), self.world
        site = self.sites[order.node]
        agent = site.life
        if session is None:
            return

        def arrive() -> None:
            if not site.up or site.life != agent or order.node in self.cut:
                return  # the session breaks by itself
            outcome = site.carry_out(order)
            if world.chance(self.drop):
                world.after(SILENCE, lambda: self._unanswered(order, life, session))
            else:
                world.after(self._delay(), lambda: self._answered(order, outcome, life, session))

        if world.chance(self.drop):
            world.after(SILENCE, lambda: self._unanswered(order, life, session))
        else:
            world.after(self._delay(), arrive)

    def _unanswered(self, order: Order, life: int, session: int) -> None:
        if self._alive(life, order.node, session):
            self.core.failed(order, Failure.UNANSWERED)
            self._wake(TURN)
            self._break(order.node, life, session)

    def _answered(self, order: Order, outcome: Outcome, life: int, session: int) -> None:
        if not self._alive(life, order.node, session):
            return
        if outcome.failure is not None:
            self.core.failed(order, outcome.failure, outcome.about)
        else:
            if outcome.report is not None:
                self.core.reported(order.node, outcome.report)
            self.core.done(order)
        self._wake(TURN)

    # --- steps ----------------------------------------------------------------------------------------------------

    def _wake(self, delay: float) -> None:
        moment = self.world.now() + delay
        if moment >= self._wake_at:
            return
        self._wake_at, life = moment, self.life

        def step() -> None:
            if life == self.life and self.core is not None and self._wake_at <= self.world.now():
                self._wake_at = float("inf")
                self._step()

        self.world.after(delay, step)

    def _step(self) -> None:
        core, life = self.core, self.life
        assert core is not None
        core.step()
        changes = core.changes()
        for change in changes:
            if change.record is None:
                self.rows.pop((change.kind, change.id), None)
            else:
                self.rows[change.kind, change.id] = encode(change.record)
        if changes:
            self.saved.append(dict(self.rows))
        for order in core.orders():
            self._look(order)
            self._send(order)
        self.notices += core.notices()
        work = core.work()
        if work is not None:
            plan = solve(work)
            self.world.after(SOLVING, lambda: self._solved(life, plan))
        self._wake(core.due - self.world.now())

    def _look(self, order: Order) -> None:
        """Compare what is laid with where the other paths of its demand are."""
        for entry in order.put if isinstance(order, Edit) else ():
            paths = [p for p in self.core.snapshot().paths if p.virtual_link == entry.virtual_link]
            others = [(p.virtual_link, p.path, nodes) for p in paths for nodes in (p.nodes, p.coming)]
            one = (entry.virtual_link, entry.path, entry.nodes)
            self.met += [line for other in others if other[1] != entry.path for line in meetings([one, other])]

    def _solved(self, life: int, plan) -> None:
        if life == self.life and self.core is not None:
            self.core.solved(plan)
            self._wake(TURN)

    def told(self, name: str) -> list[Notice]:
        return [notice for notice in self.notices if notice.name == name]

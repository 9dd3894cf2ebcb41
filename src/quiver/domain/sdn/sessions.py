"""One agent's management session: what was ordered, what is on its way, and what the agent is believed to hold.

An agent is stamped with the controller term before it is read, and read before it is edited (design section 7). At most one
edit and one read are on their way to it at a time. What it holds is what was read last, and what edits it has acknowledged
since; after an edit without an answer nothing is believed until it was read again.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from quiver.domain import limits
from quiver.domain.network import PathEntry
from quiver.domain.report import NodeReport
from quiver.domain.sdn.orders import Edit, Failure, Order, Read, Stamp

__all__ = ["SESSION_MOVES", "Session", "Stage"]

Sent = TypeVar("Sent", bound=Order)


class Stage(StrEnum):
    """How far a session is."""

    DOWN = "down"
    LISTENING = "listening"  # it is read, to learn terms; not stamped yet, or it has refused that
    STAMPING = "stamping"
    READING = "reading"  # stamped; what it holds is not known
    READY = "ready"  # edits may go there


# From each stage, where it can go.
SESSION_MOVES: Final[dict[Stage, frozenset[Stage]]] = {
    Stage.DOWN: frozenset({Stage.LISTENING, Stage.STAMPING}),
    Stage.LISTENING: frozenset({Stage.DOWN, Stage.STAMPING}),
    Stage.STAMPING: frozenset({Stage.DOWN, Stage.LISTENING, Stage.READING, Stage.STAMPING}),
    Stage.READING: frozenset({Stage.DOWN, Stage.READY, Stage.STAMPING}),
    Stage.READY: frozenset({Stage.DOWN, Stage.LISTENING, Stage.READING, Stage.STAMPING}),
}


class Session:
    """One agent.

    Args:
        node: its id.
        number: draws the next order's number.
        poll: seconds between two reads that nobody waits for.
    """

    def __init__(self, node: str, number: Callable[[], int], poll: float = limits.POLL_INTERVAL) -> None:
        self.node: Final = node
        self._number: Final = number
        self._poll: Final = poll
        self.stage = Stage.DOWN
        self.entries: Final[dict[str, PathEntry]] = {}  # that it is believed to hold
        self.addresses: Final[dict[str, str]] = {}  # likewise
        self.read_at = float("-inf")  # when what it holds was read last
        self.adopted_at = float("-inf")  # which reading was searched for paths that nobody remembers
        self.refuses = False  # it does not take the present term, and what it has shown since has brought no higher one
        self.alone = False  # an edit of several entries was refused: they go one by one
        self._flying: Final[dict[int, tuple[Order, float]]] = {}
        self._clean = True  # no edit was on its way at any time while the read on its way is
        self._next_read = float("-inf")
        self._not_before = float("-inf")
        self._pause = limits.ORDER_PAUSE

    # --- stages ---------------------------------------------------------------------------------------------------

    def move(self, stage: Stage) -> None:
        """Go to a stage; anything that the table does not have is a fault of this program."""
        assert stage in SESSION_MOVES[self.stage], f"session {self.node}: no way from {self.stage} to {stage}"
        self.stage = stage

    def up(self, stage: Stage) -> None:
        """The session has come up, perhaps without the loss of the one before having been heard."""
        self.down()
        self.move(stage)
        self._pause, self._not_before = limits.ORDER_PAUSE, float("-inf")
        self._next_read = float("-inf")

    def down(self) -> None:
        """The session is lost; nothing is believed of what is on its way."""
        if self.stage is not Stage.DOWN:
            self.move(Stage.DOWN)
        self.refuses = False
        self._flying.clear()

    def stamp_again(self) -> None:
        """A new term was claimed: this agent is to accept it."""
        if self.stage is not Stage.DOWN:
            self.move(Stage.STAMPING)
        self.refuses = False

    # --- orders ---------------------------------------------------------------------------------------------------

    def _flies(self, kind: type[Order]) -> bool:
        return any(isinstance(order, kind) for order, _ in self._flying.values())

    @property
    def free(self) -> bool:
        """Whether an edit may be ordered now, time apart."""
        return self.stage is Stage.READY and not self._flies(Edit)

    def next_order(self, now: float, term: int) -> Stamp | Read | None:
        """A stamp or a read that is due."""
        if self.stage is Stage.DOWN or now < self._not_before:
            return None
        if self.stage is Stage.STAMPING:
            if self._flying:
                return None
            return self._launch(Stamp(id=self._number(), node=self.node, term=term), now)
        hurried = self.stage is Stage.READING
        if self._flies(Read) or (now < self._next_read and not hurried):
            return None
        self._clean = not self._flies(Edit)
        return self._launch(Read(id=self._number(), node=self.node), now)

    def edit(
        self,
        now: float,
        term: int,
        put: tuple[PathEntry, ...],
        remove: tuple[str, ...],
        addresses: Mapping[str, str],
        forget: tuple[str, ...] = (),
    ) -> Edit | None:
        """Order an edit, if one may go there now and there is anything in it."""
        if not self.free or now < self._not_before or not (put or remove or addresses or forget):
            return None
        self._clean = False
        edit = Edit(
            id=self._number(),
            node=self.node,
            term=term,
            put=put,
            remove=remove,
            addresses=dict(addresses),
            forget=forget,
        )
        return self._launch(edit, now)

    def _launch(self, order: Sent, now: float) -> Sent:
        self._flying[order.id] = (order, now)
        return order

    def want_read(self, now: float, pause: float = limits.READ_PAUSE) -> None:
        """Somebody waits for a report: read in a moment."""
        self._next_read = min(self._next_read, max(now, self.read_at + pause))

    @property
    def due(self) -> float:
        """When something is to be done at the latest, even if nothing happens."""
        if self.stage is Stage.DOWN:
            return float("inf")
        late = min((at + limits.ORDER_TIME for _, at in self._flying.values()), default=float("inf"))
        waits = self._flies(Read) if self.stage is Stage.READY else bool(self._flying)
        return min(late, float("inf") if waits else max(self._next_read, self._not_before))

    # --- outcomes -------------------------------------------------------------------------------------------------

    def stale(self) -> None:
        """The agent refuses the present term: a report says which one it has accepted, and nothing else is of use."""
        if self.stage in (Stage.STAMPING, Stage.READY):
            self.move(Stage.LISTENING)
            self._next_read = float("-inf")

    def late(self, now: float) -> list[Order]:
        """Orders without an outcome for too long."""
        return [order for order, at in self._flying.values() if now - at >= limits.ORDER_TIME]

    def reported(self, report: NodeReport, now: float) -> bool:
        """A report has come, and what it says of the configuration is not older than an edit; whether that is so."""
        self._next_read = now + self._poll
        self.refuses = self.refuses or self.stage is Stage.LISTENING
        if self.stage not in (Stage.READING, Stage.READY):
            return False
        if not self._flies(Read) or not self._clean:
            self._next_read = now + limits.READ_PAUSE if self.stage is Stage.READING else self._next_read
            return False
        self.entries.clear()
        self.entries.update({entry.key: entry for entry in report.configured})
        self.addresses.clear()
        self.addresses.update(report.addresses)
        self.read_at = now
        if self.stage is Stage.READING:
            self.move(Stage.READY)
        return True

    def done(self, order: Order, term: int) -> bool:
        """An order was done under the present term; False for one that nobody waits for any more."""
        if self._flying.pop(order.id, None) is None:
            return False
        self._pause = limits.ORDER_PAUSE
        if isinstance(order, Stamp) and self.stage is Stage.STAMPING and order.term == term:
            self.move(Stage.READING)
            self.refuses = False
        if isinstance(order, Edit):
            for key in order.remove:
                self.entries.pop(key, None)
            self.entries.update({entry.key: entry for entry in order.put})
            for node in order.forget:
                self.addresses.pop(node, None)
            self.addresses.update(order.addresses)
            self.alone = False
        return True

    def failed(self, order: Order, failure: Failure, now: float) -> bool:
        """An order was not done, or nobody knows; False for one that nobody waits for any more."""
        if self._flying.pop(order.id, None) is None:
            return False
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, limits.REPEAT_MOST)
        if isinstance(order, Stamp) and self.stage is Stage.STAMPING:
            self.refuses = failure is Failure.REFUSED
        if isinstance(order, Edit):
            self.alone = failure is Failure.REFUSED and len(order.put) > 1
            if failure is Failure.UNANSWERED and self.stage is Stage.READY:
                self.move(Stage.READING)
        return True

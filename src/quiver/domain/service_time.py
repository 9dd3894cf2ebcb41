"""How long a key database has been in use: a clock that goes on where it stood when the process ended.

The lives of ready blocks and of unfetched keys are counted by it, so that a node that restarts often keeps neither for longer.
The machine's monotonic clock begins anew, and the wall clock jumps; this one does neither. It stands still while the node is
down, so two nodes' ages of one block differ: who drops it first says so (ADR 0008).
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.journal import Journal
from quiver.domain.ports import Clock
from quiver.domain.records import Own

__all__ = ["ServiceTime"]


class ServiceTime:
    """The service time of one database; a `Clock`.

    Args:
        clock: monotonic time.
        own: the durable record of the database, which keeps it.
        journal: where it is noted.
    """

    def __init__(self, clock: Clock, own: Own, journal: Journal) -> None:
        self._clock: Final = clock
        self._own: Final = own
        self._journal: Final = journal
        self._before: Final = own.served - clock.now()
        self._durable = own.served

    def now(self) -> float:
        """Seconds that the database has been in use, over all runs."""
        return self._before + self._clock.now()

    def keep(self) -> None:
        """Note it; called each second. A crash costs no more than the time since the last commit, and little where none comes."""
        self._own.served = self.now()
        alone = self._own.served >= self._durable + limits.SERVICE_TIME_KEPT
        self._journal.put(self._own, lazy=not alone)
        if alone:
            self._durable = self._own.served

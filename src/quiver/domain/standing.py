"""How a path version stands at its source: its credit, whether it can be relied on, and what the controller hears of that.

A path is *whole* while its source holds credit, which proves that every hop is there, and reaches the two nodes that it speaks
to. Credit that is only used up is another thing: the path is dry then, if that lasts.
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.credit import Held
from quiver.domain.events import CreditGained, CreditLost
from quiver.domain.messages import Credit
from quiver.domain.network import PathEntry

__all__ = ["Standing"]


class Standing:
    """One path version at its source.

    Args:
        context: the node.
        entry: the path version.

    Attributes:
        superseded: a newer version of the path holds credit.
        retiring: the version is no longer configured; its ready blocks are used up.
    """

    def __init__(self, context: Context, entry: PathEntry) -> None:
        self._context: Final = context
        self._entry: Final = entry
        self._after: Final = entry.after(context.node)
        self._held: Held | None = None
        self._gained = False  # the controller was told of credit, and of no loss since
        self._dry_since: float | None = None
        self._doubted_since: float | None = None
        self.superseded = False
        self.retiring = False

    def grant(self, run: str, credit: Credit) -> None:
        """Credit has come from the next node; of one run the highest counter counts, a new run replaces the old."""
        if self._held is None or self._held.newer(run, credit.counter):
            until = self._context.clock.now() + limits.CREDIT_LIFE
            self._held = Held(run, credit.counter, credit.limit, until)

    @property
    def held(self) -> int:
        """The limit that the next node has told last; 0 before any."""
        return self._held.limit if self._held is not None else 0

    @property
    def whole(self) -> bool:
        """Whether credit is held that was neither withdrawn nor has expired, and both ends are reached."""
        held, context = self._held, self._context
        if held is None or not held.limit or held.until <= context.clock.now():
            return False
        return context.linked(self._after) and context.met(self._after) and context.reached(self._entry.destination)

    def credit(self, used: int) -> int:
        """Bytes above the byte count `used` that sequences may take; 0 says that the path is not whole, or dry."""
        return max(0, self._held.limit - used) if self._held is not None and self.whole else 0

    @property
    def live(self) -> bool:
        """Whether what is under way here may be counted on: the path is whole, and still the one to be used."""
        return self.whole and not self.superseded and not self.retiring

    # --- time -----------------------------------------------------------------------------------------------------

    def review(self, used: int) -> None:
        """Notice that credit has come or gone; called in each step."""
        now, whole = self._context.clock.now(), self.whole
        credit = max(0, self.held - used) if whole else 0
        live = whole and not self.superseded and not self.retiring
        self._doubted_since = _since(self._doubted_since, now, holds=not live)
        self._dry_since = _since(self._dry_since, now, holds=whole and not credit)
        if credit and not self._gained and not self.retiring:
            self._gained = True
            self._context.journal.events.note(CreditGained(path=self._entry.key, credit=credit))
        elif self._gained and (not whole or self._is_dry(now)):
            self._gained = False
            self._context.journal.events.note(CreditLost(path=self._entry.key))

    def _is_dry(self, now: float) -> bool:
        return self._dry_since is not None and now >= self._dry_since + limits.CREDIT_DRY

    @property
    def forlorn(self) -> bool:
        """Whether sequences that are still open are to be voided: they had time to end, and others shall take their place."""
        since = self._doubted_since
        return since is not None and self._context.clock.now() >= since + limits.VOID_GRACE

    def due(self, *, open_sequences: bool) -> float | None:
        """When time alone will change something that `review` has to notice."""
        moments = []
        if self._doubted_since is not None and open_sequences:
            moments.append(self._doubted_since + limits.VOID_GRACE)
        if self._gained and self._dry_since is not None:
            moments.append(self._dry_since + limits.CREDIT_DRY)
        if self._gained and self._held is not None:
            moments.append(self._held.until)
        return min(moments, default=None)


def _since(then: float | None, now: float, *, holds: bool) -> float | None:
    """Since when something holds that held since `then`, or not yet."""
    if not holds:
        return None
    return now if then is None else then

"""The initiator of rollovers: which step is due, and what follows from its outcome. No input or output, no clock."""

import enum
from typing import Final

from quiver.domain.rollover.steps import NEXT, Outcome, Step
from quiver.domain.rollover.timing import Timing

__all__ = ["Failure", "Initiator"]


class Failure(enum.Enum):
    """Why a round brought no key into use. The values are labels of a metric."""

    NO_KEY = "no-key"
    PARTNER_REFUSED = "partner-refused"
    PARTNER_SILENT = "partner-silent"
    TUNNEL = "tunnel"
    NOT_PROVEN = "not-proven"
    RESTARTED = "partner-restarted"


_GIVEN_UP: Final = {
    (Step.KEY, Outcome.FAILED): Failure.NO_KEY,
    (Step.OFFER, Outcome.REFUSED): Failure.PARTNER_REFUSED,
    (Step.STAGE, Outcome.FAILED): Failure.TUNNEL,
    (Step.TURN, Outcome.REFUSED): Failure.RESTARTED,
    (Step.WATCH, Outcome.REFUSED): Failure.RESTARTED,
    (Step.WATCH, Outcome.FAILED): Failure.TUNNEL,
    (Step.PROVE_THERE, Outcome.REFUSED): Failure.RESTARTED,
    (Step.SETTLE, Outcome.REFUSED): Failure.RESTARTED,
}
_ASKING: Final = frozenset({Step.GREET, Step.OFFER, Step.TURN, Step.WATCH, Step.PROVE_THERE, Step.SETTLE, Step.FIND})
_PROVING: Final = frozenset({Step.PROVE, Step.WATCH, Step.PROVE_THERE})  # by turns, within one time
_WAITING: Final = _PROVING | {Step.FIND}
_BRINGING: Final = frozenset(
    {Step.KEY, Step.OFFER}
)  # without a key that both nodes give, one that both ends hold is left
_SWITCHING: Final = frozenset({Step.SWITCH, Step.SWITCH_BLIND})
_PATIENT: Final = _SWITCHING | {Step.OFFER, Step.TURN, Step.SETTLE}
_OF_FRESH: Final = _SWITCHING | {Step.OFFER, Step.STAGE, Step.TURN}


class Initiator:
    """Drives rounds. The caller does `step` at `due`, then says how it went.

    It names keys by their key_IDs and never sees one. `active` is the key in use at this end, `fresh` that of the round.

    Args:
        timing: of rounds.
        now: seconds of the caller's monotonic clock.
    """

    def __init__(self, timing: Timing, now: float) -> None:
        self._timing: Final = timing
        self.step = Step.GREET
        self.due = now  # when it is to be done
        self.active: str | None = None
        self.before: str | None = None  # what was in use before, or could not be: until the active one is settled
        self.fresh: str | None = None
        self.rollovers = 0  # counted by both ends
        self.failures: Final[dict[Failure, int]] = dict.fromkeys(Failure, 0)
        self.last_failure: Failure | None = None
        self.partner_heard = False  # whether the last call was answered
        self._differs = False  # the partner has said that it uses another key
        self._round_at = now  # when the next round is to begin
        self._entered = now  # when the present step was entered first
        self._unsure = False  # a call of this step may have been carried out though no answer came
        self._not_before = now  # nor may it before this: rounds that fail cost keys
        self._pause = 0.0  # after the next failure; the first one's round is repeated at once

    @property
    def wanted(self) -> str | None:
        """The key that `step` is about: of TURN, SWITCH and what follows, the one that is to be used."""
        return self.fresh if self.step in _OF_FRESH else self.active

    def hasten(self, now: float) -> None:
        """A new key is wanted now, as so much was sent under the old one; a round under way goes on."""
        self._round_at = min(self._round_at, now)
        if self.step is Step.GREET:
            self.due = min(self.due, now)

    def got_key(self, key_id: str) -> None:
        """KEY has brought this key; then comes `done`."""
        self.fresh = key_id

    def done(self, outcome: Outcome, now: float) -> None:
        """How the step ended.

        Args:
            outcome: how.
            now: the time.

        Raises:
            KeyError: this step cannot end so.
        """
        ended = self.step
        following = NEXT[ended, outcome]
        self._hear(ended, outcome)
        if outcome is Outcome.LOST:
            self._unsure = True
        if (failure := _GIVEN_UP.get((ended, outcome))) is not None:
            self._give_up(failure, now)
            if ended in _BRINGING and self._differs and self.before is not None:
                self._alternate(self._next_round)
            return
        match ended, outcome:
            case Step.GREET, Outcome.REFUSED | Outcome.FAILED:
                self._round_at = min(self._round_at, now)
            case ((Step.SWITCH | Step.SWITCH_BLIND), Outcome.DONE):
                self.before, self.active, self.fresh = self.active, self.fresh, None
            case Step.SETTLE, Outcome.DONE:
                self._settle(now)
            case Step.RETIRE, _:
                self.before = None
        if following is Step.KEY and ended is Step.GREET and now < self._next_round:
            self.due = min(now + self._timing.beat, self._next_round)
        elif following is not ended and not {following, ended} <= _PROVING:
            self._enter(following, now)
        elif outcome is not Outcome.DONE and self._late(now):
            self._run_out(now)
        else:
            self.step = following
            self.due = now if following is Step.PROVE_THERE is not ended else now + self._repeat_after(following)

    # --- what follows ---------------------------------------------------------------------------------------------

    @property
    def _next_round(self) -> float:
        return max(self._round_at, self._not_before)

    def _hear(self, ended: Step, outcome: Outcome) -> None:
        if ended in _ASKING:
            self.partner_heard = outcome not in {Outcome.LOST, Outcome.UNREACHED}
        if ended in {Step.GREET, Step.FIND} and outcome in {Outcome.DONE, Outcome.REFUSED}:
            self._differs = outcome is Outcome.REFUSED

    def _enter(self, step: Step, now: float) -> None:
        self.step, self.due, self._entered, self._unsure = step, now, now, False
        if step is Step.GREET:
            self.due = min(now + self._timing.beat, max(now, self._next_round))

    def _repeat_after(self, step: Step) -> float:
        match step:
            case Step.PROVE | Step.PROVE_THERE:
                return self._timing.look
            case Step.WATCH:
                return 0.0
            case Step.GREET | Step.FIND:
                return self._timing.beat
        return self._timing.pause

    def _late(self, now: float) -> bool:
        spent = now - self._entered
        return (self.step in _WAITING and spent >= self._timing.proof) or (
            self.step in _PATIENT and spent >= self._timing.patience
        )

    def _run_out(self, now: float) -> None:
        """A step has been tried for long enough."""
        match self.step:
            case Step.PROVE_THERE | Step.WATCH if not self.partner_heard:
                self._give_up(Failure.PARTNER_SILENT, now)
            case Step.PROVE | Step.WATCH | Step.PROVE_THERE:
                self._give_up(Failure.NOT_PROVEN, now)
            case Step.TURN if self._unsure:
                # The partner may have switched, or not: try the new key, then by turns.
                self._count(Failure.PARTNER_SILENT)
                self._enter(Step.SWITCH_BLIND, now)
            case Step.FIND:
                self._alternate(now)
            case Step.SWITCH | Step.SWITCH_BLIND:
                self.before = self.fresh  # the partner uses it, and this end holds it: it may be the only common one
                self._give_up(Failure.TUNNEL, now)
            case _:
                self._give_up(Failure.PARTNER_SILENT, now)

    def _alternate(self, now: float) -> None:
        """The partner is still silent, or has said that it uses another key: it may use the other one of the last two."""
        if self.before is None:
            self._enter(Step.FIND, now)
            return
        self.fresh = self.before
        self._enter(Step.SWITCH_BLIND, now)

    def _settle(self, now: float) -> None:
        self.rollovers += 1
        self._pause = 0.0
        self.last_failure = None
        self._round_at = now + max(0.0, self._timing.interval - self._timing.lead)

    def _count(self, failure: Failure) -> None:
        self.failures[failure] += 1
        self.last_failure = failure

    def _give_up(self, failure: Failure, now: float) -> None:
        self._count(failure)
        self.fresh = None
        self._round_at = now
        self._not_before = now + self._pause
        self._pause = min(max(2 * self._pause, self._timing.pause), self._timing.pause_most)
        self._enter(Step.GREET, now)

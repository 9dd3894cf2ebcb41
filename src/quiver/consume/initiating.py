"""The initiator's end at work: it gets keys as the master SAE and leads its partner through each round."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from quiver.client import KmeClient
from quiver.consume.end import End
from quiver.consume.partner import Partner
from quiver.domain import limits
from quiver.domain.errors import QuiverError
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.initiator import Initiator
from quiver.domain.rollover.losses import Losses
from quiver.domain.rollover.responder import Ask
from quiver.domain.rollover.steps import Outcome, Step
from quiver.domain.rollover.timing import Timing

__all__ = ["Initiating"]

_log = structlog.get_logger("quiver.consume.initiator")


class Initiating:
    """Does what `quiver.domain.rollover.initiator.Initiator` finds due.

    Args:
        end: this end of the tunnel.
        kme: of this site.
        partner: the other end.
        slave: its SAE ID.
        timing: of rounds.
    """

    def __init__(self, end: End, kme: KmeClient, partner: Partner, slave: str, timing: Timing) -> None:
        self._end: Final = end
        self._kme: Final = kme
        self._partner: Final = partner
        self._slave: Final = slave
        self.machine: Final = Initiator(timing, end.clock())
        self.losses: Final = Losses()
        self._key: DeliveredKey | None = None  # of the round under way, until the tunnel has it
        self._said = ""
        self._lost: dict[str, int] = {}  # packets since the rollover before, for the log
        self._steps: Final[dict[Step, Callable[[], Awaitable[Outcome]]]] = {
            Step.GREET: self._greet,
            Step.KEY: self._get,
            Step.OFFER: lambda: self._ask(Ask.OFFER),
            Step.STAGE: self._stage,
            Step.TURN: lambda: self._ask(Ask.TURN),
            Step.SWITCH: self._switch,
            Step.SWITCH_BLIND: self._switch,
            Step.PROVE: self._prove,
            Step.WATCH: self._greet,
            Step.PROVE_THERE: lambda: self._ask(Ask.PROVE),
            Step.SETTLE: self._settle,
            Step.RETIRE: self._retire,
            Step.FIND: lambda: self._partner.ask(Ask.GREET, self.machine.active),
        }

    @property
    def rollovers(self) -> int:
        """Keys that both ends have counted."""
        return self.machine.rollovers

    async def run(self) -> None:
        """Rounds, without an end."""
        machine, clock = self.machine, self._end.clock
        while True:
            await self._until_due()
            step, failed = machine.step, machine.failures.copy()
            machine.done(await self._steps[step](), clock())
            if step is Step.SETTLE and machine.step is Step.RETIRE:
                _log.info("rolled over", tunnel=self._end.tunnel.kind, rollovers=machine.rollovers, **self._lost)
            if machine.failures != failed and machine.last_failure is not None:
                self._key = None
                _log.error("no rollover", tunnel=self._end.tunnel.kind, cause=machine.last_failure.value, at=step.value)

    async def _until_due(self) -> None:
        machine, clock = self.machine, self._end.clock
        while (left := machine.due - clock()) > 0:
            await asyncio.sleep(min(left, limits.ROLLOVER_LOOK))
            if machine.active is not None and self._end.tunnel.hungry():
                machine.hasten(clock())

    # --- steps ----------------------------------------------------------------------------------------------------

    async def _ask(self, ask: Ask) -> Outcome:
        return await self._partner.ask(ask, self.machine.wanted)

    async def _greet(self) -> Outcome:
        intact = await self._end.intact()  # also before the first key: a tunnel may have to be kept shut
        if self.machine.active is not None and not intact:
            return Outcome.FAILED
        outcome = await self._ask(Ask.GREET)
        if outcome is Outcome.REFUSED:  # it may have been started again
            self.losses.restarted()
        return outcome

    async def _get(self) -> Outcome:
        try:
            keys = await self._kme.get_keys(self._slave, 1, self._end.tunnel.key_bits)
        except QuiverError as error:
            if error.message != self._said:
                _log.warning("the node gives no key", reason=error.message)
            self._said = error.message
            return Outcome.FAILED
        self._said = ""
        self._key = keys[0]
        self.machine.got_key(keys[0].key_id)
        return Outcome.DONE

    async def _stage(self) -> Outcome:
        key, self._key = self._key, None
        assert key is not None
        return Outcome.DONE if await self._end.stage(key) else Outcome.FAILED

    async def _switch(self) -> Outcome:
        assert self.machine.wanted is not None
        return Outcome.DONE if await self._end.switch(self.machine.wanted) else Outcome.FAILED

    async def _prove(self) -> Outcome:
        assert self.machine.wanted is not None
        match await self._end.proven(self.machine.wanted):
            case True:
                return Outcome.DONE
            case False:
                return Outcome.NOT_YET
        return Outcome.FAILED

    async def _settle(self) -> Outcome:
        outcome = await self._ask(Ask.SETTLE)
        self._lost = {}
        if outcome is Outcome.DONE and (there := self._partner.packets) is not None:
            here = await self._end.packets()
            lost = None if here is None else self.losses.told(here, there)
            self._lost = {} if lost is None else {"packets_lost": lost}
        return outcome

    async def _retire(self) -> Outcome:
        return Outcome.DONE if await self._end.retire() else Outcome.FAILED

"""The responder's end at work: it fetches keys as the slave SAE, and does what its initiator asks for."""

import asyncio
from typing import Final

import structlog

from quiver.client import KmeClient
from quiver.consume.end import End
from quiver.domain import limits
from quiver.domain.errors import QuiverError
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.initiator import Failure
from quiver.domain.rollover.proof import Proof
from quiver.domain.rollover.responder import Answer, Ask, Responder, Work

__all__ = ["Responding"]

_log = structlog.get_logger("quiver.consume.responder")


class Responding:
    """Does what `quiver.domain.rollover.responder.Responder` finds to be done for a message.

    Args:
        end: this end of the tunnel.
        kme: of this site.
        master: the initiator's SAE ID.
    """

    def __init__(self, end: End, kme: KmeClient, master: str) -> None:
        self._end: Final = end
        self._kme: Final = kme
        self._master: Final = master
        self._turn: Final = asyncio.Lock()
        self._under_way: Final[set[asyncio.Task[tuple[Answer, str]]]] = set()
        self.machine: Final = Responder()
        self.proof: Final = Proof(limits.ROLLOVER_PROOF)
        self.refused = 0  # offers whose key could not be made ready
        self.heard: float | None = None  # when the initiator called last

    @property
    def rollovers(self) -> int:
        """Keys that both ends have counted."""
        return self.machine.rollovers

    async def run(self) -> None:
        """Look after the tunnel between the initiator's calls, without an end."""
        while True:
            await asyncio.sleep(limits.ROLLOVER_BEAT)
            await self.look()

    async def look(self) -> None:
        """Say where a key is not seen in use in time; while the initiator is silent, see that the tunnel has what it should."""
        async with self._turn:
            now = self._end.clock()
            active = self.machine.active
            if active is not None and self.proof.pending and await self._end.proven(active):
                self.proof.found()
            if self.proof.run_out(now):
                _log.error(
                    "the tunnel does not use its key", tunnel=self._end.tunnel.kind, cause=Failure.NOT_PROVEN.value
                )
            if self.heard is None or now - self.heard > limits.ROLLOVER_BEAT:
                await self._end.intact()

    async def take(self, ask: Ask, key_id: str | None) -> tuple[Answer, str]:
        """The answer to a message, and why it is refused, once its work is done."""
        work = asyncio.create_task(self._answer(ask, key_id))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        return await asyncio.shield(work)  # a caller that hangs up leaves nothing half done: its repeat finds it done

    async def close(self) -> None:
        """Leave off what is under way, now that nobody asks any more and the tunnel is about to end."""
        works = tuple(self._under_way)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    async def _answer(self, ask: Ask, key_id: str | None) -> tuple[Answer, str]:
        async with self._turn:
            self.heard = self._end.clock()
            todo = self.machine.take(ask, key_id)
            return (todo, "") if isinstance(todo, Answer) else await self._work(todo, key_id)

    async def _work(self, work: Work, key_id: str | None) -> tuple[Answer, str]:
        reason = ""
        match work:
            case Work.LOOK:
                succeeded = await self._end.intact() or self.machine.active is None  # looked at in either case
            case Work.STAGE:
                assert key_id is not None
                reason = await self._stage(key_id)
                succeeded = not reason
            case Work.SWITCH:
                assert key_id is not None
                succeeded = await self._end.switch(key_id)
                if succeeded:
                    self.proof.begun(self._end.clock())
            case Work.PROVE:
                assert key_id is not None
                succeeded = bool(await self._end.proven(key_id))
                if succeeded:
                    self.proof.found()
                elif not await self._end.intact():
                    return self.machine.lost(), self._end.trouble or "the tunnel no longer holds the key"
            case Work.RETIRE:
                succeeded = await self._end.retire()
        answer = self.machine.done(work, key_id, succeeded)
        if work is Work.RETIRE:
            _log.info("rolled over", tunnel=self._end.tunnel.kind, rollovers=self.machine.rollovers)
        return answer, reason or (self._end.trouble or "" if answer is Answer.REFUSED else "")

    async def _stage(self, key_id: str) -> str:
        """Fetch a key and make it ready; why not, empty where it is."""
        try:
            keys = await self._kme.get_keys_by_id(self._master, [key_id])
        except QuiverError as error:
            self.refused += 1
            _log.warning("the node does not give the key that the initiator offers", reason=error.message)
            return error.message
        wanted = self._end.tunnel.key_bits
        if 8 * len(keys[0].key) != wanted:
            self.refused += 1
            return f"the key has {8 * len(keys[0].key)} bits, this tunnel's have {wanted}"
        key = DeliveredKey(key_id, keys[0].key)  # by the name that the initiator uses: some KMEs' are in upper case
        if not await self._end.stage(key):
            self.refused += 1
            return self._end.trouble or "the tunnel did not take the key"
        return ""

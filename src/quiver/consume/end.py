"""One end of a tunnel with its key's time: what both roles do with it, and what is told of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import structlog

from quiver.consume.tunnel import Tunnel, TunnelError
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.domain.rollover.losses import Packets
from quiver.domain.rollover.tenure import Tenure

__all__ = ["End", "WhenExhausted"]

_log = structlog.get_logger("quiver.consume")

WhenExhausted = Literal["block", "keep"]
_T = TypeVar("_T")


class End:
    """A tunnel's end. Calls of the tunnel come one after the other, whoever makes them.

    Args:
        tunnel: what is fed.
        keep: seconds that the last key serves when no new one comes.
        when_exhausted: what happens then: the tunnel is blocked, or goes on under the old key, loudly in either case.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, tunnel: Tunnel, *, keep: float, when_exhausted: WhenExhausted, clock: Callable[[], float]
    ) -> None:
        self.tunnel: Final = tunnel
        self.when_exhausted: Final = when_exhausted
        self.clock: Final = clock
        self.tenure: Final = Tenure(keep, limits.ROLLOVER_PROOF, clock())
        self.blocked = False
        self.keys = 0  # that came into use
        self._proven: str | None = None  # the last key that was
        self.trouble: str | None = None  # the tunnel's last refusal, until it does something again
        self._turn: Final = asyncio.Lock()
        self._renewed: Final = asyncio.Event()

    async def stage(self, key: DeliveredKey) -> bool:
        """Make a key ready; whether the tunnel took it."""
        return await self._try("make a key ready", lambda: self._done(self.tunnel.stage(key))) is not None

    async def switch(self, key_id: str) -> bool:
        """Bring a key into use; whether the tunnel did. The key's time begins once it is proven."""
        async with self._turn:
            if await self._told("switch to a key", lambda: self._done(self.tunnel.switch(key_id))) is None:
                return False
            self.tenure.switched(self.clock(), blocked=self.blocked)
            self._renewed.set()
            if self.blocked:
                self.blocked = False
                _log.warning("tunnel has a key again", tunnel=self.tunnel.kind)
        self.keys += 1
        return True

    async def proven(self, key_id: str) -> bool | None:
        """Whether both ends use the key; None where the tunnel does not say."""
        async with self._turn:
            proven = await self._told("tell its key", lambda: self.tunnel.proven(key_id))
            if proven and key_id != self._proven:
                self._proven = key_id
                if self.tenure.renewed(self.clock()):
                    _log.warning("tunnel has a key again", tunnel=self.tunnel.kind)
                self._renewed.set()
        return proven

    async def intact(self) -> bool:
        """Whether the tunnel holds what it was given."""
        return bool(await self._try("tell its state", self.tunnel.intact))

    async def retire(self) -> bool:
        """Forget keys that were in use before; whether the tunnel did."""
        return await self._try("forget a key", lambda: self._done(self.tunnel.retire())) is not None

    async def packets(self) -> Packets | None:
        """What it has carried; None where it does not count, or does not say."""
        return await self._try("tell its packets", self.tunnel.packets)

    async def open(self) -> bool:
        """Take over the tunnel as it is; whether it could be reached."""
        return await self._try("let itself be taken over", lambda: self._done(self.tunnel.open())) is not None

    async def watch(self) -> None:
        """Look after the time of the key in use, without an end."""
        while True:
            self._renewed.clear()
            wait = limits.ROLLOVER_NAG if self.tenure.expired else max(0.0, self.tenure.ends - self.clock())
            try:
                async with asyncio.timeout(wait):
                    await self._renewed.wait()
            except TimeoutError:
                await self._expire()

    async def _expire(self) -> None:
        async with self._turn:  # behind what is under way: it may bring a key
            self.tenure.expires(self.clock())
            if not self.tenure.expired:
                return
            if self.when_exhausted == "block" and not self.blocked:
                self.blocked = (
                    await self._told("let itself be blocked", lambda: self._done(self.tunnel.block())) is not None
                )
        age = round(self.tenure.age(self.clock()))
        said = "tunnel is blocked: no new key" if self.blocked else "tunnel goes on under an old key: no new one"
        _log.error(said, tunnel=self.tunnel.kind, age_seconds=age)

    async def _try(self, what: str, work: Callable[[], Awaitable[_T]]) -> _T | None:
        async with self._turn:
            return await self._told(what, work)

    async def _told(self, what: str, work: Callable[[], Awaitable[_T]]) -> _T | None:
        """The result; None where the tunnel refused, which is logged once for each reason."""
        try:
            result = await work()
        except TunnelError as error:
            said = f"the tunnel did not {what}: {error.message}"
            if said != self.trouble:
                _log.error("tunnel", reason=said)
            self.trouble = said
            return None
        self.trouble = None
        return result

    @staticmethod
    async def _done(work: Awaitable[None]) -> bool:
        await work
        return True

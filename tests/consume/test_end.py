"""One end of a tunnel: calls come one after the other, refusals are told once, an old key is noticed."""

import asyncio
from collections.abc import Mapping
from typing import Final

from structlog.testing import capture_logs

from quiver.consume.end import End, WhenExhausted
from quiver.consume.tunnel import TunnelError
from quiver.domain import limits
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret
from quiver.net.process import ended
from tests.consume.ground import run, until


class Recording:
    """A tunnel that does nothing, and only when it may."""

    kind: Final = "recording"
    key_bits: Final = 256
    lead: Final = 0.0

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.may = asyncio.Event()
        self.may.set()
        self.refuses = ""
        self.proves = True

    async def _do(self, call: str) -> None:
        self.calls.append(f"{call} begins")
        await self.may.wait()
        if self.refuses:
            raise TunnelError(self.refuses)
        self.calls.append(f"{call} ends")

    async def open(self) -> None:
        await self._do("open")

    async def stage(self, key: DeliveredKey) -> None:
        await self._do(f"stage {key.key_id}")

    async def switch(self, key_id: str) -> None:
        await self._do(f"switch {key_id}")

    async def proven(self, key_id: str) -> bool:
        await self._do(f"prove {key_id}")
        return self.proves

    async def intact(self) -> bool:
        await self._do("intact")
        return True

    async def retire(self) -> None:
        await self._do("retire")

    async def block(self) -> None:
        await self._do("block")

    async def close(self) -> None:
        """Nothing is open."""

    def hungry(self) -> bool:
        return False

    async def packets(self) -> None:
        return None

    def figures(self) -> Mapping[str, float]:
        return {}


class Clock:
    """Stands still until it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def end_of(tunnel: Recording, clock: Clock, when_exhausted: WhenExhausted = "block") -> End:
    return End(tunnel, keep=10.0, when_exhausted=when_exhausted, clock=clock)


def test_calls_come_one_after_the_other_and_one_that_waits_can_be_left_off() -> None:
    async def main() -> None:
        tunnel = Recording()
        end = end_of(tunnel, Clock())
        tunnel.may.clear()
        first = asyncio.create_task(end.switch("k1"))
        calls = (end.stage(DeliveredKey("k2", Secret(bytes(32)))), end.proven("k1"), end.intact(), end.retire())
        waiting = [asyncio.create_task(call) for call in calls]
        await until(lambda: tunnel.calls == ["switch k1 begins"])
        for one in waiting[1:]:
            one.cancel()
        await asyncio.gather(*waiting[1:], return_exceptions=True)
        assert tunnel.calls == ["switch k1 begins"]
        tunnel.may.set()
        assert await first
        assert await waiting[0]
        assert tunnel.calls == ["switch k1 begins", "switch k1 ends", "stage k2 begins", "stage k2 ends"]

    run(main())


def test_a_refusal_is_told_once_until_something_works_again() -> None:
    async def main() -> None:
        tunnel = Recording()
        end = end_of(tunnel, Clock())
        tunnel.refuses = "no such interface"
        for _ in range(3):
            assert not await end.open()
            assert await end.proven("k1") is None
        assert end.trouble == "the tunnel did not tell its key: no such interface"
        tunnel.refuses = ""
        assert await end.open()
        assert end.trouble is None

    with capture_logs() as logs:
        run(main())
    assert {one["reason"] for one in logs} == {
        "the tunnel did not let itself be taken over: no such interface",
        "the tunnel did not tell its key: no such interface",
    }


def test_a_key_that_is_too_old_blocks_and_the_next_one_opens() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end = end_of(tunnel, clock)
        await end.switch("k1")
        await end.proven("k1")
        clock.seconds = 10.0
        watching = asyncio.create_task(end.watch())
        await until(lambda: end.blocked)
        assert tunnel.calls[-1] == "block ends"
        await end.switch("k2")
        assert not end.blocked
        await ended(watching)

    with capture_logs() as logs:
        run(main())
    assert [one["event"] for one in logs] == ["tunnel is blocked: no new key", "tunnel has a key again"]


def test_a_key_that_is_too_old_may_go_on_loudly() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end = end_of(tunnel, clock, "keep")
        await end.switch("k1")
        await end.proven("k1")
        clock.seconds = 10.0
        watching = asyncio.create_task(end.watch())
        await until(lambda: end.tenure.expired)
        await asyncio.sleep(0)
        await ended(watching)
        assert not [call for call in tunnel.calls if call.startswith("block")]

    with capture_logs() as logs:
        run(main())
    assert [one["event"] for one in logs] == ["tunnel goes on under an old key: no new one"]


def test_keys_that_are_not_proven_give_the_one_before_the_time_of_one_proof_and_no_more() -> None:
    """While a switch has not been proven, the tunnel may go on under the old key: an attacker could have it so for ever."""

    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end = end_of(tunnel, clock)
        await end.switch("k1")
        assert await end.proven("k1")
        tunnel.proves = False
        for number in range(2, 20):
            clock.seconds += 8.0
            await end.switch(f"k{number}")
            assert await end.proven(f"k{number}") is False
        assert end.tenure.age(clock.seconds) == 144.0
        assert end.tenure.ends == 8.0 + limits.ROLLOVER_PROOF
        clock.seconds = end.tenure.ends
        watching = asyncio.create_task(end.watch())
        await until(lambda: end.blocked)
        await ended(watching)

    run(main())


def test_a_blocked_tunnel_that_has_a_key_again_is_given_time_to_prove_it_once() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end = end_of(tunnel, clock)
        clock.seconds = 10.0
        watching = asyncio.create_task(end.watch())
        await until(lambda: end.blocked)
        await end.switch("k1")
        assert not end.tenure.expired
        assert end.tenure.ends == 10.0 + limits.ROLLOVER_PROOF
        await end.switch("k2")
        assert end.tenure.ends == 10.0 + limits.ROLLOVER_PROOF
        await end.proven("k2")
        assert end.tenure.ends == 20.0
        await ended(watching)

    run(main())


def test_a_key_that_comes_while_the_old_one_expires_is_not_blocked() -> None:
    async def main() -> None:
        tunnel, clock = Recording(), Clock()
        end = end_of(tunnel, clock)
        await end.switch("k1")
        await end.proven("k1")
        clock.seconds = 9.9
        tunnel.may.clear()
        switching = asyncio.create_task(end.switch("k2"))
        await until(lambda: tunnel.calls[-1] == "switch k2 begins")
        clock.seconds = 10.0
        watching = asyncio.create_task(end.watch())
        for _ in range(10):  # turns of the loop, in which the look comes to wait behind the switch
            await asyncio.sleep(0)
        tunnel.may.set()
        assert await switching
        assert await end.intact()  # comes behind the look at the old key's time
        assert not [call for call in tunnel.calls if call.startswith("block")]
        assert not end.blocked
        assert not end.tenure.expired
        await ended(watching)

    run(main())

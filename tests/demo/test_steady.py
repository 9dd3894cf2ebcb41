"""A steady load asks whatever happens, counts by when it asked, and leaves nothing unanswered behind."""

import asyncio

import pytest

from quiver.demo.load import Tally
from quiver.demo.steady import SteadyLoad


class Gate:
    """A load whose requests are answered when somebody says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.news = asyncio.Condition()

    async def exchange(self, number: int, tally: Tally) -> None:
        self.asked += 1
        async with self.news:
            self.news.notify_all()
        await self.answers.wait()
        tally.delivered += number

    async def until(self, asked: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: self.asked >= asked)


def test_requests_come_although_those_before_wait_and_all_are_answered_in_the_end():
    async def run() -> tuple[Tally, int]:
        gate = Gate()
        load = SteadyLoad(gate, 3, 0.001)  # type: ignore[arg-type]
        async with load:
            tally = load.turn()
            await gate.until(5)
            gate.answers.set()
        return tally, gate.asked

    tally, asked = asyncio.run(run())
    assert asked >= 5
    assert tally.delivered == tally.requested


def test_a_request_counts_where_it_was_asked():
    async def run() -> tuple[Tally, Tally]:
        gate = Gate()
        load = SteadyLoad(gate, 1, 0.001)  # type: ignore[arg-type]
        first = load.turn()
        async with load:
            await gate.until(3)
            second = load.turn()
            asked = first.requested
            await gate.until(gate.asked + 2)
            gate.answers.set()
        assert first.requested == asked
        return first, second

    first, second = asyncio.run(run())
    assert first.delivered == first.requested >= 3
    assert second.delivered == second.requested >= 2


def test_no_more_than_a_bounded_number_of_requests_waits():
    async def run() -> int:
        gate = Gate()
        load = SteadyLoad(gate, 1, 0.0)  # type: ignore[arg-type]
        async with load:
            load.turn()
            await gate.until(64)
            for _ in range(200):
                await asyncio.sleep(0)
            asked = gate.asked
            gate.answers.set()
        return asked

    assert asyncio.run(run()) == 64


def test_work_that_fails_beside_it_does_not_wait_for_answers():
    async def run() -> None:
        gate = Gate()
        async with SteadyLoad(gate, 1, 0.001):  # type: ignore[arg-type]
            await gate.until(2)
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        asyncio.run(run())

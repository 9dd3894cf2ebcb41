"""The demo's SAEs notice every key that is wrong, missing or there twice."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from quiver.demo import load as module
from quiver.demo.load import Ledger, Load, Tally, percentile
from quiver.domain.errors import KeyNotFoundError, QuiverError, UnavailableError
from quiver.domain.reply import DeliveredKey
from quiver.domain.secret import Secret


class TwoKmes:
    """Both KMEs of a pair; `spoil` changes what the slave gets, `refuse` the next answers to the master."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.asked: list[int] = []
        self.refuse: list[QuiverError] = []
        self.spoil: Any = lambda keys: keys
        self.numbers = itertools.count()

    def fresh(self, size: int) -> tuple[str, bytes]:
        number = next(self.numbers)
        return f"00000000-0000-8000-8000-{number:012x}", number.to_bytes(size // 8, "big")

    async def status(self, _slave: str) -> None:
        return None

    async def get_keys(self, _slave: str, number: int, size: int) -> list[DeliveredKey]:
        if self.refuse:
            raise self.refuse.pop()
        self.asked.append(number)
        made = [self.fresh(size) for _ in range(number)]
        self.kept.update(made)
        return [DeliveredKey(key_id, Secret(key)) for key_id, key in made]

    async def get_keys_by_id(self, _master: str, key_ids: Sequence[str]) -> list[DeliveredKey]:
        if any(key_id not in self.kept for key_id in key_ids):
            raise KeyNotFoundError
        keys: list[DeliveredKey] = self.spoil([DeliveredKey(one, Secret(self.kept.pop(one))) for one in key_ids])
        return keys


@pytest.fixture
def kmes() -> TwoKmes:
    return TwoKmes()


@pytest.fixture
def load(kmes: TwoKmes, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(module, "_PAUSE", 0.0)
    return Load(kmes, kmes, ("master", "slave"), size=256, ledger=Ledger())  # type: ignore[arg-type]


def test_all_keys_are_asked_for_fetched_and_compared(kmes: TwoKmes, load: Load):
    tally = asyncio.run(load.bulk(120))
    assert sorted(kmes.asked) == [20, 50, 50]
    assert (tally.requested, tally.delivered, tally.mismatched, tally.duplicated) == (120, 120, 0, 0)
    assert tally.flawless
    assert len(tally.latencies) == 3
    assert not kmes.kept


def test_single_keys_come_one_by_one(kmes: TwoKmes, load: Load):
    tally = asyncio.run(load.singles(5))
    assert kmes.asked == [1] * 5
    assert tally.flawless


def test_a_key_that_differs_at_the_slave_is_a_mismatch(kmes: TwoKmes, load: Load):
    kmes.spoil = lambda keys: [DeliveredKey(keys[0].key_id, Secret(bytes(32).replace(b"\0", b"x"))), *keys[1:]]
    tally = asyncio.run(load.bulk(10))
    assert (tally.delivered, tally.mismatched) == (9, 1)
    assert not tally.flawless


def test_a_key_given_before_is_a_duplicate(kmes: TwoKmes, load: Load):
    asyncio.run(load.singles(1))
    kmes.numbers = itertools.count()
    tally = asyncio.run(load.singles(1))
    assert (tally.delivered, tally.duplicated) == (0, 1)


def test_the_same_bytes_under_another_key_id_are_a_duplicate_unless_they_may_repeat_by_chance():
    ledger = Ledger()
    assert not ledger.repeated(DeliveredKey("one", Secret(bytes(16))))
    assert ledger.repeated(DeliveredKey("two", Secret(bytes(16))))
    assert not ledger.repeated(DeliveredKey("three", Secret(bytes(8))))
    assert not ledger.repeated(DeliveredKey("four", Secret(bytes(8))))


def test_a_refused_request_is_counted_and_made_again(kmes: TwoKmes, load: Load):
    kmes.refuse = [UnavailableError("no key within the time to wait")]
    tally = asyncio.run(load.singles(2))
    assert tally.flawless
    assert tally.failed_requests == 1
    assert tally.reasons == ["no key within the time to wait"]


def test_keys_that_never_come_are_missing(kmes: TwoKmes, load: Load):
    kmes.refuse = [UnavailableError("dry")] * 10
    tally = asyncio.run(load.singles(1))
    assert (tally.requested, tally.delivered) == (1, 0)
    assert not tally.flawless


def test_keys_that_the_slave_does_not_find_are_missing(kmes: TwoKmes, load: Load):
    def lose(keys: list[DeliveredKey]) -> list[DeliveredKey]:
        raise KeyNotFoundError

    kmes.spoil = lose
    tally = asyncio.run(load.bulk(3))
    assert tally.delivered == 0
    assert not tally.flawless


def test_loads_add_up():
    total = Tally(requested=1, delivered=1, latencies=[0.1])
    total.add(Tally(requested=2, mismatched=1, duplicated=1, failed_requests=3, latencies=[0.2], reasons=["dry"]))
    assert total == Tally(
        requested=3, delivered=1, mismatched=1, duplicated=1, failed_requests=3, latencies=[0.1, 0.2], reasons=["dry"]
    )


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.99, 4), (0.0, 1), (0.25, 1), (1.0, 4)])
def test_percentiles_are_values_that_were_measured(share: float, value: int):
    assert percentile([4, 2, 1, 3], share) == value

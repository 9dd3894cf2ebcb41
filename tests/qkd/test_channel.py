"""The simulated channel: fluctuating, deterministic, and dead under attack."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiver.qkd.channel import ChannelState, Fibre, QuantumChannel
from quiver.qkd.rates import CvGaussian, DecoyBb84, RateModel

FIBRE = Fibre(length_km=25)


def channel(seed: int = 1, model: RateModel | None = None, time_scale: float = 1.0) -> QuantumChannel:
    return QuantumChannel(model or DecoyBb84(), FIBRE, randomness=random.Random(seed), time_scale=time_scale)


def test_the_rate_is_near_the_formulas_and_fluctuates() -> None:
    link = channel()
    link.advance(0)
    rates, errors = [], []
    for second in range(1, 500):
        link.advance(second)
        rates.append(link.rate)
        errors.append(link.qber)
    expected = DecoyBb84().rate(FIBRE.loss_db)
    assert sum(rates) / len(rates) == pytest.approx(expected, rel=0.1)
    assert len(set(errors)) > 400


@given(st.integers(), st.lists(st.floats(0, 20), min_size=1, max_size=30))
def test_a_seed_fixes_its_course_however_often_one_looks(seed: int, pauses: list[float]) -> None:
    often, once = channel(seed), channel(seed)
    often.advance(0)
    once.advance(0)
    now, total = 0.0, 0.0
    for pause in pauses:
        now += pause
        total += often.advance(now)
    assert total == pytest.approx(once.advance(now), rel=1e-6, abs=1e-3)


def test_time_scale_speeds_it_up() -> None:
    slow, fast = channel(3), channel(3, time_scale=100)
    slow.advance(0)
    fast.advance(0)
    assert fast.advance(1) == pytest.approx(slow.advance(100))


@pytest.mark.parametrize("model", [DecoyBb84(), CvGaussian()])
def test_an_eavesdropper_raises_errors_and_ends_the_rate_until_repair(model: RateModel) -> None:
    link = channel(model=model)
    link.advance(0)
    before = link.qber
    assert link.set_state(ChannelState.EAVESDROPPER, 10) > 0
    assert before is not None
    assert link.qber is not None
    assert link.qber > before + 0.2
    assert link.advance(100) == 0
    assert link.set_state(ChannelState.UP, 200) == 0
    assert link.advance(201) > 0


def test_a_cut_channel_has_no_error_rate_and_no_bits() -> None:
    link = channel()
    link.set_state(ChannelState.DOWN, 0)
    assert (link.qber, link.rate, link.advance(1000)) == (None, 0.0, 0.0)


def test_a_clock_that_steps_back_gains_nothing() -> None:
    link = channel()
    link.advance(100)
    assert link.advance(50) == 0
    assert link.advance(100) == 0
    assert link.advance(101) > 0


def test_a_very_long_pause_is_settled_at_once() -> None:
    link = channel(time_scale=1e6)
    link.advance(0)
    assert link.advance(3600) > 0

"""A source of random numbers that is stuck or has lost its entropy is noticed, a good one is left alone."""

import random

import pytest

from quiver.domain.errors import ConfigurationError
from quiver.domain.health import START_UP, WINDOW, HealthTests, proportion_cutoff, repetition_cutoff

# Cutoffs of jitterentropy-library 3 for 1/1, 1/2, ... 1/15 bit of each sample, at the same 2^-30 and with the same window.
JITTERENTROPY = (325, 422, 459, 477, 488, 494, 499, 502, 505, 507, 508, 509, 510, 511, 512)


def failure(samples: bytes, min_entropy: float = 1.0, grain: int = 100) -> str | None:
    tests = HealthTests(min_entropy)
    parts = [samples[start : start + grain] for start in range(0, len(samples), grain)]
    return next((failed for failed in map(tests.feed, parts) if failed), None)


def test_cutoffs_are_those_that_another_implementation_publishes() -> None:
    assert tuple(proportion_cutoff(1.0 / rate) for rate in range(1, 16)) == JITTERENTROPY
    assert [repetition_cutoff(1.0 / rate) for rate in (1, 2, 3)] == [31, 61, 91]
    assert repetition_cutoff(8.0) == 5


@pytest.mark.parametrize("grain", [1, 7, 512, 100_000])
def test_a_source_that_is_stuck_fails_the_repetition_count_test_however_its_bytes_come(grain: int) -> None:
    good = random.Random(1).randbytes(5_000)
    cutoff = repetition_cutoff(1.0)
    assert failure(good + bytes(cutoff - 1) + b"\1" + good, grain=grain) is None
    assert failure(b"\1" + good + bytes(cutoff) + b"\1", grain=grain) == "repetition count"


@pytest.mark.parametrize("grain", [1, 7, 512, 100_000])
def test_a_source_that_favours_one_value_fails_the_adaptive_proportion_test(grain: int) -> None:
    drawn = random.Random(2)
    often = bytes(0 if drawn.random() < 0.75 else drawn.randrange(256) for _ in range(20 * WINDOW))
    assert failure(often, grain=grain) == "adaptive proportion"


@pytest.mark.parametrize("min_entropy", [0.5, 1.0, 4.0, 7.5])
def test_a_good_source_passes_for_long(min_entropy: float) -> None:
    assert failure(random.Random(3).randbytes(2_000_000), min_entropy, grain=4_096) is None


def test_an_operator_who_claims_much_gets_strict_tests() -> None:
    weak = bytes(random.Random(4).choices(range(16), k=START_UP * 8))  # 4 bits of each byte
    assert failure(weak, 2.0) is None
    assert failure(weak, 8.0) is not None


@pytest.mark.parametrize("min_entropy", [0.0, -1.0, 8.1, float("nan")])
def test_a_claim_that_is_out_of_bounds_is_refused(min_entropy: float) -> None:
    with pytest.raises(ConfigurationError, match="min_entropy"):
        HealthTests(min_entropy)

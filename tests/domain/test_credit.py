"""Credit: pad is divided without promising a byte twice, rates hold, and the newest grant counts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.credit import Claim, Held, RateBucket, divide

CLAIMS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0, 1000, 10**6]), st.booleans(), st.integers(0, 10**6)), max_size=6
).map(lambda rows: [Claim(str(i), *row) for i, row in enumerate(rows)])


@settings(derandomize=True)
@given(st.integers(0, 10**6), CLAIMS)
def test_no_more_is_promised_than_is_there_and_no_path_gets_more_than_it_needs(available: int, claims: list[Claim]):
    shares = divide(available, claims)
    assert shares.keys() == {claim.key for claim in claims}
    assert sum(shares.values()) <= available
    assert all(0 <= shares[claim.key] <= claim.need for claim in claims)


@settings(derandomize=True)
@given(st.integers(0, 10**6), CLAIMS)
def test_an_eighth_stays_with_the_highest_class_and_nothing_hungry_is_left_beside_a_rest(
    available: int, claims: list[Claim]
):
    shares = divide(available, claims)
    highest = [claim for claim in claims if claim.priority == 0]
    lower = [claim for claim in claims if claim.priority > 0]
    reserve = available // 8 if highest else 0
    assert sum(shares[claim.key] for claim in lower) <= available - reserve
    assert sum(shares[claim.key] for claim in highest) >= min(reserve, sum(c.need for c in highest)) - len(highest)
    if any(shares[claim.key] < claim.need for claim in highest):
        assert available - sum(shares.values()) <= len(claims), "bytes lost to rounding only"


def test_what_one_path_leaves_goes_to_the_others():
    modest, greedy = Claim("modest", 1, 0, True, 100), Claim("greedy", 1, 0, True, 10**6)
    assert divide(1000, [modest, greedy]) == {"modest": 100, "greedy": 900}


def test_class_rate_and_activity_weigh():
    high, low = Claim("high", 1, 0, True, 10**6), Claim("low", 2, 0, True, 10**6)
    assert divide(900, [high, low]) == {"high": 600, "low": 300}
    fast, slow = Claim("fast", 1, 3000, True, 10**6), Claim("slow", 1, 1000, True, 10**6)
    assert divide(1000, [fast, slow]) == {"fast": 750, "slow": 250}
    busy, idle = Claim("busy", 1, 0, True, 10**6), Claim("idle", 1, 0, False, 10**6)
    assert divide(900, [busy, idle]) == {"busy": 800, "idle": 100}


def test_a_path_never_passes_more_than_its_rate_beside_one_burst():
    bucket = RateBucket(8_000_000, now=0.0)  # 1 MB a second
    assert bucket.left(0.0) == 2_000_000
    bucket.spend(2_500_000)
    assert bucket.left(0.0) == 0
    assert bucket.left(1.0) == 500_000
    assert bucket.left(100.0) == 2_000_000


def test_even_the_slowest_path_can_serve_the_largest_request():
    bucket = RateBucket(8, now=0.0)
    assert bucket.left(0.0) == limits.LARGEST_REQUEST
    bucket.spend(1)
    assert bucket.left(0.0) == limits.LARGEST_REQUEST - 1


def test_what_a_rate_lets_pass_grows_until_the_burst_is_whole_again():
    bucket = RateBucket(8_000_000, now=0.0)
    assert not bucket.filling(0.0)
    bucket.spend(1_000_000)
    assert bucket.filling(0.5)
    assert not bucket.filling(1.0)


def test_a_path_without_a_rate_is_not_bounded():
    bucket = RateBucket(0, now=0.0)
    bucket.spend(10**12)
    assert bucket.left(0.0) > limits.DEPTH_MAX
    assert not bucket.filling(0.0)


def test_of_one_run_the_highest_counter_is_newest_and_a_new_run_replaces_the_old():
    held = Held("run", 5, 1000, until=3.0)
    assert not held.newer("run", 5)
    assert not held.newer("run", 4)
    assert held.newer("run", 6)
    assert held.newer("other", 1)


def test_what_requests_want_comes_before_what_fills_buffers():
    filling = Claim("filling", 1, 0, True, 10**6)
    asked = Claim("asked", 1, 0, True, 1500, urgent=1500)
    assert divide(2000, [filling, asked]) == {"filling": 500, "asked": 1500}
    assert divide(1000, [filling, asked]) == {"filling": 0, "asked": 1000}
    first = Claim("first", 0, 0, True, 10**6)
    assert divide(1600, [filling, asked, first])["first"] >= 200, "the share of the highest class stays"


def test_nobody_gets_more_by_wanting_it_than_the_nodes_after_allow():
    greedy = Claim("greedy", 1, 0, True, 100, urgent=10**9)
    assert divide(1000, [greedy, Claim("filling", 1, 0, True, 10**6)]) == {"greedy": 100, "filling": 900}

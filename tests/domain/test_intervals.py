"""The set of accepted bytes agrees with a plain set of integers, whatever is put into it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quiver.domain.intervals import Intervals

pairs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=30)


@given(pairs, st.integers(0, 60), st.integers(0, 60))
def test_it_behaves_like_a_set_of_positions(added, start, stop):
    kept, model = Intervals(), set()
    for low, high in added:
        assert kept.overlaps(low, high) == bool(model & set(range(low, high)))
        kept.add(low, high)
        model |= set(range(low, high))
    assert {p for low, high in kept for p in range(low, high)} == model
    assert kept.size == len(model)
    assert kept.top == max(model, default=-1) + 1
    listed = list(kept)
    assert all(one[1] < two[0] for one, two in pairwise(listed)), "touching intervals merge"
    gaps = {p for low, high in kept.gaps(start, stop) for p in range(low, high)}
    assert gaps == set(range(start, stop)) - model
    assert list(Intervals(listed)) == listed

"""When neighbours meet, no byte that a lost past may have used is used again, and both ends agree on the rest."""

from quiver.domain.records import Piece, SegmentState

from .ground import KIB, Station, bytes_of, ends


def meet(one: Station, other: Station) -> None:
    """Each settles with what the other held before."""
    mine, theirs = one.context.pads["b"].view(), other.context.pads["a"].view()
    one.context.pads["b"].settle(theirs)
    other.context.pads["a"].settle(mine)


def test_the_owner_goes_on_at_the_higher_mark():
    a, b = ends(("s", "a", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(100)  # never committed: a crash forgets it
    b.context.pads["a"].accept(pieces, 100)
    a.start()
    meet(a, b)
    assert a.context.pads["b"].segments["s"].mark == 116
    assert (a.burned("meeting"), b.burned("meeting")) == (100, 0)
    pieces, pad = a.context.pads["b"].allocate(10)
    assert b.context.pads["a"].accept(pieces, 10) == pad


def test_ranges_below_the_mark_that_never_arrived_are_burned_at_the_other_end():
    a, b = ends(("s", "a", 4 * KIB))
    lost, _ = a.context.pads["b"].allocate(100)
    later, _ = a.context.pads["b"].allocate(50)
    b.context.pads["a"].accept(later, 50)
    meet(a, b)
    assert b.burned("meeting") == 100
    b.commit()
    assert not b.database.holds(bytes_of("s", 4 * KIB)[16:32])
    assert a.context.pads["b"].available == sum(
        4 * KIB - s.accepted.size for s in b.context.pads["a"].segments.values()
    )
    pieces, pad = a.context.pads["b"].allocate(10)
    assert b.context.pads["a"].accept(pieces, 10) == pad
    assert lost[0].offset == 16


def test_a_segment_that_only_one_end_has_is_burned():
    a, b = ends(("s1", "a", 4 * KIB), ("s2", "b", 4 * KIB))
    a.context.pads["b"].drop("s2")
    b.context.pads["a"].drop("s1")
    meet(a, b)
    assert (a.context.pads["b"].segments, b.context.pads["a"].segments) == ({}, {})
    assert (a.burned("meeting"), b.burned("meeting")) == (4080, 4080)


def test_a_segment_under_hand_over_is_burned_at_both_ends():
    a, b = ends(("s", "a", 4 * KIB))
    a.context.pads["b"].segments["s"].state = SegmentState.ANNOUNCED
    b.context.pads["a"].segments["s"].state = SegmentState.CONFIRMING
    meet(a, b)
    assert (a.context.pads["b"].segments, b.context.pads["a"].segments) == ({}, {})
    assert (a.burned("meeting"), b.burned("meeting")) == (4096, 4096)


def test_a_gift_of_which_the_receiver_had_not_heard_is_its_own_now():
    a, b = ends(("s", "a", 4 * KIB))
    a.context.give("b", a.context.pads["b"].segments["s"])
    meet(a, b)
    assert (a.context.pads["b"].available, b.context.pads["a"].available) == (0, 4080)
    pieces, pad = b.context.pads["a"].allocate(100)
    assert a.context.pads["b"].accept(pieces, 100) == pad


def test_a_gift_that_was_received_and_used_stays_the_receivers():
    a, b = ends(("s", "a", 4 * KIB))
    a.context.give("b", a.context.pads["b"].segments["s"])
    assert b.context.pads["a"].receive_gift("s")
    b.context.pads["a"].allocate(100)  # its announcement is lost
    meet(a, b)
    assert (a.context.pads["b"].available, b.context.pads["a"].available) == (0, 3980)
    assert a.burned("meeting") == 100
    pieces, pad = b.context.pads["a"].allocate(100)
    assert a.context.pads["b"].accept(pieces, 100) == pad


def test_a_segment_that_both_ends_call_their_own_is_burned_at_both():
    a, b = ends(("s", "a", 4 * KIB))
    b.context.pads["a"].segments["s"].owner = "b"
    meet(a, b)
    assert (a.context.pads["b"].segments, b.context.pads["a"].segments) == ({}, {})


def test_a_mark_beyond_the_end_burns_no_more_than_there_is():
    a, b = ends(("mine", "a", 4 * KIB), ("yours", "b", 4 * KIB))
    a.context.pads["b"].settle({"mine": ("a", True, 10**9, False), "yours": ("b", True, 10**9, False)})
    assert (a.context.pads["b"].segments, a.burned("meeting")) == ({}, 2 * 4080)
    assert b.context.pads["a"].segments


def test_segments_without_anything_left_above_the_mark_are_forgotten():
    a, b = ends(("s", "a", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(4080)
    b.context.pads["a"].accept([Piece("s", 16, 80)], 80)
    a.context.pads["b"].told(pieces, accepted=False)
    meet(a, b)
    assert (a.context.pads["b"].segments, b.context.pads["a"].segments) == ({}, {})
    assert b.burned("meeting") == 4000

"""Link pads: each byte is chosen once by its owner and accepted once by the other end."""

import pytest

from quiver.domain import limits
from quiver.domain.errors import ExhaustedError, RequestError
from quiver.domain.messages import Answer, Gift, Outcome, Retirement
from quiver.domain.records import Piece, SegmentState

from .ground import KIB, Station, bytes_of, ends, shared_segment


def refused(station: Station, neighbour: str, *pieces: Piece) -> str:
    with pytest.raises(RequestError) as caught:
        station.context.pads[neighbour].accept(pieces, sum(piece.length for piece in pieces))
    return caught.value.message


def test_ranges_are_allocated_in_order_over_segments_and_the_other_end_reads_the_same_bytes():
    a, b = ends(("s1", "a", 4 * KIB), ("s2", "a", 4 * KIB))
    pads = a.context.pads["b"]
    first, pad = pads.allocate(100)
    assert first == (Piece("s1", 16, 100),)
    assert pad.reveal() == bytes_of("s1", 4 * KIB)[16:116]
    second, pad = pads.allocate(5000)
    assert second == (Piece("s1", 116, 3980), Piece("s2", 16, 1020))
    assert b.context.pads["a"].accept(second, 5000) == pad
    assert pads.available == 2 * (4 * KIB - 16) - 5100


def test_a_segment_that_is_allocated_to_its_end_but_not_yet_accepted_is_no_part_of_the_next_range():
    a, _ = ends(("s1", "a", 4 * KIB), ("s2", "a", 4 * KIB))
    pads = a.context.pads["b"]
    pads.allocate(4080)
    pieces, _ = pads.allocate(100)
    assert pieces == (Piece("s2", 16, 100),)


def test_a_dry_pad_gives_nothing_rather_than_a_part():
    a, _ = ends(("s", "a", 4 * KIB))
    pads = a.context.pads["b"]
    with pytest.raises(ExhaustedError, match="no 4081 bytes"):
        pads.allocate(4081)
    assert pads.available == 4080
    assert not a.journal.urgent


def test_only_the_owner_allocates_so_that_the_ends_never_choose_the_same_bytes():
    a, b = ends(("mine", "a", 4 * KIB), ("yours", "b", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(4080)
    assert {piece.segment for piece in pieces} == {"mine"}
    with pytest.raises(ExhaustedError):
        a.context.pads["b"].allocate(1)
    assert b.context.pads["a"].available == 4080
    assert a.context.pads["b"].usable == 4080, "what the neighbour may still allocate counts as usable"
    assert "may allocate" in refused(a, "b", Piece("mine", 16, 10))


def test_bytes_accepted_once_are_never_accepted_again_in_any_cut():
    _, b = ends(("s", "a", 4 * KIB))
    b.context.pads["a"].accept([Piece("s", 100, 50)], 50)
    for offset, length in ((100, 50), (149, 1), (90, 11), (16, 4080), (120, 5)):
        assert "accepted before" in refused(b, "a", Piece("s", offset, length))
    assert b.context.pads["a"].accept([Piece("s", 150, 10)], 10).reveal() == bytes_of("s", 4 * KIB)[150:160]


def test_a_range_that_names_a_byte_twice_takes_nothing():
    _, b = ends(("s", "a", 4 * KIB))
    before = b.context.pads["a"].view()
    assert "accepted before" in refused(b, "a", Piece("s", 100, 50), Piece("s", 140, 50))
    assert b.context.pads["a"].view() == before


@pytest.mark.parametrize("piece", [Piece("s", 0, 16), Piece("s", 15, 4), Piece("s", 4090, 7), Piece("s", 20, 0)])
def test_bytes_of_the_link_check_and_beyond_the_end_are_refused(piece: Piece):
    _, b = ends(("s", "a", 4 * KIB))
    assert "not within" in refused(b, "a", piece)


def test_pieces_that_do_not_add_up_to_the_range_are_refused():
    _, b = ends(("s", "a", 4 * KIB))
    with pytest.raises(RequestError, match="add up"):
        b.context.pads["a"].accept([Piece("s", 16, 10)], 11)
    many = [Piece("s", 16 + i, 1) for i in range(limits.PIECES_PER_RANGE + 1)]
    with pytest.raises(RequestError, match="add up"):
        b.context.pads["a"].accept(many, len(many))


def test_a_segment_with_too_many_holes_takes_no_more():
    _, b = ends(("s", "a", 4 * KIB))
    for i in range(limits.ACCEPTED_HOLES - 1):
        b.context.pads["a"].accept([Piece("s", 17 + 2 * i, 1)], 1)
    assert "too many holes" in refused(b, "a", Piece("s", 4000, 1))


def test_a_segment_without_bytes_here_gives_none():
    station = Station("b", ["a"])
    segment = shared_segment("s", "b", "a", "a")
    segment.secret = None
    station.context.pads["a"].add(segment)
    assert "holds no bytes" in refused(station, "a", Piece("s", 16, 10))


def test_used_bytes_are_gone_from_storage_with_the_commit_at_both_ends():
    a, b = ends(("s", "a", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(64)
    b.context.pads["a"].accept(pieces, 64)
    used, rest = bytes_of("s", 4 * KIB)[16:80], bytes_of("s", 4 * KIB)[80:]
    for station in (a, b):
        assert station.database.holds(used)
        station.commit()
        assert not station.database.holds(used[:16])
        assert station.database.holds(rest)


def test_a_segment_used_up_and_accepted_is_forgotten_at_both_ends():
    a, b = ends(("s", "a", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(4080)
    b.context.pads["a"].accept(pieces, 4080)
    assert a.context.pads["b"].told(pieces, accepted=True) == []
    assert not a.context.pads["b"].segments
    assert not b.context.pads["a"].segments


def test_a_spent_segment_with_a_refused_range_is_retired_and_its_rest_burned_at_the_other_end():
    a, b = ends(("s", "a", 4 * KIB))
    lost, _ = a.context.pads["b"].allocate(80)
    rest, _ = a.context.pads["b"].allocate(4000)
    b.context.pads["a"].accept(rest, 4000)
    a.context.told("b", lost, None)
    assert a.said(Retirement.kind, "b") == (), "ranges of it are still open"
    a.context.told("b", rest, Outcome.DONE)
    assert a.one(Retirement.kind, "b") == Retirement(segment="s")
    assert a.context.pads["b"].segments["s"].state is SegmentState.SPENT
    b.context.pads["a"].retire("s")
    assert (b.burned("not-accepted"), b.context.pads["a"].segments) == (80, {})
    a.fail(Retirement.kind, "b")
    a.clock.advance(limits.REPEAT_FIRST)
    a.answer(Retirement.kind, "b", Outcome.DONE)
    assert not a.context.pads["b"].segments


def test_a_segment_that_the_other_end_does_not_have_is_burned_whole():
    a, b = ends(("s", "a", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(80)
    b.context.pads["a"].burn("s", "test")
    assert not b.context.pads["a"].allocates(pieces)
    a.context.told("b", pieces, Outcome.NO_SEGMENT)
    assert (a.burned("no-segment"), a.context.pads["b"].segments) == (4000, {}), (
        "not piece by piece, refusal by refusal"
    )


def test_nobody_but_the_owner_retires_a_segment():
    a, _ = ends(("s", "a", 4 * KIB))
    a.context.pads["b"].retire("s")
    a.context.pads["b"].retire("unknown")
    assert a.context.pads["b"].available == 4080


def test_an_answer_about_a_segment_that_is_gone_is_passed_over():
    a, _ = ends(("s", "a", 4 * KIB))
    pieces, _ = a.context.pads["b"].allocate(80)
    a.context.pads["b"].burn("s", "test")
    assert a.context.pads["b"].told(pieces, accepted=False) == []
    assert a.burned("test") == 4000, "what was allocated before is not burned a second time"


def test_a_given_segment_is_allocated_by_the_other_end_only():
    a, b = ends(("s", "a", 4 * KIB))
    untouched = a.context.pads["b"].untouched()
    assert untouched is not None
    a.context.give("b", untouched)
    assert a.journal.urgent, "durable as given before the message"
    assert (a.context.pads["b"].available, a.context.pads["b"].level("a-b")) == (0, 0)
    assert a.one(Gift.kind, "b") == Gift(segment="s")
    assert b.context.pads["a"].receive_gift("s")
    assert b.context.pads["a"].receive_gift("s"), "a repeat gets the first answer"
    a.answer(Gift.kind, "b", Outcome.DONE)
    assert not a.context.pads["b"].segments["s"].given
    pieces, pad = b.context.pads["a"].allocate(200)
    assert a.context.pads["b"].accept(pieces, 200) == pad


def test_a_gift_that_the_other_end_cannot_take_is_burned():
    a, b = ends(("s", "a", 4 * KIB))
    b.context.pads["a"].accept([Piece("s", 100, 10)], 10)
    segment = a.context.pads["b"].segments["s"]
    a.context.give("b", segment)
    assert not b.context.pads["a"].receive_gift("s"), "a touched one"
    assert not b.context.pads["a"].receive_gift("unknown")
    a.answer(Gift.kind, "b", Answer(Outcome.VOID))
    assert (a.context.pads["b"].segments, a.burned("gift-refused")) == ({}, 4080)


def test_an_answer_to_a_gift_that_was_settled_meanwhile_changes_nothing():
    a, _ = ends(("s", "a", 4 * KIB))
    a.context.give("b", a.context.pads["b"].segments["s"])
    a.context.pads["b"].segments["s"].given = False
    a.answer(Gift.kind, "b", Answer(Outcome.VOID))
    assert "s" in a.context.pads["b"].segments
    a.context.pads["b"].gift_known("unknown")


def test_a_gift_that_overtakes_the_answer_proves_the_confirmation():
    _, b = ends(("s", "a", 4 * KIB))
    b.context.pads["a"].segments["s"].state = SegmentState.CONFIRMING
    assert b.context.pads["a"].receive_gift("s")
    assert b.context.pads["a"].available == 4080


def test_one_range_takes_of_a_bounded_number_of_segments():
    count = limits.PIECES_PER_RANGE + 2
    a, b = ends(*[(f"s{i}", "a", 32) for i in range(count)])
    pads = a.context.pads["b"]
    assert (pads.available, pads.owned) == (limits.PIECES_PER_RANGE * 16, count * 16)
    pieces, pad = pads.allocate(pads.available)
    assert b.context.pads["a"].accept(pieces, len(pad)) == pad
    assert pads.available == 2 * 16


def test_only_a_segment_of_which_nothing_was_allocated_may_be_given():
    a, _ = ends(("s1", "a", 4 * KIB), ("s2", "a", 4 * KIB))
    pads = a.context.pads["b"]
    pads.allocate(10)
    untouched = pads.untouched()
    assert untouched is not None
    assert untouched.segment == "s2"
    pads.allocate(4090)
    assert pads.untouched() is None


def test_a_segment_that_came_as_a_gift_is_never_given_on():
    a, b = ends(("s", "a", 4 * KIB))
    given = a.context.pads["b"].untouched()
    assert given is not None
    a.context.pads["b"].give(given)
    assert b.context.pads["a"].receive_gift("s")
    assert b.context.pads["a"].untouched() is None
    assert b.context.pads["a"].owned == 4 * KIB - limits.LINK_CHECK

"""The source: no credit no range, each sequence ready or void once, and each byte of a ready block taken once."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Answer, Outcome

from .ground import KIB, ONE_HOP, TWO_RELAYS, bytes_of
from .source_role import PAD, Head


def test_without_credit_no_range_is_taken():
    head = Head()
    head.source.standing._held = None
    before = head.pads.available
    assert head.source.prime(4 * KIB, 100) == 0
    head.credit(99)
    assert head.source.prime(4 * KIB, 100) == 0
    head.credit(16 * KIB, counter=2)
    head.station.clock.advance(limits.CREDIT_LIFE)
    assert head.source.prime(4 * KIB, 100) == 0, "credit that is not repeated expires"
    assert (head.pads.available, head.announced()) == (before, [])


def test_credit_bounds_the_byte_count_and_the_newest_grant_counts_even_if_it_is_less():
    head = Head()
    head.credit(1000, counter=9)
    assert head.source.credit == 1000
    head.credit(2000, counter=8)
    assert head.source.credit == 1000, "a late grant of the same run"
    head.credit(500, counter=10)
    assert head.source.credit == 500
    head.credit(800, counter=1, run="another")
    assert head.source.prime(4 * KIB, 100) == 800
    assert head.source.credit == 0


@pytest.mark.parametrize(
    "hindrance", ["share", "pad", "neighbour", "destination", "retiring", "superseded", "suspended"]
)
def test_a_sequence_begins_only_where_nothing_stands_against_it(hindrance: str):
    head = Head()
    match hindrance:
        case "share":
            head.source.share = 99
        case "pad":
            head.pads.allocate(head.pads.available - 99)
        case "neighbour":
            head.station.met.discard("b")
        case "destination":
            head.station.met.discard("d")
        case "suspended":
            head.source.suspended_until = head.station.clock.now() + 1
        case flag:
            setattr(head.source.standing, flag, True)
    assert head.source.prime(4 * KIB, 100) == 0
    assert head.announced() == []


def test_a_sequence_is_durable_before_its_announcement_and_names_its_place():
    head = Head()
    assert head.source.prime(4 * KIB, 100) == 4 * KIB
    assert head.station.journal.urgent
    assert head.source.prime(1000, 100) == 1000
    first, second = head.announced()
    assert (first.sequence, first.start, first.length, first.floor, first.settled) == (0, 0, 4096, 0, 0)
    assert (second.sequence, second.start, second.length) == (1, 4096, 1000)
    assert first.pieces[0].offset + first.pieces[0].length == second.pieces[0].offset
    assert {item.digest for item in (first, second)} == {TWO_RELAYS.digest}
    assert (head.source.open, head.source.coming) == (2, 5096 - 2 * limits.HASH_KEY)


def test_at_most_64_sequences_are_open_above_the_floor():
    head = Head()
    began = sum(head.source.prime(100, 100) > 0 for _ in range(70))
    assert began == limits.WINDOW
    head.source.void(1, "test")
    assert head.source.prime(100, 100) == 0, "the floor has not moved"
    head.source.void(0, "test")
    assert head.source.floor == 2
    assert [head.source.prime(100, 100) for _ in range(3)] == [100, 100, 0]


def test_ready_makes_the_block_from_the_first_hops_pad_and_a_repeat_gets_the_same_answer():
    head = Head()
    head.source.prime(4 * KIB, 100)
    assert head.source.ready == 0
    for _ in range(2):
        assert head.source.commit_ready(0) is Outcome.DONE
    block = head.source.blocks[0]
    assert block.secret is not None
    assert block.secret.reveal() == bytes_of("s", PAD)[16 : 16 + 4 * KIB]
    assert block.nodes == ("a", "b", "c", "d")
    assert head.source.ready == 4 * KIB - limits.HASH_KEY
    assert head.source.floor == 1
    assert head.announced() == [], "`ready` says that the announcement arrived"


def test_a_repeated_ready_of_a_block_that_is_used_up_already_gets_its_first_answer():
    head = Head()
    head.source.prime(100, 100)
    head.source.prime(100, 100)
    head.source.commit_ready(1)
    head.source.take(0, 68)
    assert head.source.blocks == {}
    assert head.source.commit_ready(1) is Outcome.DONE, "not void: the destination needs it for the container"
    assert head.source.view()[3] == [1], "as long as the container is under way"
    head.source.release(0)
    assert head.source.view()[3] == []


def test_ready_for_a_voided_sequence_is_void_and_below_the_floor_settled():
    head = Head()
    head.source.prime(100, 100)
    head.source.prime(100, 100)
    head.source.void(1, "timeout")
    assert head.source.commit_ready(1) is Outcome.VOID
    assert head.source.commit_ready(7) is Outcome.VOID, "a sequence that never was"
    head.source.void(0, "timeout")
    assert head.source.commit_ready(0) is Outcome.SETTLED
    assert head.source.blocks == {}
    assert head.station.burned("timeout") == 200
    head.source.void(0, "timeout")
    assert head.station.burned("timeout") == 200, "voided once"


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.NO_CREDIT, Outcome.PATH_MISMATCH, Outcome.SETTLED])
def test_a_refused_announcement_voids_its_sequence_and_counts_the_pad_as_burned(outcome: Outcome):
    head = Head()
    head.source.prime(100, 100)
    head.announced()
    head.station.answer("announcement", "b", outcome)
    assert (head.source.open, head.station.burned(f"refused-{outcome.value}")) == (0, 100)


def test_an_accepted_announcement_waits_for_ready():
    head = Head()
    head.source.prime(100, 100)
    head.station.answer("announcement", "b", Outcome.DONE)
    assert (head.source.open, head.source.blocks) == (1, {})
    assert head.source.commit_ready(0) is Outcome.DONE


def test_the_answer_to_a_sequence_that_was_voided_meanwhile_changes_nothing():
    head = Head()
    head.source.prime(100, 100)
    head.announced()
    (_, answered) = next(iter([(0, entry.on_answer) for entry in head.station.outbox._flying[1][1]]))
    head.source.void(0, "timeout")
    assert answered is not None
    answered(Answer(Outcome.REFUSED))
    assert "refused-refused" not in head.station.journal.burned.causes


def test_on_a_path_of_one_hop_the_answer_is_ready():
    head = Head(ONE_HOP)
    head.source.prime(100, 100)
    head.station.answer("announcement", "d", Outcome.DONE)
    assert list(head.source.blocks) == [0]


def test_a_sequence_without_ready_is_voided_after_its_time():
    head = Head()
    head.source.prime(100, 100)
    head.station.clock.advance(limits.SEQUENCE_TIME - 0.1)
    head.source.expire()
    assert head.source.open == 1
    head.station.clock.advance(0.1)
    head.source.expire()
    assert (head.source.open, head.station.burned("timeout"), head.announced()) == (0, 100, [])


def test_a_restart_voids_open_sequences_accounts_for_them_and_never_reuses_numbers():
    head = Head()
    head.source.prime(100, 100)
    head.source.prime(200, 100)
    head.source.commit_ready(1)
    head.station.commit()
    head.restart()
    assert (head.source.open, list(head.source.blocks), head.station.burned("restart")) == (0, [1], 100)
    assert (head.source.floor, head.source.settled) == (2, 100 + limits.HASH_KEY)
    assert head.source.commit_ready(0) is Outcome.SETTLED
    assert head.source.prime(100, 100)
    assert head.announced()[0].sequence == 2
    assert head.announced()[0].start == 300
    head.station.commit()
    head.restart()
    assert head.station.burned("restart") == 200, "each is counted once"

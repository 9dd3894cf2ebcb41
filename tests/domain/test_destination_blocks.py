"""Ready blocks at the destination: burned by the source's marks, by time and by meetings, and given back as credit."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Answer, Outcome, Voided
from quiver.domain.network import PathEntry

from .destination_role import Tail, announcement, ciphertext, expected, lost
from .ground import KIB


@pytest.fixture
def tail() -> Tail:
    return Tail()


# --- the source's marks -----------------------------------------------------------------------------------------------


def test_what_is_open_below_the_floor_is_burned_and_ready_blocks_stay(tail: Tail):
    tail.complete(0)
    tail.announce(announcement(1, offset=116))
    tail.receive("b", ciphertext("b", 2))
    tail.destination.lost("b", lost(3))
    tail.destination.observe(4, 32)
    assert (tail.destination.parts, list(tail.destination.blocks)) == ({}, [0])
    assert tail.station.burned("voided-by-source") == 100
    assert tail.station.said("voided", "a") == (), "the source has closed it"
    tail.destination.observe(2, 5)
    assert tail.announce(announcement(3, offset=900)) is Outcome.SETTLED, "marks never fall"


def test_bytes_below_the_settled_count_are_burned(tail: Tail):
    block = tail.complete(0)
    tail.destination.observe(1, 50)
    assert (block.used.top, tail.station.burned("voided-by-source")) == (50, 18)
    tail.destination.use(block, 50, 10)
    tail.destination.observe(1, 100)
    assert (tail.destination.blocks, tail.station.burned("voided-by-source")) == ({}, 18 + 40)


def test_a_block_lives_twice_as_long_as_at_its_source(tail: Tail):
    tail.complete()
    tail.station.clock.advance(2 * limits.BLOCK_LIFE - 1)
    tail.destination.expire()
    assert tail.destination.blocks
    tail.station.clock.advance(1)
    tail.destination.expire()
    assert (tail.destination.blocks, tail.station.burned("expired")) == ({}, 68)


def test_used_bytes_and_the_hash_key_with_the_last_of_them_are_gone_from_storage(tail: Tail):
    block = tail.complete()
    tail.station.commit()
    tail.destination.use(block, 32, 20)
    tail.station.commit()
    assert not tail.station.database.holds(expected()[32:52])
    assert tail.station.database.holds(expected()[:32])
    tail.destination.use(block, 52, 48)
    tail.station.commit()
    assert not tail.station.database.holds(expected()[:32])


# --- credit -----------------------------------------------------------------------------------------------------------


def test_credit_is_what_was_settled_and_used_and_the_larger_of_depth_and_one_request():
    tail = Tail(blocks=2)
    start = limits.LARGEST_REQUEST + 2 * limits.HASH_KEY
    assert tail.destination.limit() == start, "depth 0 has credit too; hash keys are used from the start"
    block = tail.destination.blocks[0]
    tail.destination.use(block, 32, 100)
    assert tail.destination.limit() == start + 100
    tail.destination.observe(2, 132)
    assert tail.destination.limit() == start + 100, "no byte counts twice"
    tail.destination.burn(1, "test")
    tail.destination.observe(2, 8 * KIB)
    assert tail.destination.limit() == limits.LARGEST_REQUEST + 8 * KIB


def test_voided_and_burned_sequences_give_credit_back(tail: Tail):
    start = tail.destination.limit()
    tail.destination.lost("b", lost(0))
    assert tail.destination.limit() == start + 100
    tail.complete(1)
    tail.destination.burn(1, "test")
    assert tail.destination.limit() == start + 200


def test_a_deep_buffer_has_credit_for_its_depth_and_a_slow_path_for_its_rate():
    deep = Tail(PathEntry("a-d", 1, 1, ("a", "b", "c", "d"), depth=limits.DEPTH_MAX))
    assert deep.destination.limit() == limits.DEPTH_MAX
    slow = Tail(PathEntry("a-d", 1, 1, ("a", "b", "c", "d"), depth=limits.DEPTH_MAX, rate=8))
    assert slow.destination.limit() == limits.LARGEST_REQUEST


# --- meeting and the end of a version ---------------------------------------------------------------------------------


def test_blocks_that_the_source_lacks_are_burned_when_they_meet():
    tail = Tail(blocks=3)
    tail.destination.settle(3, 0, [1])
    assert (list(tail.destination.blocks), tail.station.burned("meeting")) == ([1], 2 * (4 * KIB - 32))


def test_what_is_above_the_sources_floor_outlives_a_meeting(tail: Tail):
    tail.complete(0)
    tail.destination.settle(0, 0, [])
    assert list(tail.destination.blocks) == [0]
    assert tail.destination.seen == (1, 100)
    assert tail.destination.view() == [(0, 32)]


def test_a_version_that_goes_at_once_voids_what_was_never_reported(tail: Tail):
    tail.complete(0)
    tail.announce(announcement(1, offset=116))
    tail.destination.void_all()
    assert list(tail.destination.blocks) == [0]
    assert [item.sequence for item in tail.station.said("voided", "a") if isinstance(item, Voided)] == [1]


def test_burning_accounts_for_blocks_and_open_parts(tail: Tail):
    tail.complete(0)
    tail.announce(announcement(1, offset=116))
    tail.receive("b", ciphertext("b", 2))
    tail.destination.lost("b", lost(3))
    tail.destination.burn_all("peer-incarnation")
    assert tail.station.burned("peer-incarnation") == 68 + 100
    assert (tail.destination.blocks, tail.destination.parts, len(tail.station.outbox)) == ({}, {}, 0)


def test_the_answer_to_ready_after_the_block_was_burned_changes_nothing(tail: Tail):
    tail.complete()
    entry = tail.station.outbox._waiting["a", "ready"]
    ((_, waiting),) = entry.items()
    tail.destination.burn(0, "test")
    assert waiting.on_answer is not None
    waiting.on_answer(Answer(Outcome.VOID))
    assert tail.station.burned("voided-by-source") == 0


def test_what_the_source_has_closed_and_nobody_ever_sent_comes_back_as_credit_although_an_older_block_is_unused(
    tail: Tail,
):
    tail.complete(0)
    start = tail.destination.limit()
    tail.destination.close(10_000)  # a node before this one has refused sequences of 9,900 bytes
    assert tail.destination.limit() == limits.LARGEST_REQUEST + 10_000 - (100 - limits.HASH_KEY) > start
    tail.destination.close(500)
    tail.destination.close(limits.MARK_MAX + 1)
    assert tail.destination.limit() == limits.LARGEST_REQUEST + 10_000 - (100 - limits.HASH_KEY), "the mark never falls"
    tail.destination.use(tail.destination.blocks[0], 32, 20)
    assert tail.destination.limit() == limits.LARGEST_REQUEST + 10_000 - (80 - limits.HASH_KEY)
    tail.destination.observe(1, 10_000)
    assert tail.destination.limit() == limits.LARGEST_REQUEST + 10_000

"""Ready blocks at the source: each byte is taken once, in order of sequence, and never again after a meeting."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Floor

from .ground import KIB, TWO_RELAYS, bytes_of
from .source_role import Head

# --- taking pad -------------------------------------------------------------------------------------------------------


def test_containers_take_bytes_in_order_of_sequence_each_once_over_several_blocks():
    head = Head(blocks=2)
    block0, block1 = bytes_of("a-d/1/1#0", 4 * KIB), bytes_of("a-d/1/1#1", 4 * KIB)
    run = head.source.take(0, 4000)
    assert run.pieces == [(0, 32, 4000)]
    assert (run.pad.reveal(), run.hash_key.reveal()) == (block0[32:4032], block0[:32])
    run = head.source.take(1, 100)
    assert run.pieces == [(0, 4032, 64), (1, 32, 36)]
    assert (run.pad.reveal(), run.hash_key.reveal()) == (block0[4032:] + block1[32:68], block0[:32])
    assert run.nodes == ["a", "b", "c", "d"]
    assert (list(head.source.blocks), head.source.ready) == ([1], 4 * KIB - 68)
    head.station.commit()
    assert not head.station.database.holds(block0[32:64])
    assert not head.station.database.holds(block0[:32]), "the hash key goes with the block's last byte"
    assert not head.station.database.holds(block1[32:48])
    assert head.station.database.holds(block1[:32])


def test_a_block_that_became_ready_late_is_used_in_its_place():
    head = Head()
    head.source.prime(100, 100)
    head.source.prime(100, 100)
    head.source.commit_ready(1)
    head.source.commit_ready(0)
    assert head.source.take(0, 100).pieces == [(0, 32, 68), (1, 32, 32)]


def test_settled_stays_below_what_open_containers_use():
    head = Head(blocks=1)
    assert head.source.settled == 32
    head.source.take(0, 100)
    head.source.take(1, 50)
    assert head.source.settled == 32
    head.source.release(0)
    assert head.source.settled == 132
    head.source.release(1)
    assert head.source.settled == 182
    head.source.take(2, 4 * KIB - 182)
    head.source.release(2)
    assert head.source.settled == 4 * KIB
    head.source.release(99)


def test_nothing_is_ready_while_the_destination_is_not_met_or_the_path_suspended():
    head = Head(blocks=1)
    assert head.source.ready
    head.station.met.discard("d")
    assert head.source.ready == 0
    head.station.met.add("d")
    head.source.suspended_until = head.station.clock.now() + 1
    assert head.source.ready == 0


def test_a_block_that_nobody_wanted_is_burned_after_its_time():
    head = Head(blocks=1)
    head.source.take(0, 64)
    head.station.clock.advance(limits.BLOCK_LIFE)
    head.source.expire()
    assert (head.source.blocks, head.station.burned("expired")) == ({}, 4 * KIB - 96)


def test_marks_go_to_the_destination_and_the_meeting():
    head = Head(blocks=1)
    head.source.prime(100, 100)
    head.source.tell_floor()
    expected = Floor(key="a-d/1/1", digest=TWO_RELAYS.digest, floor=1, settled=32, closed=head.source._open[1].start)
    assert head.station.one("floor", "d") == expected
    assert head.source.view() == (2, 1, 32, [0])


def test_a_claim_asks_for_what_the_buffer_lacks_and_one_large_request():
    head = Head()
    claim = head.source.claim(5000)
    assert (claim.need, claim.active) == (5000 + limits.LARGEST_REQUEST, False)
    head.source.prime(100, 100)
    assert head.source.claim(0).active
    head.source.standing.retiring = True
    assert head.source.claim(5000).need == 0
    head.source.void_all("test")
    assert head.source.finished


# --- meeting ----------------------------------------------------------------------------------------------------------


def test_blocks_that_the_destination_lacks_are_burned():
    head = Head(blocks=2)
    head.source.settle([(1, 32)], restarted=False)
    assert (list(head.source.blocks), head.station.burned("meeting")) == ([1], 4 * KIB - 32)


def test_bytes_that_the_destination_has_used_are_never_used_again():
    head = Head(blocks=1)
    head.source.settle([(0, 500)], restarted=False)
    assert head.source.take(0, 10).pieces == [(0, 500, 10)]
    assert head.station.burned("meeting") == 468


def test_after_its_own_restart_the_source_skips_what_may_have_been_in_flight():
    count = limits.CONTAINER_BYTES_OPEN // (4 * KIB - 32) + 2
    head = Head(blocks=count)
    total = head.source.ready
    head.source.settle([(i, 32) for i in range(count)], restarted=True)
    assert head.source.ready == total - limits.CONTAINER_BYTES_OPEN
    assert head.station.burned("meeting") == limits.CONTAINER_BYTES_OPEN


def test_a_node_that_has_seen_higher_marks_makes_numbers_go_on_above_them():
    head = Head()
    head.source.continue_above(7, 700)
    head.source.continue_above(5, 500)
    head.source.prime(100, 100)
    (item,) = head.announced()
    assert (item.sequence, item.start) == (7, 700)


@pytest.mark.parametrize("marks", [(limits.SEEN_AHEAD_SEQUENCES + 1, 0), (0, limits.SEEN_AHEAD_BYTES + 1)])
def test_marks_beyond_all_reason_are_refused_with_an_alarm(marks: tuple[int, int]):
    head = Head()
    head.source.continue_above(*marks)
    assert head.source.view()[0] == 0
    assert head.station.alarms() == ["marks-refused"]


def test_burning_a_path_accounts_for_sequences_and_blocks():
    head = Head(blocks=1)
    head.source.prime(100, 100)
    head.source.burn_all("peer-incarnation")
    assert head.station.burned("peer-incarnation") == 100 + 4 * KIB - 32
    assert (head.source.open, head.source.blocks) == (0, {})

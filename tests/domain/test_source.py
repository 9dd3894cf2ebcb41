"""The source: no credit no range, each sequence ready or void once, and each byte of a ready block taken once."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Announcement, Answer, Credit, Floor, Outcome
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Route
from quiver.domain.source import Source

from .ground import KIB, ONE_HOP, TWO_RELAYS, Station, bytes_of, shared_block, shared_segment

PAD = 64 * KIB


class Head:
    """A source with pad and credit."""

    def __init__(self, entry: PathEntry = TWO_RELAYS, blocks: int = 0) -> None:
        after = entry.nodes[1]
        self.entry, self.after = entry, after
        segment = shared_segment("s", "a", after, "a", PAD)
        self.station = Station("a", [after], (entry,), kept=[segment])
        self.station.journal.put(segment, secret=True)
        self.route = Route(key=entry.key, entry=entry)
        for i in range(blocks):
            self.station.journal.put(shared_block(entry, "a", i, i * 4 * KIB), secret=True)
        self.route.next_sequence, self.route.next_start = blocks, blocks * 4 * KIB
        self.station.journal.put(self.route)
        self.station.commit()
        self.restart()

    def restart(self) -> None:
        self.station.start()
        kept = self.station.database.load()
        (self.route,) = (record for record in kept if isinstance(record, Route))
        blocks = [record for record in kept if isinstance(record, Block)]
        self.source = Source(self.station.context, self.entry, self.route, blocks)
        self.credit(16 * limits.BLOCK_MAX)

    def credit(self, limit: int, counter: int = 1, run: str = "run") -> None:
        self.source.grant(run, Credit(key=self.entry.key, digest=self.entry.digest, limit=limit, counter=counter))
        self.source.share = PAD

    @property
    def pads(self):
        return self.station.context.pads[self.after]

    def announced(self) -> list[Announcement]:
        return [item for item in self.station.said("announcement", self.after) if isinstance(item, Announcement)]


def test_without_credit_no_range_is_taken():
    head = Head()
    head.source._credit = None
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
            setattr(head.source, flag, True)
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
    expected = Floor(key="a-d/1/1", digest=TWO_RELAYS.digest, floor=1, settled=32)
    assert head.station.one("floor", "d") == expected
    assert head.source.view() == (2, 1, 32, [0])


def test_a_claim_asks_for_what_the_buffer_lacks_and_one_large_request():
    head = Head()
    claim = head.source.claim(5000)
    assert (claim.need, claim.active) == (5000 + limits.LARGEST_REQUEST, False)
    head.source.prime(100, 100)
    assert head.source.claim(0).active
    head.source.retiring = True
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

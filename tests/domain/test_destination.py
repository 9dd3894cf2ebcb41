"""The destination: a block is whole with one ciphertext of each relay and the last range, and reported once it is stored."""

from functools import reduce

import pytest

from quiver.domain import limits
from quiver.domain.destination import Destination
from quiver.domain.messages import Announcement, Answer, Ciphertext, Lost, Outcome, Ready, Voided
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Part, PartState, Piece, Route
from quiver.domain.secret import Secret

from .ground import KIB, ONE_HOP, TWO_RELAYS, Station, bytes_of, shared_block, shared_segment

PAD = 16 * KIB


def announcement(sequence: int = 0, length: int = 100, *, offset: int = 16, floor: int = 0, settled: int = 0):
    return Announcement(
        key=TWO_RELAYS.key,
        digest=TWO_RELAYS.digest,
        sequence=sequence,
        start=sequence * 100,
        length=length,
        pieces=(Piece("cd", offset, length),),
        floor=floor,
        settled=settled,
    )


def ciphertext(relay: str, sequence: int = 0, *, material: bytes | None = None, length: int = 100, start: int = -1):
    return Ciphertext(
        key=TWO_RELAYS.key,
        digest=TWO_RELAYS.digest,
        sequence=sequence,
        start=sequence * 100 if start < 0 else start,
        length=length,
        ciphertext=Secret(material or bytes_of(f"{relay}{sequence}", 100)),
        floor=0,
        settled=0,
    )


def lost(sequence: int = 0) -> Lost:
    return Lost(key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, sequence=sequence, start=sequence * 100, length=100)


class Tail:
    """Destination D of A→B→C→D, or of A→D."""

    def __init__(self, entry: PathEntry = TWO_RELAYS, blocks: int = 0) -> None:
        self.entry = entry
        before = entry.nodes[-2]
        segment = shared_segment("cd", "d", before, before, PAD)
        self.station = Station("d", [before], (entry,))
        self.station.journal.put(segment, secret=True)
        for i in range(blocks):
            self.station.journal.put(shared_block(entry, "d", i, i * 4 * KIB), secret=True)
        self.station.journal.put(Route(key=entry.key, entry=entry, floor=blocks))
        self.station.commit()
        self.restart()

    def restart(self) -> None:
        self.station.start()
        kept = self.station.database.load()
        (route,) = (record for record in kept if isinstance(record, Route))
        parts = [record for record in kept if isinstance(record, Part)]
        blocks = [record for record in kept if isinstance(record, Block)]
        self.destination = Destination(self.station.context, self.entry, route, parts, blocks)

    def announce(self, item: Announcement) -> Outcome:
        return self.destination.announce(item).outcome

    def receive(self, relay: str, item: Ciphertext) -> Outcome:
        return self.destination.receive(relay, item).outcome

    def complete(self, sequence: int = 0) -> Block:
        assert self.receive("b", ciphertext("b", sequence)) is Outcome.DONE
        assert self.receive("c", ciphertext("c", sequence)) is Outcome.DONE
        assert self.announce(announcement(sequence, offset=16 + 100 * sequence)) is Outcome.DONE
        return self.destination.blocks[sequence]


@pytest.fixture
def tail() -> Tail:
    return Tail()


def expected(sequence: int = 0) -> bytes:
    offset = 16 + 100 * sequence
    shares = [bytes_of(f"b{sequence}", 100), bytes_of(f"c{sequence}", 100), bytes_of("cd", PAD)[offset : offset + 100]]
    return reduce(lambda one, other: bytes(x ^ y for x, y in zip(one, other, strict=True)), shares)


@pytest.mark.parametrize("order", ["b c range", "range c b", "c range b"])
def test_a_block_is_the_xor_of_all_parts_in_whatever_order_they_come(tail: Tail, order: str):
    for count, part in enumerate(order.split()):
        assert tail.destination.blocks == {}, f"not whole after {count}"
        if part == "range":
            assert tail.announce(announcement()) is Outcome.DONE
        else:
            assert tail.receive(part, ciphertext(part)) is Outcome.DONE
        assert tail.station.journal.urgent, "durable before it is answered"
        tail.station.commit()
        tail.restart()
    block = tail.destination.blocks[0]
    assert block.secret is not None
    assert block.secret.reveal() == expected()
    assert (block.nodes, block.used.size) == (TWO_RELAYS.nodes, limits.HASH_KEY)
    assert tail.station.one("ready", "a") == Ready(key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, sequence=0)


def test_one_missing_relay_is_not_made_up_for_by_another(tail: Tail):
    tail.announce(announcement())
    tail.receive("b", ciphertext("b"))
    assert tail.receive("b", ciphertext("b", material=bytes_of("c0", 100))) is Outcome.REFUSED
    assert tail.destination.blocks == {}


def test_a_repeat_gets_the_first_answer_and_other_bytes_are_refused(tail: Tail):
    for _ in range(2):
        assert tail.destination.receive("b", ciphertext("b")) == Answer(Outcome.DONE)
        assert tail.destination.announce(announcement()) == Answer(Outcome.DONE)
    assert tail.receive("b", ciphertext("b", material=bytes(100))) is Outcome.REFUSED
    assert tail.announce(announcement(offset=300)) is Outcome.REFUSED
    block = tail.complete()
    assert block.secret is not None
    assert block.secret.reveal() == expected(), "repeats enter once"
    assert tail.receive("c", ciphertext("c")) is Outcome.DONE, "after the block is whole too"


@pytest.mark.parametrize(
    "item",
    [ciphertext("b", length=99), ciphertext("b", 64), ciphertext("b", start=5), ciphertext("b", material=bytes(101))],
    ids=["length", "window", "place", "bytes"],
)
def test_a_ciphertext_that_does_not_fit_is_refused(tail: Tail, item: Ciphertext):
    tail.receive("c", ciphertext("c"))
    assert tail.receive("b", item) is Outcome.REFUSED
    assert tail.complete().secret is not None


@pytest.mark.parametrize("length", [limits.HASH_KEY, limits.BLOCK_MAX + 1])
def test_a_block_of_an_impossible_length_is_refused(tail: Tail, length: int):
    assert tail.announce(announcement(length=length)) is Outcome.REFUSED


def test_a_sequence_beyond_all_credit_takes_no_place(tail: Tail):
    far = 2 * tail.destination.limit()
    item = ciphertext("b", start=far)
    assert tail.receive("b", item) is Outcome.REFUSED
    word = Lost(key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, sequence=0, start=far, length=100)
    assert tail.destination.lost("b", word).outcome is Outcome.REFUSED
    tail.destination.observe(0, 50)
    assert tail.receive("b", ciphertext("b")) is Outcome.REFUSED, "nor one below what is settled"
    assert tail.destination.parts == {}


def test_credit_that_was_granted_before_a_restart_still_counts(tail: Tail):
    top = tail.destination.limit()
    tail.restart()
    assert tail.receive("b", ciphertext("b", start=top - 100)) is Outcome.DONE


def test_marks_beyond_all_reason_are_passed_over(tail: Tail):
    tail.destination.observe(limits.MARK_MAX + 1, 0)
    tail.destination.observe(0, limits.MARK_MAX + 1)
    assert tail.receive("b", ciphertext("b")) is Outcome.DONE


def test_the_number_of_ready_blocks_is_bounded(monkeypatch: pytest.MonkeyPatch, tail: Tail):
    monkeypatch.setattr(limits, "BLOCKS_PER_PATH", 1)
    tail.receive("b", ciphertext("b", 1))
    tail.complete(0)
    assert tail.receive("b", ciphertext("b", 2)) is Outcome.REFUSED
    assert tail.receive("c", ciphertext("c", 1)) is Outcome.DONE, "what has begun may become whole"


def test_who_is_no_relay_of_the_path_sends_no_ciphertext(tail: Tail):
    for sender in ("a", "d", "e"):
        assert tail.receive(sender, ciphertext("b")) is Outcome.REFUSED
    assert tail.destination.parts == {}


def test_link_pad_accepted_before_is_refused(tail: Tail):
    tail.announce(announcement(0))
    assert tail.announce(announcement(1, offset=50)) is Outcome.REFUSED
    assert 1 not in tail.destination.parts


def test_below_the_floor_everything_is_settled(tail: Tail):
    tail.destination.observe(1, 100)
    assert tail.receive("b", ciphertext("b")) is Outcome.SETTLED
    assert tail.announce(announcement()) is Outcome.SETTLED
    assert tail.destination.lost("b", lost()).outcome is Outcome.SETTLED
    assert tail.destination.lost("b", lost(65)).outcome is Outcome.SETTLED, "and beyond the window"
    assert tail.destination.parts == {}


def test_ready_is_repeated_until_the_source_answers_also_after_a_restart(tail: Tail):
    tail.complete()
    tail.station.commit()
    tail.station.fail("ready", "a")
    tail.restart()
    tail.station.answer("ready", "a", Outcome.DONE)
    assert tail.destination.blocks[0].told
    tail.station.commit()
    tail.restart()
    assert tail.station.said("ready", "a") == ()
    assert list(tail.destination.blocks) == [0]


@pytest.mark.parametrize(("outcome", "kept"), [(Outcome.DONE, True), (Outcome.SETTLED, True), (Outcome.VOID, False)])
def test_only_void_burns_the_block_that_was_reported(tail: Tail, outcome: Outcome, kept: bool):
    tail.complete()
    tail.station.answer("ready", "a", outcome)
    assert (0 in tail.destination.blocks) is kept
    assert tail.station.burned("voided-by-source") == (0 if kept else 100 - limits.HASH_KEY)
    assert tail.station.said("ready", "a") == (), "the asker stops repeating"


def test_on_one_hop_the_answer_to_the_range_is_ready():
    tail = Tail(ONE_HOP)
    item = Announcement(
        key=ONE_HOP.key,
        digest=ONE_HOP.digest,
        sequence=0,
        start=0,
        length=100,
        pieces=(Piece("cd", 16, 100),),
        floor=0,
        settled=0,
    )
    for _ in range(2):
        assert tail.announce(item) is Outcome.DONE
    block = tail.destination.blocks[0]
    assert block.secret is not None
    assert block.secret.reveal() == bytes_of("cd", PAD)[16:116]
    assert tail.station.said("ready", "a") == ()


# --- lost ciphertexts -------------------------------------------------------------------------------------------------


def test_a_lost_ciphertext_voids_the_sequence_and_the_source_is_told_until_it_answers(tail: Tail):
    tail.announce(announcement())
    tail.receive("c", ciphertext("c"))
    assert tail.destination.lost("b", lost()).outcome is Outcome.DONE
    assert tail.destination.parts[0].state is PartState.VOID
    assert tail.station.burned("relay-lost") == 100
    tail.station.commit()
    tail.restart()
    assert tail.station.one("voided", "a") == Voided(key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, sequence=0)
    tail.station.answer("voided", "a", Outcome.DONE)
    assert tail.station.said("voided", "a") == ()


def test_a_void_sequence_takes_nothing_more(tail: Tail):
    tail.destination.lost("b", lost())
    assert tail.station.burned("relay-lost") == 0, "no range of this node was in it"
    assert tail.receive("b", ciphertext("b")) is Outcome.VOID
    assert tail.announce(announcement()) is Outcome.VOID
    assert tail.station.context.pads["c"].usable == PAD - 16
    assert tail.destination.blocks == {}


def test_what_is_here_or_ready_is_not_voided_by_a_relays_loss(tail: Tail):
    tail.receive("b", ciphertext("b"))
    assert tail.destination.lost("b", lost()).outcome is Outcome.DONE
    assert tail.destination.parts[0].state is PartState.OPEN
    tail.complete()
    assert tail.destination.lost("c", lost()).outcome is Outcome.DONE
    assert list(tail.destination.blocks) == [0]


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

"""The destination: a block is whole with one ciphertext of each relay and the last range, and reported once it is stored."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Announcement, Answer, Ciphertext, Lost, Outcome, Ready, Voided
from quiver.domain.records import PartState, Piece

from .destination_role import PAD, Tail, announcement, ciphertext, expected, lost
from .ground import ONE_HOP, TWO_RELAYS, bytes_of


@pytest.fixture
def tail() -> Tail:
    return Tail()


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

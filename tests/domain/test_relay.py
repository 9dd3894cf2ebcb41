"""A relay: its ciphertext leaves only after the next node's acknowledgement, once, and what it lost it says."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Announcement, Answer, Ciphertext, Credit, Lost, Outcome
from quiver.domain.records import Piece, Relayed, RelayedState, Route
from quiver.domain.relay import Relay

from .ground import KIB, TWO_RELAYS, Station, bytes_of, shared_segment

PAD = 16 * KIB


def announcement(sequence: int = 0, length: int = 100, *, offset: int = 16, floor: int = 0, settled: int = 0):
    return Announcement(
        key=TWO_RELAYS.key,
        digest=TWO_RELAYS.digest,
        sequence=sequence,
        start=sequence * 100,
        length=length,
        pieces=(Piece("ab", offset, length),),
        floor=floor,
        settled=settled,
    )


class Middle:
    """Relay B of A→B→C→D."""

    def __init__(self) -> None:
        segments = [shared_segment("ab", "b", "a", "a", PAD), shared_segment("bc", "b", "c", "b", PAD)]
        self.station = Station("b", ["a", "c"], (TWO_RELAYS,))
        for segment in segments:
            self.station.journal.put(segment, secret=True)
        self.station.journal.put(Route(key=TWO_RELAYS.key, entry=TWO_RELAYS))
        self.station.commit()
        self.restart()

    def restart(self) -> None:
        self.station.start()
        kept = self.station.database.load()
        (route,) = (record for record in kept if isinstance(record, Route))
        relayed = [record for record in kept if isinstance(record, Relayed)]
        self.relay = Relay(self.station.context, TWO_RELAYS, route, relayed)
        self.credit(10**6)

    def credit(self, limit: int, counter: int = 1) -> None:
        credit = Credit(key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, limit=limit, counter=counter)
        self.relay.grant("run", credit)

    def announce(self, item: Announcement) -> Outcome:
        return self.relay.announce(item).outcome

    def state(self, sequence: int = 0) -> RelayedState:
        return self.relay.sequences[sequence].state


@pytest.fixture
def middle() -> Middle:
    return Middle()


def test_the_ciphertext_is_the_xor_of_both_ranges_and_leaves_after_the_next_nodes_answer(middle: Middle):
    assert middle.announce(announcement()) is Outcome.DONE
    assert middle.station.journal.urgent
    assert middle.station.said("ciphertext", "d") == ()
    onward = middle.station.one("announcement", "c")
    assert isinstance(onward, Announcement)
    assert (onward.sequence, onward.start, onward.length) == (0, 0, 100)
    assert onward.pieces == (Piece("bc", 16, 100),)
    middle.station.answer("announcement", "c", Outcome.DONE)
    sent = middle.station.one("ciphertext", "d")
    assert isinstance(sent, Ciphertext)
    expected = bytes(x ^ y for x, y in zip(bytes_of("ab", PAD)[16:116], bytes_of("bc", PAD)[16:116], strict=True))
    assert sent.ciphertext.reveal() == expected
    assert middle.state() is RelayedState.SENDING
    middle.station.answer("ciphertext", "d", Outcome.DONE)
    assert (middle.state(), middle.relay.open) == (RelayedState.CLOSED, 0)


def test_a_ciphertext_and_its_pads_are_in_no_storage(middle: Middle):
    middle.announce(announcement())
    middle.station.commit()
    middle.station.answer("announcement", "c", Outcome.DONE)
    sent = middle.station.one("ciphertext", "d")
    middle.station.commit()
    assert isinstance(sent, Ciphertext)
    for material in (bytes_of("ab", PAD)[16:32], bytes_of("bc", PAD)[16:32], sent.ciphertext.reveal()[:16]):
        assert not middle.station.database.holds(material)


def test_a_ciphertext_is_sent_until_the_destination_answers_always_the_same(middle: Middle):
    middle.announce(announcement())
    middle.station.answer("announcement", "c", Outcome.DONE)
    first = middle.station.one("ciphertext", "d")
    middle.station.fail("ciphertext", "d")
    middle.station.clock.advance(limits.REPEAT_FIRST)
    assert middle.station.one("ciphertext", "d") == first
    middle.station.answer("ciphertext", "d", Outcome.SETTLED)
    assert middle.state() is RelayedState.CLOSED


def test_a_repeat_gets_the_first_answer_and_takes_no_pad(middle: Middle):
    assert middle.relay.announce(announcement()) == Answer(Outcome.DONE)
    before = middle.station.context.pads["c"].available
    for outcome in (Outcome.DONE, Outcome.DONE):
        assert middle.relay.announce(announcement()) == Answer(Outcome.DONE)
        if middle.state() is RelayedState.ANNOUNCING:
            middle.station.answer("announcement", "c", outcome)
    assert middle.station.context.pads["c"].available == before


@pytest.mark.parametrize(
    "other", [announcement(length=101), announcement(offset=200)], ids=["another length", "another range"]
)
def test_other_bytes_under_the_same_number_are_refused(middle: Middle, other: Announcement):
    middle.announce(announcement())
    assert middle.announce(other) is Outcome.REFUSED
    assert middle.relay.announce(other).reason == "other bytes before"


def test_bytes_accepted_before_are_refused_under_any_number(middle: Middle):
    middle.announce(announcement(0))
    assert middle.announce(announcement(1, offset=50)) is Outcome.REFUSED
    assert 1 not in middle.relay.sequences


@pytest.mark.parametrize("lack", ["credit", "expired", "pad", "next node", "destination"])
def test_without_credit_pad_or_meeting_nothing_is_spent(middle: Middle, lack: str):
    match lack:
        case "credit":
            middle.credit(99, counter=2)
        case "expired":
            middle.station.clock.advance(limits.CREDIT_LIFE)
        case "pad":
            pads = middle.station.context.pads["c"]
            pads.allocate(pads.available - 99)
        case "next node":
            middle.station.met.discard("c")
        case "destination":
            middle.station.met.discard("d")
    available = middle.station.context.pads["a"].usable
    assert middle.announce(announcement()) is Outcome.NO_CREDIT
    assert middle.station.context.pads["a"].usable == available
    assert middle.announce(announcement(offset=99)) is Outcome.NO_CREDIT, "it is not remembered"


@pytest.mark.parametrize("item", [announcement(64), announcement(0, 0), announcement(0, limits.BLOCK_MAX + 1)])
def test_a_sequence_beyond_the_window_or_of_an_impossible_length_is_refused(middle: Middle, item: Announcement):
    middle.credit(10**9, counter=2)
    assert middle.announce(item) is Outcome.REFUSED


def test_below_the_floor_everything_is_settled_and_forgotten(middle: Middle):
    middle.announce(announcement(0))
    middle.announce(announcement(1, offset=200))
    middle.relay.observe(1, 50)
    middle.relay.observe(0, 0)
    assert list(middle.relay.sequences) == [1]
    assert middle.announce(announcement(0, floor=1)) is Outcome.SETTLED
    assert middle.announce(announcement(64, offset=400, floor=1)) is Outcome.DONE, "the window moves with the floor"


def test_marks_beyond_all_reason_are_passed_over(middle: Middle):
    middle.relay.observe(limits.MARK_MAX + 1, 0)
    middle.relay.observe(0, limits.MARK_MAX + 1)
    assert middle.announce(announcement()) is Outcome.DONE


def test_what_the_source_has_closed_and_never_came_here_holds_no_pad_back(middle: Middle):
    middle.announce(announcement(0))
    middle.announce(announcement(5, offset=200))
    assert middle.relay.limit(1000, 1000) == 600 + 1000 - 400, "sequences 1 to 4 may still come"
    middle.relay.close(500)
    assert middle.relay.limit(1000, 1000) == 600 + 1000
    middle.relay.close(9000)  # what the node before refused never comes
    middle.relay.close(700)
    middle.relay.close(limits.MARK_MAX + 1)
    assert middle.relay.limit(1000, 1000) == 9000 + 1000
    assert middle.relay.set_aside == 0


@pytest.mark.parametrize("state", [RelayedState.ANNOUNCING, RelayedState.SENDING, RelayedState.LOST])
def test_a_floor_ends_everything_that_is_under_way_below_it(middle: Middle, state: RelayedState):
    middle.announce(announcement())
    if state is not RelayedState.ANNOUNCING:
        middle.station.answer("announcement", "c", Outcome.DONE if state is RelayedState.SENDING else Outcome.REFUSED)
    assert middle.state() is state
    middle.relay.observe(1, 100)
    assert len(middle.station.outbox) == 0


def test_a_range_whose_announcement_a_floor_ended_does_not_keep_its_segment_for_ever(middle: Middle):
    pads = middle.station.context.pads["c"]
    middle.announce(announcement())
    middle.relay.observe(1, 100)
    pieces, _ = pads.allocate(pads.available)
    middle.station.context.told("c", pieces, Outcome.DONE)
    assert middle.station.said("retirement", "c") != (), "the next node hears that the rest is burned"
    middle.station.answer("retirement", "c", Outcome.DONE)
    assert pads.segments == {}


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.NO_CREDIT, Outcome.PATH_MISMATCH, Outcome.VOID])
def test_a_range_that_the_next_node_refuses_makes_the_relay_tell_the_destination(middle: Middle, outcome: Outcome):
    middle.announce(announcement())
    middle.station.answer("announcement", "c", outcome)
    assert middle.station.one("lost", "d") == Lost(
        key=TWO_RELAYS.key, digest=TWO_RELAYS.digest, sequence=0, start=0, length=100
    )
    assert middle.station.burned(f"next-{outcome.value}") == 200  # both ranges
    assert middle.station.said("ciphertext", "d") == ()
    middle.station.answer("lost", "d", Outcome.DONE)
    assert middle.state() is RelayedState.CLOSED


def test_a_sequence_that_is_settled_for_the_next_node_is_closed(middle: Middle):
    middle.announce(announcement())
    middle.station.answer("announcement", "c", Outcome.SETTLED)
    assert middle.state() is RelayedState.CLOSED


def test_after_a_restart_lost_ciphertexts_are_reported_and_accounted_for_and_repeats_known(middle: Middle):
    for sequence in range(3):
        middle.announce(announcement(sequence, offset=16 + 100 * sequence))
    middle.station.answer("announcement", "c", Outcome.DONE, Outcome.DONE, Outcome.REFUSED)
    middle.station.answer("ciphertext", "d", Outcome.DONE, Outcome.DONE)
    middle.announce(announcement(3, offset=316))
    middle.station.commit()
    middle.restart()
    lost = [item.sequence for item in middle.station.said("lost", "d") if isinstance(item, Lost)]
    assert lost == [2, 3]
    assert middle.announce(announcement(0)) is Outcome.DONE
    assert middle.announce(announcement(3, offset=316)) is Outcome.DONE
    assert middle.station.said("announcement", "c") == (), "its range is burned with the ciphertext"
    middle.station.answer("lost", "d", Outcome.DONE, Outcome.SETTLED)
    assert middle.relay.open == 0


def test_what_a_relay_may_have_sent_just_before_it_died_counts_once_as_burned_by_the_restart(middle: Middle):
    middle.announce(announcement())
    middle.station.commit()
    middle.station.answer("announcement", "c", Outcome.DONE)
    assert middle.station.one("ciphertext", "d")
    assert not middle.station.journal.urgent, "no fsync of its own"
    for _ in range(2):
        middle.restart()
        middle.station.commit()
        assert (middle.station.burned("restart"), middle.station.journal.burned.uses) == (200, {})


def test_an_answer_that_comes_after_the_sequence_was_voided_sends_nothing(middle: Middle):
    middle.announce(announcement())
    middle.station.said("announcement", "c")
    middle.relay.void_all()
    middle.station.answer("announcement", "c", Outcome.DONE)
    assert middle.station.said("ciphertext", "d") == ()
    assert middle.station.one("lost", "d")


def test_what_was_under_way_to_a_node_with_another_database_ends(middle: Middle):
    middle.announce(announcement())
    middle.relay.peer_lost()
    assert (middle.relay.open, len(middle.station.outbox)) == (0, 0)
    assert middle.announce(announcement()) is Outcome.DONE, "a repeat is known all the same"


def test_after_a_rollback_of_this_node_nothing_is_left(middle: Middle):
    middle.announce(announcement())
    middle.relay.burn_all("peer-incarnation")
    assert (middle.relay.sequences, len(middle.station.outbox)) == ({}, 0)


def test_the_credit_passed_on_is_the_least_of_that_held_the_pad_set_aside_and_the_rate(middle: Middle):
    assert middle.relay.limit(5000, 5000) == 5000
    middle.credit(3000, counter=2)
    assert middle.relay.limit(5000, 5000) == 3000
    assert middle.relay.limit(0, 0) == 0
    middle.announce(announcement())
    assert middle.relay.limit(1000, 1000) == 1100
    middle.station.clock.advance(limits.CREDIT_LIFE)
    assert middle.relay.limit(5000, 5000) == 0


def test_a_late_grant_of_the_same_run_is_passed_over(middle: Middle):
    middle.credit(500, counter=9)
    middle.credit(700, counter=8)
    assert middle.relay.limit(5000, 5000) == 500


def test_pad_for_sequences_that_were_overtaken_is_kept_back(middle: Middle):
    middle.announce(announcement(0))
    middle.announce(announcement(3, offset=400))  # covers [300, 400); 1 and 2 are still to come
    assert middle.relay.limit(1000, 800) == 400 + 1000 - 200
    assert middle.relay.claim().need == 10**6 - 400 + 200
    assert middle.relay.claim().active
    assert middle.relay.seen == (4, 400)


def test_pad_that_was_promised_is_set_aside_until_it_is_used_or_the_promise_ends(middle: Middle):
    middle.relay.promise(1000)
    assert middle.relay.set_aside == 1000
    middle.announce(announcement(0))  # covers [0, 100)
    assert middle.relay.set_aside == 900
    middle.relay.promise(300)
    assert middle.relay.set_aside == 900, "a lower one follows; the node before may not have heard it"
    assert middle.relay.limit(200, 0) == 300, "it is told its fair share all the same"
    middle.station.clock.advance(limits.CREDIT_HONOURED)
    assert middle.relay.set_aside == 0


def test_what_was_promised_is_taken_also_where_the_next_nodes_credit_has_fallen(middle: Middle):
    middle.relay.promise(1000)
    middle.credit(50, counter=2)
    assert middle.announce(announcement(0)) is Outcome.DONE
    assert middle.announce(announcement(10)) is Outcome.NO_CREDIT, "[1000, 1100) never was"

"""Collecting: keys of two devices become pad only where both ends hold the same bytes, in the owner's order."""

import pytest

from quiver.domain import limits
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.messages import Answer, Confirmation, Outcome, Segments
from quiver.domain.records import Seen, SegmentState
from quiver.domain.secret import Secret

from .collecting import COUNT, Link, keys_of
from .ground import bytes_of


def test_the_neighbour_orders_keys_by_key_id_without_case_and_never_by_position():
    link = Link()
    item = link.announce(keys_of(0))
    shuffled = [(key_id.upper(), key) for key_id, key in reversed(keys_of(0))]
    assert link.judge(link.fetch(item, shuffled)) is Outcome.DONE
    for end in (link.a, link.b):
        assert end.pads.segments[item.segment].state is SegmentState.USABLE
        assert (end.pads.usable, end.pads.collected, end.pads.checked) == (4080, {"a-b": 4096}, {"a-b": 16})
        assert [line.event for line in end.station.journal.take()[1]] == ["segment-collected"]
    pieces, pad = link.a.pads.allocate(1000)
    assert link.b.pads.accept(pieces, 1000) == pad
    assert pad.reveal() == b"".join(bytes_of(f"key {i}", 32) for i in range(COUNT))[16:1016]


def test_the_spent_first_16_bytes_are_in_no_storage():
    link = Link()
    item = link.announce(keys_of(0))
    link.judge(link.fetch(item, keys_of(0)))
    for end in (link.a, link.b):
        end.station.commit()
        assert not end.station.database.holds(bytes_of("key 0", 32)[:16])
        assert end.station.database.holds(bytes_of("key 0", 32)[16:])


def test_a_mismatch_is_burned_at_both_ends_and_the_alarm_names_this_link():
    link = Link()
    item = link.announce(keys_of(0))
    wrong = keys_of(0)
    wrong[7] = (wrong[7][0], Secret(bytes_of("eavesdropped", 32)))
    assert link.judge(link.fetch(item, wrong)) is Outcome.WRONG_TAG
    for end in (link.a, link.b):
        (alarm,) = end.station.journal.take_alarms()
        assert (alarm.name, alarm.facts["link"]) == ("link-mismatch", "a-b")
        assert (end.pads.segments, end.station.burned("link-mismatch")) == ({}, 4096)


def test_a_repeated_confirmation_gets_the_first_answer_and_another_one_none():
    link = Link()
    confirmation = link.fetch(link.announce(keys_of(0)), keys_of(0))
    for _ in range(2):
        assert link.a.collector.confirmed(confirmation).outcome is Outcome.DONE
    other = Confirmation(segment=confirmation.segment, nonce="00" * 16, tag="00" * 16)
    assert link.a.collector.confirmed(other).outcome is Outcome.VOID
    assert link.a.pads.collected == {"a-b": 4096}
    assert link.a.collector.confirmed(Confirmation(segment="unknown")).outcome is Outcome.VOID


def test_only_a_done_makes_the_segment_usable_at_the_neighbour():
    link = Link()
    confirmation = link.fetch(link.announce(keys_of(0)), keys_of(0))
    assert link.b.pads.usable == 0
    link.b.station.answer(Confirmation.kind, "a", Outcome.VOID)
    assert (link.b.pads.segments, link.b.station.burned("handover-void")) == ({}, 4096)
    link.b.collector._judged(confirmation.segment, Answer(Outcome.DONE))
    assert link.b.pads.segments == {}


def test_an_announcement_that_overtakes_the_answer_proves_the_confirmation():
    link = Link()
    confirmation = link.fetch(link.announce(keys_of(0)), keys_of(0))
    answer = link.a.collector.confirmed(confirmation)
    pieces, pad = link.a.pads.allocate(100)
    assert link.b.pads.accept(pieces, 100) == pad
    link.b.station.answer(Confirmation.kind, "a", answer)
    assert link.b.pads.segments[confirmation.segment].state is SegmentState.USABLE
    assert link.b.pads.collected == {"a-b": 4096}, "counted once"


def test_keys_that_are_late_at_the_neighbour_are_asked_for_again():
    link = Link()
    item = link.announce(keys_of(0))
    assert link.b.collector.announced(item).outcome is Outcome.DONE
    (call,) = link.b.collector.calls()
    link.b.collector.fetch_failed(call.segment, again=True)
    assert link.b.collector.calls() == []
    due = link.b.collector.due
    assert due == link.clock.now() + limits.REPEAT_FIRST
    link.clock.time = due
    assert link.b.collector.calls() == [call]
    link.b.collector.fetched(call.segment, keys_of(0))
    assert link.b.pads.segments[item.segment].state is SegmentState.CONFIRMING


@pytest.mark.parametrize("again", [True, False])
def test_keys_that_never_come_void_the_whole_segment_at_both_ends(again: bool):
    link = Link()
    item = link.announce(keys_of(0))
    link.b.collector.announced(item)
    link.b.collector.calls()
    if again:
        link.clock.advance(limits.FETCH_RETRY)
    link.b.collector.fetch_failed(item.segment, again=again)
    assert link.b.collector.calls() == []
    void = link.b.station.one(Confirmation.kind, "a")
    assert void == Confirmation(segment=item.segment)
    assert link.judge(void) is Outcome.DONE
    assert (link.a.pads.segments, link.b.pads.segments) == ({}, {})
    assert (link.a.station.burned("handover-failed"), link.b.station.burned("handover-failed")) == (4096, 0)
    link.b.collector.fetch_failed(item.segment, again=False)
    link.b.collector.fetched(item.segment, keys_of(0))
    assert link.b.pads.segments == {}, "what comes after giving up changes nothing"


def test_a_large_segment_is_fetched_in_parts_of_what_the_device_allows():
    link = Link()
    link.b.collector.facts = DeviceFacts(key_size=256, most=100)
    item = link.announce(keys_of(0))
    link.b.collector.announced(item)
    (first,) = link.b.collector.calls()
    assert first.key_ids == item.key_ids[:100]
    link.b.collector.fetched(item.segment, keys_of(0, 100))
    (second,) = link.b.collector.calls()
    assert second.key_ids == item.key_ids[100:]
    link.b.collector.fetched(item.segment, keys_of(100, COUNT - 100))
    confirmation = link.b.station.one(Confirmation.kind, "a")
    assert link.judge(confirmation) is Outcome.DONE


def test_keys_that_came_in_time_are_kept_while_a_late_one_is_asked_for_alone():
    link = Link()
    item = link.announce(keys_of(0))
    link.b.collector.announced(item)
    link.b.collector.calls()
    link.b.collector.fetched(item.segment, keys_of(0, COUNT - 1))
    (call,) = link.b.collector.calls()
    assert call.key_ids == item.key_ids[-1:]
    link.b.collector.fetch_failed(item.segment, again=True)
    link.clock.advance(limits.REPEAT_FIRST)
    (call,) = link.b.collector.calls()
    assert call.key_ids == item.key_ids[-1:]
    link.b.collector.fetched(item.segment, keys_of(COUNT - 1, 1))
    assert link.judge(link.b.station.one(Confirmation.kind, "a")) is Outcome.DONE


def test_a_device_that_hands_out_other_keys_than_asked_voids_the_segment():
    link = Link()
    item = link.announce(keys_of(0))
    link.b.collector.announced(item)
    link.b.collector.calls()
    link.b.collector.fetched(item.segment, keys_of(500))
    assert link.b.collector.calls() == [], "it is not asked without end"
    assert link.b.station.one(Confirmation.kind, "a") == Confirmation(segment=item.segment)
    assert link.b.pads.segments == {}


def test_a_device_that_hands_out_a_key_a_second_time_voids_the_segment():
    link = Link()
    link.judge(link.fetch(link.announce(keys_of(0)), keys_of(0)))
    item = link.announce(keys_of(1000))
    link.b.collector.announced(item)
    link.b.collector.calls()
    repeated = [(key_id, key) for (key_id, _), (_, key) in zip(keys_of(1000), keys_of(0), strict=True)]
    link.b.collector.fetched(item.segment, repeated)
    assert link.b.collector.calls() == []
    assert item.segment not in link.b.pads.segments


def test_no_key_at_all_voids_the_segment():
    link = Link()
    item = link.announce(keys_of(0))
    link.b.collector.announced(item)
    link.b.collector.fetched(item.segment, [])
    assert link.b.pads.segments == {}


def test_a_short_key_at_the_neighbour_voids_the_segment():
    link = Link()
    item = link.announce(keys_of(0))
    short = [*keys_of(0)[:-1], (keys_of(COUNT - 1)[0][0], Secret(b"short"))]
    assert link.fetch(item, short) == Confirmation(segment=item.segment)
    assert link.b.pads.segments == {}


def test_keys_of_a_wrong_size_or_seen_before_are_not_taken_and_raise_an_alarm():
    link = Link()
    link.judge(link.fetch(link.announce(keys_of(0)), keys_of(0)))
    repeated_id = ("KEY-3", Secret(bytes_of("fresh", 32)))
    repeated_key = ("fresh", Secret(bytes_of("key 3", 32)))
    short = ("short", Secret(b"short"))
    item = link.announce([repeated_id, repeated_key, short, *keys_of(1000)])
    assert item.key_ids == tuple(key_id for key_id, _ in keys_of(1000))
    assert link.a.station.alarms() == ["key-repeated", "key-repeated", "key-size"]


def test_a_key_handed_out_twice_in_one_answer_is_taken_once():
    link = Link()
    twice = [(f"again-{i}", key) for i, (_, key) in enumerate(keys_of(0, 3))]
    item = link.announce([*keys_of(0, 3), *twice, *keys_of(3, COUNT - 3)])
    assert item.key_ids == tuple(key_id for key_id, _ in keys_of(0))
    assert link.a.station.alarms() == ["key-repeated"] * 3


def test_keys_are_remembered_over_a_restart():
    link = Link()
    link.judge(link.fetch(link.announce(keys_of(0)), keys_of(0)))
    link.a.station.commit()
    link.a.station.start()
    link.a.collector = link.a.made()
    link.a.collector.got(keys_of(0, 3))
    assert link.a.station.alarms() == ["key-repeated"] * 3


def test_the_memory_of_keys_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SEEN_PER_LINK", 3 * COUNT)
    link = Link()
    link.judge(link.fetch(link.announce(keys_of(0)), keys_of(0)))
    link.judge(link.fetch(link.announce(keys_of(500)), keys_of(500)))
    link.a.station.commit()
    kept = [record for record in link.a.station.database.load() if isinstance(record, Seen)]
    assert [record.order for record in kept] == [1]
    assert len(link.a.collector._fingerprints) <= 3 * COUNT


def test_another_segment_under_a_known_name_is_refused_and_a_repeat_is_done():
    link = Link()
    item = link.announce(keys_of(0))
    assert link.b.collector.announced(item).outcome is Outcome.DONE
    assert link.b.collector.announced(item).outcome is Outcome.DONE
    other = Segments(segment=item.segment, link="a-b", key_ids=item.key_ids, length=1)
    assert link.b.collector.announced(other).outcome is Outcome.REFUSED
    mine = Segments(segment=item.segment, link="a-b", key_ids=item.key_ids, length=item.length)
    assert link.a.collector.announced(mine).outcome is Outcome.REFUSED, "it is not the neighbour's"


@pytest.mark.parametrize(
    ("key_ids", "length"),
    [(("x", "X"), 4096), (("x",), limits.LINK_CHECK), (("x",), 2 * limits.SEGMENT_MAX + 1)],
    ids=["repeated key_ID", "nothing but its check", "too many bytes"],
)
def test_an_impossible_segment_is_refused(key_ids: tuple[str, ...], length: int):
    link = Link()
    item = Segments(segment="5e" * 16, link="a-b", key_ids=key_ids, length=length)
    assert link.b.collector.announced(item).outcome is Outcome.REFUSED
    assert link.b.pads.segments == {}


@pytest.mark.parametrize("name", ["", "s", "5E" * 16, "5e" * 17, "../" * 10 + "ab"])
def test_a_segment_without_a_proper_id_is_refused(name: str):
    link = Link()
    item = Segments(segment=name, link="a-b", key_ids=("x",), length=4096)
    assert link.b.collector.announced(item).outcome is Outcome.REFUSED


def test_the_neighbour_takes_a_bounded_number_of_segments_under_hand_over():
    link = Link()
    outcomes = [
        link.b.collector.announced(Segments(segment=f"{i:032x}", link="a-b", key_ids=(str(i),), length=32)).outcome
        for i in range(2 * limits.HANDOVERS_OPEN + 1)
    ]
    assert outcomes == [Outcome.DONE] * 2 * limits.HANDOVERS_OPEN + [Outcome.REFUSED]


def test_a_refused_hand_over_is_burned_at_the_owner():
    link = Link()
    link.announce(keys_of(0))
    link.a.station.answer(Segments.kind, "b", Outcome.REFUSED)
    assert (link.a.pads.segments, link.a.station.burned("handover-refused")) == ({}, 4096)


def test_a_hand_over_that_nobody_confirms_ends_after_a_bounded_time():
    link = Link()
    link.announce(keys_of(0))
    link.clock.advance(limits.HANDOVER_TIME - 1)
    link.a.collector.expire()
    assert link.a.pads.segments
    link.clock.advance(1)
    link.a.collector.expire()
    assert (link.a.pads.segments, link.a.station.burned("handover-timeout")) == ({}, 4096)
    assert len(link.a.station.outbox) == 0, "its key_IDs are told no more"


def test_hand_overs_of_segments_that_a_meeting_burned_are_forgotten():
    link = Link()
    item = link.announce(keys_of(0))
    link.b.collector.announced(item)
    for end in (link.a, link.b):
        end.pads.burn(item.segment, "meeting")
        end.collector.dropped()
        end.collector.expire()
    assert (link.b.collector.calls(), link.a.collector._announced_at) == ([], {})

"""Events: numbered without a gap, kept in bounds, and told no more often than somebody can use."""

from quiver.domain import limits
from quiver.domain.event_log import EventLog, Gauge, Pauses
from quiver.domain.events import LinkDown, RaisedAlarm
from quiver.domain.journal import Journal
from quiver.domain.records import Burned

from .ground import HandClock


def down(link: int) -> LinkDown:
    return LinkDown(link=str(link), neighbour="b")


def test_events_are_numbered_from_1_and_taken_once():
    log = EventLog()
    assert (log.sequence, log.take()) == (0, [])
    for link in range(3):
        log.note(down(link))
    assert [(event.sequence, event.body) for event in log.take()] == [(1, down(0)), (2, down(1)), (3, down(2))]
    assert log.take() == []
    log.note(down(3))
    assert [event.sequence for event in log.take()] == [4]
    assert [event.sequence for event in log.after(2)] == [3, 4]


def test_only_the_newest_are_kept_and_the_gap_shows_in_their_numbers():
    log = EventLog()
    for link in range(limits.EVENTS_KEPT + 5):
        log.note(down(link))
    assert [event.sequence for event in log.after(0)] == list(range(6, limits.EVENTS_KEPT + 6))
    assert log.take()[0].sequence == 6


def test_an_alarm_that_is_raised_a_hundred_times_in_one_commit_is_one_event():
    journal = Journal(Burned())
    for _ in range(100):
        journal.alarm("key-repeated", link="a-b")
    assert [event.body for event in journal.events.take()] == [RaisedAlarm(name="key-repeated", about={"link": "a-b"})]
    assert (len(journal.take_alarms()), journal.alarmed) == (100, {"key-repeated": 100})
    journal.alarm("key-repeated", link="a-b")
    assert len(journal.events.take()) == 1


def test_a_name_passes_once_in_its_pause_and_a_full_table_refuses_the_new():
    clock = HandClock()
    pauses = Pauses(clock.now, 10.0, 2)
    assert [pauses.passes(name) for name in ("a", "a", "b", "c")] == [True, False, True, False]
    clock.advance(9.9)
    assert not pauses.passes("a")
    clock.advance(0.1)
    assert [pauses.passes(name) for name in ("c", "a", "b")] == [True, True, False]


def test_a_level_between_its_two_marks_changes_nothing():
    gauge = Gauge()
    turns = [gauge.turned(value, 25, 50) for value in (100, 25, 24, 40, 50, 51, 40, 24)]
    assert turns == [False, False, True, False, False, True, False, True]

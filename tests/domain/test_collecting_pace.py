"""When a collector asks its device: up to its level, in portions, less often where the device refuses, never before a meeting."""

import pytest

from quiver.domain import limits
from quiver.domain.collector import DeviceGet
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.messages import Segments
from quiver.domain.network import LinkEntry
from quiver.domain.records import SegmentState

from .collecting import COUNT, End, keys_of
from .ground import HandClock, shared_segment


@pytest.fixture
def end() -> End:
    return End("a", "b", HandClock())


def test_nothing_is_asked_before_the_device_is_known_or_the_neighbour_is_met(end: End):
    end.collector.facts = None
    assert (end.collector.calls(), end.collector.due) == ([], None)
    end.collector.facts = DeviceFacts()
    end.station.met.clear()
    assert end.collector.calls() == []


def test_an_end_that_does_not_collect_never_asks(end: End):
    end.link = LinkEntry("a-b", "b", collect=False)
    assert end.made().calls() == []


def test_one_call_is_under_way_at_a_time_and_asks_for_what_the_segment_lacks(end: End):
    end.collector.facts = DeviceFacts(key_size=256, most=100)
    assert end.collector.calls() == [DeviceGet("a-b", 100)]
    assert end.collector.calls() == []
    end.collector.got(keys_of(0, 100))
    assert end.collector.calls() == [DeviceGet("a-b", COUNT - 100)]
    end.collector.got(keys_of(100, COUNT - 100))
    (item,) = end.station.said(Segments.kind, "b")
    assert isinstance(item, Segments)
    assert len(item.key_ids) == COUNT


def test_collecting_stops_at_the_level(end: End):
    for name in ("s1", "s2"):
        assert end.collector.calls(), name
        end.collector._getting = False
        end.pads.add(shared_segment(name, "a", "b", "a"))
    assert end.collector.calls() == []


def test_collecting_stops_while_too_many_hand_overs_are_open():
    end = End("a", "b", HandClock(), level=limits.PAD_LEVEL)
    for i in range(limits.HANDOVERS_OPEN):
        segment = shared_segment(str(i), "a", "b", "a")
        segment.state = SegmentState.ANNOUNCED
        end.pads.add(segment)
    assert end.collector.calls() == []


def test_a_device_that_refuses_is_asked_less_and_less_often(end: End):
    pauses = []
    for _ in range(6):
        assert end.collector.calls()
        end.collector.refused()
        assert end.collector.calls() == []
        due = end.collector.due
        assert due is not None
        pauses.append(due - end.station.clock.now())
        end.station.clock.time = due
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert end.collector.failures == 6
    end.collector.calls()
    end.collector.got(keys_of(0, 1))
    assert end.collector.failures == 0
    end.collector.refused()
    assert end.collector.due == end.station.clock.now() + limits.REPEAT_FIRST, "it begins anew"


def test_the_end_of_a_pause_stays_due_until_the_device_could_be_asked(end: End):
    end.collector.calls()
    end.collector.refused()
    due = end.collector.due
    assert due is not None
    end.station.clock.time = due + 0.1
    assert end.collector.due == due, "whoever looks late still sees that something was due"
    assert end.collector.calls()
    assert end.collector.due is None


def test_an_answer_without_keys_counts_as_a_refusal(end: End):
    end.collector.calls()
    end.collector.got([])
    assert end.collector.failures == 1
    assert end.collector.calls() == []


def test_a_device_whose_keys_are_all_unusable_is_asked_less_often(end: End):
    end.collector.calls()
    end.collector.got(keys_of(0, COUNT, size=16))
    assert end.collector.calls() == []
    assert end.collector.due == end.station.clock.now() + limits.REPEAT_FIRST


def test_a_slow_device_hands_over_what_there_is_after_a_while(end: End):
    end.collector.calls()
    end.collector.got(keys_of(0, 2))
    end.station.clock.advance(limits.SEGMENT_TIME - 0.1)
    end.collector.expire()
    assert end.station.said(Segments.kind, "b") == ()
    end.station.clock.advance(0.1)
    end.collector.expire()
    item = end.station.one(Segments.kind, "b")
    assert isinstance(item, Segments)
    assert item.length == 64


def test_a_segment_is_never_so_small_that_its_check_spends_half_of_it(end: End):
    end.collector.calls()
    end.collector.got(keys_of(0, 1))
    end.station.clock.advance(limits.SEGMENT_TIME * 2)
    end.collector.expire()
    assert end.station.said(Segments.kind, "b") == ()


def test_a_device_that_runs_dry_hands_over_a_smaller_segment():
    end = End("a", "b", HandClock(), level=limits.SEGMENT_MIN * 64)
    end.collector.facts = DeviceFacts(key_size=256, most=COUNT + 3)
    end.collector.calls()
    end.collector.got(keys_of(0, COUNT + 3))
    assert end.station.said(Segments.kind, "b") == (), "the level asks for larger ones"
    end.collector.calls()
    end.collector.refused()
    item = end.station.one(Segments.kind, "b")
    assert isinstance(item, Segments)
    assert item.length == (COUNT + 3) * 32


def test_a_device_that_gives_fewer_keys_than_asked_for_is_not_called_for_each_single_one(end: End):
    end.collector.calls()
    end.collector.got(keys_of(0, 3))
    assert end.collector.calls() == []
    end.station.clock.advance(limits.REPEAT_FIRST)
    assert end.collector.calls() == [DeviceGet("a-b", COUNT - 3)]

"""Devices: what they say of their channel counts more than keys from their store, and one silence is not yet a fault."""

import itertools

import pytest

from quiver.domain import limits
from quiver.domain.device_watch import CONDITION_MOVES, Condition, DeviceFacts, Devices, DeviceSign
from quiver.domain.events import DeviceFault, DeviceRepaired, QberAlarm, QberNormal
from quiver.domain.journal import Journal
from quiver.domain.network import LinkEntry
from quiver.domain.records import Burned
from quiver.domain.report import DeviceState

LINK = "a-b"
WELL = DeviceFacts(stored=10, channel_up=True, qber=0.02)
DARK = DeviceFacts(stored=10, channel_up=False)


class Seat:
    def __init__(self) -> None:
        self.journal = Journal(Burned())
        self.devices = Devices((LinkEntry(LINK, "b"),), self.journal)

    @property
    def state(self) -> DeviceState:
        return self.devices[LINK].state

    def events(self) -> list[object]:
        return [event.body for event in self.journal.events.take()]


@pytest.fixture
def seat() -> Seat:
    return Seat()


def fault(reason: str) -> DeviceFault:
    return DeviceFault(link=LINK, neighbour="b", reason=reason)


REPAIRED = DeviceRepaired(link=LINK, neighbour="b")


def test_every_sign_leads_from_every_condition_somewhere():
    assert set(CONDITION_MOVES) == set(Condition)
    for condition, sign in itertools.product(Condition, DeviceSign):
        assert CONDITION_MOVES[condition][sign] is not Condition.UNKNOWN


def test_a_device_is_unknown_until_it_answers_and_ready_or_dry_then(seat: Seat):
    assert (seat.state, seat.devices[LINK].qber) == (DeviceState.UNKNOWN, None)
    seat.devices.told(LINK, DeviceFacts(stored=0))
    assert seat.state is DeviceState.DRY
    seat.devices.told(LINK, DeviceFacts(stored=None))
    assert seat.state is DeviceState.READY
    assert seat.events() == []


def test_a_device_that_is_emptied_as_fast_as_it_fills_is_not_dry_until_it_refuses(seat: Seat):
    seat.devices.gave(LINK)
    seat.devices.told(LINK, DeviceFacts(stored=0))
    assert seat.state is DeviceState.READY
    seat.devices.refused(LINK)
    assert seat.state is DeviceState.DRY
    seat.devices.gave(LINK)
    assert seat.state is DeviceState.READY


def test_a_dead_channel_is_a_fault_though_stored_keys_still_come(seat: Seat):
    seat.devices.told(LINK, WELL)
    seat.devices.told(LINK, DARK)
    for call in (seat.devices.gave, seat.devices.refused):
        call(LINK)
        assert seat.state is DeviceState.FAULT
    assert seat.events() == [fault("its channel is down")]
    seat.devices.told(LINK, WELL)
    assert seat.state is DeviceState.READY
    assert seat.events() == [REPAIRED]


def test_one_call_without_an_answer_is_no_fault_and_several_in_a_row_are(seat: Seat):
    seat.devices.told(LINK, WELL)
    for _ in range(5):
        for _ in range(limits.DEVICE_SILENCES - 1):
            seat.devices.silent(LINK, "unreachable")
        seat.devices.gave(LINK)
    assert seat.events() == []
    for _ in range(limits.DEVICE_SILENCES + 3):
        seat.devices.silent(LINK, "unreachable")
    assert (seat.events(), seat.state) == ([fault("unreachable")], DeviceState.FAULT)


def test_a_device_is_repaired_when_it_has_keys_again_not_when_it_only_answers(seat: Seat):
    for _ in range(limits.DEVICE_SILENCES):
        seat.devices.silent(LINK, "unreachable")
    seat.devices.refused(LINK)
    assert (seat.state, len(seat.events())) == (DeviceState.DRY, 1)
    seat.devices.told(LINK, DARK)
    assert seat.events() == [], "the fault was told"
    seat.devices.told(LINK, WELL)
    assert seat.events() == [REPAIRED]


def test_the_error_ratio_alarms_above_what_keys_can_be_made_with_and_between_the_marks_nothing_changes(seat: Seat):
    between = (limits.QBER_ALARM + limits.QBER_NORMAL) / 2
    for qber in (
        0.02,
        between,
        limits.QBER_ALARM,
        limits.QBER_ALARM + 0.01,
        0.3,
        between,
        limits.QBER_NORMAL / 2,
        0.02,
    ):
        seat.devices.told(LINK, DeviceFacts(stored=1, qber=qber))
    told = seat.events()
    assert told == [
        QberAlarm(link=LINK, neighbour="b", qber=limits.QBER_ALARM + 0.01),
        QberNormal(link=LINK, neighbour="b", qber=limits.QBER_NORMAL / 2),
    ]


def test_an_alarm_about_errors_is_reported_as_long_as_it_stands(seat: Seat):
    between = (limits.QBER_ALARM + limits.QBER_NORMAL) / 2
    stood = []
    for qber in (None, 0.02, 0.3, between, None, 0.02):
        seat.devices.told(LINK, DeviceFacts(stored=1, qber=qber))
        stood.append(seat.devices[LINK].alarmed)
    assert stood == [False, False, True, True, True, False]


def test_excess_noise_above_one_is_reported_as_one(seat: Seat):
    seat.devices.told(LINK, DeviceFacts(stored=1, qber=2.01))
    assert seat.devices[LINK].qber == 1.0
    assert seat.events() == [QberAlarm(link=LINK, neighbour="b", qber=1.0)]


def test_a_vendor_that_tells_nothing_of_its_link_is_judged_by_its_answers(seat: Seat):
    seat.devices.told(LINK, DeviceFacts(stored=3))
    assert (seat.state, seat.devices[LINK].qber) == (DeviceState.READY, None)


def test_a_device_that_comes_anew_is_unknown_again(seat: Seat):
    seat.devices.told(LINK, WELL)
    seat.devices.configure(())
    seat.devices.configure((LinkEntry(LINK, "b"),))
    assert seat.state is DeviceState.UNKNOWN

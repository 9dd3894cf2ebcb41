"""What the devices of a node's links do, as far as ETSI GS QKD 014 lets an agent know: a table of conditions.

Some vendors tell in `status_extension` whether the quantum channel is up, and its error ratio; of others only answers, refusals
and silence are seen. Stored keys may outlast a dead channel: what a device says of its channel counts more than that it still
hands out keys.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.event_log import Gauge
from quiver.domain.events import DeviceFault, DeviceRepaired, QberAlarm, QberNormal
from quiver.domain.journal import Journal
from quiver.domain.network import LinkEntry
from quiver.domain.report import DeviceState

__all__ = ["CONDITION_MOVES", "Condition", "DeviceFacts", "DeviceSign", "DeviceWatch", "Devices"]


class DeviceFacts(msgspec.Struct, frozen=True):
    """What *Get status* says of a device.

    Attributes:
        key_size: bits of its keys, a multiple of 8.
        most: keys per request at most.
        stored: keys that it could hand out now; None where that was not read.
        channel_up: whether the quantum channel is up; None where the vendor does not tell.
        qber: quantum bit error ratio, 0 to 1 (continuous variables: excess noise in shot noise units); None likewise.
    """

    key_size: int = 256
    most: int = 1
    stored: int | None = None
    channel_up: bool | None = None
    qber: float | None = None


class DeviceSign(StrEnum):
    """What is noticed of a device."""

    KEYS = "keys"  # it has handed out keys
    STOCKED = "stocked"  # its status says that it has some
    EMPTY = "empty"  # its status says that it has none
    REFUSED = "refused"  # it answers, and gives no new keys
    SILENT = "silent"  # it does not answer, or nothing that can be used
    DARK = "dark"  # its status says that its channel is down


class Condition(StrEnum):
    """How a device is; finer than `DeviceState`, which does not say why there is a fault."""

    UNKNOWN = "unknown"
    READY = "ready"
    DRY = "dry"
    DARK = "dark"
    SILENT = "silent"


_ANSWERS: Final = {
    DeviceSign.KEYS: Condition.READY,
    DeviceSign.STOCKED: Condition.READY,
    DeviceSign.EMPTY: Condition.DRY,
    DeviceSign.REFUSED: Condition.DRY,
    DeviceSign.SILENT: Condition.SILENT,
    DeviceSign.DARK: Condition.DARK,
}
CONDITION_MOVES: Final[dict[Condition, dict[DeviceSign, Condition]]] = {
    Condition.UNKNOWN: _ANSWERS,
    Condition.READY: {**_ANSWERS, DeviceSign.EMPTY: Condition.READY},  # a device that is emptied as fast as it fills
    Condition.DRY: _ANSWERS,
    Condition.DARK: {**_ANSWERS, DeviceSign.KEYS: Condition.DARK, DeviceSign.REFUSED: Condition.DARK},
    Condition.SILENT: _ANSWERS,
}
_STATES: Final = {
    Condition.UNKNOWN: DeviceState.UNKNOWN,
    Condition.READY: DeviceState.READY,
    Condition.DRY: DeviceState.DRY,
    Condition.DARK: DeviceState.FAULT,
    Condition.SILENT: DeviceState.FAULT,
}


class DeviceWatch(msgspec.Struct, eq=False):
    """One device.

    Attributes:
        faulty: a fault was told, and no repair since.
        silences: calls without an answer in a row.
        noise: whether the error ratio is too high; of its negative, as the gauge knows what is low.
    """

    entry: LinkEntry
    condition: Condition = Condition.UNKNOWN
    facts: DeviceFacts | None = None
    faulty: bool = False
    silences: int = 0
    noise: Gauge = msgspec.field(default_factory=Gauge)

    @property
    def state(self) -> DeviceState:
        """What the device does."""
        return _STATES[self.condition]

    @property
    def qber(self) -> float | None:
        """The error ratio as last told, 0 to 1."""
        told = self.facts.qber if self.facts is not None else None
        return None if told is None else min(1.0, max(0.0, told))

    @property
    def alarmed(self) -> bool:
        """Whether an alarm about the error ratio was told, and its end was not."""
        return self.noise.low


class Devices:
    """All devices of one node.

    Args:
        entries: their links.
        journal: where events are noted.
    """

    def __init__(self, entries: Iterable[LinkEntry], journal: Journal) -> None:
        self._journal: Final = journal
        self._watches: Final[dict[str, DeviceWatch]] = {}
        self.configure(entries)

    def configure(self, entries: Iterable[LinkEntry]) -> None:
        """Take up devices that are new, and let go of those that are gone."""
        wanted = {entry.id: entry for entry in entries}
        for link in [link for link in self._watches if link not in wanted]:
            del self._watches[link]
        for link, entry in wanted.items():
            self._watches.setdefault(link, DeviceWatch(entry)).entry = entry

    def __getitem__(self, link: str) -> DeviceWatch:
        """The device of a link."""
        return self._watches[link]

    def told(self, link: str, facts: DeviceFacts) -> None:
        """A device's status was read."""
        watch = self._watches[link]
        watch.facts = facts
        if facts.channel_up is False:
            self._move(watch, DeviceSign.DARK, "its channel is down")
        else:
            self._move(watch, DeviceSign.EMPTY if facts.stored == 0 else DeviceSign.STOCKED, "")
        if facts.qber is not None and watch.noise.turned(-facts.qber, -limits.QBER_ALARM, -limits.QBER_NORMAL):
            event = QberAlarm if watch.noise.low else QberNormal
            ratio = min(1.0, max(0.0, facts.qber))
            self._journal.events.note(event(link=link, neighbour=watch.entry.neighbour, qber=ratio))

    def gave(self, link: str) -> None:
        """A device has handed out keys."""
        self._move(self._watches[link], DeviceSign.KEYS, "")

    def refused(self, link: str) -> None:
        """A device has answered that it has no keys to give."""
        self._move(self._watches[link], DeviceSign.REFUSED, "")

    def silent(self, link: str, reason: str) -> None:
        """A call of a device brought no answer that can be used; it counts when the next one does not either.

        Args:
            link: of the device.
            reason: the class of the failure, nothing that the device has sent.
        """
        watch = self._watches[link]
        watch.silences += 1
        if watch.silences >= limits.DEVICE_SILENCES:
            self._move(watch, DeviceSign.SILENT, reason)

    def _move(self, watch: DeviceWatch, sign: DeviceSign, reason: str) -> None:
        watch.condition = CONDITION_MOVES[watch.condition][sign]
        if sign is not DeviceSign.SILENT:
            watch.silences = 0
        link, neighbour = watch.entry.id, watch.entry.neighbour
        if watch.state is DeviceState.FAULT and not watch.faulty:
            watch.faulty = True
            self._journal.events.note(DeviceFault(link=link, neighbour=neighbour, reason=reason))
        elif watch.state is DeviceState.READY and watch.faulty:
            watch.faulty = False
            self._journal.events.note(DeviceRepaired(link=link, neighbour=neighbour))

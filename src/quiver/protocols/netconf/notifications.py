"""Event notifications with replay (RFC 5277).

There is one log, and no queue for any subscriber: a subscription is a place in the log, which moves on as the subscriber takes
what it was sent. Whoever falls behind the oldest event in the log has lost events, and its session ends with that reason; the
node never waits for it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import NetconfError
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.filter import Filter, read_filter
from quiver.protocols.netconf.selection import Selection
from quiver.protocols.netconf.xml import (
    NETMOD,
    NOTIFICATION,
    Element,
    base,
    child,
    element,
    enclose,
    local_of,
    parse,
    qualified,
    text_of,
)

__all__ = [
    "STREAM",
    "EventLog",
    "Subscription",
    "notification",
    "read_subscription",
    "read_time",
    "streams",
    "utc_text",
]

STREAM: Final = "NETCONF"  # the one stream (RFC 5277 section 3.2.3)


def utc_text(moment: datetime) -> str:
    """A time as yang:date-and-time, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def read_time(text: str) -> datetime:
    """A time with its zone.

    Raises:
        ValueError: it is none, or has no zone.
    """
    found = datetime.fromisoformat(text.strip())
    if found.tzinfo is None:
        raise ValueError
    return found


def notification(event: Element, utc: datetime) -> bytes:
    """A notification message (RFC 5277 section 4)."""
    root = element(qualified(NOTIFICATION, "notification"))
    child(root, "eventTime", utc_text(utc))
    return enclose(root, (event,))


@dataclass(frozen=True, slots=True)
class _Logged:
    utc: datetime
    data: bytes


class EventLog:
    """The newest events, in the order in which they happened.

    Args:
        created: when the log began; replay reaches no further back.
        most: events kept.
    """

    def __init__(self, created: datetime, most: int = limits.NETCONF_EVENTS) -> None:
        self.created: Final = created
        self.aged: datetime | None = None  # time of the newest event that is not here any more
        self._events: deque[_Logged] = deque()
        self._most: Final = most
        self.next = 0  # number of the event that comes next

    @property
    def first(self) -> int:
        """Number of the oldest event that is here."""
        return self.next - len(self._events)

    def __getitem__(self, number: int) -> _Logged:
        return self._events[number - self.first]

    def append(self, event: Element, utc: datetime) -> None:
        """Keep an event; the oldest goes where the log is full.

        Raises:
            NetconfError: it is larger than an event may be, which is our own mistake.
        """
        data = notification(event, utc)
        if len(data) > limits.NETCONF_EVENT:
            raise NetconfError(f"a notification has at most {limits.NETCONF_EVENT} bytes")
        if len(self._events) == self._most:
            self.aged = self._events.popleft().utc
        self._events.append(_Logged(utc, data))
        self.next += 1


class Subscription:
    """One subscriber's place in the log.

    Args:
        log: of the stream.
        filters: which events it wants; None for all.
        start: from when on; None for what happens from now on.
        stop: until when; None for ever.
    """

    def __init__(
        self, log: EventLog, filters: tuple[Filter, ...] | None, start: datetime | None, stop: datetime | None
    ) -> None:
        self._log: Final = log
        self._selection: Final = None if filters is None else Selection(filters)
        self._start: Final = start
        self.stop: Final = stop
        self._next = log.next if start is None else log.first
        self._replayed = log.next if start is not None else None  # where replay ends; None when it has ended
        self.ended = False

    @property
    def lost(self) -> bool:
        """Whether the subscriber fell behind the log: events that it has not taken are gone."""
        return self._next < self._log.first

    def take(self, now: datetime) -> Iterator[bytes]:
        """The messages that are due, unless events are lost; stop asking when the subscriber has enough for now."""
        while not (self.ended or self.lost):
            if self._next == self._replayed:
                self._replayed = None
                yield notification(element(qualified(NETMOD, "replayComplete")), now)
            elif self._next == self._log.next:
                if self.stop is None or now < self.stop:
                    return
                self.ended = True
                yield notification(element(qualified(NETMOD, "notificationComplete")), now)
            else:
                event = self._log[self._next]
                self._next += 1
                if self._wants(event):
                    yield event.data

    def _wants(self, event: _Logged) -> bool:
        if self._start is not None and event.utc < self._start:
            return False
        if self.stop is not None and event.utc > self.stop:
            return False
        return self._selection is None or self._selection.passes(parse(event.data)[1])


def read_subscription(request: Element, log: EventLog, now: datetime) -> Subscription:
    """What a create-subscription asks for (RFC 5277 section 2.1.1).

    Raises:
        RpcError: a parameter is unknown or doubled, the stream is unknown, a time is none, in the wrong order, or in the future
            where it must not be.
    """
    allowed = [qualified(NOTIFICATION, name) for name in ("stream", "filter", "startTime", "stopTime")]
    given: dict[str, Element] = {}
    for part in request:
        tag = allowed[1] if part.tag == base("filter") else part.tag  # some clients put it into NETCONF's own namespace
        if tag not in allowed:
            raise _refused(Tag.UNKNOWN_ELEMENT, "no parameter of create-subscription", local_of(tag))
        if tag in given:
            raise _refused(Tag.BAD_ELEMENT, "a parameter stands only once", local_of(tag))
        given[tag] = part
    stream, selector, *_ = (given.get(tag) for tag in allowed)
    if stream is not None and text_of(stream).strip() != STREAM:
        raise _refused(Tag.INVALID_VALUE, f"the only stream is {STREAM}", "stream")
    start, stop = (_time(given.get(tag), tag) for tag in allowed[2:])
    if start is None and stop is not None:
        raise _refused(Tag.MISSING_ELEMENT, "stopTime needs startTime", "startTime")
    if start is not None and start > now:
        raise _refused(Tag.BAD_ELEMENT, "startTime is in the future", "startTime")
    if start is not None and stop is not None and stop < start:
        raise _refused(Tag.BAD_ELEMENT, "stopTime is before startTime", "stopTime")
    filters = None
    if selector is not None:
        if selector.get("type", "subtree") != "subtree":
            raise _refused(Tag.BAD_ATTRIBUTE, "the only type of filters is subtree", "filter")
        filters = read_filter(selector)
    return Subscription(log, filters, start, stop)


def _time(given: Element | None, tag: str) -> datetime | None:
    if given is None:
        return None
    try:
        return read_time(text_of(given))
    except ValueError:
        pass
    raise _refused(Tag.BAD_ELEMENT, "not a date and time with a zone (RFC 3339)", tag.rpartition("}")[2])


def _refused(tag: Tag, message: str, name: str) -> RpcError:
    return RpcError(tag, message, type=ErrorType.PROTOCOL, info=(("bad-element", name),))


def streams(log: EventLog) -> Element:
    """The list of streams, as `get` shows it (RFC 5277 section 3.2.5)."""
    root = element(qualified(NETMOD, "netconf"))
    stream = child(child(root, "streams"), "stream")
    child(stream, "name", STREAM)
    child(stream, "description", "All events of this node")
    child(stream, "replaySupport", "true")
    child(stream, "replayLogCreationTime", utc_text(log.created))
    if log.aged is not None:
        child(stream, "replayLogAgedTime", utc_text(log.aged))
    return root

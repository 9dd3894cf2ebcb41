"""What happens at a node and cannot wait for the controller's next poll. Names and amounts only, never a key (rule 4).

A node numbers its events from 1 in each run: a reader that finds a gap reads the whole state again.
"""

import msgspec

__all__ = [
    "BufferExhausted",
    "CreditGained",
    "CreditLost",
    "DeviceFault",
    "DeviceRepaired",
    "Event",
    "LinkDown",
    "LinkUp",
    "NewApplication",
    "NumberedEvent",
    "PadHigh",
    "PadLow",
    "PathPrimed",
    "QberAlarm",
    "QberNormal",
    "RaisedAlarm",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One thing that happened; its tag is its name."""


class LinkDown(Event, frozen=True, kw_only=True, tag="link-down"):
    """The neighbour is no longer heard along a link."""

    link: str
    neighbour: str


class LinkUp(Event, frozen=True, kw_only=True, tag="link-up"):
    """The neighbour is heard along a link, again or for the first time."""

    link: str
    neighbour: str


class DeviceFault(Event, frozen=True, kw_only=True, tag="device-fault"):
    """This end's device does not answer, or says that its channel is down; `reason` without anything it sent."""

    link: str
    neighbour: str
    reason: str


class DeviceRepaired(Event, frozen=True, kw_only=True, tag="device-repaired"):
    """This end's device hands out keys again."""

    link: str
    neighbour: str


class QberAlarm(Event, frozen=True, kw_only=True, tag="qber-alarm"):
    """The quantum bit error ratio (0 to 1) is above what keys can be made with."""

    link: str
    neighbour: str
    qber: float


class QberNormal(Event, frozen=True, kw_only=True, tag="qber-normal"):
    """The quantum bit error ratio (0 to 1) has fallen again."""

    link: str
    neighbour: str
    qber: float


class PadLow(Event, frozen=True, kw_only=True, tag="pad-low"):
    """Own pad towards a neighbour has fallen below a quarter of its level; bytes."""

    neighbour: str
    own: int
    level: int


class PadHigh(Event, frozen=True, kw_only=True, tag="pad-high"):
    """Own pad towards a neighbour has risen above half of its level again; bytes."""

    neighbour: str
    own: int
    level: int


class CreditLost(Event, frozen=True, kw_only=True, tag="path-credit-lost"):
    """At a source: the path is not whole any more, or dry."""

    path: str


class CreditGained(Event, frozen=True, kw_only=True, tag="path-credit-gained"):
    """At a source: credit has come, which proves that every hop is there; bytes."""

    path: str
    credit: int


class PathPrimed(Event, frozen=True, kw_only=True, tag="path-primed"):
    """At a source: the first block of a path version, in this run of the agent, is ready."""

    path: str


class BufferExhausted(Event, frozen=True, kw_only=True, tag="buffer-exhausted"):
    """A request for keys was refused, as there was no pad within the time to wait; once per destination and ten seconds."""

    destination: str


class NewApplication(Event, frozen=True, kw_only=True, tag="new-application"):
    """A permitted pair of SAEs asked for keys and there is no path between their nodes; rate-limited per pair."""

    master: str
    slave: str
    destination: str


class RaisedAlarm(Event, frozen=True, kw_only=True, tag="alarm"):
    """Something that an operator must hear of; `about` holds names and counts."""

    name: str
    about: dict[str, str] = {}


class NumberedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its number within the run, from 1."""

    sequence: int
    body: (
        LinkDown
        | LinkUp
        | DeviceFault
        | DeviceRepaired
        | QberAlarm
        | QberNormal
        | PadLow
        | PadHigh
        | CreditLost
        | CreditGained
        | PathPrimed
        | BufferExhausted
        | NewApplication
        | RaisedAlarm
    )

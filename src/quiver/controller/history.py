"""What has happened in the network, for those who ask later: entries with numbers that only grow."""

import msgspec

__all__ = ["HistoryEntry"]


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that has happened, or that an operator has ordered.

    Attributes:
        number: from 1, in order of arrival; never used again.
        time: seconds since 1970-01-01 UTC.
        name: what happened, of a fixed set: `rerouted`, `node-lost`, `ordered`, ...
        about: names, causes and routes.
        seconds: durations since the fault or order that began it.
    """

    number: int
    time: float
    name: str
    about: dict[str, str] = {}
    seconds: dict[str, float] = {}

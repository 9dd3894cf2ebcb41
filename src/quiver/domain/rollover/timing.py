"""The times of rollovers, in seconds, and why they are as they are."""

import msgspec

from quiver.domain import limits

__all__ = ["Timing"]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """How long what takes.

    Attributes:
        interval: from one proven key to the next, at least.
        lead: before its time that a round begins, so that its key is ready when the tunnel looks for one.
        proof: until a key that both ends have switched to must be in use.
        beat: between two looks at the partner while nothing else is to be done.
        look: between two looks at the tunnel while a key is to be proven.
        patience: that a silent partner has in the middle of a round.
        pause: after a round that failed; doubles up to `pause_most`.
        pause_most: the longest of these.
    """

    interval: float
    lead: float = 0.0
    proof: float = limits.ROLLOVER_PROOF
    beat: float = limits.ROLLOVER_BEAT
    look: float = limits.ROLLOVER_LOOK
    patience: float = limits.ROLLOVER_PATIENCE
    pause: float = limits.ROLLOVER_PAUSE
    pause_most: float = limits.ROLLOVER_PAUSE_MOST

"""Verdicts: what a hop or a route is good for, and what a search asks of it."""

from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["GOOD", "Condition", "Need", "Verdict"]


class Condition(StrEnum):
    """What a hop is good for."""

    GOOD = "good"
    POOR = "poor"  # it works; what passes it is moved where there is something better
    BROKEN = "broken"  # nothing passes it


class Need(StrEnum):
    """What a search asks of each hop."""

    GOOD = "good"  # it is good
    SOUND = "sound"  # nothing has to leave it: perhaps its pad is low, or it comes and goes
    ANY = "any"  # it is not broken


class Verdict(msgspec.Struct, frozen=True):
    """What a hop or route is good for.

    Attributes:
        condition: its class.
        cause: why it is no better, a word for operators; empty where good.
        where: the hop or node that is the reason.
        urgent: whether what passes is to be moved as soon as it can be; else only where it was not moved lately.
    """

    condition: Condition
    cause: str = ""
    where: str = ""
    urgent: bool = False

    def meets(self, need: Need) -> bool:
        """Whether it is as good as a search asks."""
        if self.condition is Condition.POOR:
            return need is Need.ANY or (need is Need.SOUND and not self.urgent)
        return self.condition is Condition.GOOD


GOOD: Final = Verdict(Condition.GOOD)

"""Credit: how much pad a path may take, so that a path that is dry or not whole costs nothing (design section 3, Prime 0)."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from quiver.domain import limits

__all__ = ["Claim", "Held", "Promises", "RateBucket", "Recent", "divide"]


class Claim(msgspec.Struct, frozen=True):
    """What one path version wants of a relay's pad towards its next node.

    Attributes:
        priority: 0 is the highest class.
        rate: bits per second of its entry; 0 where unbounded.
        active: whether a sequence of it passed lately.
        need: bytes that it could use: what the nodes after this one allow.
        urgent: as many of them, at most, that requests of SAEs want; the rest fills buffers.
    """

    key: str
    priority: int
    rate: int
    active: bool
    need: int
    urgent: int = 0


class Held(msgspec.Struct):
    """Credit received from the next node: soft state.

    Attributes:
        run: of the grantor.
        counter: its count within the run.
        limit: the version's byte count up to which sequences may be taken.
        until: when it expires, unless it is repeated.
    """

    run: str
    counter: int
    limit: int
    until: float

    def newer(self, run: str, counter: int) -> bool:
        """Whether a grant (run, counter) replaces this one; a late one of the same run does not."""
        return run != self.run or counter > self.counter


class Promises:
    """Limits that were told to the node before. Each is honoured for a while, also where a lower one has followed."""

    def __init__(self) -> None:
        self._told: list[tuple[int, float]] = []  # limits falling, times rising

    @property
    def empty(self) -> bool:
        """Whether there is none, as far as was noticed."""
        return not self._told

    def tell(self, limit: int, now: float) -> None:
        """A limit is told now."""
        while self._told and self._told[-1][0] <= limit:
            self._told.pop()
        if limit:
            self._told.append((limit, now + limits.CREDIT_HONOURED))

    def highest(self, now: float) -> int:
        """The highest limit that is still to be honoured; 0 where there is none."""
        while self._told and self._told[0][1] <= now:
            del self._told[0]
        return self._told[0][0] if self._told else 0


class Recent:
    """How much there was lately: it fades, with `limits.RECENT` as its time constant."""

    def __init__(self) -> None:
        self._value = 0.0
        self._then = 0.0

    def add(self, count: int, now: float) -> None:
        """So much was, now."""
        self._value, self._then = self.value(now) + count, now

    def value(self, now: float) -> float:
        """What is left of all that."""
        return self._value * math.exp((self._then - now) / limits.RECENT)


class RateBucket:
    """Bounds a path to its rate, with two seconds of burst but never less than the largest request.

    Args:
        rate: bits per second; 0 for no bound.
        now: seconds.
    """

    def __init__(self, rate: int, now: float) -> None:
        self._rate: Final = rate / 8
        self._burst: Final = max(self._rate * 2, float(limits.LARGEST_REQUEST))
        self._tokens = self._burst
        self._then = now

    def spend(self, count: int) -> None:
        """A sequence of `count` bytes has passed."""
        if self._rate:
            self._tokens -= count

    def left(self, now: float) -> int:
        """Bytes that may pass now; a very large number where there is no bound."""
        if not self._rate:
            return limits.DEPTH_MAX * 2
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        return max(0, int(self._tokens))

    def filling(self, now: float) -> bool:
        """Whether what may pass grows with time alone."""
        return bool(self._rate) and self.left(now) < int(self._burst)


def divide(available: int, claims: Sequence[Claim]) -> dict[str, int]:
    """Divide a relay's pad towards one node among the paths that go there: what requests want first, then what fills buffers.

    One eighth is kept for the highest class. The rest is shared by weight (class, rate, and whether the path was active
    lately), no path gets more than it needs, and what one leaves goes to the others.

    Returns:
        Path version → bytes.
    """
    reserve = available // 8 if any(claim.priority == 0 and claim.need for claim in claims) else 0
    wanted = [replace(claim, need=min(claim.need, claim.urgent)) for claim in claims if claim.urgent]
    if not wanted:
        return _share(available, claims, reserve)
    first = _share(available, wanted, reserve)
    rest = [replace(claim, need=claim.need - first[claim.key]) if claim.urgent else claim for claim in claims]
    used = sum(first[claim.key] for claim in wanted if claim.priority == 0)
    then = _share(available - sum(first.values()), rest, max(0, reserve - used))
    return {key: count + first.get(key, 0) for key, count in then.items()}


def _share(available: int, claims: Sequence[Claim], reserve: int) -> dict[str, int]:
    """Likewise, whatever it is for; `reserve` is for the highest class alone."""
    shares = dict.fromkeys((claim.key for claim in claims), 0)
    if available <= 0 or not any(claim.need for claim in claims):
        return shares
    _fill(shares, [claim for claim in claims if claim.priority > 0], available - reserve)
    spoken_for = sum(shares.values())
    _fill(shares, [claim for claim in claims if claim.priority == 0], available - spoken_for)
    return shares


def _fill(shares: dict[str, int], claims: Sequence[Claim], available: int) -> None:
    """Water-filling by weight."""
    hungry = list(claims)
    while hungry and available > 0:
        total = sum(_weight(claim) for claim in hungry)
        given = {claim.key: min(claim.need, int(available * _weight(claim) / total)) for claim in hungry}
        full = [claim for claim in hungry if given[claim.key] >= claim.need]
        if not full:
            shares.update(given)
            return
        for claim in full:
            shares[claim.key] = claim.need
            available -= claim.need
        hungry = [claim for claim in hungry if claim not in full]


def _weight(claim: Claim) -> float:
    """Halves with each class below the highest; idle paths weigh an eighth, so that a busy one is not starved by them."""
    return (claim.rate or 100_000) * 2.0**-claim.priority * (1.0 if claim.active else 0.125)

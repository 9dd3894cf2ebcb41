"""What the metrics plane shows of a consumer."""

from collections.abc import Iterator
from typing import Final

import msgspec

from quiver.consume.end import End
from quiver.consume.initiating import Initiating
from quiver.consume.responding import Responding
from quiver.domain.rollover.initiator import Failure

__all__ = ["LABELS", "figures_of", "trouble_of"]

LABELS: Final = frozenset({"tunnel", "role", "cause"})


class Figure(msgspec.Struct, frozen=True):
    """One sample, as `quiver.net.metrics_plane.Sample` says."""

    name: str
    counter: bool
    about: str
    value: float
    labels: dict[str, str]


def figures_of(end: End, side: Initiating | Responding) -> Iterator[Figure]:
    """All samples of this moment."""
    own = {"tunnel": end.tunnel.kind, "role": "initiator" if isinstance(side, Initiating) else "responder"}
    age = end.tenure.age(end.clock())
    yield Figure("consumer_rollovers", True, "keys in use at both ends, counted by both", side.rollovers, own)
    yield Figure("consumer_keys", True, "keys that this end has switched to", end.keys, own)
    yield Figure("consumer_key_age_seconds", False, "since a key was proven last, or the start", age, own)
    yield Figure("consumer_expired", False, "1 while the key in use is older than it may be", end.tenure.expired, own)
    yield Figure("consumer_blocked", False, "1 while the tunnel is blocked, as there is no key", end.blocked, own)
    yield Figure("consumer_partner_up", False, "1 while the partner is heard", _heard(end, side), own)
    for cause, count in _failures(side).items():
        yield Figure("consumer_failures", True, "rollovers that failed, by cause", count, {**own, "cause": cause})
    if isinstance(side, Initiating) and side.losses.latest is not None:
        about = "packets that the tunnel lost, both directions"
        yield Figure("consumer_packets_lost", True, about, side.losses.total, own)
        yield Figure("consumer_packets_lost_last", False, f"{about}, at the last rollover", side.losses.latest, own)
    for name, value in end.tunnel.figures().items():
        plain = name.removesuffix("_total")
        yield Figure(f"consumer_{plain}", name != plain, f"the tunnel's {plain.replace('_', ' ')}", value, own)


def _heard(end: End, side: Initiating | Responding) -> bool:
    if isinstance(side, Initiating):
        return side.machine.partner_heard
    return side.heard is not None and end.clock() - side.heard < _SILENCE


_SILENCE: Final = 30.0  # seconds without a call after which a responder counts its initiator as gone


def _failures(side: Initiating | Responding) -> dict[str, int]:
    if isinstance(side, Initiating):
        return {failure.value: count for failure, count in side.machine.failures.items()}
    return {"offer-refused": side.refused, Failure.NOT_PROVEN.value: side.proof.missed}


def trouble_of(end: End, side: Initiating | Responding) -> str | None:
    """What is not well, in a sentence; None while all is."""
    if end.tenure.expired:
        return "the tunnel is blocked: no new key came" if end.blocked else "the key in use is older than it may be"
    if end.trouble is not None:
        return end.trouble
    if end.keys == 0:
        return "no key has come yet"
    if isinstance(side, Initiating) and side.machine.last_failure is not None:
        return f"the last rollover failed: {side.machine.last_failure.value}"
    if isinstance(side, Responding) and side.proof.late:
        return "the tunnel has not been seen to use its key"
    return None if _heard(end, side) else "the partner is not heard"

"""What a run of the demonstration was to do, and what came of it."""

from typing import Final

import msgspec

from quiver.demo.encrypt.consumers import State
from quiver.demo.encrypt.traffic import Counts
from quiver.demo.faults import FaultResult

__all__ = ["LOSS", "EncryptOptions", "EncryptResult"]

LOSS: Final = 0.005
"""Share of packets that may be lost. A machine of two cores that carries network and tunnel loses some by itself; a tunnel that
stands still for two seconds in three rollovers of WireGuard loses more."""


class EncryptOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        kind: of the tunnel; `auto` for WireGuard where it can be shown, else the link encryptor.
        rollovers: keys that both ends are to count before it ends.
        seed: of the network.
    """

    kind: str
    rollovers: int
    seed: int


class EncryptResult(msgspec.Struct, frozen=True, kw_only=True):
    """What happened.

    Attributes:
        options: what was to be done.
        kind: of the tunnel.
        words: what the tunnel was, in words.
        saes: SAE IDs of both ends.
        hops: QKD links of the first path.
        faults: each, with what became of the path.
        state: of the consumers in the end.
        counts: of the traffic.
        seconds: that traffic flowed.
    """

    options: EncryptOptions
    kind: str
    words: str
    saes: tuple[str, str]
    hops: int
    faults: list[FaultResult]
    state: State
    counts: Counts
    seconds: float

    @property
    def reroutes(self) -> int:
        """Faults after which the path had keys over another route."""
        return sum(fault.moved for fault in self.faults)

    @property
    def flawless(self) -> bool:
        """Whether every fault was gone round, no rollover failed, no connection broke, and next to nothing was lost."""
        return (
            self.state.rollovers >= self.options.rollovers
            and self.reroutes == len(self.faults)
            and not self.state.failures
            and not self.state.expired
            and not self.counts.broken
            and self.counts.echoes > 0
            and self.counts.unanswered <= LOSS * self.counts.echoes
            and self.counts.lost <= LOSS * self.counts.datagrams
        )

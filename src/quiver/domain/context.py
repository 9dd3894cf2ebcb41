"""What every part of a node shares: its configuration, its journal, its outbox, its pads, clock and randomness."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from quiver.domain.journal import Journal
from quiver.domain.messages import Answer, Gift, Outcome, Retirement
from quiver.domain.network import Network, PathEntry
from quiver.domain.outbox import Outbox
from quiver.domain.pads import LinkPads
from quiver.domain.ports import Clock, KeyEntropy
from quiver.domain.records import Piece, Segment

__all__ = ["Context"]


class Context(msgspec.Struct):
    """The surroundings of one part of a node.

    Attributes:
        network: the node's configuration.
        entries: its path versions by key.
        journal: where durable changes are noted.
        outbox: where messages leave.
        pads: neighbour → pad shared with it.
        clock: monotonic time.
        service_time: how long the database has been in use: ages of what is durable are counted by it.
        entropy: fresh randomness.
        met: whether a node is met in this run (rule 2).
        reached: whether it is, and has answered lately.
        audit_salt: key of the HMAC under which audit lines name batches.
        linked: whether a link to a neighbour is up.
        link_up: whether one link is up.
    """

    network: Network
    entries: dict[str, PathEntry]
    journal: Journal
    outbox: Outbox
    pads: dict[str, LinkPads]
    clock: Clock
    service_time: Clock
    entropy: KeyEntropy
    met: Callable[[str], bool]
    reached: Callable[[str], bool]
    audit_salt: bytes
    linked: Callable[[str], bool] = lambda _neighbour: True
    link_up: Callable[[str], bool] = lambda _link: True

    @property
    def node(self) -> str:
        """This node's id."""
        return self.network.node

    def blind(self, name: str) -> str:
        """What an audit line calls a batch: nobody who reads the log can ask for its keys."""
        return hmac.new(self.audit_salt, name.encode(), hashlib.sha256).hexdigest()[:32]

    def told(self, neighbour: str, pieces: tuple[Piece, ...], outcome: Outcome | None) -> None:
        """An announcement of own pad was answered, or is given up; tells the neighbour which segments are through.

        A segment that the neighbour does not have is burned: everything else that is taken of it would be refused as well.
        """
        pads: Final = self.pads.get(neighbour)
        if pads is None:  # no link leads there any more
            return
        for segment in pads.told(pieces, accepted=outcome is Outcome.DONE):
            self.retire(neighbour, segment)
        if outcome is Outcome.NO_SEGMENT:
            for name in {piece.segment for piece in pieces}.intersection(pads.segments):
                pads.burn(name, "no-segment")

    def give(self, neighbour: str, segment: Segment) -> None:
        """Give an untouched own segment to the neighbour, and tell it until it knows."""
        pads, name = self.pads[neighbour], segment.segment
        pads.give(segment)

        def known(answer: Answer) -> None:
            if name not in pads.segments or not pads.segments[name].given:
                return
            if answer.outcome is Outcome.DONE:
                pads.gift_known(name)
            else:
                pads.burn(name, "gift-refused")

        self.outbox.post(neighbour, name, Gift(segment=name), known)

    def retire(self, neighbour: str, segment: str) -> None:
        """Tell the neighbour that nothing more of an own segment will be allocated, until it knows."""

        def known(answer: Answer) -> None:
            pads = self.pads[neighbour]
            if answer.outcome is Outcome.DONE and segment in pads.segments:
                pads.drop(segment)

        self.outbox.post(neighbour, segment, Retirement(segment=segment), known)

"""The nodes to which this one has something to say: those at the other ends of its links, and those along its paths.

A node that is none of them any more is forgotten: what was on its way there, and the meeting that had begun. What was seen of its
database is kept of a bounded number of such nodes, those that left last (ADR 0008 says what that may cost).
"""

from typing import Final

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.delivery import Delivery
from quiver.domain.meeting import Meeting
from quiver.domain.paths import Paths
from quiver.domain.vault import Vault

__all__ = ["Contacts"]


class Contacts:
    """Who there is to talk to.

    Args:
        context: the node.
        paths: its roles.
        meeting: who is met, and what was seen of whom.
        delivery: keys on their way to others.
        vault: keys that wait for its SAEs.

    Attributes:
        present: the nodes, as of the last `review`.
    """

    def __init__(self, context: Context, paths: Paths, meeting: Meeting, delivery: Delivery, vault: Vault) -> None:
        self._context: Final = context
        self._paths: Final = paths
        self._meeting: Final = meeting
        self._delivery: Final = delivery
        self._vault: Final = vault
        self.present = set(meeting.peers)  # in an earlier run
        self._left: Final[dict[str, float]] = {}  # who is none any more, and is not forgotten yet → since when
        self.review()

    def found(self) -> set[str]:
        """All nodes with which this one exchanges messages, as its links and paths are now."""
        return self._paths.contacts() | set(self._context.pads)

    def review(self) -> set[str]:
        """Take note of who has come, and forget who has left. Called after every change of links or paths, and each second.

        Who has left is forgotten a heartbeat later: the last marks of a path are still on their way out when it is gone.

        Returns:
            The nodes that have come.
        """
        now = self._context.clock.now()
        before, self.present = self.present, self.found()
        self._left.update(dict.fromkeys(before - self.present, now))
        for peer in self.present.intersection(self._left):
            del self._left[peer]
        gone = [peer for peer, since in self._left.items() if since + limits.HEARTBEAT <= now]
        for peer in sorted(gone):
            del self._left[peer]
            self._delivery.lost(peer, "retired")
            self._context.outbox.leave(peer)
            self._meeting.part(peer)
        if gone:
            self._forget_oldest()
        return self.present - before

    def _forget_oldest(self) -> None:
        former = [peer for peer in self._meeting.peers if peer not in self.present]
        for peer in former[: -limits.FORMER_CONTACTS]:
            self._vault.forget_source(peer)
            self._meeting.forget(peer)

"""What a node holds together with another one: told when the two meet, agreed upon, or burned (rule 2).

A peer's word can only burn, never revive: where the two differ, the owner goes on at the higher mark, and what only one side has
is given up.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from quiver.domain.collector import Collector
from quiver.domain.context import Context
from quiver.domain.delivery import Delivery
from quiver.domain.messages import Inventory
from quiver.domain.paths import Paths
from quiver.domain.records import Peer
from quiver.domain.vault import Vault

__all__ = ["Holdings"]


class Holdings:
    """All that one node shares with others.

    Args:
        context: the node.
        paths: its roles.
        vault: keys that wait for its SAEs.
        delivery: keys on their way to others.
        collectors: link → its collector.
        peers: the durable records of other nodes.
    """

    def __init__(
        self,
        context: Context,
        paths: Paths,
        vault: Vault,
        delivery: Delivery,
        collectors: Mapping[str, Collector],
        peers: Mapping[str, Peer],
    ) -> None:
        self._context: Final = context
        self._paths: Final = paths
        self._vault: Final = vault
        self._delivery: Final = delivery
        self._collectors: Final = collectors
        self._peers: Final = peers

    def inventory(self, peer: str) -> Inventory:
        """What this node holds together with another."""
        pads = self._context.pads.get(peer)
        seen = {key: relay.seen for key, relay in self._paths.relays.items() if relay.entry.source == peer}
        seen |= {k: d.seen for k, d in self._paths.destinations.items() if d.entry.source == peer}
        next_number = self._peers[peer].next_number if peer in self._peers else 0
        return Inventory(
            segments=pads.view() if pads is not None else {},
            sources={k: s.view() for k, s in self._paths.sources.items() if s.entry.destination == peer},
            destinations={k: d.view() for k, d in self._paths.destinations.items() if d.entry.source == peer},
            seen=seen,
            containers=(self._delivery.floor(peer), next_number, self._vault.seen(peer)),
        )

    def settle(self, peer: str, theirs: Inventory, *, started: bool) -> None:
        """Agree with what a peer holds; `started` says that this node has not met it before since its start."""
        if peer in self._context.pads:
            self._context.pads[peer].settle(theirs.segments)
        for collector in self._collectors.values():
            collector.dropped()
        for key, destination in self._paths.destinations.items():
            if destination.entry.source == peer and key in theirs.sources:
                _, floor, settled, ready = theirs.sources[key]
                destination.settle(floor, settled, ready)
            elif destination.entry.source == peer:
                destination.burn_all("meeting")
        for key, source in self._paths.sources.items():
            # Only the two that really see all of a source's sequences are believed about them.
            if key in theirs.seen and peer in (source.entry.after(self._context.node), source.entry.destination):
                source.continue_above(*theirs.seen[key])
            if source.entry.destination == peer:
                source.settle(theirs.destinations.get(key, ()), restarted=started)
        floor, _, seen = theirs.containers
        self._vault.observe(peer, floor)
        self._delivery.continue_above(peer, seen)

    def burn_shared(self, peer: str) -> None:
        """The peer's database is another one now: burn what was shared with the old one."""
        pads = self._context.pads.get(peer)
        for name in list(pads.segments) if pads is not None else ():
            assert pads is not None
            pads.burn(name, "peer-incarnation")
        for collector in self._collectors.values():
            collector.dropped()
        for source in self._paths.sources.values():
            if source.entry.destination == peer:
                source.burn_all("peer-incarnation")
        for relay in self._paths.relays.values():
            if peer in (relay.entry.destination, relay.entry.after(self._context.node)):
                relay.peer_lost()
        for destination in self._paths.destinations.values():
            if destination.entry.source == peer:
                destination.burn_all("peer-incarnation")
        self._delivery.lost(peer)
        self._vault.forget_source(peer)
        self._context.outbox.forget(peer)

    def burn_all(self, contacts: Iterable[str]) -> None:
        """This node's storage was rolled back: burn all pads, blocks and unfetched keys."""
        for peer in sorted({*contacts, *self._peers}):
            self.burn_shared(peer)
        for relay in self._paths.relays.values():
            relay.burn_all("peer-incarnation")
        self._vault.burn_all()

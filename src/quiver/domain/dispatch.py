"""Which part of a node answers which kind of item, and who may send it.

The tables are the whole of it: a kind that stands in none cannot be answered, and an item of a path is looked at only when its
sender has the role that the path entry gives it.
"""

from collections.abc import Callable
from typing import Final, Protocol

from quiver.domain import limits
from quiver.domain.collector import Collector
from quiver.domain.context import Context
from quiver.domain.messages import (
    Announcement,
    Answer,
    Ciphertext,
    Confirmation,
    Container,
    Credit,
    Floor,
    Gift,
    Header,
    Heartbeat,
    Item,
    Lost,
    Outcome,
    Ready,
    Retirement,
    Segments,
    Voided,
    Withdrawal,
)
from quiver.domain.network import PathEntry
from quiver.domain.paths import Paths
from quiver.domain.relay import Relay
from quiver.domain.vault import Vault

__all__ = ["Dispatch"]

PathItem = Floor | Credit | Announcement | Ciphertext | Lost | Ready | Voided


class _Sender(Protocol):
    def __call__(self, entry: PathEntry, node: str, sender: str) -> bool: ...


def _from_source(entry: PathEntry, node: str, sender: str) -> bool:
    return sender == entry.source and node == entry.destination


def _with_marks(entry: PathEntry, node: str, sender: str) -> bool:
    return _from_source(entry, node, sender) or (node in entry.relays and sender == entry.before(node))


def _from_destination(entry: PathEntry, node: str, sender: str) -> bool:
    return sender == entry.destination and node == entry.source


def _from_relay(entry: PathEntry, node: str, sender: str) -> bool:
    return sender in entry.relays and node == entry.destination


def _from_before(entry: PathEntry, node: str, sender: str) -> bool:
    return node != entry.source and sender == entry.before(node)


def _from_after(entry: PathEntry, node: str, sender: str) -> bool:
    return node != entry.destination and sender == entry.after(node)


SENDERS: Final[dict[str, _Sender]] = {
    Floor.kind: _with_marks,
    Credit.kind: _from_after,
    Announcement.kind: _from_before,
    Ciphertext.kind: _from_relay,
    Lost.kind: _from_relay,
    Ready.kind: _from_destination,
    Voided.kind: _from_destination,
}

DONE: Final = Answer(Outcome.DONE)


class Dispatch:
    """Answers the items of met nodes.

    Args:
        context: the node.
        paths: its roles.
        vault: the keys that wait for its SAEs.
        collectors: link → its collector.
    """

    def __init__(self, context: Context, paths: Paths, vault: Vault, collectors: dict[str, Collector]) -> None:
        self._context: Final = context
        self._paths: Final = paths
        self._vault: Final = vault
        self._collectors: Final = collectors
        # Each handler takes the one type of item that stands under its kind; `protocols.peer` makes no other.
        self._handlers: Final[dict[str, Callable[..., Answer]]] = {
            Floor.kind: self._floor,
            Credit.kind: self._credit,
            Announcement.kind: self._announcement,
            Ciphertext.kind: self._ciphertext,
            Lost.kind: self._lost,
            Ready.kind: self._ready,
            Voided.kind: self._voided,
            Heartbeat.kind: self._heartbeat,
            Gift.kind: self._gift,
            Retirement.kind: self._retirement,
            Segments.kind: self._segments,
            Confirmation.kind: self._confirmation,
            Container.kind: self._container,
            Withdrawal.kind: self._withdrawal,
        }

    def answer(self, sender: str, header: Header, item: Item) -> Answer:
        """The answer to one item of a met node; what it says is durable with the commit of this step."""
        if item.kind in SENDERS:
            entry = self._context.entries.get(getattr(item, "key", ""))
            if entry is None or entry.digest != getattr(item, "digest", ""):
                return Answer(Outcome.PATH_MISMATCH)
            if not SENDERS[item.kind](entry, self._context.node, sender):
                return Answer(Outcome.PATH_MISMATCH, "not from this node")
        return self._handlers[item.kind](sender, header, item)

    # --- paths ----------------------------------------------------------------------------------------------------

    def _floor(self, _sender: str, _header: Header, item: Floor) -> Answer:
        role = self._paths.relays.get(item.key) or self._paths.destinations[item.key]
        role.observe(item.floor, item.settled)
        role.close(item.closed)
        if isinstance(role, Relay):
            role.urge(max(0, min(item.urgent, limits.MARK_MAX)))
            role.tell_floor()
        return DONE

    def _credit(self, _sender: str, header: Header, item: Credit) -> Answer:
        self._paths.credit(header.run, item)
        return DONE

    def _announcement(self, sender: str, _header: Header, item: Announcement) -> Answer:
        if sender not in self._context.pads:  # of a version that outlives the link
            return Answer(Outcome.REFUSED, "no link between the two nodes")
        role = self._paths.relays.get(item.key) or self._paths.destinations[item.key]
        return role.announce(item)

    def _ciphertext(self, sender: str, _header: Header, item: Ciphertext) -> Answer:
        return self._paths.destinations[item.key].receive(sender, item)

    def _lost(self, sender: str, _header: Header, item: Lost) -> Answer:
        return self._paths.destinations[item.key].lost(sender, item)

    def _ready(self, _sender: str, _header: Header, item: Ready) -> Answer:
        return Answer(self._paths.sources[item.key].commit_ready(item.sequence))

    def _voided(self, _sender: str, _header: Header, item: Voided) -> Answer:
        self._paths.sources[item.key].voided(item.sequence)
        return DONE

    # --- link pads ------------------------------------------------------------------------------------------------

    def _heartbeat(self, sender: str, _header: Header, item: Heartbeat) -> Answer:
        if sender in self._context.pads:
            self._context.pads[sender].theirs = item.level
        wanted = min(item.wanted, self._paths.spare.get(sender, 0))
        while sender in self._context.pads and wanted > 0:
            segment = self._context.pads[sender].untouched()
            if segment is None or segment.length > self._paths.spare[sender]:
                break
            self._context.give(sender, segment)
            self._paths.spare[sender] -= segment.length
            wanted -= segment.length
        return DONE

    def _gift(self, sender: str, _header: Header, item: Gift) -> Answer:
        pads = self._context.pads.get(sender)
        return DONE if pads is not None and pads.receive_gift(item.segment) else Answer(Outcome.VOID)

    def _retirement(self, sender: str, _header: Header, item: Retirement) -> Answer:
        if sender in self._context.pads:
            self._context.pads[sender].retire(item.segment)
        return DONE

    def _segments(self, sender: str, _header: Header, item: Segments) -> Answer:
        collector = self._collectors.get(item.link)
        if collector is None or collector.link.neighbour != sender:
            return Answer(Outcome.REFUSED, "no such link")
        return collector.announced(item)

    def _confirmation(self, sender: str, _header: Header, item: Confirmation) -> Answer:
        pads = self._context.pads.get(sender)
        segment = pads.segments.get(item.segment) if pads is not None else None
        if segment is None or segment.link not in self._collectors:
            return Answer(Outcome.VOID)
        return self._collectors[segment.link].confirmed(item)

    # --- keys -----------------------------------------------------------------------------------------------------

    def _container(self, sender: str, _header: Header, item: Container) -> Answer:
        return self._vault.receive(sender, item)

    def _withdrawal(self, sender: str, _header: Header, item: Withdrawal) -> Answer:
        return self._vault.withdraw(sender, item)

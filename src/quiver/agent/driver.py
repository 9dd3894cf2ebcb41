"""Turns: how a node is driven, whatever its edges are made of.

A turn takes everything that has happened, lets the node act on it, and hands out one transaction. Only when that is durable do
the turn's effects leave: answers to other nodes, replies to SAEs, messages, calls of devices (rules 1, 3 and 5). So one fsync
serves all requests of a turn. The agent's engine and the simulation use this very class; they differ in what the effects do.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import msgspec

from quiver.domain.collector import DeviceFetch, DeviceGet
from quiver.domain.errors import QuiverError
from quiver.domain.events import NumberedEvent
from quiver.domain.journal import Alarm, AuditLine, Write
from quiver.domain.messages import Answer, Header, Item
from quiver.domain.node import Node
from quiver.domain.outbox import Message
from quiver.domain.reply import Reply

__all__ = ["Driver", "Edges", "Event", "Transaction"]

Effect = Callable[[], None]
Event = Callable[["Driver"], object]
"""Something that has happened: it is handed in to the driver that it gets."""
Respond = Callable[[Header, list[Answer]], None]
OnReply = Callable[[Reply], None]


class Edges(msgspec.Struct):
    """Where effects go. None of the four may call the driver before it returns.

    Attributes:
        send: a message to another node; `Driver.answered` or `Driver.failed` follows.
        call: a call of a device; `LinkSet.got`, `LinkSet.fetched` or their failures follow.
        alarm: something that an operator must hear of.
        event: something that the controller must hear of.
    """

    send: Callable[[Message], None]
    call: Callable[[DeviceGet | DeviceFetch], None]
    alarm: Callable[[Alarm], None]
    event: Callable[[NumberedEvent], None]


class Transaction(msgspec.Struct, frozen=True):
    """What one turn makes durable, all or nothing."""

    writes: list[Write]
    audit: list[AuditLine]


class Driver:
    """Drives one node.

    The caller makes sure that nothing is handed in between `turn` and `effects` but what needs no turn: beats of links, their
    answers, and answers to news.

    Args:
        node: freshly made from the database.
        edges: where effects go.
    """

    def __init__(self, node: Node, edges: Edges) -> None:
        self.node: Final = node
        self._edges: Final = edges
        self._early: list[Effect] = []
        self._late: list[Effect] = []

    # --- what has happened ----------------------------------------------------------------------------------------

    def receive(self, sender: str, kind: str, header: Header, items: Sequence[Item], respond: Respond) -> None:
        """A message of another node; `respond` gets header and answers when they are durable."""
        answers = self.node.receive(sender, kind, header, items)
        self._late.append(lambda: respond(self.node.header_for(sender), answers))

    def hear(self, sender: str, header: Header, items: Sequence[Item]) -> tuple[Header, list[Answer]]:
        """Beats of links from another node; the answer leaves at once. May be called between `turn` and `effects` too."""
        answers = self.node.hear(sender, header, items)
        return self.node.header_for(sender), answers

    def answered(self, message: Message, header: Header, answers: Sequence[Answer]) -> None:
        """Another node has answered a message."""
        self.node.answered(message, header, answers)

    def failed(self, message: Message) -> None:
        """No answer came to a message."""
        self.node.failed(message)

    def ask(self, master: str, slaves: Sequence[str], count: int, size: int, on_reply: OnReply) -> Reply:
        """A request for new keys, as `SaeDesk.ask`; `on_reply` gets keys or error, perhaps many turns later."""
        try:
            reply = self.node.saes.ask(master, slaves, count, size)
        except QuiverError as error:
            reply = Reply(error=error)
        if reply.done:
            self._leave(reply, on_reply)
        else:
            reply.when_done = partial(self._leave, on_reply=on_reply)
        return reply

    def fetch(self, caller: str, master: str, key_ids: Sequence[str], on_reply: OnReply) -> None:
        """A request for keys by their key_IDs, as `SaeDesk.fetch`."""
        try:
            reply = self.node.saes.fetch(caller, master, key_ids)
        except QuiverError as error:
            reply = Reply(error=error)
        self._leave(reply, on_reply)

    def _leave(self, reply: Reply, on_reply: OnReply) -> None:
        (self._early if reply.at_once else self._late).append(lambda: on_reply(reply))

    # --- a turn ---------------------------------------------------------------------------------------------------

    def beat(self) -> float | None:
        """Let the beats of links out where nothing else is due: five in a second are too many for a turn each.

        Returns:
            When something is next due, where that was all; None where a turn is due.
        """
        step_due = self.node.step_due
        if step_due <= self.node.now:
            return None
        links = self.node.ends.links
        before = links.changes
        for message in self.node.beats():
            self._edges.send(message)
        return self.node.due_with(step_due) if links.changes == before else None

    def turn(self) -> Transaction | None:
        """Let the node act on what has happened; what has to be durable before `effects`, None where nothing has.

        Replies that need no commit of this node leave at once.
        """
        self.node.step()
        early, self._early = self._early, []
        for effect in early:
            effect()
        journal = self.node.journal
        return Transaction(*journal.take()) if journal.urgent else None

    def committed(self, number: int) -> None:
        """The turn's transaction is durable under this commit number."""
        self.node.number = number

    def effects(self) -> Iterator[Effect]:
        """The turn's effects, each to be called once, in order."""
        late, self._late = self._late, []
        yield from late
        for alarm in self.node.journal.take_alarms():
            yield partial(self._edges.alarm, alarm)
        for event in self.node.journal.events.take():
            yield partial(self._edges.event, event)
        for message in self.node.messages():
            yield partial(self._edges.send, message)
        for call in self.node.ends.calls():
            yield partial(self._edges.call, call)

"""A trusted node without its edges: every rule of sections 3 and 4 of the design, driven from outside.

Whoever drives a node (the agent's engine, or the simulation) does this, again and again:

1. hand in what has happened: `receive`, `answered`, `failed`, `saes.ask`, `saes.fetch`, `ends.got`, ...; then call `step`;
2. if `journal.urgent`, make `journal.take()` durable in one commit and set `number` to its commit number;
3. only then let out what the step produced: answers, replies to SAEs, `messages()`, `ends.calls()` of devices.

Where nothing but the beats of links is due, `beats()` alone does.

If the commit fails, the node is thrown away and made anew from the database: memory never runs ahead of storage. A reply that
says `at_once` may leave before the commit; what it says is durable at another node already.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.contacts import Contacts
from quiver.domain.context import Context
from quiver.domain.delivery import Delivery
from quiver.domain.dispatch import Dispatch
from quiver.domain.errors import ConfigurationError, QuiverError
from quiver.domain.holdings import Holdings
from quiver.domain.journal import Journal
from quiver.domain.link_set import LinkSet
from quiver.domain.meeting import Host, Meeting
from quiver.domain.messages import Answer, Header, Heartbeat, Hello, Item, LinkBeat, Outcome, Settle
from quiver.domain.network import Network
from quiver.domain.outbox import Message, Outbox
from quiver.domain.paths import Paths
from quiver.domain.ports import Clock, Entropy, KeyEntropy
from quiver.domain.records import Batch, Burned, Own, Peer, Record, Seen, Segment, Sent
from quiver.domain.sae_desk import SaeDesk
from quiver.domain.secret import Secret
from quiver.domain.service_time import ServiceTime
from quiver.domain.vault import Vault

__all__ = ["Node"]

R = TypeVar("R", bound=Record)
MET_AGAIN: Final = Answer(Outcome.MEET_FIRST)
HEARD: Final = Answer(Outcome.DONE)
STRANGER: Final = Answer(Outcome.REFUSED, "no link and no path in common")


class Node:
    """One trusted node.

    Args:
        network: its configuration.
        mac_key: the key under which it vouches for its commit numbers, 32 bytes, kept outside the database (rule 2).
        records: all durable records.
        number: the database's commit number.
        clock: monotonic time.
        entropy: fresh randomness.

    Raises:
        ConfigurationError: the configuration contradicts the records.
    """

    def __init__(
        self,
        network: Network,
        mac_key: bytes,
        records: Iterable[Record],
        number: int,
        clock: Clock,
        entropy: KeyEntropy,
    ) -> None:
        kept: Final = list(records)
        self.number = number
        self._clock: Final = clock
        self.journal: Final = Journal(next(iter(_of(Burned, kept)), Burned()))
        own: Final = next(iter(_of(Own, kept)), None) or self._new_database(entropy)
        self._service_time: Final = ServiceTime(clock, own, self.journal)
        self.outbox: Final = Outbox(
            clock,
            lambda peer: self.meeting.header_for(peer),
            lambda peer: self.meeting.met(peer),
            lambda peer: self.ends.links.along(peer),
        )
        self.context: Final = Context(
            network=network,
            entries={},
            journal=self.journal,
            outbox=self.outbox,
            pads={},
            clock=clock,
            service_time=self._service_time,
            entropy=entropy,
            met=lambda peer: self.meeting.met(peer),
            audit_salt=own.secret.reveal() if own.secret is not None else b"",
            linked=lambda neighbour: self.ends.links.linked(neighbour),
            link_up=lambda link: self.ends.links.up(link),
            reached=lambda peer: self.meeting.reached(peer),
        )
        self.ends: Final = LinkSet(self.context, _of(Segment, kept), _of(Seen, kept), self._link_changed)
        host = Host(
            inventory=lambda peer: self.holdings.inventory(peer),
            settle=lambda peer, theirs, started: self.holdings.settle(peer, theirs, started=started),
            burn_shared=lambda peer: self.holdings.burn_shared(peer),
            burn_all=lambda: self.holdings.burn_all(self.contacts()),
            number=lambda: self.number,
            came=self._met,
        )
        peers = {peer.node: peer for peer in _of(Peer, kept)}
        self.meeting: Final = Meeting(self.context, host, mac_key, own, peers, number)
        # Straight from here on: in each turn they are asked many times.
        self.context.met, self.context.reached = self.meeting.met, self.meeting.reached
        self.context.linked, self.context.link_up = self.ends.links.linked, self.ends.links.up
        self.run: Final = self.meeting.run  # names this start of the node: its counters and events begin anew
        self.paths: Final = Paths(self.context, kept)
        self.vault: Final = Vault(self.context, self.paths.destinations, self.meeting.peer, _of(Batch, kept))
        self.delivery: Final = Delivery(self.context, self.paths.sources, self.meeting.peer, _of(Sent, kept))
        self.holdings: Final = Holdings(
            self.context, self.paths, self.vault, self.delivery, self.ends.collectors, self.meeting.peers
        )
        self.saes: Final = SaeDesk(self.context, self.paths.sources, self.delivery, self.vault, self.meeting.met_any_of)
        self._dispatch: Final = Dispatch(self.context, self.paths, self.vault, self.ends.collectors)
        self._next_beat = clock.now()
        self._contacts: Final = Contacts(self.context, self.paths, self.meeting, self.delivery, self.vault)

    def _new_database(self, entropy: Entropy) -> Own:
        own = Own(incarnation=entropy.draw(16).hex())
        own.secret = Secret(entropy.draw(32))
        self.journal.put(own, secret=True)
        return own

    @property
    def now(self) -> float:
        """Monotonic time of the node's clock."""
        return self._clock.now()

    @property
    def network(self) -> Network:
        """The configuration that holds now."""
        return self.context.network

    def check(self, network: Network) -> None:
        """Whether `reconfigure` would take this configuration; changes nothing.

        Raises:
            ConfigurationError: it is another node's, or a path version's number was used before.
        """
        if network.node != self.network.node:
            raise ConfigurationError("a node cannot become another one")
        self.paths.check(network.paths)

    def reconfigure(self, network: Network) -> None:
        """Take over another configuration: links, paths, directory and time to wait.

        Raises:
            ConfigurationError: as `check`; nothing was changed.
        """
        self.check(network)
        gone = set(self.context.pads).difference(network.neighbours)
        self.paths.configure(network.paths)
        self.paths.unlink(gone)
        self.context.network = network
        self.ends.configure(network.links)
        for peer in sorted(self._contacts.review()):  # a new path waits for them
            self.meeting.begin(peer)
        for peer in sorted(self.paths.addressees()):  # and for a sign of those that have had no heartbeat lately
            if self.meeting.met(peer) and not self.meeting.reached(peer):
                self._tell_level(peer)

    def _met(self, peer: str) -> None:
        """A node was met: credit may flow."""
        self.ends.links.met(peer)
        self.paths.met(peer)

    def _link_changed(self, neighbour: str) -> None:
        """A link to a neighbour is up or down: those before on the paths have to hear of it at once."""
        self.paths.stir()
        if self.context.linked(neighbour):
            self.outbox.hasten(neighbour)

    # --- other nodes ----------------------------------------------------------------------------------------------

    def receive(self, sender: str, kind: str, header: Header, items: Sequence[Item]) -> list[Answer]:
        """Items of one kind from another node; their answers, in order, to be let out after the commit.

        Nodes without a common link or path have nothing to say to each other, not even hello.
        """
        if sender not in self._contacts.present:
            return [STRANGER] * len(items)
        if kind == LinkBeat.kind:
            return self.hear(sender, header, items)
        if kind in (Hello.kind, Settle.kind):
            return [self._greeted(sender, header, item) for item in items]
        if not self.meeting.admit(sender, header):
            self.meeting.begin(sender)
            return [MET_AGAIN] * len(items)
        answers = []
        for item in items:
            # An item may end the meeting: a container that proves a rollback, say. What follows is not answered then.
            met = self.meeting.met(sender)
            answers.append(self._dispatch.answer(sender, header, item) if met else MET_AGAIN)
        return answers

    def hear(self, sender: str, header: Header, items: Sequence[Item]) -> list[Answer]:
        """Beats of links from another node; their answers may leave at once.

        They say and change nothing that has to be durable: unlike everything else they may be handed in between a turn and its
        effects, so that a slow disk does not look like a dead link.
        """
        if sender not in self.context.pads:
            return [STRANGER] * len(items)
        if not self.meeting.admit(sender, header):
            self.meeting.begin(sender)
            return [MET_AGAIN] * len(items)
        known = [isinstance(item, LinkBeat) and self.ends.links.heard(sender, item.link) for item in items]
        return [HEARD if one else STRANGER for one in known]

    def _greeted(self, sender: str, header: Header, item: Item) -> Answer:
        if isinstance(item, Hello):
            return self.meeting.hello(sender, header, item)
        assert isinstance(item, Settle)
        return self.meeting.settle(sender, header, item)

    def header_for(self, peer: str) -> Header:
        """The header of an answer to a node; made after the commit."""
        return self.meeting.header_for(peer)

    def answered(self, message: Message, header: Header, answers: Sequence[Answer]) -> None:
        """The other node has answered a message."""
        if message.peer in self._contacts.present:  # else it has left meanwhile
            self._judge(message.peer, header, answers)
        if message.kind == LinkBeat.kind:
            there = any(answer.outcome in (Outcome.DONE, Outcome.MEET_FIRST) for answer in answers)
            self.ends.links.answered(message.link, known=there)
            return
        known = [msgspec.structs.replace(a, header=header) if a.offer is not None else a for a in answers]
        self.outbox.answered(message.ticket, known)

    def _judge(self, peer: str, header: Header, answers: Sequence[Answer]) -> None:
        """What an answer says of the meeting with its node."""
        reached = self.meeting.reached(peer)
        if not self.meeting.heard(peer, header):
            self.meeting.begin(peer)
        elif not reached and self.meeting.reached(peer):
            self.paths.stir()  # credit may flow
        if Outcome.MEET_FIRST in [answer.outcome for answer in answers]:
            self.meeting.doubted(peer)
            self.meeting.begin(peer)

    def failed(self, message: Message) -> None:
        """No answer came to a message."""
        if message.kind == LinkBeat.kind:
            self.ends.links.failed(message.link)
        else:
            self.outbox.failed(message.ticket)

    def messages(self) -> list[Message]:
        """What to send now. Each message is given back to `answered` or `failed`."""
        return [*self.ends.links.beats(self.meeting.header_for), *self.outbox.messages()]

    def beats(self) -> list[Message]:
        """The beats of links to send now, after a look for silence; they say nothing that has to be durable, and need no step."""
        self.ends.links.review()
        return self.ends.links.beats(self.meeting.header_for)

    # --- time -----------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Do what has become possible or due. Called after events, and when `step_due` has come."""
        now = self._clock.now()
        if now >= self._next_beat:
            self._next_beat = now + limits.HEARTBEAT
            self._beat()
        self.ends.links.review()
        self.paths.review()
        self.paths.grant(repeat=False)
        self.delivery.pump()
        self.paths.fill()

    @property
    def step_due(self) -> float:
        """When `step` is to be called at the latest, even if nothing happens."""
        moments = [self._next_beat, self.paths.due, self.outbox.due(), self.delivery.deadline]
        moments += [collector.due for collector in self.ends.collectors.values()]
        return min([moment for moment in moments if moment is not None])

    @property
    def due(self) -> float:
        """When `step`, or `beats`, is to be called at the latest, even if nothing happens."""
        return self.due_with(self.step_due)

    def due_with(self, step_due: float) -> float:
        """Likewise, where it is known when `step` is due: beats change nothing of that, and it takes long to find."""
        beat = self.ends.links.due
        return step_due if beat is None else min(beat, step_due)

    def contacts(self) -> set[str]:
        """All nodes with which this one exchanges messages."""
        return self._contacts.found()

    def _beat(self) -> None:
        self._service_time.keep()
        for collector in self.ends.collectors.values():
            collector.expire()
        self.paths.beat()
        self.vault.expire()
        self.meeting.keep_numbers()
        self._contacts.review()
        # The destination of a path does not call its relays: their calls, and its answers, carry the numbers of both (rule 2).
        listeners = set(self.context.pads) | self.paths.addressees()
        for peer in sorted(self._contacts.present):
            if not self.meeting.met(peer):
                self.meeting.begin(peer)
            elif peer in listeners:
                self._tell_level(peer)

    def _tell_level(self, peer: str) -> None:
        pads = self.context.pads.get(peer)
        level = pads.owned if pads is not None else 0
        self.outbox.tell(peer, "heartbeat", Heartbeat(level=level, wanted=self.paths.wanted.get(peer, 0)))

    def stop(self, error: QuiverError) -> None:
        """Refuse every request that is under way, as when the node can no longer write."""
        self.delivery.stop(error)


def _of(kind: type[R], records: Iterable[Record]) -> list[R]:
    return [record for record in records if isinstance(record, kind)]

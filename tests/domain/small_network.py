"""Two to four whole nodes on one table: messages wait in the open until the test says what becomes of each.

A node is driven as `quiver.domain.node` says: what has happened, a commit, and only then what leaves. Nodes lose their memory
in a crash; answers to what they sent before never reach the new process.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from quiver.domain import limits
from quiver.domain.errors import QuiverError
from quiver.domain.journal import Alarm
from quiver.domain.messages import Answer, Ciphertext, Container, Header, Item, LinkBeat
from quiver.domain.network import Directory, LinkEntry, Network, PathEntry
from quiver.domain.node import Node
from quiver.domain.outbox import Message
from quiver.domain.records import Record
from quiver.domain.reply import Reply
from quiver.domain.secret import Secret

from .ground import DIRECTORY, TWO_RELAYS, HandClock, MemoryDatabase, SeededEntropy, pad_along

FATES: Final = ("arrives",) * 4 + ("arrives twice", "late", "lost", "given up")


class Letter(NamedTuple):
    """A message on its way to `receiver`, or, with answers, its answer on its way back to `sender`."""

    sender: str
    receiver: str
    life: int
    message: Message
    answers: tuple[Header, list[Answer]] | None = None


class Site:
    """One node with its database."""

    def __init__(self, network: Network, clock: HandClock, kept: Iterable[Record]) -> None:
        self.network, self.clock = network, clock
        self.entropy = SeededEntropy(network.node)
        self.mac_key = self.entropy.draw(32)
        self.database = MemoryDatabase()
        self.alarms: list[Alarm] = []
        self.life = 0
        self.open: set[int] = set()  # tickets of messages without an answer or failure
        self.start(kept)

    def start(self, kept: Iterable[Record] = ()) -> None:
        """A new process on what the database holds."""
        self.life += 1
        self.open.clear()
        records = self.database.load() or list(kept)
        self.node = Node(self.network, self.mac_key, records, self.database.number, self.clock, self.entropy)
        if not self.database.number:
            for record in records:
                self.node.journal.put(record, secret=record.secret is not None)
        self.commit()

    def commit(self) -> None:
        """Let the node act, and make durable what has to be."""
        self.node.step()
        if self.node.journal.urgent:
            self.node.number = self.database.commit(self.node.journal)
        self.alarms += self.node.journal.take_alarms()


class SmallNetwork:
    """Nodes in a row, joined by links; the paths lead from the first to the last as their entries say.

    Args:
        nodes: their ids.
        paths: path versions; each node gets those that pass it.
        kept: what the nodes' databases hold at the start.
        wait: seconds that a request waits for pad.
    """

    def __init__(
        self,
        nodes: Sequence[str],
        paths: Sequence[PathEntry],
        kept: dict[str, list[Record]] | None = None,
        wait: float = 2.0,
        directory: Directory = DIRECTORY,
    ) -> None:
        self.clock = HandClock()
        self.letters: list[Letter] = []
        self.sent: list[tuple[str, str, Item]] = []  # sender, receiver and item of every message, in order
        self.sites: dict[str, Site] = {}
        self.cut: set[str] = set()  # links along which nothing passes
        self.stuck: list[Letter] = []  # sent along them and not given up yet
        for place, name in enumerate(nodes):
            others = [*nodes[max(0, place - 1) : place], *nodes[place + 1 : place + 2]]
            links = tuple(LinkEntry("-".join(sorted((name, other))), other, collect=False) for other in others)
            passing = tuple(path for path in paths if name in path.nodes)
            network = Network(name, links, passing, directory, wait)
            self.sites[name] = Site(network, self.clock, (kept or {}).get(name, []))
        for name in nodes:
            self.turn(name)

    def node(self, name: str) -> Node:
        return self.sites[name].node

    # --- turns ----------------------------------------------------------------------------------------------------

    def turn(self, name: str) -> None:
        """A node acts, commits, and lets its messages out."""
        site = self.sites[name]
        site.commit()
        for letter in [letter for letter in self.stuck if letter.sender == name]:
            if not site.node.ends.links.up(letter.message.link):  # noticed: its connections are dropped
                self.stuck.remove(letter)
                self._fail(letter)
        for message in site.node.messages():
            if message.kind == LinkBeat.kind:
                self._beat(name, message)
                continue
            site.open.add(message.ticket)
            copy = msgspec.structs.replace(message, items=tuple(_copied(item) for item in message.items))
            self.sent += [(name, message.peer, item) for item in copy.items]
            way = self.stuck if message.link in self.cut else self.letters
            way.append(Letter(name, message.peer, site.life, copy))

    def _beat(self, name: str, message: Message) -> None:
        """A link's beat passes at once, unless the link is cut."""
        node, other = self.node(name), self.node(message.peer)
        if message.link in self.cut:
            node.failed(message)
        else:
            answers = other.hear(name, message.header, message.items)
            node.answered(message, other.header_for(name), answers)

    def ask(self, name: str, master: str, *slaves: str, count: int = 1, size: int = 256) -> Reply:
        """A master asks for keys; errors that are raised at once stand in the reply too."""
        try:
            reply = self.node(name).saes.ask(master, slaves, count, size)
        except QuiverError as error:
            reply = Reply(error=error)
        self.turn(name)
        return reply

    def fetch(self, name: str, caller: str, master: str, key_ids: Sequence[str]) -> list[bytes]:
        """A slave asks for keys by their key_IDs; the keys leave after the commit."""
        reply = self.node(name).saes.fetch(caller, master, key_ids)
        self.turn(name)
        assert reply.keys is not None
        return [key.key.reveal() for key in reply.keys]

    # --- what becomes of letters ----------------------------------------------------------------------------------

    def deliver(self, place: int = 0, *, again: bool = False) -> None:
        """A letter arrives; `again` leaves a copy of it on its way."""
        letter = self.letters[place] if again else self.letters.pop(place)
        if letter.answers is None:
            receiver = self.sites[letter.receiver]
            message = letter.message
            items = [_copied(item) for item in message.items]
            answers = receiver.node.receive(letter.sender, message.kind, message.header, items)
            receiver.commit()
            header = receiver.node.header_for(letter.sender)
            self.letters.append(letter._replace(answers=(header, answers)))
            self.turn(letter.receiver)
        elif self._lands(letter):
            self.sites[letter.sender].node.answered(letter.message, *letter.answers)
            self.turn(letter.sender)

    def lose(self, place: int = 0) -> None:
        """A letter is lost, and its sender notices."""
        letter = self.letters.pop(place)
        self._fail(letter)

    def despair(self, place: int = 0) -> None:
        """A sender gives an answer up, but the letter is still on its way."""
        self._fail(self.letters[place])

    def travel(self, fates: Sequence[str], kinds: Collection[str]) -> None:
        """The letters of some kinds meet these fates one after another, oldest first; all others simply arrive."""
        left = list(fates)
        while left and self.letters:
            fate = left.pop(0) if self.letters[0].message.kind in kinds else "arrives"
            if fate == "lost":
                self.lose()
                continue
            if fate in ("arrives", "arrives twice"):
                self.deliver(again=fate == "arrives twice")
            elif fate == "given up":
                self.despair()
            if fate != "arrives":  # it, or its copy, is overtaken by all others
                self.letters.append(self.letters.pop(0))

    def _fail(self, letter: Letter) -> None:
        if self._lands(letter):
            self.sites[letter.sender].node.failed(letter.message)
            self.turn(letter.sender)

    def _lands(self, letter: Letter) -> bool:
        """Whether the sender still waits for an answer to that message."""
        site = self.sites[letter.sender]
        if site.life != letter.life or letter.message.ticket not in site.open:
            return False
        site.open.discard(letter.message.ticket)
        return True

    # --- time -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everything on its way arrives, and what follows from it too."""
        for _ in range(5000):
            if not self.letters:
                return
            self.deliver()
        raise AssertionError("the nodes talk without end")

    def beat(self, times: int = 1, seconds: float = limits.HEARTBEAT) -> None:
        """Time passes for everybody; everything arrives."""
        for _ in range(times):
            self.clock.advance(seconds)
            for name in self.sites:
                self.turn(name)
            self.settle()

    def restart(self, name: str, number: int | None = None) -> None:
        """A process is killed and started again, its database rolled back where a commit number is given."""
        site = self.sites[name]
        if number is not None:
            site.database.roll_back(number)
        site.start()
        self.turn(name)


def row(*paths: PathEntry, wait: float = 2.0) -> SmallNetwork:
    """A, B, C and D with pad and credit."""
    net = SmallNetwork("abcd", paths or (TWO_RELAYS,), pad_along("abcd"), wait)
    net.settle()
    net.beat(3)
    return net


def _copied(item: Item) -> Item:
    """The item as the wire would carry it: with secrets of its own."""
    if isinstance(item, Ciphertext | Container):
        return msgspec.structs.replace(item, ciphertext=Secret(item.ciphertext.reveal()))
    return item

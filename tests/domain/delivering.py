"""Two ends of a virtual link with ready blocks: a source that delivers and the vault at its destination."""

import msgspec

from quiver.domain import limits
from quiver.domain.delivery import ContainerHeader, Delivery
from quiver.domain.destination import Destination
from quiver.domain.errors import QuiverError
from quiver.domain.messages import Answer, Container, Outcome, Withdrawal
from quiver.domain.records import Batch, Block, Peer, Route, Sent
from quiver.domain.reply import Reply
from quiver.domain.requests import Request
from quiver.domain.source import Source
from quiver.domain.vault import Vault

from .ground import KIB, TWO_RELAYS, HandClock, Station, shared_block

KEY = TWO_RELAYS.key


class _End:
    """What both ends have: a station whose database begins with the same ready blocks."""

    def __init__(self, node: str, neighbour: str, clock: HandClock, blocks: int) -> None:
        self.station = Station(node, [neighbour], (TWO_RELAYS,), clock=clock)
        for i in range(blocks):
            self.station.journal.put(shared_block(TWO_RELAYS, node, i, i * 4 * KIB), secret=True)
        self.station.journal.put(
            Route(key=KEY, entry=TWO_RELAYS, next_sequence=blocks, next_start=blocks * 4 * KIB, floor=blocks)
        )
        self.station.commit()
        self.restart()

    def restart(self) -> None:
        """A new process."""
        self.station.start()
        kept = self.station.database.load()
        peers = {record.node: record for record in kept if isinstance(record, Peer)}
        self._build(kept, lambda node: peers.setdefault(node, Peer(node=node)))

    def _build(self, kept, peer) -> None:
        raise NotImplementedError


class Sender(_End):
    """Node A."""

    def _build(self, kept, peer) -> None:
        (route,) = (record for record in kept if isinstance(record, Route))
        blocks = [record for record in kept if isinstance(record, Block)]
        self.source = Source(self.station.context, TWO_RELAYS, route, blocks)
        self.peer = peer("d")
        sent = [record for record in kept if isinstance(record, Sent)]
        self.delivery = Delivery(self.station.context, {KEY: self.source}, peer, sent)

    def ask(self, count: int = 1, size: int = 256, wait: float = 2.0, slaves: tuple[str, ...] = ("dora",)) -> Reply:
        reply = Reply()
        deadline = self.station.clock.now() + wait
        self.delivery.requests.add(Request("alice", slaves, "d", count, size, deadline, reply))
        self.delivery.pump()
        return reply

    def containers(self) -> list[Container]:
        return [item for item in self.station.said("container", "d") if isinstance(item, Container)]

    def withdrawals(self) -> list[Withdrawal]:
        return [item for item in self.station.said("withdrawal", "d") if isinstance(item, Withdrawal)]


class Receiver(_End):
    """Node D."""

    def _build(self, kept, peer) -> None:
        (route,) = (record for record in kept if isinstance(record, Route))
        blocks = [record for record in kept if isinstance(record, Block)]
        self.destination = Destination(self.station.context, TWO_RELAYS, route, [], blocks)
        self.peer = peer("a")
        batches = [record for record in kept if isinstance(record, Batch)]
        self.vault = Vault(self.station.context, {KEY: self.destination}, peer, batches)

    def receive(self, item: Container) -> Answer:
        return self.vault.receive("a", item)

    def fetch(self, caller: str, *key_ids: str, master: str = "alice") -> list[bytes]:
        reply = self.vault.fetch(caller, master, key_ids)
        assert reply.keys is not None
        return [key.key.reveal() for key in reply.keys]


class Delivering:
    """Both ends on one clock."""

    def __init__(self, blocks: int = 2) -> None:
        self.clock = HandClock()
        self.a = Sender("a", "b", self.clock, blocks)
        self.d = Receiver("d", "c", self.clock, blocks)

    def carry(self, answers: list[Answer] | None = None) -> list[Answer]:
        """The containers on their way arrive and are answered; or D's answers are those given."""
        containers = self.a.containers()
        arrived = [self.d.receive(item) for item in containers]
        self.a.station.answer("container", "d", *(arrived if answers is None else answers))
        return arrived

    def withdraw(self) -> list[Answer]:
        """The withdrawals on their way arrive and are answered."""
        answers = [self.d.vault.withdraw("a", item) for item in self.a.withdrawals()]
        self.a.station.answer("withdrawal", "d", *answers)
        return answers

    def deliver(self, count: int = 1, size: int = 256, slaves: tuple[str, ...] = ("dora",)) -> dict[str, bytes]:
        """key_IDs and keys that the master was answered with."""
        reply = self.a.ask(count, size, slaves=slaves)
        assert [answer.outcome for answer in self.carry()] == [Outcome.STORED]
        return answered(reply)


def answered(reply: Reply) -> dict[str, bytes]:
    """The keys of a granted reply."""
    assert reply.keys is not None
    return {key.key_id: key.key.reveal() for key in reply.keys}


def error_of(reply: Reply) -> QuiverError:
    """Why a reply was refused."""
    assert reply.error is not None
    return reply.error


RETRY = limits.REPEAT_FIRST


def header_of(item: Container) -> ContainerHeader:
    return msgspec.json.decode(item.header, type=ContainerHeader)

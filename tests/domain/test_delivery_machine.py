"""A source and a destination with given blocks, with lost, doubled and late messages and restarts at any moment.

Whatever happens: a key that the master was answered with is stored once, each named slave takes it exactly once, a key_ID has one
value, and no byte of the blocks is in two containers.
"""

from typing import NamedTuple

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quiver.domain import limits
from quiver.domain.delivery import ContainerHeader
from quiver.domain.errors import KeyNotFoundError, UnauthorizedError, UnavailableError
from quiver.domain.key_ids import key_id, parse
from quiver.domain.messages import Container, Hello, Settle, Withdrawal
from quiver.domain.records import Record, Route
from quiver.domain.reply import Reply
from quiver.domain.secret import Secret

from .accounting import unaccounted
from .ground import KIB, ONE_HOP, bytes_of, shared_block
from .small_network import FATES, SmallNetwork

BLOCK = 96 * KIB
BLOCKS = 10
KINDS = (Container.kind, Withdrawal.kind, Hello.kind, Settle.kind)
SLAVES = st.sampled_from([("dora",), ("dave",), ("dora", "dave")])


class Asked(NamedTuple):
    """A request, and who may take its keys."""

    reply: Reply
    slaves: tuple[str, ...]


def given_blocks() -> dict[str, list[Record]]:
    """The same ready blocks at both ends, and no link pad for more."""
    kept: dict[str, list[Record]] = {}
    for node in "ad":
        route = Route(key=ONE_HOP.key, entry=ONE_HOP, next_sequence=BLOCKS, next_start=BLOCKS * BLOCK, floor=BLOCKS)
        kept[node] = [route, *(shared_block(ONE_HOP, node, i, i * BLOCK, BLOCK) for i in range(BLOCKS))]
    return kept


class Delivering(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.net = SmallNetwork("ad", [ONE_HOP], given_blocks())
        self.rounds = 0  # since the last restart
        self.read = 0  # messages that were judged
        self.containers: dict[int, Container] = {}
        self.lives: dict[str, int] = {}  # batch → life of A that sent it first
        self.users: dict[tuple[int, int], int] = {}  # byte of a block → number of the container that took it
        self.blocks = [Secret(bytes_of(f"{ONE_HOP.key}#{i}", BLOCK)) for i in range(BLOCKS)]
        self.asked: list[Asked] = []
        self.values: dict[str, bytes] = {}
        self.taken: set[tuple[str, str]] = set()
        self.given = {name: unaccounted(site.database, name) for name, site in self.net.sites.items()}
        self.net.settle()
        self.net.beat(2)

    # --- what happens ---------------------------------------------------------------------------------------------

    @rule(slaves=SLAVES, count=st.integers(1, 3), size=st.sampled_from([64, 256, 8 * 2000]))
    def ask(self, slaves: tuple[str, ...], count: int, size: int) -> None:
        self.asked.append(Asked(self.net.ask("a", "alice", *slaves, count=count, size=size), slaves))

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 5.0]), fates=st.lists(st.sampled_from(FATES), max_size=12))
    def time_passes(self, seconds: float, fates: list[str]) -> None:
        """Nodes act, and some of what is on its way has its fate; the rest stays there."""
        self.rounds += 1
        self.net.clock.advance(seconds)
        for name in self.net.sites:
            self.net.turn(name)
        self.net.travel(fates, KINDS)

    @precondition(lambda self: self.rounds >= 3)
    @rule(node=st.sampled_from("ad"))
    def restart(self, node: str) -> None:
        """A process is killed, perhaps amid a delivery."""
        self.rounds = 0
        self.net.restart(node)

    @precondition(lambda self: self.values)
    @rule(data=st.data(), slave=st.sampled_from(["dora", "dave"]))
    def fetch(self, data: st.DataObject, slave: str) -> None:
        """A slave takes a key that its master was answered with, or tries to."""
        name = data.draw(st.sampled_from(sorted(self.values)))
        self._fetch(slave, name)

    def _fetch(self, slave: str, name: str) -> None:
        """A slave gets an answered key exactly once; nobody else does."""
        permitted = any(slave in a.slaves for a in self.asked if name in {k.key_id for k in a.reply.keys or []})
        try:
            (key,) = self.net.fetch("d", slave, "alice", [name])
        except UnavailableError:
            assert not self.net.node("d").meeting.met("a")
        except KeyNotFoundError:
            assert (slave, name) in self.taken or not permitted, f"{slave} never got {name}"
        except UnauthorizedError:
            assert not permitted
        else:
            assert permitted
            assert (slave, name) not in self.taken, f"{slave} got {name} twice"
            assert key == self.values[name], f"{name} has two values"
            self.taken.add((slave, name))

    # --- what holds -----------------------------------------------------------------------------------------------

    @invariant()
    def a_key_id_has_one_value(self) -> None:
        for asked in self.asked:
            for key in asked.reply.keys or []:
                assert self.values.setdefault(key.key_id, key.key.reveal()) == key.key.reveal()

    @invariant()
    def every_byte_of_a_block_is_in_one_container_and_a_retry_repeats_the_same_bytes(self) -> None:
        new, self.read = self.net.sent[self.read :], len(self.net.sent)
        for _, _, item in new:
            if isinstance(item, Container):
                self._judge(item)

    def _judge(self, item: Container) -> None:
        header = msgspec.json.decode(item.header, type=ContainerHeader)
        first = self.containers.setdefault(header.number, item)
        assert (first.header, first.nonce, first.tag) == (item.header, item.nonce, item.tag)
        assert first.ciphertext == item.ciphertext
        self.lives.setdefault(header.batch, self.net.sites["a"].life)
        for sequence, start, count in header.paths[ONE_HOP.key][1]:
            assert start >= limits.HASH_KEY
            for place in range(start, start + count):
                assert self.users.setdefault((sequence, place), header.number) == header.number

    @invariant()
    def the_account_of_pad_closes_to_the_byte(self) -> None:
        for name, site in self.net.sites.items():
            assert unaccounted(site.database, name) == self.given[name], name

    @invariant()
    def free_bytes_at_the_source_are_free_at_the_destination(self) -> None:
        source = self.net.node("a").paths.sources[ONE_HOP.key]
        destination = self.net.node("d").paths.destinations[ONE_HOP.key]
        if not (self.net.node("a").meeting.met("d") and self.net.node("d").meeting.met("a")):
            return
        for sequence, block in source.blocks.items():
            other = destination.blocks[sequence]
            assert not any(other.used.overlaps(start, stop) for start, stop in block.used.gaps(0, block.length))
            assert other.secret is not None
            top = block.used.top
            if top > BLOCK - 64:
                continue
            assert other.secret.part(top, 64) == self.blocks[sequence].part(top, 64), "what is free is not wiped"

    def teardown(self) -> None:
        """The trouble is over: every answered key is there, once, and nothing else that a living source withdrew."""
        self.net.settle()
        self.net.beat(14)
        self.a_key_id_has_one_value()
        for asked in self.asked:
            for key in asked.reply.keys or []:
                for slave in asked.slaves:
                    self._fetch(slave, key.key_id)
                    assert (slave, key.key_id) in self.taken
                    self._fetch(slave, key.key_id)
        answered = {parse(name)[0] for name in self.values}
        left = {name for name, batch in self.net.node("d").vault.batches.items() if not _empty(batch)}
        living = {batch for batch, life in self.lives.items() if life == self.net.sites["a"].life}
        assert not (left - answered) & living, "a key whose master was told that there is none"
        assert self.net.node("a").delivery.open == 0
        assert all(key_id(batch, 0) not in self.values for batch in left)


def _empty(batch) -> bool:
    whole = (1 << batch.count) - 1
    return all(batch.taken_by(slave) == whole for slave in batch.slaves)


TestDelivering = Delivering.TestCase
TestDelivering.settings = settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)

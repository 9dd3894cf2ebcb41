"""A source, two relays and a destination, with lost, doubled, late and reordered messages and restarts at any moment.

Whatever happens: a block that is ready at the source is the destination's block, each byte of link pad is in one announced range
and one ciphertext, a sequence's number never means other bytes, and once the trouble is over the buffer fills again.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quiver.domain import limits, xor
from quiver.domain.messages import Announcement, Ciphertext, Lost, Ready, Voided
from quiver.domain.network import PathEntry
from quiver.domain.records import Block, Piece

from .accounting import unaccounted
from .ground import KIB, bytes_of, pad_along
from .small_network import FATES, SmallNetwork

ENTRY = PathEntry("a-d", 1, 1, tuple("abcd"), depth=12 * KIB)
SEGMENT = 16 * KIB
SEGMENTS = 10
KINDS = (Announcement.kind, Ciphertext.kind, Lost.kind, Ready.kind, Voided.kind)


class Priming(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.net = SmallNetwork("abcd", [ENTRY], pad_along("abcd", SEGMENTS, SEGMENT))
        self.read = 0  # messages that were judged
        self.ranges: dict[tuple[str, int], tuple[Piece, ...]] = {}  # sender and sequence → range
        self.lives: dict[tuple[str, int], int] = {}  # sender and sequence → process that announced it
        self.users: dict[tuple[str, int], tuple[str, int]] = {}  # byte of link pad → who announced it, for what
        self.ciphertexts: dict[tuple[str, int], bytes] = {}
        self.rounds = 0  # since the last restart
        self.given = {name: unaccounted(site.database, name) for name, site in self.net.sites.items()}
        self.net.settle()
        self.net.beat(1)  # met, and credit on its way

    # --- what happens ---------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.06, 0.06, 0.5, 1.0, 5.0]), fates=st.lists(st.sampled_from(FATES), max_size=30))
    def time_passes(self, seconds: float, fates: list[str]) -> None:
        """Nodes act, and some of what is on its way has its fate; the rest stays there."""
        self.rounds += 1
        self.net.clock.advance(seconds)
        for name in self.net.sites:
            self.net.turn(name)
        self.net.travel(fates, KINDS)

    @precondition(lambda self: self.rounds >= 4)
    @rule(node=st.sampled_from("abcd"))
    def restart(self, node: str) -> None:
        """A process is killed, perhaps amid a sequence."""
        self.rounds = 0
        self.net.restart(node)

    @rule(size=st.sampled_from([256, 8 * 3000, 8 * 6000]))
    def ask(self, size: int) -> None:
        """Keys use the buffer up, so that more is primed."""
        self.net.ask("a", "alice", "dora", size=size)

    # --- what holds -----------------------------------------------------------------------------------------------

    @invariant()
    def every_byte_of_link_pad_is_in_one_range_and_one_ciphertext(self) -> None:
        new, self.read = self.net.sent[self.read :], len(self.net.sent)
        for sender, _, item in new:
            if isinstance(item, Announcement):
                self._judge_range(sender, item)
            elif isinstance(item, Ciphertext):
                self._judge_ciphertext(sender, item)

    def _judge_range(self, sender: str, item: Announcement) -> None:
        name = (sender, item.sequence)
        assert self.ranges.setdefault(name, item.pieces) == item.pieces, "other bytes under the same number"
        life = self.net.sites[sender].life
        assert self.lives.setdefault(name, life) == life, "announced again by a process that cannot know that it was"
        for piece in item.pieces:
            for place in range(piece.offset, piece.offset + piece.length):
                assert self.users.setdefault((piece.segment, place), name) == name, f"{piece.segment}:{place} twice"

    def _judge_ciphertext(self, relay: str, item: Ciphertext) -> None:
        before, sequence = ENTRY.before(relay), item.sequence
        sent = item.ciphertext.reveal()
        assert sent == xor.combine(_pad(self.ranges[before, sequence]), _pad(self.ranges[relay, sequence]))
        assert self.ciphertexts.setdefault((relay, sequence), sent) == sent

    @property
    def source_blocks(self) -> dict[int, Block]:
        return self.net.node("a").paths.sources[ENTRY.key].blocks

    @property
    def destination_blocks(self) -> dict[int, Block]:
        return self.net.node("d").paths.destinations[ENTRY.key].blocks

    @invariant()
    def a_ready_block_is_the_same_at_both_ends(self) -> None:
        for sequence, block in self.source_blocks.items():
            other = self.destination_blocks[sequence]
            assert (other.start, other.length) == (block.start, block.length)
            assert block.secret is not None
            assert other.secret is not None
            one, two = block.secret.reveal(), other.secret.reveal()
            for start, stop in block.used.gaps(0, block.length):
                assert one[start:stop] == two[start:stop]
            assert one[: limits.HASH_KEY] == two[: limits.HASH_KEY]
            assert one[-64:] != bytes(64) or block.used.top == block.length

    @invariant()
    def tables_are_bounded(self) -> None:
        assert self.net.node("a").paths.sources[ENTRY.key].open <= limits.WINDOW
        assert all(len(self.net.node(n).paths.relays[ENTRY.key].sequences) <= limits.WINDOW for n in "bc")
        assert len(self.net.node("d").paths.destinations[ENTRY.key].parts) <= limits.WINDOW

    @invariant()
    def the_account_of_pad_closes_to_the_byte(self) -> None:
        for name, site in self.net.sites.items():
            assert unaccounted(site.database, name) == self.given[name], name

    def teardown(self) -> None:
        """The trouble is over: everything under way ends, and where there is pad there are keys."""
        self.net.settle()
        self.net.beat(14)
        source = self.net.node("a").paths.sources[ENTRY.key]
        for sequence in self.destination_blocks.keys() - self.source_blocks.keys():
            # The source voided it before it heard `ready`: the destination keeps it, unused, until `settled` has passed it.
            assert sequence < source.floor
            assert self.destination_blocks[sequence].start >= source.settled
        assert all(self.net.node(name).paths.relays[ENTRY.key].open == 0 for name in "bc")
        for near, far in ("ab", "bc", "cd"):
            if self.net.node(near).context.pads[far].available < 8 * KIB:
                return
        reply = self.net.ask("a", "alice", "dora")
        self.net.settle()
        assert reply.keys is not None, reply
        keys = self.net.fetch("d", "dora", "alice", [reply.keys[0].key_id])
        assert keys == [reply.keys[0].key.reveal()]
        self.every_byte_of_link_pad_is_in_one_range_and_one_ciphertext()


def _pad(pieces: tuple[Piece, ...]) -> bytes:
    return b"".join(bytes_of(p.segment, SEGMENT)[p.offset : p.offset + p.length] for p in pieces)


TestPriming = Priming.TestCase
TestPriming.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)

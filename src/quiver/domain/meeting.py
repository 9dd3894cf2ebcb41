"""Meeting: how two nodes make sure that neither works from a storage that was rolled back (rule 2).

Three words: *hello* (nonce, start of the run, what was seen of the other, inventory), *offer* (the same from the other side,
with the nonce returned), *settle* (the offer's nonce returned), and `done`. Until then nothing shared is used and every other
message is answered `meet first`. A node that is shown a higher commit number of its own incarnation, under its own MAC, than
its run started with, burns everything and takes a new incarnation. A peer's word can only burn, never revive.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.messages import Answer, Evidence, Header, Hello, Inventory, Outcome, Settle
from quiver.domain.records import Own, Peer

__all__ = ["Host", "Meeting"]

_LABEL: Final = b"quiver commit number 1\0"


class Host(msgspec.Struct):
    """What a meeting asks of the node.

    Attributes:
        inventory: what this node holds together with another.
        settle: agree with the other's inventory; the flag says whether it was this node that started.
        burn_shared: burn what is shared with a node whose database is another one now.
        burn_all: burn all pads, blocks and unfetched keys of this node.
        number: the last durable commit number.
        came: a node has been met.
    """

    inventory: Callable[[str], Inventory]
    settle: Callable[[str, Inventory, bool], None]
    burn_shared: Callable[[str], None]
    burn_all: Callable[[], None]
    number: Callable[[], int]
    came: Callable[[str], None]


class _State(msgspec.Struct):
    """Where this node is with another one, in memory only."""

    met_run: str = ""
    agreed: str = ""  # the run with which inventories were compared
    ever: bool = False  # met since this run began: only before that was it this node that started
    asked: str = ""  # nonce of our hello without an offer
    settling: bool = False  # our settle has no answer yet
    met_at: float = 0.0
    answered_at: float = 0.0  # when it answered last, while it is met
    offered: str = ""  # nonce of our offer without a settle
    their_header: Header | None = None  # of the hello that our offer answers
    their_hello: Hello | None = None
    gone: list[str] = []  # its earlier runs: what still comes of them was on its way for long
    last_asked: str = ""  # nonce of their hello that was settled: a late copy of it changes nothing


_STRANGER: Final = _State()


class Meeting:
    """Who is met, and what has been seen of whom.

    Args:
        context: the node.
        host: what the meeting asks of it.
        key: the node's own MAC key (bytes), kept with its identity outside the database.
        own: the durable record of this database.
        peers: the durable records of other nodes.
        started: the commit number with which this run started.
    """

    def __init__(
        self, context: Context, host: Host, key: bytes, own: Own, peers: dict[str, Peer], started: int
    ) -> None:
        self._context: Final = context
        self._host: Final = host
        self._keyed: Final = hmac.new(key, digestmod="sha256")  # once: nearly every commit has a number to vouch for
        self._own: Final = own
        self.peers: Final = peers
        self._started = started
        self.run = context.entropy.draw(16).hex()
        self._states: Final[dict[str, _State]] = {}
        self._noted: Final[set[str]] = set()
        self._vouched = "", -1, ""  # the MAC of the last header, with the incarnation and the number that it is of

    # --- headers --------------------------------------------------------------------------------------------------

    def _mac(self, incarnation: str, run: str, number: int) -> str:
        mac = self._keyed.copy()
        mac.update(_LABEL + f"{incarnation}/{run}/{number}".encode())
        return mac.hexdigest()

    def header_for(self, peer: str) -> Header:
        """The header of a message or answer to a node, with the commit number that is durable now."""
        number, incarnation = self._host.number(), self._own.incarnation
        if self._vouched[:2] != (incarnation, number):
            self._vouched = incarnation, number, self._mac(incarnation, self.run, number)
        return Header(incarnation, self.run, number, self._vouched[2], self._known(peer).met_run)

    def _known(self, peer: str) -> _State:
        """Where this node is with another one, to look at only: of a stranger nothing is kept."""
        return self._states.get(peer, _STRANGER)

    def _state(self, peer: str) -> _State:
        state = self._states.get(peer)
        if state is None:
            state = self._states[peer] = _State()
        return state

    def peer(self, node: str) -> Peer:
        """The durable record of a node."""
        record = self.peers.get(node)
        if record is None:
            record = self.peers[node] = Peer(node=node)
        return record

    def met(self, node: str) -> bool:
        """Whether a node's present run is met by this run."""
        return bool(self._known(node).met_run)

    def reached(self, node: str) -> bool:
        """Whether it is, and has answered lately: what is sent there arrives. Of use for those that get heartbeats."""
        state = self._known(node)
        return bool(state.met_run) and self._context.clock.now() < state.answered_at + limits.REACH

    def met_any_of(self, nodes: Iterable[str]) -> bool:
        """Whether one of these nodes was met since this run began."""
        return any(self._known(node).ever for node in nodes)

    def admit(self, sender: str, header: Header) -> bool:
        """Whether a message of a met run to this run; notes the number it carries. A lower number is only late."""
        state = self._known(sender)
        if not state.met_run or header.run != state.met_run or header.to_run != self.run:
            return False
        peer = self.peer(sender)
        if header.incarnation != peer.incarnation:
            return False
        self._note(peer, header)
        return True

    def _note(self, peer: Peer, header: Header) -> None:
        if header.run != peer.run and peer.run:
            gone = self._state(peer.node).gone
            gone.append(peer.run)
            del gone[: -limits.FORMER_RUNS]
        if header.run != peer.run or header.number > peer.number:
            peer.run, peer.number, peer.mac = header.run, header.number, header.mac
            self._noted.add(peer.node)
            # Whatever becomes durable because of this message becomes so together with the number it carried.
            self._context.journal.put(peer, lazy=True)

    def heard(self, sender: str, header: Header) -> bool:
        """An answer has come; False where it is of a run that is not met: then a new meeting is due."""
        state = self._known(sender)
        if not state.met_run:
            return True
        if header.run != state.met_run:
            state.met_run = ""
            return False
        state.answered_at = self._context.clock.now()
        if header.incarnation == self.peer(sender).incarnation:
            self._note(self.peer(sender), header)
        return True

    def doubted(self, sender: str) -> None:
        """A met node answers `meet first`. Right after a meeting it may only be late; later it has forgotten this run."""
        state = self._known(sender)
        if state.met_run and state.met_at + limits.HEARTBEAT <= self._context.clock.now():
            state.met_run = ""

    def part(self, node: str) -> None:
        """There is nothing to say to a node any more. What had begun of a meeting is forgotten, and a node that was never met.

        The rest stays: should it come back soon, the two are met; and its highest commit number is evidence (rule 2).
        """
        state, record = self._states.pop(node, None), self.peers.get(node)
        if record is None or not record.incarnation:
            self.forget(node)
            return
        self.peers[node] = self.peers.pop(node)  # in order of leaving
        if state is not None and state.ever:
            state.asked = state.offered = ""
            state.settling, state.their_hello, state.their_header = False, None, None
            self._states[node] = state

    def forget(self, node: str) -> None:
        """Keep nothing of a node, as if it had never been seen."""
        self._states.pop(node, None)
        self._noted.discard(node)
        record = self.peers.pop(node, None)
        if record is not None:
            self._context.journal.delete(record, lazy=True)

    def keep_numbers(self) -> None:
        """Make the highest numbers seen durable; called each second."""
        for node in sorted(self._noted):
            self._context.journal.put(self.peer(node))
        self._noted.clear()

    # --- the three words ------------------------------------------------------------------------------------------

    def begin(self, peer: str) -> None:
        """Say hello to a node that is not met, unless a hello is under way."""
        state = self._state(peer)
        if state.met_run or state.asked or state.settling:
            return
        state.asked = self._context.entropy.draw(16).hex()
        hello = self._hello(peer, state.asked, "")
        self._context.outbox.post(peer, Hello.kind, hello, lambda answer: self._offered(peer, hello, answer))

    def _hello(self, peer: str, nonce: str, echo: str) -> Hello:
        record = self.peer(peer)
        seen = None
        if record.mac:
            seen = Evidence(record.incarnation, record.run, record.number, record.mac)
        return Hello(nonce=nonce, started=self._started, seen=seen, inventory=self._host.inventory(peer), echo=echo)

    def hello(self, sender: str, header: Header, item: Hello) -> Answer:
        """A node says hello: answer with an offer, or refuse its incarnation or its run."""
        state = self._state(sender)
        if header.run in state.gone:
            return Answer(Outcome.REFUSED, "of an earlier run")
        if state.met_run == header.run and item.nonce == state.last_asked:
            return Answer(Outcome.SETTLED)
        if not self._judge(sender, header, item):
            return Answer(Outcome.REFUSED, "rolled back", offer=self._hello(sender, "", item.nonce))
        if state.met_run != header.run:
            state.met_run = ""
        state.offered = self._context.entropy.draw(16).hex()
        state.their_header, state.their_hello = header, item
        return Answer(Outcome.DONE, offer=self._hello(sender, state.offered, item.nonce))

    def _offered(self, peer: str, hello: Hello, answer: Answer) -> None:
        state = self._state(peer)
        offer = answer.offer
        if state.asked != hello.nonce:
            return
        state.asked = ""
        if state.met_run or offer is None or offer.echo != hello.nonce or answer.header is None:
            return
        if answer.outcome is not Outcome.DONE:
            self._shown(offer.seen)  # where it is right, everything is burned and a new incarnation begins
            return
        if not self._judge(peer, answer.header, offer):
            return
        self._adopt(peer, answer.header)
        state.settling, run = True, answer.header.run
        settle = Settle(nonce=offer.nonce)
        self._context.outbox.post(peer, Settle.kind, settle, lambda answer: self._settled(peer, run, offer, answer))

    def settle(self, sender: str, header: Header, item: Settle) -> Answer:
        """The node returns our offer's nonce: the meeting is done at this end."""
        state = self._state(sender)
        hello, first = state.their_hello, state.their_header
        if state.met_run and state.met_run == header.run:
            return Answer(Outcome.DONE)
        if hello is None or first is None or item.nonce != state.offered:
            return Answer(Outcome.REFUSED, "no such offer")
        # The nonce came back: only now is it certain that the hello was not an old one on its way for long.
        if (header.run, header.incarnation) != (first.run, first.incarnation) or not self._judge(sender, first, hello):
            return Answer(Outcome.REFUSED, "no such offer")
        self._adopt(sender, header)
        self._meet(sender, header.run, hello)
        state.last_asked, state.their_hello, state.their_header, state.offered = hello.nonce, None, None, ""
        return Answer(Outcome.DONE)

    def _settled(self, peer: str, run: str, offer: Hello, answer: Answer) -> None:
        state = self._state(peer)
        state.settling = False
        if not state.met_run and answer.outcome is Outcome.DONE:
            self._meet(peer, run, offer)

    def _meet(self, peer: str, run: str, theirs: Hello) -> None:
        state, record = self._state(peer), self.peer(peer)
        started, state.ever, state.met_run = not state.ever, True, run
        state.met_at = state.answered_at = self._context.clock.now()
        # What else is under way of a meeting says what was held before this one.
        state.asked, state.settling = "", False
        for word in (Hello, Settle):
            self._context.outbox.cancel(peer, word.kind, word.kind)
        self._context.journal.put(record)
        # Two runs that had met and lost sight of each other have forgotten nothing, and what either holds has changed since it
        # said so: to compare again could only burn what is good, at one end.
        if state.agreed != run:
            state.agreed = run
            self._host.settle(peer, theirs.inventory, started)
        self._context.outbox.hasten(peer)
        self._host.came(peer)

    # --- rollback -------------------------------------------------------------------------------------------------

    def _judge(self, sender: str, header: Header, item: Hello) -> bool:
        """Whether a run may be met, by what is known of its database. Learns nothing."""
        record = self.peer(sender)
        if self._shown(item.seen):
            return False
        if header.incarnation in record.retired or header.run in self._state(sender).gone:
            return False
        same = header.incarnation == record.incarnation
        if same and record.run and header.run != record.run and item.started < record.number:
            self._context.journal.alarm("peer-rolled-back", peer=sender, seen=record.number, started=item.started)
            return False
        return True

    def _adopt(self, sender: str, header: Header) -> None:
        """Take note of a run that has proved to be the present one; burn what was shared with an older database of it."""
        record, state = self.peer(sender), self._state(sender)
        if state.their_header is not None and state.their_header.run != header.run:
            # An offer to an earlier run: its settle may still be on its way, and would bring that run back, for good.
            state.their_hello, state.their_header, state.offered = None, None, ""
        if record.incarnation and header.incarnation != record.incarnation:
            self._context.journal.alarm("peer-incarnation", peer=sender)
            self._host.burn_shared(sender)
            record.retired = [*record.retired, record.incarnation][-limits.FORMER_INCARNATIONS :]
            record.number, record.run, record.mac = 0, "", ""
        record.incarnation = header.incarnation
        self._note(record, header)
        self._context.journal.put(record)

    def _shown(self, seen: Evidence | None) -> bool:
        """Whether what a peer has seen of this node proves a rollback; then everything is burned."""
        if seen is None or not hmac.compare_digest(seen.mac, self._mac(seen.incarnation, seen.run, seen.number)):
            return False
        own = self._own
        here = seen.incarnation == own.incarnation
        rolled_back = here and seen.run != self.run and seen.number > self._started
        unknown = not here and seen.incarnation not in own.former
        if not rolled_back and not unknown:
            return False
        self._context.journal.alarm("rolled-back", seen=seen.number, started=self._started)
        if unknown:
            own.former.append(seen.incarnation)
        self._renew()
        return True

    def _renew(self) -> None:
        """Burn everything, take a new incarnation and a new run, and meet everyone again."""
        self._host.burn_all()
        own = self._own
        own.former = [*own.former, own.incarnation][-limits.FORMER_INCARNATIONS :]
        own.incarnation = self._context.entropy.draw(16).hex()
        self._context.journal.put(own)
        self.run = self._context.entropy.draw(16).hex()
        self._started = self._host.number()
        self._states.clear()

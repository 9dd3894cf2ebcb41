"""The network between sites: it drops, doubles, delays and reorders, and keeps everything that was ever sent."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from quiver.domain import limits
from quiver.domain.messages import Item, LinkBeat
from quiver.domain.outbox import Message
from quiver.protocols.peer import decode_message, encode_message
from quiver.protocols.peer_answers import decode_answers, encode_answers

from .world import World

TIMEOUT = 2.0


class Sent(NamedTuple):
    """One recorded message; `items` is empty for answers."""

    time: float
    sender: str
    receiver: str
    kind: str
    items: tuple[Item, ...]
    body: bytes


class Transport:
    """Carries messages between sites, `pool` at a time from each to each; beats of links go their own way."""

    def __init__(self, world: World, *, drop=0.0, double=0.0, slow=0.0, pool=2):
        self.world = world
        self.drop, self.double, self.slow, self.pool = drop, double, slow, pool
        self.sites = {}
        self.record: list[Sent] = []
        self.cut: set[frozenset[str]] = set()  # pairs of nodes between which nothing passes
        self.cut_links: set[str] = set()  # links along which nothing passes
        self.liars: set[str] = set()  # nodes that `tamper` speaks for
        self.tamper: Callable[[str, str, tuple[Item, ...]], tuple[Item, ...]] | None = None
        self._busy: dict[tuple[str, str], int] = {}
        self._queues: dict[tuple[str, str], deque] = {}

    @property
    def poor(self) -> bool:
        """Whether the network itself explains that a request is late: several messages in series wait for its repeats."""
        return self.drop >= 0.1 or self.slow >= 0.1 or (self.pool == 1 and self.drop + self.slow > 0.0)

    def calm(self) -> None:
        """No faults from now on."""
        self.drop = self.double = self.slow = 0.0
        self.cut.clear()
        self.cut_links.clear()
        self.tamper = None

    def _delay(self) -> float:
        random = self.world.random
        if random.random() < self.slow:
            return random.uniform(0.2, 6.0)
        return random.uniform(0.001, 0.03)

    def send(self, site, message: Message) -> None:
        pair = (site.name, message.peer)
        if message.kind == LinkBeat.kind:
            self._beat(site, message)
            return
        # Encoded at once, as the agent does: what waits for a connection is bytes, not pad that may be wiped meanwhile.
        body = encode_message(message.kind, message.header, message.items)
        if self._busy.get(pair, 0) >= self.pool:
            self._queues.setdefault(pair, deque()).append((site, site.life, message, body))
        else:
            self._launch(site, message, body)

    def _launch(self, site, message: Message, body: bytes) -> None:
        world, pair, life = self.world, (site.name, message.peer), site.life
        self._busy[pair] = self._busy.get(pair, 0) + 1
        header, items = decode_message(message.kind, body)
        if self.tamper is not None:
            items = self.tamper(*pair, items)
        self.record.append(Sent(world.now(), *pair, message.kind, items, body))
        finished = [False]

        def finish(body: bytes | None) -> None:
            if finished[0]:
                return
            finished[0] = True
            self._free(pair)
            if body is None:
                site.hand_in(life, lambda driver: driver.failed(message))
            else:
                header, answers = decode_answers(message.kind, body)
                site.hand_in(life, lambda driver: driver.answered(message, header, answers))

        world.after(TIMEOUT, lambda: finish(None))
        if self._is_cut(pair, message.link) or world.chance(self.drop):
            return
        for _ in range(1 + world.chance(self.double)):
            world.after(self._delay(), lambda: self._arrive(message, header, items, site.name, finish))

    def _beat(self, site, message: Message) -> None:
        """A beat has a connection of its own; it is answered at once, not with the receiver's next turn, as by the engine."""
        world, life, receiver, finished = self.world, site.life, self.sites[message.peer], [False]

        def finish(answer=None) -> None:
            if not finished[0]:
                finished[0] = True
                site.beaten(life, message, answer)

        def lost() -> bool:
            return self._is_cut((site.name, receiver.name), message.link) or world.chance(self.drop)

        def arrive() -> None:
            answer = receiver.hear(site.name, message.header, message.items)
            if answer is not None and not lost():
                world.after(self._delay(), lambda: finish(answer))

        world.after(limits.LINK_ANSWER, finish)
        if not lost():
            world.after(self._delay(), arrive)

    def _is_cut(self, pair: tuple[str, str], link: str) -> bool:
        return frozenset(pair) in self.cut or link in self.cut_links

    def _arrive(self, message: Message, header, items: tuple[Item, ...], sender: str, finish) -> None:
        kind, receiver = message.kind, self.sites[message.peer]
        if not receiver.up:
            self.world.after(self._delay(), lambda: finish(None))
            return

        def respond(header, answers) -> None:
            answer = encode_answers(kind, header, answers)
            self.record.append(Sent(self.world.now(), receiver.name, sender, kind, (), answer))
            if not self._is_cut((sender, receiver.name), message.link) and not self.world.chance(self.drop):
                self.world.after(self._delay(), lambda: finish(answer))

        receiver.hand_in(receiver.life, lambda driver: driver.receive(sender, kind, header, items, respond))

    def _free(self, pair: tuple[str, str]) -> None:
        self._busy[pair] -= 1
        queue = self._queues.get(pair)
        while queue and self._busy[pair] < self.pool:
            site, life, message, body = queue.popleft()
            if site.life == life:
                self._launch(site, message, body)

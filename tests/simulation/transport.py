"""The network between sites: it drops, doubles, delays and reorders, and keeps everything that was ever sent."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from quiver.domain import limits
from quiver.domain.messages import Item, LinkBeat
from quiver.domain.outbox import Message
from quiver.protocols.peer import decode_message, encode_message
from quiver.protocols.peer_answers import decode_answers, encode_answers

from .world import World

TIMEOUT = 2.0
Lane = tuple[str, str, str]  # sender, receiver, link along which it goes; empty for the network between the nodes


class Sent(NamedTuple):
    """One recorded message; `items` is empty for answers."""

    time: float
    sender: str
    receiver: str
    kind: str
    items: tuple[Item, ...]
    body: bytes


class Transport:
    """Carries messages between sites, `pool` at a time in each lane; beats of links go their own way."""

    def __init__(self, world: World, *, drop=0.0, double=0.0, slow=0.0, pool=2):
        self.world = world
        self.drop, self.double, self.slow, self.pool = drop, double, slow, pool
        self.sites = {}
        self.record: list[Sent] = []
        self.cut: set[frozenset[str]] = set()  # pairs of nodes between which nothing passes
        self.cut_links: set[str] = set()  # links along which nothing passes
        self.liars: set[str] = set()  # nodes that `tamper` speaks for
        self.tamper: Callable[[str, str, tuple[Item, ...]], tuple[Item, ...]] | None = None
        self._busy: dict[Lane, int] = {}
        self._queues: dict[Lane, deque] = {}
        self._calls: dict[tuple[str, str], list[Callable[[Any], None]]] = {}  # (sender, link) → calls under way

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
        lane = (site.name, message.peer, message.link)
        if message.kind == LinkBeat.kind:
            self._beat(site, message)
            return
        # Encoded at once, as the agent does: what waits for a connection is bytes, not pad that may be wiped meanwhile.
        body = encode_message(message.kind, message.header, message.items)
        if self._busy.get(lane, 0) >= self.pool:
            self._queues.setdefault(lane, deque()).append((site, site.life, message, body))
        else:
            self._launch(site, message, body)

    def _launch(self, site, message: Message, body: bytes) -> None:
        world, pair, life = self.world, (site.name, message.peer), site.life
        lane = (*pair, message.link)
        self._busy[lane] = self._busy.get(lane, 0) + 1
        header, items = decode_message(message.kind, body)
        if self.tamper is not None:
            items = self.tamper(*pair, items)
        self.record.append(Sent(world.now(), *pair, message.kind, items, body))

        def tell(body: bytes | None) -> None:
            self._free(lane)
            if body is None:
                site.hand_in(life, lambda driver: driver.failed(message))
            else:
                header, answers = decode_answers(message.kind, body)
                site.hand_in(life, lambda driver: driver.answered(message, header, answers))

        finish = self._outcome(site.name, message.link, tell)
        world.after(TIMEOUT, lambda: finish(None))
        if self._is_cut(pair, message.link) or world.chance(self.drop):
            return
        for _ in range(1 + world.chance(self.double)):
            world.after(self._delay(), lambda: self._arrive(message, header, items, site.name, finish))

    def _beat(self, site, message: Message) -> None:
        """A beat has a connection of its own; it is answered at once, not with the receiver's next turn, as by the engine."""
        life, receiver = site.life, self.sites[message.peer]
        finish = self._outcome(site.name, message.link, lambda answer: site.beaten(life, message, answer))

        def back(answer) -> None:  # None where the process is down: the connection is refused
            if not self._is_cut((site.name, receiver.name), message.link):
                self.world.after(self._beat_delay(), lambda: finish(answer))

        def arrive() -> None:
            back(receiver.hear(site.name, message.header, message.items))

        self.world.after(limits.LINK_ANSWER, lambda: finish(None))
        if not self._is_cut((site.name, receiver.name), message.link):
            # TCP repeats what is lost; what it cannot repeat breaks the connection, which is noticed at once.
            lost = self.world.chance(self.drop)
            self.world.after(self._beat_delay(), (lambda: finish(None)) if lost else arrive)

    def _beat_delay(self) -> float:
        random = self.world.random
        return random.uniform(0.05, 0.4) if random.random() < self.slow else random.uniform(0.001, 0.03)

    def _outcome(self, sender: str, link: str, tell: Callable[[Any], None]) -> Callable[[Any], None]:
        """What ends a call, once: an answer, or None where none will come."""
        calls = self._calls.setdefault((sender, link), [])

        def finish(answer: Any) -> None:
            if finish in calls:
                calls.remove(finish)
                tell(answer)

        calls.append(finish)
        return finish

    def hang_up(self, sender: str, link: str) -> None:
        """A site gives up what is under way along a link that it takes for dead."""
        for finish in list(self._calls.get((sender, link), ())):
            finish(None)

    def _is_cut(self, pair: tuple[str, str], link: str) -> bool:
        return link in self.cut_links or (bool(self.cut) and frozenset(pair) in self.cut)

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

    def _free(self, lane: Lane) -> None:
        self._busy[lane] -= 1
        queue = self._queues.get(lane)
        while queue and self._busy[lane] < self.pool:
            site, life, message, body = queue.popleft()
            if site.life == life:
                self._launch(site, message, body)

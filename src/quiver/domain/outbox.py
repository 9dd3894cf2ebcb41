"""Messages on their way: what must arrive is repeated until it is answered; what is only news is said once.

One message of a kind is under way to a node at a time; what comes meanwhile shares the next. Everything here is in memory:
after a restart a node knows from its records what it still has to say.

A full outbox takes no news, and whoever would begin a sequence, container or segment looks at `full` first. What follows from
things already begun is always taken; the tables that hold those bound it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.messages import ALONG, Answer, Header, Hello, Item, Outcome, Settle
from quiver.domain.ports import Clock

__all__ = ["Message", "Outbox"]

OnAnswer = Callable[[Answer], None]
MEETING: Final = (Hello.kind, Settle.kind)


class Message(msgspec.Struct):
    """Items of one kind for one node, under one header.

    Attributes:
        ticket: the number under which the answer comes back; it never leaves the process.
        link: the link along which it goes; empty where it goes over the network between the nodes.
        news: whether nobody listens to its answer: all of it is said once.
    """

    peer: str
    kind: str
    ticket: int
    header: Header
    items: tuple[Item, ...]
    link: str = ""
    news: bool = False


class _Entry(msgspec.Struct):
    item: Item
    on_answer: OnAnswer | None
    name: str
    due: float = 0.0
    pause: float = limits.REPEAT_FIRST
    shyness: float = limits.MEET_PAUSE
    flying: bool = False

    def awaits_path(self, answer: Answer) -> bool:
        """Whether this is news of a path version that may only be on its way to the other node; not for longer than news last."""
        return (
            self.on_answer is None and answer.outcome is Outcome.PATH_MISMATCH and self.shyness < limits.HEARTBEAT / 2
        )


class Outbox:
    """All items of one node on their way to others.

    Args:
        clock: monotonic time.
        header_for: makes the header of a message to a node.
        met: whether a node is met; only meetings travel to one that is not.
        along: the link along which a neighbour is reached; None while there is none: what concerns links waits then.
    """

    def __init__(
        self,
        clock: Clock,
        header_for: Callable[[str], Header],
        met: Callable[[str], bool],
        along: Callable[[str], str | None] = lambda _peer: "",
    ) -> None:
        self._clock: Final = clock
        self._header_for: Final = header_for
        self._met: Final = met
        self._along: Final = along
        self._waiting: dict[tuple[str, str], dict[str, _Entry]] = {}
        self._flying: dict[int, tuple[tuple[str, str], list[_Entry]]] = {}
        self._busy: set[tuple[str, str]] = set()
        self._ticket = 0
        self._count = 0

    def __len__(self) -> int:
        """Items that are not answered yet."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether nothing new is to be begun that needs messages."""
        return self._count >= limits.OUTBOX

    def post(self, peer: str, name: str, item: Item, on_answer: OnAnswer) -> None:
        """Send `item` until it is answered; `name` replaces an earlier item of that name and kind."""
        self._wait((peer, item.kind), _Entry(item, on_answer, name))

    def tell(self, peer: str, name: str, item: Item) -> None:
        """Send `item` once; not at all while the outbox is full, for all news is told again or meant for now only."""
        if not self.full:
            self._wait((peer, item.kind), _Entry(item, None, name))

    def _wait(self, channel: tuple[str, str], entry: _Entry) -> None:
        entries = self._waiting.setdefault(channel, {})
        self._count += entry.name not in entries
        entries[entry.name] = entry

    def _drop(self, channel: tuple[str, str], name: str) -> None:
        """Forget an item; where it was the last, its channel too: both are looked through in each turn."""
        entries = self._waiting.get(channel, {})
        self._count -= entries.pop(name, None) is not None
        if not entries:
            self._waiting.pop(channel, None)

    def cancel(self, peer: str, kind: str, name: str) -> None:
        """Send it no more; an answer that still comes is not heard."""
        self._drop((peer, kind), name)

    def messages(self) -> list[Message]:
        """The messages to send now. Called after what they say is durable."""
        now = self._clock.now()
        made = []
        for channel, entries in self._waiting.items():
            if not self._open(channel):
                continue
            chosen = list(_first(entry for entry in entries.values() if entry.due <= now))
            if chosen:
                made.append(self._launch(channel, chosen))
        return made

    def _open(self, channel: tuple[str, str]) -> bool:
        """Whether a message of that kind could leave for that node now."""
        peer, kind = channel
        if channel in self._busy or not (kind in MEETING or self._met(peer)):
            return False
        return kind not in ALONG or self._along(peer) is not None

    def _launch(self, channel: tuple[str, str], entries: list[_Entry]) -> Message:
        self._ticket += 1
        for entry in entries:
            entry.flying = True
        self._flying[self._ticket] = (channel, entries)
        self._busy.add(channel)
        peer, kind = channel
        link = self._along(peer) or "" if kind in ALONG else ""
        items, news = tuple(entry.item for entry in entries), all(entry.on_answer is None for entry in entries)
        return Message(peer, kind, self._ticket, self._header_for(peer), items, link, news)

    def due(self) -> float | None:
        """When the next message is due; None where nothing waits that could leave by itself."""
        moments = [
            entry.due for channel, entries in self._waiting.items() if self._open(channel) for entry in entries.values()
        ]
        return min(moments, default=None)

    @property
    def eager(self) -> bool:
        """Whether a message could leave now."""
        due = self.due()
        return due is not None and due <= self._clock.now()

    def answered(self, ticket: int, answers: Sequence[Answer]) -> None:
        """The other side has answered a message, one answer per item; too few or too many count as none."""
        channel, entries = self._land(ticket)
        if len(answers) != len(entries):
            self._again(entries)
            return
        for entry, answer in zip(entries, answers, strict=True):
            entry.flying = False
            if self._waiting.get(channel, {}).get(entry.name) is not entry:
                continue  # cancelled or replaced meanwhile
            if answer.outcome is Outcome.MEET_FIRST or entry.awaits_path(answer):
                self._too_early(entry)  # as a rule the other side's half of a meeting, or of a path, is only under way
                continue
            self._drop(channel, entry.name)
            if entry.on_answer is not None:
                entry.on_answer(answer)

    def _too_early(self, entry: _Entry) -> None:
        entry.due = self._clock.now() + entry.shyness
        entry.shyness = min(2 * entry.shyness, limits.REPEAT_MOST)

    def failed(self, ticket: int) -> None:
        """No answer came; what must arrive is sent again later."""
        channel, entries = self._land(ticket)
        for entry in entries:
            if entry.on_answer is None and self._waiting.get(channel, {}).get(entry.name) is entry:
                self._drop(channel, entry.name)
        self._again(entries)

    def forget(self, peer: str) -> None:
        """Drop everything for a node, as after its database was lost."""
        self._forget(peer, lambda kind: kind not in MEETING)

    def forget_links(self, peer: str) -> None:
        """Drop what concerns the links to a node: there is none any more."""
        self._forget(peer, lambda kind: kind in ALONG)

    def leave(self, peer: str) -> None:
        """Drop everything for a node, meetings too: there is nothing to say to it any more. An answer on its way is not heard."""
        self._forget(peer, lambda _kind: True)

    def _forget(self, peer: str, chosen: Callable[[str], bool]) -> None:
        for channel in [channel for channel in self._waiting if channel[0] == peer and chosen(channel[1])]:
            self._count -= len(self._waiting.pop(channel))

    def hasten(self, peer: str) -> None:
        """Send what waits for a node at once: it has just been met, or is heard along a link again."""
        for channel, entries in self._waiting.items():
            if channel[0] == peer:
                for entry in entries.values():
                    entry.due, entry.pause = 0.0, limits.REPEAT_FIRST

    def _land(self, ticket: int) -> tuple[tuple[str, str], list[_Entry]]:
        channel, entries = self._flying.pop(ticket)
        self._busy.discard(channel)
        return channel, entries

    def _again(self, entries: Iterable[_Entry]) -> None:
        now = self._clock.now()
        for entry in entries:
            entry.flying = False
            entry.due = now + entry.pause
            entry.pause = min(2 * entry.pause, limits.REPEAT_MOST)


def _first(entries: Iterable[_Entry]) -> Iterable[_Entry]:
    """As many entries, in order, as one message may carry; at least one."""
    weight = 0
    for count, entry in enumerate(entries):
        weight += entry.item.weight
        if count and (count >= limits.ITEMS_PER_MESSAGE or weight > limits.PEER_BODY // 2):
            return
        yield entry

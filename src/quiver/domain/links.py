"""Whether the neighbour is heard along each QKD link: a small heartbeat of the link's own, and a table of states.

A *beat* goes along the link several times a second and is answered at once, without a commit. A link whose beats stay without an
answer, and from which nothing comes, is down: then nothing that concerns it is sent, and no credit is granted for paths over it.
What the two agents have to say beside (containers, ciphertexts, meetings) may go on over another way.

How long a silence may be follows from how slow answers were lately: on idle machines a cut is noticed at once, on busy ones a
link does not come and go. Time in which this process itself stood still does not count.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.events import LinkDown, LinkUp
from quiver.domain.journal import Journal
from quiver.domain.messages import Header, LinkBeat
from quiver.domain.network import LinkEntry
from quiver.domain.outbox import Message
from quiver.domain.ports import Clock
from quiver.domain.report import LinkState

__all__ = ["LINK_MOVES", "LinkSign", "Links"]


class LinkSign(StrEnum):
    """What is noticed of a link."""

    HEARD = "heard"  # a beat has come, or the answer to one
    SILENT = "silent"  # no beat was answered for too long, and none has come


LINK_MOVES: Final[dict[tuple[LinkState, LinkSign], LinkState]] = {
    (LinkState.UNKNOWN, LinkSign.HEARD): LinkState.UP,
    (LinkState.UNKNOWN, LinkSign.SILENT): LinkState.DOWN,
    (LinkState.UP, LinkSign.HEARD): LinkState.UP,
    (LinkState.UP, LinkSign.SILENT): LinkState.DOWN,
    (LinkState.DOWN, LinkSign.HEARD): LinkState.UP,
    (LinkState.DOWN, LinkSign.SILENT): LinkState.DOWN,
}


class _Watch(msgspec.Struct, eq=False):
    """One link.

    Attributes:
        flying: a beat is under way.
        next_beat: when the next one is due.
        unanswered: when the oldest beat was sent since anything was last heard; None where all is answered.
        doubted: when the silence was noticed first.
        slowest: the longest silence, of those that ended, which still makes patient; `slow_until` then.
    """

    entry: LinkEntry
    next_beat: float
    state: LinkState = LinkState.UNKNOWN
    flying: bool = False
    unanswered: float | None = None
    doubted: float | None = None
    slowest: float = 0.0
    slow_until: float = 0.0

    @property
    def patience(self) -> float:
        """Seconds that a silence may last: twice the longest lately, within the limits."""
        if self.state is LinkState.UNKNOWN:
            return limits.LINK_FIRST
        return min(max(limits.LINK_SILENCE, 2 * self.slowest), limits.LINK_SILENCE_MOST)

    def ended(self, silence: float, now: float) -> None:
        """A silence has ended: it was none of the link, unless it was so long that the link was away."""
        if silence < limits.LINK_SILENCE_MOST and (silence >= self.slowest or now >= self.slow_until):
            self.slowest, self.slow_until = silence, now + limits.LINK_MEMORY

    @property
    def due(self) -> float | None:
        """When its silence has to be looked at; None where there is none."""
        if self.unanswered is None or self.state is LinkState.DOWN:
            return None
        if self.doubted is None:
            return self.unanswered + self.patience - limits.LINK_DOUBT
        return max(self.unanswered + self.patience, self.doubted + limits.LINK_DOUBT)


class Links:
    """All links of one node.

    Args:
        entries: the links that end here.
        journal: where events are noted.
        clock: monotonic time.
        changed: called with the neighbour after the state of a link to it has changed.
    """

    def __init__(
        self, entries: Iterable[LinkEntry], journal: Journal, clock: Clock, changed: Callable[[str], None]
    ) -> None:
        self._journal: Final = journal
        self._clock: Final = clock
        self._changed: Final = changed
        self._watches: Final[dict[str, _Watch]] = {}
        self._origin: Final = clock.now()  # of the grid of times on which all links of this node beat together
        self._looked = self._origin  # when `review` was called last
        self.changes = 0  # of the states of links, since the start
        self._ways: dict[str, str] = {}  # neighbour → the first link to it that is up; `_find_ways` keeps it
        self.configure(entries)

    def configure(self, entries: Iterable[LinkEntry]) -> None:
        """Take up links that are new, and let go of those that are gone."""
        wanted = {entry.id: entry for entry in entries}
        for link in [link for link in self._watches if link not in wanted]:
            del self._watches[link]
        for link, entry in wanted.items():
            known = self._watches.get(link)
            if known is not None and known.entry.neighbour == entry.neighbour:
                known.entry = entry
            else:
                self._watches[link] = _Watch(entry, self._clock.now())
        self._find_ways()

    # --- states ---------------------------------------------------------------------------------------------------

    def state(self, link: str) -> LinkState:
        """Whether the neighbour is heard along a link of this node."""
        return self._watches[link].state

    def up(self, link: str) -> bool:
        """Whether a link of this node is up."""
        return link in self._watches and self._watches[link].state is LinkState.UP

    def along(self, neighbour: str) -> str | None:
        """The link along which a neighbour is reached now: the first that is up; None where none is."""
        return self._ways.get(neighbour)

    def linked(self, neighbour: str) -> bool:
        """Whether a link to a neighbour is up."""
        return neighbour in self._ways

    def _find_ways(self) -> None:
        """Called wherever links come, go or change their state; what it finds is asked for many times in each turn."""
        self._ways.clear()
        for link, watch in self._watches.items():
            if watch.state is LinkState.UP:
                self._ways.setdefault(watch.entry.neighbour, link)

    def _move(self, watch: _Watch, sign: LinkSign) -> None:
        before, watch.state = watch.state, LINK_MOVES[watch.state, sign]
        watch.doubted = None
        if watch.state is before:
            return
        event = LinkUp if watch.state is LinkState.UP else LinkDown
        self._journal.events.note(event(link=watch.entry.id, neighbour=watch.entry.neighbour))
        self.changes += 1
        self._find_ways()
        self._changed(watch.entry.neighbour)

    def review(self) -> None:
        """Look for silence. It counts when it was seen twice: what arrived while this process stood still is heard first."""
        now = self._clock.now()
        stood_still = max(0.0, now - self._looked - limits.LINK_BEAT)  # it is due on each moment of the grid
        self._looked = now
        for watch in list(self._watches.values()):
            if watch.unanswered is None:
                continue  # nothing is silent
            watch.unanswered += stood_still
            due = watch.due
            if due is None or now < due:
                continue
            if watch.doubted is None:
                watch.doubted = now
            else:
                self._move(watch, LinkSign.SILENT)

    # --- beats ----------------------------------------------------------------------------------------------------

    def beats(self, header_for: Callable[[str], Header]) -> list[Message]:
        """The beats to send now. Each is followed by `answered` or `failed`."""
        now = self._clock.now()
        made = []
        for link, watch in self._watches.items():
            if watch.flying or now < watch.next_beat:
                continue
            watch.flying, watch.next_beat = True, self._after(now)
            if watch.unanswered is None:
                watch.unanswered = now
            peer = watch.entry.neighbour
            made.append(Message(peer, LinkBeat.kind, 0, header_for(peer), (LinkBeat(link=link),), link, news=True))
        return made

    def met(self, neighbour: str) -> None:
        """A neighbour was met: beat at once, so that both ends know at the same time that the link is up."""
        for watch in self._watches.values():
            if watch.entry.neighbour == neighbour and watch.state is not LinkState.UP:
                watch.next_beat = self._clock.now()

    def _after(self, now: float) -> float:
        """The next moment of the grid; the beat after one that was answered late does not wait for it."""
        return self._origin + limits.LINK_BEAT * (1 + int((now - self._origin) / limits.LINK_BEAT + 1e-6))

    def heard(self, neighbour: str, link: str) -> bool:
        """A beat has come from a neighbour; False where this node has no such link to it."""
        watch = self._watches.get(link)
        if watch is None or watch.entry.neighbour != neighbour:
            return False
        self._end_silence(watch)
        watch.unanswered = self._clock.now() if watch.flying else None
        self._move(watch, LinkSign.HEARD)
        return True

    def _end_silence(self, watch: _Watch) -> None:
        if watch.unanswered is not None:
            now = self._clock.now()
            watch.ended(now - watch.unanswered, now)
            watch.unanswered = None

    def answered(self, link: str, *, known: bool) -> None:
        """The neighbour has answered a beat; `known` says that it knows the link."""
        watch = self._watches.get(link)
        if watch is None:
            return
        watch.flying = False
        if known:
            self._end_silence(watch)
            self._move(watch, LinkSign.HEARD)

    def failed(self, link: str) -> None:
        """No answer came to a beat."""
        if link in self._watches:
            self._watches[link].flying = False

    @property
    def due(self) -> float | None:
        """When a beat is to be sent, or silence to be looked at; None where there is no link."""
        if not self._watches:
            return None
        moments = [self._after(self._clock.now())]
        for watch in self._watches.values():
            if not watch.flying:
                moments.append(watch.next_beat)
            if (due := watch.due) is not None:
                moments.append(due)
        return min(moments)

"""Requests of SAEs for new keys: those that wait, in order of arrival, and the count of what became of all.

A request that cannot be served at once waits for refill, reroute or provisioning (design section 3, Wait). That there is no path,
or no pad, is told to the controller, not more often than it can use.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from quiver.domain import limits
from quiver.domain.context import Context
from quiver.domain.errors import ExhaustedError, LimitError, QuiverError, UnavailableError
from quiver.domain.event_log import Pauses
from quiver.domain.events import BufferExhausted, NewApplication
from quiver.domain.reply import Reply
from quiver.domain.secret import Secret
from quiver.domain.source import Source

__all__ = ["Request", "Requests"]


class Request(msgspec.Struct, eq=False):
    """One request for new keys.

    Attributes:
        size: bits of each key, a multiple of 8.
        deadline: until then it waits for pad.
    """

    master: str
    slaves: tuple[str, ...]
    destination: str
    count: int
    size: int
    deadline: float
    reply: Reply

    @property
    def key_bytes(self) -> int:
        """Bytes of all its keys together."""
        return self.count * self.size // 8

    @property
    def pad_bytes(self) -> int:
        """Bytes of pad that its container takes from each path."""
        return self.key_bytes + limits.TAG


class Requests:
    """All requests of this node's SAEs.

    Args:
        context: the node.
        sources: path versions that start here.

    Attributes:
        delivered: keys that masters were answered with, since the start.
        served: requests that got them.
        refused: requests that got 503.
    """

    def __init__(self, context: Context, sources: Mapping[str, Source]) -> None:
        self._context: Final = context
        self._sources: Final = sources
        self._waiting: list[Request] = []
        self.delivered = 0
        self.served = 0
        self.refused = 0
        now: Final = context.clock.now
        self._exhausted: Final = Pauses(now, limits.EXHAUSTED_PAUSE, limits.EVENTS_KEPT)
        self._applications: Final = Pauses(now, limits.APPLICATION_PAUSE, limits.APPLICATIONS_NOTED)

    def __iter__(self) -> Iterator[Request]:
        """Those that wait, in order of arrival; they may be taken out meanwhile."""
        return iter(list(self._waiting))

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def _paths_to(self, destination: str) -> Iterable[Source]:
        return (source for source in self._sources.values() if source.entry.destination == destination)

    # --- waiting --------------------------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        """Take a request. Where no path leads to its destination, the controller hears of it.

        Raises:
            LimitError: too many wait already.
        """
        if all(source.standing.retiring for source in self._paths_to(request.destination)):
            self._apply_for_path(request)
        if len(self._waiting) >= limits.WAITING_REQUESTS:
            self.refused += 1
            raise LimitError("too many requests wait for keys")
        self._waiting.append(request)

    def _apply_for_path(self, request: Request) -> None:
        """Tell of a pair without a path, once in a while: a master that asks all the time costs no more."""
        master, slave = request.master, request.slaves[0]
        if self._applications.passes(f"{master} {slave}"):
            event = NewApplication(master=master, slave=slave, destination=request.destination)
            self._context.journal.events.note(event)

    def put_back(self, request: Request) -> None:
        """A request has to be served anew: it is the next."""
        self._waiting.insert(0, request)

    def take(self, request: Request) -> None:
        """A request waits no more: it is being served."""
        self._waiting.remove(request)

    def abandon(self, reply: Reply) -> None:
        """The SAE has gone: its request is dropped, if it still waits."""
        self._waiting = [request for request in self._waiting if request.reply is not reply]

    @property
    def deadline(self) -> float | None:
        """When the first that waits is given up; None where none waits."""
        return min([request.deadline for request in self._waiting]) if self._waiting else None

    # --- what becomes of them -------------------------------------------------------------------------------------

    def grant(self, request: Request, batch: str, keys: Secret) -> None:
        """The destination has stored the keys: the answer needs no commit here."""
        request.reply.grant(batch, keys, request.count, at_once=True)
        self._count(request)

    def serve_local(self, request: Request, store: Callable[[Request], None]) -> None:
        """A request for two SAEs of this node: `store` answers it.

        Raises:
            UnavailableError: the keys could not be stored.
        """
        try:
            store(request)
        except UnavailableError:
            self.refused += 1
            raise
        self._count(request)

    def _count(self, request: Request) -> None:
        self.served += 1
        self.delivered += request.count

    def exhaust(self, request: Request) -> None:
        """There was no pad for a request within its time."""
        self._waiting.remove(request)
        destination = request.destination
        if self._exhausted.passes(destination):
            self._context.journal.events.note(BufferExhausted(destination=destination))
        led = any(self._paths_to(destination))
        words = f"no key for {destination} within the time to wait" if led else f"no path leads to {destination}"
        self.refuse(request, ExhaustedError(words))

    def refuse(self, request: Request, error: QuiverError) -> None:
        """No keys for a request."""
        self.refused += 1
        request.reply.refuse(error)

    def stop(self, error: QuiverError) -> None:
        """Refuse all that wait."""
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self.refuse(request, error)

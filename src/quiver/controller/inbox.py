"""What has happened for the controller and waits for its next turn, and the operators who wait for theirs to be durable."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from quiver.domain import limits
from quiver.domain.errors import LimitError, QuiverError
from quiver.domain.sdn.controller import Controller

__all__ = ["Event", "Inbox"]

T = TypeVar("T")


class Event(msgspec.Struct, frozen=True):
    """Something that has happened.

    Attributes:
        act: hands it in.
        node: whose agent it comes from; None for operators and for ourselves.
        lasting: also a controller that is made anew before it is taken has to hear of it.
    """

    act: Callable[[Controller], object]
    node: str | None = None
    lasting: bool = False


class Inbox:
    """Events in order. Their number is bounded by those who put them: links count theirs, operators are refused here."""

    def __init__(self) -> None:
        self._events: list[tuple[int | None, Event]] = []
        self._life = 0
        self._wake: Final = asyncio.Event()
        self._waiting: Final[set[asyncio.Future[Any]]] = set()
        self._results: list[Callable[[], None]] = []

    def put(self, act: Callable[[Controller], object], *, of: str | None = None, lasting: bool = False) -> None:
        """Something has happened; the arguments are those of `Event`."""
        self._events.append((None if lasting else self._life, Event(act, of, lasting)))
        self._wake.set()

    def take(self) -> deque[Event]:
        """All that wait, oldest first."""
        events = deque(event for life, event in self._events if life in (None, self._life))
        self._events = []
        self._wake.clear()
        return events

    def put_back(self, events: Iterable[Event]) -> None:
        """These were not handed in after all; of them only what every controller has to hear of will be."""
        self._events[:0] = [(None if event.lasting else self._life, event) for event in events]

    async def wait(self, seconds: float) -> None:
        """Until something has happened, for this long at most. What has happened already lets other tasks run first."""
        if self._wake.is_set():
            await asyncio.sleep(0)
            return
        timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def ask(self, act: Callable[[Controller], T]) -> T:
        """Hand something in and wait until what came of it is durable.

        Raises:
            LimitError: too many wait.
            QuiverError: as `act`, or why nobody knows.
        """
        if len(self._waiting) >= limits.CALLS_WAITING:
            raise LimitError("the controller has too much to do now")
        settled: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def request(controller: Controller) -> None:
            if settled.done():  # whoever asked has gone before anything was done
                return
            try:
                result = act(controller)
            except QuiverError as error:
                refused = error
                self._results.append(lambda: _refuse(settled, refused))
            else:
                self._results.append(lambda: _resolve(settled, result))

        self._waiting.add(settled)
        try:
            self.put(request)
            return await settled
        finally:
            self._waiting.discard(settled)

    def settle(self) -> None:
        """What was taken is durable: whoever asked for it hears of it."""
        results, self._results = self._results, []
        for tell in results:
            tell()

    def lose(self, error: QuiverError) -> None:
        """The controller is gone: whoever asked is refused, and what was meant for this one only is not handed in."""
        self._life += 1
        self._results.clear()
        for future in list(self._waiting):
            _refuse(future, type(error)(error.message))


def _resolve(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


def _refuse(future: "asyncio.Future[Any]", error: QuiverError) -> None:
    if not future.done():
        future.set_exception(error)

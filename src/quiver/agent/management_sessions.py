"""NETCONF sessions as tasks: the core (`protocols.netconf`) decides, this reads, writes and keeps time for it."""

import asyncio
import contextlib
import datetime
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from quiver.domain.errors import QuiverError, UnavailableError
from quiver.net.log import place_of
from quiver.net.stream import ByteStream
from quiver.protocols.netconf.access import Role
from quiver.protocols.netconf.actions import Action, Apply, Close, Moment, Send
from quiver.protocols.netconf.change import PendingChange
from quiver.protocols.netconf.server import Server
from quiver.protocols.netconf.xml import Element

__all__ = ["Caller", "Sessions", "moment"]

_log = structlog.get_logger("quiver.agent.management")


def moment() -> Moment:
    """Now."""
    return Moment(time.monotonic(), datetime.datetime.now(datetime.UTC))


class Caller:
    """Somebody who has been authenticated.

    Attributes:
        user: its name.
        role: by this node's policy.
        transport: "ssh" or "tls".
        peer: address that it comes from.
    """

    __slots__ = ("peer", "role", "transport", "user")

    def __init__(self, user: str, role: Role, transport: str, peer: str) -> None:
        self.user: Final = user
        self.role: Final = role
        self.transport: Final = transport
        self.peer: Final = peer


Take = Callable[[PendingChange, Caller | None], Awaitable[None]]
"""Makes a change durable and works by it; None for a rollback by time. Raises a QuiverError where it did not happen."""


class _Line:
    """What is to be written to one session, and whether it may be read from."""

    def __init__(self, caller: Caller, stream: ByteStream) -> None:
        self.caller: Final = caller
        self.stream: Final = stream
        self.outgoing: Final[deque[bytes]] = deque()
        self.wake: Final = asyncio.Event()  # for the writer
        self.readable: Final = asyncio.Event()
        self.readable.set()
        self.closing = False


class Sessions:
    """Drives a core with real connections.

    Args:
        core: all sessions of the node.
        take: see `Take`.
    """

    def __init__(self, core: Server, take: Take) -> None:
        self._core: Final = core
        self._take: Final = take
        self._lines: Final[dict[int, _Line]] = {}
        self._changes: Final[set[asyncio.Task[None]]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._lines)

    # --- one session ----------------------------------------------------------------------------------------------

    async def serve(self, caller: Caller, stream: ByteStream) -> None:
        """One session, until either side ends it. The stream is closed then."""
        number, actions = self._core.open(
            caller.user, caller.role, f"netconf-{caller.transport}", caller.peer, moment()
        )
        line = self._lines[number] = _Line(caller, stream)
        about = {"session": number, "user": caller.user, "role": caller.role.value, "transport": caller.transport}
        _log.info("session opened", **about, peer=caller.peer)
        writer = asyncio.create_task(self._write(number, line))
        try:
            self._do(actions)
            await self._read(number, line)
        finally:
            self._finish(number, line)
            await asyncio.gather(writer, return_exceptions=True)
            del self._lines[number]
            _log.info("session ended", **about)

    async def _read(self, number: int, line: _Line) -> None:
        with contextlib.suppress(ConnectionError):
            while not line.closing:
                await line.readable.wait()
                received = await line.stream.read()
                if not received:
                    return
                if not line.closing:
                    self._do(self._core.feed(number, received, moment()))

    async def _write(self, number: int, line: _Line) -> None:
        """Write what the core gives out, and close the stream when it says so or nobody is there."""
        try:
            while True:
                while line.outgoing:
                    content = line.outgoing.popleft()
                    await line.stream.write(content)
                    self._do(self._core.sent(number, len(content), moment()))
                if line.closing:
                    return
                line.wake.clear()
                await line.wake.wait()
        except ConnectionError:
            self._finish(number, line)
        finally:
            await line.stream.close()  # the reader sees its end

    def _finish(self, number: int, line: _Line) -> None:
        """The peer is gone, or we are."""
        if not line.closing:
            line.closing = True
            self._do(self._core.lost(number, moment()))
        line.wake.set()
        line.readable.set()

    # --- all of them ----------------------------------------------------------------------------------------------

    def publish(self, event: Element) -> None:
        """Tell everyone who subscribed."""
        self._do(self._core.publish(event, moment()))

    def end(self, which: Callable[[Caller], bool], reason: str) -> None:
        """End the sessions of some callers. A change that one of them asked for is carried to its end."""
        for number, line in tuple(self._lines.items()):
            if not line.closing and which(line.caller):
                _log.info("session closed", session=number, reason=reason)
                self._finish(number, line)

    async def pursue(self, done: Callable[[], bool]) -> None:
        """Let the core look at its datastores, of which their owner has asked something, until the changes for it are made."""
        self._do(self._core.tick(moment()))
        while not done() and self._changes:
            await asyncio.wait(tuple(self._changes), return_when=asyncio.FIRST_COMPLETED)

    async def close(self, reason: str) -> None:
        """End all sessions; whoever serves them returns. Changes under way are carried to their end first."""
        if self._changes:
            await asyncio.wait(tuple(self._changes))
        self._do(self._core.close_all(reason, moment()))
        for handle in (self._timer, self._turn):
            if handle is not None:
                handle.cancel()

    # --- the core -------------------------------------------------------------------------------------------------

    def _do(self, actions: Iterable[Action]) -> None:
        """What the core asks for, and then what it would be asked again after every call."""
        for action in actions:
            line = self._lines.get(action.session) if isinstance(action, Send | Close) else None
            match action:
                case Send():
                    if line is not None and not line.closing:
                        line.outgoing.append(action.data)
                        line.wake.set()
                case Close():
                    if line is not None:
                        _log.info("session closed", session=action.session, reason=action.reason)
                        line.closing = True
                        line.wake.set()
                        line.readable.set()
                case Apply():
                    self._start(action.change)
        self._look_again()

    def _look_again(self) -> None:
        for number, line in self._lines.items():
            if line.closing:
                continue
            if self._core.readable(number):
                line.readable.set()
            else:
                line.readable.clear()
        if self._core.busy and self._turn is None:
            # One message, and then all else in this process: links and SAEs do not wait for what somebody has sent.
            self._turn = asyncio.get_running_loop().call_soon(self._work)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (deadline := self._core.deadline) is not None:
            wait = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    def _work(self) -> None:
        self._turn = None
        self._do(self._core.work(moment()))

    def _tick(self) -> None:
        self._timer = None
        self._do(self._core.tick(moment()))

    def _start(self, change: PendingChange) -> None:
        line = self._lines.get(change.session) if change.session is not None else None
        task = asyncio.create_task(self._apply(change, line.caller if line is not None else None))
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _apply(self, change: PendingChange, caller: Caller | None) -> None:
        error: QuiverError | None = None
        try:
            await self._take(change, caller)
        except QuiverError as refused:
            error = refused
            if change.session is None:  # nobody else hears of it
                _log.warning("change refused", cause=change.cause.value, reason=refused.message)
        except Exception as failed:  # noqa: BLE001  # whatever it is, the core must not wait for this change for good
            _log.error("change failed", exception=place_of(failed))
            error = UnavailableError("the node could not take the change")
        self._do(self._core.applied(change.number, error, moment()))

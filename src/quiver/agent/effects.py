"""Where the effects of an engine's turns go: messages to other nodes, calls of devices, alarms, and events for who listens."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from quiver.agent import trace
from quiver.agent.device_calls import DeviceCalls
from quiver.agent.driver import Driver, Edges, Event
from quiver.agent.surroundings import Peers
from quiver.domain.errors import RemoteError
from quiver.domain.events import LinkDown, NumberedEvent
from quiver.domain.journal import Alarm
from quiver.domain.messages import Answer, Header, LinkBeat, Outcome
from quiver.domain.outbox import Message
from quiver.net.log import place_of

__all__ = ["Effects", "Hear", "Put"]

_log = structlog.get_logger("quiver.agent.effects")

Hear = Callable[[str, NumberedEvent], None]
"""Takes the run of the node, which begins anew whenever the node does, and an event of it."""
Put = Callable[[Event, int | None], None]
"""Takes what has happened for the node of a life, None for the present one."""


class Effects:
    """The outside of one node.

    Args:
        node: its id.
        peers: towards other nodes.
        devices: calls of its devices.
        put: tells the engine what has happened.
        watch: likewise, for what needs a turn only where it changes the state of a link or lets a message leave.

    Attributes:
        alarms: name → times raised.
    """

    def __init__(self, node: str, peers: Peers, devices: DeviceCalls, put: Put, watch: Put) -> None:
        self._node: Final = node
        self._peers: Final = peers
        self._devices: Final = devices
        self._put: Final = put
        self._watch: Final = watch
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._hearers: Final[list[Hear]] = []
        self._tracing: Final = _log.is_enabled_for(logging.DEBUG)
        self.alarms: Final[dict[str, int]] = {}

    def edges(self, run: str, life: int) -> Edges:
        """The edges of the node of one life, whose events have the name of its run."""
        return Edges(
            lambda message: self._start(self._send(message, life)),
            lambda call: self._start(self._devices.call(call, life)),
            self._alarm,
            lambda event: self._tell(run, event),
        )

    def listen(self, hear: Hear) -> Callable[[], None]:
        """Tell `hear` of each event from now on; what this returns ends it."""
        self._hearers.append(hear)
        return lambda: self._hearers.remove(hear)

    async def stop(self) -> None:
        """Cancel whatever is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, message: Message, life: int) -> None:
        beat = message.kind == LinkBeat.kind
        if self._tracing and not beat:
            trace.log_sent(self._node, message.peer, message.kind, message.items)
        try:
            header, answers = await self._peers.send(
                message.peer, message.kind, message.header, message.items, message.link
            )
        except RemoteError as error:
            if not beat:
                _log.debug("no answer", peer=message.peer, kind=message.kind, reason=error.message)
            self._put(lambda driver: driver.failed(message), life)
        except Exception as error:  # noqa: BLE001  # whatever it is, the node must not wait for this answer for good
            _log.error("message not sent", peer=message.peer, kind=message.kind, exception=place_of(error))
            self._put(lambda driver: driver.failed(message), life)
        else:
            self._answered(message, header, answers, life)

    def _answered(self, message: Message, header: Header, answers: list[Answer], life: int) -> None:
        """Another node has answered; that it has heard some news needs no turn."""

        def event(driver: Driver) -> None:
            driver.answered(message, header, answers)

        heard = message.news and all(answer.outcome is Outcome.DONE for answer in answers)
        (self._watch if heard else self._put)(event, life)

    def _tell(self, run: str, event: NumberedEvent) -> None:
        facts = msgspec.to_builtins(event.body)
        _log.info("node event", what=facts.pop("event"), number=event.sequence, about=facts)
        for hear in list(self._hearers):
            hear(run, event)
        if isinstance(event.body, LinkDown):
            self._start(self._peers.drop(event.body.neighbour, event.body.link))

    def _alarm(self, alarm: Alarm) -> None:
        self.alarms[alarm.name] = self.alarms.get(alarm.name, 0) + 1
        _log.error("alarm", alarm=alarm.name, **alarm.facts)

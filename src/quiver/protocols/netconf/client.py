"""A client's side of a session, for our controller and command line against any server (RFC 6241 sections 4 and 8.1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import LimitError, NetconfError
from quiver.protocols.netconf.capabilities import BASE_1_0, BASE_1_1, Hello, hello, read_hello
from quiver.protocols.netconf.errors import RpcError, from_element
from quiver.protocols.netconf.framing import Framing, MessageReader, frame
from quiver.protocols.netconf.notifications import read_time
from quiver.protocols.netconf.xml import NOTIFICATION, Element, base, enclose, make, parse, qualified, text_of

__all__ = ["ClientEvent", "ClientSession", "Greeted", "Notified", "Replied"]


@dataclass(frozen=True, slots=True)
class Greeted:
    """The server's hello has come; rpcs may be sent.

    Attributes:
        hello: its session-id and capabilities.
    """

    hello: Hello


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply to an rpc.

    Attributes:
        message_id: of the rpc, as `call` gave it.
        content: the elements of the reply; empty for `<ok/>`.
        error: why nothing was done, or None. Warnings count as done (RFC 6241 section 4.3).
    """

    message_id: str
    content: tuple[Element, ...]
    error: RpcError | None


@dataclass(frozen=True, slots=True)
class Notified:
    """An event notification (RFC 5277 section 4).

    Attributes:
        time: eventTime.
        event: the notification's own element.
    """

    time: datetime
    event: Element


ClientEvent = Greeted | Replied | Notified


class _State(Enum):
    HELLO = auto()
    READY = auto()
    BROKEN = auto()


class ClientSession:
    """One session.

    Args:
        calls: rpcs without a reply at most.
        most: bytes of one message at most; a whole node's state may be larger than what a server takes.
        tags: angle brackets of one message at most; likewise.
    """

    def __init__(
        self,
        calls: int = limits.NETCONF_CALLS,
        most: int = limits.NETCONF_STATE,
        tags: int = limits.NETCONF_STATE_TAGS,
    ) -> None:
        self._state = _State.HELLO
        self._framing = Framing.END_OF_MESSAGE
        self._most: Final = most
        self._tags: Final = tags
        self._reader: Final = MessageReader(limits.NETCONF_HELLO)
        self._calls: Final = calls
        self._open: Final[dict[str, None]] = {}  # message-ids without a reply, in order
        self._numbers = 0

    @property
    def waiting(self) -> int:
        """Rpcs without a reply."""
        return len(self._open)

    def hello(self) -> bytes:
        """The first bytes to send."""
        return frame(hello((BASE_1_0, BASE_1_1)), Framing.END_OF_MESSAGE)

    def call(self, operation: Element) -> tuple[str, bytes]:
        """An rpc.

        Args:
            operation: the operation's element.

        Returns:
            Its message-id, and the bytes to send.

        Raises:
            NetconfError: the server's hello has not come, or the session is broken.
            LimitError: too many rpcs wait for their replies.
        """
        if self._state is not _State.READY:
            raise NetconfError("the session is not open")
        if len(self._open) >= self._calls:
            raise LimitError(f"{self._calls} rpcs of this session wait for their replies")
        self._numbers += 1
        message_id = str(self._numbers)
        rpc = make(base("rpc"), {None: base("")[1:-1]}, {"message-id": message_id})
        self._open[message_id] = None
        return message_id, frame(enclose(rpc, (operation,)), self._framing)

    def feed(self, data: bytes) -> list[ClientEvent]:
        """Bytes have come from the server.

        Raises:
            NetconfError: what came breaks the protocol; the session must end, and no rpc without a reply gets one. What was
                whole before is lost with it, as a session that broke says nothing that can be relied on.
        """
        if self._state is _State.BROKEN:
            raise NetconfError("the session is broken")
        self._reader.push(data)
        events: list[ClientEvent] = []
        try:
            while (message := self._reader.pop()) is not None:
                events.append(self._take(message))
        except NetconfError:
            self._state = _State.BROKEN
            raise
        return events

    def _take(self, message: bytes) -> ClientEvent:
        if self._state is _State.HELLO:
            greeting = read_hello(message, from_server=True)
            self._state = _State.READY
            self._framing = greeting.framing
            self._reader.switch(greeting.framing)
            self._reader.most = self._most
            return Greeted(greeting)
        root = parse(message, self._tags)
        if root.tag == qualified(NOTIFICATION, "notification"):
            return _notified(root)
        if root.tag != base("rpc-reply"):
            raise NetconfError("a server sends replies and notifications")
        return self._replied(root)

    def _replied(self, root: Element) -> Replied:
        message_id = root.get("message-id")
        if message_id is None and len(self._open) == 1:
            message_id = next(iter(self._open))  # some servers leave it out where they could not read the rpc
        if message_id not in self._open:
            raise NetconfError("a reply to an rpc that was not sent")
        del self._open[message_id]
        errors = [part for part in root if part.tag == base("rpc-error")]
        serious = next((part for part in errors if _severity(part) != "warning"), None)
        content = tuple(part for part in root if part.tag not in (base("rpc-error"), base("ok")))
        return Replied(message_id, content, None if serious is None else from_element(serious))


def _severity(error: Element) -> str:
    found: Iterable[Element] = error.iterfind(base("error-severity"))
    return next((text_of(part).strip() for part in found), "error")


def _notified(root: Element) -> Notified:
    stamp = root.find(qualified(NOTIFICATION, "eventTime"))
    events = [part for part in root if part is not stamp]
    if stamp is None or len(events) != 1:
        raise NetconfError("a notification has an eventTime and one event (RFC 5277 section 4)")
    try:
        time = read_time(text_of(stamp))
    except ValueError:
        time = None
    if time is None:
        raise NetconfError("the eventTime of a notification is no date and time with a zone")
    return Notified(time, events[0])

"""All NETCONF sessions of one node, over whatever transports (RFC 6241 section 4; its use stands in the package's docstring)."""

from collections.abc import Callable
from itertools import chain
from typing import Final

from quiver.domain import limits
from quiver.domain.errors import NetconfError, QuiverError
from quiver.protocols.netconf.about import About
from quiver.protocols.netconf.access import Access, Principal, Role
from quiver.protocols.netconf.actions import Action, Apply, Close, Moment, Send
from quiver.protocols.netconf.backlog import Backlog, Held
from quiver.protocols.netconf.capabilities import hello, read_hello
from quiver.protocols.netconf.change import PendingChange
from quiver.protocols.netconf.datastores import Datastores
from quiver.protocols.netconf.errors import ErrorType, RpcError, Tag
from quiver.protocols.netconf.framing import Framing, frame
from quiver.protocols.netconf.monitoring import SessionFacts
from quiver.protocols.netconf.notifications import EventLog
from quiver.protocols.netconf.operations import OPERATIONS, Done, Entry, Operations, Result, State
from quiver.protocols.netconf.rpc import operation_of, reply, reply_error, reply_ok
from quiver.protocols.netconf.schema import Schema
from quiver.protocols.netconf.session import Session, SessionEvent, SessionState
from quiver.protocols.netconf.session_operations import SessionOperations
from quiver.protocols.netconf.xml import (
    BASE,
    Element,
    MalformedError,
    base,
    element,
    local_of,
    namespace_of,
    parse,
)

__all__ = ["Server"]


class Server:
    """The sessions.

    Args:
        datastores: running and candidate, shared by all sessions.
        access: who may do what.
        state: gives the operational state for `get`.
        now: the start.
        events: notifications kept for replay.
    """

    def __init__(
        self, datastores: Datastores, access: Access, state: State, now: Moment, events: int = limits.NETCONF_EVENTS
    ) -> None:
        self._datastores: Final = datastores
        self._schema: Final[Schema] = datastores.schema
        self._access: Final = access
        self._sessions: Final[dict[int, Session]] = {}
        self._log: Final = EventLog(now.utc, events)
        self._about: Final = About(self._schema, datastores.locks, self._log, self._sessions, now.utc)
        self._operations: Final = Operations(
            datastores, access, lambda wanted: chain(state(wanted), self._about.state(wanted))
        )
        self._numbers = 0
        self._out: list[Action] = []
        self._now = now
        self._applying: Held | None = None  # whose change is out
        self._backlog: Final = Backlog()
        self._on_sessions: Final = SessionOperations(self._sessions, self._end, self._log, self._schema.modules)

    # --- What an edge calls ---

    def open(self, user: str, role: Role, transport: str, host: str, now: Moment) -> tuple[int, list[Action]]:
        """A peer has been authenticated and its transport is open.

        Args:
            user: its name.
            role: of the user.
            transport: netconf-ssh or netconf-tls (RFC 6022 section 2.1.4).
            host: where it comes from.
            now: the time.

        Returns:
            The session's number, and the hello to send, or a `Close` where there are too many sessions.
        """
        self._begin(now)
        self._numbers = self._numbers % ((1 << 32) - 1) + 1  # RFC 6241 section 8.1: not 0
        number = self._numbers
        if len(self._sessions) >= limits.NETCONF_SESSIONS:
            return number, [Close(number, f"there are {limits.NETCONF_SESSIONS} sessions already")]
        facts = SessionFacts(number, transport, user, host, now.utc)
        session = Session(Principal(number, user, role), facts, now.steady + limits.NETCONF_HELLO_TIME)
        self._sessions[number] = session
        self._send(session, hello(self._about.capabilities, number))
        return number, self._finish()

    def feed(self, number: int, data: bytes, now: Moment) -> list[Action]:
        """Bytes have come from a peer."""
        self._begin(now)
        session = self._sessions.get(number)
        if session is not None:
            session.reader.push(data)
            self._backlog.add(session)
            if session.reader.held > limits.NETCONF_UNREAD:
                self._end(session, "more was sent than is read before earlier rpcs are answered")
        return self._finish()

    def readable(self, number: int) -> bool:
        """Whether the edge shall read on from a session's transport."""
        session = self._sessions.get(number)
        return session is not None and session.idle and session not in self._backlog

    @property
    def busy(self) -> bool:
        """Whether `work` has something to do."""
        waits = self._backlog.writers and self._datastores.pending is None
        return waits or self._backlog.messages

    def work(self, now: Moment) -> list[Action]:
        """One piece of the work that there is: one message, or one writer that waits for nothing any more.

        No other call reads messages. So the edge can look after all else between two of them, whatever one session has sent.
        """
        self._begin(now)
        self._finish()  # a rollback whose time has come goes before all writers
        if self._backlog.writers and self._datastores.pending is None:
            held = self._backlog.next_writer()
            held.session.move(SessionEvent.ANSWERED)
            self._call(held.session, held.rpc)
            self._go_on(held.session)
        else:
            self._read_one()
        return self._finish()

    def sent(self, number: int, count: int, now: Moment) -> list[Action]:
        """So many bytes of what was to be sent have left."""
        self._begin(now)
        session = self._sessions.get(number)
        if session is not None:
            session.unsent -= count
            self._go_on(session)
        return self._finish()

    def lost(self, number: int, now: Moment) -> list[Action]:
        """A session's transport is gone."""
        self._begin(now)
        session = self._sessions.get(number)
        if session is not None:
            self._about.counters.dropped += 1
            self._forget(session)
        return self._finish()

    def applied(self, number: int, error: QuiverError | None, now: Moment) -> list[Action]:
        """A change is durable and in force, or was refused and has not happened."""
        self._begin(now)
        assert self._datastores.pending is not None
        assert self._datastores.pending.number == number
        self._datastores.settled(durable=error is None, now=now.steady)
        held, self._applying = self._applying, None
        if held is not None and held.session.state is SessionState.WAITING:
            if error is None:
                self._answer(held.session, held.rpc, Done())
            else:
                self._answer_error(held.session, held.rpc, error)
            held.session.move(SessionEvent.ANSWERED)
            self._go_on(held.session)
        return self._finish()

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, in seconds of the steady clock, or None."""
        times = [session.hello_until for session in self._sessions.values() if session.state is SessionState.HELLO]
        times += [self._steady_of(session) for session in self._sessions.values() if _stops(session)]
        if self._datastores.deadline is not None:
            times.append(self._datastores.deadline)
        return min(times, default=None)

    def tick(self, now: Moment) -> list[Action]:
        """Time has passed."""
        self._begin(now)
        for session in tuple(self._sessions.values()):
            if session.state is SessionState.HELLO and session.hello_until <= now.steady:
                self._bad_hello(session, f"no hello came within {limits.NETCONF_HELLO_TIME:.0f} s")
            elif session.subscription is not None:
                self._notify(session)
        return self._finish()

    def publish(self, event: Element, now: Moment) -> list[Action]:
        """Something happened: tell everyone who subscribed.

        Args:
            event: the notification's element; it becomes the server's.
            now: when.
        """
        self._begin(now)
        self._log.append(event, now.utc)
        for session in tuple(self._sessions.values()):
            if session.subscription is not None:
                self._notify(session)
        return self._finish()

    def close_all(self, reason: str, now: Moment) -> list[Action]:
        """The node stops: every session ends."""
        self._begin(now)
        for session in tuple(self._sessions.values()):
            self._end(session, reason)
        return self._finish()

    # --- The way of a call ---

    def _begin(self, now: Moment) -> None:
        self._now = now
        self._out = []

    def _finish(self) -> list[Action]:
        """The actions of a call, and a rollback whose time has come."""
        if self._datastores.pending is None and (change := self._datastores.due(self._now.steady)) is not None:
            self._out.append(Apply(change))
        return self._out

    def _send(self, session: Session, message: bytes) -> None:
        data = frame(message, session.framing)
        session.unsent += len(data)
        self._out.append(Send(session.number, data))

    def _end(self, session: Session, reason: str) -> None:
        self._out.append(Close(session.number, reason))
        self._forget(session)

    def _forget(self, session: Session) -> None:
        session.move(SessionEvent.ENDED)
        session.subscription = None
        del self._sessions[session.number]
        self._backlog.drop(session)
        self._datastores.ended(session.number)
        self._about.note_locks(self._now.utc)

    def _go_on(self, session: Session) -> None:
        """Something that a session waited for has happened: it gets what is due to it, and a turn if it has sent more."""
        if session.state is not SessionState.CLOSED and session.reader.held:
            self._backlog.add(session)
        if session.state is not SessionState.CLOSED and session.subscription is not None:
            self._notify(session)

    def _read_one(self) -> None:
        """Take one message of the session that has waited longest, of those that may be given work and have sent a whole one."""
        while self._backlog.messages:
            session = self._backlog.next_session()
            if session.idle and self._read(session):
                self._go_on(session)
                return

    def _read(self, session: Session) -> bool:
        """Take a session's next message; whether there was one, or an error in its place."""
        try:
            message = session.reader.pop()
            if message is None:
                return False
            if session.state is SessionState.HELLO:
                self._greet(session, message)
            else:
                self._message(session, message)
        except NetconfError as error:
            if session.state is SessionState.HELLO:
                self._bad_hello(session, error.message)
            else:
                self._end(session, error.message)
        return True

    def _greet(self, session: Session, message: bytes) -> None:
        greeting = read_hello(message, from_server=False)
        self._about.counters.sessions += 1
        session.greeted(greeting.framing)

    def _bad_hello(self, session: Session, reason: str) -> None:
        self._about.counters.bad_hellos += 1
        self._end(session, reason)

    def _message(self, session: Session, message: bytes) -> None:
        try:
            rpc = parse(message)
            if rpc.tag != base("rpc"):
                raise MalformedError("a message of a client is an rpc")
        except MalformedError as error:
            for counters in self._about.both(session):
                counters.bad_rpcs += 1
            if session.framing is Framing.CHUNKED:  # clients of 1.0 do not know the tag (RFC 6241 appendix A)
                refusal = RpcError(Tag.MALFORMED_MESSAGE, error.message, type=ErrorType.RPC)
                self._send(session, reply_error(element(base("rpc")), refusal, {}))
            raise
        self._call(session, rpc)

    def _call(self, session: Session, rpc: Element) -> None:
        try:
            operation = operation_of(rpc)
            writes, run = self._find(session, operation)
            if writes and self._datastores.pending is not None:
                session.move(SessionEvent.HELD)
                self._backlog.hold(session, rpc)
                return
            result = run(operation)
        except QuiverError as error:  # such as from the node, when it cannot tell its state
            self._answer_error(session, rpc, error)
            return
        if isinstance(result, PendingChange):
            session.move(SessionEvent.HELD)
            self._applying = Held(session, rpc)
            self._out.append(Apply(result))
            return
        self._answer(session, rpc, result)
        if local_of(operation.tag) in ("lock", "unlock"):
            self._about.note_locks(self._now.utc)
        if operation.tag == base("close-session"):
            self._end(session, "close-session")

    def _find(self, session: Session, operation: Element) -> tuple[bool, Callable[[Element], Result]]:
        name = local_of(operation.tag)
        call = self._on_sessions.get(operation.tag)
        entry: Entry | None = OPERATIONS.get(name) if namespace_of(operation.tag) == BASE else None
        if call is None and entry is None:
            raise RpcError(Tag.OPERATION_NOT_SUPPORTED, "this server has no such operation", type=ErrorType.PROTOCOL)
        self._access.check_call(session.who, name)
        if call is not None:
            on_session = call
            return False, lambda request: on_session(session, request, self._now.utc)
        assert entry is not None
        held = entry
        return entry.writes, lambda request: held.run(self._operations, session.who, request, self._now.steady)

    def _answer(self, session: Session, rpc: Element, done: Done) -> None:
        for counters in self._about.both(session):
            counters.rpcs += 1
        self._send(session, reply(rpc, done.content) if done.content else reply_ok(rpc))

    def _answer_error(self, session: Session, rpc: Element, error: QuiverError) -> None:
        refusal = error if isinstance(error, RpcError) else RpcError(Tag.OPERATION_FAILED, error.message)
        for counters in self._about.both(session):
            counters.rpcs += 1
            counters.errors += 1
        self._send(session, reply_error(rpc, refusal, self._schema.prefixes))

    # --- Notifications ---

    def _notify(self, session: Session) -> None:
        """Send a subscriber what is due, as much as it takes."""
        subscription = session.subscription
        assert subscription is not None
        messages = subscription.take(self._now.utc)
        while session.unsent <= limits.NETCONF_UNSENT and (message := next(messages, None)) is not None:
            for counters in self._about.both(session):
                counters.notifications += 1
            self._send(session, message)
        if subscription.lost:
            self._end(session, "the subscriber is too slow: events that it has not taken are gone from the log")
        elif subscription.ended:
            session.subscription = None

    def _steady_of(self, session: Session) -> float:
        """When a subscription's stopTime is, by the steady clock."""
        assert session.subscription is not None
        assert session.subscription.stop is not None
        return self._now.steady + (session.subscription.stop - self._now.utc).total_seconds()


def _stops(session: Session) -> bool:
    taken = session.unsent <= limits.NETCONF_UNSENT  # else it goes on when some of that has left
    return taken and session.subscription is not None and session.subscription.stop is not None

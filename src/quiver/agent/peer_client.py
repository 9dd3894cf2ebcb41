"""The client's side of the peer plane: messages to other nodes, over connections that are few, bounded and not old.

Each node has connections of its own, so that one that is down or slow holds up nobody else. Two are enough: every message is
answered without waiting for a third node, hence opposite flows never wait for each other.

What concerns a link goes to that link's channel, where it has one, over connections apart from the others; and its beats over one
of their own, so that nothing that hangs can delay them.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
import msgspec
from yarl import URL

from quiver.domain import limits
from quiver.domain.errors import RemoteError, RequestError
from quiver.domain.messages import Answer, Header, Item, LinkBeat
from quiver.net.tls import TlsContext, quiver_uri, refusal_in
from quiver.protocols import peer as wire
from quiver.protocols.etsi014 import decode_error

__all__ = ["PeerAddress", "PeerClient", "PeerTimes"]

_JSON: Final = "application/json"
_HEADERS: Final = {"Content-Type": _JSON, "Accept": _JSON, "Accept-Encoding": "identity"}
_DIRECT: Final = 1 << 20  # bytes; aiohttp writes a longer body piece by piece, so that the loop goes on meanwhile
Exchanged = tuple[int, bytes]
"""HTTP status and body of an answer."""
_SHOWN: Final = 160  # characters of what the other side said


class PeerAddress(Protocol):
    """Where a node's peer plane listens: an IPv4 or IPv6 address or a DNS name, and a port."""

    host: str
    port: int


class PeerTimes(msgspec.Struct, frozen=True):
    """Bounds of the calls to other nodes, in seconds.

    Attributes:
        connect: for TCP and TLS.
        answer: for a whole call, the wait for a connection included.
        age: after which a connection takes no more calls. Less than the server's, which then is never the one to close a
            connection just as a message is on its way.
        idle: after which a connection without calls is closed; less than the server's, likewise.
        beat: for a beat.
        channel: to connect along a link.
    """

    connect: float = limits.PEER_CONNECT
    answer: float = limits.PEER_ANSWER
    age: float = limits.CONNECTION_AGE / 2
    idle: float = limits.CONNECTION_IDLE / 2
    beat: float = limits.LINK_ANSWER
    channel: float = limits.LINK_CONNECT


class _Lane(msgspec.Struct, frozen=True):
    """The connections that a message uses.

    Attributes:
        link: the link whose channel they lead to; empty for those to the node's own address.
        beat: they are for the link's beats alone.
    """

    peer: str
    link: str = ""
    beat: bool = False


class _Pool:
    """Connections of one lane that were opened within one age."""

    def __init__(self, session: aiohttp.ClientSession, born: float) -> None:
        self.session: Final = session
        self.born: Final = born
        self.calls = 0


class PeerClient:
    """Sends messages to other nodes.

    Args:
        tls: from `net.tls.peer_client`.
        nodes: node id → address, the directory; looked into for each call, so it may change.
        channels: link → address at which the neighbour is reached along it, for links that have one; may change likewise.
        source: local address to send from; None leaves it to the system.
        times: bounds of the calls.
    """

    def __init__(
        self,
        tls: TlsContext,
        nodes: Mapping[str, PeerAddress],
        *,
        channels: Mapping[str, PeerAddress] | None = None,
        source: str | None = None,
        times: PeerTimes | None = None,
    ) -> None:
        self._tls: Final = tls
        self._nodes: Final = nodes
        self._channels: Final = channels if channels is not None else {}
        self._source: Final = source
        self._times: Final = times or PeerTimes()
        self._under_way: Final[dict[_Lane, set[asyncio.Task[Exchanged]]]] = {}
        self._pools: Final[dict[_Lane, _Pool]] = {}
        self._retired: Final[list[_Pool]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; calls under way fail."""
        pools = [*self._pools.values(), *self._retired]
        self._pools.clear()
        self._retired.clear()
        for pool in pools:
            await pool.session.close()

    async def drop(self, peer: str, link: str) -> None:
        """A link is down: close the connections that lead along it. Calls over them fail now, not when their time is over."""
        channel = _Lane(peer, link) if link in self._channels else _Lane(peer)
        for lane in (channel, _Lane(peer, link, beat=True)):
            for call in self._under_way.get(lane, ()):
                call.cancel()
            await self._discard(lane)

    async def _discard(self, lane: _Lane) -> None:
        pool = self._pools.pop(lane, None)
        if pool is not None:
            await pool.session.close()

    async def send(
        self, peer: str, kind: str, header: Header, items: Sequence[Item], link: str = ""
    ) -> tuple[Header, list[Answer]]:
        """Send a message, and give the answers: one per item, in their order.

        Args:
            peer: the node.
            kind: of the items.
            header: what this node says of its database.
            items: what to send.
            link: the link that the message has to go along; empty for the network between the nodes.

        Raises:
            RemoteError: the node is not in the directory, is not reached, is not the one its certificate must name, or answers
                something else; `status` is the HTTP status, 0 where none came.
        """
        address = self._channels.get(link) or self._nodes.get(peer)
        if address is None:
            raise RemoteError(f"{peer} is not in the directory")
        beat = kind == LinkBeat.kind
        lane = _Lane(peer, link if beat or link in self._channels else "", beat)
        body = wire.encode_message(kind, header, items)
        try:
            status, received = await self._until_dropped(lane, self._call(lane, address, kind, body))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            reason = _reason(error)
            if beat:
                await self._discard(lane)  # the next one connects anew
        else:
            return _answers(peer, kind, len(items), status, received)
        raise RemoteError(f"{kind} to {peer}: {reason}")  # outside the handler: no chain to the request

    async def _until_dropped(self, lane: _Lane, call: Coroutine[None, None, Exchanged]) -> Exchanged:
        """What a call brings; where `drop` ends it, that the connection was.

        Raises:
            ConnectionAbortedError: it was dropped.
        """
        task = asyncio.create_task(call)
        under_way = self._under_way.setdefault(lane, set())
        under_way.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
        finally:
            under_way.discard(task)
            if not under_way:
                self._under_way.pop(lane, None)
        raise ConnectionAbortedError

    async def _call(self, lane: _Lane, address: PeerAddress, kind: str, body: bytes) -> Exchanged:
        """HTTP status and body of the answer; one byte more than allowed where it is longer."""
        path = wire.PATH.format(kind=kind)
        url = URL.build(scheme="https", host=address.host, port=address.port, path=path)
        content = body if len(body) <= _DIRECT else io.BytesIO(body)
        async with (
            self._session(lane) as session,
            session.post(url, data=content, headers=_HEADERS, allow_redirects=False) as answer,
        ):
            received = bytearray()
            async for chunk in answer.content.iter_any():
                received += chunk
                if len(received) > limits.PEER_BODY:
                    answer.close()
                    break
            return answer.status, bytes(received)

    @asynccontextmanager
    async def _session(self, lane: _Lane) -> AsyncIterator[aiohttp.ClientSession]:
        """The connections of a lane, new ones where the others have become old; closes those that are old and free."""
        now = asyncio.get_running_loop().time()
        pool = self._pools.get(lane)
        if pool is None or now - pool.born >= self._times.age:
            if pool is not None:
                self._retired.append(pool)
            pool = self._pools[lane] = _Pool(self._open(lane), now)
        pool.calls += 1
        try:
            yield pool.session
        finally:
            pool.calls -= 1
            for old in [old for old in self._retired if not old.calls]:
                self._retired.remove(old)
                await old.session.close()

    def _open(self, lane: _Lane) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._tls.expecting(quiver_uri("node", lane.peer)),
            limit=1 if lane.beat else limits.PEER_CONNECTIONS,
            local_addr=(self._source, 0) if self._source is not None else None,
            keepalive_timeout=self._times.idle,
        )
        times = self._times
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=times.beat if lane.beat else times.answer,
                sock_connect=times.channel if lane.link else times.connect,
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )


def _answers(peer: str, kind: str, count: int, status: int, body: bytes) -> tuple[Header, list[Answer]]:
    """The answers in a body.

    Raises:
        RemoteError: there are none, or too few or too many.
    """
    what = f"{kind} to {peer}"
    if status != 200:
        raise RemoteError(f"{what}: HTTP status {status}{_said(body)}", status=status)
    try:
        header, answers = wire.decode_answers(kind, body)
    except RequestError as error:
        reason = error.message
    else:
        if len(answers) == count:
            return header, answers
        reason = f"{len(answers)} answers to {count} items"
    raise RemoteError(f"{what}: wrong answer: {reason}", status=status)


def _said(body: bytes) -> str:
    """The message of an Error, short and printable; nothing where the body is none."""
    try:
        message = decode_error(body).message
    except RequestError:
        return ""
    return ", it says: " + "".join(c if c.isprintable() else " " for c in message[:_SHOWN])


def _reason(error: BaseException) -> str:
    """Why no answer came, in a few words."""
    refused = refusal_in(error)
    if refused is not None:
        return refused.message
    match error:
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or "no connection"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP/1.1"
        case ConnectionAbortedError():
            return "the link is down"
        case aiohttp.ServerConnectionError() | aiohttp.ClientPayloadError() | aiohttp.ClientOSError():
            return "the connection broke off"
    return type(error).__name__

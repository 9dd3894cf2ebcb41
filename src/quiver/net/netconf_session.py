"""An open NETCONF session at its client: calls, replies and notifications over any stream."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from quiver.domain import limits
from quiver.domain.errors import NetconfError, RemoteError
from quiver.net.stream import ByteStream
from quiver.protocols.netconf.capabilities import Hello
from quiver.protocols.netconf.client import ClientEvent, ClientSession, Greeted, Notified, Replied
from quiver.protocols.netconf.requests import operation
from quiver.protocols.netconf.xml import Element

__all__ = ["Close", "NetconfSession"]

Close = Callable[[], Awaitable[None]]
_CLOSED: Final = "it was closed"


class NetconfSession:
    """A session. Its calls may run side by side: they are sent at once and answered in order (RFC 6241 section 4.5).

    `begin` comes first. As an asynchronous context manager it closes itself.

    Args:
        stream: an authenticated connection.
        end: closes what lies below the stream.
        patience: seconds that a call may take if it does not say otherwise.
    """

    def __init__(
        self, stream: ByteStream, end: Close | None = None, *, patience: float = limits.NETCONF_ANSWER
    ) -> None:
        self._stream: Final = stream
        self._end: Final = end
        self._patience: Final = patience
        self._session: Final = ClientSession()
        self._writing: Final = asyncio.Lock()
        self._calls: Final[dict[str, asyncio.Future[tuple[Element, ...]]]] = {}
        self._events: Final[asyncio.Queue[Notified | None]] = asyncio.Queue(limits.NETCONF_EVENTS)
        self._hello: Final[asyncio.Future[Hello]] = asyncio.get_running_loop().create_future()
        self._broken: str | None = None  # why nothing can be called any more
        self._reading: asyncio.Task[None] | None = None

    async def begin(self) -> Self:
        """Exchange hellos.

        Raises:
            RemoteError: the server's did not come, or is none; the stream is closed then.
        """
        self._reading = asyncio.create_task(self._read())
        try:
            await self._write(self._session.hello())
            async with asyncio.timeout(limits.NETCONF_HELLO_TIME):
                await asyncio.shield(self._hello)
        except (TimeoutError, ConnectionError) as error:
            await self._abandon()
            reason = str(error) or f"no hello within {limits.NETCONF_HELLO_TIME:.0f} seconds"
            raise RemoteError(f"NETCONF session: {reason}") from None
        except BaseException:
            await self._abandon()
            raise
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- facts ----------------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> int:
        """The server's number of this session."""
        return self._hello.result().session or 0

    @property
    def capabilities(self) -> frozenset[str]:
        """What the server can do (RFC 6241 section 8.1)."""
        return self._hello.result().capabilities

    @property
    def open(self) -> bool:
        """Whether calls are possible."""
        return self._broken is None

    # --- calls ----------------------------------------------------------------------------------------------------

    async def call(self, request: Element, *, patience: float | None = None) -> tuple[Element, ...]:
        """Any operation; the elements of its reply, none for `<ok/>`.

        Raises:
            RpcError: the server refused; nothing was done.
            RemoteError: no answer came; whether anything was done is not known.
            LimitError: too many calls wait for their answers.
        """
        if self._broken is not None:
            raise RemoteError(f"NETCONF session: {self._broken}")
        name = request.tag
        message_id, message = self._session.call(request)
        answer: asyncio.Future[tuple[Element, ...]] = asyncio.get_running_loop().create_future()
        self._calls[message_id] = answer
        seconds = self._patience if patience is None else patience
        try:
            async with asyncio.timeout(seconds):
                await self._write(message)
                return await answer
        except TimeoutError:
            raise RemoteError(f"NETCONF {name.rpartition('}')[2]}: no answer within {seconds:g} seconds") from None
        except ConnectionError as error:
            raise RemoteError(f"NETCONF session: {error}") from None
        finally:
            self._calls.pop(message_id, None)

    async def notifications(self) -> AsyncIterator[Notified]:
        """Events as they come, until the session ends. For one reader.

        Raises:
            RemoteError: the session broke; events may be missing.
        """
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)  # whoever asks again is told again
        if self._broken != _CLOSED:
            raise RemoteError(f"NETCONF session: {self._broken}")

    async def close(self) -> None:
        """End the session in order, as far as the server still answers. Closing twice does no harm."""
        if self._broken is None:
            with contextlib.suppress(RemoteError, NetconfError):
                await self.call(operation("close-session"), patience=limits.CLOSING_TIME)
        self._break(_CLOSED)
        await self._abandon()

    # --- the stream -----------------------------------------------------------------------------------------------

    async def _write(self, message: bytes) -> None:
        async with self._writing:  # a message is whole before the next one begins
            await self._stream.write(message)

    async def _read(self) -> None:
        reason = "the agent has ended it"
        try:
            while received := await self._stream.read():
                for event in self._session.feed(received):
                    self._take(event)
        except NetconfError as error:
            reason = error.message
        except (ConnectionError, RemoteError) as error:
            reason = str(error)
        finally:
            self._break(reason)

    def _take(self, event: ClientEvent) -> None:
        match event:
            case Greeted():
                if not self._hello.done():
                    self._hello.set_result(event.hello)
            case Replied():
                answer = self._calls.get(event.message_id)
                if answer is None or answer.done():
                    return  # nobody waits for it any more
                if event.error is not None:
                    answer.set_exception(event.error)
                else:
                    answer.set_result(event.content)
            case Notified():
                if self._events.qsize() >= limits.NETCONF_EVENTS - 1:
                    raise RemoteError(f"{limits.NETCONF_EVENTS} notifications that nobody took")
                self._events.put_nowait(event)

    def _break(self, reason: str) -> None:
        """Nothing more comes: whoever waits is told so."""
        if self._broken is not None:
            return
        self._broken = reason
        error = RemoteError(f"NETCONF session: {reason}")
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(error)
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()  # it counts as read, whether or not anybody waits
        self._events.put_nowait(None)

    async def _abandon(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._stream.close()
        if self._end is not None:
            await self._end()

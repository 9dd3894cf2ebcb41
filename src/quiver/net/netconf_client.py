"""A NETCONF session towards an agent, over SSH or over TLS: for the controller and for operators' commands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import asyncssh

from quiver.domain import limits
from quiver.domain.errors import NetconfError, RemoteError
from quiver.net.ssh_client import SshClient
from quiver.net.ssh_policy import POST_QUANTUM, SshPolicy
from quiver.net.stream import ByteStream
from quiver.net.tls import TlsContext
from quiver.net.tls_stream import connect_tls
from quiver.protocols.netconf.capabilities import Hello
from quiver.protocols.netconf.client import ClientEvent, ClientSession, Greeted, Notified, Replied
from quiver.protocols.netconf.requests import create_subscription, edit_config, get, get_config, get_schema, operation
from quiver.protocols.netconf.xml import BASE, Element, child, qualified

__all__ = ["NetconfClient"]

Close = Callable[[], Awaitable[None]]


class NetconfClient:
    """An open session. Its calls may run side by side: they are sent at once and answered in order (RFC 6241 section 4.5).

    `over_ssh` and `over_tls` make one. As an asynchronous context manager it closes itself.

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
        self._session: Final = ClientSession(most=limits.NETCONF_STATE)
        self._writing: Final = asyncio.Lock()
        self._calls: Final[dict[str, asyncio.Future[tuple[Element, ...]]]] = {}
        self._events: Final[asyncio.Queue[Notified | None]] = asyncio.Queue(limits.NETCONF_EVENTS)
        self._hello: Final[asyncio.Future[Hello]] = asyncio.get_running_loop().create_future()
        self._broken: str | None = None  # why nothing can be called any more
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def over_ssh(
        cls,
        host: str,
        port: int,
        *,
        user: str,
        key: asyncssh.SSHKey,
        host_keys: Sequence[asyncssh.SSHKey],
        policy: SshPolicy = POST_QUANTUM,
        source: str | None = None,
        patience: float = limits.NETCONF_ANSWER,
    ) -> Self:
        """A session over SSH (RFC 6242). The arguments are those of `SshClient.connect`.

        Raises:
            RemoteError: the agent is not there, is not the one expected, or refused us.
        """
        connection = await SshClient.connect(
            host, port, user=user, key=key, host_keys=host_keys, policy=policy, source=source
        )
        try:
            return await cls(await connection.open(), connection.close, patience=patience)._begun()  # noqa: SLF001
        except BaseException:
            await connection.close()
            raise

    @classmethod
    async def over_tls(
        cls,
        host: str,
        port: int,
        *,
        tls: TlsContext,
        source: str | None = None,
        patience: float = limits.NETCONF_ANSWER,
    ) -> Self:
        """A session over TLS (RFC 7589).

        Args:
            host: name or address.
            port: TCP port.
            tls: `tls.management_client`, with the agent that is expected.
            source: local address.
            patience: as of the class.

        Raises:
            RemoteError: the agent is not there, is not the one expected, or refused us.
        """
        stream = await connect_tls(host, port, tls=tls, source=source)
        return await cls(stream, patience=patience)._begun()  # noqa: SLF001  # a maker's right

    async def _begun(self) -> Self:
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

    async def get(self, *filters: Element, patience: float | None = None) -> Element:
        """Configuration and state: the `data` element.

        Args:
            filters: subtrees (RFC 6241 section 6); none for everything.
            patience: seconds.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        return await self._data(get(filters), patience)

    async def get_config(self, *filters: Element, source: str = "running", patience: float | None = None) -> Element:
        """Configuration: the `data` element. Arguments and errors as of `get`."""
        return await self._data(get_config(source, filters), patience)

    async def _data(self, request: Element, patience: float | None) -> Element:
        content = await self.call(request, patience=patience)
        if len(content) != 1 or content[0].tag != qualified(BASE, "data"):
            raise RemoteError("NETCONF get: the reply has no data")
        return content[0]

    async def edit(
        self,
        *config: Element,
        target: str = "running",
        default_operation: str | None = None,
        test_option: str | None = None,
        error_option: str | None = None,
        patience: float | None = None,
    ) -> None:
        """edit-config (RFC 6241 section 7.2).

        Args:
            config: top-level elements.
            target: datastore.
            default_operation: merge, replace or none.
            test_option: test-then-set, set or test-only.
            error_option: stop-on-error, continue-on-error or rollback-on-error.
            patience: seconds.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        options = {"default_operation": default_operation, "test_option": test_option, "error_option": error_option}
        await self.call(edit_config(target, config, **options), patience=patience)

    async def simple(self, name: str, **parameters: str | None) -> None:
        """An operation of NETCONF's own whose parameters are leaves, or datastores as `target="candidate"`.

        Args:
            name: such as "lock", "commit", "discard-changes".
            parameters: `_` stands for `-`; None for an empty leaf.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        request = operation(name)
        for parameter, value in parameters.items():
            if parameter in ("target", "source") and value is not None:
                child(child(request, parameter), value)
            else:
                child(request, parameter.replace("_", "-"), value)
        await self.call(request)

    async def get_schema(self, identifier: str, version: str | None = None) -> str:
        """The text of a YANG module (RFC 6022 section 3.1).

        Raises:
            RemoteError, RpcError: as `call`.
        """
        content = await self.call(get_schema(identifier, version))
        if len(content) != 1:
            raise RemoteError("NETCONF get-schema: the reply has no data")
        return content[0].text or ""

    async def subscribe(self, *filters: Element, start: datetime | None = None, stop: datetime | None = None) -> None:
        """create-subscription (RFC 5277 section 2.1.1); from then on `notifications` has events.

        Args:
            filters: subtrees; none for all events.
            start: replay what happened from then on.
            stop: end of the subscription; only with `start`.

        Raises:
            RemoteError, RpcError: as `call`.
        """
        await self.call(create_subscription(filters, start, stop))

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


_CLOSED: Final = "it was closed"

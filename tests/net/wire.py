"""Real connections on loopback, and connections in memory that the test moves itself."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from structlog.testing import capture_logs

from quiver.net.tls import PeerFacts, peer_facts

LoopFactory = Callable[[], asyncio.AbstractEventLoop]
PATIENCE = 20.0  # seconds until a test that hangs is called failed


def run(loop_factory: LoopFactory, main: Any) -> Any:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(asyncio.wait_for(main, PATIENCE))


@dataclass
class Outcome:
    admitted: list[PeerFacts | None] = field(default_factory=list)  # who reached the server's application
    error: BaseException | None = None  # what the client saw
    answer: bytes = b""
    seen_by_client: PeerFacts | None = None
    logs: list[Any] = field(default_factory=list)

    def refusals(self, side: str) -> list[str]:
        return [log["reason"] for log in self.logs if log["event"] == "handshake refused" and log["side"] == side]


async def _visit(server: ssl.SSLContext, client: ssl.SSLContext, outcome: Outcome, host: str | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outcome.admitted.append(peer_facts(writer.transport))
        writer.write(b"welcome")
        await _close(writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    port = listener.sockets[0].getsockname()[1]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=host)
        outcome.seen_by_client = peer_facts(writer.transport)
        try:
            outcome.answer = await reader.read()
        finally:
            await _close(writer)
    except OSError as error:
        outcome.error = error
    finally:
        listener.close()
        await listener.wait_closed()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def visit(
    loop_factory: LoopFactory, server: ssl.SSLContext, client: ssl.SSLContext, host: str | None = "localhost"
) -> Outcome:
    """A client connects and reads what a server says to all whom it admits."""
    outcome = Outcome()
    with capture_logs() as logs:
        run(loop_factory, _visit(server, client, outcome, host))
    outcome.logs = list(logs)
    return outcome


class Line:
    """A client and a server in memory; what one sends is given to the other `grain` bytes at a time."""

    def __init__(
        self, server: ssl.SSLContext, client: ssl.SSLContext, *, grain: int = 1 << 20, **client_options: Any
    ) -> None:
        self._wires = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
        (self._c_in, self._c_out), (self._s_in, self._s_out) = self._wires
        self.client: Any = client.wrap_bio(self._c_in, self._c_out, server_side=False, **client_options)
        self.server: Any = server.wrap_bio(self._s_in, self._s_out, server_side=True)
        self._grain = grain

    def move(self, step: Callable[[], Any] = lambda: None) -> bool:
        """Carry what is waiting, calling `step` after each grain. False: nothing was."""
        moved = False
        for source, target in ((self._c_out, self._s_in), (self._s_out, self._c_in)):
            content = source.read()
            for start in range(0, len(content), self._grain):
                target.write(content[start : start + self._grain])
                moved = True
                step()
        return moved

    def handshake(self) -> None:
        """Both ends' handshakes; raises what either raises."""
        waiting = [self.client, self.server]

        def step() -> None:
            for end in tuple(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    pass

        step()
        while self.move(step):
            step()
        step()
        assert not waiting, "the handshake stalled"

    def receive(self, end: Any) -> bytes:
        """All that is here for one end."""
        parts: list[bytes] = []

        def step() -> None:
            try:
                while part := end.read(1 << 20):
                    parts.append(part)
            except ssl.SSLWantReadError:
                pass

        while self.move(step):
            pass
        step()
        return b"".join(parts)

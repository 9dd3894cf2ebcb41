"""What every connection of a stream listener has, whatever is spoken on it."""

import asyncio
import socket

from quiver.domain import limits
from quiver.net.listener import Listener
from tests.net.wire import run


def test_a_client_that_vanishes_is_noticed_within_a_minute_and_keeps_no_lock_for_longer(loop_factory):
    async def main() -> tuple[int, int]:
        options: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

        async def handshake(accepted: socket.socket) -> socket.socket:
            idle = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            asked = limits.KEEPALIVES * accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == limits.KEEPALIVES
            options.set_result((idle + asked, accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)))
            return accepted

        async def serve(accepted: socket.socket) -> None:
            accepted.close()

        listener = Listener(handshake, serve, plane="management", host="127.0.0.1")
        await listener.start()
        _, writer = await asyncio.open_connection(*listener.address)
        try:
            return await options
        finally:
            writer.close()
            await listener.stop()

    silence, unanswered = run(loop_factory, main())
    assert silence <= 60
    assert unanswered == 1000 * silence

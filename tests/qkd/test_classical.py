"""The classical channel beside a quantum channel: it carries what agents say about the link, until somebody cuts it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from quiver.domain.errors import ConfigurationError
from quiver.qkd.classical import ClassicalChannel, Mouth
from quiver.qkd.config import parse_link
from tests.qkd.test_config import LINK

Scenario = Callable[[ClassicalChannel], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while received := await reader.read(1024):
        writer.write(received)
        await writer.drain()
    writer.close()


def along(scenario: Scenario) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        channel = ClassicalChannel(Mouth(far_port=server.sockets[0].getsockname()[1]))
        await channel.start()
        try:
            async with asyncio.timeout(10):
                await scenario(channel)
        finally:
            await channel.stop()
            server.close()
            await server.wait_closed()

    asyncio.run(main())


async def connected(channel: ClassicalChannel) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = channel.address.split(":")
    return await asyncio.open_connection(host, int(port))


async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    await writer.drain()
    return await reader.readexactly(len(text))


async def turns(count: int = 50) -> None:
    """Let everything happen that can."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_goes_in_at_one_end_comes_out_at_the_other() -> None:
    async def scenario(channel: ClassicalChannel) -> None:
        reader, writer = await connected(channel)
        assert await said(reader, writer, b"range") == b"range"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    along(scenario)


def test_a_cut_lets_nothing_pass_and_tells_nobody_and_a_repair_loses_nothing() -> None:
    async def scenario(channel: ClassicalChannel) -> None:
        reader, writer = await connected(channel)
        assert await said(reader, writer, b"before") == b"before"
        channel.cut()
        fresh_reader, fresh_writer = await connected(channel)
        answers = [
            asyncio.ensure_future(said(reader, writer, b"old")),
            asyncio.ensure_future(said(fresh_reader, fresh_writer, b"new")),
        ]
        await turns()
        assert not any(answer.done() for answer in answers)
        channel.repair()
        assert await asyncio.gather(*answers) == [b"old", b"new"]
        writer.close()
        fresh_writer.close()

    along(scenario)


def test_the_end_of_a_connection_does_not_pass_a_cut() -> None:
    async def scenario(channel: ClassicalChannel) -> None:
        reader, writer = await connected(channel)
        assert await said(reader, writer, b"before") == b"before"
        channel.cut()
        writer.write_eof()
        ended = asyncio.ensure_future(reader.read())
        await turns()
        assert not ended.done()
        channel.repair()
        assert await ended == b""
        writer.close()

    along(scenario)


def test_a_channel_with_one_end_is_refused() -> None:
    before, mark, after = LINK.partition("[[ends]]")
    one = before + mark + "\nchannel = { far_port = 8443 }" + after
    with pytest.raises(ConfigurationError, match="both ends or to none"):
        parse_link(one, Path("/"))

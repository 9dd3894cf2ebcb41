"""The measuring client: it counts answers with 200 and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import repeat

import pytest

from quiver.bench.load import closed_loop, connected, one_by_one, post
from quiver.domain.errors import RemoteError
from quiver.net.http_exchange import HttpAnswer, HttpRequest, refusal
from quiver.net.http_server import HttpServer

LONG = 0.05  # seconds of a loop


@asynccontextmanager
async def server() -> AsyncIterator[tuple[HttpServer, list[HttpRequest]]]:
    seen: list[HttpRequest] = []

    async def answer(request: HttpRequest) -> HttpAnswer:
        seen.append(request)
        return HttpAnswer(body=b"x" * 100_000) if request.path == "/long" else refusal(503, "no pad, come again")

    listening = HttpServer(answer, plane="test", host="127.0.0.1", tls=None, body_limit=1024)
    await listening.start()
    try:
        yield listening, seen
    finally:
        await listening.stop()


def test_every_answer_is_counted_once_over_all_connections():
    async def run() -> None:
        async with server() as (listening, seen), connected(listening.url, None, 3) as callers:
            load = await closed_loop(callers, iter([post("/long", b"{}")] * 20), 60.0)
            assert load.answers == len(seen) == 20
            assert load.rate == load.answers / load.seconds
            assert {(request.verb, request.body) for request in seen} == {("POST", b"{}")}

    asyncio.run(run())


def test_a_loop_ends_with_its_time_though_requests_are_left():
    async def run() -> None:
        async with server() as (listening, seen), connected(listening.url, None, 2) as callers:
            load = await closed_loop(callers, repeat(post("/long")), LONG)
            assert load.seconds >= LONG
            assert load.answers == len(seen)
            assert await one_by_one(callers[0], lambda: post("/long"), 0.0) > 0

    asyncio.run(run())


def test_a_refusal_ends_the_measurement_with_the_reason_and_is_never_counted():
    async def run() -> None:
        async with server() as (listening, _), connected(listening.url, None, 2) as callers:
            with pytest.raises(RemoteError, match="HTTP status 503: no pad, come again"):
                await closed_loop(callers, repeat(post("/refused")), 60.0)

    asyncio.run(run())


def test_nothing_to_ask_for_is_an_error_and_no_rate():
    async def run() -> None:
        async with server() as (listening, _), connected(listening.url, None) as callers:
            with pytest.raises(RemoteError, match="no pad"):
                await closed_loop(callers, iter([]), LONG)

    asyncio.run(run())


def test_a_server_that_goes_away_is_an_error_and_not_a_hanging_benchmark():
    async def run() -> None:
        async with server() as (listening, _), connected(listening.url, None) as callers:
            callers_url = listening.url
            await callers[0].call(post("/long"))
            await listening.stop()
            with pytest.raises(RemoteError, match="broke off"):
                await closed_loop(callers, repeat(post("/long")), 60.0)
            with pytest.raises(RemoteError, match=r"127\.0\.0\.1"):
                async with connected(callers_url, None):
                    pass

    asyncio.run(run())

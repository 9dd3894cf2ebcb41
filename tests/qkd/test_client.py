"""The device client against devices that misbehave: everything is classified, nothing half-used, nothing shown."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.limits import DEVICE_BODY
from quiver.qkd.client import DeviceClient, Timeouts
from quiver.qkd.device import DeviceError, Failure
from quiver.qkd.profiles import Dialect
from tests.protocols.test_etsi014 import STATUS
from tests.qkd.pki import Authority

KEY = base64.b64encode(bytes(range(32))).decode()
ONE = "6f1c2b7e-54a4-4a53-9d5a-0a3a1c7f9a10"
TWO = "0d2a1c55-7f0e-4c39-8b7c-2f1e9b3d6a77"


def container(*ids: str, **more: Any) -> str:
    return json.dumps({"keys": [{"key_ID": i, "key": KEY, "vendor": 1} for i in ids], **more})


def against(
    directory: Path,
    answer: web.Response | Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    call: Callable[[DeviceClient], Awaitable[Any]],
    *,
    dialect: Dialect | None = None,
    timeouts: Timeouts | None = None,
    most: int = 128,
) -> Any:
    """The outcome of a call to a device that answers just so."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.endswith("/status"):
            return web.Response(text=json.dumps(STATUS | {"max_key_per_request": most}))
        return answer if isinstance(answer, web.Response) else await answer(request)

    async def scenario() -> Any:
        authority = Authority(directory)
        runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server("kme")).start()
        try:
            async with DeviceClient(
                f"https://127.0.0.1:{runner.addresses[0][1]}",
                "node/b",
                tls=authority.client("node-a"),
                dialect=dialect,
                timeouts=timeouts,
            ) as client:
                return await call(client)
        finally:
            await runner.cleanup()

    return asyncio.run(scenario())


def get(client: DeviceClient) -> Awaitable[Any]:
    return client.get_keys(2, 256)


def fetch(client: DeviceClient) -> Awaitable[Any]:
    return client.get_keys_by_id([ONE, TWO])


@pytest.mark.parametrize(
    ("status", "call", "failure"),
    [
        (400, fetch, Failure.NOT_FOUND),
        (404, fetch, Failure.NOT_FOUND),
        (503, fetch, Failure.REFUSED),
        (401, fetch, Failure.UNAUTHORIZED),
        (403, get, Failure.UNAUTHORIZED),
        (400, get, Failure.REFUSED),
        (404, get, Failure.REFUSED),
        (422, get, Failure.REFUSED),
        (500, get, Failure.REFUSED),
        (204, get, Failure.MALFORMED),
        (302, get, Failure.MALFORMED),
    ],
)
def test_each_status_has_its_class(status: int, call: Any, failure: Failure, tmp_path: Path) -> None:
    headers = {"Location": "https://example.org/"} if status == 302 else None
    with pytest.raises(DeviceError) as caught:
        against(tmp_path, web.Response(status=status, headers=headers), call)
    assert (caught.value.failure, caught.value.status) == (failure, status)


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ("", get),
        ("<html>", get),
        ("{}", get),
        ('{"keys":[]}', get),
        (container(ONE, TWO, ONE[::-1]), get),
        (container(ONE, ONE.upper()), get),
        ('{"keys":[{"key_ID":"a","key":"AAAA"}]}', get),
        ('{"keys":[{"key_ID":"a","key":""}]}', get),
        (container(ONE), fetch),
        (container(ONE, ONE), fetch),
        (container(ONE, TWO, "x"), fetch),
        (container(ONE, "x"), fetch),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_malformed(body: str, call: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        against(tmp_path, web.Response(text=body), call)
    assert caught.value.failure is Failure.MALFORMED
    assert KEY not in str(caught.value)


def test_keys_are_put_in_the_order_asked_for_whatever_their_case(tmp_path: Path) -> None:
    body = container(TWO.upper(), ONE.upper(), key_container_extension={"x": 1}, unknown=2)
    keys = against(tmp_path, web.Response(text=body), fetch)
    assert [key.key_id for key in keys] == [ONE, TWO]


def test_an_endless_body_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="bytes") as caught:
        against(tmp_path, web.Response(body=b"x" * (DEVICE_BODY + 1)), get)
    assert caught.value.failure is Failure.MALFORMED


def test_a_silent_device_is_unreachable_after_the_time_out(tmp_path: Path) -> None:
    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        del request
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(DeviceError, match="in time") as caught:
        against(tmp_path, silent, get, timeouts=Timeouts(total=0.05))
    assert caught.value.failure is Failure.UNREACHABLE


def test_nobody_there_is_unreachable() -> None:
    async def scenario() -> None:
        async with DeviceClient("https://127.0.0.1:1", "b") as client:
            await client.status()

    with pytest.raises(DeviceError) as caught:
        asyncio.run(scenario())
    assert caught.value.failure is Failure.UNREACHABLE


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "https://", "127.0.0.1:443", "https://a/b", "https://a:x"])
def test_only_https_urls_are_taken(url: str) -> None:
    with pytest.raises(ConfigurationError, match="device"):
        DeviceClient(url, "b")


def test_what_a_device_says_is_shown_short_and_without_anything_like_a_key(tmp_path: Path) -> None:
    text = json.dumps({"message": f"no key left \n{KEY} " + "x " * 500})
    with pytest.raises(DeviceError, match="no key left") as caught:
        against(tmp_path, web.Response(status=503, text=text), get)
    assert KEY[:16] not in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(("get_", "post", "verbs"), [(True, False, {"GET"}), (False, True, {"POST"})])
def test_the_dialect_decides_the_verb(get_: bool, post: bool, verbs: set[str], tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.method, request.raw_path))
        if "enc_keys" in request.raw_path:
            return web.Response(text=container(ONE, TWO))
        if request.method == "GET":
            return web.Response(text=container(request.query["key_ID"]))
        return web.Response(text=container(ONE, TWO))

    async def both(client: DeviceClient) -> Any:
        return [await client.get_keys(2), await client.get_keys_by_id([TWO, ONE])]

    keys, fetched = against(tmp_path, answer, both, dialect=Dialect(get=get_, post=post))
    assert [key.key_id for key in keys] == [ONE, TWO]
    assert [key.key_id for key in fetched] == [TWO, ONE]
    assert {verb for verb, _ in seen} == verbs
    assert all(path.startswith("/api/v1/keys/node%2Fb/") for _, path in seen)


def test_long_lists_are_split_at_the_devices_limit(tmp_path: Path) -> None:
    sizes: list[int] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asked = json.loads(await request.read())
        if "enc_keys" in request.raw_path:
            sizes.append(asked["number"])
            return web.Response(text=container(*(str(i) for i in range(asked["number"]))))
        ids = [entry["key_ID"] for entry in asked["key_IDs"]]
        sizes.append(len(ids))
        return web.Response(text=container(*reversed(ids)))

    async def both(client: DeviceClient) -> Any:
        return [await client.get_keys(50), await client.get_keys_by_id([f"id-{i}" for i in range(7)])]

    keys, fetched = against(tmp_path, answer, both, most=3)
    assert len(keys) == 3
    assert [key.key_id for key in fetched] == [f"id-{i}" for i in range(7)]
    assert sizes == [3, 3, 3, 1]


def test_a_client_that_is_never_idle_gives_up_old_connections_and_loses_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[Any] = []
    arrived, later = asyncio.Event(), asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        connections.append(request.transport)
        if "dec_keys" in request.raw_path:
            arrived.set()
            await later.wait()
            return web.Response(text=container(ONE, TWO))
        return web.Response(text=container(ONE, TWO))

    async def busy(client: DeviceClient) -> Any:
        await client.get_keys(2)
        under_way = asyncio.ensure_future(client.get_keys_by_id([ONE, TWO]))
        await arrived.wait()
        monkeypatch.setattr(limits, "CONNECTION_AGE", 0.0)
        await client.get_keys(2)
        assert connections[-1] not in connections[:-1], "an old connection took another call"
        later.set()
        fetched = await under_way
        monkeypatch.undo()
        await client.get_keys(2)
        assert connections[-1] is connections[-2]
        return fetched, [connection.is_closing() for connection in connections]

    fetched, closed = against(tmp_path, answer, busy)
    assert [key.key_id for key in fetched] == [ONE, TWO]
    assert closed == [True, True, False, False]


class Shelf:
    """A device that hands each key out once, and has each from some call on."""

    def __init__(self, *key_ids: str) -> None:
        self.here = set(key_ids)
        self.asked: list[list[str]] = []
        self.broken: set[str] = set()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        text = await request.read()
        wanted = [e["key_ID"] for e in json.loads(text)["key_IDs"]] if text else [request.query["key_ID"]]
        self.asked.append(wanted)
        if self.broken.intersection(wanted):
            return web.Response(text="{}")
        if not self.here.issuperset(wanted):
            return web.Response(status=400, text='{"message":"not here"}')
        self.here.difference_update(wanted)
        return web.Response(text=container(*wanted))


IDS = [f"id-{i:02}" for i in range(20)]


@pytest.mark.parametrize(("post", "most", "kept"), [(False, 128, 19), (True, 3, 18)])
def test_a_late_key_costs_no_other_one_and_the_rest_is_there_when_asked_for_again(
    post: bool, most: int, kept: int, tmp_path: Path
) -> None:
    shelf = Shelf(*IDS[:-1])

    async def twice(client: DeviceClient) -> list[list[str]]:
        first = [key.key_id for key in await client.get_keys_by_id(IDS)]
        rest = [key_id for key_id in IDS if key_id not in first]
        with pytest.raises(DeviceError) as caught:
            await client.get_keys_by_id(rest)
        assert caught.value.failure is Failure.NOT_FOUND
        shelf.here.add(IDS[-1])
        return [first, [key.key_id for key in await client.get_keys_by_id(rest)]]

    assert against(tmp_path, shelf, twice, dialect=Dialect(post=post), most=most) == [IDS[:kept], IDS[kept:]]


def test_a_device_that_has_none_of_the_keys_is_not_asked_for_each(tmp_path: Path) -> None:
    shelf = Shelf()
    with pytest.raises(DeviceError) as caught:
        against(tmp_path, shelf, lambda client: client.get_keys_by_id(IDS), dialect=Dialect(post=False))
    assert caught.value.failure is Failure.NOT_FOUND
    assert len(shelf.asked) < len(IDS)


def test_an_answer_that_cannot_be_used_fails_the_whole_list_whatever_the_others_brought(tmp_path: Path) -> None:
    shelf = Shelf(*IDS)
    shelf.broken.add(IDS[3])
    with pytest.raises(DeviceError) as caught:
        against(tmp_path, shelf, lambda client: client.get_keys_by_id(IDS), dialect=Dialect(post=False))
    assert caught.value.failure is Failure.MALFORMED

"""Simulated devices over real sockets, seen through the client: each vendor, each fault, each refusal."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from quiver.domain.errors import ConfigurationError
from quiver.domain.limits import SAE_BODY
from quiver.protocols.etsi014 import decode_error, decode_key_container
from quiver.qkd.channel import Fibre
from quiver.qkd.client import DeviceClient, Timeouts
from quiver.qkd.control import SystemClock, SystemEntropy
from quiver.qkd.device import DeviceError, Failure
from quiver.qkd.kme import End, Link
from quiver.qkd.profiles import PROFILES
from quiver.qkd.simulator import Fault, Listener, Simulator
from tests.qkd.pki import Authority

ENDS = (End(kme_id="KME-A", sae_id="site/node-a"), End(kme_id="KME-B", sae_id="site/node-b"))


class Pair:
    """A running link, and clients of both its ends."""

    def __init__(self, simulator: Simulator, authority: Authority) -> None:
        self.simulator = simulator
        self.authority = authority
        self.urls = [listener.url for listener in simulator.listeners]
        self.clients: list[DeviceClient] = []

    def client(self, end: int, tls: ssl.SSLContext | None = None, peer: str | None = None) -> DeviceClient:
        client = DeviceClient(
            self.urls[end],
            peer or ENDS[1 - end].sae_id,
            tls=tls or self.authority.client(ENDS[end].sae_id),
            dialect=self.simulator.link.profile.dialect,
            timeouts=Timeouts(total=30),
        )
        self.clients.append(client)
        return client


async def no_delay(seconds: float) -> None:
    del seconds


@asynccontextmanager
async def running(
    directory: Path, vendor: str = "alder", sleep: Callable[[float], Awaitable[None]] = no_delay
) -> AsyncIterator[Pair]:
    authority = Authority(directory)
    link = Link(
        PROFILES[vendor],
        Fibre(length_km=25),
        ENDS,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        randomness=random.Random(1),
    )
    simulator = Simulator(link, (authority.server("kme-a"), authority.server("kme-b")), sleep=sleep)
    await simulator.start()
    pair = Pair(simulator, authority)
    try:
        yield pair
    finally:
        for client in pair.clients:
            await client.close()
        await simulator.stop()


async def failure_of(call: Awaitable[object]) -> Failure:
    with pytest.raises(DeviceError) as caught:
        await call
    return caught.value.failure


@pytest.mark.parametrize("vendor", sorted(PROFILES))
def test_every_vendor_gives_both_ends_the_same_keys_once(vendor: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, vendor) as pair:
            here, there = pair.client(0), pair.client(1)
            keys = await here.get_keys(PROFILES[vendor].max_keys)
            assert len(keys) == PROFILES[vendor].max_keys
            assert {len(key.key) * 8 for key in keys} == {PROFILES[vendor].key_size}
            wanted = [key.key_id for key in reversed(keys)]
            assert await there.get_keys_by_id(wanted) == list(reversed(keys))
            assert await failure_of(there.get_keys_by_id(wanted)) is Failure.NOT_FOUND
            assert await failure_of(here.get_keys(0)) is Failure.REFUSED

    asyncio.run(scenario())


@pytest.mark.parametrize("vendor", sorted(PROFILES))
def test_status_is_read_in_every_vendors_way(vendor: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        profile = PROFILES[vendor]
        async with running(tmp_path, vendor) as pair:
            client = pair.client(1)
            before = await client.status()
            pair.simulator.apply(Fault.EAVESDROPPER)
            after = await client.status()
            assert before.status.stored_key_count == profile.buffer_keys
            assert (before.status.source_kme_id, before.status.target_kme_id) == ("KME-B", "KME-A")
            if profile.dialect.state_field:
                assert (before.link_up, after.link_up) == (True, False)
            else:
                assert (before.link_up, after.link_up) == (None, None)
            if profile.dialect.qber_field:
                assert before.qber is not None
                assert after.qber is not None
                assert before.qber < 0.03 < 0.2 < after.qber
            else:
                assert (before.qber, after.qber) == (None, None)

    asyncio.run(scenario())


def test_an_unreachable_side_answers_nothing_until_repair(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as pair:
            here, there = pair.client(0), pair.client(1)
            await there.status()
            pair.simulator.apply(Fault.ONE_SIDE)
            assert await failure_of(there.status()) is Failure.UNREACHABLE
            assert await failure_of(there.get_keys(1)) is Failure.UNREACHABLE
            keys = await here.get_keys(1)
            pair.simulator.apply(Fault.REPAIR)
            assert await there.get_keys_by_id([keys[0].key_id]) == keys

    asyncio.run(scenario())


@pytest.mark.parametrize("vendor", ["alder", "birch", "dogwood", "elm"])
def test_a_dry_device_refuses_in_its_vendors_way(vendor: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, vendor) as pair:
            pair.simulator.apply(Fault.DOWN)
            link = pair.simulator.link
            link.buffer.take(1, link.profile.buffer_keys, link.profile.key_size, 0.0)
            with pytest.raises(DeviceError) as caught:
                await pair.client(0).get_keys(1)
            assert caught.value.failure is Failure.REFUSED
            assert caught.value.status == link.profile.exhausted.status

    asyncio.run(scenario())


def test_a_slow_vendor_takes_its_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        async with running(tmp_path, "dogwood", sleep) as pair:
            await pair.client(0).get_keys(1)
        assert waits == [PROFILES["dogwood"].delay] * 2  # its status, once, and the key

    asyncio.run(scenario())


def test_only_its_own_agent_gets_through(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as pair:
            other = Authority(tmp_path, "other")
            assert await failure_of(pair.client(0, pair.authority.client("x")).get_keys(1)) is Failure.UNAUTHORIZED
            assert await failure_of(pair.client(0, peer="nobody").get_keys(1)) is Failure.REFUSED
            anonymous = ssl.create_default_context(cafile=pair.authority.certificate)
            expired = pair.authority.client(ENDS[0].sae_id, expired=True)
            stranger = other.client(ENDS[0].sae_id)
            stranger.load_verify_locations(pair.authority.certificate)
            for context in (anonymous, expired, stranger, other.client(ENDS[0].sae_id)):
                assert await failure_of(pair.client(0, context).get_keys(1)) is Failure.UNREACHABLE
            assert pair.simulator.link.buffer.waiting(1) == 0

    asyncio.run(scenario())


def test_the_devices_certificate_has_to_carry_the_expected_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as pair:
            tls = pair.authority.client(ENDS[0].sae_id)
            for name, reachable in (("localhost", True), ("kme-b.example", False)):
                client = DeviceClient(pair.urls[0], ENDS[1].sae_id, tls=tls, server_name=name)
                pair.clients.append(client)
                if reachable:
                    await client.status()
                else:
                    assert await failure_of(client.status()) is Failure.UNREACHABLE

    asyncio.run(scenario())


def test_a_device_without_client_certificates_is_not_started() -> None:
    with pytest.raises(ConfigurationError, match="client certificates"):
        Listener(None, PROFILES["alder"], ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "says"),
    [
        ("GET", "/", None, 404, "no such path"),
        ("GET", "/api/v1/keys/site/node-b/status", None, 404, "no such path"),
        ("POST", "/api/v1/keys/site%2Fnode-b/status", b"{}", 405, "GET"),
        ("PUT", "/api/v1/keys/site%2Fnode-b/enc_keys", b"{}", 405, "GET and POST"),
        ("GET", "/api/v1/keys/site%2Fnode-b/enc_keys?number=129", None, 400, "number shall be 1 to 128"),
        ("GET", "/api/v1/keys/site%2Fnode-b/enc_keys?size=100", None, 400, "size shall be a multiple of 8"),
        ("POST", "/api/v1/keys/site%2Fnode-b/enc_keys", b"{", 400, "not JSON"),
        ("POST", "/api/v1/keys/site%2Fnode-b/enc_keys", b" " * (SAE_BODY + 1), 413, "at most"),
        ("GET", "/api/v1/keys/site%2Fnode-b/dec_keys?key_ID=x", None, 400, "UUID"),
        ("GET", "/api/v1/keys/%ff/status", None, 400, "SAE_ID"),
    ],
)
def test_wrong_requests_get_a_standard_error(
    verb: str, path: str, body: bytes | None, status: int, says: str, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as pair, aiohttp.ClientSession() as session:
            url = URL(pair.urls[0] + path, encoded=True)
            tls = pair.authority.client(ENDS[0].sae_id)
            async with session.request(verb, url, data=body, ssl=tls) as answer:
                assert answer.status == status
                assert says in decode_error(await answer.read()).message

    asyncio.run(scenario())


def test_get_with_a_single_key_id_serves_a_standard_container(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as pair, aiohttp.ClientSession() as session:
            key = (await pair.client(0).get_keys(1, 512))[0]
            url = f"{pair.urls[1]}/api/v1/keys/site%2Fnode-a/dec_keys?key_ID={key.key_id}"
            tls = pair.authority.client(ENDS[1].sae_id)
            async with session.get(URL(url, encoded=True), ssl=tls) as answer:
                assert decode_key_container(await answer.read()).keys[0].key == key.key

    asyncio.run(scenario())

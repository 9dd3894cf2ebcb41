"""Two ends of one link always hold the same keys, once each, in every vendor's way."""

import asyncio
import random
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain.errors import (
    ConfigurationError,
    ExhaustedError,
    KeyNotFoundError,
    LimitError,
    RequestError,
    UnauthorizedError,
)
from quiver.domain.secret import Secret
from quiver.protocols.etsi014 import KeyIDs, KeyRequest
from quiver.qkd.buffer import KeyBuffer
from quiver.qkd.channel import ChannelState, Fibre
from quiver.qkd.device import DeviceError, DirectDevice, Failure
from quiver.qkd.kme import End, Link
from quiver.qkd.profiles import PROFILES, Profile, profile_named

ENDS = (End(kme_id="KME-A", sae_id="node-a"), End(kme_id="KME-B", sae_id="node-b"))


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds


class Seeded:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self, count: int) -> bytes:
        return self._random.randbytes(count)


def make(profile: Profile | str = "alder", seed: int = 1, time_scale: float = 1.0) -> tuple[Link, Clock]:
    clock = Clock()
    link = Link(
        profile_named(profile) if isinstance(profile, str) else profile,
        Fibre(length_km=25),
        ENDS,
        clock=clock,
        entropy=Seeded(seed),
        randomness=random.Random(seed + 1),
        time_scale=time_scale,
    )
    return link, clock


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), st.integers(0, 1), st.integers(0, 12)),
        st.tuples(st.just("fetch"), st.integers(0, 1), st.lists(st.integers(0, 60), max_size=6)),
        st.tuples(st.just("wait"), st.just(0), st.floats(0, 4000)),
        st.tuples(st.just("fault"), st.just(0), st.sampled_from(ChannelState)),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.sampled_from(sorted(PROFILES)), st.integers(0, 1000))
def test_identical_keys_for_identical_ids_each_once_per_end(steps: list, name: str, seed: int) -> None:  # type: ignore[type-arg]
    link, clock = make(name, seed)
    given_: list[tuple[str, Secret, int]] = []  # key_ID, key, end that has yet to fetch it
    fetched: set[str] = set()
    for kind, end, what in steps:
        if kind == "wait":
            clock.seconds += what
        elif kind == "fault":
            link.set_state(what)
        elif kind == "get":
            try:
                container = link.kmes[end].get_key(KeyRequest(number=what))
            except (RequestError, ExhaustedError, LimitError):
                continue
            given_ += [(key.key_id, key.key, 1 - end) for key in container.keys]
            assert len({key_id.lower() for key_id, _, _ in given_}) == len(given_)
        elif given_:
            wanted = [given_[i % len(given_)] for i in what]
            try:
                container = link.kmes[end].get_key_with_ids(KeyIDs.of([key_id for key_id, _, _ in wanted]))
            except RequestError:
                continue
            for (key_id, key, owner), answer in zip(wanted, container.keys, strict=True):
                assert (answer.key_id, owner) == (key_id, end)
                assert answer.key == key
                assert key_id not in fetched
                fetched.add(key_id)


def test_a_batch_with_one_unknown_key_consumes_none() -> None:
    link, _ = make()
    known = link.kmes[0].get_key(KeyRequest(number=2)).keys
    ids = [key.key_id for key in known]
    with pytest.raises(KeyNotFoundError, match="one or more keys specified are not found on KME"):
        link.kmes[1].get_key_with_ids(KeyIDs.of([*ids, str(uuid.UUID(int=7))]))
    with pytest.raises(KeyNotFoundError):
        link.kmes[0].get_key_with_ids(KeyIDs.of(ids))  # the end that asked has them already
    again = link.kmes[1].get_key_with_ids(KeyIDs.of(ids[::-1])).keys
    assert [key.key_id for key in again] == ids[::-1]
    with pytest.raises(KeyNotFoundError):
        link.kmes[1].get_key_with_ids(KeyIDs.of(ids))


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_it_starts_filled_runs_dry_and_fills_again(name: str) -> None:
    link, clock = make(name)
    profile = link.profile
    kme, other = link.kmes
    assert kme.status().stored_key_count == profile.buffer_keys
    link.set_state(ChannelState.DOWN)
    left = profile.buffer_keys
    while left:
        number = min(left, profile.max_keys)
        keys = kme.get_key(KeyRequest(number=number)).keys
        other.get_key_with_ids(KeyIDs.of([key.key_id for key in keys]))
        left -= number
    clock.seconds += 3600
    assert kme.status().stored_key_count == 0
    with pytest.raises(ExhaustedError):
        kme.get_key(KeyRequest())
    link.set_state(ChannelState.EAVESDROPPER)
    clock.seconds += 3600
    with pytest.raises(ExhaustedError):
        kme.get_key(KeyRequest())
    link.set_state(ChannelState.UP)
    clock.seconds += 1
    expected = profile.physics.rate(Fibre(length_km=25).loss_db) / profile.key_size
    assert 0.3 * expected < other.status().stored_key_count < 2 * expected
    clock.seconds += 1e6
    assert kme.status().stored_key_count == profile.buffer_keys


def test_an_unfetched_key_is_dropped_in_time_and_makes_room() -> None:
    buffer = KeyBuffer(capacity=10_000, room=3, keep=10, entropy=Seeded(1))
    old = buffer.take(0, 2, 256, now=0)
    with pytest.raises(LimitError):
        buffer.take(0, 2, 256, now=9)
    bits = buffer.bits
    assert buffer.waiting(1) == 2
    buffer.take(0, 3, 256, now=10)
    assert (buffer.expired, buffer.bits) == (2, bits - 3 * 256)
    with pytest.raises(KeyNotFoundError):
        buffer.fetch(1, [old[0].key_id], now=10)


def test_a_partial_vendor_gives_what_it_has() -> None:
    buffer = KeyBuffer(capacity=600, room=9, keep=10, entropy=Seeded(1))
    with pytest.raises(ExhaustedError):
        buffer.take(0, 3, 256, now=0)
    assert len(buffer.take(0, 3, 256, now=0, partial=True)) == 2
    with pytest.raises(ExhaustedError):
        buffer.take(0, 3, 256, now=0, partial=True)


def test_profiles_differ_as_vendors_do() -> None:
    profiles = PROFILES.values()
    assert {p.key_size for p in profiles} >= {128, 256, 512, 2048}
    assert {p.verbs for p in profiles} == {("GET",), ("POST",), ("GET", "POST")}
    assert {type(p.physics).__name__ for p in profiles} == {"DecoyBb84", "CvGaussian"}
    assert {p.exhausted.status for p in profiles} >= {400, 503}
    assert {p.not_found.status for p in profiles} >= {400, 404}
    assert {p.upper_case for p in profiles} == {True, False}
    assert any(p.dialect.qber_field is None and p.dialect.state_field is None for p in profiles)


def test_an_unknown_profile_is_refused_with_the_list_of_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="alder, birch, cedar, dogwood, elm"):
        profile_named("oak")


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_status_tells_the_link_state_where_the_vendor_has_it(name: str) -> None:
    link, _ = make(name)
    field = link.profile.dialect.state_field
    before = link.kmes[0].status().status_extension
    link.set_state(ChannelState.DOWN)
    after = link.kmes[0].status().status_extension
    assert (before != after) == bool(field or link.profile.dialect.qber_field)


def test_ids_and_metadata_come_in_the_vendors_way() -> None:
    birch, _ = make("birch")
    key = birch.kmes[0].get_key(KeyRequest()).keys[0]
    assert key.key_id == key.key_id.upper()
    assert key.key_extension == {"birch_size": 512}
    assert key.key_id_extension is not None
    with pytest.raises(KeyNotFoundError):
        birch.kmes[1].get_key_with_ids(KeyIDs.of([key.key_id.lower()]))
    assert birch.kmes[1].get_key_with_ids(KeyIDs.of([key.key_id])).keys[0].key == key.key
    elm, _ = make("elm")
    container = elm.kmes[0].get_key(KeyRequest(size=128))
    assert container.key_container_extension is not None
    assert len(container.keys[0].key) == 16
    assert elm.kmes[1].get_key_with_ids(KeyIDs.of([container.keys[0].key_id.lower()])).keys


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (KeyRequest(number=21), "number shall be 1 to 20"),
        (KeyRequest(size=256), "size shall be 512"),
        (KeyRequest(extension_mandatory=({"x_y": 1},)), "not all extension_mandatory parameters"),
        (KeyRequest(additional_slave_sae_ids=("node-c",)), "additional_slave_SAE_IDs"),
    ],
)
def test_a_device_takes_only_what_its_vendor_supports(request_: KeyRequest, message: str) -> None:
    link, _ = make("birch")
    with pytest.raises(RequestError, match=message):
        link.kmes[0].get_key(request_)
    assert link.kmes[0].status().stored_key_count == 8_000


def test_only_the_sae_of_this_end_is_served_and_only_for_the_other_end() -> None:
    link, _ = make()
    link.kmes[0].authorise({"node-a", "other"}, "node-b")
    with pytest.raises(UnauthorizedError):
        link.kmes[0].authorise({"node-b"}, "node-b")
    with pytest.raises(RequestError, match="node-b"):
        link.kmes[0].authorise({"node-a"}, "node-c")


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_without_sockets_a_device_behaves_as_over_the_network(name: str) -> None:
    async def scenario() -> None:
        link, _ = make(name)
        here, there = (DirectDevice(kme, link.profile.dialect) for kme in link.kmes)
        keys = await here.get_keys(1000)
        assert len(keys) == link.profile.max_keys
        keys += await here.get_keys(1)
        wanted = [key.key_id for key in reversed(keys)]
        assert await there.get_keys_by_id(wanted) == keys[::-1]
        with pytest.raises(DeviceError) as caught:
            await there.get_keys_by_id(wanted)
        assert caught.value.failure is Failure.NOT_FOUND
        with pytest.raises(DeviceError) as caught:
            await here.get_keys(0)
        assert caught.value.failure is Failure.REFUSED
        assert (await here.status()).status.source_kme_id == "KME-A"
        here.reachable = False
        with pytest.raises(DeviceError) as caught:
            await here.status()
        assert caught.value.failure is Failure.UNREACHABLE

    asyncio.run(scenario())

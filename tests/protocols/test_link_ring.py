"""The keys of the link encryptor: at a change nothing is lost and nothing comes twice; without a key nothing passes."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.errors import ConflictError, NotFoundError
from quiver.domain.secret import Secret
from quiver.protocols.link_frames import Carrier, Drop
from quiver.protocols.link_ring import KeyRing
from quiver.protocols.link_window import ReplayWindow


def key_of(key_id: str) -> Secret:
    return Secret(key_id.encode().ljust(32, b"."))


def rings(carrier: Carrier = Carrier.UDP) -> tuple[KeyRing, KeyRing]:
    return KeyRing(carrier, initiator=True), KeyRing(carrier, initiator=False)


def stage(key_id: str, *ends: KeyRing) -> None:
    for end in ends:
        end.stage(key_id, key_of(key_id))


def started(carrier: Carrier = Carrier.UDP) -> tuple[KeyRing, KeyRing]:
    here, there = rings(carrier)
    stage("k0", here, there)
    here.switch("k0")
    there.switch("k0")
    return here, there


def sealed(ring: KeyRing, payload: bytes = b"\1x") -> bytes:
    frame = ring.seal(payload)
    assert isinstance(frame, bytes)
    return frame


# --- the replay window --------------------------------------------------------------------------------------------


class NaiveWindow:
    """The same by remembering all that came."""

    def __init__(self, size: int) -> None:
        self.size, self.seen = size, set[int]()

    def fresh(self, counter: int) -> bool:
        return counter not in self.seen and counter > max(self.seen, default=-1) - self.size

    def mark(self, counter: int) -> None:
        self.seen.add(counter)


COUNTERS = st.one_of(st.integers(0, 60), st.integers(0, 5000), st.integers((1 << 64) - 40, (1 << 64) - 1))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([1, 2, 7, 32, 2048]), st.lists(COUNTERS, max_size=80))
def test_the_window_decides_as_one_that_remembers_everything(size: int, counters: list[int]) -> None:
    window, naive = ReplayWindow(size), NaiveWindow(size)
    for counter in counters:
        assert window.fresh(counter) == naive.fresh(counter)
        if window.fresh(counter):
            window.mark(counter)
            naive.mark(counter)


def test_a_replay_is_dropped_and_disorder_within_the_window_is_not() -> None:
    here, there = started()
    frames = [sealed(here, bytes((1, n % 256))) for n in range(limits.ENCRYPTOR_WINDOW + 10)]
    late = frames[-limits.ENCRYPTOR_WINDOW :]
    random.Random(3).shuffle(late)
    assert [there.open(frame) for frame in late].count(Drop.REPLAYED) == 0
    assert [there.open(frame) for frame in frames] == [Drop.REPLAYED] * len(frames), "doubles, and ten that are too old"
    assert there.dropped[Drop.REPLAYED] == len(frames)


def test_over_tcp_each_counter_is_higher_than_all_before() -> None:
    here, there = started(Carrier.TCP)
    first, second, third = (sealed(here) for _ in range(3))
    assert there.open(second) == b"\1x"
    assert there.open(first) is Drop.REPLAYED
    assert there.open(second) is Drop.REPLAYED
    assert there.open(third) == b"\1x"


# --- nothing without a key ----------------------------------------------------------------------------------------


def test_nothing_passes_before_the_first_key() -> None:
    here, there = rings()
    assert here.seal(b"\1x") is Drop.NO_KEY
    other, _ = started()
    assert there.open(sealed(other)) is Drop.UNKNOWN_KEY


def test_a_blocked_end_takes_and_gives_nothing_until_the_next_switch() -> None:
    here, there = started()
    frame = sealed(there)
    here.block()
    assert here.seal(b"\1x") is Drop.BLOCKED
    assert here.open(frame) is Drop.BLOCKED
    stage("k1", here, there)
    there.switch("k1")
    assert here.open(sealed(there)) is Drop.BLOCKED, "a key that is ready does not open it"
    assert not here.proven("k1")
    here.switch("k1")
    assert there.open(sealed(here)) == b"\1x"
    assert here.open(sealed(there)) == b"\1x"
    assert here.proven("k1")


# --- changes ------------------------------------------------------------------------------------------------------


def test_the_end_that_changes_first_is_understood() -> None:
    here, there = started()
    stage("k1", here, there)
    under_old = sealed(here)
    there.switch("k1")
    assert here.open(sealed(there)) == b"\1x", "ready, and not in use yet"
    assert there.open(under_old) == b"\1x", "the one before"
    here.switch("k1")
    assert (here.proven("k1"), there.proven("k1")) == (True, False)
    assert there.open(sealed(here)) == b"\1x"
    assert there.proven("k1")


def test_retiring_forgets_all_but_the_key_in_use() -> None:
    here, there = started()
    stage("k1", here, there)
    late = sealed(here)
    here.switch("k1")
    there.switch("k1")
    there.retire()
    assert there.open(late) is Drop.UNKNOWN_KEY
    assert there.open(sealed(here)) == b"\1x"
    with pytest.raises(NotFoundError):
        there.switch("k0")


def test_the_key_before_can_be_taken_up_again_and_is_proven_anew() -> None:
    here, there = started()
    assert here.open(sealed(there)) == b"\1x"
    assert here.proven("k0")
    stage("k1", here)
    here.switch("k1")
    here.switch("k0")
    assert not here.proven("k0")
    assert here.open(sealed(there)) == b"\1x"
    assert here.proven("k0")


def test_a_key_that_failed_rounds_left_behind_gives_way_to_the_next() -> None:
    here, _ = started()
    for number in range(5):
        stage(f"f{number}", here)
    with pytest.raises(NotFoundError):
        here.switch("f3")
    assert here.active == "k0"
    here.switch("f4")


def test_a_key_is_not_given_twice() -> None:
    here, _ = started()
    with pytest.raises(ConflictError):
        stage("k0", here)


def test_no_counter_comes_twice_under_any_key() -> None:
    """Switching back and forth between two keys goes on counting: the same IV under the same key would give both away."""
    here, _ = started()
    stage("k1", here)
    seen = set()
    for key_id in ("k1", "k0", "k1", "k0"):
        here.switch(key_id)
        for _ in range(3):
            frame = sealed(here)
            seen.add((frame[4:12], frame[12:20]))
    assert len(seen) == 12


# --- limits of a key ----------------------------------------------------------------------------------------------


def test_a_key_that_is_used_up_seals_no_more_and_was_hungry_long_before() -> None:
    one = KeyRing(Carrier.UDP, initiator=True, frames=10)
    stage("k0", one)
    one.switch("k0")
    hungry = []
    for _ in range(10):
        sealed(one)
        hungry.append(one.hungry(1 << 30))
    assert hungry == [False] * 4 + [True] * 6
    assert one.seal(b"\1x") is Drop.EXHAUSTED
    stage("k1", one)
    one.switch("k1")
    assert not one.hungry(1 << 30)
    sealed(one)


def test_bytes_of_both_directions_make_it_hungry() -> None:
    here, there = started()
    for sender, receiver in ((here, there), (there, here)):
        assert not here.hungry(2000)
        receiver.open(sealed(sender, bytes((1,)) * 1000))
    assert here.hungry(2000)
    assert there.hungry(2000)
    stage("k1", here)
    here.switch("k1")
    assert not here.hungry(2000)


# --- a whole stream through changes -------------------------------------------------------------------------------


def rounds(here: KeyRing, there: KeyRing) -> Iterator[None]:
    """Steps of rollovers as the table of steps has them, one at a time, without an end."""
    number = 0
    while True:
        number += 1
        key_id = f"k{number}"
        for step in (
            lambda: there.stage(key_id, key_of(key_id)),  # noqa: B023  # called at once
            lambda: here.stage(key_id, key_of(key_id)),  # noqa: B023
            lambda: there.switch(key_id),  # noqa: B023
            lambda: here.switch(key_id),  # noqa: B023
        ):
            step()
            yield
        while not (here.proven(key_id) and there.proven(key_id)):
            yield
        there.retire()
        yield
        here.retire()
        yield


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([Carrier.UDP, Carrier.TCP]), st.lists(st.sampled_from("rab<>"), max_size=300))
def test_changes_in_the_middle_of_a_stream_lose_and_double_nothing(carrier: Carrier, script: list[str]) -> None:
    """r: a step of a rollover; a, b: an end sends; <, >: what is on its way arrives, the oldest first."""
    here, there = started(carrier)
    work = rounds(here, there)
    ways: dict[str, list[bytes]] = {">": [], "<": []}
    sent: dict[str, list[bytes]] = {">": [], "<": []}
    got: dict[str, list[bytes]] = {">": [], "<": []}
    ends = {">": (here, there), "<": (there, here)}

    def send(way: str) -> None:
        payload = b"\1%s%d" % (way.encode(), len(sent[way]))
        sent[way].append(payload)
        ways[way].append(sealed(ends[way][0], payload))

    def arrive(way: str) -> None:
        if ways[way]:
            payload = ends[way][1].open(ways[way].pop(0))
            assert isinstance(payload, bytes), payload
            got[way].append(payload)

    for one in script:
        if one == "r":
            next(work)
        elif one in "ab":
            send(">" if one == "a" else "<")
        else:
            arrive(one)
    for way in ways:
        while ways[way]:
            arrive(way)
    assert got == sent

"""Streams of the link encryptor's TCP carrier: credit bounds them, ends are counted, and what breaks the rules is refused."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.errors import LimitError, RequestError
from quiver.protocols.link_frames import Kind
from quiver.protocols.link_streams import Message, Streams, credit_of, pack, read_message

CREDIT = limits.ENCRYPTOR_CREDIT


def message(kind: Kind, number: int, body: bytes | int = b"") -> Message:
    return read_message(pack(kind, number, body))


@pytest.mark.parametrize(
    ("kind", "body"), [(Kind.OPEN, b""), (Kind.BYTES, b"x" * 300), (Kind.CREDIT, 7), (Kind.END, b""), (Kind.RESET, b"")]
)
def test_messages_come_back_as_they_were(kind: Kind, body: bytes | int) -> None:
    got = message(kind, 0xFFFFFFFE, body)
    assert (got.kind, got.number) == (kind, 0xFFFFFFFE)
    assert (credit_of(got) if kind is Kind.CREDIT else got.body) == body


@pytest.mark.parametrize(
    "payload",
    [b"", b"\7", b"\xff\0\0\0\0", b"\2\0\0\0", b"\2\0\0\0\0x", b"\4\0\0\0\0", b"\4\0\0\0\0\0\0\0\0\0", b"\5\0\0\0\0x"],
)
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(RequestError):
        read_message(payload)


@pytest.mark.parametrize(
    "said",
    [
        message(Kind.BYTES, 1, b"x"),  # never opened
        message(Kind.BYTES, 2, b"x"),  # ours, and never opened
        message(Kind.OPEN, 0),  # ours to open
        message(Kind.OPEN, 2),
        message(Kind.BYTES, 0, bytes(CREDIT + 1)),
        message(Kind.CREDIT, 0, 1),  # nothing was sent
        message(Kind.CREDIT, 0, 0xFFFFFFFF),
    ],
)
def test_what_breaks_the_rules_is_refused(said: Message) -> None:
    streams = Streams(initiator=True)
    streams.open()
    with pytest.raises(RequestError):
        streams.take(said)


def test_a_number_is_opened_once_and_ends_once() -> None:
    streams = Streams(initiator=True)
    assert streams.take(message(Kind.OPEN, 5)) is not None
    for number in (5, 3):
        with pytest.raises(RequestError, match="before"):
            streams.take(message(Kind.OPEN, number))
    streams.take(message(Kind.END, 5))
    for said in (message(Kind.END, 5), message(Kind.BYTES, 5, b"x")):
        with pytest.raises(RequestError):
            streams.take(said)


def test_each_end_may_open_so_many_and_no_more() -> None:
    streams = Streams(initiator=True, most=3)
    own = [streams.open() for _ in range(3)]
    for number in (1, 3, 5):
        streams.take(message(Kind.OPEN, number))
    with pytest.raises(LimitError):
        streams.open()
    with pytest.raises(RequestError):
        streams.take(message(Kind.OPEN, 7))
    streams.reset(own[0])
    assert streams.open().number == 6


def test_what_comes_for_a_stream_that_was_reset_is_ignored() -> None:
    streams = Streams(initiator=True)
    stream = streams.open()
    assert streams.reset(stream)
    assert not streams.reset(stream)
    for said in (message(Kind.BYTES, 0, b"late"), message(Kind.END, 0), message(Kind.RESET, 0)):
        assert streams.take(said) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("wtg"), st.integers(1, 100_000)), max_size=60))
def test_credit_bounds_what_waits_and_never_runs_dry(script: list[tuple[str, int]]) -> None:
    """w: a writer sends what it may; t: the other end takes a message; g: its user takes bytes."""
    here, there = Streams(initiator=True), Streams(initiator=False)
    sending = here.open()
    receiving = there.take(message(Kind.OPEN, 0))
    assert receiving is not None
    way: deque[Message] = deque()
    waiting = sent = taken = 0

    def give(count: int) -> None:
        nonlocal waiting, taken
        count = min(count, waiting)
        waiting -= count
        taken += count
        if credit := there.given_on(receiving, count):
            here.take(message(Kind.CREDIT, 0, credit))

    for act, count in [*script, *[("t", 0)] * 100, ("g", 10**9)]:
        if act == "w":
            count = min(count, sending.room)
            sending.room -= count
            sent += count
            way.append(message(Kind.BYTES, 0, bytes(count)))
        elif act == "t" and way:
            waiting += len(way[0].body)
            there.take(way.popleft())
        elif act == "g":
            give(count)
        assert waiting <= CREDIT
        assert sent - taken <= CREDIT
    assert taken == sent
    assert sending.room > 0, "whoever has taken everything has given credit"


def test_a_stream_carries_any_number_of_bytes() -> None:
    here, there = Streams(initiator=True), Streams(initiator=False)
    sending = here.open()
    receiving = there.take(message(Kind.OPEN, 0))
    assert receiving is not None
    for _ in range(20):
        count = sending.room
        sending.room -= count
        assert there.take(message(Kind.BYTES, 0, bytes(count))) is receiving
        here.take(message(Kind.CREDIT, 0, there.given_on(receiving, count)))

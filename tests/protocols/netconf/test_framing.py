"""The promises of RFC 6242's framing: messages come out as they went in, whatever pieces the bytes come in; lies cost nothing."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain.errors import NetconfError
from quiver.protocols.netconf.framing import Framing, MessageReader, frame

few = settings(max_examples=60, deadline=None)
messages = st.lists(
    st.binary(min_size=1, max_size=300).filter(lambda data: b"]]>" not in data and data[-1:] != b"]"), max_size=5
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


def reader(framing: Framing, most: int = 1 << 20) -> MessageReader:
    made = MessageReader(most)
    made.switch(framing)
    return made


@few
@given(messages, st.lists(st.integers(0, 2000), max_size=20), st.sampled_from(Framing))
def test_messages_come_out_as_they_went_in(sent, cuts, framing):
    stream = b"".join(frame(message, framing) for message in sent)
    held = reader(framing)
    assert [message for piece in pieces(stream, cuts) for message in held.feed(piece)] == sent
    assert held.held == 0


@few
@given(st.binary(min_size=1, max_size=200), st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_a_peer_may_cut_a_message_into_chunks_as_it_likes(message, sizes):
    stream, rest = b"", message
    while rest:
        size = sizes[len(stream) % len(sizes)]
        part, rest = rest[:size], rest[size:]
        stream += b"\n#%d\n" % len(part) + part
    held = reader(Framing.CHUNKED)
    assert [out for octet in stream + b"\n##\n" for out in held.feed(bytes([octet]))] == [message]


def test_a_large_message_goes_out_in_several_chunks():
    message = bytes(200_000)
    assert frame(message, Framing.CHUNKED).count(b"\n#65536\n") == 3
    assert reader(Framing.CHUNKED).feed(frame(message, Framing.CHUNKED)) == [message]


def test_the_framing_changes_between_two_messages_that_came_together():
    held = MessageReader()
    held.push(b"<hello/>]]>]]>" + frame(b"<rpc/>", Framing.CHUNKED))
    assert held.pop() == b"<hello/>"
    held.switch(Framing.CHUNKED)
    assert held.pop() == b"<rpc/>"
    assert held.pop() is None


@pytest.mark.parametrize(
    "stream",
    [
        b"\n#0\n",  # a size begins with 1 to 9 (RFC 6242 section 4.2)
        b"\n#01\na",
        b"\n#+1\na",
        b"\n# 1\na",
        b"\n#1 \na",
        b"\n#-1\na",
        b"\n#1e3\n",
        b"\n#\n",
        b"\n#\xd9\xa1\na",  # a digit, but not one of these
        b"\n#4294967296\n",
        b"\n#99999999999\n",
        b"\n#12345678901",  # no need to wait for its end
        b"\r\n#1\na",
        b"#1\na\n##\n",
        b"<rpc/>]]>]]>",
        b"\n##\n",  # a message without a chunk
        b"\n#1\na##\n",
        b"\n#1\na\n#1\nb\n##x",
        b"\n#4\nab\n##\n",  # shorter than it said: the mark becomes content, and what follows is no chunk
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_broken_chunks_end_the_session(stream, size):
    held = reader(Framing.CHUNKED)
    parts = [stream[start : start + size] for start in range(0, len(stream), size)]
    with pytest.raises(NetconfError):
        [held.feed(part) for part in (*parts, b"\n##\n<x/>")]


@pytest.mark.parametrize("claim", [b"4294967295", b"1001"])
def test_a_claimed_size_is_refused_before_anything_is_kept(claim):
    held = reader(Framing.CHUNKED, 1000)
    with pytest.raises(NetconfError, match="more than 1000 bytes"):
        held.feed(b"\n#" + claim + b"\n")
    assert held.held < 20


def test_many_chunks_together_stay_below_the_limit():
    held = reader(Framing.CHUNKED, 1000)
    held.feed(b"\n#600\n" + bytes(600))
    assert held.held == 600
    with pytest.raises(NetconfError, match="more than 1000 bytes"):
        held.feed(b"\n#401\n")


def test_a_message_without_an_end_stays_below_the_limit():
    held = reader(Framing.END_OF_MESSAGE, 1000)
    assert held.feed(bytes(1000)) == []
    with pytest.raises(NetconfError, match="more than 1000 bytes"):
        held.feed(bytes(100))


def test_a_message_of_just_the_limit_is_read():
    for framing in Framing:
        assert reader(framing, 1000).feed(frame(b"x" * 1000, framing)) == [b"x" * 1000]
        with pytest.raises(NetconfError):
            reader(framing, 999).feed(frame(b"x" * 1000, framing))


def test_the_mark_is_found_across_pieces():
    held = reader(Framing.END_OF_MESSAGE)
    assert [out for octet in b"a]]>]]]>]]>b]]>]]>" for out in held.feed(bytes([octet]))] == [b"a]]>]", b"b"]

"""The promises of `quiver.protocols.peer`: what is sent arrives, as ETSI objects where they fit; what is wrong is refused."""

import base64
import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.domain import limits
from quiver.domain.errors import RequestError, TooLargeError
from quiver.domain.key_ids import key_id
from quiver.domain.messages import (
    ITEMS,
    Announcement,
    Answer,
    Ciphertext,
    Container,
    Floor,
    Gift,
    Header,
    Hello,
    Inventory,
    Outcome,
    Segments,
)
from quiver.domain.records import Piece
from quiver.domain.secret import Secret
from quiver.protocols import etsi014, peer
from quiver.protocols.peer_answers import REFUSALS
from tests.protocols import peer_examples as examples

KINDS = sorted(ITEMS)
few = settings(max_examples=30, deadline=None)  # for each of the kinds
HEADER = Header(incarnation="1a" * 16, run="2b" * 16, number=41, mac="3c" * 32, to_run="4d" * 16)
PAD = bytes(range(256)) * 2
MARKS = {"key": "a-d/1/1", "digest": "5e" * 32, "floor": 3, "settled": 900}
CIPHERTEXT = Ciphertext(**MARKS, sequence=7, start=4096, length=len(PAD), ciphertext=Secret(PAD))
BATCH = "0f" * 14 + "0000"
CONTAINER = Container(
    header=b'{"batch": "' + BATCH.encode() + b'","size":256}',
    nonce=bytes(32),
    ciphertext=Secret(PAD[:32]),
    tag=bytes(16),
    floor=2,
)
SEGMENT, OTHER_SEGMENT = "6f" * 16, "70" * 16
ANNOUNCEMENT = Announcement(
    **MARKS, sequence=7, start=4096, length=40, pieces=(Piece(SEGMENT, 100, 30), Piece(OTHER_SEGMENT, 16, 10))
)
VENDOR_KEY_IDS = ("0AF1C2B7-54A4-4A53-9D5A-0A3A1C7F9A10", "vendor key 7", "k" * limits.KEY_ID_LENGTH)
SEGMENTS = Segments(segment=SEGMENT, link="a-b", key_ids=VENDOR_KEY_IDS, length=96)


def refused(kind: str, body: Any) -> str:
    with pytest.raises(RequestError) as caught:
        peer.decode_message(kind, body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value.message


# --- what is sent arrives ---


@pytest.mark.parametrize("kind", KINDS)
@few
@given(choice=st.data())
def test_every_message_arrives_as_it_was_sent(kind: str, choice: st.DataObject) -> None:
    header, items = choice.draw(examples.headers), choice.draw(examples.items(kind))
    assert peer.decode_message(kind, peer.encode_message(kind, header, items)) == (header, tuple(items))


@pytest.mark.parametrize("kind", KINDS)
@few
@given(choice=st.data())
def test_every_answer_arrives_as_it_was_given(kind: str, choice: st.DataObject) -> None:
    header, answers = choice.draw(examples.headers), choice.draw(examples.answers(kind))
    assert peer.decode_answers(kind, peer.encode_answers(kind, header, answers)) == (header, answers)


def test_the_largest_message_that_an_outbox_makes_is_taken() -> None:
    item = Ciphertext(**MARKS, sequence=7, start=0, length=limits.BLOCK_MAX, ciphertext=Secret(bytes(limits.BLOCK_MAX)))
    items = [item] * (limits.PEER_BODY // 2 // item.weight)
    assert len(peer.decode_message("ciphertext", peer.encode_message("ciphertext", HEADER, items))[1]) == len(items)


# --- any reader of ETSI GS QKD 014 can read it ---


def test_a_relayed_ciphertext_is_a_key_container_that_any_014_reader_can_decode() -> None:
    body = peer.encode_message("ciphertext", HEADER, [CIPHERTEXT, CIPHERTEXT])
    keys = etsi014.decode_key_container(body).keys
    assert [key.key for key in keys] == [CIPHERTEXT.ciphertext] * 2
    assert {uuid.UUID(key.key_id).version for key in keys} == {5}
    assert keys[0].key_id == keys[1].key_id, "a repeat has the name of the first"
    assert keys[0].key_extension is not None
    assert keys[0].key_extension["quiver_ciphertext"]["sequence"] == 7


def test_a_container_goes_under_the_key_id_of_its_first_key() -> None:
    body = peer.encode_message("container", HEADER, [CONTAINER])
    (key,) = etsi014.decode_key_container(body).keys
    assert key.key_id == key_id(BATCH, 0)
    assert key.key == CONTAINER.ciphertext
    assert json.loads(body)["keys"][0]["key"] == base64.b64encode(PAD[:32]).decode()


def test_a_range_is_key_ids_that_any_014_reader_can_decode() -> None:
    body = peer.encode_message("announcement", HEADER, [ANNOUNCEMENT, ANNOUNCEMENT])
    ranges = etsi014.decode_key_ids(body).key_ids
    assert [uuid.UUID(entry.key_id).hex for entry in ranges] == [SEGMENT, OTHER_SEGMENT] * 2
    assert ranges[0].key_id_extension == {"quiver_range": {"item": 0, "offset": 100, "length": 30}}


def test_source_key_ids_keep_order_and_the_vendors_case() -> None:
    other = Segments(segment=OTHER_SEGMENT, link="a-b", key_ids=("z", "A"), length=64)
    body = peer.encode_message("segments", HEADER, [SEGMENTS, other])
    entries = etsi014.decode_key_ids(body).key_ids
    assert [entry.key_id for entry in entries] == [*VENDOR_KEY_IDS, "z", "A"]
    assert peer.decode_message("segments", body)[1] == (SEGMENTS, other)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_refusal_is_an_error_and_nothing_else_is(outcome: Outcome) -> None:
    body = peer.encode_answers("ready", HEADER, [Answer(outcome, "beyond the window")])
    (entry,) = json.loads(body)["answers"]
    if outcome in REFUSALS:
        error = etsi014.decode_error(json.dumps(entry).encode())
        assert {"quiver_outcome": outcome.value} in error.details
        assert {"quiver_reason": "beyond the window"} in error.details
    else:
        assert entry["outcome"] == outcome.value
        assert "message" not in entry


# --- secrets ---


@pytest.mark.parametrize("kind", KINDS)
def test_only_key_containers_can_carry_a_secret(kind: str) -> None:
    class Leaking(Floor, kw_only=True, frozen=True):
        pad: Secret

    item = Leaking(**MARKS, closed=1000, pad=Secret(PAD))
    with pytest.raises((TypeError, NotImplementedError, AttributeError, AssertionError)):
        peer.encode_message(kind, HEADER, [item])


def test_a_peer_cannot_set_the_header_under_which_its_offer_came() -> None:
    inventory = Inventory(
        **{field: {} for field in Inventory.__struct_fields__ if field != "containers"}, containers=(0, 0, 0)
    )
    hello = Hello(nonce="aa", started=1, seen=None, inventory=inventory)
    answer = Answer(Outcome.DONE, offer=hello, header=HEADER)
    body = json.loads(peer.encode_answers("hello", HEADER, [answer]))
    assert "header" not in body["answers"][0]
    body["answers"][0]["header"] = body["quiver_header"]
    (read,) = peer.decode_answers("hello", json.dumps(body).encode())[1]
    assert read.header is None
    assert read.offer == hello


# --- what is wrong is refused ---

EXAMPLES: dict[str, bytes] = {
    "floor": peer.encode_message("floor", HEADER, [Floor(**MARKS, closed=1000)]),
    "gift": peer.encode_message("gift", HEADER, [Gift(segment=SEGMENT)]),
    "ciphertext": peer.encode_message("ciphertext", HEADER, [CIPHERTEXT]),
    "container": peer.encode_message("container", HEADER, [CONTAINER]),
    "announcement": peer.encode_message("announcement", HEADER, [ANNOUNCEMENT]),
    "segments": peer.encode_message("segments", HEADER, [SEGMENTS]),
}


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values in a JSON document, containers included."""
    if path:
        yield path
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in inner:
        yield from leaves(value, (*path, name))


def replaced(body: bytes, path: tuple[Any, ...], value: Any) -> bytes:
    document = json.loads(body)
    node = document
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    return json.dumps(document).encode()


CANARY = "S3cr3tValue/+=" * 4
WRONG = [CANARY, -7_777_777, 7.7777777, True, None, [CANARY], {"other": CANARY}, 77_777_770_000_000_000_000_000]
PLACES = [(kind, path) for kind, body in EXAMPLES.items() for path in leaves(json.loads(body))]
FREE = 8  # places where any text may stand: names of links and paths, and source key_IDs


def why(kind: str, body: bytes) -> RequestError | None:
    try:
        peer.decode_message(kind, body)
    except RequestError as error:
        return error
    return None


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_member_of_a_wrong_type_or_form_is_refused_without_showing_it(wrong: Any) -> None:
    errors = [why(kind, replaced(EXAMPLES[kind], path, wrong)) for kind, path in PLACES]
    refusals = [error for error in errors if error is not None]
    assert len(refusals) >= len(PLACES) - FREE
    for refusal in refusals:
        assert CANARY not in refusal.message
        assert "777777" not in refusal.message
        assert refusal.__context__ is None, "what was parsed is not behind the error"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", KINDS)
@few
@given(choice=st.data())
def test_a_body_that_was_tampered_with_is_read_or_refused_and_nothing_else(kind: str, choice: st.DataObject) -> None:
    body = peer.encode_message(kind, choice.draw(examples.headers), choice.draw(examples.items(kind)))
    answer = peer.encode_answers(kind, choice.draw(examples.headers), choice.draw(examples.answers(kind)))
    for valid, decode in ((body, peer.decode_message), (answer, peer.decode_answers)):
        if choice.draw(st.booleans()):
            path = choice.draw(st.sampled_from(list(leaves(json.loads(valid)))))
            tampered = replaced(valid, path, choice.draw(json_values))
        else:
            start = choice.draw(st.integers(0, len(valid)))
            stop = choice.draw(st.integers(start, min(len(valid), start + 40)))
            tampered = valid[:start] + choice.draw(st.binary(max_size=8)) + valid[stop:]
        with contextlib.suppress(RequestError):
            decode(kind, tampered)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'"\xff"', b'{"items":' + b"[" * 100_000, b'{"quiver_header":' * 5_000, b"\x00" * 64],
    ids=["empty", "null", "array", "object", "no-utf-8", "deep-array", "deep-object", "zeros"],
)
def test_what_is_no_message_at_all_is_refused(kind: str, body: bytes) -> None:
    refused(kind, body)
    with pytest.raises(RequestError):
        peer.decode_answers(kind, body)


def test_truncated_base64_is_refused() -> None:
    body = json.loads(EXAMPLES["container"])
    for wrong in ("AAA", "wgw/=", "AA==AA==", "A A=", "-_==", "="):
        body["keys"][0]["key"] = wrong
        assert "base64" in refused("container", body)
    body = json.loads(EXAMPLES["container"])
    body["keys"][0]["key_extension"]["quiver_container"]["nonce"] = "AAA"
    assert "nonce" in refused("container", body)


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_more_items_than_a_message_may_carry_are_refused(kind: str) -> None:
    _, (item,) = peer.decode_message(kind, EXAMPLES[kind])
    body = peer.encode_message(kind, HEADER, [item] * (limits.ITEMS_PER_MESSAGE + 1))
    assert f"1 to {limits.ITEMS_PER_MESSAGE} entries" in refused(kind, body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_without_items_is_refused(kind: str) -> None:
    body = peer.encode_message(kind, HEADER, [])
    assert f"1 to {limits.ITEMS_PER_MESSAGE} entries" in refused(kind, body)


def test_a_body_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLargeError):
        peer.decode_message("floor", b" " * (limits.PEER_BODY + 1))
    with pytest.raises(TooLargeError):
        peer.decode_answers("floor", b" " * (limits.PEER_BODY + 1))


def test_a_kind_that_is_none_is_refused_without_repeating_it() -> None:
    assert CANARY not in refused(CANARY, b"{}")


def test_a_key_under_another_name_than_its_own_is_refused() -> None:
    for kind in ("ciphertext", "container"):
        body = replaced(EXAMPLES[kind], ("keys", 0, "key_ID"), str(uuid.UUID(int=5)))
        assert "key_ID" in refused(kind, body)


def test_ranges_of_items_that_are_not_there_are_refused() -> None:
    place = ("key_IDs", 0, "key_ID_extension", "quiver_range", "item")
    for wrong in (1, -1):
        assert "no such entry" in refused("announcement", replaced(EXAMPLES["announcement"], place, wrong))


def test_key_ids_that_belong_to_no_segment_are_refused() -> None:
    place = ("key_IDs_extension", "quiver_segments", 0, "count")
    for wrong in (2, 4, -1):
        assert "key_IDs" in refused("segments", replaced(EXAMPLES["segments"], place, wrong))


def test_a_digest_that_is_none_never_reaches_the_rules() -> None:
    place = ("items", 0, "digest")
    for wrong in ("XY", "abc", "AB", "é" * 64, "ab" * 33):
        assert "hexadecimal" in refused("floor", replaced(EXAMPLES["floor"], place, wrong))


def test_a_refusal_in_the_form_of_a_plain_answer_is_refused() -> None:
    body = json.loads(peer.encode_answers("ready", HEADER, [Answer(Outcome.REFUSED)]))
    for wrong in ({"outcome": "refused"}, {"message": "x"}, {"message": "x", "details": [{"quiver_outcome": "done"}]}):
        body["answers"] = [wrong]
        with pytest.raises(RequestError):
            peer.decode_answers("ready", json.dumps(body).encode())


def test_an_inventory_is_heard_in_a_meeting_only() -> None:
    inventory = Inventory(
        **{field: {} for field in Inventory.__struct_fields__ if field != "containers"}, containers=(0, 0, 0)
    )
    answer = Answer(Outcome.DONE, offer=Hello(nonce="aa", started=1, seen=None, inventory=inventory))
    body = peer.encode_answers("hello", HEADER, [answer])
    with pytest.raises(RequestError, match="offer"):
        peer.decode_answers("ready", body)

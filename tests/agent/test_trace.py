"""What agents say about messages at DEBUG: enough to follow a key, and never a byte of one."""

import base64
import hashlib
import json

import msgspec
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from quiver.agent.trace import ANSWERED, SENT, describe, described, digest_of, log_answered, log_sent
from quiver.domain.delivery import ContainerHeader
from quiver.domain.messages import ITEMS, Announcement, Answer, Ciphertext, Container, Credit, Item, Outcome, Segments
from quiver.domain.records import Piece
from quiver.domain.secret import Secret
from tests.protocols.peer_examples import structs

BATCH = "0123456789abcdef8123456789ab0000"
HEADER = msgspec.json.encode(
    ContainerHeader(
        batch=BATCH,
        number=3,
        source="a",
        destination="d",
        master="sae-a",
        slaves=("sae-d",),
        count=2,
        size=128,
        paths={"a-d/1/1": ("00", [(5, 32, 48)])},
    )
)


def container(header: bytes = HEADER) -> Container:
    return Container(header=header, nonce=bytes(32), ciphertext=Secret(b"c" * 32), tag=b"t" * 16, floor=0)


def test_a_container_tells_its_pad_and_digests():
    assert describe(container()) == {
        "batch": digest_of(BATCH),
        "number": 3,
        "keys": 2,
        "bits": 128,
        "paths": {"a-d/1/1": [[5, 32, 48]]},
        "ciphertext": hashlib.sha256(b"c" * 32).hexdigest()[:16],
        "tag": hashlib.sha256(b"t" * 16).hexdigest()[:16],
    }


def test_a_container_with_a_header_that_is_none_is_still_described():
    assert describe(container(b"{}")) == {"ciphertext": digest_of(b"c" * 32)}


def test_a_range_is_told_by_its_pieces_and_a_segment_by_its_source_key_ids():
    announcement = Announcement(
        key="a-d/1/1", digest="00", sequence=5, start=0, length=7, pieces=(Piece("s1", 16, 7),), floor=0, settled=0
    )
    assert describe(announcement) == {"path": "a-d/1/1", "sequence": 5, "length": 7, "pieces": [["s1", 16, 7]]}
    segments = Segments(segment="s1", link="a-b", key_ids=("k1", "k2"), length=64)
    assert describe(segments) == {"segment": "s1", "link": "a-b", "length": 64, "key_ids": ["k1", "k2"]}
    credit = Credit(key="a-d/1/1", digest="00", limit=9, counter=1)
    assert describe(credit) == {"path": "a-d/1/1", "limit": 9}


@pytest.mark.parametrize("kind", ITEMS)
@settings(max_examples=25)
@given(st.data())
def test_no_kind_of_message_shows_the_bytes_that_it_carries(kind: str, draw: st.DataObject):
    item: Item = draw.draw(structs(ITEMS[kind]))
    shown = json.dumps(describe(item))
    for name in item.__struct_fields__:
        value = getattr(item, name)
        carried = value.reveal() if isinstance(value, Secret) else value
        if isinstance(carried, bytes) and len(carried) >= 8:
            assert carried.hex() not in shown
            assert base64.b64encode(carried).decode().rstrip("=") not in shown


def test_a_message_is_told_when_it_leaves_and_when_its_answer_is_durable():
    item = Ciphertext(
        key="a-d/1/1", digest="00", sequence=5, start=0, length=4, ciphertext=Secret(b"four"), floor=0, settled=0
    )
    told = {"path": "a-d/1/1", "sequence": 5, "length": 4, "ciphertext": digest_of(b"four")}
    with structlog.testing.capture_logs() as lines:
        log_sent("b", "d", "ciphertext", [item])
        facts = described([item])
        item.ciphertext.wipe()
        log_answered("d", "b", "ciphertext", facts, [Answer(Outcome.DONE)])
    common = {"kind": "ciphertext", "items": [told], "log_level": "debug"}
    assert lines == [
        {"event": SENT, "node": "b", "peer": "d", **common},
        {"event": ANSWERED, "node": "d", "peer": "b", "outcomes": ["done"], **common},
    ]

"""Messages: their weight is not below what they take on the wire, so that a full message is one that the peer reads."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import (
    ITEMS,
    Announcement,
    Ciphertext,
    Container,
    Gift,
    Header,
    Item,
    Ready,
    Segments,
    Withdrawal,
)
from quiver.domain.records import Piece
from quiver.domain.reply import Reply
from quiver.domain.secret import Secret
from quiver.protocols.peer import encode_message

HEADER = Header("a" * 32, "b" * 32, 10**9, "c" * 64, "d" * 32)
DIGEST = "e" * 64
PIECES = tuple(Piece(f"{i:032x}", 10**4, 10**4) for i in range(64))
CONTAINER_HEADER = b'{"batch": "%032d"%660s}' % (0, b"")
HEAVY: list[Item] = [
    Ciphertext(
        key="a-d/1/1",
        digest=DIGEST,
        sequence=10**6,
        start=10**12,
        length=limits.BLOCK_MAX,
        ciphertext=Secret(bytes(limits.BLOCK_MAX)),
        floor=10**6,
        settled=10**12,
    ),
    Container(
        header=CONTAINER_HEADER,
        nonce=bytes(32),
        ciphertext=Secret(bytes(limits.KIB)),
        tag=bytes(16),
        floor=10**6,
    ),
    Announcement(key="a-d/1/1", digest=DIGEST, sequence=1, start=1, length=640_000, pieces=PIECES, floor=1, settled=1),
    Segments(segment="f" * 32, link="a-b", key_ids=tuple(f"{i:036d}" for i in range(2048)), length=limits.SEGMENT_MAX),
    Ready(key="a-d/1/1", digest=DIGEST, sequence=10**6),
    Gift(segment="f" * 32),
    Withdrawal(number=1, batch="f" * 32, paths={"a-d/1/1": [(1, 32, 48)]}, keep_stored=True, floor=1),
]


@pytest.mark.parametrize("item", HEAVY, ids=lambda item: item.kind)
def test_as_many_items_as_their_weight_allows_fit_into_a_body(item: Item):
    count = max(1, min(limits.ITEMS_PER_MESSAGE, limits.PEER_BODY // 2 // item.weight))
    assert len(encode_message(item.kind, HEADER, (item,) * count)) <= limits.PEER_BODY


def test_a_ciphertext_does_not_show_its_bytes():
    assert "<Secret of 262144 bytes>" in repr(HEAVY[0])


def test_every_item_stands_in_the_table_under_its_kind():
    assert all(item.kind == kind for kind, item in ITEMS.items())
    assert {kind.__name__ for kind in Item.__subclasses__()} == {item.__name__ for item in ITEMS.values()}


def test_a_reply_cuts_equal_keys_and_tells_whoever_waits():
    told: list[Reply] = []
    reply = Reply(when_done=told.append)
    assert not reply.done
    reply.grant("0" * 32, Secret(b"aabbcc"), 3)
    assert reply.keys is not None
    assert [key.key.reveal() for key in reply.keys] == [b"aa", b"bb", b"cc"]
    assert len({key.key_id for key in reply.keys}) == 3
    assert (told, reply.done) == ([reply], True)

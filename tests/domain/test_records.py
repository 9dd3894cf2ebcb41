"""Records: what is stored comes back the same, and no body holds a secret."""

import msgspec
import pytest

from quiver.domain import records
from quiver.domain.intervals import Intervals
from quiver.domain.network import PathEntry
from quiver.domain.records import (
    PART_MOVES,
    RELAYED_MOVES,
    SEGMENT_MOVES,
    Batch,
    Block,
    Burned,
    Own,
    Part,
    PartState,
    Peer,
    Record,
    Relayed,
    RelayedState,
    Route,
    Seen,
    Segment,
    SegmentState,
    Sent,
)
from quiver.domain.secret import Secret

ENTRY = PathEntry("a-d", 2, 3, ("a", "b", "d"), depth=8192, rate=9, priority=2)
EXAMPLES: list[Record] = [
    Segment(
        segment="5e",
        link="a-b",
        neighbour="b",
        owner="a",
        state=SegmentState.USABLE,
        length=4096,
        key_ids=["Å-1"],
        check="cc",
        mark=17,
        accepted=Intervals([(0, 16), (20, 30)]),
        given=True,
    ),
    Seen(segment="5e", link="a-b", order=3, fingerprints=[1, (1 << 63) - 1]),
    Route(key=ENTRY.key, entry=ENTRY, open={7: 96}, next_sequence=8, next_start=800, floor=7, settled=700),
    Relayed(key=ENTRY.key, sequence=7, start=700, length=96, digest="dd", state=RelayedState.SENDING),
    Part(key=ENTRY.key, sequence=7, start=700, length=96, digests={"": "d1", "b": "d2"}, state=PartState.VOID),
    Block(
        key=ENTRY.key,
        sequence=7,
        start=700,
        length=96,
        far="a",
        source=False,
        nodes=ENTRY.nodes,
        used=Intervals([(0, 32)]),
        told=True,
        born=7.5,
    ),
    Sent(destination="d", number=4, batch="ba", paths={ENTRY.key: [(7, 32, 48)]}, withdrawing=True),
    Batch(
        batch="ba",
        source="a",
        number=4,
        master="alice",
        slaves=["dora", "dave"],
        count=3,
        size=128,
        digest="dd",
        answer="ac",
        nodes=["a", "b", "d"],
        taken={"dora": "5"},
        born=7.5,
    ),
    Peer(node="b", incarnation="i", run="r", number=9, mac="m", retired=["o"], next_number=5, floor=4, voided=[6]),
    Own(incarnation="i", former=["o"], served=9.5),
    Burned(causes={"timeout": 5}),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.kind)
@pytest.mark.parametrize("secret", [None, b"\x00secret pad\xff"])
def test_a_record_comes_back_from_storage_as_it_was(record: Record, secret: bytes | None):
    record.secret = Secret(secret) if secret is not None else None
    body = records.encode(record)
    kept = records.decode(record.kind, body, secret)
    assert type(kept) is type(record)
    assert records.encode(kept) == body
    assert (kept.id, kept.secret) == (record.id, record.secret)
    assert b"secret" not in body, "material is kept apart from the body"


def test_every_kind_of_record_has_an_example_here():
    assert {example.kind for example in EXAMPLES} == records.RECORDS.keys()


def test_two_records_of_a_kind_never_share_a_name():
    names = [(example.kind, example.id) for example in EXAMPLES]
    assert len(set(names)) == len(names)
    assert EXAMPLES[3].id == f"{ENTRY.key}#7"
    assert EXAMPLES[-1].id == "", "there is one of it"


def test_a_body_with_something_else_in_it_is_refused():
    with pytest.raises(msgspec.ValidationError):
        records.decode("segment", b'{"segment": 5}', None)
    with pytest.raises(TypeError):
        records._plain(object())
    with pytest.raises(TypeError):
        records._rich(dict, {})


def test_who_took_nothing_has_an_empty_bitmap():
    batch = EXAMPLES[7]
    assert isinstance(batch, Batch)
    assert (batch.taken_by("dora"), batch.taken_by("dave")) == (0b101, 0)


@pytest.mark.parametrize("moves", [SEGMENT_MOVES, RELAYED_MOVES, PART_MOVES])
def test_the_table_of_moves_has_every_state(moves):
    kinds = {type(state) for state in moves}
    assert len(kinds) == 1
    assert set(moves) == set(kinds.pop())


def test_a_move_that_no_table_has_is_a_fault_and_changes_nothing():
    part = Part(key="v/1/1", sequence=0, start=0, length=100, state=PartState.READY)
    with pytest.raises(AssertionError, match="no way from ready to void"):
        part.move(PartState.VOID)
    assert part.state is PartState.READY

"""The vault: a key is stored once under one key_ID, and each slave that was named takes it once, nobody else ever."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.delivery import ContainerHeader
from quiver.domain.destination import Destination
from quiver.domain.errors import LimitError
from quiver.domain.messages import Answer, Container, Outcome, Withdrawal
from quiver.domain.network import PathEntry
from quiver.domain.records import Route
from quiver.domain.reply import Reply
from quiver.domain.requests import Request

from .delivering import KEY, Delivering
from .ground import KIB, bytes_of, shared_block


@pytest.fixture
def both() -> Delivering:
    return Delivering()


def with_header(item: Container, **parts: object) -> Container:
    header = msgspec.json.decode(item.header, type=ContainerHeader)
    return msgspec.structs.replace(item, header=msgspec.json.encode(msgspec.structs.replace(header, **parts)))


def batch_of(item: Container) -> str:
    return msgspec.json.decode(item.header, type=ContainerHeader).batch


# --- containers -------------------------------------------------------------------------------------------------------


def test_keys_are_durable_with_the_use_of_their_pad_before_the_acknowledgement(both: Delivering):
    both.a.ask(count=2)
    (item,) = both.a.containers()
    assert both.d.receive(item).outcome is Outcome.STORED
    assert both.d.station.journal.urgent
    both.d.station.commit()
    assert not both.d.station.database.holds(bytes_of(f"{KEY}#0", 4 * KIB)[32:48])
    assert [line.event for line in both.d.station.database.audit] == ["batch-stored"]
    assert batch_of(item) not in str(both.d.station.database.audit)
    (batch,) = both.d.vault.batches.values()
    assert batch.nodes == ["a", "b", "c", "d"], "what the key passed (rule 9)"


def test_a_repeat_gets_the_first_acknowledgement_also_after_a_restart(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    first = both.d.receive(item)
    assert both.d.receive(item) == first
    both.d.station.commit()
    both.d.restart()
    assert both.d.receive(item) == first
    assert len(both.d.vault.batches) == 1


def test_other_bytes_under_a_known_number_are_refused(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    both.d.receive(item)
    other = msgspec.structs.replace(item, tag=bytes(16))
    assert both.d.receive(other) == Answer(Outcome.REFUSED, "other bytes before")


def test_below_the_floor_a_container_is_settled(both: Delivering):
    both.deliver()
    both.a.ask()
    (second,) = both.a.containers()
    both.d.receive(second)
    assert both.d.receive(with_header(second, number=0)).outcome is Outcome.SETTLED
    both.d.vault.observe("a", 0)
    assert both.d.peer.floor == 1


REFUSED = {
    "for another node": {"destination": "c"},
    "of another node": {"source": "b"},
    "beyond the window": {"number": limits.CONTAINERS_OPEN},
    "no key": {"count": 0},
    "too many keys": {"count": limits.KEYS_PER_REQUEST + 1, "size": 8},
    "sizes that do not add up": {"size": 512},
    "keys that are too small": {"count": 32, "size": 8},
    "no slave": {"slaves": ()},
    "a slave named twice": {"slaves": ("dora", "dora")},
    "a batch id with an index": {"batch": "ab" * 16},
    "a slave at home elsewhere": {"slaves": ("dora", "anna")},
    "an unknown slave": {"slaves": ("xena",)},
    "a pair that is not permitted": {"master": "anna"},
    "no path": {"paths": {}},
    "an unknown path": {"paths": {"x-y/1/1": ("00", [(0, 32, 48)])}},
    "another entry of the path": {"paths": {KEY: ("00" * 32, [(0, 32, 48)])}},
}


@pytest.mark.parametrize("parts", REFUSED.values(), ids=REFUSED.keys())
def test_what_a_right_source_never_sends_is_refused_before_anything_is_used(both: Delivering, parts: dict[str, object]):
    both.a.ask()
    (item,) = both.a.containers()
    assert both.d.receive(with_header(item, **parts)).outcome is Outcome.REFUSED
    assert both.d.receive(item).outcome is Outcome.STORED, "the right one still finds its pad"


@pytest.mark.parametrize(
    "pieces",
    [
        [(7, 32, 48)],
        [(0, 0, 48)],
        [(0, 32, 0), (0, 32, 48)],
        [(0, -16, 48)],
        [(0, 4 * KIB - 8, 48)],
        [(0, 32, 47)],
        [(0, 32, 24), (0, 40, 24)],
        [(0, 32, 48), (1, 32, 48)],
    ],
    ids=["unknown block", "hash key", "empty", "negative", "beyond", "too short", "twice", "too long"],
)
def test_pieces_that_are_not_free_or_do_not_add_up_are_refused(both: Delivering, pieces: list[tuple[int, int, int]]):
    both.a.ask()
    (item,) = both.a.containers()
    digest = msgspec.json.decode(item.header, type=ContainerHeader).paths[KEY][0]
    assert both.d.receive(with_header(item, paths={KEY: (digest, pieces)})).outcome is Outcome.REFUSED
    assert both.d.receive(item).outcome is Outcome.STORED


def test_pad_that_a_container_has_used_serves_no_other(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    both.d.receive(item)
    again = with_header(item, number=1, batch="ab" * 14 + "0000")
    assert both.d.receive(again).reason == "bytes of block 0 are not free"


def test_two_paths_through_the_same_node_are_refused(both: Delivering):
    second = PathEntry("a-d", 2, 1, ("a", "x", "c", "d"))
    route = Route(key=second.key, entry=second)
    blocks = [shared_block(second, "d", 0, 0)]
    both.d.vault._destinations[second.key] = Destination(both.d.station.context, second, route, [], blocks)
    both.a.ask()
    (item,) = both.a.containers()
    digest = msgspec.json.decode(item.header, type=ContainerHeader).paths[KEY][0]
    paths = {KEY: (digest, [(0, 32, 48)]), second.key: (second.digest, [(0, 32, 48)])}
    assert both.d.receive(with_header(item, paths=paths)).reason == "two paths pass the same node"


def test_a_header_that_is_none_is_refused(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    for header in (b"", b"{}", b"[1]", b'{"batch": 3}', item.header[:-1] + b', "more": 1}'):
        assert both.d.receive(msgspec.structs.replace(item, header=header)).outcome is Outcome.REFUSED


def test_a_batch_id_names_one_batch_whoever_sends_it(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    both.d.receive(item)
    digest = msgspec.json.decode(item.header, type=ContainerHeader).paths[KEY][0]
    other = with_header(item, number=1, paths={KEY: (digest, [(0, 80, 48)])})
    assert both.d.receive(other).outcome is Outcome.REFUSED
    assert len(both.d.vault.batches) == 1


def test_the_table_of_batches_is_bounded_and_refuses_the_new(monkeypatch: pytest.MonkeyPatch, both: Delivering):
    monkeypatch.setattr(limits, "UNFETCHED_BATCHES", 1)
    keys = both.deliver()
    both.a.ask()
    assert both.d.receive(both.a.containers()[0]).outcome is Outcome.REFUSED
    assert both.d.fetch("dora", *keys) == list(keys.values()), "and never drops a key"


def test_one_source_does_not_fill_the_table_alone(monkeypatch: pytest.MonkeyPatch, both: Delivering):
    monkeypatch.setattr(limits, "UNFETCHED_PER_SOURCE", 1)
    both.deliver()
    both.a.ask()
    assert both.d.receive(both.a.containers()[0]).outcome is Outcome.REFUSED
    both.d.vault.store_local(Request("dora", ("dave",), "d", 1, 128, 0.0, Reply()))
    with pytest.raises(LimitError):
        both.d.vault.store_local(Request("dora", ("dave",), "d", 1, 128, 0.0, Reply()))


# --- withdrawal -------------------------------------------------------------------------------------------------------


def withdrawal(item: Container, *, keep_stored: bool, floor: int = 0) -> Withdrawal:
    header = msgspec.json.decode(item.header, type=ContainerHeader)
    pieces = {key: pieces for key, (_, pieces) in header.paths.items()}
    return Withdrawal(number=header.number, batch=header.batch, paths=pieces, keep_stored=keep_stored, floor=floor)


def test_a_repeated_withdrawal_gets_an_answer_and_burns_once(both: Delivering):
    both.a.ask()
    (item,) = both.a.containers()
    for _ in range(2):
        assert both.d.vault.withdraw("a", withdrawal(item, keep_stored=True)).outcome is Outcome.DONE
    assert both.d.station.burned("withdrawn") == 48
    both.d.station.commit()
    both.d.restart()
    assert both.d.receive(item).outcome is Outcome.VOID
    assert both.d.vault.withdraw("a", withdrawal(item, keep_stored=False, floor=1)).outcome is Outcome.SETTLED
    assert both.d.peer.voided == [], "below the floor nothing has to be remembered"


def test_a_withdrawal_burns_nothing_of_other_nodes_or_beyond_a_block(both: Delivering):
    paths = {"x-y/1/1": [(0, 32, 48)], KEY: [(9, 32, 48), (0, 32, 5000), (0, -1, 4)]}
    item = Withdrawal(number=0, batch="00" * 16, paths=paths, keep_stored=False, floor=0)
    assert both.d.vault.withdraw("a", item).outcome is Outcome.DONE
    item = Withdrawal(number=0, batch="00" * 16, paths={KEY: [(0, 32, 48)]}, keep_stored=False, floor=0)
    assert both.d.vault.withdraw("b", item).outcome is Outcome.DONE
    assert both.d.station.burned("withdrawn") == 0


def test_the_table_of_voided_numbers_is_bounded(both: Delivering):
    for number in range(limits.CONTAINERS_OPEN + 5):
        item = Withdrawal(number=number, batch="00" * 16, paths={}, keep_stored=False, floor=0)
        both.d.vault.withdraw("a", item)
    assert len(both.d.peer.voided) == limits.CONTAINERS_OPEN
    assert both.d.vault.seen("a") == limits.CONTAINERS_OPEN

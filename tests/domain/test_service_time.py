"""Ages of what is durable: counted over all runs of a node, whatever clocks do, and told where two nodes' ages differ."""

import json

import pytest

from quiver.domain import limits, records
from quiver.domain.errors import KeyNotFoundError
from quiver.domain.journal import Journal
from quiver.domain.network import PathEntry
from quiver.domain.records import Batch, Burned, Own
from quiver.domain.service_time import ServiceTime

from .ground import KIB, HandClock, shared_block
from .small_network import SmallNetwork, row

DEEP = PathEntry("a-d", 1, 1, tuple("abcd"), depth=16 * KIB)


def blocks(net: SmallNetwork) -> tuple[set[int], set[int]]:
    """The ready blocks of both ends."""
    return set(net.node("a").paths.sources[DEEP.key].blocks), set(net.node("d").paths.destinations[DEEP.key].blocks)


def restarting(net: SmallNetwork, name: str, steps: int, seconds: float) -> None:
    for _ in range(steps):
        net.beat(seconds=seconds)
        net.restart(name)
        net.settle()
        net.beat()


@pytest.mark.parametrize("name", ["a", "d"])
def test_a_source_or_destination_that_restarts_often_uses_no_block_after_its_time(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "CONTAINER_BYTES_OPEN", 1)  # what each restart of a source burns, all of it otherwise
    net = row(DEEP)
    net.beat(2)
    first, there = blocks(net)
    assert first
    assert first == there
    restarting(net, name, 5, limits.BLOCK_LIFE / 6)
    assert blocks(net)[0].issuperset(first)
    restarting(net, name, 2, limits.BLOCK_LIFE / 6)
    assert not first.intersection(*blocks(net))


def test_a_key_that_nobody_fetches_expires_however_often_its_node_restarts():
    net = row()
    reply = net.ask("a", "alice", "dora", count=2)
    net.settle()
    assert reply.keys is not None
    first, second = (key.key_id for key in reply.keys)
    restarting(net, "d", 3, limits.UNFETCHED_LIFE / 4)
    assert net.fetch("d", "dora", "alice", [first]) == [reply.keys[0].key.reveal()]
    restarting(net, "d", 1, limits.UNFETCHED_LIFE / 4)
    with pytest.raises(KeyNotFoundError):
        net.fetch("d", "dora", "alice", [second])


def test_a_block_that_the_destination_drops_first_serves_no_request_at_the_source_either():
    net = row(DEEP)
    net.beat(2)
    first, there = blocks(net)
    assert first == there
    for block in net.node("d").paths.destinations[DEEP.key].blocks.values():
        block.born -= 2 * limits.BLOCK_LIFE  # as where the source was down for so long
    net.beat(2)
    assert not first.intersection(*blocks(net))
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None
    assert (reply.error, len(reply.keys)) == (None, 1)


def test_service_time_goes_on_where_the_process_ended_and_no_clock_turns_it_back():
    own, clock = Own(incarnation="i"), HandClock()
    for start in (5000.0, 3.0, 0.0):
        clock.time = start
        before = own.served
        time = ServiceTime(clock, own, Journal(Burned()))
        assert time.now() == before
        clock.advance(20.0)
        time.keep()
        assert own.served == before + 20.0
    assert own.served == 60.0


def test_service_time_rides_on_other_commits_and_asks_for_one_a_minute_at_most():
    own, clock, journal = Own(incarnation="i"), HandClock(), Journal(Burned())
    time = ServiceTime(clock, own, journal)
    urgent = []
    for _ in range(int(2 * limits.SERVICE_TIME_KEPT)):
        clock.advance(1.0)
        time.keep()
        urgent.append(journal.urgent)
        journal.take()
    assert urgent.count(True) == 2
    assert journal.changes == 0, "nothing is to be divided anew because time passes"


def test_what_a_database_holds_from_before_ages_were_kept_counts_from_the_first_start_after():
    block = shared_block(DEEP, "a", 0, 0)
    batch = Batch(batch="ba", source="a", number=-1, master="alice", slaves=["dora"], count=1, size=128)
    for record, added in ((block, "born"), (batch, "born"), (Own(incarnation="i"), "served")):
        body = json.loads(records.encode(record))
        del body[added]
        kept = records.decode(record.kind, json.dumps(body).encode(), None)
        assert getattr(kept, added) == 0.0

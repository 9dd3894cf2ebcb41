"""Promises about priming and delivery, each with figures, in a network made for it."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Announcement, Ciphertext, Container, Item, Ready

from .promises import SHAPES, dry_link, one_way_demand, opposite_load, path_change
from .stage import Stage, chain


def test_one_way_demand_uses_at_least_95_percent_of_the_collected_pad() -> None:
    assert one_way_demand() == []


@pytest.mark.parametrize("depth", [0, 16_384])
def test_a_dry_link_burns_no_pad_elsewhere(depth: int) -> None:
    assert dry_link(depth) == []


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_opposite_load_never_stalls_however_few_connections_there_are(shape: str, pool: int) -> None:
    assert opposite_load(shape, pool) == []


@pytest.mark.parametrize("depth", [0, 16_384])
def test_a_path_change_with_open_sequences_loses_nothing_acknowledged(depth: int) -> None:
    assert path_change(depth) == []


@pytest.mark.parametrize("depth", [0, 8192])
@pytest.mark.parametrize("hops", [1, 2, 3, 11])
def test_paths_of_any_length_deliver_from_a_buffer_and_without(hops: int, depth: int) -> None:
    stage = Stage(chain(hops + 1), [tuple(range(hops + 1))], depth=depth)
    stage.run(4.0)
    stage.ask(0, hops, every=0.1, seconds=2.0, count=3)
    stage.run(4.0)
    assert stage.share == 1.0
    assert stage.burned() == 0
    assert stage.end() == []


def test_two_saes_of_one_node_use_no_pad_and_no_message() -> None:
    stage = Stage(chain(2), [(0, 1)])
    stage.run(2.0)
    for _ in range(20):
        stage.load.ask("sae-n0-0", "sae-n0-1", count=2)
    stage.run(1.0)
    assert stage.share == 1.0
    assert not stage.sent(Announcement)
    assert not stage.sent(Container)
    assert stage.end() == []


def critical(stage: Stage) -> tuple[float, list[type[Item]]]:
    """How long one request takes in virtual seconds, and the kinds of items that had to pass before its answer."""
    begin = len(stage.scenery.transport.record)
    stage.load.ask("sae-n0-0", "sae-n3-0")
    asked = stage.load.asked[-1]
    while not asked.keys:
        stage.run(0.001)
    passed = [item for m in stage.scenery.transport.record[begin:] for item in m.items]
    kinds = [type(item) for item in passed if isinstance(item, Announcement | Ciphertext | Ready | Container)]
    return asked.done_at - asked.time, kinds


def test_a_filled_buffer_delivers_with_one_round_trip_between_the_end_nodes() -> None:
    filled, bare = (Stage(chain(4), [(0, 1, 2, 3)], depth=depth) for depth in (8192, 0))
    for stage in (filled, bare):
        stage.run(8.0)
    latency, kinds = critical(filled)
    assert kinds == [Container]
    longest = 0.03  # seconds that a message takes at most
    assert latency <= 2 * longest + 0.01
    slow, steps = critical(bare)
    assert steps.count(Announcement) == 3
    assert steps.count(Ciphertext) == 2
    assert steps[-2:] == [Ready, Container]
    assert slow > latency
    assert filled.end() == []
    assert bare.end() == []


def test_all_tables_stay_below_their_limits_over_an_hour_and_unclaimed_keys_expire() -> None:
    stage = Stage(chain(3), [(0, 1, 2)], depth=8192, rate=1_000)
    stage.run(3.0)
    stage.load.ask("sae-n0-1", "sae-n2-1", count=2)
    stage.run(1.0)
    kept = stage.load.asked[0]
    first, second = kept.keys
    for _ in range(59):
        stage.ask(0, 2, every=10.0, seconds=60.0)
        stage.run(59.0)
        stage.load.fetch_rest("sae-n2-0")
        stage.run(1.0)
    assert stage.share == 1.0
    for site in stage.scenery.sites.values():
        node = site.node
        assert len(node.outbox) < 10
        assert len(node.vault.batches) <= 2
        assert all(len(pads.segments) < 40 for pads in node.context.pads.values())
        assert sum(relay.open for relay in node.paths.relays.values()) == 0
    stage.run(limits.UNFETCHED_LIFE - (stage.world.now() - kept.done_at) - 2.0)
    stage.load.fetch(kept.master, kept.slaves[0], [first])
    stage.run(5.0)
    stage.load.fetch(kept.master, kept.slaves[0], [second])
    stage.run(1.0)
    assert [attempt.key is not None for attempt in stage.load.fetched[-2:]] == [True, False]

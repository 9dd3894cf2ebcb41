"""Promises about priming and delivery, each with figures, in a network made for it."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Announcement, Ciphertext, Container, Item, Ready

from .stage import Edges, Stage, chain, ring


def test_one_way_demand_uses_at_least_95_percent_of_the_collected_pad() -> None:
    stage = Stage(chain(2), [(0, 1)], rate=4_000, stock=20_000, level=32 * 1024)
    stage.run(3.0)
    stage.ask(0, 1, every=0.083, seconds=120.0, size=4096)  # more than both ends together collect
    stage.run(122.0)
    devices = stage.scenery.devices["l0-1"]
    collected = sum(len(key) for key in devices.made.values()) - len(devices._stock) * devices.key_bytes
    ranges = {item.sequence: item.length for _, _, item in stage.sent(Announcement)}
    delivered = sum(asked.count * asked.size // 8 for asked in stage.load.asked if asked.keys)
    assert collected > 400_000
    assert sum(ranges.values()) >= 0.95 * collected
    assert delivered >= 0.9 * collected  # the rest are tags and hash keys
    assert stage.burned() == 0
    assert stage.end() == []


@pytest.mark.parametrize("depth", [0, 16_384])
def test_a_dry_link_burns_no_pad_elsewhere(depth: int) -> None:
    stage = Stage(chain(4), [(0, 1, 2, 3), (3, 2, 1, 0)], depth=depth)
    middle = stage.scenery.devices["l1-2"]
    middle._stock.clear()
    middle.up = False
    stage.faults.note("dry link", 40.0, lambda _route: True)
    for source, destination in ((0, 3), (3, 0)):
        stage.ask(source, destination, every=0.05, seconds=20.0)
    stage.run(25.0)
    assert stage.served == 0
    assert stage.burned() == 0
    assert not stage.sent(Announcement)
    assert all(pads.allocated == 0 for i in range(4) for pads in stage.node(i).context.pads.values())
    assert stage.node(0).context.pads["n1"].available > 50_000
    middle.up = True
    stage.run(2 * limits.REPEAT_MOST)
    stage.ask(0, 3, every=0.1, seconds=2.0)
    stage.run(5.0)
    assert stage.served == 20
    assert stage.end() == []


SHAPES: dict[str, tuple[Edges, list[list[int]]]] = {
    "chain of 12": (chain(12), [list(range(12)), list(range(11, -1, -1))]),
    "chain of 4, all pairs": (
        chain(4),
        [list(range(a, b, 1 if b > a else -1)) for a, b in ((0, 4), (3, -1), (0, 3), (2, -1), (1, 4), (3, 0))],
    ),
    "ring of 12": (
        ring(12),
        [[(i + k) % 12 for k in range(5)] for i in range(0, 12, 2)]
        + [[(i - k) % 12 for k in range(5)] for i in range(0, 12, 2)],
    ),
}


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_opposite_load_never_stalls_however_few_connections_there_are(shape: str, pool: int) -> None:
    edges, routes = SHAPES[shape]
    stage = Stage(edges, [r for r in routes if len(r) > 1], pool=pool)
    stage.run(3.0)
    for route in routes:
        stage.ask(route[0], route[-1], every=0.2, seconds=4.0)
    stage.run(6.5)
    assert stage.share == 1.0
    assert stage.end() == []


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

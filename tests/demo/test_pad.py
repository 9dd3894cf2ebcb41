"""Pad is accounted for as the command contract defines it, from numbers as agents show them."""

import pytest

from quiver.demo.pad import PadSnapshot, Sample, bits_per_key_bit_and_hop, parse_metrics
from quiver.domain.network import PathEntry

PATH = PathEntry(virtual_link="a-d", path=1, version=1, nodes=("a", "b", "c", "d"), depth=65_536)
OTHER = PathEntry(virtual_link="b-c", path=1, version=1, nodes=("b", "c"), depth=65_536)
ENTRIES = {entry.key: entry for entry in (PATH, OTHER)}

TEXT = """# HELP quiver_pad_allocated_bytes_total link pad
# TYPE quiver_pad_allocated_bytes_total counter
quiver_pad_allocated_bytes_total{neighbour="b"} 1.5e+03
quiver_block_ready_bytes{path="a-d/1/1"} 992.0
quiver_odd{cause="a \\"quoted\\" \\\\ word",link="x"} 1
quiver_up 1.0
this is no sample
quiver_wrong{path="p"} many
"""


def later(taken: int, **changes: object) -> PadSnapshot:
    """A snapshot after keys have taken pad of the path."""
    return snapshot(taken={PATH.key: taken, OTHER.key: 0}, **changes)


def snapshot(**changes: object) -> PadSnapshot:
    values: dict[str, object] = {
        "allocated": 3 * 1024,
        "ready": {PATH.key: 992, OTHER.key: 0},
        "hash_keys": {PATH.key: 32.0, OTHER.key: 0.0},
        "taken": {PATH.key: 0, OTHER.key: 0},
        "under_way": 0,
        "collected": 8192,
        "checks": 0,
        "burned": {},
        "level": {},
    }
    return PadSnapshot(**{**values, **changes})  # type: ignore[arg-type]


def test_metrics_are_read_with_labels_and_what_is_none_is_passed_over():
    assert list(parse_metrics(TEXT)) == [
        ("quiver_pad_allocated_bytes_total", {"neighbour": "b"}, 1500.0),
        ("quiver_block_ready_bytes", {"path": "a-d/1/1"}, 992.0),
        ("quiver_odd", {"cause": 'a "quoted" \\ word', "link": "x"}, 1.0),
        ("quiver_up", {}, 1.0),
    ]


def test_a_snapshot_adds_up_all_agents_and_counts_blocks_at_their_source_only():
    samples: dict[str, list[Sample]] = {
        node: [
            ("quiver_pad_allocated_bytes_total", {"neighbour": "x"}, 100.0),
            ("quiver_pad_collected_bytes_total", {"link": "l"}, 1000.0),
            ("quiver_link_check_bytes_total", {"link": "l"}, 16.0),
            ("quiver_block_ready_bytes", {"path": PATH.key}, 500.0),
            ("quiver_block_hash_key_bytes", {"path": PATH.key}, 16.5),
            ("quiver_path_taken_bytes_total", {"path": PATH.key}, 48.0),
            ("quiver_pad_burned_bytes_total", {"cause": "timeout"}, 7.0),
            ("quiver_pad_level_bytes", {"neighbour": "x"}, 9.0),
        ]
        for node in ("a", "b")
    }
    found = PadSnapshot.of(samples, ENTRIES)
    assert (found.allocated, found.collected, found.checks) == (200, 2000, 32)
    assert found.ready == {PATH.key: 500}
    assert found.hash_keys == {PATH.key: 16.5}
    assert found.taken == {PATH.key: 48}
    assert found.burned == {"timeout": 14}
    assert found.level == {"a to x": 9, "b to x": 9}


def test_keys_from_a_buffer_cost_their_length_the_tag_and_their_part_of_the_hash_key():
    taken = 10 * 32 + 16  # one request for ten keys of 256 bits
    left = 992 - taken
    after = later(taken, ready={PATH.key: left, OTHER.key: 0}, hash_keys={PATH.key: 32 * left / 992, OTHER.key: 0.0})
    figure = bits_per_key_bit_and_hop(snapshot(), after, 320, "a-d", ENTRIES)
    assert figure == pytest.approx(taken * (1024 / 992) / 320)


def test_what_fills_the_buffer_up_again_is_not_spent():
    after = later(336, allocated=3 * 1024 + 3 * 368, ready={PATH.key: 992, OTHER.key: 0})
    figure = bits_per_key_bit_and_hop(snapshot(), after, 320, "a-d", ENTRIES)
    assert figure == pytest.approx(368 / 320)


def test_a_block_made_on_demand_costs_all_of_itself_on_each_hop():
    figure = bits_per_key_bit_and_hop(snapshot(), later(48, allocated=3 * 1024 + 3 * 80), 32, "a-d", ENTRIES)
    assert figure == pytest.approx(80 / 32)


def test_link_checks_are_shared_out_by_bytes():
    checked = {"collected": 8192, "checks": 32}
    after = later(48, allocated=3 * 1024 + 3 * 80, **checked)
    figure = bits_per_key_bit_and_hop(snapshot(**checked), after, 32, "a-d", ENTRIES)
    assert figure == pytest.approx(80 / 32 * 8192 / 8160)


def test_burned_pad_is_paid_for_too():
    after = later(48, allocated=3 * 1024 + 3 * 80, burned={"timeout": 80})
    assert bits_per_key_bit_and_hop(snapshot(), after, 32, "a-d", ENTRIES) == pytest.approx(320 / 96)


def test_pad_that_another_path_holds_ready_is_nobodys_cost():
    after = later(
        48,
        allocated=3 * 1024 + 3 * 80 + 1024,
        ready={PATH.key: 992, OTHER.key: 992},
        hash_keys={PATH.key: 32.0, OTHER.key: 32.0},
    )
    assert bits_per_key_bit_and_hop(snapshot(), after, 32, "a-d", ENTRIES) == pytest.approx(80 / 32)


def test_keys_that_came_over_two_versions_count_the_hops_of_each():
    moved = PathEntry(virtual_link="a-d", path=1, version=2, nodes=("a", "d"), depth=65_536)
    entries = {**ENTRIES, moved.key: moved}
    after = snapshot(allocated=3 * 1024 + 3 * 80 + 80, taken={PATH.key: 48, OTHER.key: 0, moved.key: 48})
    assert bits_per_key_bit_and_hop(snapshot(), after, 64, "a-d", entries) == pytest.approx(320 / (64 * 2))


def test_where_a_version_was_forgotten_meanwhile_nothing_is_claimed():
    after = snapshot(taken={OTHER.key: 0})
    assert bits_per_key_bit_and_hop(snapshot(), after, 64, "a-d", ENTRIES) is None


def test_without_keys_there_is_no_figure():
    assert bits_per_key_bit_and_hop(snapshot(), snapshot(), 0, "a-d", ENTRIES) is None


def test_with_blocks_of_a_path_that_nobody_knows_nothing_is_claimed():
    samples: dict[str, list[Sample]] = {"a": [("quiver_block_ready_bytes", {"path": "a-d/1/7"}, 992.0)]}
    before, after = snapshot(), PadSnapshot.of(samples, ENTRIES)
    assert after.unknown == 992
    assert bits_per_key_bit_and_hop(before, after, 1000, "a-d", ENTRIES) is None

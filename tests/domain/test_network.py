"""The configuration: two nodes with different entries of a path never work together, and impossible entries are refused."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.errors import ConfigurationError
from quiver.domain.network import Directory, LinkEntry, Network, PathEntry

ENTRY = PathEntry("a-d", 1, 1, ("a", "b", "c", "d"), depth=8192, rate=1000, priority=1)


@pytest.mark.parametrize(
    "change",
    [
        {"virtual_link": "a-e"},
        {"path": 2},
        {"version": 2},
        {"nodes": ("a", "c", "b", "d")},
        {"depth": 8193},
        {"rate": 1001},
        {"priority": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_of_an_entry_depends_on_every_field(change: dict[str, object]):
    assert msgspec.structs.replace(ENTRY).digest == ENTRY.digest
    assert msgspec.structs.replace(ENTRY, **change).digest != ENTRY.digest


def test_every_field_of_an_entry_is_under_the_digest_test():
    assert set(PathEntry.__struct_fields__) == {
        "virtual_link",
        "path",
        "version",
        "nodes",
        "depth",
        "rate",
        "priority",
    }


def test_each_node_knows_its_neighbours_on_the_path():
    assert (ENTRY.key, ENTRY.source, ENTRY.destination, ENTRY.relays) == ("a-d/1/1", "a", "d", ("b", "c"))
    assert (ENTRY.before("b"), ENTRY.after("b")) == ("a", "c")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nodes": ("a",)}, "at least two nodes"),
        ({"nodes": ("a", "b", "a")}, "each once"),
        ({"nodes": tuple(str(i) for i in range(limits.NODES_PER_PATH + 1))}, "at most 64"),
        ({"path": 0}, "count from 1"),
        ({"version": 0}, "count from 1"),
        ({"rate": -1}, "rate from 0"),
        ({"rate": limits.MARK_MAX + 1}, f"to {limits.MARK_MAX}"),
        ({"virtual_link": ""}, "1 to 128 printable"),
        ({"virtual_link": "v" * 129}, "1 to 128 printable"),
        ({"virtual_link": "a\nb"}, "1 to 128 printable"),
        ({"depth": limits.BLOCK_MIN - 1}, "depth must be 0 or 4096 to 16777216 bytes"),
        ({"depth": limits.DEPTH_MAX + 1}, "depth must be"),
        ({"priority": limits.PRIORITIES}, "priority must be 0 to 7"),
        ({"priority": -1}, "priority must be"),
    ],
)
def test_an_impossible_entry_is_refused_and_the_error_says_what_is_allowed(change: dict[str, object], words: str):
    with pytest.raises(ConfigurationError, match=words):
        msgspec.structs.replace(ENTRY, **change).__post_init__()
    with pytest.raises(ConfigurationError, match=words):
        PathEntry(**{**msgspec.structs.asdict(ENTRY), **change})


def network(*paths: PathEntry) -> Network:
    return Network("b", (LinkEntry("ab", "a"), LinkEntry("bc", "c"), LinkEntry("bc2", "c")), paths, Directory())


def test_a_node_names_each_neighbour_once():
    assert network(ENTRY).neighbours == ("a", "c")


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([msgspec.structs.replace(ENTRY, nodes=("a", "c"))], "does not pass b"),
        ([msgspec.structs.replace(ENTRY, nodes=("a", "b", "d"))], "no link from b to d"),
        ([msgspec.structs.replace(ENTRY, nodes=("d", "b", "c"))], "no link from b to d"),
        ([ENTRY, ENTRY], "named twice"),
        ([msgspec.structs.replace(ENTRY, version=v) for v in (1, 2, 3)], "at most two versions"),
    ],
)
def test_paths_that_do_not_fit_the_node_are_refused(paths: list[PathEntry], words: str):
    with pytest.raises(ConfigurationError, match=words):
        network(*paths)


def test_only_listed_pairs_may_share_keys_in_either_order():
    directory = Directory(pairs=frozenset([frozenset(("alice", "bob"))]))
    assert directory.permits("alice", "bob")
    assert directory.permits("bob", "alice")
    assert not directory.permits("alice", "alice")
    assert not directory.permits("alice", "carol")

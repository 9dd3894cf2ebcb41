"""A node from outside: who may ask for what, what is served over relays, and whom it listens to."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.collector import Collector, DeviceFetch, DeviceGet
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.errors import ConfigurationError, RequestError, StorageError, UnauthorizedError, UnavailableError
from quiver.domain.messages import (
    Ciphertext,
    Heartbeat,
    Outcome,
    Segments,
)
from quiver.domain.network import Directory, LinkEntry, Network, PathEntry
from quiver.domain.records import SegmentState

from .collecting import keys_of
from .ground import DIRECTORY, KIB, TWO_RELAYS, pad_along
from .small_network import SmallNetwork, row

KEY = TWO_RELAYS.key


@pytest.fixture
def net() -> SmallNetwork:
    return row()


# --- SAEs -------------------------------------------------------------------------------------------------------------


def test_a_key_crosses_two_relays_and_no_relay_sees_it(net: SmallNetwork):
    reply = net.ask("a", "alice", "dora", count=2)
    net.settle()
    assert reply.keys is not None
    keys = [key.key.reveal() for key in reply.keys]
    assert net.fetch("d", "dora", "alice", [key.key_id for key in reply.keys]) == keys
    ciphertexts = [item.ciphertext.reveal() for _, _, item in net.sent if isinstance(item, Ciphertext)]
    assert len(ciphertexts) == 2
    assert not any(key in ciphertext for key in keys for ciphertext in ciphertexts)
    assert {receiver for _, receiver, item in net.sent if isinstance(item, Ciphertext)} == {"d"}


def test_two_saes_of_one_node_share_a_key_without_other_nodes(net: SmallNetwork):
    before = len(net.sent)
    reply = net.ask("a", "alice", "anna")
    assert reply.keys is not None
    assert net.fetch("a", "anna", "alice", [reply.keys[0].key_id]) == [reply.keys[0].key.reveal()]
    assert len(net.sent) == before


@pytest.mark.parametrize(
    ("master", "slaves", "count", "size", "error", "words"),
    [
        ("alice", ["xena"], 1, 256, RequestError, "slave_SAE_ID: unknown SAE"),
        ("dora", ["alice"], 1, 256, UnauthorizedError, "not at home"),
        ("xena", ["dora"], 1, 256, UnauthorizedError, "not at home"),
        ("anna", ["dora"], 1, 256, UnauthorizedError, "may not share"),
        ("alice", ["dora", "anna"], 1, 256, RequestError, "own KME"),
        ("alice", ["dora"], 0, 256, RequestError, "out of range"),
        ("alice", ["dora"], limits.KEYS_PER_REQUEST + 1, 256, RequestError, "out of range"),
        ("alice", ["dora"], 1, 12, RequestError, "out of range"),
        ("alice", ["dora"], 2, limits.KEY_SIZE_MAX * 5, RequestError, "out of range"),
    ],
)
def test_a_wrong_request_is_refused_and_nothing_is_consumed(
    net: SmallNetwork,
    master: str,
    slaves: list[str],
    count: int,
    size: int,
    error: type[Exception],
    words: str,
):
    with pytest.raises(error, match=words):
        net.node("a").saes.ask(master, slaves, count, size)
    assert len(net.node("a").delivery.requests) == 0
    assert not net.node("a").journal.urgent


def test_keys_are_handed_out_to_their_slaves_at_home_only(net: SmallNetwork):
    node = net.node("d")
    with pytest.raises(RequestError, match="master_SAE_ID"):
        node.saes.fetch("dora", "xena", [])
    with pytest.raises(UnauthorizedError):
        node.saes.fetch("anna", "alice", [])
    with pytest.raises(UnauthorizedError):
        node.saes.fetch("dora", "anna", [])


def test_unfetched_keys_wait_until_one_neighbour_was_met(net: SmallNetwork):
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None
    names = [reply.keys[0].key_id]
    net.restart("d")
    with pytest.raises(UnavailableError):
        net.node("d").saes.fetch("dora", "alice", names)
    net.settle()
    net.beat()
    assert net.fetch("d", "dora", "alice", names) == [reply.keys[0].key.reveal()]


def test_the_stock_of_a_pair_is_what_is_ready_and_what_its_buffers_hold():
    net = row(PathEntry("a-d", 1, 1, tuple("abcd"), depth=16 * KIB))
    net.beat(2)
    assert net.node("a").saes.stock("alice", "dora") == ("d", 4 * (4 * KIB - 32), 16 * KIB)
    assert net.node("a").saes.stock("alice", "anna") == ("a", 0, 0)
    with pytest.raises(UnauthorizedError):
        net.node("a").saes.stock("anna", "dora")


def test_a_request_without_pad_is_refused_after_its_time_and_costs_nothing():
    net = SmallNetwork("abcd", [TWO_RELAYS], pad_along("abcd", per_link=0))
    net.settle()
    net.beat(2)
    reply = net.ask("a", "alice", "dora")
    assert not reply.done
    assert net.node("a").due <= net.clock.now() + 2
    net.beat(2)
    assert isinstance(reply.error, UnavailableError)
    assert net.node("a").journal.burned.causes == {}


def test_an_sae_that_has_gone_frees_its_place():
    net = SmallNetwork("abcd", [TWO_RELAYS], pad_along("abcd", per_link=0))
    reply = net.ask("a", "alice", "dora")
    net.node("a").saes.abandon(reply)
    assert len(net.node("a").delivery.requests) == 0


def test_a_node_that_cannot_write_refuses_what_is_under_way():
    net = SmallNetwork("abcd", [TWO_RELAYS], pad_along("abcd", per_link=0))
    reply = net.ask("a", "alice", "dora")
    net.node("a").stop(StorageError("no space left"))
    assert isinstance(reply.error, StorageError)


def test_a_dry_link_burns_no_pad_elsewhere():
    kept = pad_along("abcd")
    kept["c"] = [r for r in kept["c"] if getattr(r, "neighbour", "") != "d"]
    kept["d"] = []
    net = SmallNetwork("abcd", [TWO_RELAYS], kept)
    net.settle()
    net.beat(2)
    reply = net.ask("a", "alice", "dora")
    net.settle()
    net.beat(3)
    assert reply.error is not None
    assert net.node("a").context.pads["b"].available == 3 * (16 * KIB - 16)
    assert all(net.node(name).journal.burned.causes == {} for name in "abcd")


# --- pad and devices --------------------------------------------------------------------------------------------------


def test_pad_is_given_to_the_end_that_needs_it():
    back = PathEntry("d-a", 1, 1, tuple("dcba"), depth=8 * KIB)
    net = SmallNetwork("abcd", [back], pad_along("abcd", per_link=4))
    net.settle()
    net.beat(6)
    source = net.node("d").paths.sources[back.key]
    assert source.ready > 0, "all pad was owned by the wrong ends"
    assert net.node("c").context.pads["d"].available > 0, "what it needs itself it keeps"


def test_a_neighbour_gets_no_segment_larger_than_what_is_spare(net: SmallNetwork):
    node = net.node("a")
    node.paths.spare["b"] = 16 * KIB - 1
    dispatch, header = node._dispatch, net.node("b").header_for("a")
    assert dispatch.answer("b", header, Heartbeat(wanted=10**6)).outcome is Outcome.DONE
    assert len(node.context.pads["b"].segments) == 3
    assert node.context.pads["b"].available == 3 * (16 * KIB - 16)


def test_devices_calls_and_their_outcomes_reach_the_collector_of_their_link():
    network = Network("a", (LinkEntry("a-b", "b", level=8 * KIB),), (), Directory())
    net = SmallNetwork("ab", [])
    net.settle()
    node = net.node("a")
    node.ends.collectors["a-b"] = Collector(node.context, network.links[0], [])
    assert node.ends.calls() == []
    node.ends.facts("a-b", DeviceFacts(key_size=256, most=128))
    assert node.ends.calls() == [DeviceGet("a-b", 128)]
    node.ends.refused("a-b")
    assert node.due <= node.ends.collectors["a-b"].due == net.clock.now() + limits.REPEAT_FIRST
    node.ends.got("a-b", keys_of(0))
    (segment,) = node.context.pads["b"].segments.values()
    assert segment.state is SegmentState.ANNOUNCED
    other = net.node("b")
    other.ends.facts("a-b", DeviceFacts(key_size=256, most=128))
    net.turn("a")
    net.settle()
    (call,) = other.ends.calls()
    assert isinstance(call, DeviceFetch)
    other.ends.fetch_failed(call, again=True)
    net.clock.advance(limits.REPEAT_FIRST)
    (call,) = other.ends.calls()
    other.ends.fetched(call, keys_of(0))
    net.turn("b")
    net.settle()
    for name in "ab":
        (segment,) = net.node(name).context.pads["b" if name == "a" else "a"].segments.values()
        assert segment.state is SegmentState.USABLE


def test_hand_overs_under_way_end_with_a_restart():
    net = SmallNetwork("ab", [])
    net.settle()
    item = Segments(segment="5e" * 16, link="a-b", key_ids=("k",), length=32)
    header = net.node("a").header_for("b")
    assert net.node("b").receive("a", item.kind, header, [item])[0].outcome is Outcome.DONE
    net.restart("b")
    net.settle()
    net.beat()
    assert net.node("b").context.pads["a"].segments == {}


# --- configuration ----------------------------------------------------------------------------------------------------


def test_a_directory_may_change_while_the_node_runs(net: SmallNetwork):
    node = net.node("a")
    node.reconfigure(msgspec.structs.replace(node.network, directory=Directory()))
    with pytest.raises(RequestError):
        node.saes.ask("alice", ["dora"], 1, 256)
    node.reconfigure(msgspec.structs.replace(node.network, directory=DIRECTORY))
    assert node.network.directory.permits("alice", "dora")


def test_a_node_never_becomes_another_one(net: SmallNetwork):
    node = net.node("a")
    with pytest.raises(ConfigurationError, match="another one"):
        node.reconfigure(msgspec.structs.replace(node.network, node="e", paths=()))


def test_a_version_number_never_means_another_route(net: SmallNetwork):
    site = net.sites["a"]
    other = PathEntry("a-d", 1, 1, ("a", "b", "d"))
    with pytest.raises(ConfigurationError, match="needs a new version number"):
        site.node.reconfigure(msgspec.structs.replace(site.network, paths=(other,)))
    site.network = msgspec.structs.replace(site.network, paths=(other,))
    with pytest.raises(ConfigurationError, match="needs a new version number"):
        site.start()


def test_heartbeats_go_to_neighbours_and_to_whom_paths_make_a_node_call(net: SmallNetwork):
    net.settle()
    net.sent.clear()
    net.beat(3)
    pairs = {sender + receiver for sender, receiver, item in net.sent if isinstance(item, Heartbeat)}
    assert pairs == {"ab", "ba", "bc", "cb", "cd", "dc", "ad", "da", "bd"}  # not d to b: it is called, and answers

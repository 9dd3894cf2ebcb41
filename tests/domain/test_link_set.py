"""Links that come and go while the node runs: nothing is lost of those that stay, and nothing is kept of those that go."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.collector import DeviceGet
from quiver.domain.device_watch import DeviceFacts
from quiver.domain.messages import Announcement, Outcome
from quiver.domain.network import LinkEntry, PathEntry
from quiver.domain.records import Seen, SegmentState
from quiver.domain.report import LinkState
from quiver.domain.reporting import report

from .collecting import keys_of
from .ground import KIB, pad_along
from .small_network import SmallNetwork

HELD = 3 * (16 * KIB - limits.LINK_CHECK)


@pytest.fixture
def net() -> SmallNetwork:
    made = SmallNetwork("abc", [], pad_along("abc"))
    made.settle()
    made.beat(2)
    return made


def relink(net: SmallNetwork, name: str, *links: LinkEntry) -> None:
    site = net.sites[name]
    site.network = msgspec.structs.replace(site.network, links=links)
    site.node.reconfigure(site.network)
    net.turn(name)


AB, BC = LinkEntry("a-b", "b", collect=False), LinkEntry("b-c", "c", collect=False)


def test_a_new_link_is_collected_over_and_carries_paths_without_a_restart(net: SmallNetwork):
    relink(net, "a", AB, LinkEntry("a-c", "c", level=64 * KIB))
    relink(net, "c", LinkEntry("b-c", "b", collect=False), LinkEntry("a-c", "a", collect=False))
    net.settle()
    net.beat(2)
    a, c = net.node("a"), net.node("c")
    assert (a.meeting.met("c"), a.ends.links.state("a-c")) == (True, LinkState.UP)
    for node in (a, c):
        node.ends.facts("a-c", DeviceFacts(key_size=256, most=256))
    assert a.ends.calls() == [DeviceGet("a-c", 256)]
    a.ends.got("a-c", keys_of(0, 256))
    net.turn("a")
    net.settle()
    (fetch,) = c.ends.calls()
    c.ends.fetched(fetch, keys_of(0, 256))
    net.turn("c")
    net.settle()
    assert a.context.pads["c"].owned == 8 * KIB - limits.LINK_CHECK
    path = PathEntry("a-c", 1, 1, ("a", "c"), depth=4 * KIB)
    for node in (c, a):
        node.reconfigure(msgspec.structs.replace(node.network, paths=(path,)))
        net.turn(node.network.node)
    net.settle()
    net.beat(3)
    assert a.paths.sources[path.key].ready > 0
    assert [link.id for link in report(a).links] == ["a-b", "a-c"]


def test_the_last_link_to_a_neighbour_takes_its_pad_with_it_and_leaves_the_others_alone(net: SmallNetwork):
    relink(net, "b", BC)
    node = net.node("b")
    assert node.journal.burned.causes == {"link-removed": HELD}
    assert list(node.context.pads) == ["c"]
    assert node.context.pads["c"].owned == HELD
    assert [link.id for link in report(node).links] == ["b-c"]
    relink(net, "a")
    net.settle()
    net.beat(2)
    assert net.node("a").context.pads == {}
    assert net.node("a").contacts() == set()


def test_pad_of_a_link_that_goes_is_used_up_over_another_link_to_the_same_neighbour(net: SmallNetwork):
    relink(net, "a", AB, LinkEntry("a-b-2", "b", collect=False))
    relink(net, "a", LinkEntry("a-b-2", "b", collect=False))
    assert net.node("a").context.pads["b"].owned == HELD
    assert net.node("a").journal.burned.causes == {}


def test_pad_is_reported_for_each_link_with_both_owners_parts_and_its_own_level(net: SmallNetwork):
    relink(net, "a", AB, LinkEntry("a-b-2", "b", level=64 * KIB))
    relink(net, "b", LinkEntry("a-b", "a", collect=False), LinkEntry("a-b-2", "a", collect=False, level=32 * KIB), BC)
    net.settle()
    net.beat(2)
    a, b = net.node("a"), net.node("b")
    for node in (a, b):
        node.ends.facts("a-b-2", DeviceFacts(key_size=256, most=256))
    a.ends.got("a-b-2", keys_of(0, 256))
    net.turn("a")
    net.settle()
    (fetch,) = b.ends.calls()
    b.ends.fetched(fetch, keys_of(0, 256))
    net.turn("b")
    net.settle()
    second = 8 * KIB - limits.LINK_CHECK
    said = {name: {link.id: (link.own, link.theirs) for link in report(net.node(name)).links} for name in "ab"}
    assert said["a"] == {"a-b": (HELD, 0), "a-b-2": (second, 0)}
    assert said["b"] == {"a-b": (0, HELD), "a-b-2": (0, second), "b-c": (HELD, 0)}
    assert [link.level for link in report(b).links if link.id == "a-b-2"] == [32 * KIB]
    assert report(a).pads[0].own == HELD + second, "paths pass neighbours, and take of any link"


def test_a_hand_over_under_way_ends_with_its_link(net: SmallNetwork):
    relink(net, "a", LinkEntry("a-b", "b", level=16 * KIB * KIB), LinkEntry("a-b-2", "b", collect=False))
    relink(net, "b", LinkEntry("a-b", "a", collect=False), LinkEntry("a-b-2", "a", collect=False), BC)
    net.settle()
    net.beat(2)
    node = net.node("a")
    node.ends.facts("a-b", DeviceFacts(key_size=256, most=4096))
    (call,) = node.ends.calls()
    assert isinstance(call, DeviceGet)
    node.ends.got("a-b", keys_of(0, call.number))
    assert any(s.state is SegmentState.ANNOUNCED for s in node.context.pads["b"].segments.values())
    relink(net, "a", LinkEntry("a-b-2", "b", collect=False))
    assert all(s.state is SegmentState.USABLE for s in node.context.pads["b"].segments.values())
    assert node.journal.burned.causes == {"link-removed": 32 * call.number}
    node.ends.got("a-b", keys_of(9999))  # answers of devices that are gone
    node.ends.refused("a-b")
    node.ends.silent("a-b", "unreachable")
    assert not any(isinstance(record, Seen) for record in net.sites["a"].database.load())


def test_another_level_counts_from_now_on(net: SmallNetwork):
    relink(net, "a", LinkEntry("a-b", "b", level=2 * HELD, collect=True))
    node = net.node("a")
    node.ends.facts("a-b", DeviceFacts(key_size=256, most=7))
    assert node.ends.calls() == [DeviceGet("a-b", 7)]
    assert report(node).pads[0].level == 2 * HELD


def test_ready_blocks_outlive_the_link_and_open_sequences_do_not():
    path = PathEntry("a-d", 1, 1, ("a", "d"), depth=8 * KIB)
    net = SmallNetwork("ad", [path], pad_along("ad"))
    net.settle()
    net.beat(3)
    source = net.node("a").paths.sources[path.key]
    assert source.ready > 0
    assert source.prime(1000, 100) == 1000
    net.turn("a")
    site = net.sites["a"]
    site.network = msgspec.structs.replace(site.network, links=(), paths=())
    site.node.reconfigure(site.network)
    net.turn("a")
    assert (source.open, source.ready > 0) == (0, True)
    net.settle()
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None, "the two still reach each other, over the network between them"
    item = Announcement(
        key=path.key, digest=path.digest, sequence=9, start=9000, length=100, pieces=(), floor=0, settled=0
    )
    site = net.sites["d"]
    site.network = msgspec.structs.replace(site.network, links=(), paths=())
    site.node.reconfigure(site.network)
    (answer,) = net.node("d").receive("a", item.kind, net.node("a").header_for("d"), [item])
    assert answer.outcome is Outcome.REFUSED


def test_pad_of_a_link_that_went_while_the_agent_was_down_is_burned_at_its_start(net: SmallNetwork):
    site = net.sites["b"]
    site.network = msgspec.structs.replace(site.network, links=(BC,))
    net.restart("b")
    assert net.node("b").journal.burned.causes["link-removed"] == HELD
    net.settle()
    net.beat(2)
    net.restart("b")
    assert net.node("b").journal.burned.causes["link-removed"] == HELD, "once"

"""The report of a node: levels, roles, marks and counts, in the terms that the controller reads."""

import msgspec

from quiver.domain import limits
from quiver.domain.events import LinkUp, PadHigh, PadLow, PathPrimed
from quiver.domain.network import PathEntry
from quiver.domain.provision import Provision
from quiver.domain.report import NodeReport, PathMark, PathRole
from quiver.domain.reporting import report

from .ground import KIB, pad_along
from .small_network import SmallNetwork

DEEP = PathEntry("a-d", 1, 1, tuple("abcd"), depth=16 * KIB)


def row(*paths: PathEntry, per_link: int = 8) -> SmallNetwork:
    net = SmallNetwork("abcd", paths, pad_along("abcd", per_link))
    net.settle()
    net.beat(4)
    return net


def told(net: SmallNetwork, name: str) -> list[object]:
    return [event.body for event in net.node(name).journal.events.after(0)]


def test_every_node_of_a_path_reports_its_role_and_the_source_what_it_holds():
    net = row(DEEP)
    found = {name: report(net.node(name)).paths[0] for name in "abcd"}
    assert {name: path.role for name, path in found.items()} == {
        "a": PathRole.SOURCE,
        "b": PathRole.RELAY,
        "c": PathRole.RELAY,
        "d": PathRole.DESTINATION,
    }
    assert {path.digest for path in found.values()} == {DEEP.digest}
    source = net.node("a").paths.sources[DEEP.key]
    assert found["a"].credit == source.credit > 0
    assert (found["a"].ready, found["a"].primed) == (source.ready, True)
    assert source.ready > 0


def test_pad_is_reported_with_what_the_neighbour_says_of_its_own():
    net = row(DEEP)
    (pads,) = report(net.node("a")).pads
    assert (pads.neighbour, pads.level) == ("b", limits.PAD_LEVEL)
    assert pads.own == net.node("a").context.pads["b"].owned
    assert pads.allocated == 16 * KIB
    theirs = {pads.neighbour: pads for pads in report(net.node("b")).pads}
    assert theirs["a"].theirs == pads.own
    assert theirs["a"].accepted == pads.allocated


def test_requests_are_counted_by_what_became_of_them():
    net = row(DEEP)
    net.ask("a", "alice", "dora", count=3)
    net.ask("a", "alice", "anna", count=2)
    net.settle()
    net.ask("a", "alice", "dora", count=128, size=4096)  # more than is ready
    said = report(net.node("a"))
    assert (said.served, said.delivered, said.refused, said.waiting) == (2, 5, 0, 1)
    net.beat(3)
    said = report(net.node("a"))
    assert (said.served, said.refused + said.served, said.waiting) == (said.served, 3, 0)


def test_a_path_that_is_gone_leaves_its_mark():
    net = row(DEEP, PathEntry("b-d", 2, 7, tuple("bcd")))
    node = net.node("b")
    node.reconfigure(msgspec.structs.replace(node.network, paths=()))
    said = report(node)
    assert set(said.marks) == {
        PathMark(virtual_link="a-d", path=1, version=1),
        PathMark(virtual_link="b-d", path=2, version=7),
    }


def test_what_came_over_netconf_is_reported_beside_what_holds():
    net = row(DEEP)
    written = Provision(term=4, paths={DEEP.key: DEEP}, addresses={"d": "192.0.2.4:8443"})
    said = report(net.node("a"), written)
    assert (said.term, said.configured, said.addresses) == (4, (DEEP,), {"d": "192.0.2.4:8443"})
    assert said.homes["dora"] == "d"
    assert ("alice", "dora") in said.pairs
    assert msgspec.json.decode(msgspec.json.encode(said), type=NodeReport) == said


def test_a_node_that_starts_again_reports_another_run_and_counts_from_nothing():
    net = row(DEEP)
    net.ask("a", "alice", "dora")
    net.settle()
    before = report(net.node("a"))
    assert before.sequence > 0
    net.restart("a")
    after = report(net.node("a"))
    assert after.run != before.run
    assert (after.served, after.sequence) == (0, len(told(net, "a")))


def test_a_block_that_is_ready_is_told_once_for_each_version_and_run():
    net = row(DEEP)
    assert told(net, "a").count(PathPrimed(path=DEEP.key)) == 1
    assert not any(isinstance(event, PathPrimed) for name in "bcd" for event in told(net, name))


def test_pad_that_runs_low_is_told_and_told_again_when_it_has_risen():
    net = SmallNetwork("ab", [], pad_along("ab", 20))
    net.settle()
    node = net.node("a")
    node.context.network = msgspec.structs.replace(
        node.network, links=(msgspec.structs.replace(node.network.links[0], level=512 * KIB),)
    )
    net.beat()
    pads = node.context.pads["b"]
    pads.allocate(pads.owned - 512 * KIB // 4 + 1)
    net.beat(2)
    (low,) = (event for event in told(net, "a") if not isinstance(event, LinkUp))
    assert isinstance(low, PadLow)
    assert (low.neighbour, low.own, low.level) == ("b", 512 * KIB // 4 - 1, 512 * KIB)
    for name, kept in pad_along("ab", 40).items():
        if name == "a":
            for segment in kept[20:]:
                pads.add(segment)
    net.beat(2)
    assert isinstance(told(net, "a")[-1], PadHigh)
    assert len(told(net, "a")) == 3

"""Paths: buffers fill ahead of demand, versions change without losing what is ready, and pad is shared out as credit."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.messages import Announcement, Credit
from quiver.domain.network import PathEntry

from .ground import KIB, pad_along
from .small_network import SmallNetwork

DEEP = PathEntry("a-d", 1, 1, tuple("abcd"), depth=16 * KIB)
FULL = 4 * (4 * KIB - limits.HASH_KEY)


def row(*paths: PathEntry, per_link: int = 8) -> SmallNetwork:
    net = SmallNetwork("abcd", paths, pad_along("abcd", per_link))
    net.settle()
    net.beat(4)
    return net


def reconfigure(net: SmallNetwork, *paths: PathEntry) -> None:
    """The operator writes other paths: the destination first, the source last."""
    for name in reversed(net.sites):
        site = net.sites[name]
        site.network = msgspec.structs.replace(site.network, paths=paths)
        site.node.reconfigure(site.network)
        net.turn(name)
    net.settle()


def ready(net: SmallNetwork, key: str = DEEP.key) -> int:
    return net.node("a").paths.sources[key].ready


def deliver(net: SmallNetwork) -> bytes:
    """A key that both SAEs have."""
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None, reply
    (key,) = net.fetch("d", "dora", "alice", [reply.keys[0].key_id])
    assert key == reply.keys[0].key.reveal()
    return key


def test_a_buffer_is_filled_to_its_depth_and_again_after_use():
    net = row(DEEP)
    assert ready(net) == FULL
    spent = len([item for _, _, item in net.sent if isinstance(item, Announcement)])
    net.beat(3)
    assert len([item for _, _, item in net.sent if isinstance(item, Announcement)]) == spent, (
        "a full one spends nothing"
    )
    for _ in range(80):
        deliver(net)
    net.beat(2)
    assert ready(net) > FULL - 4 * KIB


def test_a_filled_buffer_delivers_in_one_round_trip():
    net = row(DEEP)
    before = len(net.sent)
    deliver(net)
    sent = [(sender, receiver, item.kind) for sender, receiver, item in net.sent[before:]]
    assert [entry for entry in sent if entry[2] not in ("credit", "floor")] == [("a", "d", "container")]


def test_without_depth_no_pad_is_taken_ahead_of_demand():
    net = row(PathEntry("a-d", 1, 1, tuple("abcd")))
    assert not any(isinstance(item, Announcement) for _, _, item in net.sent)
    deliver(net)


def test_a_new_version_takes_over_and_the_old_ones_ready_blocks_are_used_up_first():
    net = row(DEEP)
    newer = msgspec.structs.replace(DEEP, version=2)
    reconfigure(net, DEEP, newer)
    net.beat(3)
    assert net.node("a").paths.sources[DEEP.key].standing.superseded
    proof = ready(net, newer.key)
    assert (ready(net), proof) == (FULL, 4 * KIB - limits.HASH_KEY), "both count for the one buffer"
    reconfigure(net, newer)
    left = ready(net)
    deliver(net)
    assert ready(net) == left - 48
    while ready(net) >= 48:
        deliver(net)
        net.beat()
    deliver(net)
    net.beat(2, seconds=limits.BLOCK_LIFE / 2)  # too little for a key is burned after its time
    net.beat(5)
    for name in "abcd":
        node = net.node(name)
        assert list(node.context.entries) == [newer.key], name
    assert ready(net, newer.key) >= FULL - 4 * KIB
    deliver(net)


def test_a_new_version_proves_itself_at_once_with_one_small_block_and_fills_no_more_than_was_missing():
    depth = 64 * KIB
    old = msgspec.structs.replace(DEEP, depth=depth)
    newer = msgspec.structs.replace(old, version=2)
    net = row(old)
    net.beat(5)
    reconfigure(net, old, newer)
    net.beat(3)
    source = net.node("a").paths.sources[newer.key]
    assert source.primed
    assert source.ready == 4 * KIB - limits.HASH_KEY, "that it works is known though nothing was missing"
    net.beat(5)
    assert source.open == 0
    assert source.ready == 4 * KIB - limits.HASH_KEY


def test_a_version_that_comes_back_is_used_again():
    net = row(DEEP)
    reconfigure(net)
    assert net.node("a").paths.sources[DEEP.key].standing.retiring
    reconfigure(net)
    reconfigure(net, DEEP)
    assert not net.node("a").paths.sources[DEEP.key].standing.retiring
    deliver(net)


def test_numbers_of_a_version_that_was_gone_are_never_used_again():
    path = PathEntry("a-d", 1, 1, tuple("abcd"))
    net = row(path)
    deliver(net)
    used = net.node("a").paths.sources[path.key].view()[0]
    reconfigure(net)
    net.beat(2)
    assert path.key not in net.node("a").context.entries
    net.restart("a")
    reconfigure(net, path)
    net.beat(4)
    deliver(net)
    assert net.node("a").paths.sources[path.key].view()[0] > used


def test_only_the_marks_of_so_many_versions_that_are_gone_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "ROUTES_KEPT", 1)
    net = SmallNetwork("abcd", [], pad_along("abcd"))
    for version in (1, 2, 3):
        reconfigure(net, PathEntry("a-d", 1, version, tuple("abcd")))
    reconfigure(net)
    assert list(net.node("b").paths._routes) == ["a-d/1/3"]


def test_a_destination_burns_what_too_old_versions_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "RETIRED_VERSIONS", 1)
    net = row(DEEP)
    newer = msgspec.structs.replace(DEEP, version=2, depth=32 * KIB)
    reconfigure(net, newer)
    net.beat(4)
    node = net.node("d")
    node.reconfigure(msgspec.structs.replace(node.network, paths=()))
    assert list(node.paths.destinations) == [newer.key]
    assert node.journal.burned.causes["retired"] == FULL


def test_open_sequences_of_a_version_that_goes_at_once_are_voided():
    net = row(PathEntry("a-d", 1, 1, tuple("abcd")))
    reply = net.ask("a", "alice", "dora")
    while not net.node("b").paths.relays[DEEP.key].open:
        net.deliver()
    reconfigure(net)
    net.beat(8)
    assert reply.error is not None
    assert all(net.node(name).context.entries == {} for name in "abcd")


def test_retired_versions_outlive_a_restart_until_their_blocks_are_used():
    net = row(msgspec.structs.replace(DEEP, depth=96 * KIB))
    full = ready(net)
    assert full > limits.CONTAINER_BYTES_OPEN
    reconfigure(net)
    for name in "abcd":
        net.restart(name)
    net.settle()
    net.beat(2)
    assert net.node("a").paths.sources[DEEP.key].standing.retiring
    assert ready(net) == full - limits.CONTAINER_BYTES_OPEN
    deliver(net)


def test_of_a_path_a_bounded_number_of_retired_versions_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "RETIRED_VERSIONS", 1)
    net = row(DEEP)
    for version in (2, 3):
        newer = msgspec.structs.replace(DEEP, version=version, depth=version * 16 * KIB)
        reconfigure(net, newer)
        net.beat(4)
        assert ready(net, newer.key) > 0
    assert list(net.node("a").paths.sources) == ["a-d/1/2", "a-d/1/3"], "the oldest was burned"
    assert net.node("a").journal.burned.causes["retired"] == FULL
    assert "a-d/1/1" not in net.node("d").context.entries


def test_credit_flows_from_the_destination_to_the_source_and_is_repeated():
    net = row(DEEP)
    net.sent.clear()
    net.beat()
    grants = [(sender, receiver, item) for sender, receiver, item in net.sent if isinstance(item, Credit)]
    assert {(sender, receiver) for sender, receiver, _ in grants} == {("d", "c"), ("c", "b"), ("b", "a")}
    by_sender = {sender: item.limit for sender, _, item in grants}
    assert by_sender["d"] >= by_sender["c"] >= by_sender["b"]


def test_credit_that_changes_often_is_sent_seldom():
    net = row(DEEP)
    paths = net.node("d").paths
    net.clock.advance(limits.CREDIT_LOOK)
    paths.grant(repeat=False)
    paths.grant(repeat=False)
    assert paths.due is None, "nothing has changed"
    net.node("d").journal.put(paths.destinations[DEEP.key]._route)
    paths.grant(repeat=False)
    assert paths.due == net.clock.now() + limits.CREDIT_PAUSE


def test_a_path_that_comes_has_credit_at_once_also_where_idle_ones_were_promised_more_than_there_is():
    idle = [PathEntry(f"idle-{number}", 1, 1, tuple("abcd")) for number in range(4)]
    net = row(*idle)
    net.beat(5)
    owned = net.node("b").context.pads["c"].owned
    promised = sum(relay.set_aside for relay in net.node("b").paths.relays.values())
    assert owned * 3 // 4 < promised <= owned < len(idle) * limits.LARGEST_REQUEST
    reconfigure(net, *idle, DEEP)
    assert net.node("a").paths.sources[DEEP.key].credit > 0
    for _ in range(20):
        net.beat(seconds=limits.CREDIT_PAUSE)
        promised = sum(relay.set_aside for relay in net.node("b").paths.relays.values())
        assert promised <= net.node("b").context.pads["c"].owned, "nothing is promised twice"


def test_paths_that_come_one_soon_after_the_other_all_have_credit_at_once():
    idle = [PathEntry(f"idle-{number}", 1, 1, tuple("abcd")) for number in range(4)]
    coming = [PathEntry(f"new-{number}", 1, 1, tuple("abcd"), depth=16 * KIB) for number in range(3)]
    net = row(*idle)
    net.beat(5)
    for number, path in enumerate(coming):
        reconfigure(net, *idle, *coming[: number + 1])
        assert net.node("a").paths.sources[path.key].credit > 0


def test_who_is_met_is_told_all_credit_again_and_nobody_else():
    net = row(DEEP)
    net.sent.clear()
    net.node("c").paths.met("b")
    net.turn("c")
    assert [(sender, item.key) for sender, _, item in net.sent if isinstance(item, Credit)] == [("c", DEEP.key)]
    net.sent.clear()
    net.node("c").paths.met("d")
    net.turn("c")
    assert not [item for _, _, item in net.sent if isinstance(item, Credit)]


@pytest.mark.parametrize(("part", "at_once"), [(0.9, False), (0.5, True), (0.0, True)])
def test_credit_that_only_creeps_waits_for_the_repeat_and_what_matters_does_not(part: float, at_once: bool):
    net = row(DEEP)
    node = net.node("c")
    relay = node.paths.relays[DEEP.key]
    held = relay._held
    assert held is not None
    top = relay.seen[1]
    net.sent.clear()
    limit = top + int((node.paths._granted[DEEP.key] - top) * part)
    credit = Credit(key=DEEP.key, digest=DEEP.digest, limit=limit, counter=held.counter + 1)
    node.paths.credit(held.run, credit)
    net.clock.advance(limits.CREDIT_PAUSE)
    net.turn("c")
    sent = [item.limit for sender, _, item in net.sent if isinstance(item, Credit) and sender == "c"]
    assert sent == ([limit] if at_once else [])


def test_opposite_demand_on_one_row_is_served_both_ways():
    back = PathEntry("d-a", 1, 1, tuple("dcba"), depth=16 * KIB)
    kept = pad_along("abcd", 8)
    for name, other in pad_along("dcba", 8).items():
        kept[name] += other
    net = SmallNetwork("abcd", [DEEP, back], kept)
    net.settle()
    net.beat(4)
    assert ready(net) == FULL
    assert net.node("d").paths.sources[back.key].ready == FULL
    for _ in range(10):
        forth = net.ask("a", "alice", "dora")
        reverse = net.ask("d", "dora", "alice")
        net.settle()
        assert forth.keys is not None
        assert reverse.keys is not None


@pytest.mark.parametrize("node", ["b", "d"])
def test_a_rolled_back_node_burns_what_it_shared_and_nobody_elses(node: str):
    net = row(DEEP)
    net.beat(3)
    number = net.sites[node].database.number
    net.beat(3)
    net.restart(node, number=number - 4)
    net.settle()
    net.beat(3)
    assert "rolled-back" in [alarm.name for alarm in net.sites[node].alarms]
    for name, others in net.sites.items():
        for other, pads in others.node.context.pads.items():
            assert bool(pads.segments) is (node not in (name, other)), (name, other)
    if node == "d":
        assert ready(net) == 0, "its blocks are gone at both ends"
    else:
        assert ready(net) == FULL, "blocks that passed the relay stay"
        deliver(net)


def test_contacts_are_all_nodes_that_a_node_has_business_with():
    net = row(DEEP)
    assert [sorted(net.node(name).contacts()) for name in "abcd"] == [
        ["b", "d"],
        ["a", "c", "d"],
        ["b", "d"],
        ["a", "b", "c"],
    ]


@pytest.mark.parametrize(("rate", "soon"), [(80_000, True), (0, False)])
def test_credit_that_a_rate_holds_back_is_looked_at_again_before_the_next_heartbeat(rate: int, soon: bool):
    net = row(msgspec.structs.replace(DEEP, rate=rate, depth=0))
    net.node("b").paths.relays[DEEP.key]._bucket.spend(limits.LARGEST_REQUEST)
    net.clock.advance(limits.CREDIT_LOOK)
    net.turn("b")
    due = net.node("b").paths.due
    assert (due is not None and due <= net.clock.now() + limits.CREDIT_LOOK) == soon

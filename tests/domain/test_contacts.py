"""To whom a node has something to say: everything else is forgotten, but what later could be evidence of a rollback."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.errors import UnavailableError
from quiver.domain.messages import Announcement, Floor, Hello, Segments
from quiver.domain.network import PathEntry
from quiver.domain.records import Batch, Peer
from quiver.domain.secret import Secret

from .ground import TWO_RELAYS
from .small_network import SmallNetwork, row

GHOSTS = 20


def reconfigure(net: SmallNetwork, *paths: PathEntry) -> None:
    for name in net.sites:
        passing = tuple(path for path in paths if name in path.nodes)
        net.node(name).reconfigure(msgspec.structs.replace(net.node(name).network, paths=passing))
        net.turn(name)


def lose_ghosts(net: SmallNetwork) -> int:
    """What was sent to nodes that do not exist is lost."""
    lost = 0
    while (place := next((i for i, one in enumerate(net.letters) if one.receiver not in net.sites), None)) is not None:
        net.lose(place)
        lost += 1
    return lost


def test_a_node_on_no_path_any_more_is_called_no_more_and_leaves_nothing_behind():
    net = row()
    node = net.node("a")

    def sizes() -> tuple[int, int, int, int]:
        return len(node.outbox), len(node.meeting._states), len(node.meeting.peers), len(node.paths._granted)

    before, called = sizes(), 0
    for i in range(GHOSTS):
        ghost = PathEntry(f"g{i}", 1, 1, ("a", "b", f"ghost{i}"), depth=8192)
        back = PathEntry(f"h{i}", 1, 1, (f"ghost{i}", "b", "a"))
        node.reconfigure(msgspec.structs.replace(node.network, paths=(TWO_RELAYS, ghost, back)))
        net.clock.advance(limits.HEARTBEAT)
        net.turn("a")
        called += lose_ghosts(net)
        node.reconfigure(msgspec.structs.replace(node.network, paths=(TWO_RELAYS,)))
        net.turn("a")
        net.settle()
    assert called >= GHOSTS
    net.beat(10)
    assert sizes() == before
    sent = len(net.sent)
    net.beat(20)
    assert {receiver for _, receiver, _ in net.sent[sent:]} == {"a", "b", "c", "d"}


def test_news_of_a_path_that_is_gone_waits_for_no_meeting():
    net = row()
    node = net.node("a")
    lasting = PathEntry("g", 1, 1, ("a", "b", "ghost"))
    for i in range(GHOSTS):
        passing = PathEntry(f"g{i}", 1, 1, ("a", "b", "ghost"))
        for paths in ((lasting, passing), (lasting,)):
            node.reconfigure(msgspec.structs.replace(node.network, paths=(TWO_RELAYS, *paths)))
            net.clock.advance(limits.HEARTBEAT)
            net.turn("a")
            lose_ghosts(net)
            net.settle()
    waiting = {kind: list(entries) for (peer, kind), entries in node.outbox._waiting.items() if peer == "ghost"}
    assert waiting == {Hello.kind: [Hello.kind], Floor.kind: [lasting.key]}


def test_a_node_that_leaves_and_comes_back_shares_keys_again_and_nobody_suspects_a_rollback():
    net = row()
    for version in (2, 3):
        reconfigure(net)
        net.settle()
        net.beat(3)
        assert "d" not in net.node("a").contacts()
        if version == 3:
            net.restart("d")
            net.settle()
        reconfigure(net, msgspec.structs.replace(TWO_RELAYS, version=version))
        net.settle()
        net.beat(3)
        reply = net.ask("a", "alice", "dora")
        net.settle()
        assert reply.keys is not None
        assert net.fetch("d", "dora", "alice", [reply.keys[0].key_id]) == [reply.keys[0].key.reveal()]
    assert [alarm.name for site in net.sites.values() for alarm in site.alarms] == []


def test_the_other_end_hears_the_last_marks_of_the_last_path_and_keeps_no_block_of_it():
    deep = PathEntry("a-d", 1, 1, tuple("abcd"), depth=8192)
    net = row(deep)
    net.beat(2)
    reconfigure(net)
    net.settle()
    assert net.node("d").paths.destinations[deep.key].blocks, "ready blocks outlive their version"
    net.beat(2, seconds=limits.BLOCK_LIFE / 2)
    net.beat(5)
    for name in "abcd":
        assert net.node(name).context.entries == {}
        assert net.node(name).contacts() == set(net.node(name).network.neighbours)


def test_a_meeting_that_had_begun_when_a_node_left_begins_anew_when_it_comes_back():
    net = SmallNetwork("ab", ())
    net.settle()
    ghost = PathEntry("g", 1, 1, ("a", "b", "ghost"))
    for paths in ((ghost,), (), (msgspec.structs.replace(ghost, version=2),)):
        net.node("a").reconfigure(msgspec.structs.replace(net.node("a").network, paths=paths))
        net.clock.advance(0 if paths else limits.HEARTBEAT)
        net.turn("a")
        hellos = [letter for letter in net.letters if letter.receiver == "ghost"]
        assert len(hellos) == len(paths)
        lose_ghosts(net)


def test_commit_numbers_are_kept_of_those_that_left_last_and_unfetched_keys_of_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "FORMER_CONTACTS", 2)
    names = [f"gone{i}" for i in range(5)]
    peers = [Peer(node=name, incarnation="i", run="r", number=9, mac="m", floor=3) for name in names]
    batch = Batch(batch="ba", source=names[0], number=4, master="alice", slaves=["dora"], count=1, size=128)
    batch.secret = Secret(bytes(16))
    net = SmallNetwork("cd", (), {"d": [*peers, Peer(node="never met"), batch]})
    net.settle()
    net.restart("d")
    net.beat(3)
    kept = [record.node for record in net.sites["d"].database.load() if isinstance(record, Peer)]
    assert sorted(kept) == ["c", *names[-2:]]
    assert set(net.node("d").meeting.peers) == set(kept)
    assert net.node("d").vault.batches["ba"].number == -1, "a container of that number is a new one"
    assert net.node("d").vault.batches["ba"].secret == Secret(bytes(16))


def test_a_full_outbox_begins_nothing_and_costs_no_pad(monkeypatch: pytest.MonkeyPatch):
    net = row()
    with monkeypatch.context() as patch:
        patch.setattr(limits, "OUTBOX", 0)
        sent = len(net.sent)
        reply = net.ask("a", "alice", "dora")
        net.settle()
        net.beat(3)
        assert isinstance(reply.error, UnavailableError)
        assert not [item for _, _, item in net.sent[sent:] if isinstance(item, Announcement | Segments)]
        assert all(site.node.journal.burned.causes == {} for site in net.sites.values())
    net.beat(3)
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None

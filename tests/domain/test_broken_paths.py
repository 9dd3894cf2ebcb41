"""A path that breaks: its credit is gone at once, what is open on it counts no more, and a new version takes over."""

import msgspec

from quiver.domain import limits
from quiver.domain.events import BufferExhausted, CreditGained, CreditLost, LinkDown, NewApplication, PathPrimed
from quiver.domain.messages import Announcement, Credit
from quiver.domain.network import PathEntry

from .ground import KIB, pad_along
from .small_network import SmallNetwork

BARE = PathEntry("a-d", 1, 1, tuple("abcd"))
NEWER = PathEntry("a-d", 1, 2, tuple("abcd"))
SOON = 0.05  # seconds between two turns of everybody


def row(*paths: PathEntry, wait: float = 5.0) -> SmallNetwork:
    net = SmallNetwork("abcd", paths, pad_along("abcd", 8), wait)
    net.settle()
    net.beat(4)
    net.sent.clear()
    for name in "abcd":
        net.node(name).journal.events.take()
    return net


def told(net: SmallNetwork, name: str) -> list[object]:
    return [event.body for event in net.node(name).journal.events.take()]


def pass_time(net: SmallNetwork, seconds: float) -> None:
    """Everybody acts often, as on a quiet network."""
    net.beat(round(seconds / SOON), SOON)


def cut(net: SmallNetwork, link: str) -> None:
    net.cut.add(link)
    pass_time(net, limits.LINK_SILENCE + limits.LINK_BEAT + limits.LINK_DOUBT + 2 * SOON)


def reconfigure(net: SmallNetwork, *paths: PathEntry) -> None:
    for name in reversed(net.sites):
        net.node(name).reconfigure(msgspec.structs.replace(net.node(name).network, paths=paths))
        net.turn(name)
    net.settle()


def credit(net: SmallNetwork, key: str = BARE.key) -> int:
    return net.node("a").paths.sources[key].credit


def test_the_credit_of_a_cut_path_is_gone_at_its_source_as_soon_as_the_cut_is_noticed():
    net = row(BARE)
    assert credit(net) > 0
    net.cut.add("c-d")
    while not any(isinstance(event, LinkDown) for event in told(net, "c")):
        assert credit(net) > 0
        net.clock.advance(SOON)
        for name in "dcba":
            net.turn(name)
        if not net.node("c").context.linked("d"):
            break
        net.settle()
    net.settle()  # no time passes: what follows is said at once, hop by hop
    assert credit(net) == 0
    withdrawn = [
        (sender, receiver) for sender, receiver, item in net.sent if isinstance(item, Credit) and not item.limit
    ]
    assert withdrawn == [("c", "b"), ("b", "a")]
    assert told(net, "a") == [CreditLost(path=BARE.key)]


def test_the_source_has_no_credit_over_its_own_dead_link():
    net = row(BARE)
    cut(net, "a-b")
    assert credit(net) == 0
    assert told(net, "a") == [LinkDown(link="a-b", neighbour="b"), CreditLost(path=BARE.key)]


def test_a_link_that_is_back_brings_the_credit_back_without_waiting_for_its_repeat():
    net = row(BARE)
    cut(net, "c-d")
    net.cut.clear()
    pass_time(net, 4 * limits.LINK_BEAT)
    assert credit(net) > 0
    assert isinstance(told(net, "a")[-1], CreditGained)


def test_what_concerns_a_dead_link_waits_and_the_rest_goes_on():
    net = row(BARE)
    cut(net, "a-b")
    net.sent.clear()
    net.beat(3)
    kinds = {item.kind for sender, receiver, item in net.sent if {sender, receiver} == {"a", "b"}}
    assert kinds == {"heartbeat", "floor"}


def test_a_request_whose_sequence_is_stuck_on_a_broken_path_is_served_over_the_next_version():
    net = row(BARE)
    net.cut.add("b-c")
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert net.node("a").paths.sources[BARE.key].open == 1
    cut(net, "b-c")
    assert not reply.done
    net.cut.clear()  # a row has no other way: the link is back, the old version is not
    reconfigure(net, NEWER)
    pass_time(net, 1.0)
    assert reply.keys is not None
    assert net.node("a").paths.sources[NEWER.key].primed
    assert PathPrimed(path=NEWER.key) in told(net, "a")


def test_sequences_of_a_version_that_lost_its_credit_are_voided_soon_and_their_pad_is_burned_once():
    net = row(BARE)
    net.cut.add("b-c")
    net.ask("a", "alice", "dora")
    net.settle()
    source = net.node("a").paths.sources[BARE.key]
    assert source.open == 1
    cut(net, "b-c")
    assert source.open == 1, "it had time to end"
    pass_time(net, limits.VOID_GRACE)
    assert source.open == 0
    assert net.node("a").journal.burned.causes == {"credit-lost": 80}
    pass_time(net, 3.0)
    assert net.node("b").journal.burned.causes == {"voided-by-source": 160}


def test_a_whole_version_with_a_successor_ends_what_is_open_and_begins_no_more():
    net = row(BARE)
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None
    reconfigure(net, BARE, NEWER)
    net.beat(2)
    assert net.node("a").paths.sources[BARE.key].standing.superseded
    net.sent.clear()
    again = net.ask("a", "alice", "dora", count=4)
    net.settle()
    assert again.keys is not None
    assert {item.key for _, _, item in net.sent if isinstance(item, Announcement)} == {NEWER.key}
    assert all(net.node(name).journal.burned.causes == {} for name in "abcd")


def test_a_successor_that_is_withdrawn_supersedes_nothing():
    net = row(BARE)
    reconfigure(net, BARE, NEWER)
    net.beat(2)
    reconfigure(net, BARE)
    net.beat(1)
    assert not net.node("a").paths.sources[BARE.key].standing.superseded
    reply = net.ask("a", "alice", "dora", count=9)
    net.settle()
    assert reply.keys is not None


def test_blocks_at_the_ends_serve_on_while_the_path_is_broken():
    deep = msgspec.structs.replace(BARE, depth=16 * KIB)
    net = row(deep)
    cut(net, "b-c")
    for _ in range(20):
        reply = net.ask("a", "alice", "dora")
        net.settle()
        assert reply.keys is not None
    assert credit(net) == 0


def test_a_path_that_is_not_whole_anywhere_takes_no_pad():
    """The entry stands everywhere but at its destination."""
    net = row()
    for name in "cba":
        net.node(name).reconfigure(msgspec.structs.replace(net.node(name).network, paths=(BARE,)))
        net.turn(name)
    before = {name: net.node(name).context.pads["b" if name == "a" else chr(ord(name) - 1)].allocated for name in "abc"}
    reply = net.ask("a", "alice", "dora")
    net.beat(8)
    assert reply.error is not None
    after = {name: net.node(name).context.pads["b" if name == "a" else chr(ord(name) - 1)].allocated for name in "abc"}
    assert after == before
    assert all(net.node(name).journal.burned.causes == {} for name in "abcd")


def test_a_request_without_a_path_waits_for_one_to_be_provisioned():
    net = row()
    reply = net.ask("a", "alice", "dora")
    assert told(net, "a") == [NewApplication(master="alice", slave="dora", destination="d")]
    assert not reply.done
    pass_time(net, 0.5)
    reconfigure(net, BARE)
    pass_time(net, 1.5)
    assert reply.keys is not None
    assert not any(isinstance(event, BufferExhausted) for event in told(net, "a"))


def test_credit_that_is_only_used_up_is_lost_when_that_lasts():
    net = row(BARE)
    source = net.node("a").paths.sources[BARE.key]
    source.grant("another run", Credit(key=BARE.key, digest=BARE.digest, limit=80, counter=10**9))
    net.ask("a", "alice", "dora")
    net.cut.add("a-b")  # so that no new credit comes; what is noticed of that does not matter here
    net.turn("a")
    assert source.credit == 0
    assert told(net, "a") == []
    net.clock.advance(limits.CREDIT_DRY)
    net.turn("a")
    net.turn("a")
    assert CreditLost(path=BARE.key) in told(net, "a")

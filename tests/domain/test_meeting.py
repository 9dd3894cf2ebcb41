"""Meetings: no node works from a storage that was rolled back and that a peer has seen further; a peer's word only burns."""

import msgspec
import pytest

from quiver.domain.errors import UnavailableError
from quiver.domain.messages import Announcement, Answer, Header, Heartbeat, Hello, Outcome, Settle
from quiver.domain.records import Peer

from .ground import ONE_HOP
from .pair import BLOCK, EMPTY, alarms, met, shared, together, two
from .small_network import Letter

# --- three words ------------------------------------------------------------------------------------------------------


def test_nothing_shared_is_used_before_the_meeting():
    net = two()
    with pytest.raises(UnavailableError, match="has not met"):
        net.node("d").saes.fetch("dora", "alice", [])
    net.ask("a", "alice", "dora")
    assert {letter.message.kind for letter in net.letters} == {"hello"}
    net.settle()
    assert met(net)
    assert shared(net, "a") == (4, 1, 0)
    assert shared(net, "d") == (4, 1, 1), "the request that waited is served now"


@pytest.mark.parametrize("place", range(8))
def test_whichever_word_is_lost_the_two_meet_and_burn_nothing(place: int):
    net = two()
    for _ in range(place):
        if net.letters:
            net.deliver()
    if net.letters:
        net.lose()
    net.settle()
    net.beat(3)
    assert met(net)
    assert (shared(net, "a"), shared(net, "d")) == ((4, 1, 0), (4, 1, 0))


@pytest.mark.parametrize("place", range(8))
def test_whichever_word_is_doubled_and_late_the_two_stay_met(place: int):
    net = two()
    for _ in range(place):
        net.deliver()
    net.deliver(again=True)
    late = net.letters.pop(0)
    net.settle()
    net.beat()
    assert met(net)
    net.letters.append(late)
    net.settle()
    net.beat()
    assert met(net)
    assert (shared(net, "a"), shared(net, "d")) == ((4, 1, 0), (4, 1, 0))
    assert alarms(net, "a") + alarms(net, "d") == []


def test_two_runs_that_met_and_lost_sight_of_each_other_compare_nothing_again():
    net = two()
    net.settle()
    for one, other in (("a", "d"), ("d", "a")):
        node, peer = net.node(one), net.node(other)
        hello = Hello(nonce="01", started=0, seen=None, inventory=EMPTY)  # long ago, before there was anything
        node.meeting.heard(other, msgspec.structs.replace(peer.header_for(one), run="lost sight of"))
        assert not node.meeting.met(other)
        (offer,) = node.receive(other, Hello.kind, peer.header_for(one), [hello])
        assert offer.offer is not None
        (answer,) = node.receive(other, Settle.kind, peer.header_for(one), [Settle(nonce=offer.offer.nonce)])
        assert answer.outcome is Outcome.DONE
        assert node.meeting.met(other)
    assert (shared(net, "a"), shared(net, "d")) == ((4, 1, 0), (4, 1, 0)), "what both hold is not burned at one end"


def test_an_offer_to_another_hello_and_a_settle_of_another_offer_end_nothing():
    net = two()
    node, header = net.node("d"), net.node("a").header_for("d")
    hello = Hello(nonce="01", started=0, seen=None, inventory=EMPTY)
    (offer,) = node.receive("a", Hello.kind, header, [hello])
    assert offer.outcome is Outcome.DONE
    assert offer.offer is not None
    assert offer.offer.echo == "01"
    (answer,) = node.receive("a", Settle.kind, header, [Settle(nonce="02")])
    assert answer.outcome is Outcome.REFUSED
    other = msgspec.structs.replace(header, run="another")
    (answer,) = node.receive("a", Settle.kind, other, [Settle(nonce=offer.offer.nonce)])
    assert answer.outcome is Outcome.REFUSED
    assert not node.meeting.met("a")
    for _ in range(2):
        (answer,) = node.receive("a", Settle.kind, header, [Settle(nonce=offer.offer.nonce)])
        assert answer.outcome is Outcome.DONE
    assert node.meeting.met("a")


@pytest.mark.parametrize("database", ["the same database", "the database before a rollback"])
def test_the_settle_of_an_earlier_run_that_comes_after_the_next_one_was_met_brings_nothing_back(database: str):
    net = two()
    node, header = net.node("d"), net.node("a").header_for("d")
    earlier = msgspec.structs.replace(header, run="earlier")
    if database != "the same database":
        earlier = msgspec.structs.replace(earlier, incarnation="earlier")
    hello = Hello(nonce="01", started=0, seen=None, inventory=EMPTY)
    (offer,) = node.receive("a", Hello.kind, earlier, [hello])
    assert offer.offer is not None
    net.letters[:] = [letter for letter in net.letters if letter.sender == "d"]  # it is d that says the first word now
    net.settle()
    net.beat()
    assert met(net)
    (answer,) = node.receive("a", Settle.kind, earlier, [Settle(nonce=offer.offer.nonce)])
    assert answer.outcome is Outcome.REFUSED
    net.settle()
    net.beat(3)
    assert met(net)
    assert (shared(net, "a"), shared(net, "d")) == ((4, 1, 0), (4, 1, 0))
    assert alarms(net, "a") + alarms(net, "d") == []


def test_an_answer_to_hello_without_the_nonce_is_not_heard():
    net = two()
    (letter,) = (letter for letter in net.letters if letter.sender == "a")
    net.letters.clear()
    header = net.node("d").header_for("a")
    offer = Hello(nonce="01", started=0, seen=None, inventory=EMPTY, echo="other")
    net.letters.append(Letter("a", "d", letter.life, letter.message, (header, [Answer(Outcome.DONE, offer=offer)])))
    net.deliver()
    assert not net.node("a").meeting.met("d")
    assert not any(isinstance(item, Settle) for _, _, item in net.sent)
    net.beat(2)
    assert met(net)


# --- runs and numbers -------------------------------------------------------------------------------------------------


def test_a_message_of_a_run_that_is_not_met_changes_nothing():
    net = together()
    node = net.node("d")
    right = net.node("a").header_for("d")
    item = Announcement(
        key=ONE_HOP.key,
        digest=ONE_HOP.digest,
        sequence=1,
        start=BLOCK,
        length=100,
        pieces=(),
        floor=99,
        settled=99,
    )
    before = shared(net, "d"), node.meeting.peer("a").number
    for wrong in ({"run": "other"}, {"to_run": "other"}, {"to_run": ""}, {"incarnation": "other"}):
        header = msgspec.structs.replace(right, number=10**6, **wrong)
        assert node.receive("a", item.kind, header, [item, item]) == [Answer(Outcome.MEET_FIRST)] * 2
    assert (shared(net, "d"), node.meeting.peer("a").number) == before
    assert not node.journal.urgent


def test_the_highest_number_seen_is_durable_within_a_second():
    net = together()
    net.beat()
    (kept,) = (r for r in net.sites["d"].database.load() if isinstance(r, Peer) and r.node == "a")
    assert kept.number >= net.sites["a"].database.number - 1
    assert kept.mac == net.node("a").meeting._mac(kept.incarnation, kept.run, kept.number)


def test_inside_a_run_a_lower_number_is_only_late():
    net = together()
    node = net.node("d")
    header = net.node("a").header_for("d")
    high = node.meeting.peer("a").number
    late = msgspec.structs.replace(header, number=0, mac="old")
    assert node.receive("a", Heartbeat.kind, late, [Heartbeat()]) == [Answer(Outcome.DONE)]
    assert node.meeting.peer("a").number == high
    assert alarms(net, "d") == []


def test_after_a_restart_the_two_meet_again_and_nothing_is_burned():
    net = together()
    for name in "adad":
        net.restart(name)
        net.settle()
        net.beat(2)
        assert met(net)
    assert shared(net, "d") == (4, 1, 0)
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None
    assert net.fetch("d", "dora", "alice", [reply.keys[0].key_id]) == [reply.keys[0].key.reveal()]
    assert alarms(net, "a") + alarms(net, "d") == []


def test_both_may_restart_at_once():
    net = together()
    net.restart("a")
    net.restart("d")
    net.beat(3)
    assert met(net)
    assert shared(net, "a") == (4, 1, 0)


def test_a_node_that_forgot_this_run_is_met_again():
    net = together()
    net.node("d").meeting._states.clear()
    net.beat(3)
    assert met(net)


def test_an_answer_of_another_run_ends_the_meeting():
    net = together()
    meeting = net.node("a").meeting
    header = net.node("d").header_for("a")
    assert meeting.heard("d", header)
    assert meeting.heard("x", header), "of a node that is not met nothing is expected"
    assert not meeting.heard("d", msgspec.structs.replace(header, run="other"))
    assert not meeting.met("d")
    net.beat(3)
    assert met(net)


def test_a_late_hello_of_an_earlier_run_is_refused_without_an_alarm():
    net = together()
    net.clock.advance(1)
    late = net.node("d").header_for("a")
    net.restart("d")
    net.settle()
    hello = Hello(nonce="01", started=0, seen=None, inventory=EMPTY)
    (answer,) = net.node("a").receive("d", Hello.kind, late, [hello])
    assert (answer.outcome, answer.offer) == (Outcome.REFUSED, None)
    assert alarms(net, "a") == []
    assert met(net)


def test_the_header_of_a_node_that_is_not_met_names_no_run_of_it():
    net = two()
    header = net.node("a").header_for("d")
    assert isinstance(header, Header)
    assert header.to_run == ""
    net.settle()
    assert net.node("a").header_for("d").to_run == net.node("d").meeting.run

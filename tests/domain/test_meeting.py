"""Meetings: no node works from a storage that was rolled back and that a peer has seen further; a peer's word only burns."""

import msgspec
import pytest

from quiver.domain import limits
from quiver.domain.errors import KeyNotFoundError, UnavailableError
from quiver.domain.messages import Announcement, Answer, Evidence, Header, Heartbeat, Hello, Inventory, Outcome, Settle
from quiver.domain.records import Peer, Route
from quiver.domain.reply import Reply

from .ground import KIB, ONE_HOP, shared_block, shared_segment
from .small_network import Letter, SmallNetwork

EMPTY = Inventory({}, {}, {}, {}, (0, 0, 0))
BLOCK = 1024 * KIB  # more than a source that restarted skips, several times


def two() -> SmallNetwork:
    """A and D, one hop apart, with link pad and a ready block; they have not spoken yet."""
    kept = {}
    for node, other in (("a", "d"), ("d", "a")):
        segments = [shared_segment(f"{owner}{i}", node, other, owner) for owner in "ad" for i in (0, 1)]
        route = Route(key=ONE_HOP.key, entry=ONE_HOP, next_sequence=1, next_start=BLOCK, floor=1)
        kept[node] = [*segments, route, shared_block(ONE_HOP, node, 0, 0, BLOCK)]
    return SmallNetwork("ad", [ONE_HOP], kept)


def met(net: SmallNetwork) -> bool:
    return net.node("a").meeting.met("d") and net.node("d").meeting.met("a")


def shared(net: SmallNetwork, name: str) -> tuple[int, int, int]:
    """Segments, ready blocks and waiting batches of a node."""
    node = net.node(name)
    (pads,) = node.context.pads.values()
    roles = node.paths.sources if name == "a" else node.paths.destinations
    return len(pads.segments), len(roles[ONE_HOP.key].blocks), len(node.vault.batches)


def together() -> SmallNetwork:
    """The two have met, and heard each other's numbers."""
    net = two()
    net.settle()
    net.beat(2)
    assert met(net)
    return net


def alarms(net: SmallNetwork, name: str) -> list[str]:
    found = [alarm.name for alarm in net.sites[name].alarms]
    net.sites[name].alarms.clear()
    return found


# --- three words ------------------------------------------------------------------------------------------------------


def test_nothing_shared_is_used_before_the_meeting():
    net = two()
    with pytest.raises(UnavailableError, match="has not met"):
        net.node("d").fetch("dora", "alice", [])
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


# --- rollback ---------------------------------------------------------------------------------------------------------


def test_a_rolled_back_source_burns_everything_takes_a_new_incarnation_and_meets_again():
    net = together()
    before = net.node("a").meeting._own.incarnation
    net.ask("a", "alice", "dora")
    net.settle()
    net.beat(2)
    net.restart("a", number=net.sites["a"].database.number - 2)
    net.settle()
    net.beat(3)
    assert met(net)
    assert alarms(net, "a") == ["rolled-back"]
    assert alarms(net, "d") == ["peer-rolled-back", "peer-incarnation"]
    assert shared(net, "a") == (0, 0, 0)
    assert shared(net, "d") == (0, 0, 1), "the key that its master was answered with stays"
    own = net.node("a").meeting._own
    assert own.incarnation != before
    assert own.former == [before]
    assert net.node("d").meeting.peer("a").retired == [before]
    assert net.node("a").journal.burned.causes["peer-incarnation"] > 0


def test_a_rolled_back_destination_burns_the_keys_that_waited():
    net = together()
    reply = net.ask("a", "alice", "dora")
    net.settle()
    assert reply.keys is not None
    net.beat(2)
    net.fetch("d", "dora", "alice", [reply.keys[0].key_id])
    net.beat(2)
    again: Reply = net.ask("a", "alice", "dora")
    net.settle()
    assert again.keys is not None
    net.beat(2)
    net.restart("d", number=net.sites["d"].database.number - 3)
    net.settle()
    net.beat(3)
    assert met(net)
    assert (shared(net, "a"), shared(net, "d")) == ((0, 0, 0), (0, 0, 0))
    for got in (reply, again):
        with pytest.raises(KeyNotFoundError):
            net.fetch("d", "dora", "alice", [got.keys[0].key_id])


def test_an_incarnation_that_was_given_up_is_refused_for_good():
    net = together()
    database = net.sites["a"].database
    old = database.number
    net.beat(2)
    net.restart("a", number=old - 1)
    net.beat(3)
    second = net.node("a").meeting._own.incarnation
    net.restart("a", number=old - 2)
    assert net.node("a").meeting._own.incarnation != second
    net.beat(4)
    own = net.node("a").meeting._own
    assert met(net)
    assert second in own.former, "shown its later self, the node learns that it was rolled back"
    assert len(net.node("d").meeting.peer("a").retired) == 2


def test_a_lost_database_burns_at_the_peer_what_was_shared_with_it():
    net = together()
    net.ask("a", "alice", "dora")
    net.settle()
    net.restart("d", number=0)
    net.beat(4)
    assert met(net)
    assert "peer-incarnation" in alarms(net, "a")
    assert (shared(net, "a"), shared(net, "d")) == ((0, 0, 0), (0, 0, 0))


def test_a_forged_or_old_evidence_has_no_effect():
    net = together()
    node = net.node("a")
    own, peer = node.meeting._own, net.node("d")
    number = net.sites["a"].database.number + 1000
    forged = [
        Evidence(own.incarnation, "other run", number, "00" * 32),
        Evidence("unknown", "other run", number, peer.meeting._mac("unknown", "other run", number)),
        Evidence(own.incarnation, "other run", 0, node.meeting._mac(own.incarnation, "other run", 0)),
        Evidence(own.incarnation, node.meeting.run, 5, node.meeting._mac(own.incarnation, node.meeting.run, 5)),
        None,
    ]
    header = peer.header_for("a")
    for i, evidence in enumerate(forged):
        hello = Hello(nonce=f"0{i}", started=10**6, seen=evidence, inventory=peer.holdings.inventory("a"))
        (answer,) = node.receive("d", Hello.kind, header, [hello])
        assert answer.outcome is Outcome.DONE
    assert (alarms(net, "a"), shared(net, "a")) == ([], (4, 1, 0))
    assert own.former == []
    net.beat(3)
    assert met(net)


def test_the_own_mac_convinces_in_whatever_message_it_comes():
    net = together()
    node = net.node("a")
    own = node.meeting._own
    number = net.sites["a"].database.number + 1
    right = Evidence(own.incarnation, "a later run", number, node.meeting._mac(own.incarnation, "a later run", number))
    hello = Hello(nonce="01", started=10**6, seen=right, inventory=EMPTY)
    (answer,) = node.receive("d", Hello.kind, net.node("d").header_for("a"), [hello])
    assert answer.outcome is Outcome.REFUSED
    net.sites["a"].commit()
    assert shared(net, "a") == (0, 0, 0)
    assert alarms(net, "a") == ["rolled-back"]
    net.beat(4)
    assert met(net)


def test_an_old_hello_that_was_on_its_way_for_long_changes_nothing():
    net = two()
    old = next(letter for letter in net.letters if letter.sender == "a")
    net.deliver(net.letters.index(old), again=True)
    net.letters.remove(old)
    net.settle()
    net.beat(2)
    net.restart("a", number=0)  # another database, met and known
    net.beat(3)
    assert met(net)
    alarms(net, "d")
    incarnation = net.node("d").meeting.peer("a").incarnation
    net.letters.append(old)
    net.settle()
    assert net.node("d").meeting.peer("a").incarnation == incarnation
    assert "peer-incarnation" not in alarms(net, "d")
    net.beat(3)
    assert met(net)


def test_a_node_with_an_incarnation_that_was_given_up_gets_no_settle():
    net = together()
    net.node("a").meeting.peer("d").retired.append(net.node("d").meeting._own.incarnation)
    net.node("a").meeting._states.clear()
    net.sent.clear()
    net.beat(3)
    assert not net.node("a").meeting.met("d")
    assert not any(sender == "a" and isinstance(item, Settle) for sender, _, item in net.sent)


def test_what_is_remembered_of_former_incarnations_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "FORMER_INCARNATIONS", 2)
    net = together()
    for _ in range(4):
        net.node("a").meeting._renew()
        net.beat(3)
        assert met(net)
    assert len(net.node("a").meeting._own.former) == 2
    assert len(net.node("d").meeting.peer("a").retired) == 2


def test_the_header_of_a_node_that_is_not_met_names_no_run_of_it():
    net = two()
    header = net.node("a").header_for("d")
    assert isinstance(header, Header)
    assert header.to_run == ""
    net.settle()
    assert net.node("a").header_for("d").to_run == net.node("d").meeting.run

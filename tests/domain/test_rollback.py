"""Rollback: no node works from a storage that a peer has seen further, and a peer's word can only burn."""

import pytest

from quiver.domain import limits
from quiver.domain.errors import KeyNotFoundError
from quiver.domain.messages import Evidence, Hello, Outcome, Settle
from quiver.domain.reply import Reply

from .pair import EMPTY, alarms, met, shared, together, two

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

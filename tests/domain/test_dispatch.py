"""Whom a node listens to: an item counts only from the node whose part it is."""

import msgspec
import pytest

from quiver.domain.messages import (
    Announcement,
    Answer,
    Ciphertext,
    Confirmation,
    Credit,
    Floor,
    Gift,
    Heartbeat,
    Hello,
    Item,
    Lost,
    Outcome,
    Ready,
    Retirement,
    Segments,
    Voided,
)
from quiver.domain.secret import Secret

from .ground import TWO_RELAYS
from .small_network import SmallNetwork, row

KEY = TWO_RELAYS.key


@pytest.fixture
def net() -> SmallNetwork:
    return row()


# --- who is listened to -----------------------------------------------------------------------------------------------

COMMON = {"key": KEY, "digest": TWO_RELAYS.digest}
PLACE = {**COMMON, "sequence": 0, "start": 0, "length": 100}
PATH_ITEMS: list[tuple[Item, str, str]] = [
    (Floor(**COMMON, floor=1, settled=1, closed=1), "a", "d"),
    (Credit(**COMMON, limit=1, counter=1), "b", "a"),
    (Credit(**COMMON, limit=1, counter=1), "c", "b"),
    (Announcement(**PLACE, pieces=(), floor=0, settled=0), "a", "b"),
    (Announcement(**PLACE, pieces=(), floor=0, settled=0), "c", "d"),
    (Ciphertext(**PLACE, ciphertext=Secret(bytes(100)), floor=0, settled=0), "b", "d"),
    (Lost(**PLACE), "c", "d"),
    (Ready(**COMMON, sequence=0), "d", "a"),
    (Voided(**COMMON, sequence=0), "d", "a"),
]


@pytest.mark.parametrize(("item", "sender", "node"), PATH_ITEMS, ids=lambda value: getattr(value, "kind", value))
def test_an_item_of_a_path_counts_only_from_the_node_whose_role_it_is(
    net: SmallNetwork, item: Item, sender: str, node: str
):
    dispatch, header = net.node(node)._dispatch, net.node(sender).header_for(node)
    for other in {"a", "b", "c", "d", "x"} - {sender, node}:
        if item.kind in (Ciphertext.kind, Lost.kind) and other in TWO_RELAYS.relays:
            continue
        assert dispatch.answer(other, header, item).outcome is Outcome.PATH_MISMATCH, other
    for wrong in ({"digest": "00" * 32}, {"key": "x-y/1/1"}):
        mismatch = msgspec.structs.replace(item, **wrong)
        assert dispatch.answer(sender, header, mismatch) == Answer(Outcome.PATH_MISMATCH)
    assert dispatch.answer(sender, header, item).outcome is not Outcome.PATH_MISMATCH


def test_items_about_pad_that_is_not_shared_with_the_sender_change_nothing(net: SmallNetwork):
    dispatch, header = net.node("a")._dispatch, net.node("b").header_for("a")
    assert dispatch.answer("c", header, Gift(segment="ab0")).outcome is Outcome.VOID
    assert dispatch.answer("c", header, Retirement(segment="ab0")).outcome is Outcome.DONE
    assert dispatch.answer("c", header, Confirmation(segment="ab0")).outcome is Outcome.VOID
    assert dispatch.answer("b", header, Confirmation(segment="unknown")).outcome is Outcome.VOID
    assert dispatch.answer("b", header, Retirement(segment="ab0")).outcome is Outcome.DONE
    for link in ("a-b", "x-y"):
        item = Segments(segment="s", link=link, key_ids=("k",), length=32)
        assert dispatch.answer("c", header, item).outcome is Outcome.REFUSED
    assert len(net.node("a").context.pads["b"].segments) == 3


def test_a_node_without_a_common_link_or_path_is_not_even_greeted(net: SmallNetwork):
    header = net.node("a").header_for("c")
    hello = Hello(nonce="01", started=0, seen=None, inventory=net.node("a").holdings.inventory("c"))
    (answer,) = net.node("c").receive("a", Hello.kind, header, [hello])
    assert (answer.outcome, answer.offer) == (Outcome.REFUSED, None)
    assert "a" not in net.node("c").meeting.peers


def test_an_item_that_ends_the_meeting_is_the_last_that_is_answered(net: SmallNetwork):
    node, header = net.node("d"), net.node("c").header_for("d")

    class Ending:
        def answer(self, *_: object) -> Answer:
            node.meeting._states.clear()
            return Answer(Outcome.DONE)

    node._dispatch = Ending()  # type: ignore[misc,assignment]
    answers = node.receive("c", Heartbeat.kind, header, [Heartbeat(), Heartbeat()])
    assert [answer.outcome for answer in answers] == [Outcome.DONE, Outcome.MEET_FIRST]

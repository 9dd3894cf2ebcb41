"""The outbox: what must arrive is repeated until it is answered, news is said once, one message of a kind at a time."""

import pytest

from quiver.domain import limits
from quiver.domain.messages import Answer, Ciphertext, Credit, Floor, Gift, Header, Heartbeat, Hello, Inventory, Outcome
from quiver.domain.outbox import Outbox
from quiver.domain.secret import Secret

from .ground import HandClock

DONE = Answer(Outcome.DONE)
HELLO = Hello(nonce="n", started=0, seen=None, inventory=Inventory({}, {}, {}, {}, (0, 0, 0)))


class Desk:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.met = {"b", "c"}
        self.heard: list[tuple[str, Outcome]] = []
        self.links = {"b": "a-b", "c": "a-c"}
        self.outbox = Outbox(
            self.clock, lambda peer: Header("i", "r", 1, peer), lambda peer: peer in self.met, self.links.get
        )

    def post(self, name: str, peer: str = "b") -> None:
        item = Gift(segment=name)
        self.outbox.post(peer, name, item, lambda answer: self.heard.append((name, answer.outcome)))

    def names(self) -> list[list[str]]:
        return [[item.segment for item in m.items if isinstance(item, Gift)] for m in self.outbox.messages()]


def test_one_message_of_a_kind_is_under_way_and_what_comes_meanwhile_shares_the_next():
    desk = Desk()
    desk.post("1")
    (first,) = desk.outbox.messages()
    assert (first.peer, first.kind, first.header.mac) == ("b", "gift", "b")
    desk.post("2")
    desk.post("3")
    assert desk.outbox.messages() == []
    desk.post("1", peer="c")
    assert [message.peer for message in desk.outbox.messages()] == ["c"], "other nodes do not wait"
    desk.outbox.answered(first.ticket, [DONE])
    assert desk.names() == [["2", "3"]]
    assert desk.heard == [("1", Outcome.DONE)]


def test_an_unanswered_item_is_repeated_after_growing_pauses():
    desk = Desk()
    desk.post("1")
    pauses = []
    for _ in range(7):
        (message,) = desk.outbox.messages()
        desk.outbox.failed(message.ticket)
        due = desk.outbox.due()
        assert due is not None
        pauses.append(due - desk.clock.now())
        assert desk.outbox.messages() == []
        desk.clock.time = due
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert len(desk.outbox) == 1


def test_too_few_or_too_many_answers_count_as_none():
    desk = Desk()
    desk.post("1")
    for answers in ([], [DONE, DONE]):
        (message,) = desk.outbox.messages()
        desk.outbox.answered(message.ticket, answers)
        desk.clock.advance(limits.REPEAT_MOST)
    assert (desk.names(), desk.heard) == ([["1"]], [])


def test_meet_first_is_no_answer_the_item_is_repeated():
    desk = Desk()
    desk.post("1")
    (message,) = desk.outbox.messages()
    desk.outbox.answered(message.ticket, [Answer(Outcome.MEET_FIRST)])
    assert desk.heard == []
    desk.outbox.hasten("b")
    assert desk.names() == [["1"]], "right after the meeting it leaves without a pause"


def test_news_is_said_once_whether_it_arrives_or_not():
    desk = Desk()
    for answers in (None, [DONE]):
        desk.outbox.tell("b", "heartbeat", Heartbeat())
        (message,) = desk.outbox.messages()
        if answers is None:
            desk.outbox.failed(message.ticket)
        else:
            desk.outbox.answered(message.ticket, answers)
        assert len(desk.outbox) == 0
        assert desk.outbox.due() is None


def test_news_that_came_before_the_other_sides_half_of_the_meeting_is_said_again_soon():
    desk = Desk()
    desk.outbox.tell("b", "heartbeat", Heartbeat())
    (message,) = desk.outbox.messages()
    desk.outbox.answered(message.ticket, [Answer(Outcome.MEET_FIRST)])
    assert desk.outbox.messages() == []
    desk.clock.advance(limits.MEET_PAUSE)
    assert [message.kind for message in desk.outbox.messages()] == ["heartbeat"]


def test_a_later_item_of_the_same_name_replaces_the_earlier_one():
    desk = Desk()
    desk.post("1")
    (message,) = desk.outbox.messages()
    desk.post("1")
    desk.outbox.answered(message.ticket, [DONE])
    assert desk.heard == [], "the answer was to the earlier one"
    assert desk.names() == [["1"]]


def test_a_cancelled_item_is_neither_sent_nor_heard_of():
    desk = Desk()
    desk.post("1")
    desk.post("2")
    desk.outbox.cancel("b", "gift", "1")
    (message,) = desk.outbox.messages()
    desk.outbox.cancel("b", "gift", "2")
    desk.outbox.cancel("z", "gift", "unknown")
    desk.outbox.answered(message.ticket, [DONE])
    assert (desk.names(), desk.heard, len(desk.outbox)) == ([], [], 0)


def test_only_meetings_travel_to_a_node_that_is_not_met():
    desk = Desk()
    desk.met.clear()
    desk.post("1")
    assert (desk.outbox.messages(), desk.outbox.due()) == ([], None)
    desk.outbox.post("b", "hello", HELLO, lambda answer: None)
    assert [message.kind for message in desk.outbox.messages()] == ["hello"]


def test_forgetting_a_node_drops_all_but_its_meeting():
    desk = Desk()
    desk.post("1")
    desk.post("1", peer="c")
    desk.outbox.post("b", "hello", HELLO, lambda answer: None)
    desk.outbox.forget("b")
    assert {(message.peer, message.kind) for message in desk.outbox.messages()} == {("b", "hello"), ("c", "gift")}


def test_a_message_carries_a_bounded_number_of_items():
    desk = Desk()
    for i in range(limits.ITEMS_PER_MESSAGE + 6):
        desk.post(str(i))
    (first,) = desk.outbox.messages()
    assert len(first.items) == limits.ITEMS_PER_MESSAGE
    desk.outbox.answered(first.ticket, [DONE] * limits.ITEMS_PER_MESSAGE)
    assert len(desk.names()[0]) == 6


def test_a_message_stays_below_half_of_what_a_body_may_have_but_carries_at_least_one_item():
    desk = Desk()
    for i in range(3):
        big = Secret(bytes(limits.PEER_BODY // 4))
        item = Ciphertext(key="k", digest="d", sequence=i, start=0, length=len(big), ciphertext=big, floor=0, settled=0)
        desk.outbox.post("b", str(i), item, lambda answer: None)
    (message,) = desk.outbox.messages()
    assert len(message.items) == 1
    assert message.items[0].weight > limits.PEER_BODY // 4


def test_what_concerns_a_link_goes_along_it_and_waits_while_there_is_none():
    desk = Desk()
    del desk.links["b"]
    desk.post("1")
    desk.outbox.tell("b", "heartbeat", Heartbeat())
    (message,) = desk.outbox.messages()
    assert (message.kind, message.link) == ("heartbeat", "")
    assert desk.outbox.due() is None
    desk.links["b"] = "a-b-2"
    (message,) = desk.outbox.messages()
    assert (message.kind, message.link) == ("gift", "a-b-2")


def test_what_failed_on_a_dead_link_leaves_at_once_when_the_link_is_back():
    desk = Desk()
    desk.post("1")
    for _ in range(4):
        (message,) = desk.outbox.messages()
        desk.outbox.failed(message.ticket)
        desk.clock.advance(limits.REPEAT_MOST)
    (message,) = desk.outbox.messages()
    del desk.links["b"]
    desk.outbox.failed(message.ticket)
    desk.links["b"] = "a-b"
    assert desk.outbox.messages() == []
    desk.outbox.hasten("b")
    assert desk.names() == [["1"]]


def test_when_no_link_is_left_only_what_concerns_links_is_forgotten():
    desk = Desk()
    desk.post("1")
    desk.post("1", peer="c")
    desk.outbox.post("b", "x", Floor(key="p", digest="", floor=1, settled=1, closed=1), lambda answer: None)
    desk.outbox.forget_links("b")
    assert sorted((message.peer, message.kind) for message in desk.outbox.messages()) == [("b", "floor"), ("c", "gift")]


def test_news_of_a_path_that_the_other_node_does_not_know_yet_are_said_again_for_a_while():
    desk = Desk()
    desk.outbox.tell("b", "p", Credit(key="p", digest="", limit=1, counter=1))
    pauses = []
    while message := desk.outbox.messages():
        desk.outbox.answered(message[0].ticket, [Answer(Outcome.PATH_MISMATCH)])
        due = desk.outbox.due()
        if due is not None:
            pauses.append(round(due - desk.clock.now(), 3))
            desk.clock.time = due
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32]
    assert len(desk.outbox) == 0


def test_nothing_is_left_for_a_node_to_which_there_is_nothing_to_say_not_even_its_meeting():
    desk = Desk()
    desk.post("1")
    desk.post("1", peer="c")
    desk.outbox.tell("b", "heartbeat", Heartbeat())
    desk.outbox.post("b", "hello", HELLO, lambda answer: desk.heard.append(("hello", answer.outcome)))
    under_way = [message for message in desk.outbox.messages() if message.kind == "hello"]
    desk.outbox.leave("b")
    desk.outbox.answered(under_way[0].ticket, [DONE])
    assert (len(desk.outbox), desk.heard) == (1, [])
    desk.clock.advance(limits.REPEAT_MOST)
    assert desk.outbox.messages() == []


def test_a_full_outbox_takes_no_news_and_loses_nothing_that_must_arrive(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "OUTBOX", 3)
    desk = Desk()
    for name in "1231":
        assert desk.outbox.full == (name == "1" and len(desk.outbox) == 3)
        desk.post(name)
    desk.outbox.tell("c", "heartbeat", Heartbeat())
    desk.post("4")
    assert (desk.outbox.full, len(desk.outbox)) == (True, 4)
    (message,) = desk.outbox.messages()
    assert [item.segment for item in message.items if isinstance(item, Gift)] == ["1", "2", "3", "4"]
    desk.outbox.answered(message.ticket, [DONE] * 4)
    assert (desk.outbox.full, len(desk.outbox)) == (False, 0)


def test_items_are_counted_right_whatever_becomes_of_them():
    desk = Desk()
    for peer in ("b", "c"):
        for name in "12":
            desk.post(name, peer=peer)
        desk.outbox.tell(peer, "heartbeat", Heartbeat())
        desk.outbox.post(peer, "hello", HELLO, lambda answer: None)
    desk.outbox.cancel("b", "gift", "1")
    desk.outbox.cancel("b", "gift", "1")
    assert len(desk.outbox) == 7
    for message in desk.outbox.messages():
        desk.outbox.failed(message.ticket)
    assert len(desk.outbox) == 5, "news is gone"
    desk.outbox.forget_links("b")
    desk.outbox.forget("c")
    assert len(desk.outbox) == 2 == sum(len(entries) for entries in desk.outbox._waiting.values())

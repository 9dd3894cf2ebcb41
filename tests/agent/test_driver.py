"""What asks for a turn, and what does not: beats of links are many, and each turn looks through all that a node has."""

import pytest

from quiver.agent.driver import Driver, Edges
from quiver.domain import limits
from quiver.domain.events import LinkDown, NumberedEvent
from quiver.domain.messages import LinkBeat
from quiver.domain.outbox import Message
from tests.domain.ground import HandClock
from tests.domain.small_network import SmallNetwork, row


class Bench:
    """The node in the middle of a row, with its edges in sight; whatever it sends stays without an answer."""

    def __init__(self, net: SmallNetwork) -> None:
        self.clock: HandClock = net.clock
        self.sent: list[Message] = []
        self.events: list[NumberedEvent] = []
        self.driver = Driver(
            net.node("b"),
            Edges(
                send=self.sent.append,
                call=lambda call: None,
                alarm=lambda alarm: None,
                event=self.events.append,
            ),
        )

    def turn(self) -> None:
        self.driver.turn()
        for effect in self.driver.effects():
            effect()


@pytest.fixture
def bench() -> Bench:
    net = row()
    net.settle()
    made = Bench(net)
    made.turn()
    made.sent.clear()
    made.events.clear()
    return made


def test_between_two_heartbeats_beats_of_links_leave_without_a_turn(bench: Bench):
    end, beats = bench.driver.node.step_due, 0
    while bench.driver.node.due < end:
        bench.clock.advance(bench.driver.node.due - bench.clock.now() + 1e-6)
        assert bench.driver.beat() is not None, "nothing else was due"
        beats += len(bench.sent)
        for message in bench.sent:
            assert message.kind == LinkBeat.kind
            bench.driver.node.ends.links.answered(message.link, known=True)
        bench.sent.clear()
    assert beats >= 2 * (limits.HEARTBEAT // limits.LINK_BEAT - 1), "both links beat all the time"


def test_what_is_due_beside_beats_asks_for_a_turn_and_nothing_leaves_before(bench: Bench):
    bench.clock.advance(bench.driver.node.step_due - bench.clock.now() + 1e-6)
    assert bench.driver.beat() is None
    assert bench.sent == []


def test_a_link_that_falls_silent_asks_for_a_turn_which_tells_of_it(bench: Bench):
    node, end = bench.driver.node, bench.clock.now() + 2 * limits.LINK_SILENCE_MOST
    while bench.clock.now() < end and not bench.events:
        bench.clock.advance(node.due - bench.clock.now() + 1e-6)
        heartbeat = node.step_due <= bench.clock.now()
        if bench.driver.beat() is None:
            assert heartbeat or not all(node.ends.links.up(link) for link in node.ends.collectors)
            bench.turn()
        for message in bench.sent:
            if message.kind == LinkBeat.kind and message.link != "b-c":
                node.ends.links.answered(message.link, known=True)
        bench.sent.clear()
    assert [event.body for event in bench.events] == [LinkDown(link="b-c", neighbour="c")]

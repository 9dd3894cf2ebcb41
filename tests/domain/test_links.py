"""Links: silence is noticed soon, by both ends, and never because a process stood still or answers were slow."""

import itertools

import pytest

from quiver.domain import limits
from quiver.domain.events import LinkDown, LinkUp
from quiver.domain.journal import Journal
from quiver.domain.links import LINK_MOVES, Links, LinkSign
from quiver.domain.messages import Header, LinkBeat
from quiver.domain.network import LinkEntry
from quiver.domain.outbox import Message
from quiver.domain.records import Burned
from quiver.domain.report import LinkState

from .ground import HandClock

STEP = 0.01  # seconds between two looks


class End:
    """One end of a link to b, and of a second one to c."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.journal = Journal(Burned())
        self.changed: list[str] = []
        self.due: dict[str, float] = {}  # link → when the answer on its way arrives
        entries = (LinkEntry("a-b", "b"), LinkEntry("a-c", "c"))
        self.links = Links(entries, self.journal, self.clock, self.changed.append)

    def beats(self) -> list[Message]:
        return self.links.beats(lambda peer: Header("", "", 0, ""))

    def talk(self, seconds: float, *silent: str, delay: float = 0.0) -> None:
        """Time passes; beats are answered after a delay, those along the silent links never."""
        until, due = self.clock.now() + seconds, self.due
        while self.clock.now() < until:
            for message in self.beats():
                if message.link not in silent:
                    due[message.link] = self.clock.now() + delay
            for link in [link for link, moment in due.items() if moment <= self.clock.now()]:
                del due[link]
                self.links.answered(link, known=True)
            self.links.review()
            self.clock.advance(STEP)

    def events(self) -> list[object]:
        return [event.body for event in self.journal.events.take()]


@pytest.fixture
def end() -> End:
    made = End()
    made.talk(1.0)
    made.events()
    return made


def test_every_sign_leads_from_every_state_somewhere():
    assert set(LINK_MOVES) == set(itertools.product(LinkState, LinkSign))
    assert LinkState.UNKNOWN not in LINK_MOVES.values()


def test_a_link_is_up_when_its_first_beat_is_answered():
    end = End()
    assert (end.links.state("a-b"), end.links.along("b")) == (LinkState.UNKNOWN, None)
    assert [message.items for message in end.beats()] == [(LinkBeat(link="a-b"),), (LinkBeat(link="a-c"),)]
    assert end.beats() == [], "one at a time"
    end.links.answered("a-b", known=True)
    assert (end.links.state("a-b"), end.links.along("b")) == (LinkState.UP, "a-b")
    assert (end.events(), end.changed) == ([LinkUp(link="a-b", neighbour="b")], ["b"])
    assert end.links.along("c") is None


def test_an_answer_of_a_neighbour_that_does_not_know_the_link_is_none():
    end = End()
    end.beats()
    end.links.answered("a-b", known=False)
    assert end.links.state("a-b") is LinkState.UNKNOWN


def test_a_beat_of_the_neighbour_is_as_good_as_an_answer():
    end = End()
    assert end.links.heard("b", "a-b")
    assert end.links.up("a-b")
    assert not end.links.heard("c", "a-b"), "not its link"
    assert not end.links.heard("b", "b-z")


def test_a_cut_is_noticed_within_half_a_second_and_hits_one_link_only(end: End):
    end.talk(limits.LINK_SILENCE - STEP, "a-b")
    assert end.links.up("a-b")
    end.talk(limits.LINK_BEAT + limits.LINK_DOUBT + 2 * STEP, "a-b")
    assert end.events() == [LinkDown(link="a-b", neighbour="b")]
    assert end.links.up("a-c")
    assert end.links.along("b") is None
    assert limits.LINK_SILENCE + limits.LINK_BEAT + limits.LINK_DOUBT <= 0.5


def test_a_link_that_comes_back_is_noticed_with_the_next_answer(end: End):
    end.talk(3.0, "a-b")
    end.links.failed("a-b")
    end.talk(limits.LINK_BEAT + 2 * STEP)
    assert end.events() == [LinkDown(link="a-b", neighbour="b"), LinkUp(link="a-b", neighbour="b")]


def test_a_first_answer_may_take_longer_than_a_later_one():
    end = End()
    end.talk(limits.LINK_FIRST - STEP, "a-b", "a-c")
    assert end.events() == []
    end.talk(limits.LINK_DOUBT + 2 * STEP, "a-b", "a-c")
    assert {type(event) for event in end.events()} == {LinkDown}


def test_time_in_which_this_process_stood_still_does_not_count(end: End):
    end.clock.advance(limits.LINK_BEAT)
    end.beats()
    for _ in range(3):
        end.clock.advance(30.0)
        end.links.review()
    assert end.events() == []
    end.links.answered("a-b", known=True)
    end.links.answered("a-c", known=True)
    assert end.events() == []


def test_one_look_at_a_silence_is_not_enough(end: End):
    """What had arrived before the look is heard between the two."""
    end.clock.advance(limits.LINK_BEAT)
    end.beats()
    end.links.review()
    for _ in range(2):
        end.clock.advance(limits.LINK_BEAT)
        end.links.review()
    end.links.answered("a-b", known=True)
    end.clock.advance(limits.LINK_DOUBT)
    end.links.review()
    assert end.events() == [LinkDown(link="a-c", neighbour="c")]


def test_slow_answers_make_patient_and_swift_ones_in_time_less_so(end: End):
    end.talk(5.0, delay=limits.LINK_SILENCE - 2 * STEP)
    assert end.events() == []
    end.talk(2.0, delay=2 * limits.LINK_SILENCE - 8 * STEP)
    assert end.events() == [], "twice as slow as lately is not dead"
    end.talk(3 * limits.LINK_MEMORY)
    end.talk(limits.LINK_SILENCE + limits.LINK_BEAT + limits.LINK_DOUBT + 2 * STEP, "a-b")
    assert end.events() == [LinkDown(link="a-b", neighbour="b")]


def test_a_link_that_was_long_away_does_not_make_patient(end: End):
    end.talk(60.0, "a-b")
    end.links.failed("a-b")
    end.talk(1.0)
    end.events()
    end.talk(limits.LINK_SILENCE + limits.LINK_BEAT + limits.LINK_DOUBT + 2 * STEP, "a-b")
    assert end.events() == [LinkDown(link="a-b", neighbour="b")]


def test_whoever_was_met_hears_a_beat_at_once(end: End):
    end.talk(3.0, "a-b")
    end.links.failed("a-b")
    end.beats()
    end.links.failed("a-b")
    assert [message.link for message in end.beats()] == []
    end.links.met("b")
    assert [message.link for message in end.beats()] == ["a-b"]


def test_a_link_that_is_gone_is_not_heard_and_one_that_now_leads_elsewhere_begins_anew(end: End):
    end.links.configure((LinkEntry("a-b", "d"),))
    assert end.links.state("a-b") is LinkState.UNKNOWN
    assert end.links.along("b") is None
    assert not end.links.up("a-c")
    end.links.answered("a-c", known=True)
    end.links.failed("a-c")
    assert end.events() == []


def test_of_two_links_to_one_neighbour_the_one_that_is_up_is_used(end: End):
    end.links.configure((LinkEntry("a-b", "b"), LinkEntry("a-b-2", "b")))
    end.talk(1.0)
    assert end.links.along("b") == "a-b"
    end.talk(1.0, "a-b")
    assert end.links.along("b") == "a-b-2"


def test_without_links_nothing_is_due():
    end = End()
    assert end.links.due == end.clock.now()
    end.links.configure(())
    assert end.links.due is None

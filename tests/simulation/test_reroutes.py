"""Cuts and deaths under load: a new version takes over, and whoever asked gets keys, with a buffer and without."""

from collections.abc import Callable

import pytest

from quiver.domain.events import CreditLost, Event, LinkDown, PathPrimed
from quiver.domain.messages import Announcement, Container
from quiver.domain.network import PathEntry

from .stage import Stage

SQUARE = [(0, 1), (1, 4), (0, 2), (2, 4), (0, 3), (3, 4)]
FIRST, SECOND, THIRD = ("n0", "n1", "n4"), ("n0", "n2", "n4"), ("n0", "n3", "n4")
REACTION = 0.1  # seconds from an event to the controller's first edit, and between its edits
DETOURS = {("n0", "n1", "n4"): SECOND, ("n0", "n2", "n4"): THIRD}


class Reactor:
    """A controller of few words: when a path in use loses its credit, it goes over another relay."""

    def __init__(self, stage: Stage):
        self.stage = stage
        self.source = stage.site(0)
        self.heard = 0
        self.look()

    def look(self) -> None:
        for _, event in self.source.events[self.heard :]:
            current = self.stage.scenery.paths[0]
            if isinstance(event, CreditLost) and event.path == current.key and current.nodes in DETOURS:
                self.stage.world.after(REACTION, lambda entry=current: self.replace(entry))
        self.heard = len(self.source.events)
        self.stage.world.after(0.01, self.look)

    def replace(self, old: PathEntry) -> None:
        """Destination, relay, source; then the old version goes, at its source first."""
        scenery, world = self.stage.scenery, self.stage.world
        new = scenery.reroute(old, DETOURS[old.nodes])
        assert new is not None
        scenery.paths[:] = [new]
        scenery.all_paths.append(new)
        for count, node in enumerate(("n4", new.nodes[1], "n0")):
            world.after(0.02 * count, lambda n=node: scenery.configure([old, new], only=[n]))
        for count, node in enumerate(("n0", "n1", "n2", "n3", "n4")):
            world.after(2.0 + 0.02 * count, lambda n=node: scenery.configure([new], only=[n]))


def cut(stage: Stage, one: int, other: int) -> None:
    stage.faults.cut_link(stage.scenery.devices[f"l{one}-{other}"], 60.0)


def die(stage: Stage, number: int) -> None:
    stage.faults.note(f"n{number} dies", 60.0, lambda route: f"n{number}" in route)
    stage.site(number).crash()


FAULTS: dict[str, Callable[[Stage], None]] = {
    "the second link is cut": lambda stage: cut(stage, 1, 4),
    "the first link is cut": lambda stage: cut(stage, 0, 1),
    "the relay dies": lambda stage: die(stage, 1),
}


def first(stage: Stage, number: int, kind: type[Event], since: float) -> float:
    """When a node told first of something, in seconds since then."""
    return next(time for time, event in stage.site(number).events if isinstance(event, kind) and time >= since) - since


def under_load(depth: int, wait: float) -> Stage:
    """Requests for 10 s; 5 s after the start of the load the fault begins."""
    stage = Stage(SQUARE, [(0, 1, 4)], depth=depth, wait=wait, stock=60_000)
    stage.run(6.0)
    Reactor(stage)
    stage.ask(0, 4, every=0.03, seconds=10.0, size=512)
    stage.run(5.0)
    return stage


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize(("depth", "wait"), [(0, 5.0), (32_768, 2.0)])
def test_no_request_fails_where_another_way_is_left(name: str, depth: int, wait: float) -> None:
    stage = under_load(depth, wait)
    start = stage.world.now()
    FAULTS[name](stage)
    stage.run(5.0 + wait)
    assert stage.share == 1.0
    assert first(stage, 0, LinkDown if "first" in name or "dies" in name else CreditLost, start) <= 0.6
    assert first(stage, 0, PathPrimed, start) <= 1.0
    over = {item.key for _, _, item in stage.sent(Announcement)}
    assert over == {"v0/1/1", "v0/1/2"}
    assert stage.end() == []


@pytest.mark.parametrize("depth", [0, 32_768])
def test_two_faults_in_a_row_cost_no_request_either(depth: int) -> None:
    stage = under_load(depth, 5.0)
    cut(stage, 1, 4)
    stage.run(2.5)
    die(stage, 2)
    stage.run(7.5)
    assert stage.share == 1.0
    assert stage.scenery.paths[0].nodes == THIRD
    assert stage.end() == []


def test_the_credit_of_a_cut_path_is_gone_before_pad_is_wasted_on_it() -> None:
    """What is burned at the source is what was open when the cut came, and what was begun until it was noticed."""
    stage = under_load(0, 5.0)
    before = stage.burned(0)
    start = stage.world.now()
    cut(stage, 1, 4)
    while not any(isinstance(event, CreditLost) and time >= start for time, event in stage.site(0).events):
        assert stage.world.now() < start + 1.0
        stage.run(0.005)
    source = stage.site(0).node.paths.sources["v0/1/1"]
    end = source._route.next_sequence
    stage.run(start + 6.0 - stage.world.now())
    assert source._route.next_sequence == end, "nothing was begun after that"
    begun = [
        item.length
        for message in stage.scenery.transport.record
        for item in message.items
        if isinstance(item, Announcement) and item.key == "v0/1/1" and message.sender == "n0" and message.time >= start
    ]
    assert stage.burned(0) - before <= sum(begun) + 4096
    assert stage.end() == []


def test_a_flapping_link_costs_pad_but_no_request() -> None:
    stage = Stage(SQUARE, [(0, 1, 4)], depth=0, wait=5.0, stock=60_000)
    stage.run(6.0)
    stage.ask(0, 4, every=0.05, seconds=12.0)
    link = stage.scenery.devices["l1-4"]
    for turn in range(4):
        stage.world.after(1.0 + 2.5 * turn, lambda: stage.faults.cut_link(link, 0.8))
    stage.run(18.0)
    assert stage.share == 1.0
    downs = [event for _, event in stage.site(1).events if isinstance(event, LinkDown)]
    assert len(downs) == 4
    assert stage.end() == []


def test_containers_and_meetings_go_on_while_the_link_between_the_two_is_cut() -> None:
    """A cut between neighbours that are source and destination: blocks serve, and a restart meets again, without the link."""
    stage = Stage([(0, 1)], [(0, 1)], depth=16_384, stock=60_000)
    stage.run(6.0)
    stage.faults.cut_link(stage.scenery.devices["l0-1"], 60.0)
    stage.run(2.0)
    stage.ask(0, 1, every=0.1, seconds=2.0)
    stage.run(2.5)
    assert stage.share == 1.0
    stage.site(1).crash()
    stage.site(1).restart()
    stage.run(2.0)
    assert stage.node(1).meeting.met("n0")
    assert stage.node(0).meeting.met("n1")
    assert len(stage.sent(Container)) == 20
    assert stage.end() == []


def test_a_path_goes_back_to_relays_that_were_silent_for_a_while_within_half_a_second() -> None:
    """n4 and n3 have met; without a path they exchange nothing, and when they get one n4 does not know that the way is open."""
    stage = Stage([(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (3, 5)], [(0, 1, 2, 3)])
    stage.run(6.0)
    for route in (("n0", "n4", "n5", "n3"), ("n0", "n1", "n2", "n3")):
        stage.faults.reroute(route)
        stage.run(12.0)
    [old] = stage.scenery.paths
    new = stage.scenery.reroute(old, ("n0", "n4", "n5", "n3"))
    assert new is not None
    assert old.nodes == ("n0", "n1", "n2", "n3")
    stage.scenery.paths[:] = [new]
    stage.scenery.all_paths.append(new)
    stage.scenery.configure([old, new])
    stage.run(0.5)
    assert stage.node(0).paths.sources[new.key].credit > 0
    assert stage.end() == []

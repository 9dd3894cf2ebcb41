"""Whatever becomes of the words of meetings, what one end would use the other end has, once all is quiet."""

import random

import pytest

from .ground import KIB, ONE_HOP
from .pair import alarms, met, two
from .small_network import SmallNetwork

STEPS = 120
SEEDS = 40  # of one case


def disorder(net: SmallNetwork, drawn: random.Random) -> None:
    """One step: a letter arrives out of turn, doubled, late or never; a node restarts, or begins a sequence; time passes."""
    places = range(len(net.letters))
    match drawn.randrange(24):
        case 0 if places:
            net.deliver(drawn.choice(places), again=True)
        case 1 if places:
            net.despair(drawn.choice(places))
        case 2 if places:
            net.lose(drawn.choice(places))
        case 3 if drawn.random() < 0.5:
            net.restart(drawn.choice("ad"))
        case 4 | 5 | 6:
            net.node("a").paths.sources[ONE_HOP.key].prime(200, 64)
            net.turn("a")
        case 7 | 8 | 9:
            net.clock.advance(drawn.choice((0.05, 0.5, 1.0, 3.0)))
            for name in "ad":
                net.turn(name)
        case _ if places:
            held_up = drawn.random() < 0.5 and len(net.letters) > 1
            net.deliver(drawn.choice(places[1:]) if held_up else drawn.choice(places))
        case _:
            net.turn("a")


def one_sided(net: SmallNetwork) -> list[str]:
    """Segments that their owner may allocate, and blocks that the source may take from, which the other end does not have."""
    found = []
    for here, there in (("a", "d"), ("d", "a")):
        mine, theirs = net.node(here).context.pads[there], net.node(there).context.pads[here]
        for name, segment in mine.segments.items():
            if segment.owner == here and segment.state.value == "usable" and name not in theirs.segments:
                found.append(f"segment {name} of {here}")
    source, destination = net.node("a").paths.sources[ONE_HOP.key], net.node("d").paths.destinations[ONE_HOP.key]
    return found + [f"block {number}" for number in source.blocks if number not in destination.blocks]


@pytest.mark.parametrize("case", range(8))
def test_what_one_end_would_use_the_other_end_has(case: int) -> None:
    for seed in range(case * SEEDS, (case + 1) * SEEDS):
        net, drawn = two(4 * KIB), random.Random(seed)
        for _ in range(STEPS):
            disorder(net, drawn)
        net.settle()
        net.beat(12)
        assert met(net), f"seed {seed}"
        assert one_sided(net) == [], f"seed {seed}"
        # A late hello of a dead run looks like a rollback to a node that has started since: it says so, and burns nothing.
        assert {*alarms(net, "a"), *alarms(net, "d")} <= {"peer-rolled-back"}, f"seed {seed}"

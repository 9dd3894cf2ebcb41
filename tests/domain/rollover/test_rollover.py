"""Two ends change keys in step, whatever is lost between them and whoever is started again."""

import itertools

import pytest

from quiver.domain.rollover.initiator import Failure, Initiator
from quiver.domain.rollover.responder import Answer, Ask, Responder
from quiver.domain.rollover.steps import NEXT, Outcome, Step
from quiver.domain.rollover.timing import Timing

from .ends import World

SEEDS = range(40)


def agree(world):
    """What may never be otherwise: counted by both or on the way to it, in the same order, each key once, and used."""
    first, second = world.counted
    assert len(set(second)) == len(second), "a key was counted twice"
    assert [key for key in second if key in first] == first, "the initiator counted what its partner did not"
    assert set(first) <= set(world.wire.used), "a key was counted that no handshake has used"


def test_each_handshake_uses_a_key_of_its_own_where_nothing_fails():
    world = World(0)
    world.run(1500)
    agree(world)
    assert len(world.counted[0]) == 13  # one at the start, and one for each of WireGuard's handshakes
    assert world.wire.dead == 0
    assert world.given == 13
    assert sum(world.initiator.failures.values()) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_calls_that_are_lost_and_doubled_cost_no_session(seed):
    world = World(seed, loss=0.2)
    world.run(3000)
    agree(world)
    assert world.wire.dead == 0
    assert len(world.counted[0]) >= 18


@pytest.mark.parametrize("seed", SEEDS)
def test_a_channel_that_is_silent_at_any_moment_is_found_again(seed):
    """The silence begins within the second in which both ends are switching, or anywhere else."""
    at = 105.0 + seed * 0.5
    world = World(seed, loss=0.3, quiet=[(at, at + 400)])
    world.run(at + 400)
    world.loss = 0.0
    world.run(400)
    agree(world)
    counted = len(world.counted[0])
    world.run(400)
    assert len(world.counted[0]) >= counted + 3
    assert world.initiator.active == world.responder.active


@pytest.mark.parametrize("late", [0.0, 30.0, 60.0])
def test_an_answer_that_is_lost_at_the_switch_leaves_the_tunnel_alive(late):
    """The partner has switched, the initiator does not know it, and nothing more is heard of it."""
    world = World(0)
    while world.initiator.step is not Step.TURN or not world.counted[0]:
        world.run(0.05)
    world.respond(Ask.TURN, world.initiator.wanted)  # and its answer is lost
    world.initiator.done(Outcome.LOST, world.now)
    world.quiet = [(world.now, world.now + 600)]
    world.run(500 + late)
    assert world.initiator.failures[Failure.PARTNER_SILENT] >= 1
    assert world.wire.dead == 0
    world.run(400)
    agree(world)
    assert world.initiator.active == world.responder.active


@pytest.mark.parametrize("switched", [False, True])
@pytest.mark.parametrize("lacking", ["keyless", "refusing"])
def test_two_ends_that_differ_find_the_key_that_both_hold_where_the_network_has_none(switched, lacking):
    """An answer is lost at the switch, the channel is silent for a minute, and no fresh key comes for half an hour."""
    world = World(0)
    while world.initiator.step is not Step.TURN or not world.counted[0]:
        world.run(0.05)
    if switched:
        world.respond(Ask.TURN, world.initiator.wanted)
    world.initiator.done(Outcome.LOST, world.now)
    world.quiet = [(world.now, world.now + 60)]
    setattr(world, lacking, [(world.now, world.now + 1800)])
    world.run(1800)
    assert world.wire.dead == 0
    assert world.initiator.active == world.responder.active
    assert world.given <= 2 + 1800 / world.timing.pause_most + 8
    world.run(400)
    agree(world)
    assert len(world.counted[0]) >= 4


def test_a_tunnel_that_took_its_key_too_late_finds_its_partner_where_the_network_has_no_other():
    world = World(0)
    while world.initiator.step is not Step.SWITCH or not world.counted[0]:
        world.run(0.05)
    world.broken = [(world.now, world.now + 60)]
    world.keyless = [(world.now, world.now + 1800)]
    world.run(1800)
    assert world.initiator.failures[Failure.TUNNEL] >= 1
    assert world.wire.dead == 0
    assert world.initiator.active == world.responder.active
    world.run(400)
    agree(world)


@pytest.mark.parametrize("step", [Step.SWITCH, Step.SWITCH_BLIND])
def test_a_switch_that_fails_for_good_is_counted_and_the_partner_looked_at_again(step):
    timing = Timing(interval=120.0)
    machine, now, keys, greeted = Initiator(timing, 0.0), 0.0, 0, 0
    while now < 3600:
        now = max(now, machine.due) + 0.01
        greeted += machine.step is Step.GREET
        outcome = Outcome.DONE
        if machine.step is Step.KEY:
            keys += 1
            machine.got_key(f"key-{keys}")
        elif machine.step is step or (machine.step is Step.TURN and step is Step.SWITCH_BLIND):
            outcome = Outcome.FAILED if machine.step is step else Outcome.LOST
        machine.done(outcome, now)
    assert machine.failures[Failure.TUNNEL] >= 30
    assert machine.last_failure is Failure.TUNNEL
    assert greeted >= 30
    assert keys <= 3600 / timing.pause_most + 8


@pytest.mark.parametrize("seed", SEEDS)
def test_either_end_may_be_started_again_at_any_moment(seed):
    world = World(seed, loss=0.05)
    for number in range(12):
        world.run(world.drawn.uniform(1, 140))
        (world.restart_initiator if number % 2 else world.restart_responder)()
    world.loss = 0.0
    world.run(300)
    first = [key for key in world.counted[0] if key in world.counted[1]]
    assert first == world.counted[0]
    counted = len(world.counted[0])
    world.run(400)
    assert len(world.counted[0]) >= counted + 3
    assert world.wire.dead == 0


def test_a_restart_of_the_partner_is_noticed_within_a_beat():
    world = World(0)
    world.run(10)
    world.restart_responder()
    given = world.given
    world.run(world.timing.beat + 0.2)
    assert world.given == given + 1


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("at", [10.0, 110.0])  # while nothing is to be done; while a key waits for its handshake
def test_an_interface_that_was_made_anew_is_noticed_within_a_beat(end, at):
    world = World(0)
    world.run(at)
    given = world.given
    world.wire.ends[end].key = None
    world.run(world.timing.beat + 0.5)
    assert world.given == given + 1
    assert world.wire.ends[0].key == world.wire.ends[1].key


def test_a_partner_whose_interface_was_made_anew_before_it_could_prove_the_key_says_so():
    world = World(0)
    while world.initiator.step is not Step.PROVE_THERE:
        world.run(0.05)
    world.wire.ends[1].key, world.wire.ends[1].handshake = None, -1.0
    world.run(2.0)
    assert world.given == 2
    assert world.wire.ends[0].key == world.wire.ends[1].key


def test_without_keys_the_last_one_stays_and_no_key_is_wasted():
    world = World(0, keyless=[(50, 1000)])
    world.run(1000)
    assert world.given == 1
    assert world.wire.dead == 0
    assert world.initiator.last_failure is Failure.NO_KEY
    world.run(150)
    assert len(world.counted[0]) == 2


def test_a_partner_without_keys_costs_few():
    world = World(0, refusing=[(50, 50 + 3600)])
    world.run(3650)
    assert world.given <= 1 + 3600 / world.timing.pause_most + 8
    assert world.initiator.failures[Failure.PARTNER_REFUSED] >= 100
    world.run(150)
    assert len(world.counted[0]) >= 2


def test_a_partner_that_is_away_costs_no_keys():
    world = World(0, quiet=[(50, 2000)])
    world.run(1990)
    assert world.given == 1


def test_a_key_that_no_handshake_uses_is_said_and_replaced():
    world = World(0)
    world.run(50)
    world.wire.tried = float("inf")  # no handshake comes through any more
    world.run(105 + world.timing.proof)
    assert world.initiator.failures[Failure.NOT_PROVEN] == 1
    assert world.given >= 3
    world.wire.tried = 0.0
    world.run(200)
    agree(world)
    assert world.initiator.last_failure is None


def test_a_hungry_tunnel_gets_its_key_at_once():
    world = World(0, timing=Timing(interval=600.0))
    world.run(150)
    given = world.given
    world.initiator.hasten(world.now)
    world.run(0.5)
    assert world.given == given + 1


def test_the_table_of_steps_has_an_outcome_for_whatever_a_call_may_bring():
    asking = {Step.GREET, Step.OFFER, Step.TURN, Step.PROVE_THERE, Step.SETTLE, Step.FIND}
    for step, outcome in itertools.product(asking, (Outcome.DONE, Outcome.REFUSED, Outcome.LOST, Outcome.UNREACHED)):
        assert (step, outcome) in NEXT
    assert {step for step, _ in NEXT} == set(Step)


def test_a_partner_refuses_what_it_does_not_know_and_answers_repeats_alike():
    machine = Responder()
    assert machine.take(Ask.TURN, "other") is Answer.REFUSED
    assert machine.take(Ask.PROVE, "other") is Answer.REFUSED
    assert machine.take(Ask.SETTLE, "other") is Answer.REFUSED
    for ask in (Ask.OFFER, Ask.TURN):
        machine.done(machine.take(ask, "one"), "one", True)
        assert machine.take(Ask.TURN if ask is Ask.TURN else ask, "one") is Answer.DONE
    for _ in range(2):
        work = machine.take(Ask.SETTLE, "one")
        assert work is Answer.DONE or machine.done(work, "one", True) is Answer.DONE
    assert machine.rollovers == 1
    assert machine.take(Ask.OFFER, "one") is Answer.REFUSED

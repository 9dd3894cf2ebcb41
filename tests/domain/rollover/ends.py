"""Two ends of a tunnel on paper: both machines, a channel that loses and doubles calls, WireGuard's rules, one seed."""

import itertools
import random

from quiver.domain.rollover.initiator import Initiator
from quiver.domain.rollover.responder import Answer, Ask, Responder, Work
from quiver.domain.rollover.steps import Outcome, Step
from quiver.domain.rollover.timing import Timing

SESSION = 180.0  # REJECT_AFTER_TIME of WireGuard
REKEY = 120.0  # REKEY_AFTER_TIME
RETRY = 5.0  # REKEY_TIMEOUT

ASKS = {
    Step.GREET: Ask.GREET,
    Step.OFFER: Ask.OFFER,
    Step.TURN: Ask.TURN,
    Step.WATCH: Ask.GREET,
    Step.PROVE_THERE: Ask.PROVE,
    Step.SETTLE: Ask.SETTLE,
    Step.FIND: Ask.GREET,
}


class Slot:
    """One end's room for one pre-shared key, and the handshakes that it saw."""

    def __init__(self):
        self.key = None
        self.since = -1.0
        self.handshake = -1.0

    def switch(self, key, now):
        self.key, self.since = key, now

    @property
    def proven(self):
        return self.handshake > self.since


class Wire:
    """WireGuard between both ends: a handshake when one is due succeeds if both hold the same key, else it is tried again."""

    def __init__(self):
        self.ends = (Slot(), Slot())
        self.session = -SESSION  # when the last handshake was
        self.tried = -RETRY
        self.used = []  # keys that a handshake used, in order
        self.dead = 0.0  # seconds without a session since the first
        self._seen = 0.0

    def run(self, now):
        one, other = self.ends
        if self.used:
            self.dead += max(0.0, now - max(self._seen, self.session + SESSION))
        self._seen = now
        if now - self.session < REKEY or now - self.tried < RETRY:
            return
        self.tried = now
        if one.key is not None and one.key == other.key:
            self.session = one.handshake = other.handshake = now
            if self.used[-1:] != [one.key]:
                self.used.append(one.key)


class World:
    """A run from a seed.

    Args:
        seed: draws what is lost.
        loss: share of calls that are lost on either way.
        quiet: (from, to) in which the channel carries nothing.
        keyless: likewise, in which the initiator's node gives no key.
        refusing: likewise, in which the responder's node gives none.
        broken: likewise, in which the initiator's tunnel takes no key.
    """

    def __init__(self, seed, *, loss=0.0, quiet=(), keyless=(), refusing=(), broken=(), timing=None):
        self.drawn = random.Random(seed)
        self.loss = loss
        self.quiet, self.keyless, self.refusing, self.broken = quiet, keyless, refusing, broken
        self.timing = timing or Timing(interval=120.0, lead=15.0)
        self.now = 0.0
        self.names = (f"key-{number}" for number in itertools.count(1))
        self.given = 0
        self.wire = Wire()
        self.initiator = Initiator(self.timing, 0.0)
        self.responder = Responder()
        self.counted = ([], [])
        self.steps = []

    def restart_initiator(self):
        self.initiator = Initiator(self.timing, self.now)

    def restart_responder(self):
        self.responder = Responder()

    def run(self, seconds):
        until = self.now + seconds
        while self.now < until:
            self.wire.run(self.now)
            if self.initiator.due <= self.now:
                self.act()
            self.now = round(self.now + 0.05, 2)

    def during(self, times):
        return any(start <= self.now < end for start, end in times)

    def act(self):
        machine, slot = self.initiator, self.wire.ends[0]
        step = machine.step
        self.steps.append(step)
        before = machine.rollovers
        if step in {Step.GREET, Step.WATCH} and machine.active is not None and slot.key != machine.active:
            outcome = Outcome.FAILED
        elif step in ASKS:
            outcome = self.call(ASKS[step], machine.wanted)
        elif step is Step.KEY:
            outcome = Outcome.FAILED if self.during(self.keyless) else Outcome.DONE
            if outcome is Outcome.DONE:
                self.given += 1
                machine.got_key(next(self.names))
        elif step in {Step.SWITCH, Step.SWITCH_BLIND}:
            outcome = Outcome.FAILED if self.during(self.broken) else Outcome.DONE
            if outcome is Outcome.DONE:
                slot.switch(machine.wanted, self.now)
        elif step is Step.PROVE:
            outcome = Outcome.DONE if slot.proven else Outcome.NOT_YET
        else:
            outcome = Outcome.DONE
        machine.done(outcome, self.now)
        if machine.rollovers > before:
            self.counted[0].append(machine.active)

    def call(self, ask, key_id):
        if self.during(self.quiet):
            return Outcome.UNREACHED
        if self.drawn.random() < self.loss:
            return Outcome.LOST
        for _ in range(1 + (self.drawn.random() < self.loss)):  # and perhaps once more
            answer = self.respond(ask, key_id)
        if self.drawn.random() < self.loss:
            return Outcome.LOST
        return {Answer.DONE: Outcome.DONE, Answer.NOT_YET: Outcome.NOT_YET, Answer.REFUSED: Outcome.REFUSED}[answer]

    def respond(self, ask, key_id):
        machine, slot = self.responder, self.wire.ends[1]
        todo = machine.take(ask, key_id)
        if isinstance(todo, Answer):
            return todo
        succeeded = True
        if todo is Work.STAGE:
            succeeded = not self.during(self.refusing)
        elif todo is Work.SWITCH:
            slot.switch(key_id, self.now)
        elif todo is Work.PROVE:
            succeeded = slot.proven
            if not succeeded and slot.key != machine.active:
                return machine.lost()
        elif todo is Work.LOOK:
            succeeded = machine.active is None or slot.key == machine.active
        answer = machine.done(todo, key_id, succeeded)
        if todo is Work.RETIRE:
            self.counted[1].append(key_id)
        return answer

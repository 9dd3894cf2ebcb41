"""What the initiator of a rollover does next, as a table.

The initiator is the master SAE of ETSI GS QKD 014, its partner the slave SAE. A *round* brings one key into use at both:

    initiator                                   partner
    asks whether the partner is there           which key it uses
    gets a key from its node
    offers its key_ID                           gets the key from its own node, makes it ready
    makes the key ready
    tells the partner to switch                 switches
    switches
    waits until the tunnel has proven it,       likewise
    and watches that both ends still hold it
    settles: counts the rollover                counts the rollover, drops the key before
    drops the key before

One step is under way at a time. Each may be repeated: the partner answers a repeat as it did the first time.
"""

import enum
from typing import Final

__all__ = ["NEXT", "Outcome", "Step"]


class Step(enum.Enum):
    """What the initiator is about to do."""

    GREET = "ask the partner which key it uses"
    KEY = "get a key from the node"
    OFFER = "have the partner get the key and make it ready"
    STAGE = "make the key ready"
    TURN = "have the partner switch to the key"
    SWITCH = "switch to the key"
    PROVE = "see whether the tunnel uses the key"
    WATCH = "see meanwhile whether both ends still hold the key"
    PROVE_THERE = "ask the partner whether its end of the tunnel does"
    SETTLE = "have the partner count the rollover"
    RETIRE = "drop the key before"
    SWITCH_BLIND = "switch without knowing whether the partner has"
    FIND = "look for a partner that may or may not have switched"


class Outcome(enum.Enum):
    """How a step ended."""

    DONE = "done"
    NOT_YET = "not yet"
    REFUSED = "the partner refused"
    FAILED = "this side failed"
    LOST = "no answer; the partner may have done it"
    UNREACHED = "the partner was not reached, or would not listen: it has done nothing"


_S, _O = Step, Outcome
NEXT: Final[dict[tuple[Step, Outcome], Step]] = {
    (_S.GREET, _O.DONE): _S.KEY,  # when it is time
    (_S.GREET, _O.REFUSED): _S.KEY,  # early: the two ends differ
    (_S.GREET, _O.LOST): _S.GREET,
    (_S.GREET, _O.UNREACHED): _S.GREET,
    (_S.GREET, _O.FAILED): _S.KEY,  # early: this end does not hold what it should
    (_S.KEY, _O.DONE): _S.OFFER,
    (_S.KEY, _O.FAILED): _S.GREET,  # or SWITCH_BLIND to the key before, where the two ends differ and it is held
    (_S.OFFER, _O.DONE): _S.STAGE,
    (_S.OFFER, _O.REFUSED): _S.GREET,  # likewise
    (_S.OFFER, _O.LOST): _S.OFFER,
    (_S.OFFER, _O.UNREACHED): _S.OFFER,
    (_S.STAGE, _O.DONE): _S.TURN,
    (_S.STAGE, _O.FAILED): _S.GREET,
    (_S.TURN, _O.DONE): _S.SWITCH,
    (_S.TURN, _O.REFUSED): _S.GREET,
    (_S.TURN, _O.LOST): _S.TURN,
    (_S.TURN, _O.UNREACHED): _S.TURN,
    (_S.SWITCH, _O.DONE): _S.PROVE,
    (_S.SWITCH, _O.FAILED): _S.SWITCH,  # for a time: then the round is given up
    (_S.PROVE, _O.DONE): _S.PROVE_THERE,
    (_S.PROVE, _O.NOT_YET): _S.WATCH,
    (_S.PROVE, _O.FAILED): _S.WATCH,
    (_S.WATCH, _O.DONE): _S.PROVE,
    (_S.WATCH, _O.REFUSED): _S.GREET,
    (_S.WATCH, _O.FAILED): _S.GREET,
    (_S.WATCH, _O.LOST): _S.PROVE,
    (_S.WATCH, _O.UNREACHED): _S.PROVE,
    (_S.PROVE_THERE, _O.DONE): _S.SETTLE,
    (_S.PROVE_THERE, _O.NOT_YET): _S.PROVE_THERE,
    (_S.PROVE_THERE, _O.REFUSED): _S.GREET,
    (_S.PROVE_THERE, _O.LOST): _S.PROVE_THERE,
    (_S.PROVE_THERE, _O.UNREACHED): _S.PROVE_THERE,
    (_S.SETTLE, _O.DONE): _S.RETIRE,
    (_S.SETTLE, _O.REFUSED): _S.GREET,
    (_S.SETTLE, _O.LOST): _S.SETTLE,
    (_S.SETTLE, _O.UNREACHED): _S.SETTLE,
    (_S.RETIRE, _O.DONE): _S.GREET,
    (_S.RETIRE, _O.FAILED): _S.GREET,
    (_S.SWITCH_BLIND, _O.DONE): _S.FIND,
    (_S.SWITCH_BLIND, _O.FAILED): _S.SWITCH_BLIND,  # likewise
    (_S.FIND, _O.DONE): _S.KEY,  # it is there again: whatever the two ends hold, a new round makes it equal
    (_S.FIND, _O.REFUSED): _S.KEY,
    (_S.FIND, _O.FAILED): _S.KEY,
    (_S.FIND, _O.LOST): _S.FIND,
    (_S.FIND, _O.UNREACHED): _S.FIND,
}
"""(step, outcome) → the next step. What is not here cannot happen."""

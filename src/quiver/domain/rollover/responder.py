"""The partner of rollovers: what each message of the initiator makes it do. No input or output, no clock."""

import enum

__all__ = ["Answer", "Ask", "Responder", "Work"]


class Ask(enum.Enum):
    """What the initiator asks for; the values stand in its messages."""

    GREET = "greet"
    OFFER = "offer"
    TURN = "turn"
    PROVE = "prove"
    SETTLE = "settle"


class Answer(enum.Enum):
    """What it is told; the values stand in answers."""

    DONE = "done"
    NOT_YET = "not-yet"
    REFUSED = "refused"


class Work(enum.Enum):
    """What has to be done before the answer."""

    LOOK = "see whether the tunnel holds the active key"
    STAGE = "get the key and make it ready"
    SWITCH = "switch to the key"
    PROVE = "see whether the tunnel uses the key"
    RETIRE = "drop the key before"


class Responder:
    """Keeps what the initiator has offered and what is in use, by key_ID.

    `take` says what is to be done for a message, or its answer at once; after the work `done` says the answer. One message is
    worked on at a time. Repeats get the first answer again: a round counts once.
    """

    def __init__(self) -> None:
        self.active: str | None = None
        self.fresh: str | None = None
        self.rollovers = 0
        self._settled: str | None = None

    def lost(self) -> Answer:
        """The tunnel no longer holds the key in use, as one that was made anew; what that is answered with."""
        self.active = None
        return Answer.REFUSED

    def take(self, ask: Ask, key_id: str | None) -> Work | Answer:
        """A message: work to be done for it, or the answer.

        Args:
            ask: what it asks for.
            key_id: the key that it is about; of GREET, the one that the initiator uses, if any.
        """
        match ask:
            case Ask.GREET:
                return Work.LOOK
            case Ask.OFFER:
                if key_id == self.active:
                    return Answer.REFUSED  # a key_ID is offered once
                return Answer.DONE if key_id == self.fresh else Work.STAGE
            case Ask.TURN if key_id == self.fresh:
                return Work.SWITCH
            case _ if key_id is None or key_id != self.active:
                return Answer.REFUSED
            case Ask.TURN:
                return Answer.DONE
            case Ask.PROVE:
                return Work.PROVE
        return Answer.DONE if key_id == self._settled else Work.RETIRE

    def done(self, work: Work, key_id: str | None, succeeded: bool) -> Answer:
        """The answer, once the work is done or has failed.

        Args:
            work: what was done.
            key_id: as in `take`.
            succeeded: whether it was; of LOOK and PROVE, whether the tunnel does.
        """
        match work:
            case Work.LOOK:
                return Answer.DONE if succeeded and key_id == self.active else Answer.REFUSED
            case Work.PROVE:
                return Answer.DONE if succeeded else Answer.NOT_YET
            case Work.STAGE if succeeded:
                self.fresh = key_id
            case Work.SWITCH if succeeded:
                self.active, self.fresh = key_id, None
            case Work.RETIRE:  # the rollover is a fact, whether or not the tunnel could forget the key before
                self._settled = key_id
                self.rollovers += 1
                return Answer.DONE
        return Answer.DONE if succeeded else Answer.REFUSED

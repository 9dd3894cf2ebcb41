"""The simulated quantum channel of one QKD link: how many secret bits both ends have gained by now.

Theory of operation: the error rate wanders around what the rate model expects (a mean-reverting random walk
with one draw per second of channel time, so that a seed fixes its course however often one looks), and the
secret key rate follows from the model's formula at that error rate. Faults act as they do on fibre:

* *down*: no light, no rate;
* *eavesdropper*: full intercept-resend raises the error rate by 25 points (C. H. Bennett, G. Brassard, 1984)
  or the excess noise by two shot noise units (CV); the formula then yields nothing.

Clock and randomness are arguments: `advance` is told the time, in seconds of any monotonic clock.
"""

import enum
import math
import random
from typing import Final

import msgspec

from quiver.qkd.rates import RateModel, transmittance

__all__ = ["ChannelState", "Fibre", "QuantumChannel"]

STEP: Final = 1.0  # seconds of channel time between two draws
STEPS_AT_ONCE: Final = 5_000  # after a longer pause the rest counts at the last rate
MEMORY: Final = 0.9  # of the random walk, per step
SPREAD: Final = 0.08  # standard deviation of ln(error rate)


class ChannelState(enum.Enum):
    """What is wrong with the channel."""

    UP = "up"
    DOWN = "down"
    EAVESDROPPER = "eavesdropper"


class Fibre(msgspec.Struct, frozen=True, kw_only=True):
    """Length in km, attenuation in dB per km, and loss in dB of connectors and switches."""

    length_km: float
    loss_db_per_km: float = 0.2
    extra_loss_db: float = 0.0

    @property
    def loss_db(self) -> float:
        """The loss from end to end."""
        return self.length_km * self.loss_db_per_km + self.extra_loss_db

    @property
    def transmittance(self) -> float:
        """What arrives, 0 to 1."""
        return transmittance(self.loss_db)


class QuantumChannel:
    """Fibre, devices' physics and faults of one link.

    Args:
        model: the formula and its parameters.
        fibre: length and loss.
        randomness: where the fluctuation comes from; never used for keys.
        time_scale: seconds of channel time per second of the clock.
    """

    def __init__(self, model: RateModel, fibre: Fibre, *, randomness: random.Random, time_scale: float = 1.0) -> None:
        self._model = model
        self._fibre = fibre
        self._randomness = randomness
        self._time_scale = time_scale
        self._state = ChannelState.UP
        self._expected = model.qber(fibre.loss_db)
        self._walk = randomness.gauss(0.0, 1.0)
        self._since_draw = 0.0
        self._seen: float | None = None
        self._draw()

    @property
    def state(self) -> ChannelState:
        """Up, down or eavesdropped upon."""
        return self._state

    @property
    def qber(self) -> float | None:
        """The error rate now (CV: excess noise in shot noise units); None without light."""
        if self._state is ChannelState.DOWN:
            return None
        ceiling = math.inf if self._model.intercept_error > 1 else 0.5
        return min(self._expected + self._extra, ceiling)

    @property
    def rate(self) -> float:
        """Secret bits per second of channel time, now."""
        return self._rate

    def set_state(self, state: ChannelState, now: float) -> float:
        """Break or repair the channel; returns the bits gained until `now`, like `advance`."""
        gained = self.advance(now)
        self._state = state
        self._settle()
        return gained

    def advance(self, now: float) -> float:
        """The secret bits that both ends gained since the last call; the first call only starts the clock."""
        if self._seen is None:
            self._seen = now
        left = max(0.0, now - self._seen) * self._time_scale
        self._seen = max(now, self._seen)
        gained = 0.0
        for _ in range(STEPS_AT_ONCE):
            span = min(left, STEP - self._since_draw)
            gained += self._rate * span
            left -= span
            self._since_draw += span
            if self._since_draw < STEP:
                return gained
            self._since_draw = 0.0
            self._walk = MEMORY * self._walk + math.sqrt(1 - MEMORY**2) * self._randomness.gauss(0.0, 1.0)
            self._draw()
        return gained + self._rate * left

    def _draw(self) -> None:
        self._wobble = self._expected * (math.exp(SPREAD * self._walk) - 1)
        self._settle()

    def _settle(self) -> None:
        attack = self._model.intercept_error if self._state is ChannelState.EAVESDROPPER else 0.0
        self._extra = self._wobble + attack
        self._rate = (
            0.0 if self._state is ChannelState.DOWN else self._model.rate(self._fibre.loss_db, extra_error=self._extra)
        )

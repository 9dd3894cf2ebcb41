"""Secret key rates of QKD links from published formulas, per pulse (or symbol) and per second.

Two families, as the market has them:

* discrete variables: decoy-state BB84 with vacuum + weak decoy, in the asymptotic limit. X. Ma, B. Qi,
  Y. Zhao, H.-K. Lo, "Practical decoy state for quantum key distribution", Phys. Rev. A 72, 012326 (2005),
  arXiv:quant-ph/0503005: model eqs. 6 to 11, bounds eqs. 34 and 37, rate eq. 1 (the GLLP form of H.-K. Lo,
  X. Ma, K. Chen, Phys. Rev. Lett. 94, 230504 (2005));
* continuous variables: Gaussian-modulated coherent states (GG02) with homodyne detection, reverse
  reconciliation and collective attacks, detector noise trusted: the Devetak-Winter rate K = β I_AB - χ_BE
  of J. Lodewyck et al., Phys. Rev. A 76, 042305 (2007), arXiv:0706.4255.

Both are asymptotic: finite-size effects, which cost real products a part of this rate, are left out.
"""

import math
from typing import Final, Protocol

import msgspec

__all__ = [
    "CvGaussian",
    "DecoyBb84",
    "RateModel",
    "binary_entropy",
    "transmittance",
]

RANDOM_ERROR: Final = 0.5  # e_0: the error rate of a background count


def transmittance(loss_db: float) -> float:
    """What a channel with this loss (dB, not negative) lets through."""
    return float(10 ** (-loss_db / 10))


def binary_entropy(x: float) -> float:
    """H2(x) in bits, 0 at and beyond the ends."""
    return 0.0 if x <= 0 or x >= 1 else -x * math.log2(x) - (1 - x) * math.log2(1 - x)


class RateModel(Protocol):
    """A link's secret key rate and what its devices report as QBER."""

    @property
    def intercept_error(self) -> float:
        """What full intercept-resend adds to the error rate (CV: to the excess noise)."""
        ...

    def qber(self, loss_db: float) -> float:
        """The error rate expected at this loss (CV: the excess noise in shot noise units)."""
        ...

    def rate(self, loss_db: float, extra_error: float = 0.0) -> float:
        """Secret bits per second at this loss, with `extra_error` on top of the expected error rate."""
        ...


class DecoyBb84(msgspec.Struct, frozen=True, kw_only=True):
    """Decoy-state BB84, vacuum + weak. The defaults are the GYS experiment, table I of Ma et al. 2005.

    Args:
        pulse_rate: pulses per second (GYS: 2 MHz; products today: 1 GHz).
        background: Y_0, counts per pulse without light.
        misalignment: e_detector, the error rate of a photon that arrives.
        receiver: η_Bob, transmittance times detection efficiency.
        signal: μ, mean photons of a signal pulse.
        decoy: ν, mean photons of a weak decoy pulse, less than μ.
        correction: f(E), inefficiency of error correction.
        sifting: q, 1/2 where bases are equally likely.
        signal_share: share of the pulses that are signal, 1 in the paper's plots.
    """

    pulse_rate: float = 2e6
    background: float = 1.7e-6
    misalignment: float = 0.033
    receiver: float = 0.045
    signal: float = 0.48
    decoy: float = 0.05
    correction: float = 1.22
    sifting: float = 0.5
    signal_share: float = 1.0

    @property
    def intercept_error(self) -> float:
        """A quarter: half of the bases are guessed wrong, and half of those bits flip."""
        return 0.25

    def _gain(self, photons: float, loss_db: float, extra_error: float) -> tuple[float, float]:
        """Q and E Q of pulses with this mean photon number (eqs. 10 and 11)."""
        arrived = 1 - math.exp(-transmittance(loss_db) * self.receiver * photons)
        errors = RANDOM_ERROR * self.background + min(max(self.misalignment + extra_error, 0.0), RANDOM_ERROR) * arrived
        return self.background + arrived, errors

    def qber(self, loss_db: float) -> float:
        """E_μ: errors per count of signal pulses."""
        gain, errors = self._gain(self.signal, loss_db, 0.0)
        return errors / gain

    def single_photons(self, loss_db: float, extra_error: float = 0.0) -> tuple[float, float]:
        """Y_1 from below (eq. 34) and e_1 from above (eq. 37): what the decoys prove about single photons."""
        mu, nu = self.signal, self.decoy
        gain_mu, _ = self._gain(mu, loss_db, extra_error)
        gain_nu, errors_nu = self._gain(nu, loss_db, extra_error)
        ratio = nu * nu / (mu * mu)
        yield_1 = (mu / (mu * nu - nu * nu)) * (
            gain_nu * math.exp(nu) - gain_mu * math.exp(mu) * ratio - (1 - ratio) * self.background
        )
        if yield_1 <= 0:
            return 0.0, RANDOM_ERROR
        error_1 = (errors_nu * math.exp(nu) - RANDOM_ERROR * self.background) / (yield_1 * nu)
        return yield_1, min(max(error_1, 0.0), RANDOM_ERROR)

    def per_pulse(self, loss_db: float, extra_error: float = 0.0) -> float:
        """Secret bits per pulse (eq. 1), 0 where none can be had."""
        gain, errors = self._gain(self.signal, loss_db, extra_error)
        yield_1, error_1 = self.single_photons(loss_db, extra_error)
        gain_1 = yield_1 * self.signal * math.exp(-self.signal)
        return max(
            0.0,
            self.sifting
            * (gain_1 * (1 - binary_entropy(error_1)) - gain * self.correction * binary_entropy(errors / gain)),
        )

    def rate(self, loss_db: float, extra_error: float = 0.0) -> float:
        """Secret bits per second."""
        return self.per_pulse(loss_db, extra_error) * self.pulse_rate * self.signal_share


def _g(x: float) -> float:
    """Entropy in bits of a thermal state with x photons on average."""
    return 0.0 if x <= 0 else (x + 1) * math.log2(x + 1) - x * math.log2(x)


def _pair(trace: float, product: float) -> tuple[float, float]:
    """The symplectic eigenvalues λ from λ² = (trace ± √(trace² - 4 product)) / 2, none below 1."""
    root = math.sqrt(max(trace * trace - 4 * product, 0.0))
    plus = (trace + root) / 2
    return max(math.sqrt(plus), 1.0), max(math.sqrt(max(product / plus, 0.0)), 1.0)


class CvGaussian(msgspec.Struct, frozen=True, kw_only=True):
    """GG02 with homodyne detection. Variances in shot noise units; defaults near P. Jouguet et al. 2013.

    Args:
        symbol_rate: symbols per second.
        modulation: V_A, Alice's modulation variance.
        excess_noise: ξ, at the channel's input.
        detection: η, efficiency of Bob's detector, trusted.
        electronic_noise: v_el of Bob's detector, trusted.
        reconciliation: β, efficiency of reverse reconciliation.
        key_share: share of the symbols that become key, the rest estimates the channel.
    """

    symbol_rate: float = 1e6
    modulation: float = 4.0
    excess_noise: float = 0.005
    detection: float = 0.6
    electronic_noise: float = 0.015
    reconciliation: float = 0.95
    key_share: float = 0.5

    @property
    def intercept_error(self) -> float:
        """Two shot noise units: Eve measures both quadratures and sends a new state (Lodewyck et al. 2007)."""
        return 2.0

    def qber(self, loss_db: float) -> float:
        """A CV device has no QBER: this is its excess noise ξ, independent of the loss."""
        del loss_db
        return self.excess_noise

    def information(self, loss_db: float, extra_noise: float = 0.0) -> tuple[float, float]:
        """I_AB and χ_BE in bits per symbol (Lodewyck et al. 2007, section IV)."""
        t = transmittance(loss_db)
        v = self.modulation + 1
        line = 1 / t - 1 + self.excess_noise + extra_noise
        homodyne = (1 + self.electronic_noise) / self.detection - 1
        total = line + homodyne / t
        shared = 0.5 * math.log2((v + total) / (1 + total))
        a = v * v * (1 - 2 * t) + 2 * t + (t * (v + line)) ** 2
        root_b = t * (v * line + 1)
        scale = t * (v + total)
        c = (v * root_b + t * (v + line) + a * homodyne) / scale
        d = root_b * (v + root_b * homodyne) / scale
        before, after = _pair(a, root_b * root_b), _pair(c, d)
        holevo = sum(_g((x - 1) / 2) for x in before) - sum(_g((x - 1) / 2) for x in after)
        return shared, holevo

    def per_symbol(self, loss_db: float, extra_noise: float = 0.0) -> float:
        """Secret bits per symbol, 0 where none can be had."""
        shared, holevo = self.information(loss_db, extra_noise)
        return max(0.0, self.reconciliation * shared - holevo)

    def rate(self, loss_db: float, extra_error: float = 0.0) -> float:
        """Secret bits per second; `extra_error` is extra excess noise ξ."""
        return self.per_symbol(loss_db, extra_error) * self.symbol_rate * self.key_share

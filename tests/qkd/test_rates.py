"""The rate formulas give what their papers give."""

import math

import pytest

from quiver.qkd.rates import CvGaussian, DecoyBb84, RateModel, binary_entropy, transmittance

GYS = DecoyBb84()
GYS_FIBRE = 0.21  # dB per km
MODELS: list[RateModel] = [GYS, DecoyBb84(pulse_rate=1e9, receiver=0.1, background=1e-6), CvGaussian()]


def test_gys_reaches_the_published_distance() -> None:
    """Ma et al. 2005, figure 3: 140.55 km with vacuum + weak decoy, and less than the 142.05 km of infinitely many."""
    cut_off = next(d / 100 for d in range(13_000, 15_000) if GYS.per_pulse(GYS_FIBRE * d / 100) == 0)
    assert cut_off == pytest.approx(140.55, abs=0.15)


def test_the_decoys_bound_single_photons_from_the_safe_side() -> None:
    for km in range(0, 141, 10):
        true_yield = GYS.background + transmittance(GYS_FIBRE * km) * GYS.receiver
        true_error = (0.5 * GYS.background + 0.033 * (true_yield - GYS.background)) / true_yield
        bound, error = GYS.single_photons(GYS_FIBRE * km)
        assert 0.9 * true_yield < bound <= true_yield
        assert error >= true_error


def test_the_best_signal_intensity_is_the_published_one() -> None:
    """Ma et al. 2005, section III: μ = 0.48 is optimal for GYS at f(E) = 1.22."""
    rates = {mu: DecoyBb84(signal=mu / 100).per_pulse(GYS_FIBRE * 40) for mu in range(30, 71)}
    assert max(rates, key=lambda mu: rates[mu]) in range(45, 52)


def test_a_gigahertz_system_makes_about_a_megabit_per_second_at_50_km() -> None:
    """1 to 2 Mb/s is what Dervisevic et al. (arXiv:2408.04598) give for practical networks."""
    modern = DecoyBb84(pulse_rate=1e9, receiver=0.1, misalignment=0.01, background=1e-6, correction=1.16)
    assert 0.5e6 < modern.rate(10.0) < 3e6


@pytest.mark.parametrize("model", MODELS)
def test_the_rate_falls_with_loss_and_with_errors(model: RateModel) -> None:
    rates = [model.rate(loss / 2) for loss in range(2, 70)]
    assert rates == sorted(rates, reverse=True)
    assert model.rate(5.0) > model.rate(5.0, extra_error=0.005) > 0
    assert model.rate(5.0, extra_error=model.intercept_error) == 0


@pytest.mark.parametrize("loss_db", [0.5, 1, 2, 5, 10, 15, 20, 30])
def test_no_formula_beats_the_repeaterless_bound(loss_db: float) -> None:
    """PLOB: at most -log2(1 - T) secret bits per use (Pirandola et al., Nat. Commun. 8, 15043, 2017)."""
    bound = -math.log2(1 - transmittance(loss_db))
    assert GYS.per_pulse(loss_db) < bound
    assert CvGaussian(excess_noise=0, electronic_noise=0, detection=1, reconciliation=1).per_symbol(loss_db) < bound


def test_cv_at_25_km_agrees_with_the_experiment_of_lodewyck_2007() -> None:
    """T = 0.302, V_A = 18.5, ξ = 0.005, η = 0.606, v_el = 0.041, β = 0.898: little but positive."""
    model = CvGaussian(
        modulation=18.5, excess_noise=0.005, detection=0.606, electronic_noise=0.041, reconciliation=0.898
    )
    loss_db = -10 * math.log10(0.302)
    shared, holevo = model.information(loss_db)
    assert 0 < holevo < shared
    assert 0.001 < model.per_symbol(loss_db) < 0.1
    assert CvGaussian(reconciliation=0.8, modulation=18.5).per_symbol(loss_db) == 0


def test_cv_over_a_perfect_channel_leaks_nothing() -> None:
    _, holevo = CvGaussian(excess_noise=0.0).information(0.0)
    assert holevo == pytest.approx(0.0, abs=1e-9)


def test_entropy_has_its_known_values() -> None:
    assert binary_entropy(0.5) == 1
    assert binary_entropy(0.11) == pytest.approx(0.4999, abs=1e-3)
    assert binary_entropy(0) == binary_entropy(1) == 0

import math

import numpy as np
import pytest
from calibration import utils as kumar
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from judgekit.metrics.reliability import (
    BrierParts,
    binned_brier_parts,
    binned_ece,
    binned_ece_debiased,
    binned_sharpness,
    binned_squared_error_debiased,
    sum_in_bins,
)
from judgekit.metrics.steps import (
    bin_index,
    compute_bins,
    compute_brier,
    compute_ece,
    compute_equal_mass_bins,
    equal_mass_edges,
    equal_width_edges,
)

probabilities = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
steps = st.lists(st.tuples(probabilities, st.integers(0, 1)), min_size=1, max_size=30)


def columns(rows):
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


def overconfident(n, *, seed=0):
    rng = np.random.default_rng(seed)
    p_ok = rng.random(n)
    return p_ok, (rng.random(n) < p_ok**2).astype(float)


def sums_of(p_ok, ok, edges):
    return sum_in_bins(p_ok, ok, edges=edges, unit_K=np.zeros(len(ok), dtype=int), n_units=1)


def ece_debiased(p_ok, ok, *, n_bins):
    p_ok = np.array(p_ok)
    return float(binned_ece_debiased(sums_of(p_ok, np.array(ok), equal_mass_edges(p_ok, n_bins=n_bins)))[0])


def brier_parts(p_ok, ok, *, n_bins):
    p_ok = np.array(p_ok)
    return BrierParts(*binned_brier_parts(sums_of(p_ok, np.array(ok), equal_mass_edges(p_ok, n_bins=n_bins)))[0])


def sharpness(p_ok):
    return binned_sharpness(sums_of(np.array(p_ok), np.ones(len(p_ok)), np.array([0.0, 1.0])))[0]


def kumar_bins(p_ok, ok, bounds):
    data = list(zip(p_ok.tolist(), ok.tolist(), strict=True))
    return [held for held in kumar.bin(data, bounds) if len(held)]


def test_equal_mass_edges_by_hand():
    p_ok = np.array([0.9, 0.1, 0.2, 0.6, 0.8, 0.3])
    assert equal_mass_edges(p_ok, n_bins=3).tolist() == [0.0, 0.3, 0.8, 1.0]
    assert [bin_.count for bin_ in compute_equal_mass_bins(p_ok, [1] * 6, n_bins=3)] == [2, 2, 2]


def test_equal_probabilities_share_a_bin_and_few_steps_get_few_bins():
    assert equal_mass_edges(np.array([0.4] * 9), n_bins=5).tolist() == [0.0, 1.0]
    assert equal_mass_edges(np.array([0.0] * 5 + [1.0] * 5), n_bins=5).tolist() == [0.0, 1.0, 1.0]
    assert [b.count for b in compute_equal_mass_bins([0.0] * 5 + [1.0] * 5, [1] * 10, n_bins=5)] == [5, 5]
    assert equal_mass_edges(np.array([0.7]), n_bins=10).tolist() == [0.0, 1.0]
    assert equal_mass_edges(np.array([0.1, 0.2, 0.3, 0.4, 0.5]), n_bins=10).tolist() == [0.0, 0.3, 1.0]


@settings(max_examples=60)
@given(steps, st.integers(1, 8))
def test_every_step_lies_between_the_edges_of_its_bin(rows, n_bins):
    p_ok, ok = columns(rows)
    bins = compute_equal_mass_bins(p_ok, ok, n_bins=n_bins)
    assert sum(bin_.count for bin_ in bins) == len(rows)
    assert all(bin_.count > 0 for bin_ in bins)
    assert all(b.lo <= b.mean_prob + 1e-12 and b.mean_prob <= b.hi + 1e-12 for b in bins)


def test_bins_agree_with_scikit_learn():
    p_ok, ok = overconfident(500)
    for strategy, bins in [
        ("quantile", compute_equal_mass_bins(p_ok, ok, n_bins=10)),
        ("uniform", compute_bins(p_ok, ok, n_bins=10)),
    ]:
        frac_ok, mean_prob = calibration_curve(ok, p_ok, n_bins=10, strategy=strategy)
        assert [bin_.frac_ok for bin_ in bins] == pytest.approx(frac_ok, abs=1e-12)
        assert [bin_.mean_prob for bin_ in bins] == pytest.approx(mean_prob, abs=1e-12)


def test_ece_of_both_kinds_of_bins_agrees_with_the_code_of_kumar_et_al():
    p_ok, ok = overconfident(400)
    wide = kumar_bins(p_ok, ok, kumar.get_equal_prob_bins(p_ok, num_bins=10))
    massed = kumar_bins(p_ok, ok, kumar.get_equal_bins(p_ok.tolist(), num_bins=10))
    ece, ece_equal_mass = kumar.plugin_ce(wide, power=1), kumar.plugin_ce(massed, power=1)
    assert compute_ece(compute_bins(p_ok, ok, n_bins=10)) == pytest.approx(ece, abs=1e-12)
    assert compute_ece(compute_equal_mass_bins(p_ok, ok, n_bins=10)) == pytest.approx(ece_equal_mass, abs=1e-12)
    assert binned_ece(sums_of(p_ok, ok, equal_width_edges(10)))[0] == pytest.approx(ece, abs=1e-12)


def test_debiased_error_by_hand():
    # bins (0.2, 0.4 | 0, 1) and (0.7, 0.9 | 1, 1): gaps -0.2 and -0.2; noise 0.25 / 1 and 0
    p_ok, ok = np.array([0.2, 0.4, 0.7, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    sums = sums_of(p_ok, ok, equal_mass_edges(p_ok, n_bins=2))
    assert binned_squared_error_debiased(sums) == pytest.approx([0.5 * (0.04 - 0.25) + 0.5 * 0.04], abs=1e-12)
    assert ece_debiased(p_ok, ok, n_bins=2) == 0.0
    assert ece_debiased([0.7, 0.9], [1, 1], n_bins=1) == pytest.approx(0.2, abs=1e-12)


def test_debiased_error_agrees_with_the_code_of_kumar_et_al():
    p_ok, ok = overconfident(400)
    bins = kumar_bins(p_ok, ok, kumar.get_equal_bins(p_ok.tolist(), num_bins=10))
    assert ece_debiased(p_ok, ok, n_bins=10) == pytest.approx(kumar.unbiased_l2_ce(bins), abs=1e-12)


def test_debiasing_is_right_in_the_mean():
    # calibrated by construction: the squared error is 0, which noise raises to mean p (1 - p) / 20 = 0.0083 in bins
    # of 20, and the debiased one must not be raised
    debiased, plain = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        p_ok = rng.random(100)
        ok = (rng.random(100) < p_ok).astype(float)
        sums = sums_of(p_ok, ok, equal_mass_edges(p_ok, n_bins=5))
        debiased.append(binned_squared_error_debiased(sums)[0])
        bins = compute_equal_mass_bins(p_ok, ok, n_bins=5)
        plain.append(sum(b.count * (b.mean_prob - b.frac_ok) ** 2 for b in bins) / 100)
    error = np.std(debiased) / math.sqrt(300)
    assert abs(np.mean(debiased)) < 3 * error
    assert np.mean(plain) > 20 * error


@settings(max_examples=60)
@given(steps, st.integers(1, 8))
def test_debiasing_never_raises_the_error(rows, n_bins):
    p_ok, ok = columns(rows)
    debiased = ece_debiased(p_ok, ok, n_bins=n_bins)
    bins = [bin_ for bin_ in compute_equal_mass_bins(p_ok, ok, n_bins=n_bins) if bin_.count > 1]
    if math.isnan(debiased):
        assert not bins
        return
    square = sum(b.count * (b.mean_prob - b.frac_ok) ** 2 for b in bins) / sum(b.count for b in bins)
    assert 0.0 <= debiased <= math.sqrt(square) + 1e-9


def test_one_step_has_no_debiased_error():
    assert math.isnan(ece_debiased([0.4], [1], n_bins=10))


def test_brier_parts_by_hand():
    # bins (0.1, 0.3 | 0, 1) and (0.8, 0.8 | 1, 1); mean p 0.2 and 0.8, share right 0.5 and 1, overall 0.75
    parts = brier_parts([0.1, 0.3, 0.8, 0.8], [0, 1, 1, 1], n_bins=2)
    assert parts.brier == pytest.approx((0.01 + 0.49 + 0.04 + 0.04) / 4, abs=1e-12)
    assert parts.reliability == pytest.approx((0.3**2 + 0.2**2) / 2, abs=1e-12)
    assert parts.resolution == pytest.approx(0.25**2, abs=1e-12)
    assert parts.uncertainty == pytest.approx(0.75 * 0.25, abs=1e-12)
    # spread 2 * 0.1^2 / 4 = 0.005; covariance (0.1 * 0.5 + 0.1 * 0.5) / 4 = 0.025, twice
    assert parts.within == pytest.approx(0.005 - 0.05, abs=1e-12)


@settings(max_examples=60)
@given(steps, st.integers(1, 8))
def test_brier_parts_add_up(rows, n_bins):
    p_ok, ok = columns(rows)
    parts = brier_parts(p_ok, ok, n_bins=n_bins)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(parts.brier, abs=1e-12)
    assert parts.brier == pytest.approx(compute_brier(p_ok, ok), abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


def test_brier_and_its_parts_against_independent_code():
    p_ok, ok = overconfident(500)
    parts = brier_parts(p_ok, ok, n_bins=10)
    assert parts.brier == pytest.approx(brier_score_loss(ok, p_ok), abs=1e-12)
    frac_ok, mean_prob = calibration_curve(ok, p_ok, n_bins=10, strategy="quantile")
    assert parts.reliability == pytest.approx(np.mean((mean_prob - frac_ok) ** 2), abs=1e-12)
    assert parts.resolution == pytest.approx(np.mean((frac_ok - ok.mean()) ** 2), abs=1e-12)


def test_forecasts_of_a_few_values_have_nothing_within_the_bins():
    # Murphy's own setting: then reliability - resolution + uncertainty is the whole Brier score
    p_ok, ok = [0.2] * 5 + [0.8] * 5, [0, 0, 0, 1, 1, 0, 1, 1, 1, 1]
    parts = brier_parts(p_ok, ok, n_bins=2)
    assert parts.within == pytest.approx(0.0, abs=1e-12)
    assert parts.reliability == pytest.approx((0.2**2 + 0.0) / 2, abs=1e-12)


def test_sharpness_by_hand():
    assert sharpness([0.2, 0.4, 0.6]) == pytest.approx(0.08 / 3, abs=1e-12)
    assert sharpness([0.3] * 4) == pytest.approx(0.0, abs=1e-15)


@settings(max_examples=60)
@given(steps, st.integers(0, 2**32 - 1))
def test_sums_of_weighted_units_are_sums_of_repeated_ones(rows, seed):
    p_ok, ok = columns(rows)
    weights = 1 + np.random.default_rng(seed).integers(0, 3, size=len(ok))
    edges = equal_mass_edges(p_ok, n_bins=3)
    each = sum_in_bins(p_ok, ok, edges=edges, unit_K=np.arange(len(ok)), n_units=len(ok))
    weighted = np.einsum("n,nbs->bs", weights, each)[None]
    repeated = sums_of(p_ok.repeat(weights), ok.repeat(weights), edges)
    for figure in (binned_ece, binned_ece_debiased, binned_sharpness, binned_brier_parts):
        np.testing.assert_allclose(figure(weighted), figure(repeated), atol=1e-7)
    assert binned_sharpness(repeated)[0] == pytest.approx(np.var(p_ok.repeat(weights)), abs=1e-12)


def test_a_probability_at_an_edge_is_in_the_bin_above_it_whatever_its_last_bits():
    at_edges = [0.3, 0.1 + 0.2, 0.7 - 0.4, 1 - 0.7, 0.8 - 0.5]
    assert len(set(at_edges)) == 3
    assert set(bin_index(np.array(at_edges), edges=equal_width_edges(10)).tolist()) == {3}
    assert bin_index(np.array([0.3 - 1e-9]), edges=equal_width_edges(10)).tolist() == [2]
    for n_bins in (3, 7, 10, 15, 20):
        for k in range(1, n_bins):
            noisy = np.array([math.nextafter(k / n_bins, 0), k / n_bins, math.nextafter(k / n_bins, 1)])
            assert bin_index(noisy, edges=equal_width_edges(n_bins)).tolist() == [k] * 3


def test_tied_probabilities_share_a_bin_of_equal_mass():
    p_ok = np.array([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2, 0.9, math.nextafter(0.9, 1), 0.9, 0.9])
    edges = equal_mass_edges(p_ok, n_bins=4)
    assert edges.tolist() == [0.0, 0.9, 1.0]
    assert bin_index(p_ok, edges=edges).tolist() == [0] * 4 + [1] * 4

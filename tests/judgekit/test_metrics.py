import math
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judgekit.errors import DataError
from judgekit.metrics.bootstrap import cluster_bootstrap, percentile_interval, wilson_interval
from judgekit.metrics.localization import (
    OffsetRates,
    Outcome,
    classify_outcome,
    compute_localization,
    count_hits,
    count_offsets,
    localization_rates,
    offset_rates,
)
from judgekit.metrics.steps import (
    NLL_CLIP,
    collect_reached_steps,
    compute_bins,
    compute_brier,
    compute_calibration,
    compute_ece,
    compute_nll,
)
from judgekit.metrics.threshold import choose_no_error_weight, choose_threshold
from judgekit.types import ArgmaxRule, ThresholdRule, Verdict


def test_f1_by_hand():
    # errors: 3 of 4 hit = 0.75; correct: 1 of 2 = 0.5; F1 = 2 * 0.75 * 0.5 / 1.25 = 0.6
    result = compute_localization([0, 1, 2, 3, None, None], [0, 1, 2, 2, None, 0], judged_N=[True] * 6)
    assert (result.n, result.n_error, result.n_correct, result.n_no_verdict) == (6, 4, 2, 0)
    assert result.error_accuracy == 0.75
    assert result.correct_accuracy == 0.5
    assert result.f1 == pytest.approx(0.6, abs=1e-15)
    assert result.f1_scored == result.f1


def test_f1_is_zero_where_both_accuracies_are_zero():
    result = compute_localization([0, None], [None, 0], judged_N=[True, True])
    assert (result.error_accuracy, result.correct_accuracy, result.f1) == (0.0, 0.0, 0.0)


def test_f1_of_the_published_pairs():
    # reference pairs of one judge under two prompts: 0.46/0.44 and 0.80/0.31 give nearly the same F1
    gold = [0] * 100 + [None] * 100
    for n_error_hit, n_correct_hit, f1 in [(46, 44, 2 * 0.46 * 0.44 / 0.90), (80, 31, 2 * 0.80 * 0.31 / 1.11)]:
        predicted = [0] * n_error_hit + [1] * (100 - n_error_hit) + [None] * n_correct_hit + [0] * (100 - n_correct_hit)
        assert compute_localization(gold, predicted, judged_N=[True] * 200).f1 == pytest.approx(f1, abs=1e-12)


def test_no_verdict_is_wrong_in_either_class_and_never_counts_as_no_error():
    # errors: 1 of 2; correct: the unjudged one would be right if None were read as "no error", so 1 of 2
    result = compute_localization([1, 1, None, None], [1, None, None, None], judged_N=[True, False, False, True])
    assert result.n_no_verdict == 2
    assert (result.error_accuracy, result.correct_accuracy, result.f1) == (0.5, 0.5, 0.5)
    assert result.f1_scored == 1.0


def test_an_empty_class_has_no_accuracy_and_no_f1():
    result = compute_localization([None, None], [None, 0], judged_N=[True, True])
    assert (result.error_accuracy, result.correct_accuracy, result.f1) == (None, 0.5, None)


def test_nothing_judged_leaves_the_scored_figure_undefined():
    result = compute_localization([0, None], [None, None], judged_N=[False, False])
    assert (result.f1, result.f1_scored) == (0.0, None)


@pytest.mark.parametrize(
    ("gold", "predicted", "outcome"),
    [
        (2, 2, Outcome.RIGHT),
        (None, None, Outcome.RIGHT),
        (2, 0, Outcome.EARLY),
        (2, 3, Outcome.LATE),
        (0, None, Outcome.MISSED),
        (None, 0, Outcome.FALSE_ALARM),
    ],
)
def test_outcomes(gold, predicted, outcome):
    assert classify_outcome(gold, predicted, judged=True) is outcome
    assert classify_outcome(gold, predicted, judged=False) is Outcome.NO_VERDICT


def test_offset_rates_by_hand():
    gold = [2, 2, 2, 2, 2, None, None, None, None]
    predicted = [2, 0, 4, None, None, None, None, 1, None]
    judged = [True, True, True, True, False, True, True, True, False]
    counts = count_offsets(gold, predicted, judged_N=judged).sum(axis=0, keepdims=True)
    rates = OffsetRates(*offset_rates(counts)[0])
    assert (rates.exact, rates.early, rates.late, rates.missed, rates.no_verdict_error) == (0.2,) * 5
    assert (rates.clear, rates.false_alarm, rates.no_verdict_correct) == (0.5, 0.25, 0.25)


def test_empty_input_and_different_lengths_are_refused():
    with pytest.raises(DataError, match="nothing to measure"):
        compute_localization([], [], judged_N=[])
    with pytest.raises(DataError, match=r"lengths \[2, 1, 2\]"):
        compute_localization([None, 0], [0], judged_N=[True, True])
    with pytest.raises(DataError, match="nothing to measure"):
        compute_brier([], [])
    with pytest.raises(DataError, match="nothing to measure"):
        choose_threshold([], gold_N=[])


def f1_interval(gold, predicted, clusters, *, n_resamples=2000, seed=0):
    counts = count_hits(gold, predicted, judged_N=[True] * len(gold))
    rates = cluster_bootstrap(
        counts, cluster_N=clusters, statistic=localization_rates, n_resamples=n_resamples, seed=seed
    )
    value = compute_localization(gold, predicted, judged_N=[True] * len(gold)).f1
    return percentile_interval(value, rates[:, 2])


def test_interval_has_no_width_where_every_problem_looks_the_same():
    # each problem: one error found, one missed, one correct solution cleared; so 0.5, 1 and F1 = 2/3 in every resample
    gold, predicted = [0, 0, None] * 10, [0, None, None] * 10
    interval = f1_interval(gold, predicted, [i // 3 for i in range(30)])
    assert interval == pytest.approx((2 / 3, 2 / 3, 2 / 3), abs=1e-12)


def test_interval_of_two_problems_is_known_exactly():
    # problem a: error hit, correct hit; problem b: neither. Resamples aa, ab, ba, bb: F1 = 1, 0.5, 0.5, 0 with shares
    # 1/4, 1/2, 1/4, so the central 95 % reaches from 0 to 1 and the central 40 % is 0.5 alone
    gold, predicted = [0, None, 0, None], [0, None, None, 0]
    counts = count_hits(gold, predicted, judged_N=[True] * 4)
    f1_R = cluster_bootstrap(
        counts, cluster_N=["a", "a", "b", "b"], statistic=localization_rates, n_resamples=4000, seed=1
    )[:, 2]
    assert percentile_interval(0.5, f1_R) == (0.5, 0.0, 1.0)
    assert percentile_interval(0.5, f1_R, level=0.4) == (0.5, 0.5, 0.5)
    assert np.mean(f1_R == 0.5) == pytest.approx(0.5, abs=0.03)


def test_duplicates_of_a_problem_widen_the_interval():
    rng = np.random.default_rng(0)
    gold = [None if i % 2 else 0 for i in range(40)]
    predicted = [g if rng.random() < 0.6 else 1 for g in gold]
    alone = f1_interval(gold, predicted, list(range(40)))
    copied = f1_interval(gold * 4, predicted * 4, list(range(40)) * 4)
    unclustered = f1_interval(gold * 4, predicted * 4, list(range(160)))
    assert copied == alone
    assert unclustered.hi - unclustered.lo < 0.6 * (copied.hi - copied.lo)


def test_bootstrap_width_agrees_with_the_binomial():
    gold = [0] * 200 + [None] * 200
    predicted = [0] * 120 + [1] * 80 + [None] * 200
    counts = count_hits(gold, predicted, judged_N=[True] * 400)
    rates = cluster_bootstrap(counts, cluster_N=range(400), statistic=localization_rates, n_resamples=4000, seed=0)
    assert np.std(rates[:, 0]) == pytest.approx(math.sqrt(0.6 * 0.4 / 200), rel=0.08)


def test_bootstrap_repeats_with_its_seed_and_does_not_depend_on_block_size(monkeypatch):
    rows = np.arange(12.0).reshape(6, 2)

    def draw(seed):
        return cluster_bootstrap(rows, cluster_N=range(6), statistic=lambda sums: sums, n_resamples=50, seed=seed)

    whole = draw(3)
    monkeypatch.setattr("judgekit.metrics.bootstrap.DRAWS_PER_BLOCK", 18)
    assert np.array_equal(draw(3), whole)
    assert not np.array_equal(draw(4), whole)


def test_resamples_without_a_class_are_left_out():
    # one problem holds all errors: it is missing from a share (3/4)^4 of the resamples, and never half there
    gold, predicted = [0, None, None, None], [0, None, None, None]
    counts = count_hits(gold, predicted, judged_N=[True] * 4)
    f1_R = cluster_bootstrap(counts, cluster_N=range(4), statistic=localization_rates, n_resamples=4000, seed=0)[:, 2]
    assert np.isnan(f1_R).mean() == pytest.approx(0.75**4, abs=0.03)
    assert percentile_interval(1.0, f1_R) == (1.0, 1.0, 1.0)
    assert percentile_interval(None, f1_R) == (None, None, None)


def test_reached_steps_end_with_the_first_error():
    probs = [[0.9, 0.4, 0.8], [0.7, 0.6], None]
    steps = collect_reached_steps(probs, gold_N=[1, None, 0])
    assert steps.p_ok_K.tolist() == [0.9, 0.4, 0.7, 0.6]
    assert steps.ok_K.tolist() == [1, 0, 1, 1]
    assert steps.solution_K.tolist() == [0, 0, 1, 1]


def test_first_error_beyond_the_steps_is_refused():
    with pytest.raises(DataError, match=r"solution 1: first error 2 is outside 0\.\.1"):
        collect_reached_steps([[0.5], [0.5, 0.5]], gold_N=[None, 2])


def test_ece_and_bins_by_hand():
    # bins [0, .5) and [.5, 1]: (0.1, 0.3 | ok 0, 1) -> |0.2 - 0.5| = 0.3; (0.5, 0.9, 1.0 | 1, 1, 0) -> |0.8 - 2/3|
    probs, ok = [0.1, 0.3, 0.5, 0.9, 1.0], [0, 1, 1, 1, 0]
    low, high = compute_bins(probs, ok, n_bins=2)
    assert (low.lo, low.hi, low.count, low.mean_prob, low.frac_ok) == (0.0, 0.5, 2, pytest.approx(0.2), 0.5)
    assert (high.lo, high.hi, high.count, high.mean_prob) == (0.5, 1.0, 3, pytest.approx(0.8))
    assert high.frac_ok == pytest.approx(2 / 3)
    assert compute_ece((low, high)) == pytest.approx(0.4 * 0.3 + 0.6 * (0.8 - 2 / 3), abs=1e-12)


def test_bin_edges_belong_to_the_bin_above_and_empty_bins_say_so():
    bins = compute_bins([0.0, 0.3, 0.6, 1.0], [1, 1, 1, 1], n_bins=10)
    assert [bin_.count for bin_ in bins] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert (bins[1].mean_prob, bins[1].frac_ok) == (None, None)


def test_brier_and_nll_by_hand():
    # squares: 0.04, 0.49, 0.25; likelihoods of the truth: 0.8, 0.3, 0.5
    probs, ok = [0.8, 0.7, 0.5], [1, 0, 1]
    assert compute_brier(probs, ok) == pytest.approx((0.04 + 0.49 + 0.25) / 3, abs=1e-12)
    assert compute_nll(probs, ok) == pytest.approx(-math.log(0.8 * 0.3 * 0.5) / 3, abs=1e-12)
    calibration = compute_calibration(probs, ok, n_bins=1)
    assert calibration.n_steps == 3
    assert calibration.ece == pytest.approx(0.0, abs=1e-12)  # mean 2/3 against 2 of 3 right


def test_a_sure_mistake_costs_a_finite_documented_amount():
    assert compute_nll([1.0, 0.0], [0, 1]) == pytest.approx(-math.log(NLL_CLIP), rel=1e-9)


def test_calibration_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    probs = rng.random(500)
    ok = (rng.random(500) < probs**2).astype(int)
    assert compute_brier(probs, ok) == pytest.approx(metrics.brier_score_loss(ok, probs), abs=1e-12)
    assert compute_nll(probs, ok) == pytest.approx(metrics.log_loss(ok, probs), abs=1e-9)


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_values_that_are_no_probabilities_are_refused(bad):
    with pytest.raises(DataError, match="outside"):
        compute_brier([0.5, bad], [1, 1])


def test_threshold_by_hand():
    # gold 1 is hit for 0.4 < t <= 0.9, gold 0 for 0.2 < t, none for t <= 0.7: all three within (0.4, 0.7]
    choice = choose_threshold([[0.9, 0.4, 0.95], [0.2, 0.1], [0.8, 0.7]], gold_N=[1, 0, None])
    assert choice == pytest.approx((0.55, 1.0, 0.4, 0.7), abs=1e-15)


def test_widest_of_several_best_stretches_wins():
    # hit together: error in (0.1, 0.2] and (0.3, 0.9], with the correct one needing t <= 0.9
    choice = choose_threshold([[0.2, 0.1], [0.9, 0.3], [0.9]], gold_N=[1, 1, None])
    assert choice == pytest.approx((0.6, 2 / 3, 0.3, 0.9), abs=1e-15)


def test_weight_of_no_error_by_hand():
    # 0.5 at step 1 against 0.2: none needs w > 2.5; rightly located up to there. 0.3 against 0.6: none needs w > 0.5.
    posteriors, gold_N = [(0.3, 0.5, 0.2), (0.1, 0.3, 0.6)], [1, None]
    weight = choose_no_error_weight(posteriors, gold_N=gold_N)
    # in terms of w / (1 + w) the stretch is (1/3, 5/7], its middle 11/21
    assert weight == pytest.approx((11 / 21) / (10 / 21), rel=1e-12)
    rule = ArgmaxRule(no_error_weight=weight)
    assert [Verdict(posterior=posterior).decide(rule) for posterior in posteriors] == gold_N
    with pytest.raises(DataError, match="2 have one and 0 have none"):
        choose_no_error_weight(posteriors, gold_N=[1, 0])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9), st.integers(0, 2)), min_size=1))
def test_weight_search_equals_brute_force(rows):
    posteriors = [tuple(x / sum(row[:3]) for x in row[:3]) for row in rows] + [(0.5, 0.0, 0.5), (0.5, 0.0, 0.5)]
    gold_N = [None if row[3] == 2 else row[3] for row in rows] + [0, None]
    verdicts = [Verdict(posterior=posterior) for posterior in posteriors]

    def f1_at(weight):
        predicted = [verdict.decide(ArgmaxRule(no_error_weight=weight)) for verdict in verdicts]
        return compute_localization(gold_N, predicted, judged_N=[True] * len(gold_N)).f1

    ratios = sorted(max(posterior[:2]) / posterior[2] for posterior in posteriors)
    candidates = [ratios[0] / 2, *((a + b) / 2 for a, b in pairwise(ratios)), ratios[-1] * 2]
    best = max(map(f1_at, candidates))
    assert f1_at(choose_no_error_weight(posteriors, gold_N=gold_N)) == pytest.approx(best, abs=1e-12)


def test_no_verdict_lowers_the_f1_of_every_threshold():
    choice = choose_threshold([[0.2], None, [0.9]], gold_N=[0, 0, None])
    assert choice.f1 == pytest.approx(2 * 0.5 * 1 / 1.5, abs=1e-15)


def test_threshold_needs_both_classes():
    with pytest.raises(DataError, match="2 have one and 0 have none"):
        choose_threshold([[0.2], [0.3]], gold_N=[0, 0])


probabilities = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 0.500000001, 1.0]),
    st.floats(min_value=0, max_value=1).map(lambda prob: round(prob, 9)),  # nothing that only rounding tells apart
)


@given(st.lists(st.tuples(st.lists(probabilities, min_size=1, max_size=4), st.integers(0, 3)), min_size=1, max_size=8))
def test_threshold_search_equals_brute_force(rows):
    p_ok_N_S = [probs for probs, _ in rows] + [[0.5], [0.5]]
    gold_N = [g if g < len(probs) else None for probs, g in rows] + [0, None]

    def f1_at(threshold):
        predicted = [next((k for k, p in enumerate(probs) if p < threshold), None) for probs in p_ok_N_S]
        return compute_localization(gold_N, predicted, judged_N=[True] * len(gold_N)).f1

    cuts = sorted({0.0, 1.0, *(p for probs in p_ok_N_S for p in probs)})
    candidates = [*cuts[1:], *(a / 2 + b / 2 for a, b in pairwise(cuts))]
    best = max(f1_at(t) for t in candidates if t > 0)
    choice = choose_threshold(p_ok_N_S, gold_N=gold_N)
    assert choice.f1 == pytest.approx(best, abs=1e-12)
    assert f1_at(choice.threshold) == pytest.approx(best, abs=1e-12)
    assert 0 < choice.threshold <= 1


def test_no_threshold_is_put_between_probabilities_that_only_rounding_tells_apart():
    # Whoever passes the second and flags the first has F1 1, and knows nothing.
    below, above = 0.9, math.nextafter(0.9, 1)
    noisy = choose_threshold([[below], [above]], gold_N=[0, None])
    assert noisy == choose_threshold([[0.9], [0.9]], gold_N=[0, None])
    assert noisy.f1 == 0.0
    # Nor is the choice among equally good stretches one of rounding: 0.1 to 0.2 and 0.3 to 0.4 are equally wide.
    assert 0.4 - 0.3 > 0.2 - 0.1
    choice = choose_threshold([[0.1], [0.2], [0.3], [0.4]], gold_N=[0, None, 0, None])
    assert (choice.lo, choice.hi) == (0.1, 0.2)


def test_threshold_decides_like_the_rule_that_uses_it():
    rng = np.random.default_rng(0)
    verdicts = [Verdict.from_step_probs(rng.random(5).tolist()) for _ in range(300)]
    gold = [None if rng.random() < 0.5 else int(rng.integers(5)) for _ in verdicts]
    choice = choose_threshold([verdict.p_ok_S for verdict in verdicts], gold_N=gold)
    predicted = [verdict.decide(ThresholdRule(threshold=choice.threshold)) for verdict in verdicts]
    assert compute_localization(gold, predicted, judged_N=[True] * 300).f1 == pytest.approx(choice.f1, abs=1e-12)


def test_threshold_search_is_fast():
    rng = np.random.default_rng(0)
    p_ok_N_S = [rng.random(20).tolist() for _ in range(5000)]
    gold = [None if i % 2 else int(rng.integers(20)) for i in range(5000)]
    start = time.process_time()  # of this process alone, whatever else the machine does
    choose_threshold(p_ok_N_S, gold_N=gold)
    assert time.process_time() - start < 5, "one pass over the sorted steps takes 0.03 s, one pass a step takes minutes"


def test_importing_metrics_leaves_torch_out():
    code = "import sys, judgekit.metrics; sys.exit(bool({'torch', 'polars', 'pandas'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_wilson_interval_by_hand_and_at_the_ends() -> None:
    # 8 of 10 with z = 2: centre (0.8 + 0.2) / 1.4, half-width 2 / 1.4 * sqrt(0.016 + 0.01)
    value, lo, hi = wilson_interval(8, 10, z=2.0)
    assert (value, lo, hi) == pytest.approx((0.8, 1 / 1.4 - 2 / 1.4 * 0.026**0.5, 1 / 1.4 + 2 / 1.4 * 0.026**0.5))
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.0, 0.27753), abs=1e-5)
    assert wilson_interval(10, 10) == pytest.approx((1.0, 0.72247, 1.0), abs=1e-5)
    assert wilson_interval(0, 0) == (None, None, None)

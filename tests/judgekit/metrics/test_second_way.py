"""Every metric against a second computation, on judgements in which most probabilities are tied.

Probabilities come from seven values. The library is given them as floats whose last bits were moved at random, as other
arithmetic would have moved them; the second computation, `second_way`, has the exact fractions.
"""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from judgekit import metrics
from judgekit.calibration import conformal
from judgekit.errors import DataError
from judgekit.types import ArgmaxRule, ThresholdRule, Verdict
from tests.judgekit.metrics import second_way as naive

LIBRARY = {
    name: value
    for module in pkgutil.iter_modules(metrics.__path__, "judgekit.metrics.")
    for name, value in vars(importlib.import_module(module.name)).items()
}
"""Everything that the modules of metrics know by name."""
TIES_AND_CHECKS = {"check_gold", "checked_steps", "cumulate_by_value", "group_ends", "merge_ties"}
"""What every metric below goes through, so that its own second computation tests these, too."""
F = Fraction
VALUES = [F(0), F(1, 10), F(3, 10), F(1, 2), F(7, 10), F(9, 10), F(1)]
THRESHOLDS = [F(1, 10), F(3, 10), F(1, 2), F(7, 10), F(9, 10), F(1)]
RECORDS = {
    "Bin", "BrierParts", "Calibration", "Counts", "Interval", "Localization", "OffsetRates", "Outcome",
    "PairedDifference", "StepCounts", "StepProbs", "ThresholdChoice",
}  # fmt: skip
"""Public classes that hold figures and compute none."""
CONFORMAL = (
    "certified_steps", "conformal_threshold", "exceeds", "index_set", "mass_above", "problems_needed", "survival",
    "survival_at_error", "true_mass_above",
)  # fmt: skip
"""Figures of the conformal module."""


@dataclass(frozen=True)
class Judged:
    """Random judgements of a few solutions, exactly and as floats."""

    seed: int
    p_N_S: list[list[Fraction] | None]
    """P(step ok | earlier ok), `None` = no verdict."""
    gold_N: list[int | None]
    n_steps_N: list[int]
    threshold: Fraction

    @property
    def rng(self) -> random.Random:
        return random.Random(self.seed)

    def moved(self, value: Fraction) -> float:
        """The nearest float, or one a few bits beside it, inside [0, 1]: the same every time within one example."""
        shift = random.Random(f"{self.seed} {value}").choice([0, 0, 1, -1, 2, -3])
        return min(float(value) * (1 + shift * 2.0**-53), 1.0)

    def jittered(self, values: Sequence[Fraction]) -> np.ndarray:
        """Floats of the values, each moved on its own, so that equal values differ."""
        rng = self.rng
        return np.array([min(float(value) * (1 + rng.choice([0, 1, -1, 3]) * 2.0**-53), 1.0) for value in values])

    @property
    def p_float_N_S(self) -> list[list[float] | None]:
        return [None if p_S is None else self.jittered(p_S).tolist() for p_S in self.p_N_S]

    @property
    def steps(self) -> list[naive.Step]:
        return [
            naive.Step(p_S[k], k != gold, solution, k, n_steps)
            for solution, (p_S, gold, n_steps) in enumerate(zip(self.p_N_S, self.gold_N, self.n_steps_N, strict=True))
            if p_S is not None
            for k in range(n_steps if gold is None else gold + 1)
        ]

    @property
    def p_K(self) -> np.ndarray:
        return self.jittered([step.p for step in self.steps])

    @property
    def ok_K(self) -> np.ndarray:
        return np.array([step.ok for step in self.steps], dtype=float)

    @property
    def rows(self) -> list[naive.Localized]:
        return [
            naive.Localized(
                gold, None if p_S is None else naive.decide_by_threshold(p_S, self.threshold), p_S is not None
            )
            for p_S, gold in zip(self.p_N_S, self.gold_N, strict=True)
        ]

    @property
    def labels(self) -> dict[str, Any]:
        gold, predicted, judged = zip(*self.rows, strict=True)
        return {"gold_N": gold, "predicted_N": predicted, "judged_N": judged}

    @property
    def verdicts(self) -> list[tuple[list[Fraction], int | None]]:
        """Posteriors of the judged solutions with their true first errors."""
        pairs = zip(self.p_N_S, self.gold_N, strict=True)
        return [(naive.posterior(p_S), gold) for p_S, gold in pairs if p_S is not None]

    @property
    def confidence(self) -> tuple[list[Fraction], list[bool]]:
        """Confidence in the decisions, -1 without a verdict, and whether they are wrong."""
        found = []
        for p_S, row in zip(self.p_N_S, self.rows, strict=True):
            probs = None if p_S is None else naive.posterior(p_S)
            sure = F(-1) if probs is None else probs[-1 if row.predicted is None else row.predicted]
            found.append((sure, not row.judged or row.gold != row.predicted))
        sure_N, wrong_N = zip(*found, strict=True)
        return list(sure_N), list(wrong_N)

    @property
    def calls(self) -> tuple[list[list[bool]], list[list[bool] | None]]:
        """Labels of all steps and what the judge calls them under the threshold."""
        rng = self.rng
        labels = [
            [gold is None or k < gold or (k > gold and rng.random() < 0.5) for k in range(n_steps)]
            for gold, n_steps in zip(self.gold_N, self.n_steps_N, strict=True)
        ]
        return labels, [None if p_S is None else [p >= self.threshold for p in p_S] for p_S in self.p_N_S]

    def weights(self, n: int) -> np.ndarray:
        """How often each of n units counts, in four weightings; each has at least one unit."""
        rng = np.random.default_rng(self.seed)
        weights = rng.integers(0, 3, size=(4, n))
        weights[np.arange(4), rng.integers(n, size=4)] += 1
        return weights.astype(float)


@st.composite
def judged(draw: st.DrawFn) -> Judged:
    n = draw(st.integers(2, 7))
    n_steps_N = [draw(st.integers(1, 3)) for _ in range(n)]
    gold_N = [draw(st.none() | st.integers(0, n_steps - 1)) for n_steps in n_steps_N]
    p_N_S = [
        draw(st.none()) if draw(st.integers(0, 5)) == 0 else [draw(st.sampled_from(VALUES)) for _ in range(n_steps)]
        for n_steps in n_steps_N
    ]
    if all(p_S is None for p_S in p_N_S):
        p_N_S[0] = [F(1, 2)] * n_steps_N[0]
    return Judged(draw(st.integers(0, 2**20)), p_N_S, gold_N, n_steps_N, draw(st.sampled_from(THRESHOLDS)))


def same(found: Any, exact: Any) -> None:
    """Refuse figures that differ, or where one exists and the other does not; NaN is what does not exist in arrays."""
    if isinstance(exact, list | tuple):
        assert len(found) == len(exact)
        for one, other in zip(found, exact, strict=True):
            same(one, other)
        return
    missing = found is None or (isinstance(found, float) and math.isnan(found))
    assert missing == (exact is None), (found, exact)
    if exact is not None:
        assert float(found) == pytest.approx(float(exact), abs=1e-9)


def copies(items: Sequence[Any], weight_N: np.ndarray) -> list[Any]:
    return [item for item, weight in zip(items, weight_N.astype(int), strict=True) for _ in range(weight)]


Check = Callable[[Any, Judged], None]
SECOND_WAYS: dict[str, Check] = {}
"""Public name -> what compares it. A check is given the library's names through a recorder, see `Recorder`."""


def second_way_of(*names: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        for name in names:
            assert name not in SECOND_WAYS, f"{name} is checked twice"
            SECOND_WAYS[name] = check
        return check

    return register


@second_way_of("compute_auroc", "weighted_ranking")
def check_ranking(m: Any, of: Judged) -> None:
    same(m.compute_auroc(of.p_K, of.ok_K), naive.auroc(of.steps))
    weights = of.weights(len(of.steps))
    for found, weight in zip(m.weighted_ranking(of.p_K, of.ok_K, weights), weights, strict=True):
        drawn = copies(of.steps, weight)
        same(found.tolist(), [naive.auroc(drawn), naive.average_precision_of_errors(drawn)])


@second_way_of(
    "compute_auroc_within_position", "weighted_auroc_within_position", "placements_within_position", "step_places",
    "count_pairs_within_position",
)  # fmt: skip
def check_within_position(m: Any, of: Judged) -> None:
    place_K = m.step_places(np.array([step.solution for step in of.steps]), n_steps_N=of.n_steps_N)
    pairs = naive.pairs_within_position(of.steps)
    assert m.count_pairs_within_position(of.ok_K, place_K=place_K) == len(pairs)
    same(m.compute_auroc_within_position(of.p_K, of.ok_K, place_K=place_K), naive.mean(pairs))
    won_K, met_K = m.placements_within_position(of.p_K, of.ok_K, place_K=place_K)
    for step, won, met in zip(of.steps, won_K.tolist(), met_K.tolist(), strict=True):
        points = naive.pairs_within_position([step, *(other for other in of.steps if other.ok != step.ok)])
        same([won, met], [sum(points), len(points)])
    weights = of.weights(len(of.steps))
    found_R = m.weighted_auroc_within_position(of.p_K, of.ok_K, weights, place_K=place_K)
    for found, weight in zip(found_R.tolist(), weights, strict=True):
        same(found, naive.mean(naive.pairs_within_position(copies(of.steps, weight))))


@second_way_of("collect_reached_steps")
def check_reached(m: Any, of: Judged) -> None:
    reached = m.collect_reached_steps(of.p_N_S, gold_N=of.gold_N)
    found = list(zip(reached.p_ok_K, reached.ok_K, reached.solution_K, strict=True))
    assert found == [(float(step.p), step.ok, step.solution) for step in of.steps]


@second_way_of("equal_width_edges", "equal_mass_edges", "bin_index")
def check_edges(m: Any, of: Judged) -> None:
    for n_bins in (1, 3, 10):
        wide = m.equal_width_edges(n_bins)
        same(wide.tolist(), naive.equal_width(n_bins))
        massed = m.equal_mass_edges(of.p_K, n_bins=n_bins)
        exact = naive.equal_mass([step.p for step in of.steps], n_bins)
        same(massed.tolist(), exact)
        for edges, exact_edges in ((wide, naive.equal_width(n_bins)), (massed, exact)):
            assert m.bin_index(of.p_K, edges=edges).tolist() == [naive.bin_of(step.p, exact_edges) for step in of.steps]


def binnings(of: Judged) -> Iterator[tuple[int, list[list[naive.Step]], list[list[naive.Step]]]]:
    """Yield numbers of bins with the steps in bins of equal width and of equal mass."""
    for n_bins in (1, 3, 10):
        massed = naive.equal_mass([step.p for step in of.steps], n_bins)
        yield n_bins, naive.in_bins(of.steps, naive.equal_width(n_bins)), naive.in_bins(of.steps, massed)


@second_way_of(
    "compute_bins", "compute_equal_mass_bins", "compute_ece", "compute_calibration", "compute_brier", "compute_nll",
    "step_nll",
)  # fmt: skip
def check_calibration(m: Any, of: Judged) -> None:
    same(m.compute_brier(of.p_K, of.ok_K), naive.brier(of.steps))
    losses = [naive.nll(step) for step in of.steps]
    same(m.step_nll(of.p_K, of.ok_K).tolist(), losses)
    same(m.compute_nll(of.p_K, of.ok_K), statistics.fmean(losses))
    for n_bins, wide, massed in binnings(of):
        for bins, exact in (
            (m.compute_bins(of.p_K, of.ok_K, n_bins=n_bins), wide),
            (m.compute_equal_mass_bins(of.p_K, of.ok_K, n_bins=n_bins), massed),
        ):
            assert [bin_.count for bin_ in bins] == [len(held) for held in exact]
            same([bin_.mean_prob for bin_ in bins], [naive.mean([step.p for step in held]) for held in exact])
            same([bin_.frac_ok for bin_ in bins], [naive.mean([step.ok for step in held]) for held in exact])
            same(m.compute_ece(bins), naive.ece(exact))
        figures = m.compute_calibration(of.p_K, of.ok_K, n_bins=n_bins)
        exact_figures = [naive.ece(wide), naive.brier(of.steps), statistics.fmean(losses)]
        same([figures.ece, figures.brier, figures.nll], exact_figures)
        assert (figures.n_steps, len(figures.bins)) == (len(of.steps), n_bins)


@second_way_of(
    "sum_in_bins", "binned_ece", "binned_ece_debiased", "binned_squared_error_debiased", "binned_brier_parts",
    "binned_sharpness",
)  # fmt: skip
def check_binned(m: Any, of: Judged) -> None:
    unit_K = np.array([step.solution for step in of.steps])
    for n_bins, _, massed in binnings(of):
        edges = m.equal_mass_edges(of.p_K, n_bins=n_bins)
        sums = m.sum_in_bins(of.p_K, of.ok_K, edges=edges, unit_K=unit_K, n_units=len(of.gold_N))
        for unit, of_unit in enumerate(sums):
            for b, held in enumerate(massed):
                own = [step for step in held if step.solution == unit]
                powers = [len(own), *(sum((f(step) for step in own), F(0)) for f in SUMS)]
                same(of_unit[b].tolist(), powers)
        # Solutions drawn several times or not at all, as the bootstrap draws them; bins stay where they are.
        weights = of.weights(len(of.gold_N))
        drawn_R = [[copies(held, weight[[step.solution for step in held]]) for held in massed] for weight in weights]
        sums_R = np.einsum("rn,nbs->rbs", weights, sums)
        same(m.binned_ece(sums_R).tolist(), [naive.ece(bins) for bins in drawn_R])
        squared = [naive.squared_error_debiased(bins) for bins in drawn_R]
        same(m.binned_squared_error_debiased(sums_R).tolist(), squared)
        # Squares are compared, as the root of a rounding error is no rounding error.
        same((m.binned_ece_debiased(sums_R) ** 2).tolist(), [at_least_0(value) for value in squared])
        columns = zip(m.binned_brier_parts(sums_R), m.binned_sharpness(sums_R), drawn_R, strict=True)
        for parts, variance, bins in columns:
            probs = [step.p for held in bins for step in held]
            same(parts.tolist(), naive.brier_parts(bins) if probs else [None] * 5)
            same(float(variance), naive.variance(probs) if probs else None)


def at_least_0(value: Fraction | None) -> Fraction | None:
    return None if value is None else max(value, F(0))


SUMS: list[Callable[[naive.Step], Fraction]] = [
    lambda step: step.p,
    lambda step: F(step.ok),
    lambda step: step.p**2,
    lambda step: step.p * step.ok,
]
"""What is summed in a bin beside the number of steps."""


@second_way_of("compute_localization", "count_hits", "localization_rates", "accuracy_rates", "harmonic_mean")
def check_localization(m: Any, of: Judged) -> None:
    exact = [*naive.localization(of.rows), naive.localization(of.rows, judged_only=True)[2]]
    figures = m.compute_localization(**of.labels)
    same([figures.error_accuracy, figures.correct_accuracy, figures.f1, figures.f1_scored], exact)
    n_error, n_silent = sum(gold is not None for gold in of.gold_N), sum(not row.judged for row in of.rows)
    counts = (figures.n, figures.n_error, figures.n_correct, figures.n_no_verdict)
    assert counts == (len(of.rows), n_error, len(of.rows) - n_error, n_silent)
    weights = of.weights(len(of.rows))
    summed = weights @ m.count_hits(**of.labels)
    columns = zip(m.localization_rates(summed).tolist(), m.accuracy_rates(summed).tolist(), weights, strict=True)
    for rates, accuracies, weight in columns:
        drawn = copies(of.rows, weight)
        judged_only = naive.localization(drawn, judged_only=True)
        same(rates, [*naive.localization(drawn), judged_only[2]])
        same(accuracies, [naive.accuracy(drawn), naive.accuracy([row for row in drawn if row.judged])])
    shares = [F(0), F(1, 3), F(1)]
    for a in shares:
        found = m.harmonic_mean(np.array([float(a)] * 3), np.array(shares, float)).tolist()
        same(found, [naive.harmonic(a, b) for b in shares])


@second_way_of("count_offsets", "offset_rates", "classify_outcome")
def check_offsets(m: Any, of: Judged) -> None:
    weights = of.weights(len(of.rows))
    rates_R = m.offset_rates(weights @ m.count_offsets(**of.labels)).tolist()
    for rates, weight in zip(rates_R, weights, strict=True):
        same(rates, naive.offsets(copies(of.rows, weight)))
    names = ["right", "early", "late", "missed", "no_verdict", "right", "false_alarm", "no_verdict"]
    for row in of.rows:
        (place,) = (k for k, is_it in enumerate(naive.offsets([row])) if is_it == 1)
        assert m.classify_outcome(row.gold, row.predicted, judged=row.judged) == names[place]


@second_way_of("count_calls", "mr_gsm8k_rates")
def check_mr_gsm8k(m: Any, of: Judged) -> None:
    weights = of.weights(len(of.rows))
    rates_R = m.mr_gsm8k_rates(weights @ m.count_calls(**of.labels)).tolist()
    for rates, weight in zip(rates_R, weights, strict=True):
        drawn = copies(of.rows, weight)
        same(rates, [*naive.mr_gsm8k(drawn), *naive.mr_gsm8k(drawn, judged_only=True)])


@second_way_of("call_steps", "count_steps", "step_rates", "place_by_class", "prmbench_rates")
def check_prmbench(m: Any, of: Judged) -> None:
    labels, calls = of.calls
    for p_S, row, called in zip(of.p_N_S, of.rows, calls, strict=True):
        if p_S is not None:
            given_S, threshold = [float(p) for p in p_S], float(of.threshold)
            assert list(m.call_steps(given_S, predicted=row.predicted, threshold=threshold)) == called
            predicted = naive.decide_by_argmax(naive.posterior(p_S))
            by_mass = [p >= F(1, 2) and k != predicted for k, p in enumerate(p_S)]
            assert list(m.call_steps(given_S, predicted=predicted, threshold=None)) == by_mass
    counts, weights = m.count_steps(labels, called_ok_N=calls), of.weights(len(labels))
    class_N = [of.rng.choice(LIBRARY["PRMBENCH_CLASSES"]) for _ in labels]
    rates_R = m.step_rates(weights @ counts).tolist()
    classed_R = m.prmbench_rates(weights @ m.place_by_class(counts, class_N=class_N)).tolist()
    for rates, classed, weight in zip(rates_R, classed_R, weights, strict=True):
        drawn = copies(list(zip(labels, calls, class_N, strict=True)), weight)
        drawn_labels, drawn_calls = [d[0] for d in drawn], [d[1] for d in drawn]
        overall = naive.prm_scores(drawn_labels, drawn_calls)
        overall += naive.prm_scores(drawn_labels, drawn_calls, judged_only=True)
        same(rates, overall)
        dimensions = []
        for classes in LIBRARY["PRMBENCH_DIMENSIONS"].values():
            own = [[(d[0], d[1]) for d in drawn if d[2] == name] for name in classes]
            scores = [naive.prm_scores([d[0] for d in one], [d[1] for d in one])[2] for one in own]
            dimensions.append(None if None in scores else naive.mean([score for score in scores if score is not None]))
        same(classed, overall + dimensions)


@second_way_of("choose_threshold")
def check_threshold(m: Any, of: Judged) -> None:
    if len({gold is None for gold in of.gold_N}) < 2:
        with pytest.raises(DataError):
            m.choose_threshold(of.p_float_N_S, gold_N=of.gold_N)
        return
    choice = m.choose_threshold(of.p_float_N_S, gold_N=of.gold_N)
    best, lo, hi = naive.best_threshold(of.p_N_S, of.gold_N)
    same([choice.f1, choice.lo, choice.hi, choice.threshold], [best, lo, hi, (lo + hi) / 2])


@second_way_of("choose_no_error_weight")
def check_no_error_weight(m: Any, of: Judged) -> None:
    posterior_N_O = [None if p_S is None else naive.posterior(p_S) for p_S in of.p_N_S]
    given = [None if posterior_O is None else of.jittered(posterior_O).tolist() for posterior_O in posterior_N_O]
    if len({gold is None for gold in of.gold_N}) < 2:
        with pytest.raises(DataError):
            m.choose_no_error_weight(given, gold_N=of.gold_N)
        return
    weight = m.choose_no_error_weight(given, gold_N=of.gold_N)
    same([weight / (1 + weight)], [naive.best_no_error_weight(posterior_N_O, of.gold_N)])


@second_way_of("score_first_errors", "FirstErrorScores")
def check_first_errors(m: Any, of: Judged) -> None:
    probs_N, gold_N = zip(*of.verdicts, strict=True)
    scores = m.score_first_errors([of.jittered(probs).tolist() for probs in probs_N], gold_N=gold_N)
    assert isinstance(scores, m.FirstErrorScores)
    exact_N = [naive.first_error(probs, gold) for probs, gold in of.verdicts]
    for name in naive.FirstError._fields:
        same(getattr(scores, f"{name}_N").tolist(), [getattr(exact, name) for exact in exact_N])
    for row, (exact, probs) in enumerate(zip(exact_N, probs_N, strict=True)):
        # The true outcome is equally likely to stand anywhere among those it is tied with.
        places = [exact.n_above + 1 + place for place in range(exact.n_tied)]
        same(float(scores.rank_N[row]), F(sum(places), len(places)))
        for k in range(1, len(probs) + 1):
            same(float(scores.top_k_N(k)[row]), F(sum(place <= k for place in places), len(places)))
        same(float(scores.rts_error_N[row]), exact.rts - exact.true_rts)


@second_way_of(
    "decision_confidence", "weighted_aurc", "weighted_aurc_random", "weighted_risks",
)  # fmt: skip
def check_selective(m: Any, of: Judged) -> None:
    exact_N, wrong_N = of.confidence
    sure_N, wrong = of.jittered(exact_N), np.array(wrong_N, dtype=float)
    coverages = [F(1, 50), F(1, 3), F(1, 2), F(9, 10), F(1)]
    coverage_Q = np.array([float(coverage) for coverage in coverages])
    weights = of.weights(len(wrong_N))
    areas_R, random_R = m.weighted_aurc(sure_N, wrong, weights), m.weighted_aurc_random(wrong, weights)
    risks_R = m.weighted_risks(sure_N, wrong, weights, coverage_Q=coverage_Q)
    for area, by_chance, risks, weight in zip(areas_R, random_R, risks_R.tolist(), weights, strict=True):
        drawn, drawn_wrong = copies(exact_N, weight), copies(wrong_N, weight)
        same(float(area), naive.mean(naive.risks_by_rank(drawn, drawn_wrong)))
        same(float(by_chance), naive.mean(drawn_wrong))
        same(risks, [naive.risk_at(coverage, drawn, drawn_wrong) for coverage in coverages])
    for probs, _ in of.verdicts:
        floats = [float(prob) for prob in probs]
        assert [m.decision_confidence(floats, k) for k in range(len(floats) - 1)] == floats[:-1]
        assert m.decision_confidence(floats, None) == floats[-1]


@second_way_of("best_of_n", "vote", "draw_subsets", "pass_at_k")
def check_samples(m: Any, of: Judged) -> None:
    rng, size = of.rng, min(len(of.p_N_S), 5)
    outcomes = [rng.randint(0, 1) for _ in range(size)]
    answers = [rng.choice([None, 0, 1, 2]) for _ in range(size)]
    # Products of step probabilities, multiplied in another order for each sample: ties of P(no error).
    factors = [rng.sample([F(9, 10), F(97, 100), F(15, 100)], k=rng.choice([2, 3])) for _ in range(size)]
    scores = [math.prod(some) for some in factors]
    floats = [math.prod(float(factor) for factor in some) for some in factors]
    for n in range(1, size + 1):
        same(m.best_of_n(floats, outcomes, n_drawn=n), naive.expected_best(scores, outcomes, n))
        subsets = m.draw_subsets(size, n_drawn=n, n_max=100, seed=of.seed)
        assert sorted(map(tuple, subsets.tolist())) == sorted(combinations(range(size), n))
        same(m.vote(answers, floats, outcomes, subsets), naive.expected_vote(answers, scores, outcomes, n))
        ones = [F(1)] * size
        same(m.vote(answers, [1.0] * size, outcomes, subsets), naive.expected_vote(answers, ones, outcomes, n))
        hits = [any(outcomes[member] for member in subset) for subset in combinations(range(size), n)]
        same(m.pass_at_k(size, sum(outcomes), k=n), naive.mean(hits))
    drawn = m.draw_subsets(9, n_drawn=4, n_max=5, seed=of.seed).tolist()
    assert len(drawn) == 5 and all(len(set(subset)) == 4 and set(subset) <= set(range(9)) for subset in drawn)


@second_way_of("Resamples", "cluster_bootstrap")
def check_resamples(m: Any, of: Judged) -> None:
    cluster_N = [of.rng.choice("abcd") for _ in of.gold_N]
    names = list(dict.fromkeys(cluster_N))
    value_N, n_resamples = np.array([float(p_S is not None) for p_S in of.p_N_S]), 12
    options = {"n_resamples": n_resamples, "seed": of.seed}
    rng, expected, drawn_units = np.random.default_rng(of.seed), [], []
    for _ in range(n_resamples):  # problems one after another, each with all its rows
        drawn = [names[k] for k in rng.integers(len(names), size=len(names))]
        units = [unit for name in drawn for unit, cluster in enumerate(cluster_N) if cluster == name]
        drawn_units.append(units)
        expected.append(statistics.fmean(value_N[units]) if len(names) > 1 else None)

    def mean_of(sums_R: np.ndarray) -> np.ndarray:
        return sums_R[:, :1] / sums_R[:, 1:]

    columns = np.column_stack([value_N, np.ones(len(value_N))])
    found = m.cluster_bootstrap(columns, cluster_N=cluster_N, statistic=mean_of, **options)
    same(found[:, 0].tolist(), expected)
    weights_R_N = m.Resamples.of(cluster_N, **options).of_weights(lambda weights: weights)
    if len(names) > 1:
        assert weights_R_N.tolist() == [[units.count(unit) for unit in range(len(cluster_N))] for units in drawn_units]


@second_way_of("percentile_interval", "paired_bootstrap", "paired_t", "holm_adjust", "wilson_interval", "t_interval")
def check_intervals(m: Any, of: Judged) -> None:
    rng, n = of.rng, of.rng.randint(2, 90)
    exact_a = [rng.choice([None, *VALUES]) for _ in range(n)]
    exact_b = [rng.choice([None, *VALUES]) for _ in range(n)]
    moved = [np.array([math.nan if x is None else of.jittered([x])[0] for x in exact]) for exact in (exact_a, exact_b)]
    moved[1] = np.array([math.nan if x is None else of.moved(x) for x in exact_b])
    kept = sorted(x for x in exact_a if x is not None)
    tails = (F(25, 1000) * (len(kept) - 1), F(975, 1000) * (len(kept) - 1))
    ends = [kept[math.floor(tails[0])], kept[math.ceil(tails[1])]] if kept else [None, None]
    same(list(m.percentile_interval(0.5, moved[0])), [F(1, 2), *ends])

    gaps = sorted(a - b for a, b in zip(exact_a, exact_b, strict=True) if a is not None and b is not None)
    found = m.paired_bootstrap(0.75, 0.5, a_R=moved[0], b_R=moved[1])
    if gaps:
        fewest = min(sum(gap <= 0 for gap in gaps), sum(gap >= 0 for gap in gaps))
        same([found.difference, found.p_value], [F(1, 4), min(F(1), F(2 * (fewest + 1), len(gaps) + 1))])
        tails = (F(25, 1000) * (len(gaps) - 1), F(975, 1000) * (len(gaps) - 1))
        same([found.lo, found.hi], [gaps[math.floor(tails[0])], gaps[math.ceil(tails[1])]])
    else:
        same(list(found), [F(1, 4), None, None, None])

    p_values = [rng.choice(VALUES[1:-1]) for _ in range(rng.randint(1, 5))]
    for place, adjusted in enumerate(m.holm_adjust([float(p) for p in p_values])):
        # The lowest level at which the step-down procedure rejects this hypothesis, among all levels where it changes.
        levels = sorted({min(F(1), (len(p_values) - i) * p) for p in p_values for i in range(len(p_values))} | {F(1)})
        same(adjusted, next((level for level in levels if place in rejected(p_values, level)), F(1)))

    hits, total = rng.randint(0, n), n
    value, lo, hi = m.wilson_interval(hits, total, z=2.0)
    same(value, F(hits, total))
    for end in (lo, hi):  # the ends are where the share lies two standard errors of theirs away
        assert (value - end) ** 2 == pytest.approx(4 * end * (1 - end) / total, abs=1e-9)
    assert lo <= value <= hi

    runs = [float(x) for x in kept[:5]]
    found = list(m.t_interval(runs))
    if len(runs) < 2:
        same(found, [runs[0] if runs else None, None, None])
    elif len(set(runs)) > 1:
        error = statistics.stdev(runs) / math.sqrt(len(runs))
        same(found[1:], list(scipy.stats.t.interval(0.95, len(runs) - 1, loc=statistics.fmean(runs), scale=error)))
        same(found[0], statistics.fmean(runs))
    else:
        same(found, [runs[0], None, None])

    pairs = [(a, b) for a, b in zip(exact_a, exact_b, strict=True) if a is not None and b is not None][:5]
    if pairs:
        tested = m.paired_t(*zip(*[(of.moved(a), of.moved(b)) for a, b in pairs], strict=True))
        same(tested.difference, sum((a - b for a, b in pairs), F(0)) / len(pairs))
        if len({a - b for a, b in pairs}) == 1:
            same(tested[1:], [None, None, None])
        else:
            other = scipy.stats.ttest_rel(*zip(*[(float(a), float(b)) for a, b in pairs], strict=True))
            same(tested.p_value, float(other.pvalue))
            same([tested.lo, tested.hi], list(other.confidence_interval()))


@second_way_of("check_lengths", "defined", "ratio")
def check_arithmetic(m: Any, of: Judged) -> None:
    m.check_lengths(of.gold_N, of.p_N_S)
    for columns in ((of.gold_N, of.gold_N[1:]), ([], [])):
        with pytest.raises(DataError):
            m.check_lengths(*columns)
    assert (m.defined(math.nan), m.defined(0.0)) == (None, 0.0)
    shares = [(F(a), F(b)) for a in (0, 1, 2) for b in (0, 1, 3)]
    parts, wholes = (np.array([float(x) for x in column]) for column in zip(*shares, strict=True))
    same(m.ratio(parts, wholes).tolist(), [naive.share(a, b) for a, b in shares])
    same(m.ratio(parts, wholes, undefined=7.0).tolist(), [a / b if b else 7 for a, b in shares])


@second_way_of(*CONFORMAL)
def check_conformal(m: Any, of: Judged) -> None:
    scores: list[Fraction] = []
    for probs, gold in of.verdicts:
        floats, exact = of.jittered(probs).tolist(), naive.mass_above(probs)
        same(m.mass_above(floats).tolist(), exact)
        survival = [sum(probs[k + 1 :], F(0)) for k in range(len(probs) - 1)]
        same(m.survival(floats).tolist(), survival)
        same(m.true_mass_above(floats, gold), exact[-1 if gold is None else gold])
        same(m.survival_at_error(floats, gold), F(0) if gold is None else survival[gold])
        for mass in {F(0), F(1, 2), F(1), *exact}:
            kept = [None if k == len(probs) - 1 else k for k, above in enumerate(exact) if above <= mass]
            assert list(m.index_set(floats, max_mass=of.moved(mass))) == kept
            assert m.exceeds(m.mass_above(floats), of.moved(mass)).tolist() == [above > mass for above in exact]
        for lowest in {F(0), F(1, 2), F(1), *survival}:
            assert m.certified_steps(floats, min_survival=of.moved(lowest)) == sum(s > lowest for s in survival)
        scores.append(exact[-1 if gold is None else gold])
    problems = [of.rng.choice("abcdef") for _ in scores]
    for alpha in (F(1, 10), F(1, 4), F(1, 2), F(4, 5)):
        found = m.conformal_threshold(of.jittered(scores), problem_N=problems, alpha=float(alpha))
        same(found, naive.conformal_threshold(scores, problems, alpha))
        needed = next(n for n in range(1000) if alpha * (n + 1) >= 1)
        assert m.problems_needed(float(alpha)) == needed


def rejected(p_values: Sequence[Fraction], level: Fraction) -> set[int]:
    """Return what Holm's procedure rejects: smallest first, until one exceeds level / (number left)."""
    order, out = sorted(range(len(p_values)), key=lambda place: p_values[place]), set()
    for rank, place in enumerate(order):
        if p_values[place] * (len(p_values) - rank) > level:
            break
        out.add(place)
    return out


class Recorder:
    """The public names of the metrics and of the conformal figures; remembers which were asked for."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        return getattr(conformal, name) if name in CONFORMAL else LIBRARY[name]


CHECKS = {check.__name__: check for check in SECOND_WAYS.values()}


@pytest.mark.parametrize("name", CHECKS)
@settings(max_examples=40, deadline=None)
@given(of=judged())
def test_a_second_computation_agrees(name: str, of: Judged) -> None:
    CHECKS[name](Recorder(), of)


def test_every_public_metric_has_a_second_computation() -> None:
    public = {
        name: value
        for name, value in LIBRARY.items()
        if not name.startswith("_")
        and name not in TIES_AND_CHECKS
        and getattr(value, "__module__", "").startswith("judgekit.metrics.")
    }
    classes = {name for name, value in public.items() if inspect.isclass(value)}
    functions = {name for name, value in public.items() if inspect.isfunction(value)}
    wanted = functions | (classes - RECORDS)
    missing = sorted(wanted - SECOND_WAYS.keys())
    assert not missing, f"{missing}: write a second computation of each in second_way.py, and a check here"
    assert wanted | set(CONFORMAL) == SECOND_WAYS.keys(), "a check is about a name that is not public"
    assert classes >= RECORDS
    for check in CHECKS.values():
        recorder = Recorder()
        for of in (MIXED, ALL_WRONG):
            check(recorder, of)
        names = {name for name, own in SECOND_WAYS.items() if own is check}
        assert names <= recorder.used, f"{check.__name__} says that it checks {sorted(names - recorder.used)}"


HIGH, LOW, EVEN = F(9, 10), F(3, 10), F(1, 2)
MIXED = Judged(1, [[HIGH, LOW], [HIGH] * 3, None, [EVEN, EVEN]], [1, None, 0, None], [2, 3, 2, 2], EVEN)
ALL_WRONG = Judged(2, [[HIGH, LOW], [HIGH] * 3], [1, 0], [2, 3], HIGH)


@settings(max_examples=40, deadline=None)
@given(of=judged())
def test_decisions_agree_with_exact_ones(of: Judged) -> None:
    for p_S in of.p_N_S:
        if p_S is None:
            continue
        verdict = Verdict.from_step_probs([float(p) for p in p_S])
        worked_out = Verdict(posterior=verdict.posterior)
        for threshold in THRESHOLDS:
            rule = ThresholdRule(threshold=float(threshold))
            exact = naive.decide_by_threshold(p_S, threshold)
            assert verdict.decide(rule) == worked_out.decide(rule) == exact
        exact = naive.decide_by_argmax(naive.posterior(p_S))
        assert verdict.decide(ArgmaxRule()) == worked_out.decide(ArgmaxRule()) == exact

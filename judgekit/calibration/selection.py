"""Selects a calibrator: the simplest whose cross-validated log loss is not clearly above the best.

Log loss is the mean of -log P(true first error) over solutions, under the calibrated posterior. Folds keep the
solutions of a problem together. "Not clearly" means: by at most one standard error of the paired difference to the best
candidate, clustered by problem, or by at most `MIN_EVIDENCE` nats over the whole split. The latter is for judges that
are hardly ever wrong: making them more confident is slightly better on nearly every solution, so the standard error is
tiny, while the rare surprise that would pay for it is not in the split. No calibration is the simplest candidate and is
never left out. The value of fits of the selected kind is measured in the same folds; the value of choosing and fitting
together by choosing without each fold, too (`cross_fit`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold

from judgekit.calibration.by_step import MIN_GAIN
from judgekit.calibration.calibrators import CALIBRATORS, Calibrator
from judgekit.calibration.card import CandidateCard
from judgekit.calibration.direction import Z_LEVEL
from judgekit.calibration.split import PROB_CLIP, CalibrationSplit, Ints
from judgekit.errors import DataError
from judgekit.metrics.bootstrap import Resamples
from judgekit.metrics.checks import Floats
from judgekit.metrics.reliability import N_SUMS, binned_ece, sum_in_bins
from judgekit.metrics.steps import equal_width_edges

KINDS = tuple(CALIBRATORS)
"""All candidates, the simplest first."""
MIN_EVIDENCE = 2.0
"""Nats over the whole split by which a less simple candidate must be better: odds of 7 to 1."""
N_RESAMPLES = 400
"""Bootstrap resamples behind the noise of a calibration error."""


class HeldOut(NamedTuple):
    """What one kind of calibrator says of solutions that it was not fitted on."""

    logprobs_N: Floats
    """log P(true first error), nats, at least log 1e-9. Shape (N,)."""
    p_ok_K: Floats
    """Calibrated P(step ok | earlier steps ok) of the reached steps. Shape (K,)."""

    @classmethod
    def of(cls, split: CalibrationSplit, fitted: Iterable[tuple[Calibrator, Ints]]) -> HeldOut:
        """Put together what calibrators say of the folds that they know nothing of, given by their solutions."""
        found = cls(np.empty(len(split.n_steps_N)), np.empty(len(split.ok_K)))
        for calibrator, fold in fitted:
            part = split.take(fold)
            found.logprobs_N[fold] = np.maximum(calibrator.logprobs_N(part), math.log(PROB_CLIP))
            found.p_ok_K[np.isin(split.solution_K, fold)] = calibrator.p_ok_K(part)
        return found


class Selection(NamedTuple):
    """A chosen calibrator and what it was chosen from."""

    calibrator: Calibrator
    """Fitted on the whole split."""
    candidates: tuple[CandidateCard, ...]
    """All candidates, the simplest first, no calibration among them always."""
    held_out: HeldOut
    """What fits of the chosen kind say of the folds that they were not fitted on."""


class CrossFitted(NamedTuple):
    """A calibrator that was chosen and fitted without a fold, and the solutions of this fold."""

    calibrator: Calibrator
    """Knows nothing of the fold."""
    fold: Ints
    """Indices of the fold's solutions."""


def select_calibrator(
    split: CalibrationSplit, *, kinds: Sequence[str] = KINDS, n_folds: int, n_bins: int = 15
) -> Selection:
    """Choose a calibrator and fit it on the whole split.

    Left out are kinds that cannot be fitted, that are not clearly better than the same formula without the judge, and
    that make the log loss or the expected calibration error worse beyond noise. No calibration is always a candidate.

    Args:
        split: Verdicts with their true first errors.
        kinds: Candidates, the simplest first. A single one is taken unless it is left out, however small its gain.
        n_folds: Folds over problems, at most; fewer where there are fewer problems.
        n_bins: Equal-width bins of the expected calibration error.

    Raises:
        DataError: a single kind was asked for and cannot be fitted or is no better than without the judge; or there is
            one problem only.
    """
    folds = [_Fold(split.take(rest), split.take(fold), fold) for rest, fold in problem_folds(split, n_folds=n_folds)]
    tried = [kind for kind in KINDS if kind == "identity" or kind in kinds]
    measured = {kind: _measure(kind, split, folds) for kind in tried}
    raw = HeldOut.of(split, [(CALIBRATORS["identity"](), fold.place_N) for fold in folds])
    reasons: dict[str, str] = {}
    for kind, found in measured.items():
        if isinstance(found, str):
            reasons[kind] = found
        elif kind != "identity" and (harm := find_harm(split, before=raw, after=found, n_bins=n_bins)):
            reasons[kind] = harm
    if len(kinds) == 1 and isinstance(reason := measured[kinds[0]], str):
        raise DataError(f"calibrator={kinds[0]} is left out: {reason}")
    left = {kind: found for kind, found in measured.items() if isinstance(found, HeldOut) and kind not in reasons}
    best_N = -min((found.logprobs_N for found in left.values()), key=lambda logprobs_N: -float(logprobs_N.mean()))
    candidates = tuple(_candidate(kind, measured[kind], best_N, split, reasons.get(kind)) for kind in tried)
    if len(kinds) == 1 and kinds[0] in left:
        chosen = kinds[0]
    else:
        # The simplest that is not clearly worse than the best, which itself has the gap 0 and ends the search.
        n_solutions = len(split.n_steps_N)
        chosen = next(
            item.kind
            for item in candidates
            if item.reason is None
            and item.gap is not None
            and item.gap_std_error is not None
            and (item.gap <= item.gap_std_error or item.gap * n_solutions <= MIN_EVIDENCE)
        )
    return Selection(CALIBRATORS[chosen]().fit_split(split), candidates, left[chosen])


def cross_fit(
    split: CalibrationSplit, *, kinds: Sequence[str] = KINDS, n_folds: int, n_bins: int = 15
) -> Iterator[CrossFitted]:
    """Choose and fit without each fold in turn, the choice by folds of the rest.

    Raises:
        DataError: see `select_calibrator`.
    """
    for rest, fold in problem_folds(split, n_folds=n_folds):
        chosen = select_calibrator(split.take(rest), kinds=kinds, n_folds=n_folds, n_bins=n_bins)
        yield CrossFitted(chosen.calibrator, fold)


def problem_folds(split: CalibrationSplit, *, n_folds: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield the rest and the fold, as indices of solutions; the same ones every time.

    Raises:
        DataError: all solutions belong to one problem.
    """
    n_problems = len(set(split.problem_N))
    if n_problems < 2:
        raise DataError(
            f"folds keep problems together, but there is only {n_problems} problem: add data on other problems"
        )
    yield from GroupKFold(min(n_folds, n_problems)).split(split.problem_N, groups=split.problem_N)


class _Fold(NamedTuple):
    rest: CalibrationSplit
    held_out: CalibrationSplit
    place_N: Ints
    """Where the solutions that are held out stand in the whole split."""


def _measure(kind: str, split: CalibrationSplit, folds: Sequence[_Fold]) -> HeldOut | str:
    """Return what fits of a kind say of the folds that they have not seen, or why it is left out.

    A kind must be better than itself without the judge (for Platt that is the share of correct steps, for `position`
    what positions alone tell) by more than one standard error of the difference, the measure of the choice, too: a
    judge that says nothing is better half of the time by chance. And it must be better beyond noise than itself with
    each solution's verdict given to another one of as many steps, which takes nothing from a judge that merely knows
    where errors are likely.
    """
    try:
        found = HeldOut.of(split, ((CALIBRATORS[kind]().fit_split(fold.rest), fold.place_N) for fold in folds))
    except DataError as error:
        return str(error)
    if kind == "identity":
        return found
    # The first is what a judge that says nothing at all comes to, the second one that knows places and nothing else.
    others = CalibrationSplit.with_verdicts_of_others
    for what, spoil, formula, n_errors in (
        ("a judge that says nothing about errors", None, CALIBRATORS[kind].nothing(), 1.0),
        ("its verdicts permuted among solutions of equal length", others, CALIBRATORS[kind](), Z_LEVEL),
    ):
        nothing_N = np.empty(len(split.n_steps_N))
        for rest, held_out, place_N in folds:
            said = float(rest.steps.probs_K.mean())
            learned, told = (spoil(part) if spoil else part.without_judge(said) for part in (rest, held_out))
            nothing_N[place_N] = np.maximum(formula.learn_split(learned).logprobs_N(told), math.log(PROB_CLIP))
        gain_N = found.logprobs_N - nothing_N
        if float(gain_N.mean()) <= max(n_errors * clustered_std_error(gain_N, split.problem_N), MIN_GAIN):
            return (
                f"its log loss {-found.logprobs_N.mean():.4f} on solutions it was not fitted on is not clearly below "
                f"{-nothing_N.mean():.4f}, that of {what}"
            )
    return found


def find_harm(split: CalibrationSplit, *, before: HeldOut, after: HeldOut, n_bins: int) -> str | None:
    """Say what a calibrator made worse beyond noise, if anything: log loss, or expected calibration error.

    Beyond noise: the 95 % interval of the difference lies above 0, for the log loss by its clustered standard error,
    for the calibration error by bootstrap over problems.

    Args:
        split: The verdicts with their true first errors.
        before: What the judge itself says.
        after: What fits say of solutions that they were not fitted on.
        n_bins: Equal-width bins of the expected calibration error.
    """
    rise_N = before.logprobs_N - after.logprobs_N
    if rise_N.mean() > Z_LEVEL * clustered_std_error(rise_N, split.problem_N):
        return (
            f"it makes the log loss worse beyond noise: {-before.logprobs_N.mean():.4f} before, "
            f"{-after.logprobs_N.mean():.4f} after"
        )
    n_solutions, edges = len(split.n_steps_N), equal_width_edges(n_bins)
    sums_N_2B = np.concatenate(
        [
            sum_in_bins(p_ok_K, split.ok_K, edges=edges, unit_K=split.solution_K, n_units=n_solutions)
            for p_ok_K in (before.p_ok_K, after.p_ok_K)
        ],
        axis=1,
    ).reshape(n_solutions, -1)

    def errors(sums_R: Floats) -> Floats:
        sums_R_2B = sums_R.reshape(len(sums_R), 2 * n_bins, N_SUMS)
        return np.stack([binned_ece(sums_R_2B[:, :n_bins]), binned_ece(sums_R_2B[:, n_bins:])], axis=1)

    ece_before, ece_after = errors(sums_N_2B.sum(axis=0, keepdims=True))[0]
    drawn_R_2 = Resamples.of(split.problem_N.tolist(), n_resamples=N_RESAMPLES, seed=0).of_sums(sums_N_2B, errors)
    if ece_after > ece_before and np.quantile(drawn_R_2[:, 1] - drawn_R_2[:, 0], 0.025) > 0:
        return (
            f"it makes the expected calibration error worse beyond noise: {ece_before:.4f} before, {ece_after:.4f} "
            "after"
        )
    return None


def _candidate(
    kind: str, found: HeldOut | str, best_N: Floats, split: CalibrationSplit, reason: str | None
) -> CandidateCard:
    if isinstance(found, str):
        return CandidateCard(kind=kind, log_loss=None, std_error=None, gap=None, gap_std_error=None, reason=reason)
    gap_N = -found.logprobs_N - best_N
    return CandidateCard(
        kind=kind,
        log_loss=-float(found.logprobs_N.mean()),
        std_error=clustered_std_error(found.logprobs_N, split.problem_N),
        gap=float(gap_N.mean()),
        gap_std_error=clustered_std_error(gap_N, split.problem_N),
        reason=reason,
    )


def clustered_std_error(values_N: Floats, clusters_N: Sequence[object] | np.ndarray) -> float:
    """Return the standard error of a mean whose values come in clusters of any size.

    With s_c the sum over cluster c of (value - mean), of C clusters and N values: sqrt(C / (C - 1) * sum s_c^2) / N.
    With clusters of one value this is the usual standard error.

    Args:
        values_N: The values. Shape (N,).
        clusters_N: Cluster of each; at least two different ones.

    Source:
        Cameron and Miller 2015, A practitioner's guide to cluster-robust inference, section II, for a mean.
    """
    _, cluster_N = np.unique(np.asarray(clusters_N, dtype=str), return_inverse=True)
    sums_C = np.bincount(cluster_N, weights=values_N - values_N.mean())
    n_clusters = len(sums_C)
    return float(np.sqrt(n_clusters / (n_clusters - 1) * np.sum(sums_C**2)) / len(values_N))

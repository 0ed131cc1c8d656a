"""Metrics from the labels so far: how good a judge is on them, and whether more labels would improve a trained one.

Both are unbiased or absent. A judge is measured on solutions that were drawn at random and whose problems it was not
made with; anything fitted to the labels themselves is fitted without the problems that it is measured on. Axis `_N`:
solutions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupKFold

from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.errors import DataError
from judgekit.judges.base import Judge
from judgekit.judges.card import JudgeCard
from judgekit.judges.exposure import Exposure
from judgekit.judges.position_prior import PositionPriorJudge, PositionPriorSpec
from judgekit.judges.stored import judge_batch
from judgekit.judging.run import as_seen
from judgekit.metrics.bootstrap import Interval, PairedDifference, Resamples, paired_bootstrap, percentile_interval
from judgekit.metrics.checks import Floats, defined, ratio
from judgekit.metrics.first_error import score_first_errors
from judgekit.metrics.localization import count_hits, localization_rates
from judgekit.metrics.ranking import weighted_ranking
from judgekit.metrics.steps import collect_reached_steps
from judgekit.text.identity import group_problems
from judgekit.training.config import PriorConfig
from judgekit.training.floors import count_hazards
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution

Fit = Callable[[Sequence[LabelledSolution]], Judge]
"""Trains a judge on labelled solutions. Raises `DataError` where they are too few or all of one kind."""
N_RESAMPLES = 1000
N_FOLDS = 5
MIN_LABELS = 10
"""Labels below which no figure is stated: its interval would hold nearly everything."""
WORTH_NATS = 0.02
"""What twice as many labels must win to be worth it, nats of log loss a solution. A judge that goes from 1.50 to 1.48
gives the true outcome 2 % more probability."""


@dataclass(frozen=True)
class JudgeFigures:
    """How well a judge does on labelled solutions; intervals of 95 % from a bootstrap over problems."""

    n: int
    """Solutions it was measured on."""
    n_no_verdict: int
    """Those of them without a verdict: wrong in F1, absent from the other two."""
    f1: Interval
    """ProcessBench F1, in [0, 1]."""
    log_loss: Interval
    """Mean -log of the probability given to the true first error, nats."""
    auroc: Interval
    """Whether correct steps have a higher probability than wrong ones, up to the first error, in [0, 1]."""


def compute_judge_figures(
    solutions: Sequence[LabelledSolution], judgements: Sequence[Judgement], predicted_N: Sequence[int | None]
) -> JudgeFigures:
    """Measure a judge on labelled solutions.

    Args:
        solutions: Shape (N,).
        judgements: What the judge said of each. Shape (N,).
        predicted_N: The first error by the judge's decision rule, 0-based, `None` = no error or no verdict.

    Raises:
        DataError: no solutions, or lengths differ.
    """
    gold_N = [solution.first_error for solution in solutions]
    resamples = Resamples.of(group_problems(solutions), n_resamples=N_RESAMPLES, seed=0)
    judged_N = [judgement.verdict is not None for judgement in judgements]

    hits_N = count_hits(gold_N, predicted_N, judged_N=judged_N)
    f1 = defined(localization_rates(hits_N.sum(axis=0, keepdims=True))[0, 2])
    f1_R = resamples.of_sums(hits_N, lambda sums_R: localization_rates(sums_R)[:, 2:3])[:, 0]

    nothing = Interval(None, None, None)
    log_loss = auroc = nothing
    if any(judged_N):
        posteriors = [judgement.verdict.posterior for judgement in judgements if judgement.verdict]
        loss_N = score_first_errors(posteriors, gold_N=list(compress(gold_N, judged_N))).log_loss_N
        log_loss = _mean(loss_N, resamples.of_parts(np.flatnonzero(judged_N)))
        p_ok_N_S = [judgement.verdict.p_ok_S if judgement.verdict else None for judgement in judgements]
        steps = collect_reached_steps(p_ok_N_S, gold_N=gold_N)

        def statistic(weights_R: Floats) -> Floats:
            return weighted_ranking(steps.p_ok_K, steps.ok_K, weights_R)[:, 0]

        auroc_R = resamples.of_parts(steps.solution_K).of_weights(statistic)
        auroc = percentile_interval(defined(statistic(np.ones((1, len(steps.ok_K))))[0]), auroc_R)
    return JudgeFigures(len(solutions), judged_N.count(False), percentile_interval(f1, f1_R), log_loss, auroc)


def _mean(values_N: Floats, resamples: Resamples) -> Interval:
    return percentile_interval(float(values_N.mean()), _means_R(values_N, resamples))


def _means_R(values_N: Floats, resamples: Resamples) -> Floats:
    sums_N = np.column_stack([values_N, np.ones(len(values_N))])
    return resamples.of_sums(sums_N, lambda sums_R: ratio(sums_R[:, :1], sums_R[:, 1:]))[:, 0]


def unseen_by(exposure: Exposure, solutions: Sequence[LabelledSolution]) -> list[LabelledSolution]:
    """Return the solutions to problems that a judge does not say it was made with: those it can be measured on."""
    return [item for item, seen in zip(solutions, exposure.problems.seen(solutions), strict=True) if not seen]


def cross_fit(
    solutions: Sequence[LabelledSolution], fit: Fit, *, n_labels: int | None = None, seed: int = 0
) -> tuple[list[Judgement], list[int | None]]:
    """Judge each solution with what was fitted to solutions of other problems.

    Args:
        solutions: Labelled ones, of two problems at least. Shape (N,).
        fit: Trains a judge.
        n_labels: Labels that each of the `N_FOLDS` judges is trained on at most; fewer are a part of more.
        seed: Of folds, and of which labels are left out.

    Returns:
        A judgement of each solution, and the first error by the decision rule of the judge that gave it.

    Raises:
        DataError: one problem, or `fit` refuses the labels.
    """
    problems = group_problems(solutions)
    n_folds = min(N_FOLDS, len(set(problems)))
    if n_folds < 2:
        raise DataError("labels of a single problem: nothing can be fitted without the problem it is measured on")
    order = list(range(len(solutions)))
    random.Random(seed).shuffle(order)
    judgements: dict[int, Judgement] = {}
    predicted: dict[int, int | None] = {}
    folds = GroupKFold(n_folds, shuffle=True, random_state=seed).split(problems, groups=problems)
    for rest, fold in folds:
        among = set(rest.tolist())
        judge = fit([solutions[i] for i in order if i in among][:n_labels])
        answers = judge_batch(judge, [as_seen(solutions[i], show_reference=False) for i in fold])
        for i, judgement in zip(fold.tolist(), answers, strict=True):
            judgements[i] = judgement
            predicted[i] = judgement.verdict.decide(judge.info.decision) if judgement.verdict else None
    return [judgements[i] for i in range(len(solutions))], [predicted[i] for i in range(len(solutions))]


@dataclass(frozen=True)
class CurvePoint:
    """How well a judge does that was trained on so many labels."""

    n_labels: int
    """Labels it was trained on."""
    log_loss: Interval
    """Mean -log of the probability of the true first error of problems it was not trained on, nats."""


@dataclass(frozen=True)
class LearningCurve:
    """What more labels were worth so far."""

    points: tuple[CurvePoint, ...]
    """Each has twice the labels of the one before; those that `fit` refused are not here."""
    gain: PairedDifference | None
    """By how much the last doubling lowered the log loss, nats, paired; `None` if there is no doubling."""

    @property
    def advice(self) -> str:
        """Whether labelling goes on being worth it, in words."""
        if self.gain is None or self.gain.difference is None or self.gain.lo is None or self.gain.hi is None:
            return "too few labels to tell whether more would help"
        before, after = self.points[-2].n_labels, self.points[-1].n_labels
        found = f"from {before} to {after}: {self.gain.difference:+.3f} [{self.gain.lo:+.3f}, {self.gain.hi:+.3f}] nats"
        if self.gain.lo > 0:
            return f"more labels help ({found})"
        if self.gain.hi < WORTH_NATS:
            return f"twice as many labels would hardly help ({found})"
        return f"not clear yet whether more labels help ({found})"


def compute_learning_curve(
    solutions: Sequence[LabelledSolution], fit: Fit, *, measured_N: Sequence[bool], n_repeats: int = 3, seed: int = 0
) -> LearningCurve:
    """Train on more and more of the labels and measure on problems that were left out.

    The sizes are halves of halves of what a fold can train on. All are measured on the same solutions, so their
    differences are paired; the log loss of a solution is its mean over several foldings.

    Args:
        solutions: Labelled ones. Shape (N,).
        fit: Trains a judge that gives every solution a verdict.
        measured_N: Which of them the log loss is measured on; all are trained on. Shape (N,).
        n_repeats: Foldings, at least 1.
        seed: Of the first of them.

    Raises:
        DataError: one problem, nothing to measure on, or a fitted judge gave no verdict.
    """
    problems, measured = group_problems(solutions), np.flatnonzero(measured_N)
    resamples = Resamples.of([problems[i] for i in measured], n_resamples=N_RESAMPLES, seed=0)
    gold_N = [solution.first_error for solution in solutions]
    n_folds = min(N_FOLDS, len(set(problems)))
    sizes = [len(solutions) * (n_folds - 1) // n_folds]
    while sizes[0] // 2 >= MIN_LABELS:
        sizes.insert(0, sizes[0] // 2)
    points: list[CurvePoint] = []
    losses: list[Floats] = []
    for size in sizes:
        try:
            loss_N = np.zeros(len(measured))
            for repeat in range(n_repeats):
                judgements, _ = cross_fit(solutions, fit, n_labels=size, seed=seed + repeat)
                posteriors = [judgement.verdict.posterior for judgement in judgements if judgement.verdict]
                if len(posteriors) < len(solutions):
                    raise DataError(f"the judge fitted to {size} labels gave no verdict on some solutions")
                loss_N += score_first_errors(posteriors, gold_N=gold_N).log_loss_N[measured] / n_repeats
        except DataError:
            # Too few labels, or none of one kind among them, as happens to small parts: the curve begins later.
            if size == sizes[-1]:
                raise
            points, losses = [], []
            continue
        points.append(CurvePoint(size, _mean(loss_N, resamples)))
        losses.append(loss_N)
    gain = None
    if len(losses) > 1:
        before_N, after_N = losses[-2:]
        gain = paired_bootstrap(
            float(before_N.mean()),
            float(after_N.mean()),
            a_R=_means_R(before_N, resamples),
            b_R=_means_R(after_N, resamples),
        )
    return LearningCurve(tuple(points), gain)


def fit_prior(solutions: Sequence[LabelledSolution]) -> Judge:
    """Fit the judge that reads nothing: where first errors are, see `judgekit.judges.position_prior`.

    Raises:
        DataError: all solutions are correct, or all are wrong at once at the same place.
    """
    hazards = count_hazards(solutions, PriorConfig()) if solutions else ()
    if not hazards or not 0 < min(hazards) <= max(hazards) < 1:
        raise DataError(f"{len(solutions)} labels do not make a prior: correct and wrong steps are needed")
    fingerprint = fingerprint_of(Path("labels"), solutions)
    spec = PositionPriorSpec(by="position", hazards=hazards, fingerprint=fingerprint)
    return PositionPriorJudge(JudgeCard(judge_id="position prior", spec=spec, decision=ArgmaxRule()))

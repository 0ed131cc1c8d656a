"""Floors: judges that read nothing, fitted to the benchmark itself; a judge worth its cost stands above them.

A judge trained, or thresholded, on labels of the benchmark's own kind gets part of its score from where errors lie
and from how long steps are. Two judges that know nothing else are fitted to the benchmark itself, cross-fitted over its
problems, and stand in every table beside those that read. They need labels, so no `load_judge` opens them.

Shapes: `_N` solutions, `_S` steps of one solution, `_F` features, `_K` the steps of many solutions in one row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eval.judges.benchmarks import READS_NOTHING, Benchmark, clusters, has_both_classes
from eval.judges.candidates import Candidate
from eval.judges.judged_solution import JudgedSolution, decide, subset_of
from eval.judges.thresholds import Decisions, split_folds
from judgekit.errors import DataError, JudgeError
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.exposure import NOTHING_FITTED
from judgekit.metrics.checks import Floats
from judgekit.metrics.threshold import choose_threshold
from judgekit.text.identity import split_words
from judgekit.training.config import PriorConfig
from judgekit.training.prior import count_hazards
from judgekit.types import Judgement, LabelledSolution, ThresholdRule, Verdict

POSITION = "floor: position"
LENGTH = "floor: position and length"
PRIOR = PriorConfig(n_bins=12)
"""How errors are counted by position: as the position prior counts them, up to the twelfth step."""
STRENGTH = 10.0
"""Steps by which the shares of all solutions weigh in those of solutions of one length."""

Judges = Callable[[Sequence[LabelledSolution]], list[Verdict]]


class Floor(NamedTuple):
    """A kind of judge that reads nothing."""

    about: str
    """What it knows of a solution, in words."""
    fit: Callable[[Sequence[LabelledSolution]], Judges]
    """From labelled solutions, of which some are right and some wrong, to what judges others."""


def fit_position(solutions: Sequence[LabelledSolution]) -> Judges:
    """Count the share of wrong steps at each position of solutions of each length.

    (wrong + `STRENGTH` * share at that position in all solutions) / (reached + `STRENGTH`), so that lengths that are
    seldom seen have the shares of all. These are smoothed in turn, see `judgekit.training.prior.count_hazards`.
    Positions and numbers of steps from `PRIOR.n_bins` on are one each.
    """
    share_K = np.array(count_hazards(solutions, PRIOR))
    last = len(share_K) - 1
    wrong, reached = np.zeros((last + 2, last + 1)), np.zeros((last + 2, last + 1))
    for item in solutions:
        for step in range(_n_reached(item)):
            cell = min(len(item.steps), last + 1), min(step, last)
            reached[cell] += 1
            wrong[cell] += step == item.first_error
    rates = (wrong + STRENGTH * share_K) / (reached + STRENGTH)

    def judge(others: Sequence[LabelledSolution]) -> list[Verdict]:
        lengths = [len(other.steps) for other in others]
        return [
            Verdict.from_step_probs([float(1 - rates[min(n, last + 1), min(step, last)]) for step in range(n)])
            for n in lengths
        ]

    return judge


def fit_length(solutions: Sequence[LabelledSolution]) -> Judges:
    """Fit a logistic regression of "the step is right" on `step_features`, over the steps up to the first error."""
    features_K_F = np.concatenate([step_features(item.steps)[: _n_reached(item)] for item in solutions])
    ok_K = np.concatenate([np.arange(_n_reached(item)) != item.first_error for item in solutions])
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky", tol=1e-8)).fit(
        features_K_F, ok_K
    )

    def judge(others: Sequence[LabelledSolution]) -> list[Verdict]:
        p_ok_K = model.predict_proba(np.concatenate([step_features(other.steps) for other in others]))[:, 1]
        ends = np.cumsum([len(other.steps) for other in others])[:-1]
        return [Verdict.from_step_probs(p_ok_S.tolist()) for p_ok_S in np.split(p_ok_K, ends)]

    return judge


FLOORS: Mapping[str, Floor] = MappingProxyType(
    {
        POSITION: Floor("the position of each step and the number of steps", fit_position),
        LENGTH: Floor("the position and length of each step and the number of steps", fit_length),
    }
)
"""The floors, by the name they have in results."""


def floor_candidate(name: str) -> Candidate:
    """Return a floor as a judge of a run."""

    def refuse(_: object) -> Judge:
        raise JudgeError(f"{name} is fitted to the benchmark that is reported: it has no file to be opened from")

    return Candidate(
        name=name,
        info=JudgeInfo(name, ThresholdRule(), kind="floor", deterministic=True),
        load=refuse,
        exposure=NOTHING_FITTED,
    )


def step_features(steps: Sequence[str]) -> Floats:
    """Return what can be known of steps without reading them.

    Position (logarithm), share of the way, number of steps (logarithm), first, last, length in characters and in words
    (logarithms), length beside the solution's other steps, length of the whole solution (logarithm).

    Returns:
        Shape (S, 9).
    """
    n_steps, index_S = len(steps), np.arange(len(steps))
    chars_S = np.log1p([len(step) for step in steps])
    return np.column_stack(
        [
            np.log1p(index_S),
            (index_S + 1) / n_steps,
            np.full(n_steps, np.log(n_steps)),
            index_S == 0,
            index_S == n_steps - 1,
            chars_S,
            np.log1p([len(split_words(step)) for step in steps]),
            chars_S - chars_S.mean(),
            np.full(n_steps, np.log1p(sum(map(len, steps)))),
        ]
    )


def _n_reached(solution: LabelledSolution) -> int:
    """Count the steps up to the first error, that included: those of which P(step ok | earlier ok) can be learnt."""
    return len(solution.steps) if solution.first_error is None else solution.first_error + 1


def decide_floor(floor: str, benchmark: Benchmark, solutions: Sequence[LabelledSolution], *, n_folds: int) -> Decisions:
    """Fit a floor and decide every solution, model and threshold from other problems alone.

    Folds are those of `eval.judges.thresholds`: within a subset, and over the whole benchmark where a subset's folds
    lack right or wrong solutions, or where the benchmark counts all solutions as one. The threshold is that of the
    best F1 on the problems that the model was fitted to.

    Args:
        floor: Name of the floor.
        benchmark: Whose solutions these are; it says which of them belong to one problem.
        solutions: All of them.
        n_folds: Folds over problems.

    Raises:
        DataError: there are too few problems, or a fold leaves only right or only wrong solutions to fit on: no floor.
    """
    problem_N = np.array(clusters(benchmark, solutions))
    subset_N = np.array([subset_of(solution) for solution in solutions])
    fit = FLOORS[floor].fit
    whole: tuple[list[Verdict], Floats] | None = None
    verdicts: list[Verdict | None] = [None] * len(solutions)
    threshold_N = np.full(len(solutions), np.nan)
    pooled: list[str] = []
    names = list(dict.fromkeys(subset_N))
    for name in names:
        here = np.flatnonzero(subset_N == name).tolist()
        own = None
        if not benchmark.pooled:
            own = _cross_fit(fit, [solutions[i] for i in here], problem_N[here], n_folds=n_folds)
        if own is None:
            pooled.append(name)
            if whole is None and (whole := _cross_fit(fit, solutions, problem_N, n_folds=n_folds)) is None:
                raise DataError(
                    f"no {floor}: right and wrong solutions must remain whichever of {n_folds} folds of problems is "
                    f"left out, and there are {sum(item.first_error is None for item in solutions)} right and "
                    f"{sum(item.first_error is not None for item in solutions)} wrong ones, of {len(set(problem_N))} "
                    "problems"
                )
            own = [whole[0][i] for i in here], whole[1][here]
        for place, verdict, threshold in zip(here, *own, strict=True):
            verdicts[place], threshold_N[place] = verdict, threshold
    notes = [f"It knows {FLOORS[floor].about}, and {READS_NOTHING}."]
    if pooled and len(names) > 1 and not benchmark.pooled:
        notes.append(f"Right or wrong solutions are too few in {', '.join(pooled)}: fitted over the whole benchmark.")
    return Decisions.cross_fitted(
        [
            _row(solution, verdict, float(threshold), floor)
            for solution, verdict, threshold in zip(solutions, verdicts, threshold_N, strict=True)
        ],
        list(dict.fromkeys(threshold_N.tolist())),
        origin=f"cross-fitted over problems, {n_folds} folds, with the model: best F1 on the other folds",
        notes=tuple(notes),
    )


def _row(solution: LabelledSolution, verdict: Verdict | None, threshold: float, floor: str) -> JudgedSolution:
    judgement = Judgement(solution_id=solution.id, judge_id=floor, verdict=verdict)
    return decide(solution, judgement, ThresholdRule(threshold=threshold, origin=READS_NOTHING))


def _cross_fit(
    fit: Callable[[Sequence[LabelledSolution]], Judges],
    solutions: Sequence[LabelledSolution],
    problem_N: NDArray[np.str_],
    *,
    n_folds: int,
) -> tuple[list[Verdict], Floats] | None:
    """Return each solution's verdict and threshold, from other problems; `None` where a fold leaves one class alone."""
    split = split_folds(problem_N, n_folds=n_folds)
    gold_N = [solution.first_error for solution in solutions]
    if not split or not all(has_both_classes([gold_N[i] for i in rest]) for rest, _ in split):
        return None
    verdicts: dict[int, Verdict] = {}
    threshold_N = np.empty(len(solutions))
    for rest, held_out in split:
        known = [solutions[i] for i in rest]
        judge = fit(known)
        # on what this very model says of them: models of inner folds say other things by as much as thresholds differ
        said = [verdict.p_ok_S for verdict in judge(known)]
        threshold_N[held_out] = choose_threshold(said, gold_N=[item.first_error for item in known]).threshold
        verdicts |= dict(zip(held_out.tolist(), judge([solutions[i] for i in held_out]), strict=True))
    return [verdicts[i] for i in range(len(solutions))], threshold_N

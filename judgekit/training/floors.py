"""Floors: judges that read nothing, fitted to labels; a useful judge must beat them.

A judge whose training or threshold used labels like those that it is evaluated on gets part of its score from where
errors occur and how long steps are. Two judges that know nothing else are fitted to the same labels, without the
evaluated problems, and reported next to every judge that reads. No `load_judge` opens them.

Shapes: `_N` solutions, `_S` steps of one solution, `_F` features, `_K` the steps of many solutions in one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from judgekit.errors import DataError
from judgekit.judges.position_prior import place_of_step
from judgekit.metrics.checks import Floats
from judgekit.metrics.threshold import choose_threshold
from judgekit.text.identity import split_words
from judgekit.training.config import PriorConfig
from judgekit.types import LabelledSolution, Solution, ThresholdRule, Verdict

POSITION = "floor: position"
LENGTH = "floor: position and length"
PRIOR = PriorConfig(n_bins=12)
"""How errors are counted by position: as the position prior counts them, up to the twelfth step."""
STRENGTH = 10.0
"""Steps by which the shares of all solutions weigh in those of solutions of one length."""

Judges = Callable[[Sequence[Solution]], list[Verdict]]


class Floor(NamedTuple):
    """A kind of judge that reads nothing."""

    key: str
    """What names of figures call it."""
    about: str
    """What it knows of a solution, in words."""
    fit: Callable[[Sequence[LabelledSolution]], Judges]
    """From labelled solutions, of which some are correct and some wrong, to what judges others."""


def count_hazards(solutions: Sequence[LabelledSolution], config: PriorConfig) -> tuple[float, ...]:
    """Return P(step wrong | earlier steps right) by place, with additive smoothing.

    (wrong + smoothing * share) / (reached + smoothing), where the share is that of wrong steps among all reached steps,
    so that a place that no solution reaches has this share.
    """
    reached, wrong = np.zeros(config.n_bins), np.zeros(config.n_bins)
    for solution in solutions:
        n_steps = len(solution.steps)
        last = n_steps - 1 if solution.first_error is None else solution.first_error
        for step in range(last + 1):
            place = place_of_step(step, by=config.by, n_steps=n_steps, n_bins=config.n_bins)
            reached[place] += 1
            wrong[place] += step == solution.first_error
    share = wrong.sum() / reached.sum()
    hazards = (wrong + config.smoothing * share) / (reached + config.smoothing)
    return tuple(hazards.tolist())


def fit_position(solutions: Sequence[LabelledSolution]) -> Judges:
    """Count the share of wrong steps at each position of solutions of each length.

    (wrong + `STRENGTH` * share at that position in all solutions) / (reached + `STRENGTH`), so that lengths that are
    rarely seen have the shares of all. These are smoothed in turn, see `count_hazards`.
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

    def judge(others: Sequence[Solution]) -> list[Verdict]:
        lengths = [len(other.steps) for other in others]
        return [
            Verdict.from_step_probs([float(1 - rates[min(n, last + 1), min(step, last)]) for step in range(n)])
            for n in lengths
        ]

    return judge


def fit_length(solutions: Sequence[LabelledSolution]) -> Judges:
    """Fit a logistic regression of "the step is correct" on `step_features`, over the steps up to the first error."""
    features_K_F = np.concatenate([step_features(item.steps)[: _n_reached(item)] for item in solutions])
    ok_K = np.concatenate([np.arange(_n_reached(item)) != item.first_error for item in solutions])
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky", tol=1e-8)).fit(
        features_K_F, ok_K
    )

    def judge(others: Sequence[Solution]) -> list[Verdict]:
        p_ok_K = model.predict_proba(np.concatenate([step_features(other.steps) for other in others]))[:, 1]
        ends = np.cumsum([len(other.steps) for other in others])[:-1]
        return [Verdict.from_step_probs(p_ok_S.tolist()) for p_ok_S in np.split(p_ok_K, ends)]

    return judge


FLOORS: Mapping[str, Floor] = MappingProxyType(
    {
        POSITION: Floor("floor_position", "the position of each step and the number of steps", fit_position),
        LENGTH: Floor(
            "floor_position_length", "the position and length of each step and the number of steps", fit_length
        ),
    }
)
"""The floors, by the name they have in results."""


class FittedFloor(NamedTuple):
    """A floor with its threshold."""

    judge: Judges
    """Judges solutions."""
    rule: ThresholdRule
    """With the best ProcessBench F1 on the solutions that it was fitted to."""


def fit_floor(name: str, solutions: Sequence[LabelledSolution]) -> FittedFloor:
    """Fit a floor and choose its threshold on the same labelled solutions.

    Raises:
        DataError: they are all correct, or all wrong.
    """
    n_right = sum(item.first_error is None for item in solutions)
    if not 0 < n_right < len(solutions):  # scikit-learn would say so in words of its own
        raise DataError(f"no {name}: of {len(solutions)} solutions {n_right} are correct, but it needs both kinds")
    judge = FLOORS[name].fit(solutions)
    # on what this very model says of them: models of inner folds say other things by as much as thresholds differ
    said = [verdict.p_ok_S for verdict in judge(solutions)]
    choice = choose_threshold(said, gold_N=[item.first_error for item in solutions])
    return FittedFloor(judge, ThresholdRule(threshold=choice.threshold, origin="best F1 of a floor on its own labels"))


def cross_fit_floor(
    name: str, solutions: Sequence[LabelledSolution], folds: Iterable[tuple[Sequence[int], Sequence[int]]]
) -> list[tuple[Verdict, ThresholdRule]]:
    """Return what a floor says of each solution, with its threshold, both from the other folds.

    Args:
        name: Of the floor.
        solutions: Labelled solutions.
        folds: Rows to fit on and rows to hold out, each row once; where they are those of a judge, its figures and the
            floor's are of the same folds.

    Raises:
        DataError: a fold leaves only right or only wrong solutions to fit on.
    """
    found: dict[int, tuple[Verdict, ThresholdRule]] = {}
    for rest, held_out in folds:
        judge, rule = fit_floor(name, [solutions[i] for i in rest])
        verdicts = judge([solutions[i] for i in held_out])
        found |= {row: (verdict, rule) for row, verdict in zip(held_out, verdicts, strict=True)}
    return [found[row] for row in range(len(solutions))]


def step_features(steps: Sequence[str]) -> Floats:
    """Return what can be known of steps without reading them.

    Position (logarithm), share of the way, number of steps (logarithm), first, last, length in characters and in words
    (logarithms), length next to the solution's other steps, length of the whole solution (logarithm).

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

"""The floors of a benchmark: judges that read nothing, cross-fitted over its problems, in every table.

For their definition and fit see `judgekit.training.floors`. Shapes: `_N` solutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError, JudgeError
from judgekit.judges.base import Judge, JudgeInfo
from judgekit.judges.exposure import NOTHING_FITTED
from judgekit.metrics.checks import Floats
from judgekit.training.floors import FLOORS, cross_fit_floor
from judgekit.types import Judgement, LabelledSolution, ThresholdRule, Verdict
from judgekit_eval.judges.benchmarks import READS_NOTHING, Benchmark, clusters, has_both_classes
from judgekit_eval.judges.candidates import Candidate
from judgekit_eval.judges.judged_solution import JudgedSolution, decide, subset_of
from judgekit_eval.judges.thresholds import Decisions, split_folds


def floor_candidate(name: str) -> Candidate:
    """Return a floor as a judge of a run."""

    def refuse(_: object) -> Judge:
        raise JudgeError(f"{name} is fitted to the reported benchmark, so there is no file to open it from")

    return Candidate(
        name=name,
        info=JudgeInfo(name, ThresholdRule(), kind="floor", deterministic=True),
        load=refuse,
        exposure=NOTHING_FITTED,
    )


def decide_floor(floor: str, benchmark: Benchmark, solutions: Sequence[LabelledSolution], *, n_folds: int) -> Decisions:
    """Fit a floor and decide every solution, model and threshold from other problems alone.

    Folds are those of `judgekit_eval.judges.thresholds`: within a subset, and over the whole benchmark where a subset's
    folds lack correct or wrong solutions, or where the benchmark counts all solutions as one. The threshold is that of
    the best F1 on the problems that the model was fitted to.

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
    whole: tuple[list[Verdict], Floats] | None = None
    verdicts: list[Verdict | None] = [None] * len(solutions)
    threshold_N = np.full(len(solutions), np.nan)
    pooled: list[str] = []
    names = list(dict.fromkeys(subset_N))
    for name in names:
        here = np.flatnonzero(subset_N == name).tolist()
        own = None
        if not benchmark.pooled:
            own = _cross_fit(floor, [solutions[i] for i in here], problem_N[here], n_folds=n_folds)
        if own is None:
            pooled.append(name)
            if whole is None and (whole := _cross_fit(floor, solutions, problem_N, n_folds=n_folds)) is None:
                raise DataError(
                    f"no {floor}: correct and wrong solutions must remain whichever of {n_folds} folds of problems is "
                    f"left out, but there are {sum(item.first_error is None for item in solutions)} correct and "
                    f"{sum(item.first_error is not None for item in solutions)} wrong ones, of {len(set(problem_N))} "
                    "problems"
                )
            own = [whole[0][i] for i in here], whole[1][here]
        for place, verdict, threshold in zip(here, *own, strict=True):
            verdicts[place], threshold_N[place] = verdict, threshold
    notes = [f"It knows {FLOORS[floor].about}, and {READS_NOTHING}."]
    if pooled and len(names) > 1 and not benchmark.pooled:
        notes.append(f"Too few correct or wrong solutions in {', '.join(pooled)}: fitted over the whole benchmark.")
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
    floor: str,
    solutions: Sequence[LabelledSolution],
    problem_N: NDArray[np.str_],
    *,
    n_folds: int,
) -> tuple[list[Verdict], Floats] | None:
    """Return each solution's verdict and threshold, from other problems; `None` if a fold leaves one class alone."""
    split = split_folds(problem_N, n_folds=n_folds)
    gold_N = [solution.first_error for solution in solutions]
    if not split or not all(has_both_classes([gold_N[i] for i in rest]) for rest, _ in split):
        return None
    found = cross_fit_floor(floor, solutions, [(rest.tolist(), held_out.tolist()) for rest, held_out in split])
    return [verdict for verdict, _ in found], np.array([rule.threshold for _, rule in found])

"""Which threshold decides, on ProcessBench and every other benchmark, and on which problems it was chosen.

No threshold decides on the data that it was chosen on, unless that was requested and is stated. `decide_all` is the
rule: the judge's own threshold if it was chosen on other data; else one per fold, with the best ProcessBench F1 on the
other folds' problems, within each subset; or the one that `EvalConfig.threshold` names. `judgekit.metrics.threshold`
finds the threshold with the best F1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from judgekit.errors import ConfigError, DataError
from judgekit.metrics.threshold import choose_threshold
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution, ThresholdRule
from judgekit_eval.judges.benchmarks import Benchmark, by_subset, clusters, has_both_classes
from judgekit_eval.judges.config import HELD_OUT, TUNED
from judgekit_eval.judges.judged_solution import JudgedSolution, decide
from judgekit_eval.judges.schema import Decision

Rule = ThresholdRule | ArgmaxRule


@dataclass(frozen=True)
class Decisions:
    """All decisions of one judge on one benchmark, and how they came about."""

    rows: list[JudgedSolution]
    """The decided solutions, in the benchmark's order."""
    decision: Decision
    """What decided, as results say it."""
    tuned_on: str | None = None
    """The subset whose own best threshold was taken."""
    notes: tuple[str, ...] = ()
    """What must be known about them, in words."""

    @classmethod
    def by_rule(
        cls, rule: Rule, rows: list[JudgedSolution], *, tuned_on: str | None = None, notes: tuple[str, ...] = ()
    ) -> Decisions:
        """Return solutions that one rule decided."""
        threshold = rule.threshold if isinstance(rule, ThresholdRule) else None
        decision = Decision(kind=rule.kind, threshold=threshold, thresholds=None, n_default=0, origin=rule.origin)
        if isinstance(rule, ArgmaxRule) and rule.no_error_weight != 1:
            decision = decision.model_copy(update={"no_error_weight": rule.no_error_weight})
        return cls(rows, decision, tuned_on, notes)

    @classmethod
    def cross_fitted(
        cls,
        rows: list[JudgedSolution],
        thresholds: list[float],
        *,
        origin: str,
        n_default: int = 0,
        notes: tuple[str, ...] = (),
    ) -> Decisions:
        """Return solutions that a threshold a fold decided."""
        decision = Decision(kind="threshold", threshold=None, thresholds=thresholds, n_default=n_default, origin=origin)
        return cls(rows, decision, notes=notes)


def tuning_subset(threshold: float | str) -> str | None:
    """Return the subset that the option tunes on, if it does."""
    return threshold.removeprefix(TUNED) if isinstance(threshold, str) and threshold.startswith(TUNED) else None


def decide_all(
    benchmark: Benchmark,
    solutions: Sequence[LabelledSolution],
    judgements: Sequence[Judgement],
    *,
    rule: Rule,
    threshold: float | str,
    n_folds: int,
) -> Decisions:
    """Decide every solution under the rule that an evaluation asks for. An argmax rule stays, whatever is asked.

    Args:
        benchmark: Whose solutions these are; it says which of them belong to one problem.
        solutions: All of them.
        judgements: What the judge said of each.
        rule: The judge's own rule.
        threshold: See `EvalConfig.threshold`.
        n_folds: Folds over problems where thresholds are cross-fitted.

    Raises:
        ConfigError: the subset to tune on is not one of the benchmark's, or lacks erroneous or correct solutions.
    """

    def decide_by(rule: Rule) -> list[JudgedSolution]:
        return [decide(solution, said, rule) for solution, said in zip(solutions, judgements, strict=True)]

    rows, subset = decide_by(rule), tuning_subset(threshold)
    if isinstance(rule, ArgmaxRule):
        return Decisions.by_rule(rule, rows)
    if threshold == HELD_OUT and rule.origin == "default":
        return _cross_fitted(benchmark, rows, rule=rule, n_folds=n_folds)
    notes: tuple[str, ...] = ()
    if subset is not None:
        groups = by_subset(rows)
        if subset not in groups:
            raise ConfigError(f"threshold={threshold}: the benchmark has no such subset but {', '.join(groups)}")
        try:
            best = _best_threshold(groups[subset])
        except DataError as error:
            raise ConfigError(f"threshold={threshold}: {error}") from error
        rule = ThresholdRule(threshold=best, origin=f"best F1 on {subset} in this evaluation")
        notes = (
            f"The threshold was chosen on {subset}, which is reported here: its figures are an upper bound, and the "
            "figures over all subsets contain them.",
        )
    elif isinstance(threshold, float):
        rule = ThresholdRule(threshold=threshold, origin="given in the configuration")
    elif rule.origin == "default":
        notes = (f"The threshold {rule.threshold} is an untouched default that was chosen on nothing.",)
    return Decisions.by_rule(rule, decide_by(rule), tuned_on=subset, notes=notes)


def _best_threshold(rows: Sequence[JudgedSolution]) -> float:
    return choose_threshold([row.p_ok_S for row in rows], gold_N=[row.gold for row in rows]).threshold


def split_folds(
    problem_N: Sequence[str] | NDArray[np.str_], *, n_folds: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each fold, the places of the rest and of the fold; problems stay whole, one alone has none."""
    n_folds = min(n_folds, len(set(problem_N)))
    return list(GroupKFold(n_folds).split(problem_N, groups=problem_N)) if n_folds > 1 else []


@dataclass(frozen=True)
class _Folds:
    """Thresholds by fold."""

    thresholds: list[float]
    """One a fold."""
    threshold_of: dict[str, float]
    """The one that was chosen without the solution's problem, by solution id."""
    n_failed: int
    """Folds whose complement lacks a class, so that the default decides them."""

    @classmethod
    def of(cls, rows: Sequence[JudgedSolution], problem_N: Sequence[str], *, default: float, n_folds: int) -> _Folds:
        ids = [row.solution.id for row in rows]
        thresholds, threshold_of, n_failed = [], dict[str, float](), 0
        for rest, held_out in split_folds(problem_N, n_folds=n_folds):
            chosen_on = [rows[index] for index in rest]
            fits = has_both_classes([row.gold for row in chosen_on])
            thresholds.append(_best_threshold(chosen_on) if fits else default)
            threshold_of |= {ids[index]: thresholds[-1] for index in held_out}
            n_failed += not fits
        if not thresholds:  # one problem alone: nothing is left to choose on
            return cls([default], dict.fromkeys(ids, default), n_failed=1)
        return cls(thresholds, threshold_of, n_failed)


def _cross_fitted(benchmark: Benchmark, rows: list[JudgedSolution], *, rule: ThresholdRule, n_folds: int) -> Decisions:
    """Decide each solution with a threshold chosen on the other folds' problems.

    Folds are drawn within a subset; over the whole benchmark where a subset has only erroneous or only correct
    solutions, or where subsets are but a breakdown. Where no fold leaves enough to choose on, the default decides, and
    nothing is called cross-fitted.
    """

    def fit(group: Sequence[JudgedSolution]) -> _Folds:
        problem_N = clusters(benchmark, [row.solution for row in group])
        return _Folds.of(group, problem_N, default=rule.threshold, n_folds=n_folds)

    pooled = fit(rows)
    folds = {
        name: fit(group) if has_both_classes([row.gold for row in group]) and not benchmark.pooled else pooled
        for name, group in by_subset(rows).items()
    }
    used = list({id(item): item for item in folds.values()}.values())  # the pooled folds once
    notes = []
    for item in used:
        names = "the benchmark" if benchmark.pooled else ", ".join(name for name, own in folds.items() if own is item)
        n_own = len(item.thresholds)
        if item is pooled and not benchmark.pooled and len(folds) > 1 and item.n_failed < n_own:
            notes.append(
                f"Erroneous or correct solutions alone in {names}: thresholds there were chosen over the whole "
                "benchmark, without the problem's fold."
            )
        if item.n_failed:
            notes.append(
                f"{item.n_failed} of the {n_own} folds of {names} leave too little to choose a threshold on "
                f"(erroneous and correct solutions are needed): the default {rule.threshold} decides them."
            )
    n_default, n_all = sum(item.n_failed for item in used), sum(len(item.thresholds) for item in used)
    if n_default == n_all:
        return Decisions.by_rule(rule, rows, notes=tuple(notes))
    decided = [
        decide(
            row.solution,
            row.judgement,
            rule.model_copy(update={"threshold": folds[row.subset].threshold_of[row.solution.id]}),
        )
        for row in rows
    ]
    return Decisions.cross_fitted(
        decided,
        [threshold for item in used for threshold in item.thresholds],
        origin=f"cross-fitted over problems, {n_folds} folds: best F1 on the other folds"
        + (f"; the default in {n_default} of {n_all} folds" if n_default else ""),
        n_default=n_default,
        notes=tuple(notes),
    )

"""Which threshold a judge's decisions are made with, so that none is chosen on the solutions it then decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold

from eval.judges.benchmarks import Benchmark, by_subset, clusters
from eval.judges.config import HELD_OUT, TUNED
from eval.judges.judged_solution import JudgedSolution, decide
from eval.judges.schema import Decision
from judgekit.errors import ConfigError, DataError
from judgekit.metrics.threshold import choose_threshold
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution, ThresholdRule

Rule = ThresholdRule | ArgmaxRule


@dataclass(frozen=True)
class Decisions:
    """All decisions of one judge on one benchmark, and how they came about."""

    rows: list[JudgedSolution]
    """The decided solutions, in the benchmark's order."""
    kind: Literal["threshold", "argmax"]
    """`threshold` or `argmax`."""
    threshold: float | None
    """The one threshold; `None` where there are several or none."""
    thresholds: list[float] | None
    """One a fold, subset by subset, where they were cross-fitted."""
    origin: str
    """Where they come from."""
    tuned_on: str | None = None
    """The subset whose own best threshold was taken."""
    n_default: int = 0
    """Of these, folds in which nothing could be chosen, so that they have the judge's default."""
    notes: tuple[str, ...] = ()
    """What must be known about them, in words."""

    @property
    def section(self) -> Decision:
        """The section `decision` of the results."""
        return Decision(
            kind=self.kind,
            threshold=self.threshold,
            thresholds=self.thresholds,
            n_default=self.n_default,
            origin=self.origin,
        )


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
        ConfigError: the subset to tune on is none of the benchmark's, or lacks erroneous or correct solutions.
    """
    rows = _decide_by(rule, solutions, judgements)
    subset = tuning_subset(threshold)
    if isinstance(rule, ArgmaxRule):
        return Decisions(rows, kind=rule.kind, threshold=None, thresholds=None, origin=rule.origin)
    if threshold == HELD_OUT and rule.origin == "default":
        return _cross_fitted(benchmark, rows, rule=rule, n_folds=n_folds)
    if subset is not None:
        rule = ThresholdRule(threshold=_tuned(rows, subset), origin=f"best F1 on {subset} in this evaluation")
    elif isinstance(threshold, float):
        rule = ThresholdRule(threshold=threshold, origin="given in the configuration")
    return Decisions(
        rows=_decide_by(rule, solutions, judgements),
        kind=rule.kind,
        threshold=rule.threshold,
        thresholds=None,
        origin=rule.origin,
        tuned_on=subset,
        notes=_notes_on(rule, subset),
    )


def _decide_by(
    rule: Rule, solutions: Sequence[LabelledSolution], judgements: Sequence[Judgement]
) -> list[JudgedSolution]:
    return [decide(solution, judgement, rule) for solution, judgement in zip(solutions, judgements, strict=True)]


def _notes_on(rule: ThresholdRule, subset: str | None) -> tuple[str, ...]:
    if subset is not None:
        return (
            f"The threshold was chosen on {subset}, which is reported here: its figures are an upper bound, and the "
            "figures over all subsets contain them.",
        )
    if rule.origin == "default":
        return (f"The threshold {rule.threshold} is an untouched default that was chosen on nothing.",)
    return ()


def _tuned(rows: Sequence[JudgedSolution], subset: str) -> float:
    chosen_on = by_subset(rows).get(subset)
    if chosen_on is None:
        raise ConfigError(
            f"threshold={TUNED}{subset}: the benchmark has no such subset but {', '.join(by_subset(rows))}"
        )
    try:
        return _best_threshold(chosen_on)
    except DataError as error:
        raise ConfigError(f"threshold={TUNED}{subset}: {error}") from error


def _best_threshold(rows: Sequence[JudgedSolution]) -> float:
    return choose_threshold([row.p_ok_S for row in rows], gold_N=[row.gold for row in rows]).threshold


class _Folds(NamedTuple):
    """Thresholds by fold, and the fold of each problem."""

    thresholds: list[float]
    """One a fold."""
    fold_of: Mapping[str, int]
    """Fold by solution id."""
    n_failed: int
    """Folds whose complement lacks a class, so that the default decides them."""
    default: float
    """The judge's own threshold."""

    def threshold_for(self, row: JudgedSolution) -> float:
        """Return the threshold that was chosen without the row's problem."""
        return self.thresholds[self.fold_of[row.solution.id]]


def _cross_fitted(
    benchmark: Benchmark, rows: Sequence[JudgedSolution], *, rule: ThresholdRule, n_folds: int
) -> Decisions:
    """Decide each solution with a threshold chosen on the other folds' problems.

    Folds are drawn within a subset; over the whole benchmark where a subset has only erroneous or only correct
    solutions, or where subsets are but a breakdown. Where no fold leaves enough to choose on, the default decides, and
    nothing is called cross-fitted.
    """
    groups = by_subset(rows)

    def fit(group: Sequence[JudgedSolution]) -> _Folds:
        return _fold_thresholds(
            group, clusters(benchmark, [row.solution for row in group]), default=rule.threshold, n_folds=n_folds
        )

    pooled = fit(rows)
    folds = {
        name: fit(group) if _has_both(group) and not benchmark.pooled else pooled for name, group in groups.items()
    }
    rules = [rule.model_copy(update={"threshold": folds[row.subset].threshold_for(row)}) for row in rows]
    used = {id(item): item for item in folds.values()}.values()  # the pooled folds once
    notes = tuple(_notes_on_folds(folds, pooled=pooled, is_pooled=benchmark.pooled))
    n_default, n_all = sum(item.n_failed for item in used), sum(len(item.thresholds) for item in used)
    if n_default == n_all:
        rows = [decide(row.solution, row.judgement, rule) for row in rows]
        return Decisions(
            rows, kind=rule.kind, threshold=rule.threshold, thresholds=None, origin=rule.origin, notes=notes
        )
    return Decisions(
        rows=[decide(row.solution, row.judgement, own) for row, own in zip(rows, rules, strict=True)],
        kind=rule.kind,
        threshold=None,
        thresholds=[threshold for item in used for threshold in item.thresholds],
        origin=f"cross-fitted over problems, {n_folds} folds: best F1 on the other folds"
        + (f"; the default in {n_default} of {n_all} folds" if n_default else ""),
        n_default=n_default,
        notes=notes,
    )


def _has_both(rows: Sequence[JudgedSolution]) -> bool:
    return len({row.gold is None for row in rows}) == 2


def _fold_thresholds(
    rows: Sequence[JudgedSolution], problem_N: Sequence[str], *, default: float, n_folds: int
) -> _Folds:
    ids = [row.solution.id for row in rows]
    n_folds = min(n_folds, len(set(problem_N)))
    if n_folds < 2:
        return _Folds([default], dict.fromkeys(ids, 0), n_failed=1, default=default)
    thresholds, fold_of, n_failed = [], dict[str, int](), 0
    for fold, (rest, held_out) in enumerate(GroupKFold(n_folds).split(np.zeros(len(rows)), groups=problem_N)):
        fold_of |= {ids[index]: fold for index in held_out}
        chosen_on = [rows[index] for index in rest]
        n_failed += not _has_both(chosen_on)
        thresholds.append(_best_threshold(chosen_on) if _has_both(chosen_on) else default)
    return _Folds(thresholds, fold_of, n_failed, default)


def _notes_on_folds(folds: Mapping[str, _Folds], *, pooled: _Folds, is_pooled: bool) -> Iterator[str]:
    for item in {id(item): item for item in folds.values()}.values():
        names = "the benchmark" if is_pooled else ", ".join(name for name, own in folds.items() if own is item)
        n_folds = len(item.thresholds)
        if item is pooled and not is_pooled and len(folds) > 1 and item.n_failed < n_folds:
            yield (
                f"Erroneous or correct solutions alone in {names}: thresholds there were chosen over the whole "
                "benchmark, without the problem's fold."
            )
        if item.n_failed:
            yield (
                f"{item.n_failed} of the {n_folds} folds of {names} leave too little to choose a threshold on "
                f"(erroneous and correct solutions are needed): the default {item.default} decides them."
            )

"""Do conformal guarantees hold? Coverage of index sets and risk of certified prefixes, held out and under shift.

Everything counts problems, as the guarantee does: a solution weighs 1 / the number of judged solutions of its problem.
Axes: `_N` judged solutions, `_O` outcomes of one, `_S` its steps, padded to the longest; `_M` metrics, `_R` resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from judgekit.calibration.conformal import conformal_threshold, exceeds, mass_above, survival
from judgekit.metrics.bootstrap import cluster_bootstrap, percentile_interval
from judgekit.metrics.checks import Floats, check_lengths, defined, ratio
from judgekit.text.identity import group_problems
from judgekit_eval.judges.intervals import metric_of
from judgekit_eval.judges.judged_solution import JudgedSolution
from judgekit_eval.judges.schema import Conformal, ConformalSubset, IndexSet, Prefix, Promise, Shift, Spread

Mask = NDArray[np.bool_]
T = TypeVar("T")

SET_METRICS = ("coverage", "mean_size", "mean_share", "full_share")
"""Of index sets, in the order of their columns."""
PREFIX_METRICS = ("risk", "mean_share", "empty_share")
"""Of certified prefixes."""
PARTS = {"index_set": SET_METRICS, "prefix": PREFIX_METRICS, "prefix_if_wrong": PREFIX_METRICS}
"""The three guarantees and their metrics: columns of every array with axis `_M`."""


def measure_coverage(
    rows: Sequence[JudgedSolution],
    *,
    alphas: Sequence[float],
    n_splits: int,
    n_resamples: int,
    seed: int,
    problem_N: Sequence[str] | None = None,
) -> Conformal | None:
    """Measure index sets and certified prefixes of one judge on one benchmark; `None` if nothing was judged.

    Three ways to calibrate, the test problems always others than the calibration problems. `held_out`: half of a
    subset's problems, tested on the other half; once with an interval, and `n_splits` more times; `None` if fewer
    than two problems have a verdict. `shift` of kind `subset`: all of the first subset, tested on each other one.
    `shift` of kind `generator`: the solutions of a subset's other generators, tested on those of one, where generators
    are known.

    The guarantees: coverage >= 1 - alpha, risk <= alpha, on average over calibration sets. A threshold of 1 is an empty
    guarantee: every outcome is in the set, no step is certified. `prefix_if_wrong` is calibrated and measured on
    erroneous solutions alone. Solutions without a verdict are counted and left out of every metric. Intervals are of
    the bootstrap over test problems with the thresholds as they are; those of `splits` hold the central 95 % of the
    splits, where calibration varies too.

    Args:
        rows: All solutions of the benchmark, in its order.
        alphas: Error probabilities of the guarantees, each in (0, 1).
        n_splits: Random splits behind `splits`, at least 2.
        n_resamples: Bootstrap resamples of the test problems behind the intervals.
        seed: Of splits and bootstrap.
        problem_N: What counts as the problem of each solution; `None` = its problem's text.

    Raises:
        DataError: lengths differ.
    """
    settings = _Settings(tuple(alphas), n_resamples, seed)
    if problem_N is None:
        problem_N = group_problems([row.solution for row in rows])
    if rows:
        check_lengths(rows, problem_N)
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.subset, []).append(index)
    subsets = {
        name: _Table.of([rows[i] for i in group], problem_N=[problem_N[i] for i in group])
        for name, group in groups.items()
    }
    if not any(table.n_problems for table in subsets.values()):
        return None
    return Conformal(
        alphas=list(alphas),
        n_splits=n_splits,
        n_resamples=n_resamples,
        seed=seed,
        level=0.95,
        weighting="problem",
        subsets={
            name: ConformalSubset(
                n=len(table),
                n_no_verdict=int((~table.judged_N).sum()),
                n_problems=table.n_problems,
                mean_outcomes=table.mean_outcomes,
                held_out=_held_out(table, settings, n_splits=n_splits) if table.n_problems > 1 else None,
            )
            for name, table in subsets.items()
        },
        shift=list(_shifts(subsets, settings)),
    )


class _Settings(NamedTuple):
    alphas: tuple[float, ...]
    n_resamples: int
    seed: int


class _Thresholds(NamedTuple):
    """What calibration learns for one alpha."""

    max_mass: float
    min_survival: float
    min_survival_if_wrong: float


@dataclass(frozen=True)
class _Table:
    """Solutions with everything that a threshold is compared with.

    One without a verdict has no mass above anything and no survival: every outcome is in its set, no step certified.
    """

    problem_N: NDArray[np.str_]
    generator_N: NDArray[np.str_]
    """Empty if unknown."""
    judged_N: Mask
    wrong_N: Mask
    n_steps_N: NDArray[np.int64]
    true_mass_N: Floats
    true_survival_N: Floats
    mass_N_O: Floats
    """Padded with infinity, which no threshold reaches."""
    survival_N_S: Floats
    """Padded with -1, which lies above no threshold."""

    @classmethod
    def of(cls, rows: Sequence[JudgedSolution], *, problem_N: Sequence[str]) -> Self:
        n_steps_N = np.array([len(row.solution.steps) for row in rows])
        mass_N_O = np.full((len(rows), n_steps_N.max() + 1), np.inf)
        survival_N_S = np.full((len(rows), n_steps_N.max()), -1.0)
        gold_N = [row.gold for row in rows]
        for i, (row, n_steps) in enumerate(zip(rows, n_steps_N, strict=True)):
            verdict = row.judgement.verdict
            mass_N_O[i, : n_steps + 1] = mass_above(verdict.posterior) if verdict else 0.0
            survival_N_S[i, :n_steps] = survival(verdict.posterior) if verdict else 0.0
        outcome_N = [n if gold is None else gold for gold, n in zip(gold_N, n_steps_N, strict=True)]
        return cls(
            problem_N=np.array(problem_N),
            generator_N=np.array([row.solution.generator or "" for row in rows]),
            judged_N=np.array([row.judged for row in rows]),
            wrong_N=np.array([gold is not None for gold in gold_N]),
            n_steps_N=n_steps_N,
            true_mass_N=mass_N_O[np.arange(len(rows)), outcome_N],
            true_survival_N=np.array([0.0 if gold is None else survival_N_S[i, gold] for i, gold in enumerate(gold_N)]),
            mass_N_O=mass_N_O,
            survival_N_S=survival_N_S,
        )

    def __len__(self) -> int:
        return len(self.problem_N)

    def take(self, rows_N: Mask) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows_N] for field in fields(self)})

    @property
    def n_problems(self) -> int:
        return len(np.unique(self.problem_N[self.judged_N]))

    @property
    def mean_outcomes(self) -> float | None:
        """Outcomes of a judged solution, weighted as the mean size of sets is; `None` if nothing was judged."""
        if not self.n_problems:
            return None
        return float(np.average(self.n_steps_N + 1, weights=self._shared(self.judged_N)))

    def calibrate(self, alpha: float) -> _Thresholds:
        def threshold(scores_N: Floats, rows_N: Mask) -> float:
            return conformal_threshold(scores_N[rows_N], problem_N=self.problem_N[rows_N].tolist(), alpha=alpha)

        wrong_N = self.judged_N & self.wrong_N
        return _Thresholds(
            max_mass=threshold(self.true_mass_N, self.judged_N),
            min_survival=threshold(self.true_survival_N, self.judged_N),
            min_survival_if_wrong=threshold(self.true_survival_N, wrong_N),
        )

    def values(self, thresholds: _Thresholds) -> Floats:
        """Return the metrics of each solution, columns as in `PARTS`. Shape (N, M)."""
        size_N = (~exceeds(self.mass_N_O, thresholds.max_mass)).sum(axis=1)
        n_outcomes_N = self.n_steps_N + 1
        covered_N = ~exceeds(self.true_mass_N, thresholds.max_mass)
        columns = [covered_N, size_N, size_N / n_outcomes_N, size_N == n_outcomes_N]
        for min_survival in (thresholds.min_survival, thresholds.min_survival_if_wrong):
            kept_N = exceeds(self.survival_N_S, min_survival).sum(axis=1)
            columns += [exceeds(self.true_survival_N, min_survival), kept_N / self.n_steps_N, kept_N == 0]
        return np.column_stack(columns).astype(float)

    def weights(self) -> Floats:
        """Return each solution's weight in each metric: a problem's judged solutions share 1. Shape (N, M)."""
        all_N, wrong_N = self._shared(self.judged_N), self._shared(self.judged_N & self.wrong_N)
        columns = [wrong_N if part == "prefix_if_wrong" else all_N for part, names in PARTS.items() for _ in names]
        return np.column_stack(columns)

    def _shared(self, counted_N: Mask) -> Floats:
        _, index_N = np.unique(self.problem_N, return_inverse=True)
        return np.where(counted_N, 1 / np.maximum(np.bincount(index_N, weights=counted_N), 1)[index_N], 0.0)


def _held_out(table: _Table, settings: _Settings, *, n_splits: int) -> list[Promise]:
    """Calibrate on half of the problems, rounded down, and test on the others: once, and again over random splits."""
    problems, index_N = np.unique(table.problem_N, return_inverse=True)
    rng = np.random.default_rng(settings.seed)
    halves = [(rng.permutation(len(problems)) < len(problems) // 2)[index_N] for _ in range(n_splits + 1)]
    measured = _measure(table.take(halves[0]), table.take(~halves[0]), settings)
    with_splits = []
    for promise in measured:
        means_R = []
        for half in halves[1:]:
            tested = table.take(~half)
            weights = tested.weights()
            weighted = tested.values(table.take(half).calibrate(promise.alpha)) * weights
            means_R.append(_ratios(np.hstack([weighted, weights]).sum(axis=0, keepdims=True))[0])
        splits = _by_part([_spread(column_R) for column_R in np.array(means_R).T])
        with_splits.append(promise.model_copy(update={"splits": splits}))
    return with_splits


def _spread(values_R: Floats) -> Spread:
    known_R = values_R[~np.isnan(values_R)]
    if not len(known_R):
        return Spread(mean=None, sd=None, lo=None, hi=None)
    mean, lo, hi = percentile_interval(float(known_R.mean()), known_R)
    return Spread(mean=mean, sd=float(known_R.std()), lo=lo, hi=hi)


def _shifts(subsets: Mapping[str, _Table], settings: _Settings) -> Iterator[Shift]:
    first, *others = subsets
    for name in others:
        yield from _shift("subset", first, name, name, subsets[first], subsets[name], settings)
    for name, table in subsets.items():
        generators = np.unique(table.generator_N[table.generator_N != ""])
        for generator in generators if len(generators) > 1 else ():
            is_tested_N = table.generator_N == generator
            given = table.take(~is_tested_N & (table.generator_N != ""))
            tested = table.take(is_tested_N)
            yield from _shift("generator", f"not {generator}", str(generator), name, given, tested, settings)


def _shift(
    kind: Literal["subset", "generator"],
    calibrated_on: str,
    tested_on: str,
    subset: str,
    given: _Table,
    tested: _Table,
    settings: _Settings,
) -> Iterator[Shift]:
    """Yield one comparison, or nothing if either side has no verdict."""
    # Problems that are on both sides would make the guarantee look better than it is on new ones.
    calibration = given.take(~np.isin(given.problem_N, tested.problem_N))
    if calibration.n_problems and tested.n_problems:
        measured = _measure(calibration, tested, settings)
        yield Shift(kind=kind, calibrated_on=calibrated_on, tested_on=tested_on, subset=subset, figures=measured)


def _measure(calibration: _Table, tested: _Table, settings: _Settings) -> list[Promise]:
    """Return the metrics for each alpha, all intervals from the same resamples of the test problems."""
    thresholds = [calibration.calibrate(alpha) for alpha in settings.alphas]
    weights = np.tile(tested.weights(), len(thresholds))
    weighted = np.hstack([tested.values(learned) for learned in thresholds]) * weights
    sums_N = np.hstack([weighted, weights])
    resampled_R = cluster_bootstrap(
        sums_N,
        cluster_N=tested.problem_N.tolist(),
        statistic=_ratios,
        n_resamples=settings.n_resamples,
        seed=settings.seed,
    )
    found = iter(
        metric_of(percentile_interval(defined(value), resampled_R[:, column]))
        for column, value in enumerate(_ratios(sums_N.sum(axis=0, keepdims=True))[0])
    )
    promises = []
    for alpha, learned in zip(settings.alphas, thresholds, strict=True):
        parts = _by_part([next(found) for names in PARTS.values() for _ in names])
        promises.append(
            Promise(
                alpha=alpha,
                n_problems_calibration=calibration.n_problems,
                n_problems=tested.n_problems,
                n=len(tested),
                n_no_verdict=int((~tested.judged_N).sum()),
                index_set=IndexSet(max_mass=learned.max_mass, **parts["index_set"]),
                prefix=Prefix(min_survival=learned.min_survival, **parts["prefix"]),
                prefix_if_wrong=Prefix(min_survival=learned.min_survival_if_wrong, **parts["prefix_if_wrong"]),
                splits=None,
            )
        )
    return promises


def _ratios(sums_R: Floats) -> Floats:
    """Divide the weighted sums in the left half by the weights in the right half; NaN if there is no weight."""
    return ratio(*np.hsplit(sums_R, 2))


def _by_part(columns: Sequence[T]) -> dict[str, dict[str, T]]:
    """Name columns by guarantee and metric, see `PARTS`."""
    given = iter(columns)
    return {part: {name: next(given) for name in names} for part, names in PARTS.items()}

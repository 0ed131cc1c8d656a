"""What a judge says about correct solutions that are no longer correct: paired scores and the reading score.

Axes: `_N` correct solutions, `_R` resamples of their problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.judges.reading import ReadingScore
from judgekit.metrics.bootstrap import Resamples
from judgekit.metrics.checks import Floats
from judgekit.metrics.ranking import weighted_ranking
from judgekit.types import ArgmaxRule, Judgement, LabelledSolution, ThresholdRule
from judgekit_eval.attacks.reading import READING_TESTS
from judgekit_eval.attacks.schema import ReadingEffects
from judgekit_eval.judges.intervals import Estimate, average, estimate_means, estimate_weighted
from judgekit_eval.results import Metric


def measure_reading(
    own_N: Sequence[Judgement],
    changed: Mapping[int, Judgement],
    *,
    rule: ThresholdRule | ArgmaxRule,
    resamples: Resamples,
) -> tuple[ReadingEffects, Estimate]:
    """Compare what a judge says of correct solutions with what it says of them when they are correct no longer.

    Args:
        own_N: Of each correct solution as it is.
        changed: Of what was made of it, by its index.
        rule: How the judge decides.
        resamples: Of the problems of the correct solutions.

    Returns:
        The figures, paired differences with 95 % intervals over problems; and the AUC with its resamples. Undefined
        where no solution has both verdicts.
    """
    verdicts = {row: (own_N[row].verdict, judgement.verdict) for row, judgement in changed.items()}
    both = {row: (own, other) for row, (own, other) in verdicts.items() if own is not None and other is not None}
    parts = resamples.of_parts(np.array(list(both), dtype=np.int64))
    own = np.array([own.p_none for own, _ in both.values()])
    other = np.array([other.p_none for _, other in both.values()])
    passed = np.array([own.decide(rule) is None for own, _ in both.values()], dtype=bool)
    noticed = passed & np.array([other.decide(rule) is not None for _, other in both.values()], dtype=bool)
    nothing = Estimate(None, np.full(resamples.n_resamples, np.nan))
    auc = nothing
    if both:
        # Each solution counts twice, once on either side, and a resample draws both: paired in the bootstrap.
        is_own = np.repeat([1.0, 0.0], len(both))

        def statistic(weights_R_N: Floats) -> Floats:
            return weighted_ranking(np.concatenate([own, other]), is_own, np.tile(weights_R_N, 2))[:, :1]

        auc = estimate_weighted(statistic, ("auc",), parts)["auc"]
    change = estimate_means({"change": other - own}, parts)["change"]
    flips = estimate_means({"noticed": noticed.astype(float)}, parts, counted_N=passed)["noticed"]
    effects = ReadingEffects(
        n=len(changed),
        n_scored=len(both),
        p_none_before=float(own.mean()) if both else None,
        p_none=Metric(**change.interval._asdict()),
        auc=Metric(**auc.interval._asdict()),
        n_passed_before=int(passed.sum()),
        noticed=Metric(**flips.interval._asdict()),
    )
    return effects, auc


def reading_score(
    aucs: Mapping[str, Estimate], solutions: Sequence[LabelledSolution], *, data: Path
) -> ReadingScore | None:
    """Return the mean AUC of the tests that count; `None` if one of them was not made or has no figure.

    Args:
        aucs: Of each test, with the same draws.
        solutions: The correct solutions.
        data: Where they come from.
    """
    counted = {name: aucs[name] for name, test in READING_TESTS.items() if test.scores and name in aucs}
    if len(counted) < sum(test.scores for test in READING_TESTS.values()):
        return None
    value, lo, hi = average(list(counted.values())).interval
    if value is None:
        return None
    tests = {name: auc.value for name, auc in counted.items() if auc.value is not None}
    return ReadingScore(auc=value, lo=lo, hi=hi, tests=tests, fingerprint=fingerprint_of(data, solutions))

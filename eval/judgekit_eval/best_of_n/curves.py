"""Curves of best-of-N: the expected accuracy of the chosen response for each N, and intervals around it.

Every value of a curve is a mean over all subsets of N responses of a group. Axis suffixes: `_G` response of a group,
`_P` group, `_R` resample, `_M` method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from judgekit.groups import RolloutGroup
from judgekit.metrics.bootstrap import cluster_bootstrap, percentile_interval
from judgekit.metrics.checks import Floats
from judgekit.metrics.sampling import best_of_n, draw_subsets, vote
from judgekit.types import Verdict
from judgekit_eval.best_of_n.answer_groups import AnswerGroups
from judgekit_eval.best_of_n.schema import MethodMetrics
from judgekit_eval.results import Metric

SCORES = {
    "product": "P(no error), the product of all steps' P(step ok | earlier steps ok)",
    "min": "the smallest P(step ok | earlier steps ok)",
    "last": "P(last step ok | earlier steps ok)",
    "prefix": "expected share of steps before the first error",
}
"""What responses are ranked by."""
VOTE = "weighted_majority"
"""The vote in which every response weighs as much as its P(no error)."""
REFERENCES = ("random", "majority", "oracle")
"""What needs no judge: any response, the most frequent answer, a correct response where there is one."""

Verdicts = Sequence[Sequence[Verdict | None]]
"""Of the responses group by group; `None` if there is no verdict."""
Curve = dict[int, dict[int, float]]
"""N -> index of the group -> expected accuracy in [0, 1], for the groups with at least N responses."""


class Answered(NamedTuple):
    """The responses to one problem, with what their votes are."""

    group: RolloutGroup
    """The responses."""
    answers: AnswerGroups
    """Which of them give the same answer."""


class Curves:
    """Computes curves over some groups.

    Args:
        groups: The groups.
        sizes: The N of the curves.
        max_subsets: See `judgekit.metrics.sampling.draw_subsets`.
        seed: Of random subsets.
    """

    def __init__(self, groups: Sequence[Answered], *, sizes: Sequence[int], max_subsets: int, seed: int) -> None:
        self.groups = groups
        self.sizes = sizes
        self.max_subsets = max_subsets
        self.seed = seed

    def references(self) -> dict[str, Curve]:
        """Return the curves of `REFERENCES`."""
        outcomes = [answered.group.outcome_G for answered in self.groups]
        return {
            # Equal scores are ties, which are broken evenly: any response. Equal weights are one response, one vote.
            "random": self.ranked([[0.0] * len(outcome_G) for outcome_G in outcomes]),
            "majority": self.voted([[1.0] * len(outcome_G) for outcome_G in outcomes]),
            "oracle": self.ranked(outcomes),
        }

    def judged(self, verdicts: Verdicts) -> dict[str, Curve]:
        """Return a curve for each of `SCORES`, and for `VOTE`; without a verdict there is no vote."""
        curves = {
            score: self.ranked([[score_verdict(verdict, score) for verdict in verdicts_G] for verdicts_G in verdicts])
            for score in SCORES
        }
        weights = [[0.0 if verdict is None else verdict.p_none for verdict in verdicts_G] for verdicts_G in verdicts]
        return curves | {VOTE: self.voted(weights)}

    def ranked(self, scores_P_G: Sequence[Sequence[float]]) -> Curve:
        """Return the curve of choosing the response with the highest score."""
        return self._curve(lambda i, n: best_of_n(scores_P_G[i], self.groups[i].group.outcome_G, n_drawn=n))

    def voted(self, weights_P_G: Sequence[Sequence[float]]) -> Curve:
        """Return the curve of choosing the answer with the most weight."""

        def expected(i: int, n: int) -> float:
            group, answers = self.groups[i]
            subsets = draw_subsets(len(group), n_drawn=n, n_max=self.max_subsets, seed=self.seed)
            return vote(answers.answer_G, weights_P_G[i], group.outcome_G, subsets)

        return self._curve(expected)

    def _curve(self, expected: Callable[[int, int], float]) -> Curve:
        return {
            n: {i: expected(i, n) for i, answered in enumerate(self.groups) if len(answered.group) >= n}
            for n in self.sizes
        }


def score_verdict(verdict: Verdict | None, score: str) -> float:
    """Return what a response is ranked by, in [0, 1]; minus infinity without a verdict, so that it ranks last."""
    if verdict is None:
        return -math.inf
    if score == "product":
        return verdict.p_none
    if score == "prefix":
        return verdict.expected_valid_steps / verdict.n_steps
    return min(verdict.p_ok_S) if score == "min" else verdict.p_ok_S[-1]


def estimate_curves(
    curves: Mapping[str, Curve], *, cluster_P: Sequence[str], n_resamples: int, seed: int
) -> dict[str, MethodMetrics]:
    """Return every curve with intervals, and its paired differences to random choice and to the majority.

    Args:
        curves: By the name of the method, `REFERENCES` among them, all over the same groups.
        cluster_P: The problem of each group.
        n_resamples: Bootstrap resamples of whole problems, the same for all methods.
        seed: Of the bootstrap.

    Returns:
        The metrics of each method, in percent.
    """
    names = list(curves)
    metrics = {name: MethodMetrics(accuracy={}, minus_random={}, minus_majority={}) for name in names}
    for n, reference in curves["random"].items():
        values_P_M = np.array([[curves[name][n][i] for name in names] for i in reference])
        if not len(values_P_M):
            continue
        means_M = dict(zip(names, values_P_M.mean(axis=0), strict=True))
        # One draw of problems for all methods, so that their differences are paired.
        resampled_R_M = cluster_bootstrap(
            np.column_stack([np.ones(len(values_P_M)), values_P_M]),
            cluster_N=[cluster_P[i] for i in reference],
            statistic=lambda sums_R: sums_R[:, 1:] / sums_R[:, :1],
            n_resamples=n_resamples,
            seed=seed,
        )
        means_R_M = dict(zip(names, resampled_R_M.T, strict=True))
        for name, of_method in metrics.items():
            of_method.accuracy[str(n)] = _percent(means_M[name], means_R_M[name])
            for other, differences in (("random", of_method.minus_random), ("majority", of_method.minus_majority)):
                differences[str(n)] = _percent(means_M[name] - means_M[other], means_R_M[name] - means_R_M[other])
    return metrics


def _percent(value: float, resampled_R: Floats) -> Metric:
    return Metric(**percentile_interval(100 * float(value), 100 * resampled_R)._asdict())

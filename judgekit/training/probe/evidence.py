"""Weak labels in the fit of a head: the probability of the observation, summed over the possible first errors.

What is known about a solution of n steps is one number for each of the n + 1 positions of its first error: the log
probability of the observation if the error were there (-inf if it cannot be). A wrong answer rules out "none", so its
likelihood is 1 - P(none). Exact labels are the case in which one position is left.

Correct answers must not be ignored: with only the wrong ones, the solutions are selected for being wrong, and the head
learns that everything is wrong. A correct answer is an observation like any other, probable without an error and, at a
rate that depends on the problems, in spite of one.

Axes: `_N` solutions, `_S` steps of one, `_K` steps of many solutions in one row, `_F` features.

Source:
    Dempster, Laird and Rubin, Maximum likelihood from incomplete data via the EM algorithm (1977). Counts of rollouts
    are read as Math-Shepherd (2312.08935) makes them; that a wrong step can be repaired: 2501.07301.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import betaln, gammaln, logsumexp

from judgekit.judges.probe.heads import Floats
from judgekit.types import WeakLabel, WeaklyLabelledSolution

REPAIR = 0.1
"""Mean share of rollouts that reach the correct answer from a prefix with an error in it; from a correct prefix any
share is as probable as any other, for it depends on problem and policy."""


def log_evidence(solution: WeaklyLabelledSolution) -> Floats:
    """Return log P(what is known | first error at k) for k = 0..n-1 and none, up to a constant. Shape (n + 1,).

    Rollouts from one prefix share a success rate: uniform on [0, 1] from a correct prefix, Beta(1, 1 / REPAIR - 1) from
    one with an error. A step that was passed over says nothing.
    """
    evidence = np.zeros(len(solution.steps) + 1)
    if solution.n_success is not None and solution.n_rollouts is not None:
        n_success_S, n_S = np.array(solution.n_success, dtype=float), np.array(solution.n_rollouts, dtype=float)
        log_choose_S = gammaln(n_S + 1) - gammaln(n_success_S + 1) - gammaln(n_S - n_success_S + 1)
        b = 1 / REPAIR - 1
        log_wrong_S = log_choose_S + betaln(1 + n_success_S, b + n_S - n_success_S) - betaln(1, b)
        # an error at k makes prefixes before it right and all others wrong: relative to "wrong everywhere"
        evidence[1:] = np.cumsum(-np.log1p(n_S) - log_wrong_S)
    if solution.known is WeakLabel.SOME_ERROR:
        evidence[-1] = -np.inf
    elif solution.known is WeakLabel.NO_ERROR:
        evidence[:-1] = -np.inf
    return evidence


class Reading(NamedTuple):
    """What a source of weak labels is taken for."""

    weight: float
    """How many exactly labelled solutions one of its solutions counts for; 0 leaves the source out."""
    right_despite_error: float
    """P(the final answer is correct | some step is an error); 1 lets correct answers say nothing, 0 take them for
    proof."""


LEFT_OUT = Reading(weight=0.0, right_despite_error=1.0)
"""The reading of a source that does not help."""


@dataclass(frozen=True)
class Weak:
    """Weakly labelled solutions as the fit of a head sees them."""

    features_N: Sequence[Floats]
    """Features of each solution's steps, hidden states last. Shape (S, F) each."""
    log_evidence_N: Sequence[Floats]
    """See `log_evidence`. Shape (S + 1,) each."""
    right_N: Sequence[bool]
    """Whether a final answer is correct and nobody has said what that means."""
    group_N: Sequence[int]
    """Which problem each belongs to, in the numbers of the exactly labelled solutions."""
    source_N: Sequence[int]
    """Which source each comes from, 0..n_sources-1."""
    n_sources: int
    """Sources, those without a row here included."""
    weight_N: Sequence[float] = ()
    """How many exactly labelled solutions each counts for; empty before it is said, see `read_as`."""

    @classmethod
    def of(
        cls,
        solutions: Sequence[WeaklyLabelledSolution],
        *,
        features_N: Sequence[Floats],
        group_N: Sequence[int],
        source_N: Sequence[int],
        n_sources: int,
    ) -> Self:
        """Read off what the solutions say. Counts of rollouts have the final answer as one of the last step."""
        right_N = [
            row.known is WeakLabel.UNLABELLED and bool(row.final_answer_correct) and row.n_rollouts is None
            for row in solutions
        ]
        return cls(features_N, [*map(log_evidence, solutions)], right_N, group_N, source_N, n_sources)

    def __len__(self) -> int:
        """Number of solutions."""
        return len(self.features_N)

    def take(self, rows: Iterable[int]) -> Self:
        """Return some of them."""
        picked = list(rows)
        names = ("features_N", "log_evidence_N", "right_N", "group_N", "source_N", "weight_N")
        lists = {name: getattr(self, name) for name in names}
        taken: dict[str, Any] = {name: [values[i] for i in picked] for name, values in lists.items() if values}
        return replace(self, **taken)

    def read_as(self, readings: Sequence[Reading]) -> Self:
        """Return them as the reading of their source has them; sources of weight 0 are left out."""
        kept = self.take(i for i, source in enumerate(self.source_N) if readings[source].weight > 0)
        evidence_N = [evidence.copy() for evidence in kept.log_evidence_N]
        for evidence, is_right, source in zip(evidence_N, kept.right_N, kept.source_N, strict=True):
            if is_right:
                rate = readings[source].right_despite_error
                evidence[:-1] += np.log(rate) if rate > 0 else -np.inf
        weight_N = [readings[source].weight for source in kept.source_N]
        return replace(kept, log_evidence_N=evidence_N, weight_N=weight_N)

    def apart_from(self, groups: Container[int]) -> Self:
        """Return those of other problems."""
        return self.take(i for i, group in enumerate(self.group_N) if group not in groups)


def outcome_logprobs(logits_N: Sequence[Floats]) -> Floats:
    """Return log P(first error = k) and log P(none) of the logits of step probabilities.

    Args:
        logits_N: logit P(step ok | earlier steps ok). Shape (S,) each.

    Returns:
        Shape (N, S_max + 1): "none" is the last column; -inf at steps that a solution does not have.
    """
    padded_N_S = np.full((len(logits_N), max(map(len, logits_N))), np.inf)
    for row, logits_S in enumerate(logits_N):
        padded_N_S[row, : len(logits_S)] = logits_S
    reached_N_S = np.cumsum(-np.logaddexp(0.0, -padded_N_S), axis=1)
    before_N_S = np.column_stack([np.zeros(len(logits_N)), reached_N_S])
    before_N_S[:, :-1] -= np.logaddexp(0.0, padded_N_S)
    return before_N_S


def joint_logprobs(logits_N: Sequence[Floats], log_evidence_N: Sequence[Floats]) -> Floats:
    """Return log P(first error there, and what is known) for every place, as `outcome_logprobs` does it."""
    joint_N_S = outcome_logprobs(logits_N)
    for row, evidence in enumerate(log_evidence_N):
        joint_N_S[row, : len(evidence) - 1] += evidence[:-1]
        joint_N_S[row, -1] += evidence[-1]
    return joint_N_S


def log_likelihoods(logits_N: Sequence[Floats], log_evidence_N: Sequence[Floats]) -> Floats:
    """Return log P(what is known) of each solution, nats, up to the constants of its evidence. Shape (N,).

    Example:
        >>> no_none = np.array([0.0, 0.0, -np.inf])  # a wrong answer of two steps that are correct half the time each
        >>> np.exp(log_likelihoods([np.zeros(2)], [no_none])).round(4).tolist()
        [0.75]
    """
    likelihoods_N: Floats = logsumexp(joint_logprobs(logits_N, log_evidence_N), axis=1)
    return likelihoods_N


def expected_steps(logits_N: Sequence[Floats], log_evidence_N: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return P(step is reached and ok) and P(step is the first error), given what is known. Shapes (K,) both.

    The E-step: a step counts as right, as wrong, and, where an error may have come before, as neither.
    """
    joint_N_S = joint_logprobs(logits_N, log_evidence_N)
    posterior_N_S = np.exp(joint_N_S - logsumexp(joint_N_S, axis=1, keepdims=True))
    later_N_S = np.cumsum(posterior_N_S[:, ::-1], axis=1)[:, ::-1]  # P(first error is here or later, or none)
    ok, error = [], []
    for row, logits_S in enumerate(logits_N):
        ok.append(later_N_S[row, 1:][: len(logits_S)])
        error.append(posterior_N_S[row, : len(logits_S)])
    return np.concatenate(ok), np.concatenate(error)

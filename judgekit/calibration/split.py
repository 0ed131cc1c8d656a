"""Verdicts and their true first errors, in flat arrays: the data that calibrators are fitted to and compared on.

Axis suffixes: `_N` solutions; in one row for all solutions, `_K` reached steps and `_J` outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, merge_ties
from judgekit.metrics.steps import collect_reached_steps
from judgekit.types import Verdict

Ints = NDArray[np.int64]

PROB_CLIP = 1e-9
"""Probabilities are moved this far away from 0 and 1 before they become logits or logarithms."""


def probs_to_logits(probs_N: ArrayLike) -> Floats:
    """Return log(p / (1 - p)), clipped to +-20.7. Shape (N,)."""
    probs = np.clip(np.asarray(probs_N, dtype=np.float64), PROB_CLIP, 1 - PROB_CLIP)
    return np.log(probs) - np.log1p(-probs)


def probs_to_logprobs(probs_J: ArrayLike) -> Floats:
    """Return log p, nats, of probabilities that are at least `PROB_CLIP`. Shape (J,)."""
    return np.log(np.maximum(np.asarray(probs_J, dtype=np.float64), PROB_CLIP))


@dataclass(frozen=True)
class Steps:
    """Steps in one row, in every space that a calibrator may read. Shape (K,) all three."""

    probs_K: Floats
    """P(step ok | earlier steps ok), in [0, 1]."""
    position_K: Ints
    """0-based index of the step in its solution."""
    n_steps_K: Ints
    """Number of steps of its solution."""

    @property
    def logits_K(self) -> Floats:
        """Logit of P(step ok | earlier steps ok), clipped to +-20.7."""
        return probs_to_logits(self.probs_K)

    @classmethod
    def of_verdict(cls, verdict: Verdict) -> Steps:
        """Return all steps of one solution."""
        n_steps = verdict.n_steps
        return cls(np.array(verdict.p_ok_S), np.arange(n_steps), np.full(n_steps, n_steps))


@dataclass(frozen=True)
class CalibrationSplit:
    """Verdicts with their true first errors. Only steps up to the first error are here: later ones are not judged."""

    steps: Steps
    """Reached steps of all solutions."""
    ok_K: Floats
    """1.0 where the reached step is correct, 0.0 where it is the first error. Shape (K,)."""
    solution_K: Ints
    """Index of the solution of each step. Shape (K,)."""
    posterior_J: Floats
    """First-error posteriors end to end. Shape (J,)."""
    n_steps_N: Ints
    """Number of steps of each solution. Shape (N,)."""
    gold_N: Ints
    """True outcome of each solution: 0-based first error, or its number of steps for none. Shape (N,)."""
    problem_N: NDArray[Any]
    """Problem of each solution: folds keep problems together. Shape (N,)."""

    @classmethod
    def of(
        cls, verdicts_N: Sequence[Verdict | None], *, gold_N: Sequence[int | None], problem_ids_N: Sequence[str]
    ) -> CalibrationSplit:
        """Pack verdicts.

        Args:
            verdicts_N: The verdicts; a solution without one is left out.
            gold_N: True first errors, 0-based, `None` = no error.
            problem_ids_N: Problem of each solution.

        Raises:
            DataError: nothing to pack, lengths differ, or a first error is beyond the steps.
        """
        if not len(verdicts_N) == len(gold_N) == len(problem_ids_N):
            raise DataError(
                f"{len(verdicts_N)} verdicts, {len(gold_N)} first errors, {len(problem_ids_N)} problems: give equally "
                "many"
            )
        rows = zip(verdicts_N, gold_N, problem_ids_N, strict=True)
        judged = [(verdict, gold, problem) for verdict, gold, problem in rows if verdict is not None]
        known_N = [gold for _, gold, _ in judged]
        reached = collect_reached_steps([verdict.p_ok_S for verdict, _, _ in judged], gold_N=known_N)
        n_steps_N = np.array([verdict.n_steps for verdict, _, _ in judged], dtype=np.int64)
        outcome_N = [n if gold is None else gold for gold, n in zip(known_N, n_steps_N, strict=True)]
        starts_N = np.searchsorted(reached.solution_K, np.arange(len(n_steps_N)))
        position_K = np.arange(len(reached.solution_K)) - starts_N[reached.solution_K]
        return cls(
            steps=Steps(reached.p_ok_K, position_K, n_steps_N[reached.solution_K]),
            ok_K=reached.ok_K,
            solution_K=reached.solution_K,
            posterior_J=np.concatenate([verdict.posterior for verdict, _, _ in judged]),
            n_steps_N=n_steps_N,
            gold_N=np.array(outcome_N, dtype=np.int64),
            problem_N=np.array([problem for _, _, problem in judged], dtype=object),
        )

    @property
    def starts_N(self) -> Ints:
        """Where each solution's outcomes begin. Shape (N,)."""
        return np.concatenate([[0], np.cumsum(self.n_steps_N + 1)[:-1]]).astype(np.int64)

    def without_judge(self, p_ok: float) -> CalibrationSplit:
        """Return the same solutions as an uninformative judge sees them: every step is correct with one probability."""
        step_J = np.arange(len(self.posterior_J)) - np.repeat(self.starts_N, self.n_steps_N + 1)
        posterior_J = np.asarray(p_ok**step_J * (1 - p_ok), dtype=np.float64)
        posterior_J[self.starts_N + self.n_steps_N] = p_ok**self.n_steps_N
        steps = replace(self.steps, probs_K=np.full(len(self.ok_K), p_ok))
        return replace(self, steps=steps, posterior_J=posterior_J)

    def with_verdicts_of_others(self) -> CalibrationSplit:
        """Return the same solutions, each with the verdict on one of as many steps, always the same one.

        A judge that reads nothing loses nothing by that, however well it knows how likely the first error is at step k
        of n.
        """
        rng = np.random.default_rng(0)  # by chance: data are often periodic, the correct solution next to the wrong one
        giver_N = np.arange(len(self.n_steps_N))
        for n_steps in np.unique(self.n_steps_N):
            group = np.flatnonzero(self.n_steps_N == n_steps)
            giver_N[group] = rng.permutation(group)
        starts_N, lengths_N = self.starts_N, self.n_steps_N + 1
        step_J = np.arange(len(self.posterior_J)) - np.repeat(starts_N, lengths_N)
        posterior_J = self.posterior_J[np.repeat(starts_N[giver_N], lengths_N) + step_J]
        # P(step ok) of the reached steps follows from what is left of the posterior at and behind them.
        left_J = np.cumsum(posterior_J[::-1])[::-1]
        end_N = np.concatenate([left_J[starts_N[1:]], [0.0]])
        place_K = starts_N[self.solution_K] + self.steps.position_K
        left_K = left_J[place_K] - end_N[self.solution_K]
        probs_K = merge_ties(np.clip(1 - posterior_J[place_K] / np.maximum(left_K, PROB_CLIP), 0, 1))
        return replace(self, steps=replace(self.steps, probs_K=probs_K), posterior_J=posterior_J)

    def take(self, chosen: Ints) -> CalibrationSplit:
        """Return some of the solutions, by index, in their order here."""
        is_chosen_N = np.zeros(len(self.n_steps_N), dtype=bool)
        is_chosen_N[chosen] = True
        kept_K = is_chosen_N[self.solution_K]
        steps = Steps(self.steps.probs_K[kept_K], self.steps.position_K[kept_K], self.steps.n_steps_K[kept_K])
        return CalibrationSplit(
            steps=steps,
            ok_K=self.ok_K[kept_K],
            solution_K=(np.cumsum(is_chosen_N) - 1)[self.solution_K[kept_K]],
            posterior_J=self.posterior_J[np.repeat(is_chosen_N, self.n_steps_N + 1)],
            n_steps_N=self.n_steps_N[is_chosen_N],
            gold_N=self.gold_N[is_chosen_N],
            problem_N=self.problem_N[is_chosen_N],
        )

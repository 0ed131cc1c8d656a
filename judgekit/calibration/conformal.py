"""Conformal guarantees for the first error: index sets that contain it, and prefixes that do not.

Two kinds of guarantee, from calibration problems that nothing was fitted on. An *index set* contains the true first
error (or "none") with probability at least 1 - alpha. A *certified prefix* contains an error with probability at most
alpha. Both are one threshold on a score in [0, 1], found by conformal risk control over problems.

**The unit is the problem.** Solutions of one problem are dependent, so they are not exchangeable with those of another;
problems are. Let s be the score of a solution, bad if it exceeds the threshold t: the true outcome is not in the set,
or the error is in the prefix. The loss of problem i is L_i(t), the fraction of its judged solutions with s > t: within
[0, 1], non-increasing in t, continuous from the right, and 0 at t = 1. With n calibration problems

    t_hat = min { t in [0, 1] : (L_1(t) + ... + L_n(t) + 1) / (n + 1) <= alpha },     1 if there is none,

gives E[L_{n+1}(t_hat)] <= alpha for a new problem. Proof: let t* be the same minimum with L_{n+1}(t) instead of the 1.
Since L_{n+1} <= 1, t* <= t_hat, so L_{n+1}(t_hat) <= L_{n+1}(t*). Given the bag of all n + 1 problems, t* is fixed and
the new problem is equally likely to be each of them, so E[L_{n+1}(t*)] is their mean loss at t*, at most alpha. At
t_hat = 1 the loss is 0. With one solution per problem, t_hat is the ceil((n + 1)(1 - alpha))-th smallest score:
ordinary split conformal prediction.

**What that means.** Draw a problem as the calibration problems were drawn, with its solutions, and draw one of the
solutions with a verdict, each equally likely: the guarantee fails with probability at most alpha. It also averages over
the draw of the calibration problems; a given calibration set may come out a little above or below. It says nothing
about a single length, position, generator or class of solutions, nor about a fraction over all solutions if problems
have different numbers of them, and it does not hold for problems or generators unlike those in calibration. Solutions
without a verdict do not count in calibration: their set is every outcome and their prefix is empty, so they never
violate a guarantee and never leave room for others to violate it.

**Too few problems.** With alpha * (n + 1) < 1, fewer than 1 / alpha - 1 problems, no threshold below 1 is safe: sets
contain every outcome and prefixes are empty, and `fit` logs it.

numpy only. Axes: `_N` solutions, `_S` steps of one solution; `_O` its outcomes, one more than it has steps.

Source:
    Conformal risk control (2208.02814), section 2, with problems as the exchangeable units.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.errors import ConfigError
from judgekit.metrics.checks import check_gold, check_lengths, merge_ties
from judgekit.text.identity import group_problems
from judgekit.ties import TIE
from judgekit.types import LabelledSolution

Floats = NDArray[np.float64]
Posteriors = Sequence[Sequence[float] | None]
"""First-error posteriors, P(first error = 0), ..., P(none), one per solution; `None` if there is no verdict."""

ROUNDING = 1e-9
"""Summed losses may exceed their bound by this much, which is rounding: 3 * (1/3) counts as 1."""
_log = logging.getLogger(__name__)


def mass_above(posterior_O: Sequence[float]) -> Floats:
    """Return the posterior mass of the outcomes that are more probable than each outcome. Shape (n + 1,), in [0, 1].

    0 for the most probable outcome. Of equally probable ones the earlier step counts as the more probable, "none" as
    the last, so that ties never make an index set larger than it needs to be; see `judgekit.ties` for what is equal.

    Source:
        Adaptive prediction sets (2006.02544), the score of an outcome with its own mass left out (u = 1).

    Example:
        >>> mass_above([0.25, 0.5, 0.25]).tolist()
        [0.5, 0.0, 0.75]
    """
    probs = np.asarray(posterior_O, dtype=float)
    order = np.argsort(-merge_ties(probs), kind="stable")
    above = np.empty_like(probs)
    above[order[0]] = 0.0
    above[order[1:]] = np.minimum(np.cumsum(probs[order[:-1]]), 1.0)
    return above


def survival(posterior_O: Sequence[float]) -> Floats:
    """Return P(steps 0..k are all correct) for each step. Shape (n,), never rising, in [0, 1].

    Example:
        >>> survival([0.25, 0.5, 0.25]).tolist()
        [0.75, 0.25]
    """
    probs = np.asarray(posterior_O, dtype=float)
    return np.minimum(np.cumsum(probs[:0:-1])[::-1], 1.0)


def exceeds(scores: Floats | float, threshold: float) -> NDArray[np.bool_]:
    """Return where scores lie above a threshold by more than rounding. Any shape.

    Masses are sums in an order of their own in each posterior: 0.1 + 0.8 must not exceed a threshold of 0.9 that was
    learned from another one. What is tied with the threshold is kept in a set and not certified in a prefix, which is
    the safe side of both promises.
    """
    return np.asarray(scores > threshold * (1 + TIE))


def conformal_threshold(scores_N: ArrayLike, *, problem_N: Sequence[Hashable], alpha: float) -> float:
    """Return the smallest threshold that a new problem's scores exceed in a share of at most alpha, in expectation.

    Args:
        scores_N: Scores in [0, 1]; a solution is bad at thresholds below its score. Shape (N,); may be empty.
        problem_N: Problem of each; a problem's solutions share a weight of 1.
        alpha: Bound on the expected share, in (0, 1).

    Returns:
        0 or one of the scores; 1.0, which no score exceeds, where there are too few problems for less.

    Source:
        Conformal risk control (2208.02814), eq. 4, with bound 1 on the loss; see the module for what it promises.

    Example:
        >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], problem_N="abcd", alpha=0.4)
        0.3
    """
    scores, size = np.asarray(scores_N, dtype=float), Counter(problem_N)
    budget = alpha * (len(size) + 1) - 1 + ROUNDING
    if budget < 0:
        return 1.0
    order = np.argsort(-scores, kind="stable")
    weights = np.array([1 / size[problem] for problem in problem_N])
    # From the largest score down: the first one that the budget does not cover must not be exceeded.
    n_covered = int(np.searchsorted(np.cumsum(weights[order]), budget, side="right"))
    return float(scores[order[n_covered]]) if n_covered < len(scores) else 0.0


def index_set(posterior_O: Sequence[float], *, max_mass: float) -> tuple[int | None, ...]:
    """Return the outcomes that have at most this mass of more probable ones above them, `None` for "no error" last.

    The most probable outcomes, best first, until they hold more than `max_mass`. Never empty.

    Example:
        >>> index_set([0.25, 0.5, 0.25], max_mass=0.5)
        (0, 1)
    """
    kept_O = ~exceeds(mass_above(posterior_O), max_mass)
    return tuple(None if k == len(kept_O) - 1 else k for k in map(int, np.flatnonzero(kept_O)))


def certified_steps(posterior_O: Sequence[float], *, min_survival: float) -> int:
    """Return the number of leading steps whose survival lies above the threshold, 0..n.

    Example:
        >>> certified_steps([0.25, 0.5, 0.25], min_survival=0.7)
        1
    """
    return int(exceeds(survival(posterior_O), min_survival).sum())


class IndexSets:
    """Sets of outcomes that contain the true first error, or "none", with probability at least 1 - alpha.

    The score of an outcome is the mass of the more probable ones (`mass_above`): a set is the judge's own smallest
    credible set, and calibration says how much mass it must hold. The other common score, 1 - P(outcome), gives the
    smallest mean size where posteriors are exactly right. On real judges its sets were within some 7 % of ours, larger
    or smaller, but it takes all or none of equally probable outcomes, which the symbolic judge has many of
    (at alpha 0.1 a third to a half of its sets were full, of ours none); one bound on probabilities leaves little of a
    long solution's set and everything of a short one's; and it has empty sets. A judge that is correct often enough
    gets sets of one outcome. One that gives all but one outcome probability 0, and is wrong too often, gets full sets:
    it does not say where else to look.

    Args:
        alpha: Probability in (0, 1) with which the set may miss.
    """

    max_mass_: float
    """Learned threshold in [0, 1]; 1 keeps every outcome."""
    n_problems_: int
    """Problems with a verdict that it was learned from."""

    def __init__(self, *, alpha: float) -> None:
        self.alpha = _checked(alpha)

    def fit(self, posterior_N_O: Posteriors, *, gold_N: Sequence[int | None], problem_N: Sequence[Hashable]) -> Self:
        """Learn the threshold.

        Args:
            posterior_N_O: Posteriors on problems that neither judge nor calibrator was fitted on; `None` = no verdict.
            gold_N: True first errors, 0-based, `None` = no error.
            problem_N: The problem each solution belongs to.

        Raises:
            DataError: no solutions, lengths differ, or a first error is beyond the steps.
        """
        scores, problems = [], []
        for posterior, gold, problem in _judged(posterior_N_O, gold_N, problem_N):
            scores.append(true_mass_above(posterior, gold))
            problems.append(problem)
        self.max_mass_ = conformal_threshold(scores, problem_N=problems, alpha=self.alpha)
        self.n_problems_ = _count(problems, self.alpha, effect="index sets hold every outcome")
        return self

    def predict(self, posterior_N_O: Posteriors, *, n_steps_N: Sequence[int]) -> list[tuple[int | None, ...]]:
        """Return the index set of each solution; every outcome where there is no verdict."""
        return [
            (*range(n_steps), None) if posterior is None else index_set(posterior, max_mass=self.max_mass_)
            for posterior, n_steps in zip(posterior_N_O, n_steps_N, strict=True)
        ]


class CertifiedPrefixes:
    """Prefixes that contain an error with probability at most alpha: the steps whose survival exceeds a threshold.

    Survival, P(steps 0..k are all correct), never rises, so these steps are a prefix, and it contains the error if and
    only if the survival at the first error exceeds the threshold: that survival is the score. A solution without an
    error has score 0, as no prefix of it is wrong, so the promise is about the mixture of correct and wrong solutions.
    With `if_wrong` only erroneous solutions count: it holds given that there is an error, and so whatever the share of
    erroneous ones.

    Args:
        alpha: Probability in (0, 1) with which the prefix may contain an error.
        if_wrong: Promise it of erroneous solutions alone.

    Source:
        Conformal risk control (2208.02814); certified prefixes of reasoning, CROP (2605.30085). Differs from it in:
        the risk of a step is that of the whole prefix up to it, 1 - survival, instead of a proxy of the step alone;
        problems instead of solutions are the exchangeable units.
    """

    min_survival_: float
    """Learned threshold in [0, 1]; 1 certifies no step."""
    n_problems_: int
    """Problems that counted."""

    def __init__(self, *, alpha: float, if_wrong: bool = False) -> None:
        self.alpha = _checked(alpha)
        self.if_wrong = if_wrong

    def fit(self, posterior_N_O: Posteriors, *, gold_N: Sequence[int | None], problem_N: Sequence[Hashable]) -> Self:
        """Learn the threshold; arguments and errors as in `IndexSets.fit`."""
        scores, problems = [], []
        for posterior, gold, problem in _judged(posterior_N_O, gold_N, problem_N):
            if gold is not None or not self.if_wrong:
                scores.append(survival_at_error(posterior, gold))
                problems.append(problem)
        self.min_survival_ = conformal_threshold(scores, problem_N=problems, alpha=self.alpha)
        what = "erroneous solutions" if self.if_wrong else "solutions"
        self.n_problems_ = _count(problems, self.alpha, effect=f"no step of {what} is certified")
        return self

    def predict(self, posterior_N_O: Posteriors) -> list[int]:
        """Return the number of certified steps of each solution; 0 if there is no verdict."""
        return [
            0 if posterior is None else certified_steps(posterior, min_survival=self.min_survival_)
            for posterior in posterior_N_O
        ]


def fit_conformal(
    posterior_N_O: Posteriors, solutions: Sequence[LabelledSolution], *, alpha: float, fingerprint: Fingerprint
) -> ConformalCard:
    """Learn what a judge's card stores.

    Args:
        posterior_N_O: Calibrated posteriors, `None` = no verdict.
        solutions: Their solutions, of problems that neither judge nor calibrator was fitted on.
        alpha: Probability in (0, 1) with which a promise may fail.
        fingerprint: Of the solutions.

    Raises:
        DataError: no solutions, or lengths differ.
    """
    gold_N = [solution.first_error for solution in solutions]
    problem_N = group_problems(solutions)
    sets = IndexSets(alpha=alpha).fit(posterior_N_O, gold_N=gold_N, problem_N=problem_N)
    prefixes, if_wrong = (
        CertifiedPrefixes(alpha=alpha, if_wrong=wrong).fit(posterior_N_O, gold_N=gold_N, problem_N=problem_N)
        for wrong in (False, True)
    )
    return ConformalCard(
        alpha=alpha,
        max_mass=sets.max_mass_,
        min_survival=prefixes.min_survival_,
        min_survival_if_wrong=if_wrong.min_survival_,
        n_problems=sets.n_problems_,
        n_problems_if_wrong=if_wrong.n_problems_,
        n_no_verdict=sum(posterior is None for posterior in posterior_N_O),
        fingerprint=fingerprint,
    )


def fresh_problems(problem_ids: Iterable[str], *, frac: float) -> set[str]:
    """Return a share of the problems, to be kept out of every other fit; the same ones in any order and on any machine.

    They are those with the smallest hashes, which has nothing to do with what is in them: both parts are random draws.

    Example:
        >>> len(fresh_problems(["a", "b", "c", "a"], frac=0.5))
        1
    """
    ordered = sorted(set(problem_ids), key=lambda problem: hashlib.sha256(problem.encode()).hexdigest())
    return set(ordered[: int(frac * len(ordered))])


def true_mass_above(posterior_O: Sequence[float], gold: int | None) -> float:
    """Return `mass_above` at the true outcome: the index set contains it at thresholds from here."""
    return float(mass_above(posterior_O)[-1 if gold is None else gold])


def survival_at_error(posterior_O: Sequence[float], gold: int | None) -> float:
    """Return the survival at the first error: the prefix contains it below this threshold. 0 where there is none."""
    return 0.0 if gold is None else float(survival(posterior_O)[gold])


def _checked(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise ConfigError(f"alpha {alpha} must be inside (0, 1): 0.1 guarantees 90 %")
    return alpha


def _judged(
    posterior_N_O: Posteriors, gold_N: Sequence[int | None], problem_N: Sequence[Hashable]
) -> Iterator[tuple[Sequence[float], int | None, Hashable]]:
    """Yield the solutions with a verdict."""
    check_lengths(posterior_N_O, gold_N, problem_N)
    for where, (posterior, gold, problem) in enumerate(zip(posterior_N_O, gold_N, problem_N, strict=True)):
        if posterior is not None:
            check_gold(gold, n_steps=len(posterior) - 1, where=where)
            yield posterior, gold, problem


def _count(problems: Sequence[Hashable], alpha: float, *, effect: str) -> int:
    """Return the number of problems; say so where they are too few to promise anything."""
    n_problems, needed = len(set(problems)), problems_needed(alpha)
    if n_problems < needed:
        _log.warning(
            "alpha %g needs at least %d problems with a verdict, but there are %d: %s; add problems or raise alpha",
            alpha, needed, n_problems, effect,
        )  # fmt: skip
    return n_problems


def problems_needed(alpha: float) -> int:
    """Return the smallest number of calibration problems with which a threshold can be below 1.

    Example:
        >>> problems_needed(0.1)
        9
    """
    return math.ceil(1 / alpha - 1 - ROUNDING)

"""What sampling a problem several times is worth: pass@k, and the best of N by a score or by a vote.

All of it is an expectation over every subset of the samples available, so nothing depends on their order. `n` samples
of one problem, of which `N` (or `k`) are drawn without replacement. Axis suffix: `_G` member of the group of samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, check_lengths
from judgekit.ties import TIE, is_tied


def pass_at_k(n: int, n_right: int, *, k: int) -> float:
    """Return the unbiased estimate of the probability that one of k samples is correct, from n of them.

    1 - C(n - c, k) / C(n, k), the share of the subsets of size k that hold a right sample.

    Args:
        n: Samples of the problem, at least k.
        n_right: Right ones among them, 0..n.
        k: Samples that count as one try, at least 1.

    Raises:
        DataError: the numbers do not fit together.

    Source:
        Chen et al., Evaluating Large Language Models Trained on Code (2107.03374), equation 1.

    Example:
        >>> pass_at_k(4, 1, k=2)
        0.5
    """
    if not (1 <= k <= n and 0 <= n_right <= n):
        raise DataError(f"pass@{k} of {n} samples with {n_right} correct ones: wanted 1 <= k <= n and 0 <= right <= n")
    return 1 - math.comb(n - n_right, k) / math.comb(n, k)


def best_of_n(score_G: Sequence[float], outcome_G: Sequence[float], *, n_drawn: int) -> float:
    """Return the expected outcome of the best-scored of `n_drawn` samples; ties are broken evenly.

    The best of a subset lies at a level of the score with the probability C(m, N) - C(m', N) over C(n, N), m samples
    lying at or below the level and m' below it, and is then any sample of the level alike.

    Args:
        score_G: Scores, higher is better; minus infinity ranks last. Ties as in `judgekit.ties`.
        outcome_G: Outcomes in [0, 1].
        n_drawn: Size of the subsets, N; 1..n.

    Raises:
        DataError: lengths differ, there are fewer samples, or a score is NaN.

    Example:
        >>> best_of_n([0.9, 0.1, 0.1], [1.0, 0.0, 1.0], n_drawn=2)  # {0, 1} 1, {0, 2} 1, {1, 2} 1/2
        0.8333333333333333
    """
    check_lengths(score_G, outcome_G)
    _check_drawn(len(score_G), n_drawn)
    if any(math.isnan(score) for score in score_G):
        raise DataError(f"a score is NaN: {list(score_G)}; use minus infinity for a response without a score")
    levels: list[list[int]] = []  # members of equal scores, the lowest first
    for member in sorted(range(len(score_G)), key=lambda member: score_G[member]):
        # Each is held against its neighbour, not the level's first: that is how ties are chained everywhere.
        if levels and is_tied(score_G[member], score_G[levels[-1][-1]]):
            levels[-1].append(member)
        else:
            levels.append([member])
    expected, n_below = 0.0, 0
    for level in levels:
        n_up_to = n_below + len(level)
        prob = (math.comb(n_up_to, n_drawn) - math.comb(n_below, n_drawn)) / math.comb(len(score_G), n_drawn)
        expected += prob * sum(outcome_G[member] for member in level) / len(level)
        n_below = n_up_to
    return expected


def draw_subsets(n: int, *, n_drawn: int, n_max: int, seed: int) -> NDArray[np.int64]:
    """Return the subsets of size `n_drawn` of n samples: all of them, or `n_max` random ones where there are more.

    Returns:
        Indices. Shape (number of subsets, n_drawn).
    """
    _check_drawn(n, n_drawn)
    if math.comb(n, n_drawn) <= n_max:
        return np.array(list(combinations(range(n), n_drawn)))
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(n)[:n_drawn] for _ in range(n_max)])


def vote(
    answer_G: Sequence[int | None], weight_G: Sequence[float], outcome_G: Sequence[float], subsets: NDArray[np.int64]
) -> float:
    """Return the expected outcome of the answer with the most weight, as a mean over subsets; ties are broken evenly.

    A sample without an answer has no vote; where no vote has any weight, every sample of the subset is as good.

    Args:
        answer_G: Which samples give the same answer: equal numbers, from 0 on; `None` for no answer.
        weight_G: Weight of each vote, at least 0; 1.0 for all is the majority.
        outcome_G: Outcomes in [0, 1]; an answer's is the mean over its samples in the subset.
        subsets: See `draw_subsets`.

    Raises:
        DataError: lengths differ, or a weight is negative.

    Source:
        Wang et al., Self-Consistency (2203.11171); weighted by a verifier: Li et al. (2206.02336).
    """
    check_lengths(answer_G, weight_G, outcome_G)
    if not all(weight >= 0 for weight in weight_G):
        raise DataError(f"weights must be at least 0: {list(weight_G)}")
    n_answers = 1 + max((answer for answer in answer_G if answer is not None), default=0)
    gives_GA = np.array([[float(answer == column) for column in range(n_answers)] for answer in answer_G])
    weights = (np.asarray(weight_G)[:, None] * gives_GA)[subsets].sum(axis=1)
    outcomes = np.asarray(outcome_G, dtype=float)
    n_given = gives_GA[subsets].sum(axis=1)
    means = (outcomes[:, None] * gives_GA)[subsets].sum(axis=1) / np.maximum(n_given, 1)
    most = weights.max(axis=1, keepdims=True)
    chosen = (weights >= most * (1 - TIE)) & (weights > 0)
    n_chosen = chosen.sum(axis=1)
    won: Floats = (means * chosen).sum(axis=1) / np.maximum(n_chosen, 1)
    return float(np.where(n_chosen > 0, won, outcomes[subsets].mean(axis=1)).mean())


def _check_drawn(n: int, n_drawn: int) -> None:
    if not 1 <= n_drawn <= n:
        raise DataError(f"cannot draw {n_drawn} of {n} samples: give 1 to {n}")

"""How well step probabilities separate correct steps from wrong ones, whatever their scale: AUROC, average precision.

Steps count up to the first error, so the last counted step of a wrong solution is always the wrong one, and its
position reveals much. AUROC and average precision over all steps reward a judge for that, even one that reads nothing;
the AUROC within position does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import DataError
from judgekit.metrics.checks import Floats, check_lengths, checked_steps, cumulate_by_value, defined, merge_ties, ratio


def compute_auroc(p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats) -> float | None:
    """Return the chance that a correct step has a higher probability than a wrong one; equal ones count half.

    In [0, 1]; `None` if steps of one class are missing. 0.5 for a judge that says the same of every step, which is
    no floor: over the steps up to the first error a judge that merely knows where a step stands lies above it, by 0.15
    and more on sets of wrong solutions. See `compute_auroc_within_position` for what such a judge cannot win.

    Raises:
        DataError: no steps, lengths differ, or a value is outside its range.

    Source:
        Hanley and McNeil, The meaning and use of the area under a ROC curve (1982).

    Example:
        >>> compute_auroc([0.9, 0.4, 0.6], [1, 0, 0])
        1.0
    """
    p_ok, ok = checked_steps(p_ok_K, ok_K)
    return defined(weighted_ranking(p_ok, ok, np.ones((1, len(p_ok))))[0, 0])


def compute_auroc_within_position(
    p_ok_K: Sequence[float] | Floats, ok_K: Sequence[float] | Floats, *, place_K: Sequence[int] | NDArray[np.int64]
) -> float | None:
    """Return the AUROC among steps at the same place alone: step k of n against step k of n of another solution.

    Of all pairs of a right and a wrong step with the same index in solutions of equally many steps, the share in which
    the correct one has the higher probability; equal ones count half. So a place weighs as much as it has pairs. 0.5
    exactly for every judge whose probability is a function of index and number of steps, whatever the function, and 0.5
    but for chance for one that knows nothing. `None` if no place has steps of both classes.

    Why the number of steps, too: a solution that is correct until step k and goes on for long has more room for a later
    error, so among steps of one index the correct ones are those of longer solutions, and a judge that merely counts
    the steps is rewarded. On 776 wrong solutions of PRMBench it has 0.76 within the index, and the random judge 0.70.

    A judge that was fitted without the fold it judges, as those of a cross-fitted table, is a function of the place
    within a fold alone, and lies below 0.5: a place where errors are many in one fold has fewer of them in the others.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is correct, else 0. Shape (K,).
        place_K: The same number for steps that are compared, see `step_places`. Shape (K,).

    Raises:
        DataError: no steps, lengths differ, or a value is outside its range.

    Source:
        Heagerty and Zheng, Survival model predictive accuracy and ROC curves (2005): incident cases against those still
        at risk at the same time; Antolini, Boracchi and Biganzoli, A time-dependent discrimination index for survival
        data (2005): all times pooled by their pairs. Steps are the time and the first error is the event. Differs in:
        only solutions of equally many steps are compared; ties count half.

    Example:
        >>> compute_auroc_within_position([0.9, 0.8, 0.3, 0.4], [1, 1, 0, 0], place_K=[0, 1, 1, 0])
        1.0
    """
    p_ok, ok = checked_steps(p_ok_K, ok_K)
    place = np.asarray(place_K, dtype=np.int64)
    check_lengths(p_ok, place)
    return defined(weighted_auroc_within_position(p_ok, ok, np.ones((1, len(p_ok))), place_K=place)[0])


def step_places(solution_K: NDArray[np.int64], *, n_steps_N: Sequence[int]) -> NDArray[np.int64]:
    """Number the places of reached steps: one number for each pair of index and number of steps. Shape (K,).

    Args:
        solution_K: Solution of each step, from the first step on and in order, as `collect_reached_steps` gives them.
        n_steps_N: Steps of each solution, those behind the first error included.

    Raises:
        DataError: a solution has more steps here than it has.

    Example:
        >>> step_places(np.array([0, 0, 1, 2]), n_steps_N=[2, 2, 1]).tolist()
        [2, 5, 2, 1]
    """
    n_steps_K = np.asarray(n_steps_N, dtype=np.int64)[solution_K]
    is_first_K = np.concatenate([[True], solution_K[1:] != solution_K[:-1]])[: len(solution_K)]
    first_K = np.maximum.accumulate(np.where(is_first_K, np.arange(len(solution_K)), 0))
    index_K = np.arange(len(solution_K)) - first_K
    if (index_K >= n_steps_K).any():
        solution = solution_K[index_K >= n_steps_K][0]
        raise DataError(f"solution {solution}: more steps are counted than its {n_steps_N[solution]}")
    return index_K * (1 + max(n_steps_N, default=0)) + n_steps_K


def count_pairs_within_position(ok_K: Floats, *, place_K: NDArray[np.int64]) -> int:
    """Return how many pairs of a right and a wrong step `compute_auroc_within_position` compares."""
    _, index_K = np.unique(place_K, return_inverse=True)
    n_right_V, n_all_V = np.bincount(index_K, weights=ok_K), np.bincount(index_K)
    return int(n_right_V @ (n_all_V - n_right_V))


def placements_within_position(p_ok_K: Floats, ok_K: Floats, *, place_K: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return, of each step, the pairs within position in which it is on its right side, and all of its pairs.

    A pair is a right and a wrong step at one place; where they are equal it counts half. The sum of the first over that
    of the second is `compute_auroc_within_position`, and the steps of one problem tell what that problem does to it.

    Args:
        p_ok_K: What the judge says of each step, more for those that it trusts more. Shape (K,).
        ok_K: 1 where the step is correct, else 0. Shape (K,).
        place_K: See `step_places`. Shape (K,).

    Returns:
        Shape (K,) both; 0 and 0 at a place that has steps of one kind only.

    Source:
        DeLong, DeLong and Clarke-Pearson 1988: the placement values, not yet divided by the number of pairs.
    """
    won_K, met_K, unit = np.zeros(len(p_ok_K)), np.zeros(len(p_ok_K)), np.ones((1, len(p_ok_K)))
    for sign, own_K in ((1, ok_K), (-1, 1 - ok_K)):  # a wrong step wins where it lies below: the same, turned round
        runs = _runs_within_position(sign * p_ok_K, own_K, unit, place_K=place_K)
        if runs is not None:
            step_K, run_K, _, beaten_R_V, met_R_V = runs
            own = own_K[step_K] > 0
            won_K[step_K[own]], met_K[step_K[own]] = beaten_R_V[0, run_K[own]], met_R_V[0, run_K[own]]
    return won_K, met_K


def weighted_auroc_within_position(
    p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats, *, place_K: NDArray[np.int64]
) -> Floats:
    """Compute `compute_auroc_within_position` with each step counted as often as its weight says.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is correct, else 0. Shape (K,).
        weights_R_K: Not negative, many weightings at once. Shape (R, K).
        place_K: See `step_places`. Shape (K,).

    Returns:
        Shape (R,). NaN if no place has steps of both classes that count.
    """
    runs = _runs_within_position(p_ok_K, ok_K, weights_R_K, place_K=place_K)
    if runs is None:
        return np.full(len(weights_R_K), np.nan)
    _, _, right, beaten, wrong_at_place = runs
    return ratio(np.einsum("rv,rv->r", right, beaten), np.einsum("rv,rv->r", right, wrong_at_place))


def _runs_within_position(
    p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats, *, place_K: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats, Floats] | None:
    """Put the steps of places that have both kinds in runs of equal probability; `None` if there are no such places.

    Returns:
        The steps in the order of places and, there, of probabilities; the run of each; and of each run the weight of
        its correct steps, of the wrong ones below it at its place (its own by half), and of all wrong ones at its
        place. Shapes (K,) twice, at most, and (R, V) three times.
    """
    # Places of one class have no pair under any weighting; leaving them out saves most of the work.
    _, index_K = np.unique(place_K, return_inverse=True)
    n_right_V, n_all_V = np.bincount(index_K, weights=ok_K), np.bincount(index_K)
    kept = np.flatnonzero(((n_right_V > 0) & (n_right_V < n_all_V))[index_K])
    if not len(kept):
        return None
    prob = merge_ties(p_ok_K[kept])
    order = np.lexsort((prob, index_K[kept]))
    prob, step_K = prob[order], kept[order]
    place, weights = index_K[step_K], weights_R_K[:, step_K]
    is_end = np.concatenate([(np.diff(prob) != 0) | (np.diff(place) != 0), [True]])  # of each run of ties
    ends = np.flatnonzero(is_end)
    all_below = np.cumsum(weights, axis=1)[:, ends]
    weights *= 1 - ok_K[step_K]
    wrong_below = np.cumsum(weights, axis=1)[:, ends]
    wrong = np.diff(wrong_below, axis=1, prepend=0.0)
    right = np.diff(all_below, axis=1, prepend=0.0) - wrong
    # What lies below in earlier places does not count: take off the sum at the end of the place before.
    place_ends = np.flatnonzero(np.concatenate([np.diff(place[ends]) != 0, [True]]))
    n_runs = np.diff(place_ends, prepend=-1)
    before = np.concatenate([np.zeros((len(weights), 1)), wrong_below[:, place_ends[:-1]]], axis=1)
    beaten = wrong_below - wrong / 2 - np.repeat(before, n_runs, axis=1)
    wrong_at_place = np.repeat(wrong_below[:, place_ends] - before, n_runs, axis=1)
    return step_K, np.cumsum(is_end) - is_end, right, beaten, wrong_at_place


def weighted_ranking(p_ok_K: Floats, ok_K: Floats, weights_R_K: Floats) -> Floats:
    """Return AUROC and average precision of finding wrong steps, each step counted as often as its weight says.

    AUROC as in `compute_auroc`. Average precision, the lowest probability first: sum over distinct probabilities of the
    recall gained there times the precision reached there; tied steps are found together. In (0, 1]; a judge that says
    the same of every step has the share of wrong steps, and one that knows where steps stand may have more.

    Args:
        p_ok_K: P(step ok | earlier steps ok), in [0, 1]. Shape (K,).
        ok_K: 1 where the step is correct, else 0. Shape (K,).
        weights_R_K: Not negative, many weightings at once. Shape (R, K).

    Returns:
        Shape (R, 2). NaN if no step counts of a class that the figure needs.

    Source:
        Davis and Goadrich, The relationship between precision-recall and ROC curves (2006), without interpolation.
    """
    below, wrong_below = cumulate_by_value(p_ok_K, 1 - ok_K, weights_R_K)
    right_below = below - wrong_below
    wrong, right = (np.diff(total, axis=1, prepend=0.0) for total in (wrong_below, right_below))
    pairs_in_order = np.einsum("rv,rv->r", right, wrong_below - wrong / 2)
    precisions = np.einsum("rv,rv->r", wrong, ratio(wrong_below, below, undefined=0.0))
    n_wrong, n_right = wrong_below[:, -1], right_below[:, -1]
    return np.stack([ratio(pairs_in_order, n_wrong * n_right), ratio(precisions, n_wrong)], axis=1)

"""Exact learning dynamics of GRPO and SGPO: a policy of K steps, each correct with its own probability.

Step k is correct with probability p_k = sigmoid(theta_k), whatever came before. A response is correct if all its steps
are; otherwise its class is its first wrong step. A group of G gets rewards, advantages and the policy gradient

    g_k = 1/G sum_i A_i d log pi(step k of response i) / d theta_k,   d log pi / d theta_k = 1[right] - p_k,

and theta moves by step_size times the expectation of g over all groups. This is exact: advantages depend on a group
only through its number of responses of each class, so the expectation is a sum over these counts, weighted by
multinomial probabilities. Updates are discrete, as in the paper; many small steps approximate the differential
equation.

Axes: `_S` steps (K), `_E` classes, first wrong step 0 to K - 1 and then "correct" (K + 1), `_W` wrong classes only (K),
`_C` compositions of a group without a correct response, `_R` numbers of correct responses 1 to G - 1.

Source:
    SGPO (2505.11595), the stylised model with 2 steps and groups of 2. K steps, larger groups, erring judges,
    divisions, clipping and variances are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from judgekit.errors import ConfigError
from sgpo.theory.config import Division, DynamicsConfig, NoisyJudge

Array = NDArray[np.float64]
MAX_COMPOSITIONS = 300_000
"""More would need a table of hundreds of megabytes."""


class Credit(NamedTuple):
    """Expected advantage that goes to each class of responses: E[1/G sum_i A_i 1[class of i]]. Each of shape (K+1,)."""

    positive_E: Array
    """From advantages above 0."""
    negative_E: Array
    """From advantages below 0."""


class Trajectory(NamedTuple):
    """A policy over the batches of a training run, including the state before the first one."""

    p_T_S: Array
    """Probability that each step is correct. Shape (n_updates + 1, K)."""

    @property
    def success_T(self) -> Array:
        """Probability that a response is correct. Shape (n_updates + 1,)."""
        return self.p_T_S.prod(axis=1)


def class_probs(p_S: Array) -> Array:
    """Return the probability of each class of responses, by first wrong step; the last is "correct". Shape (K + 1,).

    Example:
        >>> class_probs(np.array([0.5, 0.8])).round(3).tolist()
        [0.5, 0.1, 0.4]
    """
    reached = np.concatenate([[1.0], np.cumprod(p_S)])
    return np.append(reached[:-1] * (1 - p_S), reached[-1])


def confusion(judge: NoisyJudge, *, n_steps: int) -> Array:
    """Return P(judge names step j | step i is the first wrong one), one row for each i. Shape (K, K)."""
    named = np.zeros((n_steps, n_steps))
    for step in range(n_steps):
        wrongly = {
            "early": range(step),
            "late": range(step + 1, n_steps),
            "random": range(n_steps),
            "reversed": [n_steps - 1 - step],
        }[judge.kind] or [step]
        named[step, step] += 1 - judge.error
        named[step, list(wrongly)] += judge.error / len(wrongly)
    return named


def named_steps(config: DynamicsConfig) -> Array | None:
    """Return the confusion matrix of a configuration's judge; `None` if it has none."""
    return None if config.judge is None else confusion(config.judge, n_steps=config.n_steps)


def advantages(rewards: Array, counts: Array, *, division: Division, floor: float = 0.0) -> Array:
    """Return the advantage of each class of responses in groups given by counts; 0 in a constant group.

    Args:
        rewards: Reward of a response of each class. Shape (..., classes).
        counts: Responses of each class. Shape (..., classes).
        division: See `DynamicsConfig.division`.
        floor: Lowest standard deviation to divide by.
    """
    size = counts.sum(axis=-1, keepdims=True)
    centred = rewards - (counts * rewards).sum(axis=-1, keepdims=True) / size
    if division != "none":
        degrees = size if division == "population" else size - 1
        std = np.sqrt((counts * centred**2).sum(axis=-1, keepdims=True) / degrees)
        centred = np.divide(centred, np.maximum(std, floor), out=np.zeros_like(centred), where=std > 1e-12)
    is_constant = (counts > 0).sum(axis=-1, keepdims=True) < 2
    return np.where(is_constant, 0.0, centred)


@dataclass(frozen=True)
class Groups:
    """Every group that can be sampled, by its counts, with the advantages of its classes."""

    mixed_R: Array
    """Advantages of wrong and correct responses in groups with 1 to G - 1 correct ones. Shape (G - 1, 2)."""
    counts_C_W: Array
    """Responses by the step that the judge names, in groups without a correct one. Shape (C, K)."""
    advantages_C_W: Array
    """Their advantages under SGPO. Shape (C, K)."""
    log_ways_C: Array
    """Logarithm of the number of orderings in which a group can have these counts. Shape (C,)."""


def enumerate_groups(config: DynamicsConfig) -> Groups:
    """Return all groups of a configuration.

    Raises:
        ConfigError: there are too many to hold in memory.
    """
    size, n_steps = config.group_size, config.n_steps
    right_R = np.arange(1.0, size)
    mixed = np.stack([size - right_R, right_R], axis=1)
    mixed_R = advantages(np.broadcast_to([0.0, 1.0], mixed.shape), mixed, division=config.division)
    n_compositions = math.comb(size + n_steps - 1, n_steps - 1)
    if n_compositions > MAX_COMPOSITIONS:
        raise ConfigError(
            f"groups of {size} responses of {n_steps} steps have {n_compositions} compositions, more than "
            f"{MAX_COMPOSITIONS}: use a smaller group_size or n_steps"
        )
    # Stars and bars: where K - 1 bars stand among G stars says how many fall into each class.
    bars = np.array(list(combinations(range(size + n_steps - 1), n_steps - 1)), dtype=np.int64)
    edges = np.pad(bars.reshape(n_compositions, n_steps - 1), ((0, 0), (1, 1)), constant_values=-1)
    edges[:, -1] = size + n_steps - 1
    counts_C_W = (np.diff(edges, axis=1) - 1).astype(np.float64)
    rts_W = np.arange(n_steps) / n_steps
    shaped = 1 / (1 + np.exp(-config.beta * (rts_W - config.gamma)))
    log_factorial = np.array([math.lgamma(n + 1) for n in range(size + 1)])
    return Groups(
        mixed_R,
        counts_C_W,
        advantages(
            np.broadcast_to(shaped, counts_C_W.shape), counts_C_W, division=config.division, floor=config.std_floor
        ),
        log_factorial[size] - log_factorial[counts_C_W.astype(np.int64)].sum(axis=1),
    )


def all_negative_probs(groups: Groups, named_W: Array) -> Array:
    """Return the probability of each group without a correct response; named_W: of each named step. Shape (C,)."""
    with np.errstate(divide="ignore"):
        log_named = np.maximum(np.log(named_W), -1e9)  # for a step that is never named, 0 times this is 0, not NaN
    return np.exp(groups.log_ways_C + groups.counts_C_W @ log_named)


def true_given_named(wrong_W: Array, named_W_W: Array) -> Array:
    """Return P(first wrong step is i | the judge names j), by Bayes' rule; 0 if it never names j. Shape (K, K)."""
    joint_W_W = wrong_W[:, None] * named_W_W
    named_W = joint_W_W.sum(axis=0)
    return np.divide(joint_W_W, named_W, out=np.zeros_like(joint_W_W), where=named_W > 0)


def expected_credit(p_S: Array, *, groups: Groups, named_W_W: Array | None) -> Credit:
    """Return the expected advantage of each class; without a judge, all-negative groups give none."""
    size = len(groups.mixed_R) + 1
    probs_E = class_probs(p_S)
    wrong_W, right = probs_E[:-1], probs_E[-1]
    right_R = np.arange(1, size)
    log_ways_R = np.array([math.log(math.comb(size, n)) for n in right_R])
    probs_R = np.exp(log_ways_R + right_R * math.log(right) + (size - right_R) * math.log1p(-right))
    # In mixed groups all wrong responses lose equally, whatever their first wrong step is.
    lost = float(probs_R @ ((size - right_R) / size * groups.mixed_R[:, 0]))
    won = float(probs_R @ (right_R / size * groups.mixed_R[:, 1]))
    positive_E = np.append(np.zeros(len(p_S)), won)
    negative_E = np.append(wrong_W / wrong_W.sum() * lost, 0.0)
    if named_W_W is not None:
        named_W = wrong_W @ named_W_W
        share_C_W = all_negative_probs(groups, named_W)[:, None] * groups.counts_C_W / size * groups.advantages_C_W
        true_W_W = true_given_named(wrong_W, named_W_W)
        positive_E[:-1] += true_W_W @ np.maximum(share_C_W, 0).sum(axis=0)
        negative_E[:-1] += true_W_W @ np.minimum(share_C_W, 0).sum(axis=0)
    return Credit(positive_E, negative_E)


def gradient(
    credit: Credit, *, old_S: Array, new_S: Array, clip_low: float | None = None, clip_high: float | None = None
) -> Array:
    """Return the expected gradient of the clipped surrogate with respect to the logits. Shape (K,).

    Args:
        credit: Expected advantages of the classes under the old policy.
        old_S: Probability that a step is correct under the policy that sampled.
        new_S: The same under the updated policy; if equal to `old_S`, this is the plain policy gradient.
        clip_low: How far below 1 the ratio of a step may fall, if its advantage is negative.
        clip_high: How far above 1 it may rise, if its advantage is positive.
    """
    ratio_right_S, ratio_wrong_S = new_S / old_S, (1 - new_S) / (1 - old_S)
    total_S = np.zeros_like(new_S)
    for credit_E, is_clipped in (
        (credit.positive_E, lambda ratio: clip_high is not None and ratio > 1 + clip_high),
        (credit.negative_E, lambda ratio: clip_low is not None and ratio < 1 - clip_low),
    ):
        for k in range(len(new_S)):
            # After its first wrong step a response continues, correct as often as before.
            behind = credit_E[:k].sum()
            right, wrong = credit_E[k + 1 :].sum() + behind * old_S[k], credit_E[k] + behind * (1 - old_S[k])
            if not is_clipped(ratio_right_S[k]):
                total_S[k] += right * ratio_right_S[k] * (1 - new_S[k])
            if not is_clipped(ratio_wrong_S[k]):
                total_S[k] -= wrong * ratio_wrong_S[k] * new_S[k]
    return total_S


def integrate(config: DynamicsConfig) -> Trajectory:
    """Return the policy after every batch of expected updates."""
    groups = enumerate_groups(config)
    named = named_steps(config)
    p_S = np.array(config.start_S)
    theta_S = np.log(p_S / (1 - p_S))
    p_T_S = [p_S]
    for update in range(config.n_updates):
        is_guided = config.guided_updates is None or update < config.guided_updates
        old_S = p_T_S[-1]
        credit = expected_credit(old_S, groups=groups, named_W_W=named if is_guided else None)
        for _ in range(config.updates_per_batch):
            new_S = 1 / (1 + np.exp(-theta_S))
            theta_S = theta_S + config.step_size * gradient(
                credit, old_S=old_S, new_S=new_S, clip_low=config.clip_low, clip_high=config.clip_high
            )
        p_T_S.append(1 / (1 + np.exp(-theta_S)))
    return Trajectory(np.array(p_T_S))


def gradient_variance(p_S: Array, *, groups: Groups, named_W_W: Array | None) -> Array:
    """Return the gradient's variance for one sampled group, on-policy; divide by B for a batch of B groups. (K,).

    Given how many responses the judge names each step for, responses are independent, so their variances add up.
    """
    n_steps, size = len(p_S), len(groups.mixed_R) + 1
    probs_E = class_probs(p_S)
    wrong_W, right = probs_E[:-1], probs_E[-1]
    # Mean and mean square of d log pi / d theta_k by the first wrong step: correct before it, wrong at it, any after
    # it.
    before, at = np.triu(np.ones((n_steps, n_steps)), 1).T.astype(bool), np.eye(n_steps, dtype=bool)
    mean_W_S = np.where(before, 1 - p_S, np.where(at, -p_S, 0.0))
    square_W_S = np.where(before, (1 - p_S) ** 2, np.where(at, p_S**2, p_S * (1 - p_S)))
    square_S = np.zeros(n_steps)
    lost_W = wrong_W / wrong_W.sum()
    lost_mean_S, lost_square_S = lost_W @ mean_W_S, lost_W @ square_W_S
    for n_right, (a_wrong, a_right) in enumerate(groups.mixed_R, start=1):
        n_wrong = size - n_right
        prob = math.comb(size, n_right) * right**n_right * (1 - right) ** n_wrong
        total_S = n_right * a_right * (1 - p_S) + n_wrong * a_wrong * lost_mean_S
        square_S += prob * (total_S**2 + n_wrong * a_wrong**2 * (lost_square_S - lost_mean_S**2))
    if named_W_W is not None:
        named_W = wrong_W @ named_W_W
        true_W_W = true_given_named(wrong_W, named_W_W)
        named_mean, named_square = true_W_W.T @ mean_W_S, true_W_W.T @ square_W_S
        total_C_S = (groups.counts_C_W * groups.advantages_C_W) @ named_mean
        own_C_S = (groups.counts_C_W * groups.advantages_C_W**2) @ (named_square - named_mean**2)
        square_S += all_negative_probs(groups, named_W) @ (total_C_S**2 + own_C_S)
    credit = expected_credit(p_S, groups=groups, named_W_W=named_W_W)
    return square_S / size**2 - gradient(credit, old_S=p_S, new_S=p_S) ** 2

"""The same dynamics with batches of sampled groups: an expectation leaves out the noise of a finite batch.

It shares nothing with the exact computation except the configuration and the judge's confusion matrix, so each checks
the other. Axes: `_N` independent training runs, `_B` groups of a batch, `_G` responses, `_S` steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sgpo.theory.config import DynamicsConfig
from sgpo.theory.dynamics import Array, confusion


def sample_gradient(
    config: DynamicsConfig, *, p_N_S: Array, n_groups: int, is_guided: bool, rng: np.random.Generator
) -> Array:
    """Return the policy gradient of one sampled batch for each training run, mean over its groups. Shape (N, K)."""
    n_runs, n_steps = p_N_S.shape
    shape = (n_runs, n_groups, config.group_size)
    chance_N_1_1_S = p_N_S[:, None, None, :]
    right_N_B_G_S = rng.random((*shape, n_steps)) < chance_N_1_1_S
    outcome_N_B_G = np.logical_and.reduce(right_N_B_G_S, axis=-1)
    reward_N_B_G = outcome_N_B_G.astype(np.float64)
    std_floor_N_B = np.zeros(shape[:2])
    if is_guided and config.judge is not None:
        first_N_B_G = np.where(outcome_N_B_G, 0, (~right_N_B_G_S).argmax(axis=-1))
        named_N_B_G = _name_steps(config, first_N_B_G, rng)
        shaped = 1 / (1 + np.exp(-config.beta * (named_N_B_G / n_steps - config.gamma)))
        dead_N_B = ~np.logical_or.reduce(outcome_N_B_G, axis=-1)
        reward_N_B_G = np.where(dead_N_B[..., None], shaped, reward_N_B_G)
        std_floor_N_B[dead_N_B] = config.std_floor
    centred = reward_N_B_G - reward_N_B_G.mean(axis=-1, keepdims=True)
    if config.division != "none":
        std = reward_N_B_G.std(axis=-1, ddof=1 if config.division == "sample" else 0)
        divisor = np.maximum(std, std_floor_N_B)
        centred = np.where(std[..., None] > 1e-9, centred / np.where(divisor > 0, divisor, 1)[..., None], 0.0)
    score_N_B_G_S = right_N_B_G_S - chance_N_1_1_S
    return np.einsum("nbg,nbgs->ns", centred, score_N_B_G_S) / (n_groups * config.group_size)


def _name_steps(config: DynamicsConfig, first: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the step that the judge names for each first wrong one."""
    assert config.judge is not None
    upto_W_W = np.cumsum(confusion(config.judge, n_steps=config.n_steps), axis=1)
    return (rng.random(first.shape)[..., None] > upto_W_W[first]).sum(axis=-1).clip(max=config.n_steps - 1)


def simulate(config: DynamicsConfig, *, n_groups: int, n_runs: int, seed: int) -> Array:
    """Return the probability of a correct response in sampled training runs, with the start. Shape (N, n_updates + 1).

    One update per batch, unclipped, because clipping does nothing without off-policy updates.
    """
    rng = np.random.default_rng(seed)
    p_N_S = np.tile(config.start_S, (n_runs, 1))
    theta_N_S = np.log(p_N_S / (1 - p_N_S))
    success_T = [p_N_S.prod(axis=1)]
    for update in range(config.n_updates):
        is_guided = config.guided_updates is None or update < config.guided_updates
        theta_N_S += config.step_size * sample_gradient(
            config, p_N_S=p_N_S, n_groups=n_groups, is_guided=is_guided, rng=rng
        )
        p_N_S = 1 / (1 + np.exp(-theta_N_S))
        success_T.append(p_N_S.prod(axis=1))
    return np.stack(success_T, axis=1)

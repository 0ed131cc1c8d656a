"""The exact dynamics: by hand, against enumeration, against the package's own rewards, and what must hold always."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from judgekit.errors import ConfigError
from sgpo.rewards import compute_advantages, shape_rts
from sgpo.theory.config import DynamicsConfig, NoisyJudge
from sgpo.theory.dynamics import (
    advantages,
    class_probs,
    confusion,
    enumerate_groups,
    expected_credit,
    gradient,
    gradient_variance,
    integrate,
    named_steps,
)
from sgpo.theory.simulate import sample_gradient, simulate

JUDGES = [None, *(NoisyJudge(kind=kind, error=0.6) for kind in ("early", "late", "random", "reversed"))]


def update(config: DynamicsConfig, **given: np.ndarray) -> np.ndarray:
    """Return the expected gradient at the start, or at `new_S` on a batch of the start."""
    p_S = np.array(config.start_S)
    credit = expected_credit(p_S, groups=enumerate_groups(config), named_W_W=named_steps(config))
    return gradient(
        credit, old_S=p_S, new_S=given.get("new_S", p_S), clip_low=config.clip_low, clip_high=config.clip_high
    )


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.2, 0.7), (0.9, 0.3)])
def test_updates_of_the_paper(p: float, q: float) -> None:
    """2505.11595: SGPO moves the steps by p(1-p) and p^2 q(1-q), GRPO by p(1-p)q and p q(1-q)."""
    assert update(DynamicsConfig(start=(p, q))) == pytest.approx([p * (1 - p), p * p * q * (1 - q)])
    assert update(DynamicsConfig(start=(p, q), judge=None)) == pytest.approx([p * (1 - p) * q, p * q * (1 - q)])


def test_one_step_of_two_responses_by_hand() -> None:
    """One step, groups of 2: right and wrong in half of all groups at p = 1/2, with advantages +1 and -1.

    The gradient of such a group is 1/2 (+1 (1 - 1/2) - 1 (0 - 1/2)) = 1/2; of all groups 1/4, as is its variance less
    the squared mean: 1/2 (1/2)^2 - (1/4)^2 = 1/16.
    """
    config = DynamicsConfig(n_steps=1)
    assert update(config) == pytest.approx([0.25])
    variance_S = gradient_variance(np.array([0.5]), groups=enumerate_groups(config), named_W_W=named_steps(config))
    assert variance_S == pytest.approx([1 / 16])
    logit = 0.25  # after one update of step size 1
    assert integrate(config).success_T[1] == pytest.approx(1 / (1 + np.exp(-logit)))


def test_confusion_by_hand() -> None:
    def named(kind: str, error: float = 1.0) -> np.ndarray:
        return confusion(NoisyJudge.model_validate({"kind": kind, "error": error}), n_steps=3)

    assert named("early").tolist() == [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    assert named("late").tolist() == [[0, 0.5, 0.5], [0, 0, 1], [0, 0, 1]]
    assert named("random") == pytest.approx(np.full((3, 3), 1 / 3))
    assert named("reversed").tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert named("early", 0.2)[2] == pytest.approx([0.1, 0.1, 0.8])


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("division", ["population", "sample", "none"])
def test_expectation_is_that_over_every_group(judge: NoisyJudge | None, division: str) -> None:
    """Every sequence of actions of every response and every answer of the judge, one by one."""
    p_S = (0.3, 0.8)
    config = DynamicsConfig.model_validate(
        {"start": p_S, "group_size": 3, "judge": judge, "division": division, "std_floor": 0.3}
    )
    named_W_W = named_steps(config)
    kinds = []  # of one response: actions, what the judge names, probability
    for actions in itertools.product((True, False), repeat=2):
        prob = np.prod([p if right else 1 - p for p, right in zip(p_S, actions, strict=True)])
        if all(actions):
            kinds.append((actions, None, prob))
            continue
        row_W = np.eye(2)[actions.index(False)] if named_W_W is None else named_W_W[actions.index(False)]
        kinds += [(actions, name, prob * row_W[name]) for name in range(2)]
    mean_S, square_S = np.zeros(2), np.zeros(2)
    for group in itertools.product(kinds, repeat=3):
        rewards = torch.tensor([float(all(actions)) for actions, _, _ in group], dtype=torch.float64)
        floor = 0.0
        if judge is not None and not rewards.any():
            rts = torch.tensor([float(name or 0) / 2 for _, name, _ in group], dtype=torch.float64)
            rewards, floor = shape_rts(rts), config.std_floor
        values = advantages(rewards.numpy(), np.ones(3), division=config.division, floor=floor)
        prob = np.prod([prob for _, _, prob in group])
        scores = np.array([actions for actions, _, _ in group]) - np.array(p_S)
        of_group_S = values @ scores / 3
        mean_S, square_S = mean_S + prob * of_group_S, square_S + prob * of_group_S**2
    assert update(config) == pytest.approx(mean_S, abs=1e-12)
    variance_S = gradient_variance(np.array(p_S), groups=enumerate_groups(config), named_W_W=named_W_W)
    assert variance_S == pytest.approx(square_S - mean_S**2, abs=1e-12)


def test_advantages_are_those_of_training() -> None:
    """As `sgpo.rewards` computes them, but for the 1e-4 that it adds to the divisor."""
    rewards = np.array([0.0067, 0.0474, 0.0474, 0.7311])
    ids = torch.zeros(4, dtype=torch.int64)
    for division, scale, floor in (("sample", "group", 0.0), ("sample", "group", 0.9), ("none", "none", 0.0)):
        trained = compute_advantages(
            torch.tensor(rewards), group_ids_N=ids, scale=scale, std_floor_N=torch.full((4,), floor).double()
        )
        ours = advantages(rewards, np.ones(4), division=division, floor=floor)
        assert ours == pytest.approx(trained.numpy(), rel=5e-4)
    assert not advantages(np.full(3, 0.3), np.ones(3), division="population").any()


@pytest.mark.parametrize("judge", JUDGES)
def test_expectation_against_sampled_groups(judge: NoisyJudge | None) -> None:
    config = DynamicsConfig(n_steps=3, group_size=4, start=(0.3, 0.5, 0.7), judge=judge, std_floor=0.1)
    p_S, n = np.array(config.start_S), 40_000
    sampled_N_S = sample_gradient(
        config, p_N_S=np.tile(p_S, (n, 1)), n_groups=1, is_guided=True, rng=np.random.default_rng(3)
    )
    error_S = sampled_N_S.std(axis=0) / n**0.5
    assert (np.abs(sampled_N_S.mean(axis=0) - update(config)) < 4 * error_S).all()
    variance_S = gradient_variance(p_S, groups=enumerate_groups(config), named_W_W=named_steps(config))
    assert sampled_N_S.var(axis=0) == pytest.approx(variance_S, rel=0.05)


def test_large_batches_follow_the_exact_trajectory() -> None:
    config = DynamicsConfig(n_steps=3, group_size=4, start=0.4, n_updates=15, guided_updates=8, division="sample")
    sampled_N_T = simulate(config, n_groups=2000, n_runs=2, seed=0)
    assert sampled_N_T.mean(axis=0) == pytest.approx(integrate(config).success_T, abs=0.01)


@pytest.mark.parametrize("step_size", [0.1, 1.0, 2.0, 4.0])
def test_sgpo_is_never_below_grpo_from_the_start_of_the_paper(step_size: float) -> None:
    sgpo, grpo = (
        integrate(DynamicsConfig(judge=judge, step_size=step_size, n_updates=1000)).success_T
        for judge in (NoisyJudge(), None)
    )
    assert (sgpo >= grpo).all() and (sgpo[1:] > grpo[1:]).all()


def test_where_sgpo_falls_behind() -> None:
    """In the differential equation of 2 steps SGPO is ahead where p < 1 - q (1 - q), and nowhere else."""
    for p, q in itertools.product(np.linspace(0.05, 0.95, 7), repeat=2):
        config = DynamicsConfig(start=(float(p), float(q)), step_size=1e-4, n_updates=1)
        ahead = integrate(config).success_T[1] - integrate(config.model_copy(update={"judge": None})).success_T[1]
        assert (ahead > 0) == (p < 1 - q * (1 - q))
        assert ahead / 1e-4 == pytest.approx(p * p * q * (1 - p) * (1 - q) * (1 - p - q * (1 - q)), abs=1e-6)


def test_a_judge_that_says_nothing_changes_nothing() -> None:
    """Answers at random add noise, not a direction; a perfect judge of one step has nothing to tell apart."""
    grpo = DynamicsConfig(n_steps=4, group_size=5, start=0.4, judge=None)
    noise = grpo.model_copy(update={"judge": NoisyJudge(kind="random", error=1.0)})
    assert update(noise) == pytest.approx(update(grpo), abs=1e-12)
    variances = [
        gradient_variance(np.full(4, 0.4), groups=enumerate_groups(of), named_W_W=named_steps(of)).sum()
        for of in (noise, grpo)
    ]
    assert variances[0] > 2 * variances[1]
    one = DynamicsConfig(n_steps=1, group_size=5, start=0.1)
    assert update(one) == pytest.approx(update(one.model_copy(update={"judge": None})))


def test_invariants_of_expectations() -> None:
    config = DynamicsConfig(
        n_steps=4, group_size=6, start=(0.2, 0.5, 0.6, 0.9), judge=NoisyJudge(kind="late", error=0.4)
    )
    p_S = np.array(config.start_S)
    assert class_probs(p_S).sum() == pytest.approx(1)
    credit = expected_credit(p_S, groups=enumerate_groups(config), named_W_W=named_steps(config))
    # Advantages of a group sum to 0, so that what some classes gain others lose.
    assert credit.positive_E.sum() + credit.negative_E.sum() == pytest.approx(0, abs=1e-12)
    assert credit.positive_E.sum() > 0.1
    # Behind the window training is GRPO's.
    window = config.model_copy(update={"guided_updates": 3, "n_updates": 5})
    p_T_S = integrate(window).p_T_S
    rest = config.model_copy(update={"start": tuple(p_T_S[3]), "judge": None, "n_updates": 2})
    assert integrate(rest).p_T_S == pytest.approx(p_T_S[3:])


def test_clipping_by_hand() -> None:
    """One step, groups of 2, p 0.5 before and 0.65 now: ratios 1.3 of right and 0.7 of wrong.

    Right responses hold credit 1/4, wrong ones -1/4. Unclipped the gradient is 1/4 (1.3 * 0.35) + 1/4 (0.7 * 0.65).
    """
    now = {"new_S": np.array([0.65])}
    config = DynamicsConfig(n_steps=1)
    assert update(config, **now) == pytest.approx([0.25 * (1.3 * 0.35 + 0.7 * 0.65)])
    high, low = config.model_copy(update={"clip_high": 0.28}), config.model_copy(update={"clip_low": 0.2})
    assert update(high, **now) == pytest.approx([0.25 * 0.7 * 0.65])
    assert update(low, **now) == pytest.approx([0.25 * 1.3 * 0.35])
    # On-policy nothing is clipped, whatever the bounds.
    assert update(high.model_copy(update={"clip_low": 0.0})) == pytest.approx(update(config))


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"groups of 64 responses of 12 steps have \d+ compositions"):
        enumerate_groups(DynamicsConfig(n_steps=12, group_size=64))
    with pytest.raises(ValidationError, match="start has 3 values for 2 steps"):
        DynamicsConfig(start=(0.1, 0.2, 0.3))
    with pytest.raises(ValidationError, match=r"start 1.0 is not inside \(0, 1\)"):
        DynamicsConfig(start=1.0)

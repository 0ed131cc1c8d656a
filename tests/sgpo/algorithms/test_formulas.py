"""Each algorithm's formula, worked out by hand: groups of four, outcomes and whatever it needs beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from sgpo.algorithms.base import Algorithm, GroupBatch, Scored
from sgpo.algorithms.disco import DisCO
from sgpo.algorithms.disco_scaling import DISCOScaling
from sgpo.algorithms.dr_grpo import DrGRPO
from sgpo.algorithms.gpg import GPG
from sgpo.algorithms.group_robust import GroupRobust
from sgpo.algorithms.ngrpo import NGRPO
from sgpo.algorithms.nthr import NTHR
from sgpo.algorithms.objectives import GDPO, MultiObjective
from sgpo.algorithms.raft import RAFT, ReinforceRej
from sgpo.algorithms.rl_zvp import RLZVP
from sgpo.algorithms.sgpo import SGPO
from sgpo.algorithms.srpo import SRPO
from sgpo.algorithms.tw_grpo import TWGRPO
from sgpo.algorithms.unlikeliness import Unlikeliness
from sgpo.algorithms.vppo import VPPO
from sgpo.credit import GroupCredit, give_credit, put_back, shape_groups, sum_rewards
from sgpo.divergence import mean_divergence

MIXED, WRONG, RIGHT = [1.0, 0, 0, 0], [0.0, 0, 0, 0], [1.0, 1, 1, 1]
STD = math.sqrt(3 / 16 * 4 / 3)  # of 1, 0, 0, 0 with n - 1: 0.5


def given(
    algorithm: Algorithm, outcomes: Sequence[float], *, rts: Sequence[float | None] = (), **facts: Any
) -> list[Any]:
    """Advantages of groups of four, a number or a list of numbers a response."""
    outcomes_N = torch.tensor(outcomes, dtype=torch.float64)
    n = len(outcomes_N)
    own = {"group_ids_N": torch.arange(n) // 4, "truncated_N": torch.zeros(n).bool()}
    own["n_tokens_N"] = torch.full((n,), 4)
    batch = GroupBatch(outcomes_N, **(own | facts))

    def score(rows_M: torch.Tensor) -> list[Scored]:
        """Steps of one length: the valid ones are a share of them, of two where no spans say how many there are."""
        n_steps = [len(spans) for spans in batch.spans_N or [((), ())] * n]
        found = {row: rts[row] for row in rows_M.tolist()}
        return [Scored(x, n_valid=None if x is None else x * n_steps[row]) for row, x in found.items()]

    credit: GroupCredit = shape_groups(batch, algorithm, score)
    rewards_N = sum_rewards(put_back(credit.shaped.rewards_N, credit.batch), credit.batch)
    floor_N = credit.shaped.std_floor_N
    advantages = give_credit(rewards_N, batch=credit.batch, algorithm=algorithm, std_floor_N=floor_N, scale="group")
    return [value.tolist() for value in advantages]


def doubles(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_dr_grpo_is_the_reward_less_the_mean() -> None:
    assert given(DrGRPO(), [*MIXED, *WRONG]) == [0.75, -0.25, -0.25, -0.25, 0, 0, 0, 0]


def test_gpg_makes_up_for_constant_groups() -> None:
    """Eight of twelve responses say nothing: alpha is 12 / 4."""
    assert given(GPG(), [*MIXED, *WRONG, *RIGHT]) == [2.25, -0.75, -0.75, -0.75] + [0] * 8
    assert given(GPG(), WRONG) == [0] * 4


def test_raft_and_reinforce_rej_have_no_baseline() -> None:
    assert given(RAFT(), [*MIXED, *WRONG, *RIGHT]) == [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert given(ReinforceRej(), [*MIXED, *WRONG, *RIGHT]) == [1, -1, -1, -1] + [0] * 8
    assert given(ReinforceRej(), [1.0, 0, math.nan, 0]) == [1, -1, 0, -1]
    assert RAFT(ratio="none").loss_rule.clip is None  # type: ignore[union-attr]


def test_ngrpo_adds_a_response_that_is_right() -> None:
    """Of 1, 0, 0, 0 and 1: mean 0.4, variance (2 x 0.36 + 3 x 0.16) / 4 = 0.3; of 0, 0, 0, 0 and 1: 0.2 and 0.2."""
    std, of_wrong = math.sqrt(0.3), math.sqrt(0.2)
    found = given(NGRPO(), [*MIXED, *WRONG, *RIGHT])
    assert found[:4] == pytest.approx([0.6 / (std + 1e-4)] + [-0.4 / (std + 1e-4)] * 3)
    assert found[4:8] == pytest.approx([-0.2 / (of_wrong + 1e-4)] * 4)
    assert found[8:] == [0] * 4


def test_unlikeliness_pays_the_likely_less() -> None:
    """Rewards 1 - 0.25 rank/4 with ranks 3, 0, 1, 2; a wrong response earns nothing whatever its rank."""
    old = doubles(-1, -9, -5, -3)
    algorithm = Unlikeliness()
    batch = GroupBatch(doubles(1, 1, 0, 1), torch.zeros(4), torch.zeros(4).bool(), torch.full((4,), 4))
    shaped = shape_groups(
        GroupBatch(batch.outcomes_N, batch.group_ids_N, batch.truncated_N, batch.n_tokens_N, old_seq_logprobs_N=old),
        algorithm,
        lambda rows: [],
    ).shaped
    assert shaped.rewards_N.tolist() == [0.8125, 1.0, 0.0, 0.875]
    found = given(algorithm, RIGHT, old_seq_logprobs_N=old)
    assert found[1] > found[2] > found[3] > found[0], "of right responses the least likely gains"
    tied = given(algorithm, RIGHT, old_seq_logprobs_N=doubles(-2, -2, -2, -2))
    assert tied == [0] * 4


def test_vppo_pays_a_prefix_less_its_buffer() -> None:
    """Steps of 4 tokens and one that ends the response: 9 tokens; a right answer, errors at step 1, at 0, and none.

    Prompt of 2 tokens: prefixes of 4 - 2, 0 and, where no verdict was given, the response stays out. Mean of 1,
    0.5 x 2/9 and 0.
    """
    spans = (((0, 4), (4, 8)),) * 4
    facts = {"spans_N": spans, "n_tokens_N": torch.full((4,), 9), "n_prompt_tokens_N": torch.full((4,), 2)}
    found = given(VPPO(), MIXED, rts=[None, 0.5, 0.0, None], **facts)
    mean = (1 + 0.5 * 2 / 9 + 0) / 3
    assert found[0] == pytest.approx([1 - mean] * 9)
    assert found[1] == pytest.approx([0.5 - mean] * 2 + [-mean] * 7)
    assert found[2] == pytest.approx([-mean] * 9)
    assert found[3] == [0] * 9
    whole = given(VPPO(buffer=3, rts={"type": "hard", "no_error": "full"}), WRONG, rts=[1.0, 0, 0, 0], **facts)  # type: ignore[arg-type]
    assert whole[0] == pytest.approx([0.5 - 0.5 * 6 / 9 / 4] * 6 + [-0.5 * 6 / 9 / 4] * 3)
    kept = given(VPPO(relu=True), [1.0, 1, 1, 0], rts=[None, None, None, 0.5], **facts)
    assert kept[3][:2] == [0, 0] and kept[3][2:] == pytest.approx([-(3 + 1 / 9) / 4] * 7)


def test_sgpo_without_division_is_the_reward_less_the_mean() -> None:
    """RTS 0.5, 0, 0, 0: rewards 1/2 and s = sigmoid(-5); a mixed group is divided as ever."""
    s = 1 / (1 + math.exp(5))
    found = given(SGPO(std="none"), [*WRONG, *MIXED], rts=[0.5, 0, 0, 0])
    mean = (0.5 + 3 * s) / 4
    assert found[:4] == pytest.approx([0.5 - mean, *[s - mean] * 3])
    assert found[4:] == pytest.approx([0.75 / (STD + 1e-4), *[-0.25 / (STD + 1e-4)] * 3])


def test_sgpo_credits_a_prefix_less_its_buffer() -> None:
    """Two steps of 4 tokens and one that ends: 9; RTS 0.5, 0.5, 0, and none that is given. Buffer of 1: 3, 3, 0 tokens.

    Tokens of the prefixes earn 1/2, all others 0: means 1/6, 1/6, 0, of which 1/9 is taken from every token.
    """
    facts = {
        "spans_N": (((0, 4), (4, 8)),) * 4,
        "n_tokens_N": torch.full((4,), 9),
        "n_prompt_tokens_N": torch.full((4,), 2),
    }
    found = given(SGPO(credited="prefix", buffer=1), WRONG, rts=[0.5, 0.5, 0.0, None], **facts)
    assert found[0] == found[1] == pytest.approx([0.5 - 1 / 9] * 3 + [-1 / 9] * 6)
    assert found[2] == pytest.approx([-1 / 9] * 9)
    assert found[3] == [0] * 9
    assert given(SGPO(credited="prefix"), WRONG, rts=[0.5] * 4, **facts) == [[0] * 9] * 4, "fails at one place"
    # Beside a right response, whose tokens all earn 1; prompt of 2: 2 tokens of 9.
    mixed = given(SGPO(credited="prefix", scope="every_wrong"), MIXED, rts=[None, 0.5, None, None], **facts)
    mean = (1 + 0.5 * 2 / 9) / 2
    assert mixed[0] == pytest.approx([1 - mean] * 9) and mixed[1] == pytest.approx([0.5 - mean] * 2 + [-mean] * 7)


def test_rl_zvp_weighs_tokens_of_constant_groups_by_entropy() -> None:
    entropies = tuple(doubles(0.5, 2.0, 0.0, 1.0) for _ in range(12))
    found = given(RLZVP(), [*MIXED, *WRONG, *RIGHT], entropies_N=entropies)
    assert found[0] == pytest.approx([0.75 / (STD + 1e-4)] * 4)
    assert found[4] == pytest.approx([-0.15, 0.0, -0.2, -0.1])
    assert found[8] == pytest.approx([0.05, 0.2, 0.0, 0.1])


def test_disco_scaling_weighs_the_rare_and_the_hard() -> None:
    """Domain of a quarter of the data: log 5. One right of four: 1 / 0.26."""
    shares_N = doubles(*[0.25] * 4, *[0.75] * 4)
    found = given(DISCOScaling(), [*MIXED, 1, 1, 1, 0], domain_shares_N=shares_N)
    assert found[:4] == pytest.approx([math.log(5) / 0.26 * a for a in (0.75, -0.25, -0.25, -0.25)])
    assert found[4:] == pytest.approx([math.log(7 / 3) / 0.76 * a for a in (0.25, 0.25, 0.25, -0.75)])


def test_tw_grpo_weighs_positions_at_which_the_group_differs() -> None:
    """Divergences 0.2, 0.6, 1.0: weights 1, 1.25, 1.5."""
    divergences = tuple(doubles(0.2, 0.6, 1.0) for _ in range(4))
    n_tokens_N = torch.tensor([3, 2, 3, 3])
    found = given(TWGRPO(), MIXED, divergences_N=divergences, n_tokens_N=n_tokens_N)
    right, wrong = 0.75 / (STD + 1e-4), -0.25 / (STD + 1e-4)
    assert found[0] == pytest.approx([right, 1.25 * right, 1.5 * right])
    assert found[1] == pytest.approx([wrong, 1.25 * wrong])


def test_nthr_spares_what_right_responses_share() -> None:
    """Right responses score 2 and 1 a token on average, so beta 1 spares tokens above 1; p is 2/4, or 1/4 of group two.

    There eta is 2 |0.5 - 0.25|, and the only right response scores 3.
    """
    scores = ((2, 2, 2, 2), (3, 1, 0, 0), (0, 1, 1.5, 9), (-5, 0.9, 1.1, 1), (3, 3, 3, 3), *[(4, 2, 2, 3.5)] * 3)
    facts = {"influences_N": tuple(doubles(*scores_T) for scores_T in scores)}
    found = given(NTHR(), [1.0, 1, 0, 0, *MIXED], **facts)
    low = -0.5 / (math.sqrt(1 / 3) + 1e-4)
    assert found[0] == found[1] == pytest.approx([-low] * 4)
    assert found[2] == pytest.approx([low, low, 0, 0]) and found[3] == pytest.approx([low, low, 0, low])
    low = -0.25 / (STD + 1e-4)
    assert found[5] == pytest.approx([low / 2, low, low, low / 2])
    first = {"influences_N": facts["influences_N"][:4]}
    low = -0.5 / (math.sqrt(1 / 3) + 1e-4)
    assert given(NTHR(beta=2.0, eta=0.1), [1.0, 1, 0, 0], **first)[2] == pytest.approx([low, low, low, low / 10])
    raised = {"rewards_NF": torch.stack([doubles(1, 1, 0, 0), doubles(0, 0, 0, 4)], dim=1)}
    gaining = given(NTHR(), [1.0, 1, 0, 0], reward_weights_F=(1.0, 1.0), **first, **raised)[3]
    assert min(gaining) == max(gaining) > 0, "nothing is taken from a response that gains"


def test_divergence_of_a_group() -> None:
    """Probabilities (1/4, 3/4) and (3/4, 1/4): mean (1/2, 1/2), KL of each ln 2 + 1/4 ln 1/4 + 3/4 ln 3/4.

    At the second position one has ended and counts as (1/2, 1/2); alike at the third.
    """
    logits = torch.tensor([[0.25, 0.75], [0.25, 0.75], [0.5, 0.5]]).log()
    other = torch.tensor([[0.75, 0.25], [9.0, 1.0], [9.0, 1.0]]).log()
    found = mean_divergence(torch.stack([logits, other]), n_tokens_G=torch.tensor([3, 1]))
    kl = math.log(2) + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    mean = (0.375, 0.625)
    second = [sum(p * math.log(p / m) for p, m in zip(row, mean, strict=True)) for row in ((0.25, 0.75), (0.5, 0.5))]
    assert found.tolist() == pytest.approx([kl, sum(second) / 2, 0.0], abs=1e-6)


def test_group_robust_raises_the_weight_of_the_worse_domain() -> None:
    """Domain a: 3 of 4 wrong, b: none; eta 2: factors e^1.5 and 1, divided by their mean; once more from there."""
    algorithm = GroupRobust(eta=2.0)
    facts = {"group_ids_N": torch.arange(8) // 4, "truncated_N": torch.zeros(8).bool(), "n_tokens_N": torch.ones(8)}
    batch = GroupBatch(doubles(*MIXED, *RIGHT), domains_N=("a",) * 4 + ("b",) * 4, **facts)  # type: ignore[arg-type]
    memory = algorithm.remember({}, batch)
    mean = (math.exp(1.5) + 1) / 2
    assert memory == pytest.approx({"a": math.exp(1.5) / mean, "b": 1 / mean})
    twice = algorithm.remember(memory, batch)
    assert twice["a"] / twice["b"] == pytest.approx(math.exp(3)) and sum(twice.values()) == pytest.approx(2)
    found = given(algorithm, MIXED, domains_N=("a",) * 4, memory={"a": 1.5})
    assert found == pytest.approx([1.5 * a / (STD + 1e-4) for a in (0.75, -0.25, -0.25, -0.25)])


def test_srpo_remembers_how_often_a_problem_was_solved() -> None:
    facts = {"group_ids_N": torch.arange(8) // 4, "truncated_N": torch.zeros(8).bool(), "n_tokens_N": torch.ones(8)}
    outcomes_N = doubles(*RIGHT, 1, math.nan, 0, 0)
    batch = GroupBatch(outcomes_N, problem_ids_N=("p",) * 4 + ("q",) * 4, **facts)  # type: ignore[arg-type]
    memory = SRPO().remember({"q": 1.0, "s": 0.0}, batch)
    assert memory == pytest.approx({"p": 1.0, "q": 1 / 3, "s": 0.0})
    assert [SRPO().wants(memory, name) for name in "pqsz"] == [False, True, True, True]


def test_disco_is_the_gradient_of_its_objective() -> None:
    """Autograd through the objective and its penalty, with the trainer's mean over responses of each one's token mean.

    Two groups, one of them all wrong; lengths differ; the policy has moved, so that the bound is exceeded.
    """
    n_tokens_N, tau, delta, beta = torch.tensor([2, 3, 4, 5, 2, 2, 3, 3]), 0.5, 0.01, 0.7
    old_N = doubles(-2, -3, -5, -4, -3, -3, -2, -4)
    logprobs_N = (old_N - doubles(0.5, 0.2, 0.4, 0.1, 0.3, 0.2, 0.5, 0.3)).requires_grad_()
    scores_N = logprobs_N / n_tokens_N
    objective = scores_N[:2].mean() - tau * (torch.logsumexp(scores_N[2:4] / tau, 0) - math.log(2))
    kl = -(logprobs_N - old_N).sum() / n_tokens_N.sum()
    loss = -objective / 2 + beta / 2 * (kl - delta).clamp(min=0).square() + delta * 0
    loss.backward()
    hinge = beta * (kl.detach() - delta)
    advantages = given(
        DisCO(tau=tau, delta=delta, beta=beta),
        [1.0, 1, 0, 0, *WRONG],
        n_tokens_N=n_tokens_N,
        seq_logprobs_N=logprobs_N.detach(),
        old_seq_logprobs_N=old_N,
    )
    assert hinge > 0 and logprobs_N.grad is not None
    assert [-a / n / 8 for a, n in zip(advantages, n_tokens_N.tolist(), strict=True)] == pytest.approx(
        logprobs_N.grad.tolist()
    )


def test_objectives_are_summed_and_then_normalised_or_the_other_way() -> None:
    """Outcome 1, 0, 0, 0 and an objective 0, 0, 1, 1 of weight 0.5: sums 1, 0, 0.5, 0.5."""
    rewards_NF = torch.stack([doubles(*MIXED), doubles(0, 0, 1, 1)], dim=1)
    facts = {"rewards_NF": rewards_NF, "reward_weights_F": (1.0, 0.5)}
    sums = doubles(1, 0, 0.5, 0.5)
    assert given(MultiObjective(), MIXED, **facts) == pytest.approx(((sums - 0.5) / (sums.std() + 1e-4)).tolist())
    outcome = (doubles(*MIXED) - 0.25) / (STD + 1e-4)
    objective = doubles(-0.5, -0.5, 0.5, 0.5) / (math.sqrt(1 / 3) + 1e-4)
    total = outcome + 0.5 * objective
    assert given(GDPO(), MIXED, **facts) == pytest.approx((total / (total.std() + 1e-4)).tolist())

"""What every algorithm has to hold to, one from outside included."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from judgekit.types import Solution
from sgpo.algorithms.base import Algorithm
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.random_rts import RandomRTS
from sgpo.algorithms.registry import ALGORITHMS, parse_algorithm
from sgpo.algorithms.sgpo import SGPO
from sgpo.config import PolicyTrainingConfig
from sgpo.rewards import compute_advantages
from tests.sgpo.samples import Cut, HashJudge, guide

NAN = float("nan")
ALL = [SGPO(), SGPO(rts={"type": "expected"}, scope="every_wrong"), GRPO(), RandomRTS()]  # type: ignore[arg-type]
OUTCOMES = [0.0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, NAN, 0, 0, NAN, NAN, NAN, NAN]


def responses(n: int) -> list[Cut]:
    made = (Solution(id=f"r{i}", problem="p", steps=tuple(f"{i} {k}" for k in range(2 + i % 3))) for i in range(n))
    return [Cut(solution, (1.0,) * len(solution.steps)) for solution in made]


def advantages(algorithm: Algorithm, order: list[int]) -> list[float]:
    """Advantages of the sample in some order, given back in its own."""
    sample, ids = responses(len(OUTCOMES)), torch.arange(len(OUTCOMES)) // 4
    result = guide(
        torch.tensor(OUTCOMES, dtype=torch.float64)[order],
        group_ids_N=ids[order],
        responses=[sample[i] for i in order],
        judge=HashJudge(unscored_every=7),
        algorithm=algorithm,
    )
    given = compute_advantages(result.rewards_N, group_ids_N=ids[order], std_floor_N=result.std_floor_N)
    return [value for _, value in sorted(zip(order, given.tolist(), strict=True))]


def test_all_are_here() -> None:
    assert {algorithm.type for algorithm in ALL} == {*ALGORITHMS.names()}


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.type)
def test_groups_are_centred_and_order_does_not_matter(algorithm: Algorithm) -> None:
    straight = advantages(algorithm, list(range(len(OUTCOMES))))
    order = torch.randperm(len(OUTCOMES), generator=torch.Generator().manual_seed(3)).tolist()
    assert advantages(algorithm, order) == pytest.approx(straight, abs=1e-12)
    sums = torch.tensor(straight, dtype=torch.float64).view(-1, 4).sum(1)
    torch.testing.assert_close(sums, torch.zeros(5), atol=1e-9, rtol=0, check_dtype=False)
    assert straight[8:12] == [0.0] * 4, "a constant group that nothing is asked about"
    assert straight[13] == 0.0 and straight[16:] == [0.0] * 4, "unknown outcomes are outside the baseline"
    assert any(straight[:4]) is (algorithm.type != "grpo"), "an all-negative group lives but for GRPO"


def test_random_scores_stay_with_their_response() -> None:
    scores = [item.rts for item in RandomRTS().score(responses(200), judge=None)]
    again = [item.rts for item in RandomRTS().score(responses(200)[::-1], judge=None)][::-1]
    assert scores == again and scores != [item.rts for item in RandomRTS(seed=1).score(responses(200), judge=None)]
    twins = [replace(responses(1)[0], key=f"g:{i}") for i in range(3)]
    assert len({item.rts for item in RandomRTS().score(twins, judge=None)}) == 3, "equal texts draw for themselves"
    assert sum(score or 0.0 for score in scores) / 200 == pytest.approx(0.5, abs=0.07)


def test_configurations_name_their_algorithm() -> None:
    def chosen(**options: object) -> Algorithm:
        return PolicyTrainingConfig.model_validate({"policy": "p"} | options).resolved_algorithm

    assert chosen() == GRPO() and chosen(judge="j") == SGPO()
    assert chosen(algorithm={"type": "random_rts", "seed": 4}) == RandomRTS(seed=4)
    assert chosen(judge="j", guidance={"rts": "expected", "no_error": "full", "beta": 3}) == SGPO(
        beta=3,
        rts={"type": "expected", "no_error": "full"},  # type: ignore[arg-type]
    )
    assert chosen(guidance={"beta": 3}) == GRPO(), "without a judge earlier releases trained plain GRPO"
    config = PolicyTrainingConfig.model_validate({"policy": "p", "judge": "j", "guidance": {"max_unscored_frac": 0.1}})
    assert config.guards.max_unscored_frac == 0.1
    assert PolicyTrainingConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"algorithm": {"type": "sgpo"}}, "the algorithm sgpo needs a judge: give judge="),
        ({"algorithm": {"type": "sgop"}, "judge": "j"}, "unknown algorithm 'sgop'; did you mean 'sgpo'"),
        ({"algorithm": {"type": "sgpo", "betta": 1}, "judge": "j"}, "unknown key 'betta'; did you mean 'beta'"),
        ({"guidance": {"betta": 1}}, "unknown key 'betta'; did you mean 'beta'"),
        ({"guidance": {}, "algorithm": {"type": "grpo"}}, "both given"),
        ({"algorithm": {"beta": 1}, "judge": "j"}, r"given as \{type: NAME"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        PolicyTrainingConfig.model_validate({"policy": "p"} | options)


def test_an_instance_passes() -> None:
    assert parse_algorithm(GRPO()) == GRPO()

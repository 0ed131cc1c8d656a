"""What every algorithm of the registry has to hold to, those of installed packages included."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tests.sgpo.algorithms.every as script
from judgekit.text.segmentation import segment
from judgekit.types import Solution
from sgpo.algorithms.base import Algorithm, GroupBatch
from sgpo.algorithms.grpo import GRPO
from sgpo.algorithms.random_rts import RandomRTS
from sgpo.algorithms.registry import parse_algorithm
from sgpo.algorithms.sgpo import SGPO
from sgpo.config import ONLINE_ALONE, PolicyTrainingConfig
from sgpo.credit import StepCredit, give_credit, put_back, shape_groups, sum_rewards
from sgpo.offline.config import OfflineConfig
from sgpo.offline.run import run_offline
from tests.processes import REPOSITORY, run_on_two
from tests.sgpo.algorithms.every import OBJECTIVES, REFILLED, SOURCES, UNSCORED_EVERY, every
from tests.sgpo.offline.offline_samples import make_rollout, write_groups
from tests.sgpo.samples import GROUP, SEGMENTATION, Cut, HashJudge

NAN = float("nan")
ALL = every()
OUTCOMES = [0.0, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0, NAN, 0, 0, NAN, NAN, NAN, NAN]
"""A group without a right answer, one of both kinds, one of right answers, one with an unknown outcome, one of such."""
OF_ALL_WRONG = {"sgpo", "random_rts", "vppo", "ngrpo", "rl_zvp", "multi_objective", "gdpo"}
"""Algorithms that learn from a group without a right answer; objectives do where they differ."""
OF_ALL_RIGHT = {"raft", "rl_zvp", "unlikeliness", "multi_objective", "gdpo"}
"""Algorithms that learn from a group without a wrong answer."""
names = pytest.mark.parametrize(("name", "algorithm"), ALL.items(), ids=ALL)


def responses(n: int) -> list[Cut]:
    made = (Solution(id=f"r{i}", problem="p", steps=tuple(f"{i} {k}" for k in range(2 + i % 3))) for i in range(n))
    return [Cut(solution, (1.0,) * len(solution.steps)) for solution in made]


def facts(n: int) -> GroupBatch:
    """All that an algorithm may ask of responses of two to four steps, three tokens each and one that ends them."""
    draw = torch.Generator().manual_seed(7)
    n_steps = [len(response.solution.steps) for response in responses(n)]
    old_N = -10 * torch.rand(n, generator=draw, dtype=torch.float64)
    outcomes_N = torch.tensor(OUTCOMES, dtype=torch.float64)
    return GroupBatch(
        outcomes_N,
        group_ids_N=torch.arange(n) // 4,
        truncated_N=torch.zeros(n, dtype=torch.bool),
        n_tokens_N=torch.tensor([3 * s + 1 for s in n_steps]),
        rewards_NF=torch.stack([outcomes_N, torch.rand(n, generator=draw, dtype=torch.float64)], dim=1),
        reward_weights_F=(1.0, 0.5),
        spans_N=tuple(tuple((3 * k, 3 * k + 3) for k in range(s)) for s in n_steps),
        n_prompt_tokens_N=torch.full((n,), 2),
        seq_logprobs_N=old_N,
        old_seq_logprobs_N=old_N,
        entropies_N=tuple(torch.rand(3 * s + 1, generator=draw, dtype=torch.float64) for s in n_steps),
        divergences_N=tuple(torch.rand(13, generator=torch.Generator().manual_seed(i // 4)) for i in range(n)),
        influences_N=tuple(torch.rand(3 * s + 1, generator=draw, dtype=torch.float64) for s in n_steps),
        problem_ids_N=tuple(f"p{i // 4}" for i in range(n)),
        memory={"a": 1.2, "b": 0.8},
        domains_N=tuple("ab"[i // 8 % 2] for i in range(n)),
        domain_shares_N=torch.tensor([0.6 if i // 8 % 2 == 0 else 0.4 for i in range(n)], dtype=torch.float64),
    )


def advantages(algorithm: Algorithm, order: list[int], *, objectives: bool = True) -> list[list[float]]:
    """Advantages of the sample in some order, by token where they are, given back in its own."""
    sample, batch = responses(len(OUTCOMES)), facts(len(OUTCOMES)).take(torch.tensor(order))
    if not objectives and "objectives" not in algorithm.needs:
        batch = replace(batch, rewards_NF=None)
    judge = HashJudge(unscored_every=7)
    credit = shape_groups(
        batch,
        algorithm,
        lambda rows_M: algorithm.score([sample[order[row]] for row in rows_M.tolist()], judge=judge),
    )
    rewards_N = sum_rewards(put_back(credit.shaped.rewards_N, credit.batch), credit.batch)
    floor_N = credit.shaped.std_floor_N
    given = give_credit(rewards_N, batch=credit.batch, algorithm=algorithm, std_floor_N=floor_N, scale="group")
    return [value.reshape(-1).tolist() for _, value in sorted(zip(order, given, strict=True), key=lambda item: item[0])]


def is_ours(algorithm: Algorithm) -> bool:
    """Whether it comes with the project; that of an installed package is only held to what holds for all."""
    return type(algorithm).__module__.startswith("sgpo.")


def test_every_algorithm_has_its_line_in_the_docs() -> None:
    lines = (REPOSITORY / "docs" / "algorithms.md").read_text().splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `") and line.count("|") == 8][1:] == [
        name for name, algorithm in ALL.items() if name not in script.VARIANTS and is_ours(algorithm)
    ]


@names
def test_order_does_not_matter(name: str, algorithm: Algorithm) -> None:
    straight = advantages(algorithm, list(range(len(OUTCOMES))))
    order = torch.randperm(len(OUTCOMES), generator=torch.Generator().manual_seed(3)).tolist()
    for found, expected in zip(advantages(algorithm, order), straight, strict=True):
        assert found == pytest.approx(expected, abs=1e-9)
    assert any(any(values) for values in straight)


@names
def test_constant_groups_and_unknown_outcomes(name: str, algorithm: Algorithm) -> None:
    found = advantages(algorithm, list(range(len(OUTCOMES))), objectives=False)
    alive = [any(abs(value) > 1e-12 for values in found[start : start + 4] for value in values) for start in (0, 8)]
    if is_ours(algorithm):
        assert alive == [algorithm.type in OF_ALL_WRONG, algorithm.type in OF_ALL_RIGHT]
    if "objectives" not in algorithm.needs:  # which are known where an outcome is not
        assert not any(any(values) for values in [found[13], *found[16:]])
    if name in {"grpo", "sgpo", "random_rts", "dr_grpo", "dapo", "srpo", "gpg", "unlikeliness"}:
        sums = torch.tensor([sum(values) for values in found], dtype=torch.float64).view(-1, 4).sum(dim=1)
        torch.testing.assert_close(sums, torch.zeros(5), atol=1e-9, rtol=0, check_dtype=False)


@pytest.fixture(scope="module")
def ranks(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes made of one step by every algorithm, on three groups of four that span them."""
    output = tmp_path_factory.mktemp("every")
    run_on_two(script.__file__, policy, output)
    return [json.loads((output / f"rank{rank}.json").read_text()) for rank in range(2)]


def test_a_refilled_batch_is_dealt_out_again(ranks: list[dict[str, Any]]) -> None:
    """Responses tell problems apart by answers or by their length in part only, so that more is sampled."""
    seen = [rank[REFILLED]["batch"] for rank in ranks]
    by_group = torch.tensor(seen[0]["advantages"] + seen[1]["advantages"]).view(3, GROUP)
    alive = (by_group != 0).any(dim=1)
    assert alive.sum() >= 2 and alive.tolist() == sorted(alive.tolist(), reverse=True), "what is lacking is at the end"
    torch.testing.assert_close(by_group.sum(dim=1), torch.zeros(3), atol=1e-4, rtol=0)
    assert ranks[0][REFILLED]["weights"] == ranks[1][REFILLED]["weights"]
    assert ranks[0][REFILLED]["logged"][0]["sgpo/refill_rounds"] >= 1


@names
def test_offline_in_one_process_equals_online_in_two(
    name: str,
    algorithm: Algorithm,
    ranks: list[dict[str, Any]],
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The very responses that two processes sampled, as a groups file: the same advantages."""
    seen = [rank[name]["batch"] for rank in ranks]
    online = {key: seen[0][key] + seen[1][key] for key in seen[0]}
    assert ranks[0][name]["weights"] == ranks[1][name]["weights"]
    rollouts = []
    for row, (text, ids, old) in enumerate(zip(online["texts"], online["ids"], online["old"], strict=True)):
        spans = segment(text, SEGMENTATION)
        rollouts.append(
            make_rollout(
                f"g{row // GROUP}",
                row % GROUP,
                online["outcomes"][row],
                [span.text for span in spans],
                response=text,
                step_start=[span.start for span in spans],
                step_end=[span.end for span in spans],
                problem=online["problems"][row],
                prompt=online["problems"][row],
                answer=None,
                truncated=online["truncated"][row],
                source=SOURCES[int(online["problems"][row][0])],
                behaviour_token_ids=ids,
                behaviour_logprobs=[old / len(ids)] * len(ids),
            )
        )
    values = {
        "policy": str(policy),
        "judge": "hash",
        "groups": write_groups(tmp_path / "groups", rollouts),
        "prompt": {"type": "raw"},
        "algorithm": algorithm.model_dump(mode="json"),
        "objectives": {key: objective.model_dump() for key, objective in OBJECTIVES.items()},
        "ratio": "behaviour",
        "max_tokens": 60,
        "token_budget": 512,
        "bins_per_step": 1,
        "epochs": 1,
        "bf16": False,
        "device": "cpu",
    }
    if ONLINE_ALONE.keys() & algorithm.needs:
        (need,) = ONLINE_ALONE.keys() & algorithm.needs
        with pytest.raises(ValueError, match=f"{algorithm.type} needs {need}, which .*; {ONLINE_ALONE[need]}"):
            OfflineConfig.model_validate(values)
        return
    config = OfflineConfig.model_validate(values)
    by_step: list[torch.Tensor] = []
    at = StepCredit.at

    def watched(self: StepCredit, *args: Any, **options: Any) -> torch.Tensor:
        by_step.append(at(self, *args, **options))
        return by_step[-1]

    monkeypatch.setattr(StepCredit, "at", watched)
    monkeypatch.setattr("sgpo.offline.run.load_judge", lambda *_, **__: HashJudge(unscored_every=UNSCORED_EVERY))
    run_offline(config, tmp_path / "offline")
    from sgpo.offline.credit import load_credits

    table = load_credits(tmp_path / "offline" / "credit")
    assert table is not None
    for row, (credit, used) in enumerate(zip(table.credits_N, online["advantages"], strict=True)):
        if credit.token_advantages_T is not None:
            assert used[: len(credit.token_advantages_T)] == pytest.approx(credit.token_advantages_T, abs=2e-4)
        elif algorithm.when == "step":
            assert used == pytest.approx(by_step[0][row].item(), abs=1e-3)
        elif algorithm.type != "random_rts":  # which draws by a response's place in the run
            assert used == pytest.approx(credit.guided_advantage, abs=2e-4)


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
    assert config.guards.unscored is not None and config.guards.unscored.bound == 0.1
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

"""The online trainer on two processes, with a group that spans both of them and several micro-batches."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

import tests.sgpo.online.two_processes as script
from judgekit.text.segmentation import segment
from judgekit.types import Solution
from sgpo.algorithms.sgpo import SGPO
from sgpo.rewards import compute_advantages
from tests.processes import run_on_two
from tests.sgpo.samples import GROUP, SEGMENTATION, Cut, HashJudge, guide


@pytest.fixture(scope="module")
def ranks(policy: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank wrote after two steps on 3 groups of 4: rank 0 holds rows 0..5, rank 1 rows 6..11."""
    output = tmp_path_factory.mktemp("ranks")
    run_on_two(script.__file__, policy, output, timeout=240)
    return [json.loads((output / f"rank{rank}.json").read_text()) for rank in range(2)]


def joined(ranks: list[dict[str, Any]], step: int, key: str) -> list[Any]:
    """One key of both ranks' batches, in the order of the gathered rows."""
    return [value for rank in ranks for value in rank["batches"][step][key]]


def responses_of(ranks: list[dict[str, Any]], step: int) -> list[Cut]:
    found = []
    for problem, text, truncated in zip(
        *(joined(ranks, step, key) for key in ("problems", "texts", "truncated")), strict=True
    ):
        steps = tuple(span.text for span in segment(text, SEGMENTATION))
        found.append(Cut(Solution(problem=problem, steps=steps), (1.0,) * len(steps), truncated=truncated))
    return found


def test_a_group_spans_both_ranks(ranks: list[dict[str, Any]]) -> None:
    for step in range(2):
        problems = joined(ranks, step, "problems")
        assert len(problems) == 12
        assert all(len(set(problems[start : start + GROUP])) == 1 for start in range(0, 12, GROUP))
        assert ranks[0]["batches"][step]["problems"][-1] == ranks[1]["batches"][step]["problems"][0]


def test_exactly_the_all_negative_groups_are_judged_half_by_each_rank(ranks: list[dict[str, Any]]) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for step in range(2):
        outcomes = torch.tensor(joined(ranks, step, "outcomes"))
        judged = (outcomes.view(-1, GROUP) == 0).all(dim=1).repeat_interleave(GROUP).tolist()
        for response, wanted in zip(responses_of(ranks, step), judged, strict=True):
            if wanted and response.solution.steps:
                expected[(response.solution.problem, *response.solution.steps)] += 1
    shares = [Counter(tuple(texts) for texts in rank["judged"]) for rank in ranks]
    assert shares[0] + shares[1] == expected
    assert shares[0].total() > 0 < shares[1].total()
    assert abs(shares[0].total() - shares[1].total()) <= 2 + sum(
        not response.solution.steps for step in range(2) for response in responses_of(ranks, step)
    )


def test_ranks_agree_and_equal_one_process(ranks: list[dict[str, Any]]) -> None:
    judge, algorithm = HashJudge(unscored_every=script.UNSCORED_EVERY), SGPO(truncated="judge")
    ids = torch.arange(12) // GROUP
    for step in range(2):
        rewards = [rank["batches"][step]["rewards"] for rank in ranks]
        assert rewards[0] == pytest.approx(rewards[1], abs=0, nan_ok=True)
        outcomes = torch.tensor(joined(ranks, step, "outcomes"))
        guided = guide(outcomes, group_ids_N=ids, responses=responses_of(ranks, step), judge=judge, algorithm=algorithm)
        assert rewards[0] == pytest.approx(guided.rewards_N.tolist(), nan_ok=True)
        advantages = compute_advantages(guided.rewards_N, group_ids_N=ids, std_floor_N=guided.std_floor_N)
        assert joined(ranks, step, "advantages") == pytest.approx(advantages.tolist(), abs=1e-4)
    assert ranks[0]["weights"] == ranks[1]["weights"]


def test_logged_figures_are_those_of_the_whole_batch(ranks: list[dict[str, Any]]) -> None:
    logs = [row for row in ranks[0]["log"] if "sgpo/judge_calls" in row]
    assert sum(row["sgpo/judge_calls"] for row in logs) == sum(len(rank["judged"]) for rank in ranks)
    for step, row in enumerate(logs):
        steps = [len(response.solution.steps) for response in responses_of(ranks, step)]
        assert row["sgpo/steps_per_response"] == pytest.approx(sum(steps) / 12)

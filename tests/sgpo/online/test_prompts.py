"""Problems whose order depends on results: which come next, refilled batches, and what a resumed run goes on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from judgekit.errors import ConfigError
from sgpo.algorithms.dapo import DAPO
from sgpo.algorithms.group_robust import GroupRobust
from sgpo.algorithms.srpo import SRPO
from sgpo.online.prompts import STATE, Prompts, fill_up, join_rows
from tests.sgpo.samples import GROUP, make_trainer, mixed

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def test_each_pass_is_of_what_is_wanted_and_goes_on_from_its_state() -> None:
    prompts = Prompts(["a", "b", "c", "d"], algorithm=SRPO(), seed=3)
    first = prompts.take(4)
    assert sorted(first) == [0, 1, 2, 3]
    prompts.memory = {"a": 1.0, "b": 0.5, "c": 0.0}
    begun = prompts.take(2)
    again = Prompts(prompts.problem_ids, algorithm=SRPO(), seed=3)
    again.restore(json.loads(json.dumps(prompts.state())))
    rest = prompts.take(4)
    assert again.take(4) == rest and sorted(begun + rest[:1]) == [1, 2, 3], "solved every time: not in this pass"
    prompts.memory = dict.fromkeys("abcd", 1.0)
    assert sorted(prompts.take(6)[2:]) == [0, 1, 2, 3], "all are solved: all over again"


def _batch(advantages: list[float], first_id: int) -> dict[str, Any]:
    """Rows of one to three tokens behind prompts of two and one, as TRL lays them out."""
    n = len(advantages)
    lengths = torch.tensor([1 + i % 3 for i in range(n)])
    return {
        "prompt_ids": torch.tensor([[0, first_id]] * n),
        "prompt_mask": torch.tensor([[0, 1]] * n),
        "completion_ids": torch.full((n, 3), first_id) * (torch.arange(3) < lengths[:, None]),
        "completion_mask": (torch.arange(3) < lengths[:, None]).int(),
        "advantages": torch.tensor(advantages),
        "num_items_in_batch": lengths.sum(),
    }


def test_groups_without_advantages_give_way() -> None:
    """Groups of two: one of three lives at first, one more in the second batch, none in the third; two are lacking."""
    batches = iter([_batch([0.0, 0, 1, -1, 0, 0], 7), _batch([0.0] * 6, 8)])
    start = _batch([0.0, 0, 0, 0, 2, -2], 6)
    rows, n_rounds = fill_up(start, sample=lambda: next(batches), n_groups=3, group_size=2, n_refills=2)
    assert n_rounds == 2 and [row["advantages"].item() for row in rows] == [2, -2, 1, -1, 0, 0]
    # Rows 4 and 5 of the first batch, 2 and 3 of the second, without their padding.
    assert [row["completion_ids"].tolist() for row in rows[:4]] == [[6, 6], [6, 6, 6], [7, 7, 7], [7]]
    assert [row["prompt_ids"].tolist() for row in rows[:3]] == [[6], [6], [7]]
    joined = join_rows(rows[2:4], start, pad_id=99)
    assert joined["completion_ids"].tolist() == [[7, 7, 7], [7, 99, 99]] and joined["num_items_in_batch"] == 4
    assert fill_up(_batch([1.0, -1], 5), sample=lambda: {}, n_groups=1, group_size=2, n_refills=3)[1] == 0


def test_dapo_trains_on_fewer_dead_groups(policy: Path, tmp_path: Path) -> None:
    def alive(max_refills: int) -> tuple[list[int], Any]:
        trainer = make_trainer(
            policy, tmp_path, reward=mixed, algorithm=DAPO(max_refills=max_refills), args_max_steps=3, args_seed=5
        )
        used: list[int] = []
        sample = trainer._generate_and_score_completions

        def watched(inputs: Any) -> Any:
            output = sample(inputs)
            assert output["num_items_in_batch"] == output["completion_mask"].sum()
            used.append(int((output["advantages"].view(-1, GROUP) != 0).any(dim=1).sum()))
            return output

        trainer._generate_and_score_completions = watched
        trainer.train()
        return used, trainer

    (without, _), (refilled, trainer) = alive(0), alive(6)
    assert sum(refilled) > sum(without) and max(refilled) == 3
    assert any(row.get("sgpo/refill_rounds", 0) > 0 for row in trainer.state.log_history)


def test_a_resumed_run_samples_what_a_straight_one_does(policy: Path, tmp_path: Path) -> None:
    def trained(output: Path, resume: bool = False, **options: Any) -> list[list[str]]:
        trainer = make_trainer(
            policy, output, reward=mixed, algorithm=SRPO(), args_save_strategy="steps", args_save_steps=2, **options
        )
        trainer.train(resume_from_checkpoint=str(output / "checkpoint-2") if resume else None)
        return [batch["problems"] for batch in trainer.batches]

    straight = trained(tmp_path, args_max_steps=4)
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())["stateful_callbacks"][STATE]
    assert set(state["attributes"]["memory"]) == {problem for batch in straight[:2] for problem in batch}
    assert trained(tmp_path, resume=True, args_max_steps=4) == straight[2:]


def test_what_chooses_problems_needs_a_data_set(policy: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column 'source' for the domain"):
        make_trainer(policy, tmp_path, algorithm=GroupRobust())

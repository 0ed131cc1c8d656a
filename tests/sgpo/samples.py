"""A policy of random weights, problems, an outcome and a judge that are fixed functions of the text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig

from judgekit.io import write_records
from judgekit.judges.base import JudgeInfo
from judgekit.text.segmentation import SegmentationConfig
from judgekit.training.config import TinyConfig
from judgekit.training.tiny import build_tiny
from judgekit.types import ArgmaxRule, Judgement, NoVerdictReason, Problem, Solution, Verdict
from sgpo.algorithms.base import Algorithm, GroupBatch, Response
from sgpo.credit import shape_groups
from sgpo.online.trainer import SGPOTrainer

SEGMENTATION = SegmentationConfig(mode="separators", separators=("\ufffd",))
"""Random bytes decode to many replacement characters, so responses of random weights have several steps."""
GROUP = 4


def write_policy(folder: Path) -> Path:
    build_tiny(
        folder, ["1 + 1 = 2\n"], TinyConfig(vocab_size=260, hidden_size=16, n_layers=2, n_heads=2, max_tokens=64)
    )
    return folder


def write_problems(folder: Path, *, n: int) -> Path:
    rows = [Problem(problem_id=f"p{i}", problem=f"{i}+{i}?", answer=str(2 * i), source="test") for i in range(n)]
    write_records(folder, rows, record_type=Problem)
    return folder


def text_number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def hopeless(completions: Sequence[str], **_: Any) -> list[float]:
    """Every response is wrong."""
    return [0.0] * len(completions)


def mixed(completions: Sequence[str], answer: Sequence[str], **_: Any) -> list[float]:
    """About a third of the responses to every other problem are right; the other problems are out of reach."""
    return [
        float(int(right) % 4 == 0 and text_number(text) % 3 == 0)
        for text, right in zip(completions, answer, strict=True)
    ]


class HashJudge:
    """Puts the first error where the text's hash says; gives no verdict for one text in `unscored_every`."""

    info = JudgeInfo("hash", ArgmaxRule())

    def __init__(self, *, unscored_every: int | None = None) -> None:
        self.unscored_every = unscored_every
        self.seen: list[Solution] = []

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        self.seen += solutions
        return [self._judge_one(solution) for solution in solutions]

    def _judge_one(self, solution: Solution) -> Judgement:
        number, n_steps = text_number("|".join(solution.steps)), len(solution.steps)
        if self.unscored_every and number % self.unscored_every == 0:
            return Judgement(solution_id=solution.id, judge_id="hash", no_verdict=NoVerdictReason.UNPARSABLE)
        posterior = tuple(float(k == number % n_steps) for k in range(n_steps + 1))
        return Judgement(solution_id=solution.id, judge_id="hash", verdict=Verdict(posterior=posterior))


@dataclass(frozen=True)
class Cut(Response):
    """A response that may have been cut off by its length limit."""

    truncated: bool = False


class Guided(NamedTuple):
    rewards_N: torch.Tensor
    std_floor_N: torch.Tensor
    stats: Mapping[str, float]


def guide(
    outcomes_N: torch.Tensor,
    *,
    group_ids_N: torch.Tensor,
    responses: Sequence[Cut],
    judge: Any,
    algorithm: Algorithm,
) -> Guided:
    """What an algorithm makes of groups in one process, without a trainer."""
    batch = GroupBatch(
        outcomes_N,
        group_ids_N=group_ids_N,
        truncated_N=torch.tensor([response.truncated for response in responses]),
        n_tokens_N=torch.ones(len(responses), dtype=torch.int64),
    )
    credit = shape_groups(
        batch, algorithm, lambda rows_M: algorithm.score([responses[row] for row in rows_M.tolist()], judge=judge)
    )
    return Guided(*credit.shaped, credit.stats)


class Watched(SGPOTrainer):
    """Keeps what went into and came out of each generation batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches: list[dict[str, Any]] = []

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self.batches.append(
            {
                "problems": [row["problem"] for row in inputs],
                "texts": list(completions),
                "truncated": [self._is_truncated(ids) for ids in completion_ids_list],
                "outcomes": self.sampled.outcomes_N,
                "rewards": rewards[:, 0].tolist(),
            }
        )
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        self.batches[-1]["advantages"] = output["advantages"].tolist()
        return output


def make_trainer(
    policy: Path,
    output: Path,
    trainer_type: Any = Watched,
    *,
    reward: Any = mixed,
    policy_model: Any = None,
    **options: Any,
) -> Any:
    """A trainer on 8 problems, 12 responses a step in groups of 4; `args_` options go to GRPOConfig."""
    own = {key.removeprefix("args_"): options.pop(key) for key in list(options) if key.startswith("args_")}
    args = {
        "output_dir": str(output),
        "per_device_train_batch_size": 12,
        "num_generations": GROUP,
        "max_completion_length": 12,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "save_strategy": "no",
        "bf16": False,
        "activation_checkpointing": False,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "disable_tqdm": True,
    }
    rows = [{"prompt": f"{i}+{i}?", "problem": f"{i}+{i}?", "answer": str(2 * i)} for i in range(8)]
    return trainer_type(
        model=AutoModelForCausalLM.from_pretrained(policy) if policy_model is None else policy_model,
        reward_funcs=reward,
        args=GRPOConfig(**(args | own)),
        processing_class=AutoTokenizer.from_pretrained(policy),
        **({"train_dataset": Dataset.from_list(rows)} | options),
    )

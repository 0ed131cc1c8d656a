"""Every algorithm as the contract tests run it, and a script that trains a step by each: POLICY OUTPUT, by torchrun."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from judgekit.text.prompts import RawPrompt
from sgpo.algorithms.base import Algorithm
from sgpo.algorithms.dapo import DAPO
from sgpo.algorithms.registry import ALGORITHMS, parse_algorithm
from sgpo.objectives import LengthObjective
from sgpo.online.run import objective_reward
from tests.sgpo.samples import SEGMENTATION, HashJudge, Watched, make_trainer, text_number

OPTIONS: dict[str, dict[str, Any]] = {
    "sgpo": {"truncated": "judge", "rts": {"type": "expected"}},
    "random_rts": {"truncated": "judge"},
    "dapo": {"max_refills": 0},
    "vppo": {"truncated": "judge", "buffer": 2},
    "disco": {"tau": 0.5},
    "igrpo": {"template": "\n{draft}\n"},
}
"""What makes an algorithm do something on a policy of random weights, which never ends a response, in one sampling."""
VARIANTS: dict[str, dict[str, Any]] = {
    "sgpo by token": {"type": "sgpo", "truncated": "judge", "unit": "token", "rts": {"type": "expected"}},
    "sgpo by char, undivided": {"type": "sgpo", "truncated": "judge", "unit": "char", "std": "none", "shrink": True},
    "sgpo, prefixes of every wrong one": {"type": "sgpo", "truncated": "judge", "unit": "token", "scope": "every_wrong",
        "credited": "prefix", "buffer": 1, "min_certainty": 1.0},
    "vppo by token": {"type": "vppo", "truncated": "judge", "unit": "token", "buffer": 0},
}  # fmt: skip
"""Options that change what is asked for or computed."""
OBJECTIVES = {"short": LengthObjective(max_chars=8, weight=0.3)}
SOURCES = ("plums", "plums", "pears")
UNSCORED_EVERY = 5
REFILLED = "dapo, refilled"


def every() -> dict[str, Algorithm]:
    """All algorithms of the registry, and some again with other options, by name."""
    chosen = {name: {"type": name} | OPTIONS.get(name, {}) for name in ALGORITHMS.names()}
    return {name: parse_algorithm(options) for name, options in (chosen | VARIANTS).items()}


def by_problem(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    """Some responses to the first problem are right, those to the second all and to the third none."""
    return [
        1.0 if right == "2" else float(right == "0" and text_number(text) % 3 > 0)
        for text, right in zip(completions, answer, strict=True)
    ]


class Kept(Watched):
    """Keeps the tokens of the responses and their log-probabilities, too."""

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        local = self._local_rows(len(prompts))
        self.batches[-1]["ids"] = completion_ids_list
        # Without any where none are asked for; offline they have to be there, whatever they are.
        old_N = self._old_seq_logprobs_N if len(self._old_seq_logprobs_N) else torch.full((local.stop * 2,), -1.0)
        self.batches[-1]["old"] = old_N[local].tolist()
        return rewards


def main(policy: Path, output: Path) -> None:
    rows = [
        {"prompt": RawPrompt().build(f"{i}+{i}?"), "problem": f"{i}+{i}?", "answer": str(2 * i), "source": source}
        for i, source in enumerate(SOURCES)
    ]
    found = {}
    for name, algorithm in (every() | {REFILLED: DAPO(max_refills=2)}).items():
        trainer = make_trainer(
            policy,
            output / "run",
            Kept,
            reward=[by_problem, *(objective_reward(*item) for item in OBJECTIVES.items())],
            outcome="by_problem",
            args_reward_weights=[1.0, *(objective.weight for objective in OBJECTIVES.values())],
            judge=HashJudge(unscored_every=UNSCORED_EVERY),
            algorithm=algorithm,
            segmentation=SEGMENTATION,
            train_dataset=Dataset.from_list(rows),
            args_per_device_train_batch_size=6,
            args_max_steps=1,
            args_ddp_backend="gloo",
        )
        trainer.train()
        model = trainer.accelerator.unwrap_model(trainer.model)
        weights = float(sum(parameter.detach().abs().sum() for parameter in model.parameters()))
        found[name] = {"batch": trainer.batches[-1], "weights": weights, "logged": trainer.state.log_history}
    rank = int(os.environ.get("RANK", "0"))
    (output / f"rank{rank}.json").write_text(json.dumps(found))
    torch.distributed.barrier()
    os._exit(0)  # threads of the process group can bring the interpreter down while it ends, and all is written


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""A judge behind a service is asked while the trainer still runs models over the responses; figures stay the same."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from judgekit.types import Judgement, Solution
from sgpo.online.ahead import AheadJudge
from sgpo.online.config import OnlineConfig
from sgpo.online.run import run_online
from sgpo.online.trainer import SGPOTrainer
from tests.judgekit.samples import addition
from tests.judgekit.serving.service import running_service
from tests.sgpo.samples import SEGMENTATION, HashJudge, write_problems

NAMES = ("sgpo/judge_calls", "sgpo/rts_mean", "sgpo/rts_spread", "sgpo/unscored", "train/reward", "train/grad_norm")


class SeenJudge(HashJudge):
    """Says when it begins."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        self.began.set()
        return super().judge(solutions)


def test_the_judge_begins_before_the_reference_model_ends(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, waited, run = SeenJudge(), list[bool](), SGPOTrainer._get_per_token_logps_and_entropies
    is_ahead = False

    def wait_for_judge(self: SGPOTrainer, model: Any, *args: Any, **kwargs: Any) -> Any:
        if is_ahead and not torch.is_grad_enabled():
            waited.append(judge.began.wait(timeout=60))
            judge.began.clear()
        return run(self, model, *args, **kwargs)

    monkeypatch.setattr(SGPOTrainer, "_get_per_token_logps_and_entropies", wait_for_judge)
    with running_service(judge) as url:
        config = OnlineConfig(
            policy=str(policy),
            problems=write_problems(tmp_path / "problems", n=4),
            judge=url,
            algorithm={"type": "sgpo", "truncated": "judge"},
            segmentation=SEGMENTATION,
            guards={"judge_auc": None},
            beta_kl=0.1,
            group_size=4,
            prompts_per_step=2,
            max_steps=3,
            max_completion_length=12,
            lr=1e-2,
            bf16=False,
            device="cpu",
            threads=1,
        )
        run_online(config, tmp_path / "after")
        n_after = len(judge.seen)
        is_ahead = True
        run_online(config.model_copy(update={"judge_ahead": True}), tmp_path / "ahead")
    assert waited == [True] * 3
    assert len(judge.seen) == 2 * n_after > 0  # nothing is asked twice
    rows = [
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("after", "ahead")
    ]
    for after, ahead in zip(*rows, strict=True):
        assert [after.get(name) for name in NAMES] == [ahead.get(name) for name in NAMES]
    after, ahead = (load_file(tmp_path / name / "policy" / "model.safetensors") for name in ("after", "ahead"))
    assert all(torch.equal(after[name], ahead[name]) for name in after)


def test_what_was_not_asked_ahead_is_asked(tmp_path: Path) -> None:
    solutions = [addition(k, first_error=None, n_steps=2) for k in range(5)]
    plain, inner = HashJudge(), HashJudge()
    ahead = AheadJudge(inner)
    ahead.ask([solutions[3], solutions[1], solutions[1]])
    assert ahead.judge([*solutions, solutions[3]]) == plain.judge([*solutions, solutions[3]])
    assert sorted(solution.id for solution in inner.seen) == sorted(solution.id for solution in solutions)
    ahead.ask([])
    assert ahead.judge(solutions[:2]) == plain.judge(solutions[:2])


def test_only_a_service_is_asked_ahead(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="judge_ahead needs a judge behind a service, but judge=builtin:random"):
        OnlineConfig(policy="p", problems=tmp_path, judge="builtin:random", judge_ahead=True)

"""SDPO with a judge's feedback: who is told what, and that TRL's trainer shows it to the teacher."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from judgekit.errors import ConfigError
from judgekit.types import Judgement, NoVerdictReason, Solution, Verdict
from tests.sgpo.samples import SEGMENTATION, HashJudge, hopeless

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TRL says that it is experimental
    from trl.experimental.sdpo import SDPOConfig

    from sgpo.online.sdpo import JudgedSDPOTrainer, feedback_on


def test_a_step_is_named_also_where_the_judge_sees_no_error() -> None:
    solution, judge = Solution(problem="p", steps=("1 + 1 = 2", "2 + 2 = 5", "So 5.")), HashJudge()

    def told(**options: Any) -> str | None:
        return feedback_on(solution, Judgement(solution_id=solution.id, judge_id="hash", **options), judge=judge)

    assert told(verdict=Verdict(posterior=(0.1, 0.6, 0.1, 0.2))) == "Step 2 is wrong: 2 + 2 = 5"
    assert told(verdict=Verdict(posterior=(0.1, 0.1, 0.2, 0.6))) == "Step 3 is wrong: So 5."
    assert told(no_verdict=NoVerdictReason.UNPARSABLE) is None


def make(policy: Path, output: Path, *, reward: Any, **options: Any) -> JudgedSDPOTrainer:
    values = {"include_environment_feedback": True, "max_steps": 1, "num_generations": 4, "max_completion_length": 8}
    own = {"use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    rest = {"activation_checkpointing": False, "dataloader_pin_memory": False, "per_device_train_batch_size": 8}
    rows = [{"prompt": f"{i}+{i}?", "problem": f"{i}+{i}?", "answer": str(2 * i)} for i in range(4)]
    return JudgedSDPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy),
        reward_funcs=reward,
        args=SDPOConfig(str(output), teacher_model_kind="live", **(values | own | rest | options)),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(policy),
        judge=HashJudge(),
        segmentation=SEGMENTATION,
    )


@pytest.mark.filterwarnings("ignore")
def test_only_groups_without_a_right_response_are_judged(policy: Path, tmp_path: Path) -> None:
    def first_problem(completions: list[str], problem: list[str], **_: Any) -> list[float]:
        return [float(text == problem[0]) for text in problem]

    for reward, n_judged in ((hopeless, 8), (first_problem, 4)):
        trainer = make(policy, tmp_path, reward=reward)
        trainer.train()
        judge: Any = trainer.judge
        assert n_judged - 2 <= len(judge.seen) <= n_judged  # a response of random bytes may have no step
        logged = [row for row in trainer.state.log_history if "self_distillation/feedback_used_fraction" in row]
        assert logged[0]["self_distillation/feedback_used_fraction"] == pytest.approx(len(judge.seen) / 8)
    with pytest.raises(ConfigError, match="include_environment_feedback is off"):
        make(policy, tmp_path, reward=hopeless, include_environment_feedback=False)

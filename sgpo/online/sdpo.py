"""SDPO with a judge: if no response of a group is correct, the policy is told which step of each is wrong.

The trainer is TRL's (experimental in 1.16). This module gives it the feedback, which TRL shows to the policy as its own
teacher. It is a separate trainer, not an algorithm, because its loss is a distillation: for scripts, not for `sgpo
online`.

Source:
    SDPO (2601.20802), as TRL's `SDPOTrainer` implements it. That the feedback is a judge's, not an environment's, is
    ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from trl.experimental.sdpo import SDPOTrainer
from trl.experimental.sdpo.sdpo_trainer import SuccessfulRolloutTeacherContextBuilder

from judgekit.errors import ConfigError
from judgekit.judges.base import Judge
from judgekit.judges.stored import judge_batch
from judgekit.text.segmentation import PARAGRAPHS, SegmentationConfig, segment
from judgekit.ties import first_largest
from judgekit.types import Judgement, Solution

FEEDBACK = "Step {number} is wrong: {step}"
"""The feedback; steps are numbered from 1."""


def feedback_on(solution: Solution, judgement: Judgement, *, judge: Judge) -> str | None:
    """Return the feedback on a solution that is known to be wrong, `None` without a verdict.

    A judge that sees no error is known to have missed one, so the most probable step is named.
    """
    if judgement.verdict is None or not solution.steps:
        return None
    step = judgement.verdict.decide(judge.info.decision)
    if step is None:
        step = first_largest(judgement.verdict.posterior[:-1])
    return FEEDBACK.format(number=step + 1, step=solution.steps[step])


class _ToldByJudge(SuccessfulRolloutTeacherContextBuilder):
    """TRL's builder of the teacher's input, with the judge's feedback instead of the data set's."""

    def build(
        self, output: dict[str, Any], prompts: list[Any], rewards: torch.Tensor, feedbacks: list[Any] | None = None
    ) -> dict[str, torch.Tensor]:
        return super().build(output, prompts, rewards, feedbacks=self.trainer.judge_responses(output, rewards))


class JudgedSDPOTrainer(SDPOTrainer):
    """TRL's `SDPOTrainer`, with feedback from a judge.

    Rows of the data set need a column `problem`; judges that read a reference are shown `answer`.

    Args:
        args: Positional arguments of the trainer.
        judge: The judge. It is called only for groups without a correct response.
        segmentation: How a response is split into steps.
        kwargs: Keyword arguments of the trainer.

    Raises:
        ConfigError: the trainer does not use feedback, so the judge would be called in vain.
    """

    def __init__(self, *args: Any, judge: Judge, segmentation: SegmentationConfig = PARAGRAPHS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.args.include_environment_feedback:
            raise ConfigError(
                "include_environment_feedback is off, so the judge's feedback would not be used: switch it on"
            )
        self.judge = judge
        self.segmentation = segmentation
        self.teacher_context_builder = _ToldByJudge(self)
        self._rows: Sequence[Mapping[str, Any]] = []

    def _prepare_training_batch(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._rows = inputs
        batch: dict[str, Any] = super()._prepare_training_batch(inputs)
        return batch

    def judge_responses(self, output: Mapping[str, Any], rewards: torch.Tensor) -> list[str | None]:
        """Return the feedback on this process's responses, `None` if their group has a correct one."""
        threshold, n_local = self.args.success_reward_threshold, len(rewards)
        group_size = self.num_generations if self.model.training else self.num_generations_eval
        solved = (self.accelerator.gather(rewards) >= threshold).view(-1, group_size).any(dim=1)
        groups = (torch.arange(n_local) + self.accelerator.process_index * n_local) // group_size
        texts = self.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
        asked = [row for row in range(n_local) if not solved[groups[row]]]
        solutions = [
            Solution(
                problem=self._rows[row]["problem"],
                steps=tuple(span.text for span in segment(texts[row], self.segmentation)),
                reference=self._rows[row].get("answer"),
            )
            for row in asked
        ]
        feedback: list[str | None] = [None] * n_local
        stepped = [(row, solution) for row, solution in zip(asked, solutions, strict=True) if solution.steps]
        judgements = judge_batch(self.judge, [solution for _, solution in stepped]) if stepped else []
        for (row, solution), judgement in zip(stepped, judgements, strict=True):
            feedback[row] = feedback_on(solution, judgement, judge=self.judge)
        return feedback

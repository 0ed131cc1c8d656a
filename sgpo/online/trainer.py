"""SGPO on TRL's GRPOTrainer: the judge steps in between the outcome rewards and the advantages.

TRL gathers the rewards of all processes before it forms advantages, so that is where groups are whole even when they
span processes or micro-batches. Three of TRL's methods are extended, all checked by `check_trl_contract`. With the
judge off nothing is changed, so training is GRPO to the bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import torch
import trl
from accelerate.utils import gather, gather_object
from trl import GRPOTrainer

from judgekit.errors import ConfigError, JudgeError, JudgekitError, boundary
from judgekit.judges.base import Judge
from judgekit.text.prompts import encode_prompt, with_fixed_clock
from judgekit.text.segmentation import PARAGRAPHS, SegmentationConfig, StepSpan, segment
from judgekit.types import Solution
from sgpo.config import GuidanceConfig
from sgpo.guidance import (
    Guided,
    Response,
    Scored,
    UnscoredAlarm,
    apply_verdicts,
    certified_survival,
    judge_rows,
    select_rows,
    step_lengths,
)
from sgpo.rewards import group_std, std_floor_factor

UNGUIDED = GuidanceConfig()
"""With no row selected it leaves every outcome as it is."""
_row = itemgetter(0)
_CONTRACT = {
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_log_metric": ["self", "name", "value"],
    "_tokenize_prompts": ["self", "prompts"],
}


def check_trl_contract(trainer_type: type = GRPOTrainer) -> None:
    """Check that the installed TRL has the methods that SGPO extends.

    Raises:
        ConfigError: one is missing or takes other arguments.
    """
    for name, wanted in _CONTRACT.items():
        method = getattr(trainer_type, name, None)
        found = list(inspect.signature(method).parameters) if callable(method) else None
        if found != wanted:
            state = f"has {name}({', '.join(found)})" if found else f"has no {name}"
            raise ConfigError(
                f"{trainer_type.__name__} of trl {trl.__version__} {state}, where SGPO needs "
                f"{name}({', '.join(wanted)}): install trl>=1.16,<1.17"
            )


def completion_text(completion: str | Sequence[Mapping[str, str]]) -> str:
    """Return the text of a completion, which TRL gives as a string or as a list of messages."""
    return completion if isinstance(completion, str) else "".join(message["content"] for message in completion)


@dataclass(frozen=True)
class Sampled:
    """The latest batch of one process, kept for the record. Axis `_N` runs over this process's rows."""

    prompts_N: Sequence[Any]
    """Prompts as TRL has them: texts or conversations."""
    texts_N: Sequence[str]
    """Response texts."""
    outcomes_N: Sequence[float]
    """Raw outcome rewards, NaN where unknown."""
    rewards_N: Sequence[float]
    """Outcome rewards after guidance, NaN outside the baseline."""
    rts_N: Sequence[float | None]
    """RTS of the judged responses that got a verdict."""


class SGPOMixin:
    """Adds guidance to a `GRPOTrainer`; put it before the trainer in the list of bases.

    The first reward function is the outcome: 1 for right, 0 for wrong, `None` for unknown; further ones are added as
    TRL does. Rows of the data set need a column `problem`; `answer` is shown to judges that read a reference.

    Args:
        args: Positional arguments of the trainer.
        judge: The judge; `None` trains plain GRPO and still logs the group statistics.
        guidance: How judgements become rewards, and when the judge is asked. It is never asked in evaluation.
        segmentation: What a step of a response is.
        steps_per_epoch: Optimiser steps in one pass over the problems, for a window in epochs; `None` reads the
            trainer's own count.
        kwargs: Keyword arguments of the trainer.

    Raises:
        ConfigError: the installed TRL does not fit, rewards are normalised one by one before they are summed, the data
            have no column `problem`, or certified prefixes are asked of a judge that certifies none.
    """

    model: Any
    train_dataset: Any
    accelerator: Any
    state: Any
    processing_class: Any
    num_generations: int
    scale_rewards: str
    reward_weights: torch.Tensor
    eos_token_ids: list[int]
    multi_objective_aggregation: str
    chat_template: str | None
    chat_template_kwargs: dict[str, Any]
    tools: list[Any] | None
    environment_factories: Any
    _is_vlm: bool
    _log_metric: Callable[[str, float], None]

    def __init__(
        self,
        *args: Any,
        judge: Judge | None = None,
        guidance: GuidanceConfig | None = None,
        segmentation: SegmentationConfig = PARAGRAPHS,
        steps_per_epoch: float | None = None,
        **kwargs: Any,
    ) -> None:
        check_trl_contract()
        super().__init__(*args, **kwargs)
        template = self.chat_template or getattr(self.processing_class, "chat_template", None)
        if isinstance(template, str) and with_fixed_clock(template) != template:
            # the day of a prompt is the same before and behind midnight, and in a resumed run
            self.chat_template = with_fixed_clock(template)
        if self.multi_objective_aggregation != "sum_then_normalize":
            raise ConfigError(
                f"multi_objective_aggregation={self.multi_objective_aggregation} scales guided rewards on their own, "
                "so a wrong answer may earn as much as a right one: use sum_then_normalize"
            )
        columns = self.train_dataset.column_names
        if judge is not None and columns is not None and "problem" not in columns:
            raise ConfigError(f"the training data have no column 'problem' to show to the judge, only {columns}")
        self.judge = judge
        self.guidance = guidance or GuidanceConfig()
        if judge is not None and self.guidance.rts == "certified":
            certified_survival(judge)  # a judge that certifies nothing is refused before anything is sampled
        self.segmentation = segmentation
        self.steps_per_epoch = steps_per_epoch
        self.sampled: Sampled | None = None
        """The latest training batch of this process."""
        self._alarm = UnscoredAlarm(self.guidance.max_unscored_frac)
        self._advantage_factor_N: torch.Tensor | None = None

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], Any, dict[str, Any]]:
        """Let the policy read in training what it reads in evaluation: reserved tokens in a problem are plain text.

        Prompts with tools, images, options of the chat template or a begun answer are TRL's to render.
        """
        plain = all(
            isinstance(prompt, str)
            or (prompt[-1]["role"] != "assistant" and all(isinstance(turn["content"], str) for turn in prompt))
            for prompt in prompts
        )
        if not plain or self.tools or self._is_vlm or self.environment_factories or self.chat_template_kwargs:
            return super()._tokenize_prompts(prompts)  # type: ignore[misc]
        return [encode_prompt(self.processing_class, prompt) for prompt in prompts], None, {}

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._advantage_factor_N = None
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if self._advantage_factor_N is not None:
            output["advantages"] = output["advantages"] * self._advantage_factor_N[self._local_rows(len(inputs))]
        return output

    def _calculate_rewards(
        self,
        inputs: list[dict[str, Any]],
        prompts: list[Any],
        completions: list[Any],
        completion_ids_list: list[list[int]],
    ) -> torch.Tensor:
        """Return the gathered rewards with guided outcomes. Shape (N over all processes, reward functions)."""
        rewards_NF: torch.Tensor = super()._calculate_rewards(  # type: ignore[misc]
            inputs, prompts, completions, completion_ids_list
        )
        if not self.model.training:
            return rewards_NF
        texts_N = [completion_text(completion) for completion in completions]
        spans_N = [segment(text, self.segmentation) for text in texts_N]
        outcomes_N, device = rewards_NF[:, 0], rewards_NF.device
        group_ids_N = torch.arange(len(outcomes_N), device=device) // self.num_generations
        truncated_N = gather(torch.tensor([self._is_truncated(ids) for ids in completion_ids_list], device=device))
        n_steps_N = gather(torch.tensor([len(spans) for spans in spans_N], device=device))
        rows_M, scored_M, config = torch.tensor([], dtype=torch.long), list[Scored](), UNGUIDED
        judge_on = self._judge_is_on()
        if judge_on:
            config = self.guidance
            rows_M = select_rows(outcomes_N, group_ids_N=group_ids_N, truncated_N=truncated_N, config=config)
            scored_M = self._judge_pooled(self._local_requests(rows_M, inputs, spans_N))
            self._alarm.count(scored_M)
        guided = apply_verdicts(
            outcomes_N,
            group_ids_N=group_ids_N,
            truncated_N=truncated_N,
            rows_M=rows_M,
            scored_M=scored_M,
            config=config,
        )
        self._log_guidance(guided.stats, n_steps_N=n_steps_N, judge_on=judge_on)
        self._keep_sample(prompts, texts_N, outcomes_N, guided.rewards_N, rows_M, scored_M)
        return self._put_back(rewards_NF, guided, group_ids_N=group_ids_N) if judge_on else rewards_NF

    def _judge_is_on(self) -> bool:
        step = self.state.global_step
        epoch = step / self.steps_per_epoch if self.steps_per_epoch else self.state.epoch or 0.0
        window = self.guidance.window
        return self.judge is not None and window.is_open(step=step, n_steps=self.state.max_steps, epoch=epoch)

    def _is_truncated(self, completion_ids: Sequence[int]) -> bool:
        """As TRL tells it: the last token is no end and no padding."""
        return completion_ids[-1] not in {*self.eos_token_ids, self.processing_class.pad_token_id}

    def _local_rows(self, n_local: int) -> slice:
        start = self.accelerator.process_index * n_local
        return slice(start, start + n_local)

    def _local_requests(
        self, rows_M: torch.Tensor, inputs: Sequence[Mapping[str, Any]], spans_N: Sequence[Sequence[StepSpan]]
    ) -> list[tuple[int, Response]]:
        """The selected responses that this process holds, by their row in the gathered batch."""
        local = self._local_rows(len(inputs))
        rows = [row for row in rows_M.tolist() if local.start <= row < local.stop]
        return [(row, self._response(inputs[row - local.start], spans_N[row - local.start])) for row in rows]

    def _response(self, row: Mapping[str, Any], spans: Sequence[StepSpan]) -> Response:
        steps = tuple(span.text for span in spans)
        solution = Solution(
            problem_id=row.get("problem_id", ""), problem=row["problem"], steps=steps, reference=row.get("answer")
        )
        return Response(solution, lengths_S=step_lengths(steps, unit=self.guidance.unit, count_tokens=self._n_tokens))

    def _n_tokens(self, text: str) -> int:
        return len(self.processing_class(text=text, add_special_tokens=False)["input_ids"])

    def _judge_pooled(self, local: list[tuple[int, Response]]) -> list[Scored]:
        """Judge the requests of all processes, dealt out evenly; every process returns all scores, by row.

        All-negative groups lie side by side and would pile up on one process.
        """
        assert self.judge is not None
        pool = sorted(gather_object(local), key=_row)
        mine = pool[self.accelerator.process_index :: self.accelerator.num_processes]
        answers: list[tuple[int, Scored]] = []
        failure: JudgekitError | None = None
        try:
            with boundary(JudgeError, f"judge {self.judge.info.judge_id} failed"):
                scored = judge_rows(self.judge, [response for _, response in mine], config=self.guidance)
            answers = [(row, score) for (row, _), score in zip(mine, scored, strict=True)]
        except JudgekitError as error:
            failure = error  # raised below on every process, so that none is left waiting
        shares = gather_object([(failure, answers)])
        for failed, _ in shares:
            if failed is not None:
                raise failed
        return [score for _, score in sorted((answer for _, share in shares for answer in share), key=_row)]

    def _put_back(self, rewards_NF: torch.Tensor, guided: Guided, *, group_ids_N: torch.Tensor) -> torch.Tensor:
        """Put guided rewards in place of the outcomes and prepare the factor of the advantages."""
        dropped_N = torch.isnan(guided.rewards_N) & ~torch.isnan(rewards_NF[:, 0])
        rewards_NF = rewards_NF.clone()
        rewards_NF[:, 0] = guided.rewards_N
        rewards_NF[dropped_N] = torch.nan
        unscorable_N = torch.isnan(rewards_NF).all(dim=1)
        total_N = (rewards_NF * self.reward_weights.to(rewards_NF.device)).nansum(dim=1)
        std_N = group_std(torch.where(unscorable_N, torch.nan, total_N), group_ids_N=group_ids_N)
        factor_N = torch.ones_like(std_N)
        if self.scale_rewards == "group":
            factor_N = std_floor_factor(std_N, floor_N=guided.std_floor_N)
        self._advantage_factor_N = torch.where(std_N == 0, 0.0, factor_N)
        return rewards_NF

    def _log_guidance(self, stats: Mapping[str, float], *, n_steps_N: torch.Tensor, judge_on: bool) -> None:
        """Log `sgpo/<name>` for every statistic of `guidance_stats`, `steps_per_response` and `judge_on`."""
        own = {"steps_per_response": n_steps_N.float().mean().item(), "judge_on": float(judge_on)}
        for name, value in {**stats, **own}.items():
            self._log_metric(f"sgpo/{name}", value)

    def _keep_sample(
        self,
        prompts: Sequence[Any],
        texts_N: Sequence[str],
        outcomes_N: torch.Tensor,
        rewards_N: torch.Tensor,
        rows_M: torch.Tensor,
        scored_M: Sequence[Scored],
    ) -> None:
        local = self._local_rows(len(texts_N))
        rts = dict(zip(rows_M.tolist(), (scored.rts for scored in scored_M), strict=True))
        self.sampled = Sampled(
            prompts_N=prompts,
            texts_N=texts_N,
            outcomes_N=outcomes_N[local].tolist(),
            rewards_N=rewards_N[local].tolist(),
            rts_N=[rts.get(row) for row in range(local.start, local.stop)],
        )


class SGPOTrainer(SGPOMixin, GRPOTrainer):
    """TRL's `GRPOTrainer` with guidance; see `SGPOMixin` for the arguments that it adds."""


__all__ = ["SGPOMixin", "SGPOTrainer", "Sampled", "check_trl_contract", "completion_text"]

"""Drafts: a batch is sampled and scored first, and the best response of each group goes into its prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object

from judgekit.text.prompts import completion_text
from sgpo.algorithms.base import Algorithm


def best_rows(rewards_NF: torch.Tensor, *, weights_F: torch.Tensor, group_size: int) -> torch.Tensor:
    """Return the row with the highest weighted sum of rewards in each group, the first of equals. Shape (n_groups,).

    Args:
        rewards_NF: Rewards of whole groups in contiguous rows, NaN if unknown; a row of NaN ranks last. Shape (N, F).
        weights_F: Weight of each reward function. Shape (F,).
        group_size: Responses per group.
    """
    total_N = (rewards_NF * weights_F).nansum(dim=1).masked_fill(rewards_NF.isnan().all(dim=1), -torch.inf)
    best = total_N.view(-1, group_size).argmax(dim=1)
    return torch.arange(len(best), device=best.device) * group_size + best


def behind_draft(prompt: Any, draft: str, *, algorithm: Algorithm) -> Any:
    """Return a prompt with the draft after its text; in a conversation, after the last turn that is not an answer."""
    if isinstance(prompt, str):
        return algorithm.behind(prompt, draft)
    turn = max((index for index, turn in enumerate(prompt) if turn["role"] != "assistant"), default=len(prompt) - 1)
    content = prompt[turn]["content"]
    if isinstance(content, str):
        longer: Any = algorithm.behind(content, draft)
    else:  # parts
        longer = [*content, {"type": "text", "text": algorithm.behind("", draft)}]
    return [*prompt[:turn], {**prompt[turn], "content": longer}, *prompt[turn + 1 :]]


class Drafting:
    """Part of `sgpo.online.trainer.SGPOMixin`: samples drafts with TRL's own generation, one per group member."""

    algorithm: Algorithm
    correct_above: float
    n_rollouts: int
    num_generations: int
    reward_weights: torch.Tensor
    _outcome: int | None
    _metrics: dict[str, dict[str, list[float]]]
    _pending_extra_logs: dict[str, list[Any]]
    _pending_metrics: dict[str, list[float]]
    _local_rows: Callable[[int], slice]

    def _with_best_drafts(self, inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return this process's rows with the best draft of each row's group in the prompt.

        Logs the fraction of correct drafts and of correct ones among the best, `sgpo/drafts_right` and
        `sgpo/best_drafts_right`. Lengths and rewards that TRL and reward functions log are those of the second
        sampling.
        """
        logged, self._metrics["train"] = self._metrics["train"], defaultdict(list)
        try:
            prompts = [row["prompt"] for row in inputs]
            # TRL's own: no judge sees drafts, and no algorithm shapes their rewards
            _, completion_ids_N, _, completions, *_ = super()._generate(prompts)  # type: ignore[misc]
            rewards_NF: torch.Tensor = super()._calculate_rewards(  # type: ignore[misc]
                inputs, prompts, completions, completion_ids_N
            )
        finally:
            self._metrics["train"] = logged
            self._pending_extra_logs.clear()
            self._pending_metrics.clear()
        self.n_rollouts += len(rewards_NF)
        weights_F = self.reward_weights.to(rewards_NF)
        best = best_rows(rewards_NF, weights_F=weights_F, group_size=self.num_generations)
        if self._outcome is not None:
            outcomes_N = rewards_NF[:, self._outcome]
            for name, values in (("drafts_right", outcomes_N), ("best_drafts_right", outcomes_N[best])):
                if not values.isnan().all():
                    right = (values[~values.isnan()] > self.correct_above).float().mean().item()
                    self._metrics["train"][f"sgpo/{name}"].append(right)
        texts_N = gather_object([completion_text(completion) for completion in completions])
        drafts_N = [texts_N[row] for row in best.tolist() for _ in range(self.num_generations)]
        mine = drafts_N[self._local_rows(len(inputs))]
        return [
            {**row, "prompt": behind_draft(row["prompt"], draft, algorithm=self.algorithm)}
            for row, draft in zip(inputs, mine, strict=True)
        ]

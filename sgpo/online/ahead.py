"""Asks a remote judge while the trainer still runs policy and reference model over the same responses.

Between sampling and rewards, TRL runs the policy over the responses (if rollouts come from vLLM or serve several steps)
and the reference model (if there is a KL term): a service can judge meanwhile. A judge in this process is not asked
ahead, because it would compete for the same device. Verdicts do not depend on when they are requested.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from judgekit.judges.base import Judge, WrappedJudge
from judgekit.text.prompts import completion_text
from judgekit.text.segmentation import segment
from judgekit.types import Judgement, Solution
from sgpo.algorithms.base import GroupBatch


class AheadJudge(WrappedJudge):
    """A judge that can be asked ahead: answers requested ahead are waited for, all others requested as usual.

    Args:
        inner: The judge; it must be able to answer in another thread.
    """

    def __init__(self, inner: Judge) -> None:
        super().__init__(inner, inner.info)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._asked: dict[str, int] = {}
        self._answers: Future[list[Judgement]] | None = None

    def ask(self, solutions: Sequence[Solution]) -> None:
        """Start judging; forgets what was requested ahead before."""
        distinct = {solution.id: solution for solution in solutions}
        self._asked = {key: place for place, key in enumerate(distinct)}
        self._answers = self._thread.submit(super().judge, list(distinct.values())) if distinct else None

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch, using the answers requested ahead."""
        others = [solution for solution in solutions if solution.id not in self._asked]
        new = iter(super().judge(others) if others else [])
        ahead = self._answers.result() if self._answers is not None else []
        return [ahead[self._asked[solution.id]] if solution.id in self._asked else next(new) for solution in solutions]


class JudgingAhead:
    """Part of `sgpo.online.trainer.SGPOMixin`: calls an `AheadJudge` as soon as there are responses.

    Groups that span processes are not judged ahead: whether to judge them is only known when TRL gathers.
    """

    judge: Judge | None
    algorithm: Any
    guards: Any
    accelerator: Any
    model: Any
    state: Any
    reward_funcs: list[Any]
    num_generations: int
    segmentation: Any
    correct_above: float
    _outcome: int | None
    _inputs: Sequence[Mapping[str, Any]] = ()

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._inputs = inputs
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        return output

    def _generate(self, prompts: list[Any]) -> Any:
        """Let TRL sample, and start the judge on the responses that it will be asked about."""
        generated = super()._generate(prompts)  # type: ignore[misc]
        if isinstance(self.judge, AheadJudge) and self._outcome is not None and self.model.training and self._weight():  # type: ignore[attr-defined]
            self._ask_ahead(prompts, completions=generated[3], completion_ids_N=generated[1])
        return generated

    def _ask_ahead(self, prompts: Sequence[Any], *, completions: Sequence[Any], completion_ids_N: Any) -> None:
        assert isinstance(self.judge, AheadJudge) and self._outcome is not None
        size, start = self.num_generations, self.accelerator.process_index * len(prompts)
        first = -start % size  # the first row of a group that starts here
        own = slice(first, first + (len(prompts) - first) // size * size)
        columns = {name: [row[name] for row in self._inputs] for name in self._inputs[0] if name != "prompt"}
        found = self.reward_funcs[self._outcome](
            prompts=prompts, completions=completions, completion_ids=completion_ids_N, **columns
        )
        outcomes_N = torch.tensor([torch.nan if outcome is None else outcome for outcome in found][own])
        batch = GroupBatch(
            outcomes_N,
            correct_above=self.correct_above,
            group_ids_N=torch.arange(len(outcomes_N)) // size,
            truncated_N=torch.tensor([self._is_truncated(ids) for ids in completion_ids_N[own]], dtype=torch.bool),  # type: ignore[attr-defined]
            n_tokens_N=torch.tensor([len(ids) for ids in completion_ids_N[own]]),
        )
        rows_M = self.algorithm.rows_to_score(batch)
        if self.accelerator.num_processes == 1:  # else guards choose among the responses of all processes
            more = self.guards.rows_to_ask(batch, rows_M, step=self.state.global_step + 1)
            rows_M = torch.cat([rows_M, more]).sort().values
        spans_N = [segment(completion_text(completion), self.segmentation) for completion in completions]
        asked = self._local_requests(rows_M + start + first, self._inputs, spans_N)  # type: ignore[attr-defined]
        self.judge.ask([response.solution for _, response in asked if response.solution.steps])

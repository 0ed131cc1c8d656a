"""Completes prompts with vLLM in this process. vLLM is imported when the engine is opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from judgekit.engines.generation.base import (
    ChoiceScores,
    Completion,
    FinishReason,
    LocalGenerator,
    first_token_ids,
    prompt_seed,
)
from judgekit.engines.generation.config import SamplingConfig, VllmGeneration
from judgekit.engines.scoring.vllm import ask, open_llm
from judgekit.errors import ConfigError
from judgekit.text.prompts import CHAT_DATE, Prompt
from judgekit.types import NoVerdictReason


class VllmGenerator(LocalGenerator):
    """See `generation.base.Generator`. Prompts that begin alike share their prefill by the prefix cache.

    Raises:
        CheckpointError: vLLM cannot open the model.
        ConfigError: vLLM is not installed.
    """

    def __init__(self, config: VllmGeneration, *, chat_date: date = CHAT_DATE) -> None:
        options = {} if config.max_model_len is None else {"max_model_len": config.max_model_len}
        self.llm = open_llm(
            config.model,
            dtype=config.dtype,
            gpu_memory_utilization=config.gpu_memory_frac,
            tensor_parallel_size=config.tensor_parallel,
            enable_prefix_caching=True,
            **options,
        )
        n_context = int(self.llm.llm_engine.model_config.max_model_len)
        tokenizer = self.llm.get_tokenizer()
        super().__init__(tokenizer, generator_id=config.model, n_context=n_context, chat_date=chat_date)

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: SamplingConfig,
        *,
        n: int = 1,
        seed: int = 0,
        choices_P: Sequence[Sequence[str]] | None = None,
    ) -> list[list[Completion]]:
        """See `Generator.generate`. A prompt that fills the model's context fails.

        A completion is held to choices by vLLM's structured outputs: by their characters, so that a choice may be
        spelt with other tokens than the tokenizer's own.
        """
        from vllm import SamplingParams

        ids_P = self.encode(prompts)
        seeds_P = [prompt_seed(self.render(prompt), seed=seed) for prompt in prompts]
        held_P = _held_to(prompts, choices_P)
        found = [[self.no_room] * n for _ in prompts]
        rows = [(prompt, sample) for prompt in self._fitting(ids_P) for sample in range(n)]
        params = [
            ask(
                SamplingParams,
                max_tokens=sampling.max_tokens,
                temperature=sampling.temperature or 0.0,
                top_p=sampling.top_p,
                seed=(seeds_P[prompt] + sample) % 2**63,
                logprobs=0,  # of the sampled token alone, before temperature and top_p
                structured_outputs=held_P[prompt],
            )
            for prompt, sample in rows
        ]
        outputs = self._run([ids_P[prompt] for prompt, _ in rows], params)
        for (prompt, sample), output in zip(rows, outputs, strict=True):
            choices = () if choices_P is None else choices_P[prompt]
            found[prompt][sample] = _completion(output, n_prompt_tokens=len(ids_P[prompt]), choices=choices)
        return found

    def choice_logprobs(self, prompts: Sequence[Prompt], *, choices: Sequence[str]) -> list[ChoiceScores]:
        """See `Generator.choice_logprobs`.

        The log-probabilities are requested by token id. The most probable tokens would not do: a choice can be missing
        among them, also where sampling is restricted to the choices, since they are ranked before that.
        """
        from vllm import SamplingParams

        choice_ids = first_token_ids(self.tokenizer, choices)
        ids_P = self.encode(prompts)
        rows = self._fitting(ids_P)
        found = [self.no_room_scores] * len(prompts)
        params = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=choice_ids)
        for row, output in zip(rows, self._run([ids_P[row] for row in rows], params), strict=True):
            logprobs = output.logprobs[0]
            found[row] = ChoiceScores(
                tuple(float(logprobs[token].logprob) for token in choice_ids), n_prompt_tokens=len(ids_P[row])
            )
        return found

    def _fitting(self, ids_P: Sequence[list[int]]) -> list[int]:
        return [prompt for prompt, ids in enumerate(ids_P) if len(ids) < self.n_context]

    def _run(self, ids_B: Sequence[list[int]], params: Any) -> list[Any]:
        """Return vLLM's `CompletionOutput` of every request."""
        if not ids_B:
            return []
        requests = [{"prompt_token_ids": ids} for ids in ids_B]
        return [output.outputs[0] for output in ask(self.llm.generate, requests, params, use_tqdm=False)]


def _held_to(prompts: Sequence[Prompt], choices_P: Sequence[Sequence[str]] | None) -> list[Any]:
    """Return what holds each prompt's completion to its choices, `None` if it is free.

    Raises:
        ConfigError: a prompt has no choices, or an empty one.
    """
    if choices_P is None:
        return [None] * len(prompts)
    from vllm.sampling_params import StructuredOutputsParams

    held_P = []
    for _, choices in zip(prompts, choices_P, strict=True):
        if not choices or not all(choices):
            raise ConfigError(f"choices {list(choices)} for a completion: give at least one, and no empty text")
        held_P.append(StructuredOutputsParams(choice=list(choices)))
    return held_P


def _completion(output: Any, *, n_prompt_tokens: int, choices: Sequence[str]) -> Completion:
    """Convert vLLM's `CompletionOutput`; an aborted request is none, and a choice that begins no other has ended."""
    n_tokens = len(output.token_ids)
    begins_another = any(choice != output.text and choice.startswith(output.text) for choice in choices)
    reason: FinishReason | None = "length" if output.finish_reason == "length" else None
    if (output.text in choices and not begins_another) or output.finish_reason == "stop":
        reason = "stop"
    if reason is not None:
        ids, logprobs = tuple(output.token_ids), None
        if output.logprobs is not None:
            logprobs = tuple(
                min(float(found[token].logprob), 0.0) for token, found in zip(ids, output.logprobs, strict=True)
            )
        return Completion(
            output.text,
            reason,
            n_tokens=n_tokens,
            n_prompt_tokens=n_prompt_tokens,
            token_ids=ids,
            logprobs=logprobs,
        )
    failure = f"vLLM ended with {output.finish_reason!r}"
    return Completion("", "failed", failure=failure, failure_reason=NoVerdictReason.REFUSED)

"""Completes prompts with vLLM in this process. vLLM is imported when the engine is opened."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.engines.generation import Completion, VllmGeneration, prompt_seed
from judgekit.errors import CheckpointError, ConfigError
from judgekit.prompts import Prompt, encode_prompt, render_text


class VllmGenerator:
    """See `judgekit.engines.generation.Generator`. Samples of one prompt share its prefill by vLLM's prefix cache.

    Raises:
        CheckpointError: vLLM cannot open the model.
        ConfigError: vLLM is not installed.
    """

    def __init__(self, config: VllmGeneration) -> None:
        try:
            from vllm import LLM
        except ImportError as error:
            raise ConfigError(
                f"the engine vllm cannot be used here ({error}): pip install 'judgekit[vllm]', "
                "or choose generation.type=transformers"
            ) from error
        self.config = config
        options = {} if config.max_model_len is None else {"max_model_len": config.max_model_len}
        try:
            self.llm = LLM(
                model=config.model,
                dtype=config.dtype,
                gpu_memory_utilization=config.gpu_memory_frac,
                tensor_parallel_size=config.tensor_parallel,
                enable_prefix_caching=True,
                trust_remote_code=False,
                **options,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"vLLM cannot open the model {config.model}: {error}") from error
        self.tokenizer = self.llm.get_tokenizer()

    @property
    def generator_id(self) -> str:
        """Name of the model."""
        return self.config.model

    def render(self, prompt: Prompt) -> str:
        """Return the text that the model reads."""
        return render_text(self.tokenizer, prompt)

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        n: int = 1,
        max_tokens: int,
        temperature: float | None = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> list[list[Completion]]:
        """See `Generator.generate`. A prompt that fills the model's context fails."""
        from vllm import SamplingParams

        context = self.llm.llm_engine.model_config.max_model_len
        ids_P = [encode_prompt(self.tokenizer, prompt) for prompt in prompts]
        seeds_P = [prompt_seed(self.render(prompt), seed=seed) for prompt in prompts]
        failure = f"the prompt leaves no room in the model's context of {context} tokens"
        found = [[Completion("", "failed", failure=failure)] * n for _ in prompts]
        rows = [
            (prompt, sample) for prompt in range(len(prompts)) if len(ids_P[prompt]) < context for sample in range(n)
        ]
        params = [
            SamplingParams(
                max_tokens=max_tokens,
                temperature=0.0 if temperature is None else temperature,
                top_p=top_p,
                seed=(seeds_P[prompt] + sample) % 2**63,
            )
            for prompt, sample in rows
        ]
        requests = [{"prompt_token_ids": ids_P[prompt]} for prompt, _ in rows]
        outputs = self.llm.generate(requests, params, use_tqdm=False) if rows else []
        for (prompt, sample), output in zip(rows, outputs, strict=True):
            found[prompt][sample] = _completion(output.outputs[0], n_prompt_tokens=len(ids_P[prompt]))
        return found


def _completion(output: object, *, n_prompt_tokens: int) -> Completion:
    """Convert vLLM's `CompletionOutput`; an aborted request is none."""
    text, reason, token_ids = (getattr(output, name) for name in ("text", "finish_reason", "token_ids"))
    if reason not in ("stop", "length"):
        return Completion("", "failed", failure=f"vLLM ended with {reason!r}")
    return Completion(text, reason, n_tokens=len(token_ids), n_prompt_tokens=n_prompt_tokens)


__all__ = ["VllmGenerator"]

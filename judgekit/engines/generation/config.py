"""Which engine completes prompts, and how it samples: options for the configurations of all stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.engines.http.limits import HttpLimits
from judgekit.engines.precision import AUTO, ChosenPrecision


class SamplingConfig(BaseConfig):
    """How completions are sampled."""

    max_tokens: int = Field(default=512, ge=1)
    """Longest completion, tokens."""
    temperature: float | None = Field(default=0.7, gt=0)
    """Sampling temperature; `null` decodes greedily."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus sampling: sample from the most probable tokens that together have this probability (top-p)."""


class TransformersGeneration(BaseConfig):
    """A model run by transformers in this process."""

    type: Literal["transformers"] = "transformers"
    """Selects this kind."""
    model: str = Field(min_length=1)
    """Checkpoint directory or Hub id: safetensors, no remote code."""
    dtype: ChosenPrecision = AUTO
    """Precision in which the model runs; `auto`: bfloat16 if the hardware supports it, else float32."""
    batch_size: int = Field(default=16, ge=1)
    """Completions sampled at once."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; `null` leaves the choice to torch."""


class VllmGeneration(BaseConfig):
    """A model run by vLLM in this process; needs the extra `sgpo[vllm]`."""

    type: Literal["vllm"] = "vllm"
    """Selects this kind."""
    model: str = Field(min_length=1)
    """Checkpoint directory or Hub id: no remote code."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision in which the model runs; `auto` uses that of the checkpoint."""
    max_model_len: int | None = Field(default=None, ge=1)
    """Longest prompt plus completion, tokens; `null` uses the model's own limit."""
    gpu_memory_frac: float = Field(default=0.9, gt=0, le=1)
    """Fraction of the GPU's memory that vLLM may use."""
    tensor_parallel: int = Field(default=1, ge=1)
    """GPUs that share the model."""


class OpenAIGeneration(HttpLimits):
    """A model behind an OpenAI-compatible server.

    With a tokenizer, prompts are rendered here and sent to `/completions`, which partial solutions need. Without one,
    conversations go to `/chat/completions`, and plain text to `/completions` as it is.
    """

    type: Literal["openai"] = "openai"
    """Selects this kind."""
    base_url: str = Field(pattern=r"^https?://\S+$")
    """Address up to the version, for example `http://localhost:8000/v1`."""
    model: str = Field(min_length=1)
    """Name of the model on the server."""
    tokenizer: str | None = None
    """Checkpoint directory or Hub id of the model's tokenizer; `null` leaves rendering to the server."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Name of the environment variable that holds the key; `null` sends none."""
    dialect: Literal["openai", "vllm"] = "openai"
    """What the server understands beyond the common routes. `vllm`: completions held to given choices, and tokens named
    by their ids."""
    check_model: bool = True
    """Whether an answer that names another model is a failure. `false` for servers that answer to an alias (`gpt-4o`
    answers as `gpt-4o-2024-08-06`)."""
    top_logprobs: int = Field(default=20, ge=1)
    """Most probable tokens to ask for where the probability of a choice is read. vLLM lists 20 unless it is started
    with `--max-logprobs`; some servers list 5."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Tokens a minute, read and sampled, spread evenly; `null` sets no rate. Before an answer counts them, a prompt is
    taken to have a token every 4 characters and the completion to be as long as it may be."""
    prompt_usd_per_mtok: float | None = Field(default=None, ge=0)
    """Price of a million prompt tokens, US dollars; `null` if unknown."""
    completion_usd_per_mtok: float | None = Field(default=None, ge=0)
    """Price of a million sampled tokens, US dollars; `null` if unknown."""
    cost_log: Path | None = None
    """File to which every call appends a JSON line: requests, tries, failures, trouble by kind, tokens, cost; `null`
    keeps none."""


GenerationConfig = Annotated[TransformersGeneration | VllmGeneration | OpenAIGeneration, Field(discriminator="type")]
"""Which engine completes prompts."""

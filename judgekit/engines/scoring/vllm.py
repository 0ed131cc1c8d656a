"""Opens models with vLLM in this process, and runs classifier bodies over encoded solutions with its pooling runner.

vLLM is imported when an engine is opened. The same code drives its GPU and its CPU build.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from judgekit.engines.checkpoint import safe_checkpoint
from judgekit.engines.scoring.encoded import Encoded
from judgekit.errors import CheckpointError, ConfigError, JudgeError, boundary
from judgekit.types import Precision

_Answer = TypeVar("_Answer")


def open_llm(model: str, **options: Any) -> Any:
    """Open a vLLM engine: safetensors only, no remote code.

    On a CPU the model is not compiled unless `options` ask for it: that takes a minute at every start and gains little.

    Args:
        model: Checkpoint directory or Hub id.
        options: Further arguments of `vllm.LLM`.

    Raises:
        CheckpointError: vLLM cannot open the model, or see `safe_checkpoint`.
        ConfigError: vLLM is not installed.
    """
    if Path(model).exists():  # a Hub id is fetched only where there is something to open it with
        safe_checkpoint(model)
    try:
        from vllm import LLM
        from vllm.platforms import current_platform
    except ImportError as error:
        raise ConfigError(
            f"the engine vllm cannot be used here ({error}): pip install 'sgpo[vllm]', or use the engine transformers"
        ) from error
    options.setdefault("enforce_eager", current_platform.is_cpu())
    directory = safe_checkpoint(model)
    with boundary(CheckpointError, f"vLLM cannot open the model {model}"):
        return LLM(model=str(directory), trust_remote_code=False, load_format="safetensors", **options)


def ask(call: Callable[..., _Answer], *args: Any, **kwargs: Any) -> _Answer:
    """Call something of vLLM.

    Raises:
        JudgeError: the engine refuses the request, or has died.
    """
    with boundary(JudgeError, "vLLM failed"):
        return call(*args, **kwargs)


class VllmClassifier:
    """A model with a classification head in a vLLM engine: token classification, or `Qwen2ForProcessRewardModel`.

    The head's outputs are requested as they are, without softmax, for every token. Prefix caching is off: a token that
    comes from the cache is not computed, so it has no output, and vLLM's results are wrong where caching is forced.
    The head runs in float32 whatever the precision of the body.

    Args:
        model: Directory or Hub id.
        dtype: Precision of the weights.
        max_tokens: Longest input, in tokens; `None` takes the model's context.
        options: Further arguments of `vllm.LLM`, for example `tensor_parallel_size` or `gpu_memory_utilization`.

    Raises:
        CheckpointError: vLLM cannot open the model, or it has no classification head with trained weights.
        ConfigError: vLLM is not installed.
    """

    def __init__(self, model: str, *, dtype: Precision, max_tokens: int | None = None, **options: Any) -> None:
        self.dtype = dtype
        """Precision in which the model runs."""
        self.llm = open_llm(
            model,
            runner="pooling",
            pooler_config={"task": "token_classify", "tok_pooling_type": "ALL", "use_activation": False},
            dtype=dtype,
            enable_prefix_caching=False,
            **({} if max_tokens is None else {"max_model_len": max_tokens}),
            **options,
        )

    @property
    def config(self) -> Any:
        """The model's configuration, as transformers reads it."""
        return self.llm.llm_engine.model_config.hf_config

    def score_positions(self, encoded_N: Sequence[Encoded], *, progress: bool = False) -> list[np.ndarray]:
        """Return the head's logits at every step position; see `judgekit.engines.scoring.forward.score_positions`.

        vLLM returns all tokens' outputs, a few bytes each, and the positions are picked here. Its own way to pick them,
        by the id of a step tag, would also find the tag inside a candidate, as a line break easily is.

        Args:
            encoded_N: Solutions, each with at least one step and at most `max_tokens` tokens.
            progress: Show a progress bar.

        Returns:
            One array per solution, float32. Shape (n_steps, n_labels).

        Raises:
            JudgeError: the engine refuses an input or has died.
        """
        if not encoded_N:
            return []
        requests = [{"prompt_token_ids": encoded.input_ids} for encoded in encoded_N]
        outputs = ask(self.llm.encode, requests, pooling_task="token_classify", use_tqdm=progress)
        found = []
        for output, encoded in zip(outputs, encoded_N, strict=True):
            logits_T = output.outputs.data.float().numpy()
            # A token that comes from the prefix cache has no output, and all positions behind it would be off.
            if len(logits_T) != len(encoded.input_ids):
                raise JudgeError(
                    f"vLLM gave outputs for {len(logits_T)} of {len(encoded.input_ids)} tokens: use another version of "
                    "vLLM"
                )
            found.append(logits_T[encoded.positions_S])
        return found

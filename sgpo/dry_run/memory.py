"""How much device memory a training run needs, by formulas. Estimates in bytes, good to about a quarter.

AdamW on float32 weights holds 16 bytes per trained parameter (weight, gradient, two moments); on bfloat16 weights half
of that. Autocast keeps a bfloat16 copy of each float32 weight during a pass, 2 more bytes. Weights under adapters have
no gradient and no moments. Activations are those of a decoder with gated feed-forward layers: about 10 hidden widths, 2
widths of queries and keys and 4 inner widths per token and layer; with checkpointing, the inputs of all layers plus the
activations of one.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from judgekit.training.lora import LoraOptions
from judgekit.types import Precision
from sgpo.assumed import Sizes

HEAD_ROWS = 512
"""Positions that go through the output layer at once offline, see `judgekit.engines.scoring.heads`."""

RUNTIME = 1e9
"""Bytes that torch, its libraries and a driver's context take."""


@dataclass(frozen=True)
class Memory:
    """Memory of one device, bytes."""

    weights: float
    """Weights of the policy."""
    gradients: float
    """Gradients of the trained weights."""
    optimizer: float
    """Two moments of the trained weights."""
    autocast: float
    """Copies of trained weights in bfloat16, during a pass."""
    reference: float
    """Weights of the initial policy, if a KL term needs it."""
    activations: float
    """Activations of one forward and backward pass."""
    logits: float
    """Logits of one forward and backward pass."""
    vllm: float
    """vLLM in the same process: its own weights, keys and values."""
    runtime: float
    """Libraries and driver."""
    cache: float
    """Keys and values of all responses sampled at once; no pass runs at that time."""

    @property
    def training(self) -> float:
        """At the peak of a training pass."""
        return float(sum(astuple(self))) - self.cache

    @property
    def sampling(self) -> float:
        """While responses are sampled."""
        return self.training - self.autocast - self.activations - self.logits + self.cache

    @property
    def peak(self) -> float:
        """The most at any time."""
        return max(self.training, self.sampling)


def estimate_memory(
    sizes: Sizes,
    *,
    bf16: bool,
    checkpointing: bool,
    n_pass_tokens: int,
    n_logits: int,
    n_cached_tokens: int,
    has_reference: bool,
    n_shards: int,
    n_vllm_bytes: float = 0.0,
    lora: LoraOptions | None = None,
    dtype: Precision = "float32",
) -> Memory:
    """Return the memory of one device.

    Args:
        sizes: Sizes of the policy.
        bf16: Whether passes run under bfloat16 autocast.
        checkpointing: Whether activations are recomputed in the backward pass.
        n_pass_tokens: Tokens per pass, including prompts.
        n_logits: Positions whose logits are in memory at once.
        n_cached_tokens: Tokens of all responses that one device samples at once, including prompts.
        has_reference: Whether a second copy of the weights is kept.
        n_shards: Devices that share weights, gradients and moments.
        n_vllm_bytes: Memory of vLLM in the trainer's process.
        lora: Adapters to train; `None` trains all weights.
        dtype: Precision of the trained weights; adapters are float32.
    """
    stored = 2 if dtype == "bfloat16" else 4
    width = min(2 if bf16 else 4, stored)
    n_total = sizes.n_parameters
    n_trained = n_total if lora is None else sizes.n_adapter_parameters(lora)
    frozen = 0 if lora is None else n_total * (2 if lora.dtype == "bfloat16" else 4)
    n_cast = n_trained + (n_total if lora is not None and lora.dtype == "float32" else 0)
    queries_and_keys = (sizes.num_attention_heads + sizes.num_key_value_heads) * sizes.head_width
    layer = width * (10 * sizes.hidden_size + 2 * queries_and_keys + 4 * sizes.intermediate_size)
    inputs = width * sizes.hidden_size * sizes.num_hidden_layers
    a_token = inputs + layer if checkpointing else sizes.num_hidden_layers * layer
    key_value = 2 * sizes.num_hidden_layers * sizes.num_key_value_heads * sizes.head_width * width
    return Memory(
        weights=(frozen + stored * n_trained) / n_shards,
        gradients=stored * n_trained / n_shards,
        optimizer=2 * stored * n_trained / n_shards,
        autocast=2 * n_cast / n_shards if bf16 and stored == 4 else 0.0,
        reference=stored * n_trained / n_shards if has_reference else 0.0,  # with adapters, a copy of the adapters only
        activations=float(n_pass_tokens * a_token),
        # Logits, their log-softmax and the gradients of both, in the precision of the pass except for the softmax.
        logits=float(n_logits * sizes.vocab_size * (2 * width + 8)),
        vllm=n_vllm_bytes,
        runtime=RUNTIME,
        cache=float(n_cached_tokens * key_value),
    )

"""Assumptions of a dry run where nothing on this machine tells it otherwise. Imports nothing heavier than pydantic."""

from __future__ import annotations

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.training.lora import LoraOptions


class Sizes(BaseConfig):
    """Sizes of a decoder with gated feed-forward layers (Llama, Qwen2 and similar), named as in `config.json`."""

    hidden_size: int = Field(ge=1)
    """Width of the residual stream."""
    num_hidden_layers: int = Field(ge=1)
    """Layers."""
    num_attention_heads: int = Field(ge=1)
    """Query heads."""
    num_key_value_heads: int = Field(ge=1)
    """Key and value heads."""
    head_dim: int | None = Field(default=None, ge=1)
    """Width of a head; `null`: `hidden_size` / `num_attention_heads`."""
    intermediate_size: int = Field(ge=1)
    """Width of the feed-forward layers."""
    vocab_size: int = Field(ge=1)
    """Rows of the embedding."""
    tie_word_embeddings: bool = False
    """Whether input and output share an embedding."""
    attention_bias: bool = False
    """Whether queries, keys and values have a bias, as in Qwen2."""

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def linear_maps(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the linear maps of one layer, by name."""
        hidden, inner, queries = self.hidden_size, self.intermediate_size, self.num_attention_heads * self.head_width
        keys = self.num_key_value_heads * self.head_width
        return {
            "q_proj": (hidden, queries),
            "k_proj": (hidden, keys),
            "v_proj": (hidden, keys),
            "o_proj": (queries, hidden),
            "gate_proj": (hidden, inner),
            "up_proj": (hidden, inner),
            "down_proj": (inner, hidden),
        }

    @property
    def n_parameters(self) -> int:
        """Parameters, embeddings included."""
        maps = self.linear_maps
        biases = sum(maps[name][1] for name in ("q_proj", "k_proj", "v_proj")) if self.attention_bias else 0
        layer = sum(inputs * outputs for inputs, outputs in maps.values()) + biases + 2 * self.hidden_size
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return self.num_hidden_layers * layer + embeddings + self.hidden_size

    def n_adapter_parameters(self, lora: LoraOptions) -> int:
        """Return the number of parameters of low-rank adapters."""
        maps = self.linear_maps
        targets = maps if lora.targets == "all-linear" else lora.targets
        return self.num_hidden_layers * lora.rank * sum(sum(maps[name]) for name in targets if name in maps)


class AssumedConfig(BaseConfig):
    """What `--dry-run` assumes where nothing on this machine tells it otherwise; training ignores it."""

    sizes: Sizes | None = None
    """Sizes of the policy; `null` reads the `config.json` of a local checkpoint, or uses known sizes for a Hub id."""
    device_gb: float = Field(default=80.0, gt=0)
    """Memory of one device, GB (10^9 bytes)."""
    n_devices: int = Field(default=1, ge=1)
    """Devices, one process each."""
    sharded: bool = False
    """Whether weights, gradients and optimiser states are sharded over the devices (FSDP, ZeRO 3); otherwise each
    device holds all of them."""
    n_problems: int | None = Field(default=None, ge=1)
    """Number of problems, or of groups in an offline run, if the data set is not here; `null` if it is."""
    group_size: int | None = Field(default=None, ge=2)
    """Responses per group in an offline run, if the data set is not here; `null` if it is."""
    frac_all_negative: float = Field(default=1.0, ge=0, le=1)
    """Fraction of groups without a correct response while the judge is used. If wrong responses of other groups are
    judged too, those groups are assumed to have one correct response. 1 gives the highest cost of judging."""
    prompt_tokens: int = Field(default=512, ge=1)
    """Tokens per prompt."""
    response_tokens: int | None = Field(default=None, ge=1)
    """Mean tokens per response; `null` uses the longest that is allowed."""
    judge_tokens: int | None = Field(default=None, ge=1)
    """Mean tokens per answer of a critic; `null` uses the longest that its card allows."""

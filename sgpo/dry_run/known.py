"""Sizes of the models that the shipped configurations train, from their `config.json` on the Hub."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from judgekit.errors import ConfigError
from judgekit.io import read_json
from sgpo.assumed import Sizes


def _qwen(
    layers: int, hidden: int, inner: int, heads: int, keys: int, vocab: int = 152064, tied: bool = False
) -> Sizes:
    return Sizes(
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        intermediate_size=inner,
        vocab_size=vocab,
        tie_word_embeddings=tied,
        attention_bias=True,
    )


KNOWN: dict[str, Sizes] = {
    "Qwen/Qwen2.5-7B-Instruct": _qwen(28, 3584, 18944, 28, 4),
    "Qwen/Qwen2.5-14B-Instruct": _qwen(48, 5120, 13824, 40, 8),
    "Qwen/Qwen2.5-32B-Instruct": _qwen(64, 5120, 27648, 40, 8),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B": _qwen(28, 3584, 18944, 28, 4),
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": Sizes(
        hidden_size=4096,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=14336,
        vocab_size=128256,
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Sizes(
        hidden_size=576,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        vocab_size=49152,
        tie_word_embeddings=True,
    ),
}
"""Sizes by Hub id."""


def policy_sizes(policy: str, *, assumed: Sizes | None) -> Sizes:
    """Return the sizes of a policy: those assumed, else those of its local `config.json`, else known ones.

    Raises:
        ConfigError: none of these is available; the message says what to give.
    """
    if assumed is not None:
        return assumed
    path = Path(policy) / "config.json"
    if path.is_file():
        stored = read_json(path)
        values = stored if isinstance(stored, dict) else {}
        named = {name: values[name] for name in Sizes.model_fields if values.get(name) is not None}
        # Qwen2 has biases without saying so; a model whose keys and values have their own number of heads says how
        # many.
        named.setdefault("attention_bias", values.get("model_type") == "qwen2")
        named.setdefault("num_key_value_heads", named.get("num_attention_heads"))
        try:
            return Sizes.model_validate(named)
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise ConfigError(f"{path} has no field {field}: give the model's sizes as assume.sizes") from error
    if policy in KNOWN:
        return KNOWN[policy]
    raise ConfigError(
        f"the sizes of {policy} are unknown here (known: {', '.join(KNOWN)}): give a local checkpoint, or assume.sizes "
        "with the values of its config.json"
    )

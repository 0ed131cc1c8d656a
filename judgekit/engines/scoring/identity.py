"""An id of a model: of its weights, and of the parts of its configuration that affect how they are used."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_NO_PART = (
    "_", "transformers_version", "architectures", "dtype", "torch_dtype", "use_cache", "return_dict", "output_",
    "id2label", "label2id", "problem_type", "initializer_range",
)  # fmt: skip
"""How the configuration's keys begin that say nothing about hidden states and next tokens."""


def model_id(model: Any) -> str:
    """Return an id of what a causal language model computes, whichever file it came from.

    It is the same for a checkpoint and its copies, and for weights in another precision that holds them exactly. LoRA
    adapters do not count. Goes once over all weights: about a second for 500 MB.
    """
    config = model.config.get_text_config().to_dict()
    kept = {key: config[key] for key in config if not key.startswith(_NO_PART) and not key.endswith("_token_id")}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode())
    weights = {
        name.replace(".base_layer.", "."): weight for name, weight in model.named_parameters() if ".lora_" not in name
    }
    for name, weight in sorted(weights.items()):
        digest.update(f"{name} {tuple(weight.shape)}".encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]

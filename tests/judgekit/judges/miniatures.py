"""Miniature checkpoints of the public judge families: random weights, the published architecture and conventions.

Tokenizers are of the published kind (byte-level BPE with the pre-tokenisation of Qwen2 and Llama 3, SentencePiece-like
BPE with byte fallback), special tokens and chat templates have the published layout, tensors the published names.
Where a convention depends on token ids, the vocabulary is filled up so that the ids are the published ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForTokenClassification,
    LlamaModel,
    LlamaTokenizer,
    MistralConfig,
    MistralModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2ForTokenClassification,
    Qwen2Model,
    Qwen2Tokenizer,
)

TEXTS = [
    "Step 1: Janet sells 16 - 3 - 4 = 9 eggs a day.\nStep 2: She makes 9 * 2 = $18. The answer is: 18",
    "# Question\n\nFind the value of $x$ if $2x + 3 = 7$.\n\n# Solution\n\nSubtract 3 from both sides: $2x = 4$.\n\n",
    "Question:\nAnswer:\nLet's think step by step.\nTherefore \\boxed{\\frac{3}{2}} is the result.",
    "Please reason step by step, and put your final answer within \\boxed{}. user assistant system",
    "1 + 2 - 3 + 4 - 5 = -1 and 7 + 8 - 9 = 6",
]
"""What the vocabularies are trained on."""

_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""Where Llama 3 cuts text before byte pairs are merged."""
_QWEN_SPLIT = _LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
"""The same of Qwen2, which cuts between digits."""

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n"
    "Please reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Layout of Qwen2.5-Math: a system message of its own where none is given, contents as they are."""
LLAMA3_CHAT = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] | trim %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    "{{ system }}<|eot_id|>"
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
"""Layout of Llama 3.1 Instruct: a system turn with dates, contents without white space around them."""

_QWEN_SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>",
]  # fmt: skip
"""Special tokens of Qwen2.5 from id 151643 on; `<extra_0>` of the reward models comes next."""
_LLAMA3_SPECIAL = [
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
]  # fmt: skip

# Vocabularies


def _trained_merges(pre_tokenizer: Any, alphabet: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Train byte pairs on the texts and return tokens and merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + 150, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    return sorted(model["vocab"], key=model["vocab"].__getitem__), merges


def _with_merges(
    tokens: list[str], merges: list[tuple[str, str]], wanted: Iterable[tuple[str, str]]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Put merges in front of all others, with the tokens that they make."""
    wanted = list(wanted)
    tokens = list(dict.fromkeys([*tokens, *(left + right for left, right in wanted)]))
    return tokens, [*wanted, *(merge for merge in merges if merge not in wanted)]


def _numbered(tokens: Iterable[str], *, fixed: Mapping[str, int], size: int) -> dict[str, int]:
    """Number tokens in order around those with fixed ids, and fill up to `size` with tokens that no text gives."""
    rest = iter([token for token in tokens if token not in fixed])
    of_id = {number: token for token, number in fixed.items()}
    vocabulary = {of_id.get(number) or next(rest, f"\u0378{number}"): number for number in range(size)}
    assert next(rest, None) is None, "the vocabulary is too small for its tokens"
    return vocabulary


def _byte_level(split: str) -> Any:
    cut = pre_tokenizers.Split(Regex(split), behavior="isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def qwen_tokenizer(
    *, size: int = 600, special: Iterable[str] = _QWEN_SPECIAL, fixed: Mapping[str, int] | None = None, **options: Any
) -> Qwen2Tokenizer:
    """Return a tokenizer of Qwen2's kind whose special tokens begin at id `size`; it has no begin-of-text token.

    ` +`, ` -` and five line breaks behind a space are tokens of their own, as in the published vocabulary.
    """
    tokens, merges = _trained_merges(_byte_level(_QWEN_SPLIT), sorted(pre_tokenizers.ByteLevel.alphabet()))
    breaks = [("Ċ", "Ċ"), ("ĊĊ", "ĊĊ"), ("ĊĊĊĊ", "Ċ"), ("Ġ", "ĊĊĊĊĊ")]
    tokens, merges = _with_merges(tokens, merges, [*breaks, ("Ġ", "+"), ("Ġ", "-"), (".", "ĊĊ")])
    vocabulary = _numbered(tokens, fixed=fixed or {}, size=size)
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=merges, **options)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = CHATML
    return tokenizer


def llama3_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of Llama 3's kind, which puts `<|begin_of_text|>` before a text."""
    tokens, merges = _trained_merges(_byte_level(_LLAMA3_SPLIT), sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokens, merges = _with_merges(tokens, merges, [("Ċ", "Ċ"), (".", "ĊĊ")])
    backend = Tokenizer(models.BPE(vocab=_numbered(tokens, fixed={}, size=len(tokens)), merges=merges))
    backend.pre_tokenizer = _byte_level(_LLAMA3_SPLIT)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(_LLAMA3_SPECIAL)
    begin = _LLAMA3_SPECIAL[0]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A $B", special_tokens=[(begin, backend.token_to_id(begin))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=begin, eos_token="<|eot_id|>", pad_token="<|end_of_text|>"
    )
    tokenizer.chat_template = LLAMA3_CHAT
    return tokenizer


def sentencepiece_tokenizer(
    *, size: int = 700, fixed: Mapping[str, int] | None = None, legacy: bool = True, pad_token: str | None = None
) -> LlamaTokenizer:
    """Return a tokenizer of Llama 2's and Mistral's kind: spaces are `▁`, unknown characters fall back to bytes."""
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokens, merges = _trained_merges(metaspace, sorted({*"".join(TEXTS).replace("\n", "").replace(" ", "▁"), "к", "и"}))
    tokens, merges = _with_merges(tokens, merges, [("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-")])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens = [*special, *(token for token in tokens if "\n" not in token)]
    merges = [merge for merge in merges if "\n" not in "".join(merge)]
    vocabulary = _numbered(tokens, fixed=fixed or {}, size=size)
    return LlamaTokenizer(vocab=vocabulary, merges=merges, legacy=legacy, pad_token=pad_token, add_bos_token=True)


# Weights


def _shrunk(config_type: type, tokenizer: Any, **fields: Any) -> Any:
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    heads = {"num_key_value_heads": 1, "max_position_embeddings": 2048, "tie_word_embeddings": False}
    vocabulary = {"vocab_size": max(tokenizer.get_vocab().values()) + 1, "pad_token_id": None}
    return config_type(**(sizes | heads | vocabulary | {"bos_token_id": None, "eos_token_id": None} | fields))


def _loud(model: torch.nn.Module, seed: int) -> Any:
    """Give a model random weights large enough that its answers differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(noise * 0.35 if weight.dim() == 2 else weight + noise * 0.05)
    return model.eval()


def _save(folder: Path, model: Any, tokenizer: Any, **config: Any) -> Path:
    """Write a model in transformers' own format; `config` changes fields of `config.json` afterwards."""
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


def _save_headed(
    folder: Path,
    body: Any,
    tokenizer: Any,
    tensors: Mapping[str, torch.Tensor],
    *,
    prefix: str = "model.",
    **config: Any,
) -> Path:
    """Write a body with tensors beside it, under the names of the published file."""
    _save(folder, body, tokenizer, **config)
    state = {f"{prefix}{name}": tensor.contiguous() for name, tensor in body.state_dict().items()}
    save_file(state | dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _head(name: str, n_out: int, *, bias: bool, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight = {f"{name}.weight": torch.randn(n_out, 16, generator=generator)}
    return weight | ({f"{name}.bias": torch.randn(n_out, generator=generator)} if bias else {})


# Families


def _qwen_prm(root: Path) -> Path:
    tokenizer = qwen_tokenizer(size=151643, special=[*_QWEN_SPECIAL, "<extra_0>"])
    body = _loud(Qwen2Model(_shrunk(Qwen2Config, tokenizer, hidden_size=16)), 1)
    head = _head("score.0", 16, bias=True, seed=2) | _head("score.2", 2, bias=True, seed=3)
    remote = {"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel", "AutoConfig": "configuration_qwen2_rm.C"}
    return _save_headed(
        root / "qwen-copy", body, tokenizer, head, architectures=["Qwen2ForProcessRewardModel"], auto_map=remote
    )


def _rlhflow(root: Path) -> Path:
    tokenizer = llama3_tokenizer()
    model = _loud(LlamaForCausalLM(_shrunk(LlamaConfig, tokenizer)), 4)
    return _save(root / "Llama3.1-8B-PRM-Deepseek-Data", model, tokenizer)


def _math_shepherd(root: Path) -> Path:
    # a Mistral model whose published configuration calls it a Llama
    tokenizer = sentencepiece_tokenizer(size=12950, fixed={"▁+": 648, "▁-": 387, "▁ки": 12902})
    model = _loud(LlamaForCausalLM(_shrunk(LlamaConfig, tokenizer)), 5)
    return _save(root / "math-shepherd-mistral-7b-prm", model, tokenizer)


def _skywork(root: Path) -> Path:
    tokenizer = qwen_tokenizer(bos_token="<|endoftext|>")
    model = _loud(Qwen2ForCausalLM(_shrunk(Qwen2Config, tokenizer)), 6)
    head = _head("v_head.summary", 1, bias=True, seed=7)
    return _save_headed(root / "sky-copy", model, tokenizer, head, prefix="", architectures=["Qwen2ForPrmModel"])


def _pure(root: Path) -> Path:
    tokenizer = qwen_tokenizer()
    model = _loud(Qwen2ForTokenClassification(_shrunk(Qwen2Config, tokenizer, num_labels=2)), 8)
    return _save(root / "pure-copy", model, tokenizer)


def _trl_with_bos(root: Path) -> Path:
    tokenizer = llama3_tokenizer()
    model = _loud(LlamaForTokenClassification(_shrunk(LlamaConfig, tokenizer, num_labels=2)), 9)
    return _save(root / "trl-copy", model, tokenizer)


def _with_reference(root: Path, family: str, folder: str, tokenizer: Any, make: Callable[[int], Any]) -> Path:
    _save(root / folder, make(10), tokenizer)
    _save(root / "reference", make(11), None)
    return _card(root, family, model=folder, implicit={"reference": "reference"})


def _card(root: Path, family: str, **fields: Any) -> Path:
    (root / "card.yaml").write_text(yaml.safe_dump({"family": family} | fields))
    return root / "card.yaml"


def _eurus(root: Path) -> Path:
    tokenizer = qwen_tokenizer()
    config = _shrunk(Qwen2Config, tokenizer)
    return _with_reference(
        root, "eurusprm", "EurusPRM-Stage2", tokenizer, lambda seed: _loud(Qwen2ForCausalLM(config), seed)
    )


def _implicit(root: Path) -> Path:
    tokenizer = llama3_tokenizer()
    config = _shrunk(LlamaConfig, tokenizer)
    return _with_reference(
        root, "implicitprm", "ImplicitPRM_DPO", tokenizer, lambda seed: _loud(LlamaForCausalLM(config), seed)
    )


def _reasoneval_7b(root: Path) -> Path:
    tokenizer = sentencepiece_tokenizer(pad_token="<s>")
    body = _loud(MistralModel(_shrunk(MistralConfig, tokenizer)), 12)
    head = _head("score_head", 3, bias=False, seed=13)
    extra = {"architectures": ["ReasonEval_7B"], "score_dimension": 3, "use_bias": False}
    return _save_headed(root / "reason-small", body, tokenizer, head, **extra)


def _reasoneval_34b(root: Path) -> Path:
    tokenizer = sentencepiece_tokenizer(pad_token="</s>", legacy=False)
    body = _loud(LlamaModel(_shrunk(LlamaConfig, tokenizer)), 14)
    head = _head("score_head", 3, bias=False, seed=15)
    extra = {"architectures": ["ReasonEval_34B"], "score_dim": 3, "bias": False}
    return _save_headed(root / "reason-large", body, tokenizer, head, **extra)


def _math_psa(root: Path) -> Path:
    tokenizer = qwen_tokenizer(size=76400, fixed={"ĠĊĊĊĊĊ": 76325, "Ġ+": 488, "Ġ-": 481})
    model = _loud(Qwen2ForCausalLM(_shrunk(Qwen2Config, tokenizer)), 16)
    return _save(root / "Math-psa", model, tokenizer)


def _llemma(root: Path) -> Path:
    tokenizer = sentencepiece_tokenizer(legacy=False)
    model = _loud(LlamaForCausalLM(_shrunk(LlamaConfig, tokenizer)), 17)
    _save(root / "llemma-7b-prm-prm800k-level-1to3-hf", model, None)
    tokenizer.save_pretrained(root / "llemma_7b")
    return _card(root, "llemma-prm", model="llemma-7b-prm-prm800k-level-1to3-hf", tokenizer="llemma_7b")


MINIATURES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "qwen2.5-math-prm": ("qwen2.5-math-prm", _qwen_prm),
    "rlhflow": ("rlhflow", _rlhflow),
    "math-shepherd": ("math-shepherd", _math_shepherd),
    "skywork-prm": ("skywork-prm", _skywork),
    "pure": ("token-classification", _pure),
    "trl": ("token-classification", _trl_with_bos),
    "eurusprm": ("eurusprm", _eurus),
    "implicitprm": ("implicitprm", _implicit),
    "reasoneval-7b": ("reasoneval-7b", _reasoneval_7b),
    "reasoneval-34b": ("reasoneval-34b", _reasoneval_34b),
    "math-psa": ("math-psa", _math_psa),
    "llemma-prm": ("llemma-prm", _llemma),
}
"""By name: the family, and what makes the checkpoint."""


def make_miniature(name: str, root: Path) -> Path:
    """Make a miniature below an empty folder and return what `load_judge` opens.

    That is a checkpoint directory, or a YAML card where the judge consists of several checkpoints.
    """
    root.mkdir(parents=True, exist_ok=True)
    return MINIATURES[name][1](root)


__all__ = ["MINIATURES", "llama3_tokenizer", "make_miniature", "qwen_tokenizer", "sentencepiece_tokenizer"]

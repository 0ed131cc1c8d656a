"""The `tiny` preset: a small Llama model and a tokenizer, built on the fly and saved as an ordinary checkpoint.

It needs no download, and the quick start and the tests use it; everything downstream treats it like any checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

from judgekit.io import weights_written_to
from judgekit.training.config import TinyConfig

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
MAX_SAMPLE_CHARS = 4_000_000
"""Text read for the tokenizer; more does not change a vocabulary this small."""


def build_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that keeps numbers apart from other text and can encode any text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("[0-9]{1,3}|\n"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(texts), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS)


def _sample(texts: Iterable[str]) -> Iterable[str]:
    n_chars = 0
    for text in texts:
        yield text
        n_chars += len(text)
        if n_chars > MAX_SAMPLE_CHARS:
            return


def build_tiny(output: Path, texts: Iterable[str], config: TinyConfig) -> int:
    """Write a tiny causal language model with its tokenizer and return the number of its parameters."""
    tokenizer = build_tokenizer(texts, vocab_size=config.vocab_size)
    set_seed(config.seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.hidden_size,
            intermediate_size=round(config.hidden_size * 8 / 3 / 16) * 16,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            max_position_embeddings=config.max_tokens,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    tokenizer.model_max_length = config.max_tokens
    with weights_written_to(output):
        model.save_pretrained(output)
        tokenizer.save_pretrained(output)
    return int(model.num_parameters())

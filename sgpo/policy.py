"""Opening a policy, rendering its prompts, and measuring its accuracy on held-out problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig

from judgekit.answers import OutcomeCheck
from judgekit.engines.scoring.load import check_sizes, load_language_model, load_tokenizer
from judgekit.errors import CheckpointError
from judgekit.text.prompts import ChatPrompt, Prompt, RawPrompt, fixed_chance, with_fixed_clock
from judgekit.types import Problem


class Policy(NamedTuple):
    """A causal language model with its tokenizer."""

    model: Any
    """The model, weights in float32."""
    tokenizer: Any
    """Its tokenizer; pads on the left and has a padding token."""


class Accuracy(NamedTuple):
    """How a policy did on a set of problems."""

    n_right: int
    """Responses with the right answer."""
    n_known: int
    """Responses whose answer could be checked."""
    n_unknown: int
    """Responses whose answer could not be told, left out of the accuracy."""

    @property
    def value(self) -> float | None:
        """Share of right answers among the checked ones, `None` where none was."""
        return self.n_right / self.n_known if self.n_known else None


def load_policy(name: str) -> Policy:
    """Open a policy from a directory or the Hub: safetensors only, no remote code, weights in float32.

    Raises:
        CheckpointError: model or tokenizer is missing, or has no end-of-text token.
    """
    tokenizer = load_tokenizer(name, padding_side="left")
    if tokenizer.eos_token_id is None:
        raise CheckpointError(f"the tokenizer of {name} has no end-of-text token, so responses would never end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = load_language_model(name)
    check_sizes(model, tokenizer)
    return Policy(model, tokenizer)


def render_prompt(problem: str, prompt: RawPrompt | ChatPrompt) -> Prompt:
    """Return the prompt of a problem as TRL takes it: text, or a conversation."""
    return prompt.build(problem)


def encode_prompts(tokenizer: Any, prompts: Sequence[Prompt]) -> Any:
    """Tokenize prompts as TRL does, padded on the left: `input_ids` and `attention_mask`, shape (B, T) each.

    A chat template that asks for the day is told `CHAT_DATE`, so that a run over midnight and a resumed one see the
    same prompts.
    """
    if isinstance(prompts[0], str):
        return tokenizer(list(prompts), padding=True, padding_side="left", return_tensors="pt")
    with fixed_chance():
        return tokenizer.apply_chat_template(
            list(prompts),
            chat_template=with_fixed_clock(tokenizer.get_chat_template()),
            add_generation_prompt=True,
            tokenize=True,
            padding=True,
            return_dict=True,
            return_tensors="pt",
            tokenizer_kwargs={"padding_side": "left"},
        )


@torch.no_grad()
def generate_texts(
    policy: Policy, prompts: Sequence[Prompt], *, max_tokens: int, temperature: float | None, batch_size: int
) -> list[str]:
    """Return one response a prompt, without special tokens; greedy where `temperature` is `None`."""
    model, tokenizer = policy
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature is not None:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0}
    ends = model.generation_config.eos_token_id
    generation = GenerationConfig(
        max_new_tokens=max_tokens,
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        pad_token_id=tokenizer.pad_token_id,
        **sampling,
    )
    texts: list[str] = []
    for start in range(0, len(prompts), batch_size):
        batch = encode_prompts(tokenizer, prompts[start : start + batch_size]).to(model.device)
        output = model.generate(**batch, generation_config=generation)
        texts += tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def measure_accuracy(texts: Sequence[str], problems: Sequence[Problem], *, check: OutcomeCheck) -> Accuracy:
    """Check each response against the answer of its problem."""
    outcomes = check.check_many([(text, problem.answer) for text, problem in zip(texts, problems, strict=True)])
    known = [outcome for outcome in outcomes if outcome is not None]
    return Accuracy(
        n_right=sum(outcome > 0.5 for outcome in known), n_known=len(known), n_unknown=len(outcomes) - len(known)
    )


__all__ = [
    "Accuracy", "Policy", "Prompt", "encode_prompts", "generate_texts", "load_policy", "measure_accuracy",
    "render_prompt",
]  # fmt: skip

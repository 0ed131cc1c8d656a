"""Methods to read a language model's rating of every step: ours, and those of public scripts, as these write them.

Each returns, for every solution, the logit of a "right" token minus that of a "wrong" one at every step. Axes: `_N`
solutions, `_S` steps, `_B` solutions of a batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from judgekit.engines.scoring.encoded import Encoded
from judgekit.engines.scoring.forward import token_choice_logits
from judgekit.engines.scoring.vllm import VllmClassifier
from judgekit.errors import CheckpointError, ConfigError
from judgekit.text.prompts import Message, apply_chat_template
from judgekit.types import Precision, Solution


@dataclass(frozen=True)
class Reader:
    """A causal language model and the two tokens that are read."""

    model: Any
    """The model, in evaluation mode."""
    labels: tuple[int, int]
    """Token ids of "right" and "wrong"."""
    pad_id: int
    """Token id to pad with."""
    token_budget: int
    """Most tokens of a forward pass of our engine."""

    def engine(self, encoded_N: Sequence[Encoded], *, share: bool = True) -> list[np.ndarray]:
        """Our engine, with shared prefixes computed once or not."""
        logits_N = token_choice_logits(
            self.model,
            encoded_N,
            token_ids=self.labels,
            token_budget=self.token_budget,
            pad_id=self.pad_id,
            share=share,
        )
        return [logits_S[:, 0] - logits_S[:, 1] for logits_S in logits_N]

    @torch.no_grad()
    def one_at_a_time(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """One call a solution, logits of the whole vocabulary at every token."""
        found = []
        for encoded in encoded_N:
            logits = self.model(input_ids=self._ids([encoded.input_ids])).logits
            found.append(self._read(logits[0, encoded.positions_S]))
        return found

    @torch.no_grad()
    def one_at_a_time_few_logits(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """One call a solution, logits at the step positions only."""
        found = []
        for encoded in encoded_N:
            hidden = self.model.base_model(input_ids=self._ids([encoded.input_ids]))[0]
            found.append(self._read(self.model.get_output_embeddings()(hidden[0, encoded.positions_S])))
        return found

    @torch.no_grad()
    def padded_batches(self, encoded_N: Sequence[Encoded], *, batch_size: int) -> list[np.ndarray]:
        """Batches as the solutions come, padded to the longest, logits of the whole vocabulary at every token."""
        found = []
        for start in range(0, len(encoded_N), batch_size):
            batch = encoded_N[start : start + batch_size]
            width = max(len(encoded.input_ids) for encoded in batch)
            rows = [encoded.input_ids + [self.pad_id] * (width - len(encoded.input_ids)) for encoded in batch]
            mask = [[1] * len(encoded.input_ids) + [0] * (width - len(encoded.input_ids)) for encoded in batch]
            logits_B = self.model(input_ids=self._ids(rows), attention_mask=self._ids(mask)).logits
            found += [self._read(logits[item.positions_S]) for logits, item in zip(logits_B, batch, strict=True)]
        return found

    @torch.no_grad()
    def one_call_a_step(self, encoded_N: Sequence[Encoded], *, n_behind: int) -> list[np.ndarray]:
        """One call a step over all that comes before it, logits of the whole vocabulary at every token.

        Args:
            encoded_N: Solutions as conversations.
            n_behind: Tokens behind a score position that a script encodes with it: the label and the end of its turn.
        """
        found = []
        for encoded in encoded_N:
            calls = [encoded.input_ids[: position + 1 + n_behind] for position in encoded.positions_S]
            logits = [self.model(input_ids=self._ids([ids])).logits[0, [-1 - n_behind]] for ids in calls]
            found.append(self._read(torch.cat(logits)))
        return found

    def _ids(self, rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor(rows, device=self.model.device)

    def _read(self, logits_S: torch.Tensor) -> np.ndarray:
        ok, error = self.labels
        return (logits_S[:, ok].float() - logits_S[:, error].float()).cpu().numpy()


class VllmMethod:
    """vLLM's pooling runner on a classifier whose head gives the two labels' logits; in this process, for its CPU time.

    Args:
        reader: The language model and its labels.
        tokenizer: Its tokenizer.
        folder: Where the classifier is written.
        max_tokens: Longest solution.

    Raises:
        CheckpointError: vLLM does not know the architecture.
        ConfigError: vLLM is not installed.
    """

    def __init__(self, reader: Reader, tokenizer: Any, folder: Path, *, max_tokens: int) -> None:
        save_label_classifier(reader, folder)
        tokenizer.save_pretrained(folder)
        # Its processor time counts only where it runs in this process.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        dtype: Precision = "float32" if reader.model.dtype == torch.float32 else "bfloat16"
        self.classifier = VllmClassifier(str(folder), dtype=dtype, max_tokens=max_tokens)

    def judge(self, encoded_N: Sequence[Encoded]) -> list[np.ndarray]:
        """Judge them all."""
        return [logits_S[:, 0] - logits_S[:, 1] for logits_S in self.classifier.score_positions(encoded_N)]


def save_label_classifier(reader: Reader, folder: Path) -> None:
    """Write a token-classification checkpoint whose two outputs are the labels' logits."""
    model, rows = reader.model, list(reader.labels)
    config = AutoConfig.for_model(**model.config.to_dict() | {"num_labels": 2})
    classifier = AutoModelForTokenClassification.from_config(config, dtype=model.dtype)
    classifier.base_model.load_state_dict(model.base_model.state_dict())
    output = model.get_output_embeddings()
    with torch.no_grad():
        classifier.score.weight.copy_(output.weight[rows])
        classifier.score.bias.copy_(0 if output.bias is None else output.bias[rows])
    classifier.save_pretrained(folder)


def encode_chat(tokenizer: Any, solution: Solution, *, label: str) -> tuple[Encoded, int]:
    """Encode a solution as a conversation, each step a user turn that the assistant answers with the label.

    Returns:
        The conversation, read before each answer, and how many tokens each answer takes with the end of its turn.

    Raises:
        ConfigError: the tokenizer has no chat template, it refuses the conversation, or a longer conversation does not
            begin with the shorter one.

    Source:
        RLHFlow's +/- process reward models: the first user turn is problem, blank and first step.
    """

    def encode(*, add_generation_prompt: bool) -> list[int]:
        try:
            text = apply_chat_template(tokenizer, turns, add_generation_prompt=add_generation_prompt)
        except CheckpointError as error:
            raise ConfigError(f"conversations cannot be measured: {error}; or set chat=false") from error
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    turns: list[Message] = []
    ids: list[int] = []
    positions_S, n_behind = [], 0
    for step, text in enumerate(solution.steps):
        turns.append({"role": "user", "content": f"{solution.problem} {text}" if step == 0 else text})
        asked = encode(add_generation_prompt=True)
        turns.append({"role": "assistant", "content": label})
        answered = encode(add_generation_prompt=False)
        # All steps are read in one pass, which needs every conversation to be the beginning of the next.
        if asked[: len(ids)] != ids or answered[: len(asked)] != asked:
            raise ConfigError("this chat template does not continue a conversation as it began: set chat=false")
        ids, n_behind = answered, len(answered) - len(asked)
        positions_S.append(len(asked) - 1)
    return Encoded(ids, positions_S), n_behind


def label_id(tokenizer: Any, text: str) -> int:
    """Return the token id of a label: the last token of its text.

    Raises:
        ConfigError: the text gives no token.
    """
    ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
    if not ids:
        raise ConfigError(f"the label {text!r} gives no token with this tokenizer: choose another")
    return ids[-1]

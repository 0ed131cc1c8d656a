"""Trains a small language model on solutions: the base of judges and policies that need no download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import torch
from transformers import Trainer, set_seed

from judgekit.engines.scoring.load import check_sizes, load_language_model, load_tokenizer
from judgekit.errors import DataError
from judgekit.io import read_records, weights_written_to
from judgekit.run import Run
from judgekit.training.config import LanguageModelConfig
from judgekit.training.loop import MetricsCallback, loop_arguments, train, warn_of_few_steps
from judgekit.training.tiny import build_tiny
from judgekit.types import LabelledSolution

IGNORED = -100
"""Label of tokens that carry no loss."""
MODEL = "model"
"""Folder of the trained model below the run's output."""


class TokenRow(TypedDict):
    """One text to train on."""

    input_ids: list[int]
    """Its tokens. Shape (T,)."""
    labels: list[int]
    """What is to be predicted at each, `IGNORED` where nothing is. Shape (T,)."""


def solution_text(solution: LabelledSolution, *, separator: str) -> tuple[str, str]:
    """Return prompt and completion: the problem with a separator behind it, and the steps joined by it."""
    return solution.problem + separator, separator.join(solution.steps)


def train_language_model(config: LanguageModelConfig, output: Path, *, resume: bool = False) -> Path:
    """Build the tiny model, train it on the solutions and return the checkpoint directory.

    Raises:
        ConfigError: the output folder is in use, or the run resumed has another configuration.
        DataError: the data set is missing or empty.
    """
    run = Run(output, config, inputs=[config.data], resume=resume)
    if run.finished:
        return output / MODEL
    solutions = [
        s for s in read_records(config.data, LabelledSolution) if not config.only_correct or s.first_error is None
    ]
    texts = [solution_text(solution, separator=config.separator) for solution in solutions]
    if config.model is None:
        build_tiny(output / "init", (prompt + completion for prompt, completion in texts), config.preset)
    start = config.model or str(output / "init")
    tokenizer = load_tokenizer(start)
    rows = _encode(tokenizer, texts, max_tokens=config.preset.max_tokens)
    warn_of_few_steps(config, n_rows=len(rows))
    set_seed(config.seed)
    model = load_language_model(start)
    check_sizes(model, tokenizer)
    trainer = Trainer(
        model=model,
        args=loop_arguments(config, output),
        train_dataset=rows,
        data_collator=Collator(pad_id=tokenizer.pad_token_id),
        callbacks=[MetricsCallback(run, "pretrain")],
    )
    train(trainer, run, report_to=config.report_to)
    with weights_written_to(output / MODEL):
        model.save_pretrained(output / MODEL)
        tokenizer.save_pretrained(output / MODEL)
    n_tokens = sum(len(row["input_ids"]) for row in rows)
    run.finish({"n_solutions": len(solutions), "n_tokens": n_tokens, "n_parameters": model.num_parameters()})
    return output / MODEL


def _encode(tokenizer: Any, texts: Sequence[tuple[str, str]], *, max_tokens: int) -> list[TokenRow]:
    prompts = tokenizer([prompt for prompt, _ in texts], add_special_tokens=False).input_ids
    completions = tokenizer([completion for _, completion in texts], add_special_tokens=False).input_ids
    rows: list[TokenRow] = []
    for prompt, completion in zip(prompts, completions, strict=True):
        completion = [*completion, tokenizer.eos_token_id]
        if len(prompt) + len(completion) > max_tokens:
            raise DataError(
                f"a solution has {len(prompt) + len(completion)} tokens, more than preset.max_tokens="
                f"{max_tokens}: raise it or build shorter solutions"
            )
        rows.append({"input_ids": prompt + completion, "labels": [IGNORED] * len(prompt) + completion})
    return rows


@dataclass(frozen=True)
class Collator:
    """Pads token ids and labels of a batch to its longest row, on the right."""

    pad_id: int
    """Token id to pad with."""

    def __call__(self, rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and `labels`. Shape (B, T) each."""
        width = max(len(row["input_ids"]) for row in rows)
        batch = {
            "input_ids": torch.full((len(rows), width), self.pad_id),
            "attention_mask": torch.zeros((len(rows), width), dtype=torch.long),
            "labels": torch.full((len(rows), width), IGNORED),
        }
        for index, row in enumerate(rows):
            n = len(row["input_ids"])
            batch["input_ids"][index, :n] = torch.as_tensor(row["input_ids"])
            batch["attention_mask"][index, :n] = 1
            batch["labels"][index, :n] = torch.as_tensor(row["labels"])
        return batch

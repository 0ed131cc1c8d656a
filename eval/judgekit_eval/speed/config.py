"""Options of `judgekit bench`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig


class BenchConfig(BaseConfig):
    """What `judgekit bench` measures."""

    model: str = Field(min_length=1)
    """Checkpoint or judge; opened as a causal language model whatever its head, since only its speed matters;
    `--model` on the command line."""
    data: Path
    """Solutions: a data set folder, a parquet or a JSON-lines file; `--input` on the command line."""
    n_solutions: int = Field(default=16, ge=1)
    """Solutions that every method judges in every round."""
    rounds: int = Field(default=3, ge=1)
    """How often each method is run; the median counts."""
    threads: int | None = Field(default=1, ge=1)
    """CPU threads; `null` leaves torch's choice."""
    token_budget: int = Field(default=8192, ge=1)
    """Most tokens of a forward pass of our engine, as judges have it."""
    group_size: int = Field(default=8, ge=2)
    """Responses of a group, and solutions of a padded batch."""
    long_problem_tokens: int = Field(default=510, ge=1)
    """Least tokens of the group's long problem, which is several problems in a row."""
    bfloat16: bool = True
    """Whether bfloat16 is measured, too: very slow where the processor has no instructions for it."""
    chat: bool = True
    """Whether one call a step of a conversation is measured, too; needs a tokenizer with a chat template."""
    vllm: bool = False
    """Whether vLLM's pooling runner is measured, too, on the same weights; needs vLLM in this environment."""
    labels: tuple[str, str] = ("+", "-")
    """Texts of the tokens whose logits are read."""
    seed: int = 0
    """Seed of the choice of solutions."""

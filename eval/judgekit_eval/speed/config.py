"""Options of `judgekit bench`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from judgekit.config import BaseConfig


class BenchConfig(BaseConfig):
    """What `judgekit bench` measures."""

    model: str = Field(min_length=1)
    """Checkpoint or judge; opened as a causal language model whatever its head, because only its speed matters;
    `--model` on the command line."""
    data: Path
    """Solutions: a data set folder, a parquet or a JSON-lines file; `--input` on the command line."""
    n_solutions: int = Field(default=16, ge=1)
    """Solutions that every method judges in every round."""
    rounds: int = Field(default=3, ge=1)
    """Number of runs of each method; the median counts."""
    threads: int | None = Field(default=1, ge=1)
    """CPU threads; `null` leaves the choice to torch."""
    token_budget: int = Field(default=8192, ge=1)
    """Maximum tokens of a forward pass of our engine, as in judges."""
    group_size: int = Field(default=8, ge=2)
    """Responses per group, and solutions per padded batch."""
    long_problem_tokens: int = Field(default=510, ge=1)
    """Minimum tokens of the group's long problem, which is several problems in a row."""
    bfloat16: bool = True
    """Whether to measure bfloat16, too: very slow if the processor has no instructions for it."""
    chat: bool = True
    """Whether to measure one call per step of a conversation, too; needs a tokenizer with a chat template."""
    vllm: bool = False
    """Whether to measure vLLM's pooling runner, too, on the same weights; needs vLLM in this environment."""
    labels: tuple[str, str] = ("+", "-")
    """Texts of the tokens whose logits are read."""
    seed: int = 0
    """Seed of the choice of solutions."""

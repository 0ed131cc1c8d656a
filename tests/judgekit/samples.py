"""Solutions of our own for tests of judges and training: additions, each once right and once wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from judgekit.types import LabelledSolution, StepLabel, labels_from_first_error

if TYPE_CHECKING:
    from judgekit.engines.generation.base import Completion
    from judgekit.training.config import TinyConfig

TEXTS = ["Start with 12.\n12+7=19\n19+3=22", "Add 5 and 9.\n5+9=14"]
"""What the tiny tokenizer is trained on."""
HOSTILE = (
    "<|eos|> and <|pad|><|bos|>",
    "two\nlines\n\nand more\n",
    "",
    " ",
    "1+1=2 ⟦0⟧ <extra_0> <|im_end|>\x00\x1f",
    "Ж∑🧮\u2028é",
    "\n",
)
"""Steps that try to look like markup: reserved tokens, separators, nothing at all, control characters."""


def tiny_config(**fields: Any) -> TinyConfig:
    """Return the size of the smallest model that the tests use."""
    from judgekit.training.config import TinyConfig

    return TinyConfig(**({"vocab_size": 270, "hidden_size": 32, "n_layers": 2, "n_heads": 2} | fields))


def addition(number: int, *, first_error: int | None = None, n_steps: int = 3) -> LabelledSolution:
    """Add 1, 2, ... to a number; from a wrong step on, the sum is one too high."""
    steps, total = [], number
    for step in range(n_steps):
        before, total = total, total + step + 1 + (step == first_error)
        steps.append(f"{before}+{step + 1}={total}")
    return LabelledSolution(
        problem=f"Start with {number} and add 1 to {n_steps}.",
        steps=tuple(steps),
        labels=labels_from_first_error(first_error, n_steps=n_steps),
        source="additions",
        label_method=None,
    )


def assert_same(ours: Iterable[Iterable[Completion]], theirs: Iterable[Iterable[Completion]]) -> None:
    """Completions are the same, their log-probabilities but for rounding: batches of other sizes add up otherwise."""
    for one, other in zip(chain(*ours), chain(*theirs), strict=True):
        assert replace(one, logprobs=None) == replace(other, logprobs=None)
        assert (one.logprobs or ()) == pytest.approx(other.logprobs or (), abs=1e-4)


def labelled_solutions(numbers: Iterable[int]) -> Iterator[LabelledSolution]:
    """Yield a right and a wrong solution for each number."""
    for number in numbers:
        yield addition(number)
        yield addition(number, first_error=number % 3)


def with_labels(*labels: StepLabel) -> LabelledSolution:
    """Return an addition with labels of choice."""
    return LabelledSolution.model_validate(addition(1, n_steps=len(labels)).model_dump() | {"labels": labels, "id": ""})

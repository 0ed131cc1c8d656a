"""A tiny generator source, and what the tests of building and splitting share."""

from __future__ import annotations

from collections.abc import Iterator

from judgekit.config import BaseConfig
from judgekit.types import LabelledSolution, LabelMethod, labels_from_first_error
from judgekit_datasets.source import GeneratorSource


class CountingConfig(BaseConfig):
    """How many solutions to make, of how many problems."""

    n: int = 10
    n_problems: int = 10


def count(config: CountingConfig) -> Iterator[LabelledSolution]:
    """Yield solutions of two steps; every third one goes wrong in its second."""
    for i in range(config.n):
        yield LabelledSolution(
            problem=f"Count to {i % config.n_problems}.",
            steps=("I begin.", f"Attempt {i}."),
            labels=labels_from_first_error(1 if i % 3 == 0 else None, n_steps=2),
            source="counting",
            label_method=LabelMethod.PROCEDURAL,
        )


COUNTING = GeneratorSource("counting", LabelledSolution, CountingConfig, count)

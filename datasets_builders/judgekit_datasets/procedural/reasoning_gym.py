"""Problems of reasoning-gym, and the worked solutions of its `gsm_symbolic`; needs the extra `reasoning-gym`.

Each of its data sets gives problems with answers. Only one gives solutions in steps: the chains of thought of
`gsm_symbolic`, which are correct. They are kept if every stated equation holds and the last line is the answer, and
otherwise rejected with a reason; wrong solutions can be made from them with the source `injection`. `gsm_symbolic` uses
templates of GSM8K *test* problems: training on it overlaps with benchmarks that are made from these.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from judgekit.config import BaseConfig
from judgekit.errors import ConfigError
from judgekit.text.arithmetic.calculations import parse_step
from judgekit.text.identity import problem_id
from judgekit.types import LabelledSolution, LabelMethod, Problem, StepLabel
from judgekit_datasets.source import GeneratorSource, RowRejected

SOURCE = "reasoning-gym"
SOLVED = "gsm_symbolic"
"""The only data set of reasoning-gym with solutions in steps."""
_ANSWER_MARK = "####"


class ReasoningGymConfig(BaseConfig):
    """Which problems to make."""

    n: int = Field(default=1000, ge=1)
    """Number of problems to draw; a few may be duplicates or have no answer, and are then rejected."""
    seed: int = 0
    """Seed of everything random."""
    datasets: tuple[str, ...] = Field(default=(SOLVED,), min_length=1)
    """Data sets by their names in reasoning-gym, drawn from in turn."""
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Options per data set, for example `{chain_sum: {min_terms: 3}}`; anything left out has its default."""


class ReasoningGymSolutionsConfig(BaseConfig):
    """Which solutions to make."""

    n: int = Field(default=1000, ge=1)
    """Number of solutions to draw; those that cannot be checked are rejected."""
    seed: int = 0
    """Seed of everything random."""


def generate_problems(config: ReasoningGymConfig) -> Iterator[Problem | RowRejected]:
    """Yield a problem, or why there is none, `config.n` times.

    Raises:
        ConfigError: the extra is not installed, or a data set or an option is unknown.
    """
    unused = sorted(config.options.keys() - set(config.datasets))
    if unused:
        raise ConfigError(f"options for {unused[0]!r}, which is not among the datasets {', '.join(config.datasets)}")
    n_each = -(-config.n // len(config.datasets))
    opened = [_open(name, config.options.get(name, {}), seed=config.seed, n=n_each) for name in config.datasets]
    for number in range(config.n):
        entry = opened[number % len(opened)][number // len(opened)]
        problem, answer = entry["question"], entry["answer"]
        if isinstance(answer, str) and answer.strip():
            yield Problem(problem_id=problem_id(problem), problem=problem, answer=answer, source=SOURCE)
        else:
            yield RowRejected("no answer", f"{answer!r} for {problem!r}")


def generate_solutions(config: ReasoningGymSolutionsConfig) -> Iterator[LabelledSolution | RowRejected]:
    """Yield a correct solution in steps, or why there is none, `config.n` times.

    Raises:
        ConfigError: the extra is not installed.
    """
    opened = _open(SOLVED, {}, seed=config.seed, n=config.n)
    for number in range(config.n):
        yield _solution(opened[number])


def _open(name: str, options: Mapping[str, Any], *, seed: int, n: int) -> Any:
    """Open a data set. Near seeds of reasoning-gym share most of their draws, so ours are spread by a hash."""
    try:
        factory = importlib.import_module("reasoning_gym.factory")
    except ImportError as error:
        raise ConfigError(f"reasoning-gym is not installed ({error}): pip install 'sgpo[reasoning-gym]'") from error
    if name not in factory.DATASETS:
        nearest = difflib.get_close_matches(name, factory.DATASETS, n=1, cutoff=0.0)[0]
        raise ConfigError(f"reasoning-gym has no data set {name!r}; did you mean {nearest!r}?")
    spread = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:6], "big")
    try:
        return factory.create_dataset(name, seed=spread, size=n, **options)
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"reasoning-gym refuses the options {dict(options)} of {name!r}: {error}") from error


def _solution(entry: Mapping[str, Any]) -> LabelledSolution | RowRejected:
    problem, answer = entry["question"], entry["answer"]
    *lines, last = [line.strip() for line in entry["metadata"]["answer_cot"].split("\n") if line.strip()]
    # The chain of thought may end at 12.0 where the answer is 12.
    if last.removeprefix(_ANSWER_MARK).strip().removesuffix(".0") != answer:
        return RowRejected("the solution ends at another answer", f"{last!r} instead of {answer!r} for {problem!r}")
    steps = [parse_step(line) for line in lines]
    unclear = next((step.text for step in steps if not step.is_clean), None)
    if unclear is not None or not any(step.equations for step in steps):
        return RowRejected("a step cannot be checked", f"{unclear!r} for {problem!r}")
    wrong = next((step.text for step in steps if not all(map(step.holds, step.equations))), None)
    if wrong is not None:
        return RowRejected("a step is wrong", f"{wrong!r} for {problem!r}")
    return LabelledSolution(
        problem=problem,
        steps=tuple(lines),
        reference=answer,
        labels=(StepLabel.OK,) * len(lines),
        final_answer_correct=True,
        source=SOURCE,
        subset=SOLVED,
        generator=SOURCE,
        label_method=LabelMethod.PROCEDURAL,
        licence="Apache-2.0",
    )


PROBLEMS = GeneratorSource("reasoning-gym", Problem, ReasoningGymConfig, generate_problems)
"""Problems of its tasks."""
SOLUTIONS = GeneratorSource(
    "reasoning-gym-solutions", LabelledSolution, ReasoningGymSolutionsConfig, generate_solutions
)
"""Labelled solutions of the tasks that are solved by steps."""

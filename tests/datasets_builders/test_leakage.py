"""The probe finds a shortcut that is there and none that is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from judgekit.errors import DataError
from judgekit.types import LabelledSolution, LabelMethod, labels_from_first_error
from judgekit_datasets.build import build
from judgekit_datasets.leakage import LeakageConfig, LeakageSample, measure_leakage
from tests.datasets_builders.fake_source import COUNTING, CountingConfig

WORDS = ["red", "green", "blue", "small", "large", "fast", "slow", "warm", "cold", "old", "new"]


def make(n: int, tell: Callable[[bool, random.Random], str], *, seed: int = 0) -> list[LabelledSolution]:
    """Make n solutions of n/4 problems, every second one wrong in its second step, which `tell` words."""
    rng = random.Random(seed)
    solutions = []
    for i in range(n):
        wrong = i % 2 == 1
        steps = (" ".join(rng.choices(WORDS, k=8)), tell(wrong, rng))
        solutions.append(
            LabelledSolution(
                problem=f"Problem {i // 4}",
                steps=steps,
                labels=labels_from_first_error(1 if wrong else None, n_steps=2),
                source="made",
                subset="slip" if wrong else "right",
                label_method=LabelMethod.PROCEDURAL,
            )
        )
    return solutions


def number(wrong: bool, rng: random.Random) -> str:
    """Wrong solutions have numbers from another range."""
    return f"so {rng.randint(10, 19) + 10 * wrong} {rng.choice(WORDS)}"


def test_a_tell_tale_word_is_found() -> None:
    report = measure_leakage(make(400, lambda wrong, rng: "clearly" if wrong else rng.choice(WORDS)))
    assert report.auroc > 0.99
    assert report.by_subset == {"slip": report.auroc}
    assert (report.n_wrong, report.n_right) == (200, 200)


def test_a_tell_tale_character_of_a_script_without_spaces_is_found() -> None:
    def tell(wrong: bool, rng: random.Random) -> str:
        return "".join([*rng.choices("\u5f97\u5230\u6570\u503c", k=6), "\u663e" if wrong else "\u7136", "\u5f97\u5230"])

    assert measure_leakage(make(400, tell)).auroc > 0.99


def test_words_that_say_nothing_give_chance() -> None:
    # Of 400 against 400 the standard deviation of the AUROC is about 0.02.
    assert measure_leakage(make(800, lambda _, rng: rng.choice(WORDS))).auroc == pytest.approx(0.5, abs=0.08)


def test_masked_numbers_do_not_count() -> None:
    solutions = make(800, number)
    assert measure_leakage(solutions).auroc > 0.95
    assert measure_leakage(solutions, LeakageConfig(numbers="masked")).auroc == pytest.approx(0.5, abs=0.08)


def test_steps_are_probed_up_to_the_first_error() -> None:
    solutions = make(400, lambda wrong, rng: "clearly" if wrong else rng.choice(WORDS))
    report = measure_leakage(solutions, LeakageConfig(unit="step"))
    assert (report.n_wrong, report.n_right) == (200, 600)
    assert report.auroc > 0.99


def test_a_problem_learnt_by_heart_is_no_shortcut() -> None:
    # The label follows from the problem's own word, which no other problem has.
    solutions = make(800, lambda _, rng: rng.choice(WORDS))
    by_heart = [
        solution.model_copy(update={"steps": (f"word{i // 4}", *solution.steps)})
        for i, solution in enumerate(solutions)
    ]
    assert measure_leakage(by_heart).auroc == pytest.approx(0.5, abs=0.08)


def test_a_sample_takes_whole_problems_in_any_order() -> None:
    solutions = make(600, number)
    config = LeakageConfig(max_solutions=200)
    samples = []
    for order in (solutions, solutions[::-1], random.Random(1).sample(solutions, 600)):
        sample = LeakageSample(config)
        for solution in order:
            sample.add(solution)
        samples.append(sample.solutions)
    assert samples[0] == samples[1] == samples[2]
    assert 190 < len(samples[0]) <= 200
    sampled = {solution.problem for solution in samples[0]}
    assert len(samples[0]) == sum(solution.problem in sampled for solution in solutions)


def test_too_few_problems_are_refused() -> None:
    with pytest.raises(DataError, match="at least 5 problems"):
        measure_leakage(make(16, number))
    with pytest.raises(DataError, match="at least 5 problems"):
        measure_leakage([s for s in make(80, number) if s.first_error is None])


def test_a_build_measures_it_when_asked(tmp_path: Path) -> None:
    options = CountingConfig(n=60, n_problems=20)
    asked = build(COUNTING, output=tmp_path / "asked", options=options, probe_leakage=True)
    assert asked.leakage_auroc is not None
    assert build(COUNTING, output=tmp_path / "unasked", options=options).leakage_auroc is None
    again = build(COUNTING, output=tmp_path / "asked", options=options, probe_leakage=True, resume=True)
    assert again.leakage_auroc == asked.leakage_auroc

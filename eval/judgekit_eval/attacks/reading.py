"""Does a judge read? Correct solutions with a problem that they do not answer, and steps that say nothing.

An attack hides an error. Here nothing is hidden: the solution stays the same and its problem changes, or the problem
stays and the steps say nothing, so what was correct no longer is. A judge that reads becomes less sure of it; one that
goes by style, position or length says the same as before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from judgekit.text.identity import content_id, group_problems
from judgekit.types import LabelledSolution, Solution
from judgekit_eval.attacks.nonsense import write_nonsense

Change = Callable[[Sequence[LabelledSolution], int], Iterable[tuple[str, tuple[str, ...]] | None]]
"""From correct solutions and a seed to the problem and the steps that the judge reads instead of each; `None` if the
change is not possible."""


@dataclass(frozen=True)
class ReadingTest:
    """One way to make correct solutions wrong without an error in them."""

    name: str
    """Name in results and on the command line."""
    expected: str
    """What a judge that reads does."""
    source: str
    """Where the idea comes from."""
    change: Change
    """Does it."""
    scores: bool
    """Whether the reading score counts it: the correct verdict changes for certain, and the solution is the same."""

    @property
    def description(self) -> str:
        """What it does, in one line."""
        return (self.change.__doc__ or "").partition("\n")[0]

    def apply(self, solutions: Sequence[LabelledSolution], *, seed: int) -> dict[int, Solution]:
        """Return what the judge reads instead, by the index of the solution, without those that are impossible."""
        return {
            row: Solution(id=f"{solution.id}:{self.name}", problem=made[0], steps=made[1])
            for row, (solution, made) in enumerate(zip(solutions, self.change(solutions, seed), strict=True))
            if made is not None
        }


# The problem


def remove_problems(solutions: Sequence[LabelledSolution], seed: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The solution without its problem."""
    for solution in solutions:
        yield "", solution.steps


def shuffle_problems(solutions: Sequence[LabelledSolution], seed: int) -> list[tuple[str, tuple[str, ...]] | None]:
    """Each solution next to the problem of another one, of the same subset.

    The problems of a subset are put in a circle, drawn at random, and each solution gets the one behind its own: no
    problem stays, each is used, and solutions of one problem stay together. Impossible where a subset has one problem.
    """
    problem_N = group_problems(solutions)
    circles: dict[tuple[str, str | None], dict[str, str]] = {}
    for problem, solution in zip(problem_N, solutions, strict=True):
        circles.setdefault((solution.source, solution.subset), {}).setdefault(problem, solution.problem)
    behind: dict[tuple[tuple[str, str | None], str], str] = {}
    for subset, texts in circles.items():
        order = sorted(texts)
        random.Random(content_id(seed=seed, change="problems-shuffled", subset=subset)).shuffle(order)
        if len(order) > 1:
            behind |= {(subset, problem): texts[order[i - 1]] for i, problem in enumerate(order)}
    foreign_N = [behind.get(((s.source, s.subset), p)) for s, p in zip(solutions, problem_N, strict=True)]
    return [None if f is None else (f, s.steps) for f, s in zip(foreign_N, solutions, strict=True)]


NUMBER = re.compile(r"(?<![\w.,\\])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w|[.,]\d)")
"""A plain number that stands by itself: no part of a word, an index, a LaTeX command or a longer number."""
_MARKER = re.compile(r"^\W*(?:step\s*)?\d+\s*[.):]\s", re.IGNORECASE | re.MULTILINE)
"""Number of a step or of a line of a list."""
N_DRAWS = 100
"""Draws of another number before a number is left alone."""


def change_numbers(solutions: Sequence[LabelledSolution], seed: int) -> Iterator[tuple[str, tuple[str, ...]] | None]:
    """Numbers of the problem that the solution uses replaced by others of the same shape; the solution stays.

    Impossible where the solution uses no number of the problem but 0 and 1, which say little by themselves.
    """
    for solution in solutions:
        used = {value for step in solution.steps for value in _values(_MARKER.sub(" ", step))}
        taken = used | _values(solution.problem)  # a number that is here already could make the solution right again
        rng = random.Random(content_id(seed=seed, change="numbers-changed", solution=solution.id))
        other: dict[str, str] = {}
        for text in dict.fromkeys(NUMBER.findall(solution.problem)):
            value = Fraction(text.replace(",", ""))
            drawn = next(_others(text, taken, rng), None) if value in used and value > 1 else None
            if drawn is not None:
                other[text] = drawn
                taken.add(Fraction(drawn.replace(",", "")))
        changed = NUMBER.sub(lambda match: other.get(match.group(), match.group()), solution.problem)  # noqa: B023
        yield (changed, solution.steps) if other else None


def _values(text: str) -> set[Fraction]:
    return {Fraction(number.replace(",", "")) for number in NUMBER.findall(text)}


def _others(text: str, taken: set[Fraction], rng: random.Random) -> Iterator[str]:
    """Yield drawn numbers as long as a number, with its signs and its zeros at both ends, that are not taken."""
    digits = [i for i, char in enumerate(text) if char.isdigit()]
    free = [i for i in digits if text[: i + 1].strip("0.,") and text[i:].strip("0.,")]
    for _ in range(N_DRAWS):
        drawn = list(text)
        for i in free:
            drawn[i] = str(rng.randint(1 if i in (free[0], free[-1]) else 0, 9))
        if Fraction("".join(drawn).replace(",", "")) not in taken:
            yield "".join(drawn)


# The steps


def say_nothing(solutions: Sequence[LabelledSolution], seed: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The problem next to as many steps of fluent text that says nothing, or is about something else."""
    for solution in solutions:
        rng = random.Random(content_id(seed=seed, change="fluent-nonsense", solution=solution.id))
        yield solution.problem, write_nonsense(len(solution.steps), rng).steps


BIASBENCH = "PRM-BiasBench, Reward Under Attack (2603.06621)"
OWN = "this project"
READING_TESTS: Mapping[str, ReadingTest] = {
    test.name: test
    for test in (
        ReadingTest(
            "problem-removed", "is less sure: nothing says where the numbers come from", OWN, remove_problems, False
        ),
        ReadingTest(
            "problems-shuffled", "finds an error: the solution answers another problem", OWN, shuffle_problems, True
        ),
        ReadingTest(
            "numbers-changed",
            "finds an error where the solution uses a number that its problem no longer gives",
            OWN,
            change_numbers,
            True,
        ),
        ReadingTest("nonsense-for-right", "finds an error: no step answers the problem", BIASBENCH, say_nothing, False),
    )
}
"""All of them by name."""

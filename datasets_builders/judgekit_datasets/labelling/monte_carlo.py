"""Labels steps by sampling: a step is correct if the solution can still be completed to the correct answer from it.

A policy completes the solution from each prefix several times, and the completions' answers are checked. The counts are
kept as soft labels; the hard label is an error if at most a threshold fraction succeeds, by default none.

Two ways to spend completions:

- `exhaustive` samples from every prefix and labels every step by its own counts.
- `binary_search` looks only for the first error. It assumes that if the answer cannot be reached from a prefix, it
    cannot be reached from a longer one. Under this assumption a solution with a correct final answer has no error and
    costs nothing, and one with a wrong answer costs at most ceil(log2(steps)) prefixes. Steps before the first error
    are correct, sampled or not; steps after it stay unlabelled. Steps that were not sampled have 0 rollouts.

The last step of a finished solution needs no sampling: its own answer is checked, and counts as one rollout.

Source:
    Math-Shepherd (2312.08935), hard and soft estimation; OmegaPRM (2406.06592), binary search for the first error. Our
    additions: completions that could not be checked are left out of the counts, and a solution with a step that would
    stay undecided is rejected.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Generator as Coroutine
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from judgekit.answers import OutcomeCheck, build_outcome, extract_answer
from judgekit.engines.generation.base import Completion, Generator
from judgekit.engines.generation.door import build_generator
from judgekit.errors import DataError
from judgekit.io import checkpoint_files, find_record_type, read_records
from judgekit.text.identity import HasProblem, exact_problem_id, problem_id
from judgekit.types import (
    LabelledSolution,
    LabelMethod,
    Problem,
    Record,
    Rollout,
    Solution,
    StepLabel,
    labels_from_first_error,
)
from judgekit_datasets.build_report import BuildReport
from judgekit_datasets.labelling.chunks import Label
from judgekit_datasets.labelling.config import MonteCarloConfig
from judgekit_datasets.labelling.run import Engine, run_labelling
from judgekit_datasets.labelling.tally import Attempt, Fate, find_fates, read_tally, write_tally
from judgekit_datasets.source import RowRejected

PROBLEM_ALONE = -1
"""Stands for the step before the first: the prefix without any step."""


class Candidate(Record):
    """A solution to be labelled: its text with the place of each step, and the correct answer."""

    id: str = Field(min_length=1)
    """Id of the solution or rollout."""
    problem_id: str
    """Id of the problem."""
    problem: str
    """Text of the problem."""
    text: str
    """The whole solution."""
    step_start: tuple[int, ...]
    """Where each step begins in `text`, in characters."""
    step_end: tuple[int, ...]
    """Where each step ends in `text`, in characters, exclusive."""
    finished: bool
    """Whether the solution has come to its end; false where it was cut off."""
    answer: str | None
    """The right final answer; `None` if unknown."""
    reference: str | None = None
    """Kept for the record."""
    source: str
    """Kept for the record."""
    subset: str | None = None
    """Kept for the record."""
    source_id: str | None = None
    """Kept for the record."""
    generator: str | None = None
    """Kept for the record."""
    licence: str | None = None
    """Kept for the record."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps' texts."""
        return tuple(self.text[start:end] for start, end in zip(self.step_start, self.step_end, strict=True))

    def prefix(self, n_steps: int) -> str:
        """Return the text up to where the step after the first `n_steps` begins; all of it for all steps."""
        return self.text if n_steps == len(self.step_start) else self.text[: self.step_start[n_steps]]


@dataclass
class Tally:
    """What is known about one candidate: the fates of completions from each sampled prefix."""

    n_steps: int
    """Steps of the candidate."""
    fates: dict[int, Counter[str]] = field(default_factory=dict)
    """0-based step, or `PROBLEM_ALONE` -> how many completions from the prefix that ends there had which fate."""
    final: Fate | None = None
    """What the solution's own final answer is; `None` if it was cut off."""
    n_tokens: int = 0
    """Tokens sampled."""

    @property
    def n_completions(self) -> int:
        """Completions spent."""
        return sum(counts.total() for counts in self.fates.values())

    def counts(self, step: int) -> tuple[int, int]:
        """Return (successes, checked completions) of a step; the final answer is one completion of the last."""
        if step == self.n_steps - 1 and self.final is not None:
            return int(self.final is Fate.RIGHT), int(self.final in (Fate.RIGHT, Fate.WRONG))
        fates = self.fates.get(step, Counter())
        return fates[Fate.RIGHT], fates[Fate.RIGHT] + fates[Fate.WRONG]

    def label(self, step: int, *, threshold: float) -> StepLabel:
        """Return the hard label of a step; unlabelled where nothing could be checked."""
        n_success, n_checked = self.counts(step)
        if not n_checked:
            return StepLabel.UNLABELLED
        # The quotient, not the product: 29 / 100 is 0.29 bit for bit, 0.29 * 100 is below 29.
        return StepLabel.ERROR if n_success / n_checked <= threshold else StepLabel.OK


def search_exhaustively(tally: Tally, *, threshold: float) -> Coroutine[list[int], None, tuple[StepLabel, ...]]:
    """Ask for completions from every step that needs them, then label each step by its own counts.

    Yields:
        The steps to sample from, 0-based; their fates are in the tally when the search goes on.

    Returns:
        One label per step.

    Raises:
        RowRejected: a step before the first error could not be scored.
    """
    n_sampled = tally.n_steps if tally.final is None else tally.n_steps - 1
    if n_sampled:
        yield list(range(n_sampled))
    labels = tuple(tally.label(step, threshold=threshold) for step in range(tally.n_steps))
    n_decided = labels.index(StepLabel.ERROR) if StepLabel.ERROR in labels else tally.n_steps
    for step in range(n_decided):
        if labels[step] is StepLabel.UNLABELLED:
            raise _unscored(tally, step)
    return labels


def search_by_bisection(tally: Tally, *, threshold: float) -> Coroutine[list[int], None, tuple[StepLabel, ...]]:
    """Halve the span of steps in which the first error lies, see the module; otherwise like `search_exhaustively`.

    Raises:
        RowRejected: a step that the search came to, or the final answer, could not be scored.
    """
    last_right, first_wrong = -1, tally.n_steps - 1
    if tally.final is None:
        yield [first_wrong]
    if _reaches_answer(tally, first_wrong, threshold=threshold):
        return labels_from_first_error(None, n_steps=tally.n_steps)
    # Right up to `last_right`, wrong from `first_wrong` on; the first error lies between.
    while first_wrong - last_right > 1:
        middle = (last_right + first_wrong) // 2
        yield [middle]
        if _reaches_answer(tally, middle, threshold=threshold):
            last_right = middle
        else:
            first_wrong = middle
    return labels_from_first_error(first_wrong, n_steps=tally.n_steps)


def _reaches_answer(tally: Tally, step: int, *, threshold: float) -> bool:
    label = tally.label(step, threshold=threshold)
    if label is StepLabel.UNLABELLED:
        raise _unscored(tally, step)
    return label is StepLabel.OK


def _unscored(tally: Tally, step: int) -> RowRejected:
    if step == tally.n_steps - 1 and tally.final is not None:
        return RowRejected("the final answer could not be checked", str(tally.final))
    fates = ", ".join(f"{count} {fate}" for fate, count in tally.fates[step].items())
    return RowRejected("no completion of a step could be checked", f"step {step}: {fates}")


_SEARCHES = {"exhaustive": search_exhaustively, "binary_search": search_by_bisection}


def _search(config: MonteCarloConfig, tally: Tally) -> Coroutine[list[int], None, tuple[StepLabel, ...]]:
    """Search as configured.

    Raises:
        RowRejected: see the searches; also where the policy does not solve the problem by itself.
    """
    if config.check_problem:
        yield [PROBLEM_ALONE]
        if tally.label(PROBLEM_ALONE, threshold=config.threshold) is not StepLabel.OK:
            n_success, n_checked = tally.counts(PROBLEM_ALONE)
            raise RowRejected("the policy does not solve the problem", f"{n_success} of {n_checked} completions")
    return (yield from _SEARCHES[config.method](tally, threshold=config.threshold))


@dataclass(frozen=True)
class MonteCarloLabeller:
    """Labels candidates; the prefixes of a chunk that are due at one time are completed in one call."""

    generator: Generator
    """The policy that completes."""
    check: OutcomeCheck
    """Compares answers."""
    config: MonteCarloConfig
    """Options."""
    output: Path
    """Folder of the run, for the tally."""

    def label(self, items: Sequence[Candidate]) -> list[Label]:
        """Return one record per candidate, or why there is none."""
        tallies = [Tally(len(item.step_start)) for item in items]
        labels: list[Label] = [RowRejected("not labelled")] * len(items)
        searches = {}
        for row, item in enumerate(items):
            n_steps, most = len(item.step_start), self.config.max_steps
            if not n_steps:
                labels[row] = RowRejected("no steps", repr(item.text[:200]))
            elif not (item.answer or "").strip():
                detail = f"problem {item.problem_id}: give it in the data or by `problems`"
                labels[row] = RowRejected("no answer", detail)
            elif most is not None and n_steps > most:
                labels[row] = RowRejected("too many steps", f"{n_steps} of at most {most}")
            else:
                searches[row] = _search(self.config, tallies[row])
        # What the final answers are of the solutions that have come to their end: no sampling is needed there.
        finished = [row for row in searches if items[row].finished]
        whole = [(items[row], Completion(items[row].text, "stop"), items[row].text) for row in finished]
        for row, fate in zip(finished, self._find_fates(whole), strict=True):
            tallies[row].final = fate
        while searches:
            due = {}
            for row, search in list(searches.items()):
                try:
                    due[row] = next(search)
                except StopIteration as end:
                    labels[row] = [_record(items[row], end.value, tallies[row])]
                    del searches[row]
                except RowRejected as rejection:
                    labels[row] = rejection
                    del searches[row]
            if due:
                self._complete(items, tallies, due)
        rows = [
            {
                "n_steps": tally.n_steps,
                "n_completions": tally.n_completions,
                "n_tokens": tally.n_tokens,
                "final": tally.final,
                "steps": {str(step): dict(counts) for step, counts in sorted(tally.fates.items())},
            }
            for tally in tallies
        ]
        write_tally(self.output, items, rows)
        return labels

    def _find_fates(self, completed: Sequence[tuple[Candidate, Completion, str]]) -> list[Fate]:
        attempts = [Attempt(completion, text, item.answer or "") for item, completion, text in completed]
        return find_fates(attempts, check=self.check, truncated=self.config.truncated)

    def _complete(self, items: Sequence[Candidate], tallies: Sequence[Tally], due: Mapping[int, Sequence[int]]) -> None:
        """Sample from all prefixes that are due and count the fates."""
        config = self.config
        places = [(row, step) for row, steps in due.items() for step in steps]
        prefixes = [items[row].prefix(step + 1) for row, step in places]
        prompts = [
            config.prompt.build(items[row].problem, prefix=prefix)
            for (row, _), prefix in zip(places, prefixes, strict=True)
        ]
        found = self.generator.generate(prompts, config.sampling, n=config.n_completions, seed=config.seed)
        completed = [
            (items[row], completion, prefix + completion.text)
            for (row, _), prefix, completions in zip(places, prefixes, found, strict=True)
            for completion in completions
        ]
        fates = iter(self._find_fates(completed))
        for (row, step), completions in zip(places, found, strict=True):
            tallies[row].fates[step] = Counter(str(next(fates)) for _ in completions)
            tallies[row].n_tokens += sum(completion.n_tokens for completion in completions)


def _record(item: Candidate, labels: tuple[StepLabel, ...], tally: Tally) -> LabelledSolution:
    counts = [tally.counts(step) for step in range(tally.n_steps)]
    return LabelledSolution(
        problem_id=item.problem_id,
        problem=item.problem,
        steps=item.steps,
        reference=item.reference,
        labels=labels,
        final_answer_correct=None if tally.final is None else tally.final is Fate.RIGHT,
        source=item.source,
        subset=item.subset,
        source_id=item.source_id,
        generator=item.generator,
        label_method=LabelMethod.MONTE_CARLO,
        n_success=tuple(n_success for n_success, _ in counts),
        n_rollouts=tuple(n_checked for _, n_checked in counts),
        licence=item.licence,
    )


class Spending(NamedTuple):
    """What a run of Monte-Carlo labels cost, and what became of its completions."""

    solutions: int
    """Solutions, the rejected ones included."""
    completions: int
    """Completions sampled for them."""
    tokens: int
    """Tokens of these completions."""
    right: int
    """Completions that reached the correct answer."""
    wrong: int
    """Completions that did not."""
    truncated: int
    """Completions left out because they were cut off."""
    uncheckable: int
    """Completions left out because their answer could not be told."""
    failed: int
    """Completions that the engine did not give."""

    @property
    def completions_per_solution(self) -> float | None:
        """Completions spent on a solution on average; `None` if there are none."""
        return self.completions / self.solutions if self.solutions else None


def label_by_monte_carlo(
    config: MonteCarloConfig, output: Path, *, workers: int = 1, engine: Engine = "local", resume: bool = False
) -> BuildReport:
    """Label the steps of solutions by completions and write the data set folder `output`.

    Raises:
        CheckpointError: the policy cannot be opened.
        ConfigError: a resumed run has other settings.
        DataError: the data are missing or damaged, the folder is in use or the disk is full.
        JudgeError: the engine or server failed; finished chunks are kept.
    """
    return run_labelling(
        list(islice(read_candidates(config), config.n_solutions)),
        functools.partial(_open, config, output.absolute()),
        output,
        name="monte-carlo",
        config=config,
        record_type=LabelledSolution,
        inputs=[
            config.data,
            *([config.problems] if config.problems else []),
            *checkpoint_files(config.generation.model),
        ],
        chunk_size=config.chunk_size,
        workers=workers,
        engine=engine,
        resume=resume,
    )


def count_spending(output: Path) -> Spending:
    """Add up what a run has spent, from its tally.

    Raises:
        DataError: the tally cannot be read.
    """
    totals: Counter[str] = Counter()
    for row in read_tally(output):
        totals.update({"solutions": 1, "completions": row["n_completions"], "tokens": row["n_tokens"]})
        for counts in row["steps"].values():
            totals.update(counts)
    return Spending(**{name: totals[name] for name in Spending._fields})


def read_candidates(config: MonteCarloConfig) -> Iterator[Candidate]:
    """Yield what is to be labelled, with its correct answer where one is known.

    Raises:
        DataError: the data are missing or damaged, or are neither rollouts nor solutions.
    """
    answers: dict[str, str] | None = None
    if config.problems is not None:
        answers = {}
        for problem in read_records(config.problems, Problem):
            # By all names of a problem; a text to the letter comes before other texts of its words.
            answers[exact_problem_id(problem.problem)] = problem.answer
            for name in (problem.problem_id, problem_id(problem.problem)):
                answers.setdefault(name, problem.answer)
    record_type = find_record_type(config.data)
    if record_type is Rollout:
        for rollout in read_records(config.data, Rollout):
            yield Candidate(
                id=rollout.id,
                problem_id=problem_id(rollout.problem),
                problem=rollout.problem,
                text=rollout.response,
                step_start=rollout.step_start,
                step_end=rollout.step_end,
                finished=not rollout.truncated,
                answer=rollout.answer if answers is None else _find_answer(answers, rollout),
                reference=rollout.answer,
                source=rollout.source,
                source_id=rollout.id,
                generator=rollout.generator,
            )
        return
    if not issubclass(record_type, Solution):
        raise DataError(f"{config.data} holds {record_type.__name__} records: give solutions or rollouts")
    for solution in read_records(config.data, record_type):
        ends, position = [], 0
        for step in solution.steps:
            ends.append(position + len(step))
            position = ends[-1] + len(config.step_separator)
        stated = solution.reference
        if stated and config.reference == "solution":
            stated = extract_answer(stated)
        named = ("source", "subset", "source_id", "generator", "licence")
        values = solution.model_dump()
        yield Candidate(
            id=solution.id,
            problem_id=solution.problem_id,
            problem=solution.problem,
            text=config.step_separator.join(solution.steps),
            step_start=tuple(end - len(step) for end, step in zip(ends, solution.steps, strict=True)),
            step_end=tuple(ends),
            finished=True,
            answer=stated if answers is None else _find_answer(answers, solution),
            reference=solution.reference,
            **({"source": config.data.stem} | {name: values[name] for name in named if name in values}),
        )


def _find_answer(answers: Mapping[str, str], item: HasProblem | Rollout) -> str | None:
    names = (exact_problem_id(item.problem), getattr(item, "problem_id", ""), problem_id(item.problem))
    return next((answers[name] for name in names if name in answers), None)


def _open(config: MonteCarloConfig, output: Path) -> MonteCarloLabeller:
    return MonteCarloLabeller(build_generator(config.generation), build_outcome(config.outcome), config, output)

"""Runs a judge over labelled solutions chunk by chunk, so that a killed run continues where it stopped.

Every chunk of judgements is one file of JSON lines, written atomically; a chunk that is there is never judged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from judgekit.errors import ConfigError, DataError, JudgeError, describe_validation_error
from judgekit.io import write_text
from judgekit.metrics import Outcome, classify_outcome
from judgekit.types import ArgmaxRule, Judge, Judgement, LabelledSolution, Solution, ThresholdRule


@dataclass(frozen=True)
class JudgedSolution:
    """A labelled solution, what a judge said about it, and the decision that follows."""

    solution: LabelledSolution
    """The solution with its labels."""
    judgement: Judgement
    """What the judge said."""
    predicted: int | None
    """Predicted first error, 0-based; `None` = no error, and also where there is no verdict, so ask `judged` first."""

    @property
    def subset(self) -> str:
        """The part of the benchmark this solution is counted in; the source's name where it has no parts."""
        return self.solution.subset or self.solution.source

    @property
    def gold(self) -> int | None:
        """True first error, 0-based; `None` = no error."""
        return self.solution.first_error

    @property
    def judged(self) -> bool:
        """Whether the judge gave a verdict."""
        return self.judgement.verdict is not None

    @property
    def p_ok_S(self) -> tuple[float, ...] | None:
        """P(step ok | earlier steps ok); `None` where there is no verdict."""
        return self.judgement.verdict.p_ok_S if self.judgement.verdict else None

    @property
    def outcome(self) -> Outcome:
        """How the prediction relates to the truth."""
        return classify_outcome(self.gold, self.predicted, judged=self.judged)


def decide(solution: LabelledSolution, judgement: Judgement, rule: ThresholdRule | ArgmaxRule) -> JudgedSolution:
    """Join a solution with its judgement under a decision rule."""
    predicted = judgement.verdict.decide(rule) if judgement.verdict else None
    return JudgedSolution(solution, judgement, predicted)


def judge_in_chunks(
    judge: Judge,
    solutions: Sequence[LabelledSolution],
    *,
    folder: Path,
    chunk_size: int,
    show_reference: bool,
) -> list[Judgement]:
    """Judge all solutions, keeping every finished chunk on disk and reading those that are there already.

    The judge sees problem and steps, never the labels.

    Args:
        judge: The judge.
        solutions: What to judge, in an order that is the same whenever the run is resumed.
        folder: Where chunks are kept, `chunk-00000.jsonl` and so on.
        chunk_size: Solutions a chunk and a call of the judge.
        show_reference: Whether the judge may see the reference; figures are then not comparable with published ones.

    Returns:
        One judgement a solution, in the same order.

    Raises:
        ConfigError: a stored chunk is by another judge.
        DataError: a stored chunk is damaged or is about other solutions.
        JudgeError: the judge did not answer one judgement a solution, in order.
    """
    judgements: list[Judgement] = []
    with _progress() as progress:
        task = progress.add_task(f"judging with {judge.judge_id}", total=len(solutions))
        for start in range(0, len(solutions), chunk_size):
            chunk = solutions[start : start + chunk_size]
            path = folder / f"chunk-{start // chunk_size:05d}.jsonl"
            if path.is_file():
                done = _read_chunk(path, chunk, judge_id=judge.judge_id)
            else:
                done = _judge_chunk(judge, [_as_seen(solution, show_reference) for solution in chunk])
                write_text(path, "".join(judgement.model_dump_json() + "\n" for judgement in done))
            judgements += done
            progress.advance(task, len(chunk))
    return judgements


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )


def _as_seen(solution: LabelledSolution, show_reference: bool) -> Solution:
    return Solution(
        id=solution.id,
        problem_id=solution.problem_id,
        problem=solution.problem,
        steps=solution.steps,
        reference=solution.reference if show_reference else None,
    )


def _judge_chunk(judge: Judge, chunk: Sequence[Solution]) -> list[Judgement]:
    judgements = judge.judge(chunk)
    answered = [judgement.solution_id for judgement in judgements]
    if answered != [solution.id for solution in chunk]:
        raise JudgeError(
            f"judge {judge.judge_id} was given {len(chunk)} solutions and answered {len(answered)} judgements "
            "that are not theirs in the same order"
        )
    for solution, judgement in zip(chunk, judgements, strict=True):
        if judgement.verdict and judgement.verdict.n_steps != len(solution.steps):
            raise JudgeError(
                f"judge {judge.judge_id} gave a verdict on {judgement.verdict.n_steps} steps "
                f"for solution {solution.id}, which has {len(solution.steps)}"
            )
    return judgements


def _read_chunk(path: Path, chunk: Sequence[Solution], *, judge_id: str) -> list[Judgement]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # str.splitlines also splits inside JSON strings
        judgements = [Judgement.model_validate_json(line) for line in lines if line]
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {describe_validation_error(error)}. Remove it and resume") from error
    if [judgement.solution_id for judgement in judgements] != [solution.id for solution in chunk]:
        raise DataError(f"{path} holds judgements of other solutions: use another output folder")
    others = {judgement.judge_id for judgement in judgements} - {judge_id}
    if others:
        raise ConfigError(
            f"{path} was judged by {others.pop()!r}, not {judge_id!r}: use the same judge or another output folder"
        )
    return judgements


__all__ = ["JudgedSolution", "decide", "judge_in_chunks"]

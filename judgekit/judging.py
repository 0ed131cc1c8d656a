"""Runs a judge over a file of solutions chunk by chunk, so that a killed run continues where it stopped.

Every chunk of judgements is one file of JSON lines, written atomically; a chunk that is there is never judged again.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from judgekit.errors import ConfigError, DataError, JudgeError, JudgekitError, boundary, describe_validation_error
from judgekit.io import find_record_type, read_records, write_text
from judgekit.judges.base import Judge
from judgekit.judges.unfamiliar import warn_unfamiliar
from judgekit.judging_config import JudgingConfig
from judgekit.run import Run
from judgekit.types import Judgement, Rollout, Solution

JUDGEMENTS = "judgements.jsonl"
"""File of all judgements below the output folder, one JSON object a line, in the order of the solutions."""
TRACEBACK = "traceback.txt"
"""File beside the chunks: where a judge failed, if it did at last."""


def judge_file(judge: Judge, config: JudgingConfig, output: Path, *, resume: bool = False) -> list[Judgement]:
    """Judge every solution of a file and write `judgements.jsonl`.

    Raises:
        ConfigError: the folder is in use, or a resumed run has another configuration.
        DataError: the file is missing, empty or damaged.
        JudgeError: the judge failed.
    """
    rows = _read_rows(config.data)
    run = Run(output, config, inputs=[config.data], resume=resume)
    warn_unfamiliar(judge, rows)
    solutions = [_as_solution(row) for row in rows]
    judgements = judge_in_chunks(
        judge,
        solutions,
        folder=output / "chunks",
        chunk_size=config.chunk_size,
        show_reference=config.show_reference,
    )
    write_text(output / JUDGEMENTS, "".join(judgement.model_dump_json() + "\n" for judgement in judgements))
    counts = {"n": len(judgements), "n_no_verdict": sum(item.verdict is None for item in judgements)}
    run.finish(counts | {"dtype": judge.info.dtype})
    return judgements


def read_solutions(path: Path) -> list[Solution]:
    """Read solutions, labelled or not, or rollouts, from a data set folder or any file that `reading.rows` reads.

    Raises:
        DataError: see `judgekit.io.read_records`.
    """
    return [_as_solution(row) for row in _read_rows(path)]


def _read_rows(path: Path) -> list[Solution | Rollout]:
    record_type = find_record_type(path)
    if not issubclass(record_type, Solution | Rollout):
        raise DataError(f"{path} holds {record_type.__name__} records: solutions or rollouts are wanted")
    return list(read_records(path, record_type))


def _as_solution(row: Solution | Rollout) -> Solution:
    return row.solution if isinstance(row, Rollout) else row


def judge_in_chunks(
    judge: Judge,
    solutions: Sequence[Solution],
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
        JudgeError: the judge failed, or did not answer one judgement a solution, in order. What other code raised is
            kept in the folder, as `TRACEBACK`.
    """
    (folder / TRACEBACK).unlink(missing_ok=True)
    warn_unfamiliar(judge, solutions)
    judgements: list[Judgement] = []
    with _progress() as progress:
        task = progress.add_task(f"judging with {judge.info.judge_id}", total=len(solutions))
        for start in range(0, len(solutions), chunk_size):
            chunk = solutions[start : start + chunk_size]
            path = folder / f"chunk-{start // chunk_size:05d}.jsonl"
            if path.is_file():
                done = _read_chunk(path, chunk, judge_id=judge.info.judge_id)
            else:
                try:
                    done = judge_chunk(judge, [as_seen(solution, show_reference) for solution in chunk])
                except JudgekitError as error:
                    if error.__cause__ is not None:  # one line is for the user, the rest for who mends the judge
                        write_text(folder / TRACEBACK, traceback.format_exc())
                    raise
                write_text(path, "".join(judgement.model_dump_json() + "\n" for judgement in done))
            judgements += done
            progress.advance(task, len(chunk))
    return judgements


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )


def as_seen(solution: Solution, show_reference: bool) -> Solution:
    """Return what a judge may see of a solution: no labels, and the reference only on request."""
    return Solution(
        id=solution.id,
        problem_id=solution.problem_id,
        problem=solution.problem,
        steps=solution.steps,
        reference=solution.reference if show_reference else None,
    )


def judge_chunk(judge: Judge, chunk: Sequence[Solution]) -> list[Judgement]:
    """Judge some solutions and check that every answer belongs to its solution.

    Raises:
        JudgeError: the judge failed, or did not answer one judgement a solution, in order, or judged other steps.
    """
    with boundary(JudgeError, f"judge {judge.info.judge_id} failed"):
        judgements = judge.judge(chunk)
    check_answers(judge, chunk, judgements)
    return judgements


def check_answers(judge: Judge, chunk: Sequence[Solution], judgements: Sequence[Judgement]) -> None:
    """Check that every judgement belongs to its solution.

    Raises:
        JudgeError: they are not one a solution, in order, or are about other steps.
    """
    answered = [judgement.solution_id for judgement in judgements]
    if answered != [solution.id for solution in chunk]:
        raise JudgeError(
            f"judge {judge.info.judge_id} was given {len(chunk)} solutions and answered {len(answered)} judgements "
            "that are not theirs in the same order"
        )
    for solution, judgement in zip(chunk, judgements, strict=True):
        if judgement.verdict and judgement.verdict.n_steps != len(solution.steps):
            raise JudgeError(
                f"judge {judge.info.judge_id} gave a verdict on {judgement.verdict.n_steps} steps "
                f"for solution {solution.id}, which has {len(solution.steps)}"
            )


def _read_chunk(path: Path, chunk: Sequence[Solution], *, judge_id: str) -> list[Judgement]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # str.splitlines also splits inside JSON strings
        judgements = [Judgement.model_validate_json(line) for line in lines if line]
    except ValidationError as error:
        raise DataError(f"{path} is damaged: {describe_validation_error(error)}. Remove it and resume") from error
    if [judgement.solution_id for judgement in judgements] != [solution.id for solution in chunk]:
        raise DataError(f"{path} holds judgements of other solutions: use another output folder")
    for solution, judgement in zip(chunk, judgements, strict=True):
        if judgement.verdict and judgement.verdict.n_steps != len(solution.steps):
            raise DataError(
                f"{path} holds a verdict on {judgement.verdict.n_steps} steps for solution {solution.id}, which has "
                f"{len(solution.steps)}: remove it and resume"
            )
    others = {judgement.judge_id for judgement in judgements} - {judge_id}
    if others:
        raise ConfigError(
            f"{path} was judged by {others.pop()!r}, not {judge_id!r}: use the same judge or another output folder"
        )
    return judgements


__all__ = ["JUDGEMENTS", "as_seen", "check_answers", "judge_chunk", "judge_file", "judge_in_chunks", "read_solutions"]

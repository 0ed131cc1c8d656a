"""Runs a judge over a file of solutions chunk by chunk, so that a killed run continues where it stopped.

A solution in the store of a run is never judged again.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from judgekit.errors import DataError, JudgekitError
from judgekit.io import find_record_type, read_records, write_text
from judgekit.judges.base import Judge
from judgekit.judges.members import asked_members, what_it_took
from judgekit.judges.stored import StoredJudge
from judgekit.judges.unfamiliar import warn_unfamiliar
from judgekit.judging.config import JudgingConfig
from judgekit.progress import Progress
from judgekit.run import Run
from judgekit.types import Judgement, Rollout, Solution

JUDGEMENTS = "judgements.jsonl"
"""File of all judgements below the output folder, one JSON object per line, in the order of the solutions."""
TRACEBACK = "traceback.txt"
"""File next to the chunks: where a judge failed, if it did at last."""


def judge_file(judge: Judge, config: JudgingConfig, output: Path, *, resume: bool = False) -> list[Judgement]:
    """Judge every solution of a file and write `judgements.jsonl`.

    Raises:
        ConfigError: the folder is in use, or a resumed run has another configuration.
        DataError: the file is missing, empty or damaged.
        JudgeError: the judge failed.
    """
    rows = _read_rows(config.data)
    run = Run(output, config, inputs=[config.data], resume=resume)
    judgements = judge_in_chunks(
        judge,
        rows,
        folder=output / "chunks",
        chunk_size=config.chunk_size,
        show_reference=config.show_reference,
    )
    write_text(output / JUDGEMENTS, "".join(judgement.model_dump_json() + "\n" for judgement in judgements))
    counts = {"n": len(judgements), "n_no_verdict": sum(item.verdict is None for item in judgements)}
    asked = [item._asdict() | {"took": what_it_took(item.took)} for item in asked_members(judgements)]
    run.finish(counts | {"dtype": judge.info.dtype} | ({"asked": asked} if asked else {}))
    return judgements


def read_solutions(path: str | Path) -> list[Solution]:
    """Read solutions, labelled or not, or rollouts, from a data set folder or any file that `reading.rows` reads.

    Raises:
        DataError: see `judgekit.io.read_records`.
    """
    return [_as_solution(row) for row in _read_rows(Path(path))]


def _read_rows(path: Path) -> list[Solution | Rollout]:
    record_type = find_record_type(path)
    if not issubclass(record_type, Solution | Rollout):
        raise DataError(f"{path} holds {record_type.__name__} records: give solutions or rollouts")
    return list(read_records(path, record_type))


def _as_solution(row: Solution | Rollout) -> Solution:
    return row.solution if isinstance(row, Rollout) else row


def judge_in_chunks(
    judge: Judge,
    rows: Sequence[Solution | Rollout],
    *,
    folder: Path,
    chunk_size: int,
    show_reference: bool,
) -> list[Judgement]:
    """Judge all solutions, keeping every finished chunk on disk and reading those that are there already.

    The judge sees problem and steps, never the labels.

    Args:
        judge: The judge.
        rows: What to judge; a rollout says who wrote it, its bare solution does not.
        folder: The store of judgements, see `judgekit.judges.stored`.
        chunk_size: Solutions a chunk and a call of the judge.
        show_reference: Whether the judge may see the reference; figures are then not comparable with published ones.

    Returns:
        One judgement a row, in the same order.

    Raises:
        ConfigError: a stored judgement is by another judge.
        DataError: the store is damaged, or a stored judgement is about other steps.
        JudgeError: the judge failed, or did not answer one judgement a solution, in order. What other code raised is
            kept in the folder, as `TRACEBACK`.
    """
    (folder / TRACEBACK).unlink(missing_ok=True)
    warn_unfamiliar(judge, rows)
    solutions = [as_seen(_as_solution(row), show_reference) for row in rows]
    stored = StoredJudge(judge, folder)
    judgements: list[Judgement] = []
    with Progress(f"judging with {judge.info.judge_id}", len(solutions)) as progress:
        for start in range(0, len(solutions), chunk_size):
            chunk = solutions[start : start + chunk_size]
            try:
                judgements += stored.judge(chunk)
            except JudgekitError as error:
                if error.__cause__ is not None:  # one line is for the user, the rest for who fixes the judge
                    write_text(folder / TRACEBACK, traceback.format_exc())
                raise
            progress.advance(len(chunk))
    return judgements


def as_seen(solution: Solution, show_reference: bool) -> Solution:
    """Return what a judge may see of a solution: no labels, and the reference only on request."""
    return Solution(
        id=solution.id,
        problem_id=solution.problem_id,
        problem=solution.problem,
        steps=solution.steps,
        reference=solution.reference if show_reference else None,
    )

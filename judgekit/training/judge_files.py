"""What all trainings of judges share: reading and checking the data, held-out metrics, the judge directory.

Imports no torch.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.errors import DataError
from judgekit.io import read_records, weights_written_to
from judgekit.judges.base import Judge
from judgekit.judges.card import CARDLESS, JudgeCard, write_card
from judgekit.judges.problem_lists import TRAIN_PROBLEMS, ProblemList, write_problems
from judgekit.judges.recognise import find_card
from judgekit.judges.stored import UNKNOWN_VERDICTS
from judgekit.judging.run import as_seen, judge_in_chunks
from judgekit.metrics.localization import compute_localization
from judgekit.metrics.steps import collect_reached_steps, compute_calibration
from judgekit.text.identity import content_id
from judgekit.training.floors import FLOORS, fit_floor
from judgekit.types import Judgement, LabelledSolution

_log = logging.getLogger(__name__)

JUDGE = "judge"
"""Folder of the trained judge below the run's output."""
JUDGEMENTS = "judgements"
"""Folder of a judge directory with what was asked of the judge, or of its members, to fit it."""


def read_labelled(paths: Sequence[Path], n_max: int | None) -> Iterator[LabelledSolution]:
    """Yield the solutions of several data sets one after another, `n_max` at most; `None` for all."""
    return islice((solution for path in paths for solution in read_records(path, LabelledSolution)), n_max)


def refuse_one_kind(
    solutions: Sequence[LabelledSolution], what: Literal["steps", "solutions"], *, purpose: str
) -> None:
    """Refuse data of which nothing can be learned, before a judge or model has worked for hours on them.

    Args:
        solutions: The data.
        what: Whether both kinds are needed among reached steps, or among whole solutions.
        purpose: What they are for, as the message begins.

    Raises:
        DataError: all are correct, or all are wrong.
    """
    n_wrong = sum(solution.first_error is not None for solution in solutions)
    n_right = len(solutions) - n_wrong
    if what == "steps":  # those up to the first error; later ones are not judged
        n_right = sum(len(item.steps) if item.first_error is None else item.first_error for item in solutions)
    if not n_right or not n_wrong:
        kind = "right" if n_right else "wrong"
        raise DataError(
            f"{purpose} needs correct and wrong {what}, and all {n_right + n_wrong} are of one kind, {kind}: add data"
        )


def refuse_overlap(trained: ProblemList, eval_solutions: Sequence[LabelledSolution]) -> None:
    """Refuse evaluation on training problems.

    Raises:
        DataError: training and evaluation share a problem.
    """
    shared = [solution.problem_id for solution in compress(eval_solutions, trained.seen(eval_solutions))]
    if shared:
        raise DataError(
            f"{len(shared)} of {len(eval_solutions)} evaluation solutions belong to training problems, for example "
            f"problem {shared[0]}: split by problem with `judgekit split`"
        )


class Asked(NamedTuple):
    """What a judge was asked for a fit."""

    judgements: list[Judgement]
    """One a solution."""
    id: str
    """Id of the judge's verdicts and the solutions."""


def ask_once(
    judge: Judge, solutions: Sequence[LabelledSolution], *, key: str | None, data: Path, folder: Path, chunk_size: int
) -> Asked:
    """Judge labelled solutions, or read what was kept when they were judged before.

    Args:
        judge: The judge.
        solutions: What it judges.
        key: What its verdicts depend on, see `verdict_key`; `None` if nobody can know, and it is asked again.
        data: Where the solutions come from.
        folder: Keeps judgements, each of judge and solutions in a folder of its own.
        chunk_size: Solutions handed to the judge, and kept in case of a kill, at a time.

    Raises:
        JudgeError: the judge failed; finished chunks are kept.
    """
    asked = content_id(verdicts=key, solutions=fingerprint_of(data, solutions).sha256)
    if key is None and (folder / asked).exists():
        _log.warning(UNKNOWN_VERDICTS, judge.info.judge_id, "it is asked again")
        shutil.rmtree(folder / asked)
    judgements = judge_in_chunks(judge, solutions, folder=folder / asked, chunk_size=chunk_size, show_reference=False)
    return Asked(judgements, asked)


def member_folders(members: Sequence[str]) -> dict[str, Path]:
    """Return the directories of members that say what they were fitted on; builtin judges and servers have none."""
    return {name: find_card(name).directory for name in members if not name.startswith(CARDLESS)}


def relative_members(members: Sequence[str], output: Path) -> tuple[str, ...]:
    """Return members as a card in `output` names them: those that are paths relative to it."""
    return tuple(
        os.path.relpath(Path(name).resolve(), output.resolve()) if Path(name).exists() else name for name in members
    )


N_FLOOR = 20_000
"""Solutions that floors are fitted to at most: counts and a regression on nine numbers learn no more from others."""


def evaluate_judge(
    judge: Judge, solutions: Sequence[LabelledSolution], *, trained: Sequence[LabelledSolution]
) -> dict[str, float | int | None]:
    """Return localization and calibration figures of a judge under its own rule; nothing without solutions.

    `f1_floor_*` is what judges that read nothing reach, fitted with their threshold to what the judge was trained on:
    `None` if that holds only right or only wrong solutions.
    """
    if not solutions:
        return {}
    seen = [as_seen(solution, show_reference=False) for solution in solutions]
    verdicts = [judgement.verdict for judgement in judge.judge(seen)]
    gold_N = [solution.first_error for solution in solutions]
    predicted_N = [None if verdict is None else verdict.decide(judge.info.decision) for verdict in verdicts]
    figures = compute_localization(gold_N, predicted_N, judged_N=[verdict is not None for verdict in verdicts])
    floors: dict[str, float | None] = {f"f1_{floor.key}": None for floor in FLOORS.values()}
    known = trained[:: -(-len(trained) // N_FLOOR) or 1]
    if 0 < sum(solution.first_error is None for solution in known) < len(known):
        for name, floor in FLOORS.items():
            below, rule = fit_floor(name, known)
            decided_N = [verdict.decide(rule) for verdict in below(solutions)]
            of_floor = compute_localization(gold_N, decided_N, judged_N=[True] * len(gold_N))
            floors[f"f1_{floor.key}"] = of_floor.f1
    if not any(verdicts):
        return {"n": figures.n, "n_no_verdict": figures.n_no_verdict}
    steps = collect_reached_steps([None if verdict is None else verdict.p_ok_S for verdict in verdicts], gold_N=gold_N)
    calibration = compute_calibration(steps.p_ok_K, steps.ok_K, n_bins=15)
    return {
        "n": figures.n,
        "n_no_verdict": figures.n_no_verdict,
        "error_accuracy": figures.error_accuracy,
        "correct_accuracy": figures.correct_accuracy,
        "f1": figures.f1,
        **floors,
        "step_accuracy": float(((steps.p_ok_K >= 0.5) == steps.ok_K).mean()),
        "ece": calibration.ece,
        "nll": calibration.nll,
    }


def save_judge(directory: Path, card: JudgeCard, model: Any, tokenizer: Any, trained: ProblemList) -> None:
    """Write a judge directory. The card comes last, so a directory with `judge.json` is complete."""
    with weights_written_to(directory):
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    write_problems(directory / TRAIN_PROBLEMS, trained)
    write_card(directory, card)

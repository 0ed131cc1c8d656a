"""A judge that writes its judgements down and never gives one twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgekit.errors import ConfigError, DataError, JudgeError, boundary
from judgekit.io import file_sha256
from judgekit.judges.base import Judge, JudgeInfo, WrappedJudge
from judgekit.judges.card import CARD
from judgekit.store import Store
from judgekit.types import Judgement, Solution, content_id


class StoredJudge(WrappedJudge):
    """Stands before a judge and asks it only about solutions that the folder has no judgement of.

    Judgements are found by the id of their solution; a folder is one judge's, in one precision, with or without the
    reference: see `shared_folder` for one that several runs use.

    Args:
        judge: The judge underneath.
        folder: The store.

    Raises:
        DataError: the store is damaged.
    """

    def __init__(self, judge: Judge, folder: Path) -> None:
        super().__init__(judge, judge.info)
        self._judge = judge
        self._store = Store(folder, Judgement, key=lambda judgement: judgement.solution_id)

    @property
    def judgements(self) -> dict[str, Judgement]:
        """All judgements in the folder, by the id of their solution."""
        return self._store.items

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge those that have no judgement yet, in one batch, and return all, in order.

        Raises:
            ConfigError: a stored judgement is by another judge.
            DataError: a stored judgement is about other steps, or the disk is full.
            JudgeError: the judge failed, or did not answer one judgement a solution, in order, about its steps.
        """
        missing = list({item.id: item for item in solutions if item.id not in self._store}.values())
        if missing:
            self._store.add(judge_batch(self._judge, missing))
        found = [self._store[item.id] for item in solutions]
        for solution, judgement in zip(solutions, found, strict=True):
            if judgement.judge_id != self.info.judge_id:
                raise ConfigError(
                    f"{self._store.file_of(solution.id)} was judged by {judgement.judge_id!r}, not "
                    f"{self.info.judge_id!r}: use the same judge or another output folder"
                )
            if judgement.verdict and judgement.verdict.n_steps != len(solution.steps):
                raise DataError(
                    f"{self._store.file_of(solution.id)} holds a verdict on {judgement.verdict.n_steps} steps for "
                    f"solution {solution.id}, which has {len(solution.steps)}: remove it and resume"
                )
        return found


def judge_batch(judge: Judge, solutions: Sequence[Solution]) -> list[Judgement]:
    """Judge some solutions and check that every answer belongs to its solution.

    Raises:
        JudgeError: the judge failed, or did not answer one judgement a solution, in order, or judged other steps.
    """
    with boundary(JudgeError, f"judge {judge.info.judge_id} failed"):
        judgements = judge.judge(solutions)
    check_answers(judge, solutions, judgements)
    return judgements


def check_answers(judge: Judge, solutions: Sequence[Solution], judgements: Sequence[Judgement]) -> None:
    """Check that every judgement belongs to its solution.

    Raises:
        JudgeError: they are not one a solution, in order, or are about other steps.
    """
    if [judgement.solution_id for judgement in judgements] != [solution.id for solution in solutions]:
        raise JudgeError(
            f"judge {judge.info.judge_id} was given {len(solutions)} solutions and answered {len(judgements)} "
            "judgements that are not theirs in the same order"
        )
    for solution, judgement in zip(solutions, judgements, strict=True):
        if judgement.verdict and judgement.verdict.n_steps != len(solution.steps):
            raise JudgeError(
                f"judge {judge.info.judge_id} gave a verdict on {judgement.verdict.n_steps} steps "
                f"for solution {solution.id}, which has {len(solution.steps)}"
            )


def shared_folder(root: Path, *, name: str, info: JudgeInfo) -> Path:
    """Return the folder below `root` in which runs share one judge's judgements, the reference shown.

    It depends on what the judgements depend on: the judge by its id and, where it is a directory, by its card and the
    sizes and times of its weights; and its precision. What is done with them does not count.

    Args:
        root: Folder of the judgements of all judges.
        name: The judge as it was opened: a directory, a hub id, an address.
        info: What it says of itself.
    """
    directory = Path(name)
    card = file_sha256(directory / CARD) if (directory / CARD).is_file() else None
    stats = [path.stat() for path in sorted(directory.glob("*.safetensors"))] if directory.is_dir() else []
    weights = [(stat.st_size, stat.st_mtime_ns) for stat in stats]
    key = content_id(judge=info.judge_id, card=card, weights=weights, dtype=info.dtype)
    return root / f"{''.join(c if c.isalnum() or c in '-_.' else '-' for c in info.judge_id)[:60]}-{key[:16]}"


__all__ = ["StoredJudge", "check_answers", "judge_batch", "shared_folder"]

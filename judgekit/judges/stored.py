"""A judge that writes its judgements down and never gives one twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgekit.errors import ConfigError, DataError, JudgeError, boundary
from judgekit.io import checkpoint_files, file_sha256
from judgekit.judges.base import Judge, JudgeInfo, WrappedJudge
from judgekit.judges.calibrated import CalibratedJudge
from judgekit.judges.card import CARD
from judgekit.judges.recognise import find_card, locate_member
from judgekit.judges.trust import Trust
from judgekit.store import Store
from judgekit.text.identity import content_id
from judgekit.types import Judgement, Solution


class StoredJudge(WrappedJudge):
    """Stands before a judge and asks it only about solutions that the folder has no judgement of.

    Judgements are found by the id of their solution; a folder is one judge's, in one precision, with or without the
    reference: see `shared_folder` for one that several runs use.

    Args:
        judge: The judge underneath.
        folder: The store.
        raw: Store verdicts as they are before the calibrator, so that a new calibrator asks nothing again. Folders that
            earlier releases wrote hold calibrated ones.

    Raises:
        DataError: the store is damaged.
    """

    def __init__(self, judge: Judge, folder: Path, *, raw: bool = False) -> None:
        super().__init__(judge, judge.info)
        self._calibrated = judge if raw and isinstance(judge, CalibratedJudge) else None
        self._judge = judge if self._calibrated is None else self._calibrated.uncalibrated
        self._store = Store(folder, Judgement, key=lambda judgement: judgement.solution_id)

    @property
    def judgements(self) -> dict[str, Judgement]:
        """All judgements in the folder as they are stored, by the id of their solution."""
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
        return found if self._calibrated is None else [self._calibrated.calibrate(judgement) for judgement in found]


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


def verdict_key(name: str | Path, *, dtype: str | None, calibrated: bool = False, named_by: Trust | None = None) -> str:
    """Return an id of what the verdicts of a judge depend on, as far as this disk can tell.

    These are its card but for what calibration writes there, the files that the card names (sizes and times of weights,
    the text of prompts), its precision, and its members with their calibrators. A service, and a model on the Hub of
    which no revision is stated, count by name alone.

    Args:
        name: The judge as it is opened: a directory, a card in YAML, a hub id, a builtin one, an address.
        dtype: Precision of its weights.
        calibrated: Whether the verdicts are those behind its calibrator, which then counts, too.
        named_by: Trust of the card that names it, see `load_judge`.

    Raises:
        CheckpointError: there is no such judge.
    """
    if str(name).startswith(("builtin:", "http://", "https://")):
        return content_id(name=str(name), dtype=dtype)
    found = find_card(name, named_by=named_by)
    depends: list[object] = []
    for what, place in found.card.spec.places():
        path = found.directory / place
        if what == "member":
            member = locate_member(found.directory, place)
            depends.append(verdict_key(member, dtype=dtype, calibrated=True, named_by=found.trust))
        elif path.is_dir():
            # The card itself counts by its fields: calibration writes it anew.
            stats = [(file.name, file.stat()) for file in checkpoint_files(path) if file.name != CARD]
            depends += [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]
        elif path.is_file():
            depends.append(file_sha256(path))
    later = {"calibration", "conformal", "decision", "golden", "metrics"} | (set() if calibrated else {"calibrator"})
    return content_id(card=found.card.model_dump(mode="json", exclude=later), depends=depends, dtype=dtype)


def shared_folder(root: Path, *, name: str, info: JudgeInfo) -> Path:
    """Return the folder below `root` in which runs share one judge's judgements, the reference shown.

    It depends on what the verdicts depend on, see `verdict_key`, and on the data that a judge says it was fitted to
    where it is a service, which calibrates by itself. What is done with them does not count.

    Args:
        root: Folder of the judgements of all judges.
        name: The judge as it was opened: a directory, a hub id, an address.
        info: What it says of itself.
    """
    served = info.fingerprint if name.startswith(("http://", "https://")) else None
    fitted = served and served.model_dump(mode="json")
    key = content_id(judge=info.judge_id, verdicts=verdict_key(name, dtype=info.dtype), fitted=fitted)
    return root / f"{''.join(c if c.isalnum() or c in '-_.' else '-' for c in info.judge_id)[:60]}-{key[:16]}"

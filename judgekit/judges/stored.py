"""A judge that stores its judgements and never gives one twice."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from judgekit.engines.checkpoint import locate_model, snapshot_commit
from judgekit.errors import ConfigError, DataError, JudgeError, boundary
from judgekit.io import checkpoint_files, file_sha256
from judgekit.judges.base import Judge, JudgeInfo, WrappedJudge
from judgekit.judges.builtin import BUILTIN_VERSION
from judgekit.judges.calibrated import CalibratedJudge
from judgekit.judges.card import CARD, CARDLESS, SERVED
from judgekit.judges.recognise import find_card, locate_member
from judgekit.judges.trust import Trust
from judgekit.store import Store
from judgekit.text.identity import content_id
from judgekit.types import Judgement, Solution

_log = logging.getLogger(__name__)

UNKNOWN_VERDICTS = "the judge %s, or a service among its members, does not say what its verdicts depend on: %s"
"""Warning about judgements that cannot be used again; takes the judge's id and what becomes of them."""


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
        JudgeError: they are not one per solution, in order, or are about other steps.
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


def verdict_key(
    name: str | Path,
    *,
    dtype: str | None,
    info: JudgeInfo | None = None,
    calibrated: bool = False,
    named_by: Trust | None = None,
) -> str | None:
    """Return an id of what the verdicts of a judge depend on, or `None` if nobody here can know it.

    These are its card but for what calibration writes there, the text of its prompt, its precision, its members with
    their calibrators, and its weights and tokenizer: sizes and times of files on this disk, the commit of what is
    fetched from the Hub. Builtin judges count by `BUILTIN_VERSION`, a server that writes a critic's answers by the
    address and the name of the model, which are all that it says of itself.

    Args:
        name: The judge as it is opened: a directory, a card in YAML, a Hub id, a builtin one, an address.
        dtype: Precision of its weights.
        info: What the opened judge says of itself; of a judge behind a service nothing else is known.
        calibrated: Whether the verdicts are those behind its calibrator, which then counts, too.
        named_by: Trust of the card that names it, see `load_judge`.

    Returns:
        The id; `None` for a service that does not say, and for an ensemble that has one as a member.

    Raises:
        CheckpointError: there is no such judge, or what it names is missing.
    """
    text = str(name)
    if text.startswith(SERVED):
        return None if info is None else info.verdict_key
    if text.startswith(CARDLESS):
        return content_id(name=text, version=BUILTIN_VERSION, dtype=dtype)
    found = find_card(name, named_by=named_by)
    spec, of_hub = found.card.spec, found.trust.root is not None
    model, revision = spec.checkpoint() or (None, None)
    depends: list[object] = [spec.prompt_sha256_of(found.directory)]
    for what, place in spec.places():
        if what == "member":
            member = locate_member(found.directory, place)
            key = verdict_key(member, dtype=dtype, calibrated=True, named_by=found.trust)
            if key is None:
                return None
            depends.append(key)
            continue
        if what == "prompt" or (what == "model" and model is None):
            continue  # the text has counted; a critic with an engine opens no model of its own
        # An engine's paths begin where commands run, but for cards of the Hub, which look in their repository alone.
        base = Path() if what == "engine" and not of_hub else found.directory
        path = base / place
        if what in ("model", "tokenizer", "reference", "engine"):
            path = locate_model(base, place, revision=revision if what == "model" else None, hub_only=of_hub)
        commit = snapshot_commit(path)
        if commit is not None and re.fullmatch(r"[0-9a-f]{40}", commit):  # "snapshots" may also be a folder of runs
            depends.append(commit)
        elif path.is_dir():
            # The card itself counts by its fields: calibration writes it again.
            stats = [(file.name, file.stat()) for file in checkpoint_files(path) if file.name != CARD]
            depends += [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]
        elif path.is_file():
            depends.append(file_sha256(path))
    later = {"calibration", "conformal", "decision", "golden", "metrics", "reading"}
    later |= set() if calibrated else {"calibrator"}
    # a probe judge finds in its cache what its model would say
    exclude = dict.fromkeys(later, True) | {"spec": {"feature_cache"}}
    return content_id(card=found.card.model_dump(mode="json", exclude=exclude), depends=depends, dtype=dtype)


def shared_folder(root: Path, *, name: str, info: JudgeInfo, votes: int | None = None) -> Path | None:
    """Return the folder below `root` in which runs share one judge's judgements.

    It depends on what the verdicts depend on, see `verdict_key`. What is done with them does not count.

    Args:
        root: Folder of the judgements of all judges.
        name: The judge as it was opened: a directory, a Hub id, an address.
        info: What it says of itself.
        votes: As it was opened with, see `load_judge`.

    Returns:
        The folder; `None`, with a warning, where nothing tells whether kept judgements are still this judge's.
    """
    key = verdict_key(name, dtype=info.dtype, info=info)
    if key is None:
        _log.warning(UNKNOWN_VERDICTS, info.judge_id, "its judgements stay with this run and are not shared")
        return None
    key = content_id(judge=info.judge_id, verdicts=key, **({} if votes is None else {"votes": votes}))
    return root / f"{''.join(c if c.isalnum() or c in '-_.' else '-' for c in info.judge_id)[:60]}-{key[:16]}"

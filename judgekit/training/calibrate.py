"""Calibration of step probabilities and of the decision threshold, on problems that training has not seen."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from judgekit.calibration.by_step import checked_labels
from judgekit.calibration.calibrators import make_calibrator_card
from judgekit.calibration.card import CalibrationReport
from judgekit.calibration.conformal import fit_conformal, fresh_problems
from judgekit.calibration.direction import direction_of
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.calibration.selection import KINDS, HeldOut, Selection, cross_fit, select_calibrator
from judgekit.calibration.split import PROB_CLIP, CalibrationSplit
from judgekit.errors import DataError
from judgekit.io import read_records
from judgekit.judges.card import CARD, JudgeCard, read_card
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.problem_lists import (
    CALIBRATION_PROBLEMS,
    ProblemList,
    calibration_problems,
    refuse_trained_problems,
    train_problems,
    write_problems,
)
from judgekit.judges.stored import UNKNOWN_VERDICTS, verdict_key
from judgekit.judges.trust import update_card, write_own_card
from judgekit.judging.run import judge_in_chunks
from judgekit.metrics.steps import Calibration, compute_calibration
from judgekit.metrics.threshold import choose_threshold
from judgekit.run import refuse_foreign
from judgekit.text.identity import content_id, group_problems
from judgekit.training.config import CalibrationConfig
from judgekit.types import LabelledSolution, ThresholdRule, Verdict

_log = logging.getLogger(__name__)

UPSIDE_DOWN_WAY_OUT = (
    "No calibrator may turn it round: see which label means right (`ok_labels` or `label_tokens` in judge.json), and "
    "whether the data's labels are meant as judgekit reads them"
)
"""What to do about a judge that trusts wrong steps more than right ones."""


def calibrate_judge(directory: Path, data: Path, config: CalibrationConfig) -> CalibrationReport:
    """Choose and fit a calibrator and a threshold on a labelled data set and store both in `judge.json`.

    The figures after calibration are those of the calibrator that is kept, cross-fitted: each solution is scored under
    a fit of this kind without the fold of its problem. Beside them stand those of choosing a kind anew in every fold.
    Where no calibrator clearly helps the judge is left as it is, and the report says why. A judge that decides by
    argmax keeps this rule and gets no threshold. The judgements are kept in the folder `judgements` of the judge:
    called again, after a kill or with other options, this does not ask the judge again, unless what its verdicts depend
    on has changed or a service among its members does not say it, see `verdict_key`. Conformal thresholds come from
    problems of their own: on data that anything was fitted on they promise nothing.

    Raises:
        DataError: a problem was trained on, or the split is too small, all right, all wrong, or without verdicts.
        CheckpointError: the directory is no judge.
    """
    from judgekit.judges import load_judge

    card = read_card(directory)
    given = read_split(data, config.n_max)
    refuse_trained_problems(train_problems(directory), given, judge=card.judge_id)
    refuse_one_kind(given, "steps", purpose="calibration")
    if isinstance(card.decision, ThresholdRule):
        refuse_one_kind(given, "solutions", purpose="a threshold")
    judge = load_judge(directory, calibrated=False, dtype=config.dtype)
    key = verdict_key(directory, dtype=config.dtype)
    asked = content_id(verdicts=key, solutions=fingerprint_of(data, given).sha256)
    folder = directory / "judgements" / asked
    if key is None and folder.exists():
        _log.warning(UNKNOWN_VERDICTS, card.judge_id, "it is asked again")
        shutil.rmtree(folder)
    judgements_N = judge_in_chunks(judge, given, folder=folder, chunk_size=config.chunk_size, show_reference=False)
    problem_N = group_problems(given)
    kept = ProblemList()
    work = directory / f"calibration-{asked}"
    if card.spec.member_names():
        # Those behind its weights stay: as they were before a run that was killed added to them.
        if not (work / CALIBRATION_PROBLEMS).is_file():
            write_problems(work / CALIBRATION_PROBLEMS, calibration_problems(directory))
        kept = calibration_problems(work)
    used_before = set(compress(problem_N, kept.seen(given)))
    fresh = fresh_problems(set(problem_N) - used_before, frac=config.conformal_frac or 0.0)
    judged = [(item, judgement.verdict) for item, judgement in zip(given, judgements_N, strict=True)]
    is_fresh_N = [problem in fresh for problem in problem_N]
    solutions, verdicts_N = _columns([pair for pair, is_fresh in zip(judged, is_fresh_N, strict=True) if not is_fresh])
    fingerprint = fingerprint_of(data, solutions)
    split = _pack(verdicts_N, solutions, judge=card.judge_id)
    kinds = KINDS if config.calibrator == "auto" else (config.calibrator,)
    direction = direction_of(split)
    upside_down = direction.describe() if direction is not None and direction.is_upside_down else None
    try:
        chosen = select_calibrator(split, kinds=kinds, n_folds=config.n_folds, n_bins=config.n_bins)
    except DataError as error:
        raise DataError(f"{error}; {upside_down}. {UPSIDE_DOWN_WAY_OUT}" if upside_down else str(error)) from error
    calibrator = chosen.calibrator
    report = _report(split, chosen, kinds=kinds, upside_down=upside_down, config=config)
    for sentence in report.warnings:
        _log.warning("%s: %s", card.judge_id, sentence)
    update: dict[str, Any] = {
        "calibrator": make_calibrator_card(calibrator, fingerprint),
        "calibration": report,
        "conformal": None,
    }
    if isinstance(card.decision, ThresholdRule):
        calibrated_N = [None if verdict is None else calibrator.calibrate(verdict) for verdict in verdicts_N]
        update["decision"] = fit_threshold(calibrated_N, solutions, data=fingerprint.data)
    if fresh:
        items, raw_N = _columns([pair for pair, is_fresh in zip(judged, is_fresh_N, strict=True) if is_fresh])
        posterior_N_O = [None if verdict is None else calibrator.calibrate(verdict).posterior for verdict in raw_N]
        update["conformal"] = fit_conformal(
            posterior_N_O, items, alpha=config.conformal_alpha, fingerprint=fingerprint_of(data, items)
        )
    elif config.conformal_frac is not None:
        _log.warning(
            "no conformal thresholds: none of %d problems can be kept for them, as all stand behind the judge's "
            "weights or an earlier calibration, or there are too few; calibrate with other problems",
            len(set(problem_N)),
        )
    write_problems(directory / CALIBRATION_PROBLEMS, kept | ProblemList.of(given))
    update_card(directory, card.model_copy(update=update))
    for begun in directory.glob("calibration-*"):  # also that of a run that was killed behind the card
        shutil.rmtree(begun)
    return report


def _columns(
    pairs: Sequence[tuple[LabelledSolution, Verdict | None]],
) -> tuple[list[LabelledSolution], list[Verdict | None]]:
    return [solution for solution, _ in pairs], [verdict for _, verdict in pairs]


def _pack(
    verdicts_N: Sequence[Verdict | None], solutions: Sequence[LabelledSolution], *, judge: str
) -> CalibrationSplit:
    """Pack the solutions that have a verdict.

    Raises:
        DataError: there are none, or their steps or problems cannot calibrate anything.
    """
    rows = zip(verdicts_N, solutions, group_problems(solutions), strict=True)
    used = [(verdict, solution, problem) for verdict, solution, problem in rows if verdict is not None]
    if not used:
        raise DataError(f"{judge} has no verdict on any of {len(solutions)} solutions: there is nothing to calibrate")
    split = CalibrationSplit.of(
        [verdict for verdict, _, _ in used],
        gold_N=[solution.first_error for _, solution, _ in used],
        problem_ids_N=[problem for _, _, problem in used],
    )
    checked_labels(split.ok_K)
    return split


def fit_threshold(
    verdicts_N: Sequence[Verdict | None], solutions: Sequence[LabelledSolution], *, data: str
) -> ThresholdRule:
    """Return the rule with the best ProcessBench F1 on a split, which its origin names.

    Raises:
        DataError: the split has no wrong or no right solutions.
    """
    p_ok_N_S = [None if verdict is None else verdict.p_ok_S for verdict in verdicts_N]
    choice = choose_threshold(p_ok_N_S, gold_N=[solution.first_error for solution in solutions])
    return ThresholdRule(threshold=choice.threshold, origin=f"best ProcessBench F1 on {data}")


def read_split(data: Path, n_max: int | None) -> list[LabelledSolution]:
    """Read a labelled data set, `n_max` solutions at most; `None` for all."""
    solutions = []
    for solution in read_records(data, LabelledSolution):
        solutions.append(solution)
        if len(solutions) == n_max:
            break
    return solutions


def refuse_one_kind(
    solutions: Sequence[LabelledSolution], what: Literal["steps", "solutions"], *, purpose: str
) -> None:
    """Refuse data of which nothing can be learned, before a judge or model has worked for hours on them.

    Args:
        solutions: The data.
        what: Whether both kinds are needed among reached steps, or among whole solutions.
        purpose: What they are for, as the message begins.

    Raises:
        DataError: all are right, or all are wrong.
    """
    n_wrong = sum(solution.first_error is not None for solution in solutions)
    n_right = len(solutions) - n_wrong
    if what == "steps":  # those up to the first error; later ones are not judged
        n_right = sum(len(item.steps) if item.first_error is None else item.first_error for item in solutions)
    if not n_right or not n_wrong:
        kind = "right" if n_right else "wrong"
        raise DataError(
            f"{purpose} needs right and wrong {what}, and all {n_right + n_wrong} are of one kind, {kind}: add data"
        )


def wrap_builtin(name: str, output: Path) -> Path:
    """Write a judge directory around a builtin judge, which has none of its own to keep a calibrator in.

    A directory that this function has written for the same judge stays as it is.

    Raises:
        ConfigError: there is no such builtin judge, or the folder is in use.
    """
    from judgekit.judges import load_judge

    load_judge(name)  # refuses names that there are none of
    spec = EnsembleSpec(members=(name,), rule="product", weights=(1.0,))
    if (output / CARD).is_file() and read_card(output).spec.member_names() == spec.members:
        return output
    refuse_foreign(output)
    write_own_card(output, JudgeCard(judge_id=output.resolve().name, spec=spec))
    return output


def _report(
    split: CalibrationSplit,
    chosen: Selection,
    *,
    kinds: Sequence[str],
    upside_down: str | None,
    config: CalibrationConfig,
) -> CalibrationReport:
    """Compare the judge as it is with the calibrator that is kept, and with choosing one anew in every fold."""
    raw = HeldOut(IdentityCalibrator().logprobs_N(split), split.steps.probs_K)
    before, figures_before = _measure(split, raw, n_bins=config.n_bins)
    after, figures_after = _measure(split, chosen.held_out, n_bins=config.n_bins)
    nested, chosen_by_fold = None, []
    if len(kinds) > 1:
        found = HeldOut(np.empty_like(raw.logprobs_N), np.empty_like(raw.p_ok_K))
        for calibrator, fold in cross_fit(split, kinds=kinds, n_folds=config.n_folds, n_bins=config.n_bins):
            part = split.take(fold)
            chosen_by_fold.append(calibrator.kind)
            found.logprobs_N[fold] = np.maximum(calibrator.logprobs_N(part), np.log(PROB_CLIP))
            found.p_ok_K[np.isin(split.solution_K, fold)] = calibrator.p_ok_K(part)
        nested = _measure(split, found, n_bins=config.n_bins)[1]
    warnings = []
    if upside_down:
        warnings.append(f"{upside_down}. {UPSIDE_DOWN_WAY_OUT}")
    kept = chosen.calibrator.kind
    refused = {item.kind: item.reason for item in chosen.candidates if item.reason is not None}
    if kept == "identity" and len(refused) == len(chosen.candidates) - 1 > 0:
        kind, reason = next(iter(refused.items()))
        warnings.append(f"the judge is left as it is, every calibrator was left out: {kind}, because {reason}")
    for name, value in figures_after.items():
        if value > figures_before[name]:
            warnings.append(
                f"under the calibrator kept, {kept}, {name} rises from {figures_before[name]:.4f} to {value:.4f}, "
                "which is within the noise of this split"
            )
    return CalibrationReport(
        before=figures_before,
        after=figures_after,
        after_is="kept",
        nested=nested,
        warnings=tuple(warnings),
        bins_before=tuple(asdict(b) for b in before.bins),
        bins_after=tuple(asdict(b) for b in after.bins),
        n_steps=before.n_steps,
        candidates=chosen.candidates,
        chosen_by_fold=tuple(chosen_by_fold),
    )


def _measure(split: CalibrationSplit, found: HeldOut, *, n_bins: int) -> tuple[Calibration, dict[str, float]]:
    calibration = compute_calibration(found.p_ok_K, split.ok_K, n_bins=n_bins)
    figures = {
        "ece": calibration.ece,
        "brier": calibration.brier,
        "nll": calibration.nll,
        "first_error_log_loss": -float(found.logprobs_N.mean()),
    }
    return calibration, figures

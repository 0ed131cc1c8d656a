"""Calibrates step probabilities and the decision threshold, on problems that training has not seen."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from itertools import compress
from pathlib import Path

from judgekit.calibration.by_step import checked_labels
from judgekit.calibration.calibrators import make_calibrator_card
from judgekit.calibration.card import CalibrationReport
from judgekit.calibration.conformal import fit_conformal, fresh_problems
from judgekit.calibration.decision import fit_decision
from judgekit.calibration.direction import direction_of
from judgekit.calibration.fingerprint import fingerprint_of
from judgekit.calibration.posterior import IdentityCalibrator
from judgekit.calibration.selection import KINDS, HeldOut, Selection, cross_fit, problem_folds, select_calibrator
from judgekit.calibration.split import CalibrationSplit
from judgekit.errors import DataError
from judgekit.judges.card import CARD, JudgeCard, read_card
from judgekit.judges.cascade import CascadeSpec
from judgekit.judges.ensemble import EnsembleSpec
from judgekit.judges.problem_lists import (
    CALIBRATION_PROBLEMS,
    ProblemList,
    calibration_problems,
    refuse_trained_problems,
    train_problems,
    write_problems,
)
from judgekit.judges.stored import verdict_key
from judgekit.judges.trust import update_card, write_own_card
from judgekit.metrics.steps import Calibration, compute_calibration
from judgekit.report.terminal import figure_name
from judgekit.run import refuse_foreign
from judgekit.text.identity import group_problems
from judgekit.training.config import CalibrationConfig
from judgekit.training.floors import FLOORS, cross_fit_floor
from judgekit.training.judge_files import JUDGEMENTS, ask_once, read_labelled, refuse_one_kind
from judgekit.types import LabelledSolution, ThresholdRule

_log = logging.getLogger(__name__)

UPSIDE_DOWN_WAY_OUT = (
    "No calibrator may reverse it: check which label means correct (`ok_labels` or `label_tokens` in judge.json), and "
    "whether the data's labels mean what judgekit takes them to mean"
)
"""What to do about a judge that trusts wrong steps more than correct ones."""


def calibrate_judge(directory: Path, data: Path, config: CalibrationConfig) -> CalibrationReport:
    """Choose and fit a calibrator and a threshold on a labelled data set and store both in `judge.json`.

    The figures after calibration are those of the calibrator that is kept, cross-fitted: each solution is scored under
    a fit of this kind without the fold of its problem. Beside them stand those of choosing a kind again in every fold.
    Where no calibrator clearly helps the judge is left as it is, and the report says why. A judge that decides by
    argmax keeps this rule and gets no threshold. The judgements are kept in the folder `judgements` of the judge:
    called again, after a kill or with other options, this does not ask the judge again, unless what its verdicts depend
    on has changed or a service among its members does not say it, see `verdict_key`. Conformal thresholds come from
    problems of their own: on data that anything was fitted on they promise nothing.

    Raises:
        DataError: a problem was trained on, or the split is too small, all correct, all wrong, or without verdicts.
        CheckpointError: the directory is not a judge.
    """
    from judgekit.judges import load_judge

    card = read_card(directory)
    given = list(read_labelled([data], config.n_max))
    refuse_trained_problems(train_problems(directory), given, judge=card.judge_id)
    refuse_one_kind(given, "steps", purpose="calibration")
    # A fitted weight of "no error" holds for the posterior that it was fitted on; that of a plain argmax is 1 for ever.
    refit = isinstance(card.decision, ThresholdRule) or card.decision.origin != "default"
    if refit:
        refuse_one_kind(given, "solutions", purpose="a threshold")
    judge = load_judge(directory, calibrated=False, dtype=config.dtype)
    key = verdict_key(directory, dtype=config.dtype)
    judgements_N, asked = ask_once(
        judge, given, key=key, data=data, folder=directory / JUDGEMENTS, chunk_size=config.chunk_size
    )
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
    is_fresh_N = [problem in fresh for problem in problem_N]
    all_verdicts_N = [judgement.verdict for judgement in judgements_N]
    solutions = [item for item, is_fresh in zip(given, is_fresh_N, strict=True) if not is_fresh]
    verdicts_N = [item for item, is_fresh in zip(all_verdicts_N, is_fresh_N, strict=True) if not is_fresh]
    if not any(verdicts_N):
        raise DataError(
            f"{card.judge_id} has no verdict on any of {len(solutions)} solutions, so there is nothing to calibrate: "
            "see the reasons with `judgekit judge`"
        )
    fingerprint = fingerprint_of(data, solutions)
    gold_N = [solution.first_error for solution in solutions]
    split = CalibrationSplit.of(verdicts_N, gold_N=gold_N, problem_ids_N=group_problems(solutions))
    checked_labels(split.ok_K)
    kinds = KINDS if config.calibrator == "auto" else (config.calibrator,)
    direction = direction_of(split)
    upside_down = direction.describe() if direction is not None and direction.is_upside_down else None
    try:
        chosen = select_calibrator(split, kinds=kinds, n_folds=config.n_folds, n_bins=config.n_bins)
    except DataError as error:
        raise DataError(f"{error}; {upside_down}. {UPSIDE_DOWN_WAY_OUT}" if upside_down else str(error)) from error
    calibrator = chosen.calibrator
    judged = [solution for solution, verdict in zip(solutions, verdicts_N, strict=True) if verdict is not None]
    floors = _measure_floors(judged, split, config)
    report = _report(split, chosen, kinds=kinds, upside_down=upside_down, config=config)
    report = report.model_copy(update={"floors": floors})
    for sentence in report.warnings:
        _log.warning("%s: %s", card.judge_id, sentence)
    if isinstance(card.spec, CascadeSpec) and card.spec.promise is not None and card.spec.promise.about == "error":
        _log.warning(
            "%s: who answers is unchanged, but the guaranteed error referred to the decisions before this calibration",
            card.judge_id,
        )
    decision, conformal = card.decision, None
    if refit:
        calibrated_N = [None if verdict is None else calibrator.calibrate(verdict) for verdict in verdicts_N]
        decision = fit_decision(decision.kind, calibrated_N, gold_N=gold_N, origin=fingerprint.data)
    if fresh:
        items, raw_N = list(compress(given, is_fresh_N)), compress(all_verdicts_N, is_fresh_N)
        posterior_N_O = [None if verdict is None else calibrator.calibrate(verdict).posterior for verdict in raw_N]
        conformal = fit_conformal(
            posterior_N_O, items, alpha=config.conformal_alpha, fingerprint=fingerprint_of(data, items)
        )
    elif config.conformal_frac is not None:
        _log.warning(
            "no conformal thresholds: none of %d problems is available for them, because all are behind the judge's "
            "weights or an earlier calibration, or there are too few; calibrate on other problems",
            len(set(problem_N)),
        )
    write_problems(directory / CALIBRATION_PROBLEMS, kept | ProblemList.of(given))
    # how far verdicts depend on the problem was measured behind another calibrator
    update = {"calibrator": make_calibrator_card(calibrator, fingerprint), "calibration": report, "reading": None}
    update_card(directory, card.model_copy(update=update | {"decision": decision, "conformal": conformal}))
    for begun in directory.glob("calibration-*"):  # also that of a run that was killed behind the card
        shutil.rmtree(begun)
    return report


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
    """Compare the judge as it is with the calibrator that is kept, and with choosing one again in every fold."""
    raw = HeldOut(IdentityCalibrator().logprobs_N(split), split.steps.probs_K)
    before, figures_before = _measure(split, raw, n_bins=config.n_bins)
    after, figures_after = _measure(split, chosen.held_out, n_bins=config.n_bins)
    nested, chosen_by_fold = None, list[str]()
    if len(kinds) > 1:
        fitted = list(cross_fit(split, kinds=kinds, n_folds=config.n_folds, n_bins=config.n_bins))
        chosen_by_fold = [calibrator.kind for calibrator, _ in fitted]
        nested = _measure(split, HeldOut.of(split, fitted), n_bins=config.n_bins)[1]
    warnings = []
    if upside_down:
        warnings.append(f"{upside_down}. {UPSIDE_DOWN_WAY_OUT}")
    kept = chosen.calibrator.kind
    refused = {item.kind: item.reason for item in chosen.candidates if item.reason is not None}
    if kept == "identity" and len(refused) == len(chosen.candidates) - 1 > 0:
        kind, reason = next(iter(refused.items()))
        warnings.append(f"probabilities are unchanged, because every calibrator was rejected: {kind}, because {reason}")
    for name, value in figures_after.items():
        if value > figures_before[name]:
            warnings.append(
                f"with the selected calibrator, {kept}, the {figure_name(name)} rises from "
                f"{figures_before[name]:.4f} to {value:.4f}, which is within the noise of this split"
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


def _measure_floors(
    judged: Sequence[LabelledSolution], split: CalibrationSplit, config: CalibrationConfig
) -> dict[str, dict[str, float]]:
    """Return the figures of the report for judges that read nothing, fitted to the solutions of the split."""
    folds = [(rest.tolist(), fold.tolist()) for rest, fold in problem_folds(split, n_folds=config.n_folds)]
    gold_N = [solution.first_error for solution in judged]
    if any(len({gold_N[i] is None for i in rest}) < 2 for rest, _ in folds):
        return {}
    figures = {}
    for floor in FLOORS:
        verdicts = [verdict for verdict, _ in cross_fit_floor(floor, judged, folds)]
        said = CalibrationSplit.of(verdicts, gold_N=gold_N, problem_ids_N=group_problems(judged))
        raw = HeldOut(IdentityCalibrator().logprobs_N(said), said.steps.probs_K)
        figures[floor] = _measure(said, raw, n_bins=config.n_bins)[1]
    return figures


def _measure(split: CalibrationSplit, found: HeldOut, *, n_bins: int) -> tuple[Calibration, dict[str, float]]:
    calibration = compute_calibration(found.p_ok_K, split.ok_K, n_bins=n_bins)
    figures = {
        "ece": calibration.ece,
        "brier": calibration.brier,
        "nll": calibration.nll,
        "first_error_log_loss": -float(found.logprobs_N.mean()),
    }
    return calibration, figures

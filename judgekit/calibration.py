"""Calibration of step probabilities and of the decision threshold, on problems that training has not seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from scipy.optimize import minimize_scalar
from sklearn.model_selection import GroupKFold

from judgekit.config import BaseConfig
from judgekit.errors import DataError
from judgekit.io import read_records, write_text
from judgekit.judges.card import CalibrationReport, Fingerprint, TemperatureCard, read_card, write_card
from judgekit.judging import as_seen
from judgekit.metrics import Calibration, StepProbs, choose_threshold, collect_reached_steps, compute_calibration
from judgekit.types import LabelledSolution, Precision, ThresholdRule, Verdict

Floats = NDArray[np.float64]

PROB_CLIP = 1e-9
"""Probabilities are moved this far away from 0 and 1 before they become logits."""
TRAIN_PROBLEMS = "train_problem_ids.txt"
"""File of a judge directory that lists the problems it was trained on, one id a line."""
CALIBRATION_PROBLEMS = "calibration_problem_ids.txt"
"""File of a judge directory that lists the problems its calibrator, weights or threshold were fitted on."""


def probs_to_logits(probs_N: ArrayLike) -> Floats:
    """Return log(p / (1 - p)), clipped to +-20.7. Shape (N,)."""
    probs = np.clip(np.asarray(probs_N, dtype=np.float64), PROB_CLIP, 1 - PROB_CLIP)
    return np.log(probs) - np.log1p(-probs)


class TemperatureCalibrator:
    """Divides step logits by one number, chosen by log loss. Keeps the order of probabilities.

    Source:
        Guo et al. 2017 (1706.04599), temperature scaling, for the two classes of a step.
    """

    temperature_: float
    """Learned divisor; above 1 makes the judge less sure."""

    def fit(self, logits_N: ArrayLike, *, y_N: ArrayLike) -> Self:
        """Find the temperature with the lowest mean log loss, within [e^-4, e^4].

        Args:
            logits_N: logit of P(step ok | earlier steps ok). Shape (N,).
            y_N: 1 where the step is right, else 0. Shape (N,).

        Raises:
            DataError: no steps, or all of one class: then there is nothing to fit.
        """
        logits, y = np.asarray(logits_N, dtype=np.float64), np.asarray(y_N, dtype=np.float64)
        if len(np.unique(y)) < 2:
            raise DataError(f"calibration needs right and wrong steps, and all {len(y)} are of one kind: add data")
        signed = np.where(y > 0, logits, -logits)

        def mean_log_loss(log_temperature: float) -> float:
            return float(np.mean(np.logaddexp(0.0, -signed / np.exp(log_temperature))))

        self.temperature_ = float(np.exp(minimize_scalar(mean_log_loss, bounds=(-4.0, 4.0), method="bounded").x))
        return self

    @classmethod
    def from_temperature(cls, temperature: float) -> Self:
        """Make a fitted calibrator from a stored temperature."""
        calibrator = cls()
        calibrator.temperature_ = temperature
        return calibrator

    def predict_proba(self, logits_N: ArrayLike) -> Floats:
        """Return calibrated P(step ok). Shape (N,)."""
        return np.exp(-np.logaddexp(0.0, -np.asarray(logits_N, dtype=np.float64) / self.temperature_))


class CalibrationConfig(BaseConfig):
    """Options of `judgekit calibrate`."""

    n_folds: int = Field(default=5, ge=2)
    """Folds over problems for the figures after calibration."""
    n_bins: int = Field(default=15, ge=1)
    """Equal-width bins of the expected calibration error."""
    n_max: int | None = Field(default=None, ge=1)
    """Solutions to use at most; `null` uses all."""
    dtype: Precision = "float32"
    """Precision in which the judge runs."""


def calibrate_judge(directory: Path, data: Path, config: CalibrationConfig) -> CalibrationReport:
    """Fit temperature and threshold on a labelled data set and store both in the directory's `judge.json`.

    The figures after calibration are cross-fitted: each problem is scored under a temperature fitted without its fold.

    Raises:
        DataError: a problem was trained on, or the split has only right or only wrong steps or solutions.
        CheckpointError: the directory is no judge.
    """
    from judgekit.judges import load_judge

    card = read_card(directory)
    solutions = read_split(data, config.n_max)
    refuse_trained_problems(train_problems(directory), solutions, judge=card.judge_id)
    judge = load_judge(directory, calibrated=False, dtype=config.dtype)
    seen = [as_seen(solution, show_reference=False) for solution in solutions]
    verdicts = [judgement.verdict for judgement in judge.judge(seen)]
    gold_N = [solution.first_error for solution in solutions]
    steps = collect_reached_steps([None if verdict is None else verdict.p_ok_S for verdict in verdicts], gold_N=gold_N)
    logits_K = probs_to_logits(steps.p_ok_K)
    calibrator = TemperatureCalibrator().fit(logits_K, y_N=steps.ok_K)
    report = _report(steps, [solution.problem_id for solution in solutions], config)
    calibrated_N_S = [None if verdict is None else _calibrated_probs(verdict, calibrator) for verdict in verdicts]
    choice = choose_threshold(calibrated_N_S, gold_N=gold_N)
    fingerprint = fingerprint_of(data, solutions)
    update = {
        "calibrator": TemperatureCard(temperature=calibrator.temperature_, fingerprint=fingerprint),
        "calibration": report,
        "decision": ThresholdRule(threshold=choice.threshold, origin=f"best ProcessBench F1 on {fingerprint.data}"),
    }
    kept = calibration_problems(directory) if card.ensemble else set()  # those behind its weights stay
    write_problem_ids(directory / CALIBRATION_PROBLEMS, kept | {solution.problem_id for solution in solutions})
    write_card(directory, card.model_copy(update=update))
    return report


def read_split(data: Path, n_max: int | None) -> list[LabelledSolution]:
    """Read a labelled data set, `n_max` solutions at most; `None` for all."""
    solutions = []
    for solution in read_records(data, LabelledSolution):
        solutions.append(solution)
        if len(solutions) == n_max:
            break
    return solutions


def train_problems(directory: Path) -> set[str]:
    """Return the ids of the problems that a judge directory says it was trained on; none where it does not say."""
    return _read_ids(directory / TRAIN_PROBLEMS)


def calibration_problems(directory: Path) -> set[str]:
    """Return the problems that a judge says its calibrator, weights or threshold were fitted on; none where unsaid."""
    return _read_ids(directory / CALIBRATION_PROBLEMS)


def write_problem_ids(path: Path, problem_ids: Iterable[str]) -> None:
    """Write ids of problems, sorted, one a line."""
    write_text(path, "".join(f"{problem}\n" for problem in sorted(set(problem_ids))))


def _read_ids(path: Path) -> set[str]:
    return set(path.read_text(encoding="utf-8").split("\n")) - {""} if path.is_file() else set()


def refuse_trained_problems(problems: set[str], solutions: Sequence[LabelledSolution], *, judge: str) -> None:
    """Refuse solutions to problems that a judge was trained on.

    Raises:
        DataError: there are some.
    """
    seen = [solution for solution in solutions if solution.problem_id in problems]
    if seen:
        raise DataError(
            f"{len(seen)} of {len(solutions)} solutions belong to problems the judge {judge} was trained on, for "
            f"example problem {seen[0].problem_id}: use other problems (`judgekit split` keeps problems together)"
        )


def _calibrated_probs(verdict: Verdict, calibrator: TemperatureCalibrator) -> list[float]:
    return [float(prob) for prob in calibrator.predict_proba(probs_to_logits(verdict.p_ok_S))]


def _report(steps: StepProbs, problem_ids: Sequence[str], config: CalibrationConfig) -> CalibrationReport:
    logits_K = probs_to_logits(steps.p_ok_K)
    problems_K = np.array(problem_ids)[steps.solution_K]
    n_folds = min(config.n_folds, len(set(problems_K)))
    if n_folds < 2:
        raise DataError("calibration needs at least two problems: add data")
    after_K = np.empty_like(steps.p_ok_K)
    for rest, fold in GroupKFold(n_folds).split(logits_K, groups=problems_K):
        fitted = TemperatureCalibrator().fit(logits_K[rest], y_N=steps.ok_K[rest])
        after_K[fold] = fitted.predict_proba(logits_K[fold])
    before = compute_calibration(steps.p_ok_K, steps.ok_K, n_bins=config.n_bins)
    after = compute_calibration(after_K, steps.ok_K, n_bins=config.n_bins)
    return CalibrationReport(
        before=_figures(before),
        after=_figures(after),
        bins_before=tuple(asdict(b) for b in before.bins),
        bins_after=tuple(asdict(b) for b in after.bins),
        n_steps=before.n_steps,
    )


def _figures(calibration: Calibration) -> dict[str, float]:
    return {"ece": calibration.ece, "brier": calibration.brier, "nll": calibration.nll}


def fingerprint_of(data: Path, solutions: Sequence[LabelledSolution]) -> Fingerprint:
    """Describe the data something is fitted on."""
    ids = "\n".join(solution.id for solution in solutions)
    return Fingerprint(
        data=data.name,
        sha256=hashlib.sha256(ids.encode()).hexdigest(),
        n_solutions=len(solutions),
        n_problems=len({solution.problem_id for solution in solutions}),
        sources=tuple(sorted({solution.source for solution in solutions})),
        generators=tuple(sorted({solution.generator or "unknown" for solution in solutions})),
    )


__all__ = [
    "CALIBRATION_PROBLEMS", "CalibrationConfig", "TRAIN_PROBLEMS", "TemperatureCalibrator", "calibrate_judge",
    "calibration_problems", "fingerprint_of", "probs_to_logits", "read_split", "refuse_trained_problems",
    "train_problems", "write_problem_ids",
]  # fmt: skip

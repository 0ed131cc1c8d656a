"""A calibrator around any judge: the verdict's step probabilities are mapped, everything else stays."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.calibration import TemperatureCalibrator, probs_to_logits
from judgekit.types import ArgmaxRule, Judge, Judgement, Solution, ThresholdRule, Verdict


class CalibratedJudge:
    """Applies a fitted temperature to the step logits of another judge.

    Args:
        judge: The judge inside.
        calibrator: Fitted on step logits.
    """

    def __init__(self, judge: Judge, calibrator: TemperatureCalibrator) -> None:
        self.inner = judge
        self.calibrator = calibrator

    @property
    def judge_id(self) -> str:
        """The inner judge's name."""
        return self.inner.judge_id

    @property
    def deterministic(self) -> bool:
        """Whether the inner judge says that it always gives the same verdict."""
        return getattr(self.inner, "deterministic", False)

    @property
    def dtype(self) -> str | None:
        """Precision of the inner judge's weights, where it has some."""
        return getattr(self.inner, "dtype", None)

    @property
    def decision(self) -> ThresholdRule | ArgmaxRule:
        """The inner judge's rule, which is stated for calibrated probabilities."""
        return self.inner.decision

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch with the inner judge and calibrate its verdicts."""
        return [self._calibrated(judgement) for judgement in self.inner.judge(solutions)]

    def _calibrated(self, judgement: Judgement) -> Judgement:
        if judgement.verdict is None:
            return judgement
        p_ok_S = self.calibrator.predict_proba(probs_to_logits(judgement.verdict.p_ok_S))
        return judgement.model_copy(update={"verdict": Verdict.from_step_probs([float(p) for p in p_ok_S])})


__all__ = ["CalibratedJudge"]

"""Calibrators: maps from a judge's verdicts to calibrated probabilities, and how one is chosen.

All follow scikit-learn's pattern (`fit` returns self, learned values end in `_`), and each argument is named after its
space. A card stores the learned numbers, from which `open_calibrator` builds the same calibrator again, bit by bit.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

from pydantic import TypeAdapter

from judgekit.calibration.by_step import (
    BetaCalibrator,
    LengthCalibrator,
    PlattCalibrator,
    PositionCalibrator,
    TemperatureCalibrator,
)
from judgekit.calibration.card import CalibratorCard, Fingerprint
from judgekit.calibration.isotonic import IsotonicCalibrator
from judgekit.calibration.posterior import IdentityCalibrator, PosteriorCalibrator
from judgekit.calibration.split import CalibrationSplit
from judgekit.metrics.checks import Floats
from judgekit.types import Verdict


class Calibrator(Protocol):
    """What maps verdicts, after it was fitted."""

    @property
    def kind(self) -> str:
        """Name in cards and tables."""

    def fit_split(self, split: CalibrationSplit) -> Self:
        """Learn from verdicts whose true first errors are known, and refuse where the judge would get no weight."""

    def learn_split(self, split: CalibrationSplit) -> Self:
        """Learn without asking whether the judge says anything: how a judge that says nothing is measured."""

    @classmethod
    def nothing(cls) -> Calibrator:
        """Return the formula that a judge that says nothing is measured by: it must be worse on a split."""

    def p_ok_K(self, split: CalibrationSplit) -> Floats:
        """Return calibrated P(step ok | earlier steps ok) of the reached steps. Shape (K,)."""

    def logprobs_N(self, split: CalibrationSplit) -> Floats:
        """Return log P(true outcome) under the calibrated posteriors, nats. Shape (N,)."""

    def calibrate(self, verdict: Verdict) -> Verdict:
        """Return the calibrated verdict."""


CALIBRATORS: dict[str, type[Calibrator]] = {
    "identity": IdentityCalibrator,
    "temperature": TemperatureCalibrator,
    "platt": PlattCalibrator,
    "position": PositionCalibrator,
    "length": LengthCalibrator,
    "beta": BetaCalibrator,
    "posterior": PosteriorCalibrator,
    "isotonic": IsotonicCalibrator,
}
"""Calibrators by kind, the simplest first: none, one number, two, three, a curve."""
_CARD: TypeAdapter[Any] = TypeAdapter(CalibratorCard)
_NOT_LEARNED = {"kind", "fingerprint"}


def make_calibrator_card(calibrator: Calibrator, fingerprint: Fingerprint) -> CalibratorCard:
    """Write down what a calibrator has learned: its attributes that end in `_`."""
    learned = {name.removesuffix("_"): value for name, value in vars(calibrator).items()}
    card: CalibratorCard = _CARD.validate_python(learned | {"kind": calibrator.kind, "fingerprint": fingerprint})
    return card


def open_calibrator(card: CalibratorCard) -> Calibrator:
    """Make the fitted calibrator that a card describes."""
    calibrator = CALIBRATORS[card.kind]()
    for name in type(card).model_fields.keys() - _NOT_LEARNED:
        setattr(calibrator, f"{name}_", getattr(card, name))
    return calibrator

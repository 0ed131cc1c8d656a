"""`judge.json`: everything a judge directory says about itself, and the only thing `load_judge` reads to open it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from judgekit.errors import CheckpointError, DataError, describe_validation_error
from judgekit.io import read_json, write_json
from judgekit.types import DecisionRule, ThresholdRule

CARD = "judge.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputConvention(_Part):
    """How a solution becomes token ids, and where it is read.

    ids = [bos] + ids(problem) + problem_separator_ids, then ids(step) + separator_ids for each step; a step is read at
    the last token of its separator. Separators are ids, never text, so they cannot merge with their neighbours, and
    reserved tokens in a candidate are encoded as plain text.

    Source:
        Layout of token-classification process reward models of the TRL lineage, with a separator after the problem.
    """

    separator: str = "\n"
    """Text of the separator, for people; `separator_ids` is what counts."""
    separator_ids: tuple[int, ...] = Field(min_length=1)
    """Token ids put after every step; the last one is the score position."""
    problem_separator_ids: tuple[int, ...]
    """Token ids put after the problem."""
    bos_id: int | None = None
    """Token id put first; `null` for none."""
    max_tokens: int = Field(ge=1)
    """Longest input; a longer one is not judged, with the reason `too_long`."""


class Fingerprint(_Part):
    """Which data something was fitted on."""

    data: str
    """Name of the data set."""
    sha256: str
    """Hash over the ids of its solutions, in order."""
    n_solutions: int
    """Solutions that counted."""
    n_problems: int
    """Distinct problems among them."""
    sources: tuple[str, ...]
    """Their sources."""
    generators: tuple[str, ...]
    """Who wrote them."""


class TemperatureCard(_Part):
    """A fitted temperature: step logits are divided by it."""

    kind: Literal["temperature"] = "temperature"
    """Tells calibrators apart."""
    temperature: float = Field(gt=0)
    """Above 1 makes the judge less sure."""
    fingerprint: Fingerprint
    """What it was fitted on."""


class CalibrationReport(_Part):
    """What calibration changed, measured on the calibration split itself by cross-fitting over problems."""

    before: dict[str, float]
    """`ece`, `brier` and `nll` of P(step ok | earlier ok) without the calibrator."""
    after: dict[str, float]
    """The same, each solution under a temperature fitted without its problem's fold."""
    bins_before: tuple[dict[str, float | int | None], ...]
    """Bins of the reliability diagram before."""
    bins_after: tuple[dict[str, float | int | None], ...]
    """Bins of the reliability diagram after."""
    n_steps: int
    """Steps that counted."""


class LikelihoodCard(_Part):
    """How a likelihood judge maps the surprisal of a step's tokens, -log p in nats, to P(step ok).

    logit P = bias + max_weight * largest surprisal + mean_weight * mean surprisal.
    """

    bias: float
    """Logit of a step without any surprise."""
    max_weight: float
    """Weight of the most surprising token."""
    mean_weight: float
    """Weight of the mean over the step's tokens."""


class JudgeCard(_Part):
    """Contents of `judge.json`."""

    schema_version: Literal[1] = 1
    """Version of this file."""
    kind: Literal["step_classifier", "likelihood"]
    """Which judge class opens the directory."""
    judge_id: str = Field(min_length=1)
    """Name in results."""
    model: str = "."
    """Where the weights lie: a path relative to this file, an absolute path, or a hub id."""
    base_model: str
    """What the weights were trained from."""
    base_revision: str | None = None
    """Hub revision of the base model; `null` for a local directory."""
    input: InputConvention
    """Input convention and score position."""
    ok_index: int = 1
    """Which of the two labels of the head means "right"; P(step ok) is the softmax there."""
    likelihood: LikelihoodCard | None = None
    """The fitted map of a likelihood judge; `null` for other kinds."""
    decision: DecisionRule = ThresholdRule()
    """How the posterior becomes one index."""
    calibrator: TemperatureCard | None = None
    """Applied to every verdict; `null` for none."""
    calibration: CalibrationReport | None = None
    """What it changed."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Data hashes, counts and configuration of the training run."""
    metrics: dict[str, float | int | None] = Field(default_factory=dict)
    """Figures on the training run's evaluation split."""

    @model_validator(mode="after")
    def _has_its_map(self) -> Self:
        if (self.kind == "likelihood") != (self.likelihood is not None):
            raise ValueError(f"a judge of kind {self.kind!r} and the field 'likelihood' do not fit each other")
        return self


def read_card(directory: Path) -> JudgeCard:
    """Read and check a directory's `judge.json`.

    Raises:
        CheckpointError: the directory or the file is missing, or the file is not valid; says which field.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is no directory: give a judge directory, a hub id or a builtin judge")
    path = directory / CARD
    if not path.is_file():
        raise CheckpointError(f"{directory} has no {CARD}, so it is no judge directory: `judgekit train` writes one")
    try:
        return JudgeCard.model_validate(read_json(path))
    except DataError as error:
        raise CheckpointError(str(error)) from error
    except ValidationError as error:
        raise CheckpointError(f"{path}: {describe_validation_error(error)}") from error


def write_card(directory: Path, card: JudgeCard) -> None:
    """Write `judge.json` atomically."""
    write_json(directory / CARD, card.model_dump(mode="json"))


__all__ = [
    "CARD", "CalibrationReport", "Fingerprint", "InputConvention", "JudgeCard", "LikelihoodCard", "TemperatureCard",
    "read_card", "write_card",
]  # fmt: skip

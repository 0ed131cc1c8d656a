"""The card of a judge: everything `judge.json` says about it, and the only thing `load_judge` needs to open it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from judgekit.calibration.card import CalibrationReport, CalibratorCard, ConformalCard, Fingerprint
from judgekit.errors import CheckpointError, DataError, describe_validation_error
from judgekit.io import read_json, write_json
from judgekit.judges.critics.card import CriticCard
from judgekit.judges.steps.layout import InputConvention, JudgeInput
from judgekit.text.prompts import CHAT_DATE
from judgekit.types import DecisionRule, ThresholdRule

CARD = "judge.json"
DEFAULT_OK_LABELS = (1,)
"""Labels that mean "no error" where neither the card nor the checkpoint says which."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


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


class LabelTokens(_Part):
    """Which next tokens of a language model say that a step is right or wrong; P(step ok) is the softmax over both."""

    ok: int | str
    """Token id, or a text whose last token counts, for a right step."""
    error: int | str
    """The same for a wrong step."""


class ImplicitCard(_Part):
    """A process reward that two language models imply.

    logit P(step ok) = coefficient * sum of log p(token) - log p_reference(token) over the solution up to the step's
    end. Monotone in the published reward, and no calibrated probability.

    Source:
        Implicit process reward (2412.01981), eq. 3: the reward is the scaled log-ratio.
    """

    reference: str
    """The reference model: a path relative to the card, an absolute path, or a hub id."""
    coefficient: float = Field(gt=0)
    """Scale of the log-ratio, per nat."""
    n_lead_tokens: int = Field(default=0, ge=0)
    """Tokens right before the first step that count as well, as in some published scripts."""


class EnsembleCard(_Part):
    """How several judges become one: whose posteriors are pooled, and with what weights."""

    members: tuple[str, ...] = Field(min_length=1)
    """Judges as `load_judge` opens them: a path relative to the card, a hub id, `builtin:NAME`, an address."""
    rule: Literal["product", "mixture"]
    """`product`: p is proportional to the product of p_i ** weight_i; `mixture`: p is the sum of weight_i * p_i."""
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    """One weight a member, not negative and not all 0; those of a mixture sum to 1."""
    fingerprint: Fingerprint | None = None
    """What the weights were fitted on; `null` where they were set by hand."""

    @model_validator(mode="after")
    def _fits_the_rule(self) -> Self:
        if len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} members")
        if not any(self.weights):
            raise ValueError("all weights are 0, so that no member counts")
        if self.rule == "mixture" and abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"the weights of a mixture sum to {sum(self.weights)}, not 1")
        return self


class PositionPriorCard(_Part):
    """Where first errors usually are."""

    by: Literal["position", "relative"]
    """`position`: a place is the step's index, the last one all later steps; `relative`: equal parts of a solution."""
    hazards: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(min_length=1)
    """P(step wrong | earlier steps right) by place."""
    fingerprint: Fingerprint
    """What it was counted on."""


class Golden(_Part):
    """A solution with the scores that the judge gave it when it was made, for `judgekit doctor` to compare."""

    problem: str
    """Text of the problem."""
    steps: tuple[str, ...] = Field(min_length=1)
    """The solution's steps."""
    p_ok_S: tuple[float, ...]
    """P(step ok | earlier steps ok) without calibrator, in float32. Shape (n_steps,)."""

    @model_validator(mode="after")
    def _one_a_step(self) -> Self:
        if len(self.p_ok_S) != len(self.steps):
            raise ValueError(f"{len(self.p_ok_S)} golden scores for {len(self.steps)} steps")
        return self


class JudgeCard(_Part):
    """Contents of `judge.json`, or of a card in YAML. What a kind needs beside `model` is one section."""

    schema_version: Literal[1] = 1
    """Version of this file."""
    kind: Literal["step_classifier", "likelihood", "label_token", "implicit", "critic", "ensemble", "position_prior"]
    """Which judge class opens it."""
    judge_id: str = Field(min_length=1)
    """Name in results."""
    family: str | None = None
    """Family whose convention this is; `null` for judges of our own."""
    model: str = "."
    """Where the weights lie: a path relative to this file, an absolute path, or a hub id."""
    revision: str | None = None
    """Hub revision of the model, where it is a hub id; `null` for the latest."""
    tokenizer: str | None = None
    """Where the tokenizer lies, in the ways of `model`; `null` for beside the weights."""
    assumes: str | None = None
    """What no checkpoint of the family states and this card takes for granted; logged when the judge is opened."""
    base_model: str | None = None
    """What the weights were trained from; `null` where unknown."""
    base_revision: str | None = None
    """Hub revision of the base model; `null` for a local directory."""
    input: JudgeInput | None = None
    """Input convention and score position; `null` for kinds that have no tokens of their own."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What runs the model; `vllm` is for step classifiers whose architecture vLLM knows."""
    head: str | None = None
    """Step classifiers: name of the head's tensors where the checkpoint is no token-classification model, for example
    `v_head.summary`; several layers have ReLU between them. `null` opens a token-classification model."""
    head_mean: bool = False
    """Step classifiers: the mean of all outputs of the head is the judge's logit, instead of labels."""
    ok_labels: Annotated[Annotated[tuple[int, ...], Field(min_length=1)] | None, BeforeValidator(_as_tuple)] = Field(
        default=None, validation_alias=AliasChoices("ok_labels", "ok_index")
    )
    """Step classifiers: labels of the head that mean "no error"; P(step ok) is their share of the softmax. `null` goes
    by the names that `id2label` of the checkpoint gives its labels, such as correct and incorrect, and is label 1 where
    it names none. A head with one output is a logit, read by a sigmoid."""
    ok_labels_by: Literal["card", "family"] = Field(default="card", exclude=True)
    """Whose word `ok_labels` is; what a family says must not contradict the names in the checkpoint."""
    likelihood: LikelihoodCard | None = None
    """Section of a likelihood judge."""
    label_tokens: LabelTokens | None = None
    """Section of a label-token judge."""
    implicit: ImplicitCard | None = None
    """Section of an implicit judge."""
    critic: CriticCard | None = None
    """Section of a generative critic."""
    ensemble: EnsembleCard | None = None
    """Section of an ensemble."""
    position_prior: PositionPriorCard | None = None
    """Section of a position prior."""
    chat_date: date = CHAT_DATE
    """The day that a chat template is told where it asks for today's, so that a judge scores the same on every day."""
    decision: DecisionRule = ThresholdRule()
    """How the posterior becomes one index."""
    calibrator: CalibratorCard | None = None
    """Applied to every verdict; `null` for none."""
    calibration: CalibrationReport | None = None
    """What it changed."""
    conformal: ConformalCard | None = None
    """Thresholds with a guarantee, for verdicts after the calibrator; `null` for none."""
    golden: tuple[Golden, ...] = ()
    """Solutions with the scores they must get."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Data hashes, counts and configuration of the training run."""
    metrics: dict[str, float | int | None] = Field(default_factory=dict)
    """Figures on the training run's evaluation split."""

    @model_validator(mode="after")
    def _has_its_section(self) -> Self:
        for kind, section in SECTION_OF_KIND.items():
            if (self.kind == kind) != (getattr(self, section) is not None):
                raise ValueError(f"a judge of kind {self.kind!r} and the section {section!r} do not fit each other")
        if (self.input is None) != (self.kind in KINDS_WITHOUT_INPUT):
            raise ValueError(f"a judge of kind {self.kind!r} and the section 'input' do not fit each other")
        if self.conformal is not None and self.calibrator is None:
            raise ValueError("the section 'conformal' is about calibrated verdicts, and there is no 'calibrator'")
        if self.kind == "likelihood" and not isinstance(self.input, InputConvention):
            raise ValueError("a likelihood judge is fitted on the ids layout, and 'input' has another one")
        if self.engine == "vllm" and self.kind != "step_classifier":
            raise ValueError(f"the engine 'vllm' runs step classifiers, and this is a judge of kind {self.kind!r}")
        if self.engine == "vllm" and (self.head_mean or self.head not in (None, "score")):
            raise ValueError("the engine 'vllm' reads the head 'score' alone, and this card names another reading")
        return self


SECTION_OF_KIND = {
    "likelihood": "likelihood",
    "label_token": "label_tokens",
    "implicit": "implicit",
    "critic": "critic",
    "ensemble": "ensemble",
    "position_prior": "position_prior",
}
"""The section that a kind must have, and no other kind may."""
KINDS_WITHOUT_INPUT = frozenset({"critic", "ensemble", "position_prior"})
"""Kinds that never make token ids themselves."""


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
    "CARD", "DEFAULT_OK_LABELS", "EnsembleCard", "Fingerprint", "Golden", "ImplicitCard", "JudgeCard", "LabelTokens",
    "LikelihoodCard", "PositionPriorCard", "read_card", "write_card",
]  # fmt: skip

"""The cards of judges that score every step, by kind. Imports no torch: the judges are imported to be opened.

All of them run a language model over a text with one score position a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from judgekit.judges.base import JudgeInfo
from judgekit.judges.card import JudgeSpec
from judgekit.judges.steps.layout import InputConvention, JudgeInput
from judgekit.text.prompts import CHAT_DATE
from judgekit.types import Precision

DEFAULT_OK_LABELS = (1,)
"""Labels that mean "no error" where neither the card nor the checkpoint says which."""


class StepSpec(JudgeSpec):
    """Options that all judges with a score per step have in common."""

    model: str = "."
    """Model: a path relative to this file, an absolute path, or a Hub id."""
    revision: str | None = None
    """Hub revision of the model, if it is a Hub id; `null` for the latest."""
    tokenizer: str | None = None
    """Tokenizer, given like `model`; `null` for the one next to the weights."""
    input: JudgeInput
    """Input convention and score position."""
    chat_date: date = CHAT_DATE
    """The date for a chat template that asks for today's, so that a judge scores the same on every day."""

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return the spec with model and tokenizer elsewhere."""
        tokenizer = None if self.tokenizer is None else place("tokenizer", self.tokenizer)
        return self.model_copy(update={"model": place("model", self.model), "tokenizer": tokenizer})

    def declare(self, info: JudgeInfo, *, dtype: Precision, members: Sequence[JudgeInfo]) -> JudgeInfo:
        """The same solution always gets the same verdict; the tokenizer knows what is reserved."""
        return replace(info, deterministic=True, dtype=dtype, reserved=None)

    def checkpoint(self) -> tuple[str, str | None]:
        """Return place and revision of the model."""
        return self.model, self.revision

    def pinned(self, model: str, revision: str | None) -> Self:
        """Return it with a model on the Hub."""
        return self.model_copy(update={"model": model, "revision": revision})


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


class StepClassifierSpec(StepSpec):
    """A classification head, read at step ends."""

    opened_by = "judgekit.judges.steps.classifier:StepClassifierJudge"
    kind: Literal["step_classifier"] = "step_classifier"
    engine: Literal["transformers", "vllm"] = "transformers"
    """Engine of the model; `vllm` is for architectures that vLLM knows."""
    head: str | None = None
    """Name of the head's tensors if the checkpoint is not a token-classification model, for example `v_head.summary`;
    several layers have ReLU between them. `null` opens a token-classification model."""
    head_mean: bool = False
    """The mean of all outputs of the head is the judge's logit, instead of labels."""
    ok_labels: Annotated[Annotated[tuple[int, ...], Field(min_length=1)] | None, BeforeValidator(_as_tuple)] = None
    """Labels of the head that mean "no error"; P(step ok) is their fraction of the softmax. `null` uses the names in
    `id2label` of the checkpoint, such as correct and incorrect, or label 1 if there are no names. A head with one
    output is a logit, read by a sigmoid."""
    ok_labels_by: Literal["card", "family"] = "card"
    """Who set `ok_labels`; a family must not contradict the names in the checkpoint."""

    @model_validator(mode="after")
    def _vllm_reads_one_head(self) -> Self:
        if self.engine == "vllm" and (self.head_mean or self.head not in (None, "score")):
            raise ValueError(
                "the engine 'vllm' can only read the head 'score', but this card names another head: use the engine "
                "'transformers'"
            )
        return self


class LikelihoodCard(BaseModel):
    """How a likelihood judge maps the surprisal of a step's tokens, -log p in nats, to P(step ok).

    logit P = bias + max_weight * largest surprisal + mean_weight * mean surprisal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bias: float
    """Logit of a step without any surprise."""
    max_weight: float
    """Weight of the most surprising token."""
    mean_weight: float
    """Weight of the mean over the step's tokens."""


class LikelihoodSpec(StepSpec):
    """Any causal language model, and a map from its surprise at a step to P(step ok)."""

    opened_by = "judgekit.judges.steps.likelihood:LikelihoodJudge"
    kind: Literal["likelihood"] = "likelihood"
    input: InputConvention
    """The ids layout, on which the map is fitted."""
    fitted: LikelihoodCard
    """The map."""


class LabelTokens(BaseModel):
    """Which next tokens of a language model mean that a step is correct or wrong; P(step ok) is read off them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ok: int | str
    """Token id, or a text whose last token counts, for a correct step."""
    error: int | str
    """The same for a wrong step."""


class LabelTokenSpec(StepSpec):
    """A language model whose next token says correct or wrong."""

    opened_by = "judgekit.judges.steps.label_token:LabelTokenJudge"
    kind: Literal["label_token"] = "label_token"
    label_tokens: LabelTokens
    """The two tokens."""


class ImplicitSpec(StepSpec):
    """A process reward implied by two language models.

    logit P(step ok) = coefficient * sum of log p(token) - log p_reference(token) over the solution up to the step's
    end. Monotone in the published reward, but not a calibrated probability.

    Source:
        Implicit process reward (2412.01981), eq. 3: the reward is the scaled log-ratio.
    """

    opened_by = "judgekit.judges.steps.implicit:ImplicitJudge"
    kind: Literal["implicit"] = "implicit"
    reference: str
    """The reference model: a path relative to the card, an absolute path, or a Hub id."""
    coefficient: float = Field(gt=0)
    """Scale of the log-ratio, per nat."""
    n_lead_tokens: int = Field(default=0, ge=0)
    """Tokens right before the first step that count as well, as in some published scripts."""

    def with_places(self, place: Callable[[str, str], str]) -> Self:
        """Return the spec with all models elsewhere."""
        return super().with_places(place).model_copy(update={"reference": place("reference", self.reference)})

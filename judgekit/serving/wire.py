"""The JSON between service and client. Both sides check it with these models."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict, create_model

from judgekit.calibration.card import ConformalCard, Fingerprint
from judgekit.judges.base import JudgeInfo
from judgekit.judges.reading import ReadingScore
from judgekit.types import DecisionRule, Judgement, NoVerdictReason, Solution

DESCRIBE, JUDGE = "describe", "judge"
"""Paths below the service's address."""
WITH_DETAILS = "details=true"
"""Query of `POST /judge` from a client that knows step probabilities and every reason for no verdict. A query, because
older services refuse fields of the body that they do not know, and read no query."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Said(_Message):
    """What a service says about itself; a client ignores fields that later releases may add."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Limits(_Said):
    """How large a request may be."""

    max_solutions: int = Field(ge=1)
    """Most solutions."""
    max_body_bytes: int = Field(ge=1)
    """Largest body, bytes."""
    max_request_steps: int | None = Field(default=None, ge=1)
    """Most steps of all solutions together; `null` if the service is older than this field."""
    max_request_chars: int | None = Field(default=None, ge=1)
    """Most characters of all solutions together; `null` if the service is older than this field."""


class DescribeRequest(_Message):
    """Body of `POST /describe` from a client that reads every field of `Description`.

    Older clients send `{}` and refuse fields that they do not know, so `DETAILS` are sent only to those that ask.
    """

    details: Annotated[bool, Strict()] = False
    """Whether the fields of `DETAILS` are wanted."""


class Description(_Said):
    """The judge behind the service: answer to `POST /describe`, whose body may be any JSON."""

    judge_id: str
    """Its name in results."""
    decision: DecisionRule
    """The rule that turns its posterior into one index."""
    deterministic: bool
    """Whether it says that the same solution always gets the same verdict."""
    conformal: ConformalCard | None = None
    """Its conformal thresholds; `null` for none."""
    version: str
    """Release of judgekit that serves it."""
    limits: Limits
    """How large a request may be."""
    dtype: str | None = None
    """Precision of its weights; `null` if it has none, or where the service does not say."""
    fingerprint: Fingerprint | None = None
    """The data that its probabilities were fitted on; `null` if nothing was, or where the service does not say."""
    reading: ReadingScore | None = None
    """How far its verdicts depend on the problem; `null` if that is unsaid."""
    needs_reference: bool | None = None
    """Whether it has no verdict without a reference; `null` if that is unsaid."""
    reserved: tuple[str, ...] = ()
    """What it keeps for itself in candidates' texts."""
    kind: str | None = None
    """What it is, as in cards; `null` if it has no card, or where the service does not say."""
    usd_per_mtok: tuple[float, float] | None = None
    """What a million tokens of prompt and of answer cost, in US dollars; `null` if it is unsaid."""
    members: tuple[str, ...] = ()
    """Ids of the judges that it asks; empty if it asks none, or where the service does not say."""
    relative_cost: float | None = None
    """What a solution costs as a share of asking the last member about all; `null` if it is unsaid."""
    training: dict[str, Any] = Field(default_factory=dict)
    """What it was trained on and how; empty if it is unsaid."""
    verdict_key: str | None = None
    """Id of all that its verdicts depend on; `null` if the service does not say, or cannot tell."""

    @property
    def info(self) -> JudgeInfo:
        """What the judge behind the service says of itself."""
        return JudgeInfo(**{name: value for name, value in self if name in INFO_FIELDS})


INFO_FIELDS = frozenset(field.name for field in fields(JudgeInfo))
"""Fields of `Description` that the judge says of itself; the others are the service's."""
DETAILS = INFO_FIELDS - {"judge_id", "decision", "deterministic", "conformal"}
"""Fields of `Description` that came after its first release."""
LIMIT_DETAILS = {"max_request_steps", "max_request_chars"}
"""Fields of `Limits` that came after its first release."""

JUDGEMENT_DETAILS: dict[str, set[str] | bool] = {"verdict": {"step_probs_S"}, "asked": True}
"""Fields of a judgement and its verdict that came after its first release."""
OLDER_REASONS = {NoVerdictReason.NON_FINITE: NoVerdictReason.UNPARSABLE}
"""What clients that do not know a reason for no verdict are told in its place."""

if TYPE_CHECKING:
    SolutionRow = Solution
else:
    # The fields of a solution without what it computes from them: types are checked before anything is made of values.
    SolutionRow = create_model(
        "SolutionRow",
        __config__=ConfigDict(frozen=True, extra="forbid", strict=True),
        **{name: (field.annotation, field) for name, field in Solution.model_fields.items()},
    )


class JudgeRequest(_Message):
    """Body of `POST /judge`. Types are strict: neither `true` nor `"1"` is a number, and no number is a text."""

    solutions: tuple[SolutionRow, ...] = Field(min_length=1)
    """What to judge."""
    timeout_s: Annotated[float, Strict()] | None = Field(default=None, gt=0, allow_inf_nan=False)
    """After so many seconds nobody waits for the answer any more; `null` leaves it to the service."""


class JudgeAnswer(_Message):
    """Answer to `POST /judge`."""

    judge_id: str
    """The judge that judged."""
    judgements: tuple[Judgement, ...]
    """One a solution, in the order of the request."""


def count_chars(solution: Solution) -> int:
    """Return the characters of problem, steps and reference, as the limits count them."""
    return len(solution.problem) + sum(map(len, solution.steps)) + len(solution.reference or "")


class Trouble(_Message):
    """Why a request was not answered: the body of every status but 200."""

    what: str
    """What is wrong."""
    value: str | int | float | None = None
    """The value that is wrong, where there is one."""
    way_out: str
    """What to do instead."""

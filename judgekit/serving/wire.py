"""What travels between service and client, as JSON. Both sides check it with these models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from judgekit.judges.calibrator_card import ConformalCard
from judgekit.types import DecisionRule, Judgement, Solution

DESCRIBE, JUDGE = "describe", "judge"
"""Paths below the service's address."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Message):
    """How large a request may be."""

    max_solutions: int = Field(ge=1)
    """Most solutions."""
    max_body_bytes: int = Field(ge=1)
    """Largest body, bytes."""


class Description(_Message):
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


class JudgeRequest(_Message):
    """Body of `POST /judge`."""

    solutions: tuple[Solution, ...] = Field(min_length=1)
    """What to judge."""
    timeout_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """After so many seconds nobody waits for the answer any more; `null` leaves it to the service."""


class JudgeAnswer(_Message):
    """Answer to `POST /judge`."""

    judge_id: str
    """The judge that judged."""
    judgements: tuple[Judgement, ...]
    """One a solution, in the order of the request."""


class Trouble(_Message):
    """Why a request was not answered: the body of every status but 200."""

    what: str
    """What is wrong."""
    value: str | int | float | None = None
    """The value that is wrong, where there is one."""
    way_out: str
    """What to do instead."""


__all__ = ["DESCRIBE", "JUDGE", "Description", "JudgeAnswer", "JudgeRequest", "Limits", "Trouble"]

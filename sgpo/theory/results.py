"""The contents of `theory.json`: every number in the figures and tables of `sgpo theory`, with more digits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Arm(_Part):
    """One way of training in one case."""

    success_T: tuple[float, ...]
    """Probability of a correct response after each batch, including the start."""
    updates_to_level: int | None
    """Batches until that probability reaches the study's level, 0 if it does at the start; `null` if it never does."""
    groups_for_signal: float | None
    """Groups per batch whose gradient, at the start, has a standard error as large as its mean; `null` if the mean is
    0."""


class Case(_Part):
    """SGPO against GRPO."""

    changes: dict[str, Any]
    """What varies in the case: option -> value."""
    all_negative: float
    """Fraction of groups without a correct response, at the start."""
    sgpo: Arm
    """With the judge."""
    grpo: Arm
    """Without."""
    most: float
    """Largest difference between SGPO's and GRPO's probability of a correct response, over the training."""
    most_at: int
    """The batch after which it occurs."""
    least: float
    """Smallest such difference; below 0, SGPO was behind."""
    least_at: int
    """The batch after which it occurs."""


class CasesResult(_Part):
    """The cases of a study."""

    type: Literal["cases"] = "cases"
    title: str
    level: float
    """Probability of a correct response to reach."""
    cases: tuple[Case, ...]


class StartsResult(_Part):
    """SGPO minus GRPO by the initial probabilities of step 1 (rows) and step 2 (columns)."""

    type: Literal["starts"] = "starts"
    title: str
    chances: tuple[float, ...]
    """Initial probabilities of either step."""
    first: tuple[tuple[float, ...], ...]
    """Difference in the probability of a correct response after the first batch."""
    most: tuple[tuple[float, ...], ...]
    """Largest difference over the training."""
    least: tuple[tuple[float, ...], ...]
    """Smallest difference over the training, at most 0."""


class Sampled(_Part):
    """Training runs on sampled batches."""

    judge: str
    """Name of the judge."""
    n_groups: int
    """Groups per batch."""
    mean_T: tuple[float, ...]
    """Probability of a correct response after each batch, mean over training runs."""
    lo_T: tuple[float, ...]
    """A tenth of the training runs lie below."""
    hi_T: tuple[float, ...]
    """A tenth of the training runs lie above."""
    frac_at_level: float
    """Fraction of training runs that are at or above the level at the end."""
    median_updates: float | None
    """Median over training runs of the batches until the level; `null` if half of them never reach it."""


class BatchesResult(_Part):
    """The training runs of a study on sampled batches."""

    type: Literal["batches"] = "batches"
    title: str
    level: float
    """Probability of a correct response to reach."""
    n_runs: int
    """Training runs of each kind."""
    trainings: tuple[Sampled, ...]


StudyResult = CasesResult | StartsResult | BatchesResult


class TheoryResults(_Part):
    """All studies by name."""

    schema_version: Literal[1] = 1
    """Version of the file's layout."""
    studies: dict[str, Annotated[StudyResult, Field(discriminator="type")]]

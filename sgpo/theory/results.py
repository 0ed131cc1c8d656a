"""What `theory.json` holds: every number of the figures and tables of `sgpo theory`, and more digits of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Arm(_Part):
    """One way of training in a case."""

    success_T: tuple[float, ...]
    """Chance of a right response after each batch, the start included."""
    updates_to_level: int | None
    """Batches until that chance is at or above the study's level, 0 where the start is; `null` where it never is."""
    groups_for_signal: float | None
    """Groups of a batch whose gradient, at the start, has a standard error as large as its mean; `null` where the mean
    is 0."""


class Case(_Part):
    """SGPO against GRPO."""

    changes: dict[str, Any]
    """What the case varies: option -> value."""
    all_negative: float
    """Share of groups without a right response, at the start."""
    sgpo: Arm
    """With the judge."""
    grpo: Arm
    """Without."""
    most: float
    """Largest difference of SGPO's chance of a right response to GRPO's, over the training."""
    most_at: int
    """After which batch."""
    least: float
    """Smallest such difference; below 0 SGPO was behind."""
    least_at: int
    """After which batch."""


class CasesResult(_Part):
    """The cases of a study."""

    type: Literal["cases"] = "cases"
    title: str
    level: float
    """Chance of a right response that is to be reached."""
    cases: tuple[Case, ...]


class StartsResult(_Part):
    """SGPO less GRPO by the chances of step 1 (rows) and step 2 (columns) at the start."""

    type: Literal["starts"] = "starts"
    title: str
    chances: tuple[float, ...]
    """At the start, of either step."""
    first: tuple[tuple[float, ...], ...]
    """Difference of the chances of a right response after the first batch."""
    most: tuple[tuple[float, ...], ...]
    """Largest difference over the training."""
    least: tuple[tuple[float, ...], ...]
    """Smallest difference over the training, at most 0."""


class Sampled(_Part):
    """Trainings on sampled batches."""

    judge: str
    """Name of the judge."""
    n_groups: int
    """Groups of a batch."""
    mean_T: tuple[float, ...]
    """Chance of a right response after each batch, mean over trainings."""
    lo_T: tuple[float, ...]
    """A tenth of the trainings lie below."""
    hi_T: tuple[float, ...]
    """A tenth of the trainings lie above."""
    frac_at_level: float
    """Share of trainings that are at or above the level at the end."""
    median_updates: float | None
    """Median over trainings of the batches until the level; `null` where half of them never reach it."""


class BatchesResult(_Part):
    """The trainings of a study on sampled batches."""

    type: Literal["batches"] = "batches"
    title: str
    level: float
    """Chance of a right response that is to be reached."""
    n_runs: int
    """Trainings of each kind."""
    trainings: tuple[Sampled, ...]


StudyResult = CasesResult | StartsResult | BatchesResult


class TheoryResults(_Part):
    """All studies by name."""

    schema_version: Literal[1] = 1
    """Version of the file's layout."""
    studies: dict[str, Annotated[StudyResult, Field(discriminator="type")]]

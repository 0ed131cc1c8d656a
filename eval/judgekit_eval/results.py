"""The base of every `results.json`: a model with a checked `schema_version`; other versions are refused with a remedy.

Each stage has its own model next to its computation: `judgekit_eval.judges.schema`, `judgekit_eval.best_of_n.schema`,
`judgekit_eval.attacks.schema`, `judgekit_eval.policy.schema`. Field names are the keys in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from judgekit.errors import DataError, describe_validation_error, shorten
from judgekit.io import read_json, write_json
from judgekit.judges.members import asked_members, what_it_took
from judgekit.types import Judgement


class Part(BaseModel):
    """A part of results: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Metric(Part):
    """A metric with its 95 % interval; all `None` if it is undefined."""

    value: float | None
    """On the data itself."""
    lo: float | None
    """Lower end of the interval; `None` if there is but one cluster to resample."""
    hi: float | None
    """Upper end."""

    def __str__(self) -> str:
        """As people read it, in its own unit: `65.4 [57.3, 72.7]`."""
        if self.value is None:
            return "undefined"
        return f"{self.value:.3g}" + ("" if self.lo is None or self.hi is None else f" [{self.lo:.3g}, {self.hi:.3g}]")


class AskedJudge(Part):
    """A judge that a cascade asked, over all solutions."""

    judge_id: str
    n_asked: int
    """Solutions that it was asked about."""
    n_answered: int
    """Of these, those that it answered: the others went on."""
    n_tokens: int
    seconds: float
    cost_usd: float | None = None


class Cost(Part):
    """What judging took."""

    n_tokens: int
    """Tokens read and written."""
    seconds: float
    """Seconds in the judge."""
    cost_usd: float | None = None
    """US dollars; `None` if no price is known."""

    asked: list[AskedJudge] | None = None
    """The judges that a cascade asked, in its order; `None` of other judges. What they took is counted above."""

    @classmethod
    def of(cls, judgements: Sequence[Judgement]) -> Cost:
        """Add up what judgements took; a judgement without a price adds nothing to the dollars of the others."""
        members = [
            AskedJudge(
                judge_id=member.judge_id,
                n_asked=member.n_asked,
                n_answered=member.n_answered,
                **what_it_took(member.took),
            )
            for member in asked_members(judgements)
        ]
        return cls(**what_it_took(judgements), **({"asked": members} if members else {}))

    @property
    def answered_by(self) -> str:
        """Say which share each member of a cascade answered; nothing of other judges."""
        n = sum(member.n_answered for member in self.asked or ())
        return ", ".join(f"{member.judge_id} {member.n_answered / n:.0%}" for member in self.asked or ())


class Bootstrap(Part):
    """How intervals came about."""

    clustered_by: str
    """What is drawn as a whole."""
    level: float
    """Probability that an interval is meant to hold."""
    n_resamples: int
    """Draws."""
    seed: int | None = None
    """Of the draws; `None` if results say it elsewhere."""


class Results(Part):
    """All that one `results.json` holds."""

    unversioned: ClassVar[bool] = False
    """Whether the first release wrote these results without a version."""
    schema_version: Literal[1] = 1
    """Version of the file's layout."""

    def as_stored(self) -> dict[str, Any]:
        """Return what the file holds; fields that were not given, as in results of an earlier release, stay away."""
        return self.model_dump(mode="json", exclude_unset=True)

    def write(self, path: Path) -> None:
        """Write the file."""
        write_json(path, self.as_stored())


ResultsT = TypeVar("ResultsT", bound=Results)


def read_results(path: Path, model: type[ResultsT]) -> ResultsT:
    """Read results and check them.

    Raises:
        DataError: the file is missing, is no such results, or is of a version that this release does not read.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no results but {shorten(values)}: give a results.json written by `judgekit`")
    version = values.get("schema_version", 1 if model.unversioned else None)
    # By type, for `True == 1` in Python.
    if type(version) is not int or version != 1:
        raise DataError(
            f"{path} has schema_version {shorten(version)}, but this release reads 1: run the stage again with this "
            "release in a new folder, or read the file with the release that wrote it"
        )
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise DataError(
            f"{path} is damaged or not a {model.__name__}: {describe_validation_error(error)}. Run its stage again"
        ) from error

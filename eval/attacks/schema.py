"""What the `results.json` of the attack suite holds. Probabilities, RTS and shares are in [0, 1]."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import PlainSerializer

from eval.results import Bootstrap, Metric, Part, Results
from judgekit.types import ArgmaxRule, ThresholdRule


class Unattacked(Part):
    """Means over the judged solutions as they were; `None` where none was judged."""

    n_no_verdict: int
    p_none: float | None
    rts: float | None
    hard_rts: float | None
    no_error: float | None
    """Share in which no error was found."""


class PhraseGain(Part):
    """What one text that an attack draws gains."""

    p_none: float
    """Mean rise of P(no error)."""
    n: int
    """Solutions that got it."""


class Effects(Part):
    """What one attack does to one judge; differences are attacked less unattacked, see `compute_effects`."""

    n: int
    n_scored: int
    n_found_before: int
    n_flips: int
    n_unscored: int
    unscored: dict[str, int]
    """Attacked solutions without a verdict, by reason."""
    n_more_steps: int
    n_fewer_steps: int
    p_none: Metric
    rts: Metric
    hard_rts: Metric
    rts_perfect: Metric
    rts_excess: Metric
    flips: Metric
    by_phrase: dict[str, PhraseGain]


class Side(Part):
    """A solution before or after, and what the judge said."""

    steps: list[str]
    p_none: float
    rts: float
    predicted: int | None
    """Decided first error, 0-based; `None` = no error."""


class Example(Part):
    """A solution whose P(no error) rose."""

    id: str
    problem: str
    first_error: int | None
    phrase: str | None
    before: Side
    after: Side


class AttackEffects(Part):
    """One attack on every variant of the judge."""

    family: str
    description: str
    claim: str
    source: str
    n_impossible: int
    """Solutions of which it cannot be made."""
    judges: dict[str, Effects]
    worst: dict[str, list[Example]]


class AttackResults(Results):
    """All attacks on one judge, or on variants of it side by side."""

    unversioned: ClassVar[bool] = True
    judge_id: str
    unit: str
    decision: Annotated[ThresholdRule | ArgmaxRule, PlainSerializer(lambda rule: rule.model_dump())]
    """The judge's rule, written whole: its defaults, too."""
    reserved: list[str]
    n: int
    n_problems: int
    unattacked: dict[str, Unattacked]
    attacks: dict[str, AttackEffects]
    bootstrap: Bootstrap
    seed: int

"""The `results.json` of the attack suite. Probabilities, RTS and shares are in [0, 1]."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import PlainSerializer

from judgekit.judges.reading import ReadingScore
from judgekit.types import ArgmaxRule, ThresholdRule
from judgekit_eval.results import Bootstrap, Metric, Part, Results


class Unattacked(Part):
    """Means over the judged solutions as they were; `None` if none was judged."""

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


class ReadingEffects(Part):
    """What one change that makes correct solutions wrong does to one judge; differences are changed less own."""

    n: int
    n_scored: int
    """Solutions with a verdict before and after: all figures are of these."""
    p_none_before: float | None
    p_none: Metric
    """Mean change of P(no error); below 0 for a judge that reads."""
    auc: Metric
    """Of telling by P(no error) the solutions as they were from what was made of them; 0.5 = it does not."""
    n_passed_before: int
    noticed: Metric
    """Of those in which no error was found before, the share in which one is found after."""


class ReadingTestResults(Part):
    """One test of reading on every variant of the judge."""

    description: str
    expected: str
    """What a judge that reads does."""
    source: str
    n_impossible: int
    """Solutions of which it cannot be made."""
    judges: dict[str, ReadingEffects]


class Reading(Part):
    """Whether the judge reads: its verdicts on correct solutions that are correct no longer."""

    n: int
    """Right solutions."""
    n_problems: int
    tests: dict[str, ReadingTestResults]
    scores: dict[str, ReadingScore | None]
    """By variant of the judge; `None` if a test that counts was left out or is not possible."""


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
    reading: Reading | None = None
    """`None` if the data has no correct solution, no test of reading was asked for, or the release was older."""
    bootstrap: Bootstrap
    seed: int

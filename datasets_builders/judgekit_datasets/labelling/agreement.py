"""How two sets of first-error labels agree with each other and, if it is known, with the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from rich.console import Group
from rich.table import Column, Table

from judgekit.metrics.bootstrap import wilson_interval
from judgekit_datasets.build_report import NO_ERROR, histogram


class Agreement(StrEnum):
    """How the Monte-Carlo label and the judge's label of one solution relate."""

    NO_ERROR = "both: no error"
    """Neither finds an error."""
    SAME_STEP = "both: the same step"
    """Both find the first error at the same step."""
    DIFFERENT_STEP = "different steps"
    """Both find an error, at different steps."""
    ONLY_MONTE_CARLO = "an error by Monte-Carlo labels alone"
    """The judge finds none."""
    ONLY_JUDGE = "an error by the judge alone"
    """The rollouts find none."""

    @property
    def kept(self) -> bool:
        """Whether the consensus filter keeps the solution."""
        return self in {Agreement.NO_ERROR, Agreement.SAME_STEP}


def classify_agreement(monte_carlo: int | None, judge: int | None) -> Agreement:
    """Compare two first errors, 0-based, `None` for no error.

    Example:
        >>> classify_agreement(2, None).value
        'an error by Monte-Carlo labels alone'
    """
    if monte_carlo == judge:
        return Agreement.NO_ERROR if judge is None else Agreement.SAME_STEP
    if judge is None:
        return Agreement.ONLY_MONTE_CARLO
    return Agreement.ONLY_JUDGE if monte_carlo is None else Agreement.DIFFERENT_STEP


class Labelled(NamedTuple):
    """What is said about one solution: first errors, 0-based, `None` for no error."""

    monte_carlo: int | None
    """By rollouts."""
    judge: int | None
    """By the judge."""


class Rate(BaseModel):
    """A share with its Wilson interval of 95 %; all three `None` if there is nothing to share."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    hits: int
    """Solutions for which it holds."""
    n: int
    """Solutions that it is asked of."""
    value: float | None
    """hits / n, in [0, 1]."""
    lo: float | None
    """Lower end."""
    hi: float | None
    """Upper end."""


class LabelQuality(BaseModel):
    """How right a set of labels is."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n_true_errors: int
    """Solutions that truly have an error: a filter that keeps few of them is right at little use."""
    exact: Rate
    """Of all solutions: the label is the true first error, or rightly none."""
    error_precision: Rate
    """Of those labelled with an error: the first error is at that step."""
    correct_precision: Rate
    """Of those labelled as having no error: there is none."""


class AgreementReport(BaseModel):
    """What a consensus filter found."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n_labelled_by_both: int
    """Solutions that both data sets hold."""
    n_kept: int
    """Those of them on which both agree."""
    share_kept: Rate
    """Their share."""
    agreement: dict[str, int]
    """Solutions labelled by both, by how the labels relate."""
    unmatched: dict[str, int]
    """Rows left out before comparing, by reason."""
    positions: dict[str, dict[str, int]]
    """First error by Monte-Carlo labels -> first error by the judge -> solutions; `none` is no error."""
    kappa: float | None
    """Cohen's kappa of the two first errors: agreement beyond chance; `None` if chance alone would agree always."""
    quality: dict[str, LabelQuality]
    """Labels against the truth, on the solutions labelled by both whose truth is known: Monte-Carlo labels and judge
    labels before the filter, and what is left after it. Empty without true labels."""


def build_agreement_report(
    labels: Sequence[Labelled], *, gold: Sequence[tuple[Labelled, int | None]], unmatched: Counter[str]
) -> AgreementReport:
    """Count.

    Args:
        labels: The solutions that both have labelled.
        gold: Those whose true first error is known, with it.
        unmatched: Rows left out, by reason.
    """
    agreement = Counter(classify_agreement(*pair) for pair in labels)
    n_kept = sum(count for kind, count in agreement.items() if kind.kept)
    by_judge: dict[int | None, Counter[int | None]] = defaultdict(Counter)
    for pair in labels:
        by_judge[pair.monte_carlo][pair.judge] += 1
    places = sorted(by_judge, key=lambda place: -1 if place is None else place)
    positions = {NO_ERROR if place is None else str(place): histogram(by_judge[place]) for place in places}
    return AgreementReport(
        n_labelled_by_both=len(labels),
        n_kept=n_kept,
        share_kept=_rate(n_kept, len(labels)),
        agreement={kind.value: agreement[kind] for kind in Agreement},
        unmatched=dict(unmatched.most_common()),
        positions=positions,
        kappa=compute_kappa(labels),
        quality={
            "Monte-Carlo": _quality([(pair.monte_carlo, truth) for pair, truth in gold]),
            "judge": _quality([(pair.judge, truth) for pair, truth in gold]),
            "consensus": _quality([(pair.judge, truth) for pair, truth in gold if classify_agreement(*pair).kept]),
        }
        if gold
        else {},
    )


def compute_kappa(labels: Sequence[Labelled]) -> float | None:
    """Return Cohen's kappa of the two first errors: 1 is full agreement, 0 what independent labels would reach.

    `None` if both always say the same one thing, or there are no labels.

    Source:
        Cohen, A coefficient of agreement for nominal scales (1960).
    """
    n = len(labels)
    by_monte_carlo = Counter(pair.monte_carlo for pair in labels)
    by_judge = Counter(pair.judge for pair in labels)
    n_squared_by_chance = sum(count * by_judge[place] for place, count in by_monte_carlo.items())
    if n_squared_by_chance == n * n:  # compared in integers: the quotient could miss 1 by a bit
        return None
    observed, by_chance = sum(pair.monte_carlo == pair.judge for pair in labels) / n, n_squared_by_chance / n**2
    return (observed - by_chance) / (1 - by_chance)


def _quality(pairs: Sequence[tuple[int | None, int | None]]) -> LabelQuality:
    """Compare (label, truth)."""
    as_error = [label == truth for label, truth in pairs if label is not None]
    as_correct = [label == truth for label, truth in pairs if label is None]
    return LabelQuality(
        n_true_errors=sum(truth is not None for _, truth in pairs),
        exact=_rate(sum(as_error) + sum(as_correct), len(pairs)),
        error_precision=_rate(sum(as_error), len(as_error)),
        correct_precision=_rate(sum(as_correct), len(as_correct)),
    )


def _rate(hits: int, n: int) -> Rate:
    value, lo, hi = wilson_interval(hits, n)
    return Rate(hits=hits, n=n, value=value, lo=lo, hi=hi)


def render_agreement(report: AgreementReport) -> Group:
    """Return the report as tables for the terminal."""
    counts = Table("solutions", Column("count", justify="right"))
    for name, count in [*report.unmatched.items(), *report.agreement.items()]:
        counts.add_row(name, str(count))
    counts.add_row("kept", f"{report.n_kept} of {report.n_labelled_by_both} ({_shown(report.share_kept)})")
    counts.add_row("kappa", "undefined" if report.kappa is None else f"{report.kappa:.3f}")
    places = sorted(
        {place for row in report.positions.values() for place in row}, key=lambda p: -1 if p == NO_ERROR else int(p)
    )
    table = Table(
        "Monte-Carlo", *(Column(place, justify="right") for place in places), title="first error by the judge"
    )
    for name, counted in report.positions.items():
        table.add_row(name, *(str(counted.get(place, 0)) for place in places))
    if not report.quality:
        return Group(counts, table)
    quality = Table("labels by", "of", *(Column(name, justify="right") for name in ("right", "share [95 %]")))
    for name, row in report.quality.items():
        rates = {
            f"all, {row.n_true_errors} with a true error": row.exact,
            "labelled with an error": row.error_precision,
            "labelled as correct": row.correct_precision,
        }
        for whole, rate in rates.items():
            quality.add_row(name, whole, f"{rate.hits} of {rate.n}", _shown(rate))
    return Group(counts, table, quality)


def _shown(rate: Rate) -> str:
    if rate.value is None or rate.lo is None or rate.hi is None:
        return "none"
    return f"{100 * rate.value:.1f} % [{100 * rate.lo:.1f}, {100 * rate.hi:.1f}]"

"""The `results.json` of one judge on one benchmark.

`scores` are in percent; other metrics are in the unit of `judgekit.metrics`, most of them in [0, 1]. What evaluations
of earlier releases lack is `None` or empty.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, JsonValue

from judgekit.judges.reading import ReadingScore
from judgekit_eval.results import Bootstrap, Cost, Metric, Part, Results

Scores = dict[str, Metric]
"""Scores by name, in percent."""


class Data(Part):
    """Says whether two results are about the same solutions."""

    n_solutions: int
    sha256: str
    """Of the solutions' sorted ids."""


class About(Part):
    """The judge."""

    judge_id: str
    """Its name in these results."""
    kind: str | None
    family: str | None
    dtype: str | None
    deterministic: bool
    calibrator: dict[str, JsonValue] | None
    """Its card's calibrator, as the card has it."""
    votes: int | None
    prompt_sha256: str | None
    reading: ReadingScore | None = None
    """Whether it reads the problem, as its card says."""


class Decision(Part):
    """What decided, and where it comes from."""

    kind: Literal["threshold", "argmax"]
    threshold: float | None
    """The one threshold; `None` if there are several or none."""
    thresholds: list[float] | None
    """One a fold, where they were cross-fitted."""
    n_default: int = 0
    """Of these, folds in which the default decided."""
    no_error_weight: float | None = None
    """Of the most probable outcome: what P(no error) was multiplied by; `None`: nothing."""
    origin: str


class Contamination(Part):
    """Whether the judge has met the problems before, as it says itself."""

    status: Literal["overlap", "unknown", "none", "cross-fitted"]
    n_solutions: int
    n_problems: int
    examples: list[str]
    """Ids of problems."""
    note: str


class HowRun(Part):
    """How the judge was run."""

    reference_shown: bool
    threshold_tuned_here: bool
    votes: int | None
    prompt_sha256: str | None
    n_truncated: int
    contamination: Contamination


class Headline(Metric):
    """The metric that the leaderboard sorts by, in percent."""

    name: str


class StepBin(Part):
    """One bin of a reliability diagram."""

    lo: float
    hi: float
    count: int
    mean_prob: float | None
    frac_ok: float | None


class StepMetrics(Part):
    """Metrics of P(step ok) on the reached steps of judged solutions."""

    n_steps: int
    auroc: Metric
    auprc_error: Metric
    auroc_within_position: Metric | None = None
    n_pairs_within_position: int | None = None
    ece: Metric
    ece_equal_mass: Metric
    ece_debiased: Metric
    brier: Metric
    brier_reliability: Metric
    brier_resolution: Metric
    brier_uncertainty: Metric
    brier_within: Metric
    sharpness: Metric
    nll: Metric
    bins: list[StepBin]
    bins_equal_mass: list[StepBin]


class Selective(Part):
    """What abstaining where the judge is unsure gains."""

    aurc: Metric
    aurc_random: Metric
    aurc_perfect: Metric
    coverage: list[float]
    risk: list[float | None]
    risk_lo: list[float | None]
    risk_hi: list[float | None]


class HitRow(Part):
    """Share correctly decided in one group of solutions."""

    name: str
    n: int
    hit: Metric


class HitTables(Part):
    """Shares correctly decided by what solutions are distinguished by."""

    position: list[HitRow]
    length: list[HitRow]
    generator: list[HitRow]


class Confusion(Part):
    """True first errors (rows) against predicted ones (columns)."""

    rows: list[str]
    columns: list[str]
    counts: list[list[int]]


class BestThreshold(Part):
    """The threshold that is best on these very solutions: an upper bound, never a result."""

    threshold: float
    f1: float


class CleanScores(Part):
    """Scores over the solutions whose problems the judge has not seen, next to their number in the file."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Metric]
    n: int

    @property
    def scores(self) -> Scores:
        """The scores by name; none if all problems were seen."""
        return self.__pydantic_extra__


class SubsetResults(Part):
    """All that was measured on one subset."""

    n: int
    n_error: int
    n_correct: int
    n_no_verdict: int
    no_verdict: dict[str, int]
    n_problems: int
    scores: Scores
    offsets: dict[str, Metric]
    """Share of each outcome among the solutions of its class."""
    steps: StepMetrics | None
    first_error: dict[str, Metric] | None
    distance: dict[str, Metric] | None
    rts: dict[str, Metric] | None
    selective: Selective | None
    by: HitTables
    confusion: Confusion
    best_threshold: BestThreshold | None
    cost: Cost
    threshold_tuned_here: bool
    scores_clean: CleanScores | None = None


class Pooled(Part):
    """Plain localization over all solutions at once."""

    scores: Scores
    steps: StepMetrics | None


class Overall(Part):
    """The benchmark's own scores over all subsets."""

    n: int
    n_error: int
    n_correct: int
    n_no_verdict: int
    threshold_tuned_here: bool
    scores: Scores
    scores_clean: CleanScores | None = None


class Spread(Part):
    """A metric over random splits; `None` if no split defines it."""

    mean: float | None
    sd: float | None
    lo: float | None
    hi: float | None


class IndexSet(Part):
    """Sets that hold the first error."""

    max_mass: float
    coverage: Metric
    mean_size: Metric
    mean_share: Metric
    full_share: Metric


class Prefix(Part):
    """Prefixes that hold no error."""

    min_survival: float
    risk: Metric
    mean_share: Metric
    empty_share: Metric


class Promise(Part):
    """How conformal guarantees of one alpha held on the tested problems."""

    alpha: float
    n_problems_calibration: int
    n_problems: int
    n: int
    n_no_verdict: int
    index_set: IndexSet
    prefix: Prefix
    prefix_if_wrong: Prefix
    splits: dict[str, dict[str, Spread]] | None
    """Promise -> metric -> its spread over random splits."""


class ConformalSubset(Part):
    """Promises on one subset, calibrated on half of its problems."""

    n: int
    n_no_verdict: int
    n_problems: int
    mean_outcomes: float | None
    held_out: list[Promise] | None


class Shift(Part):
    """Promises on other data than they were calibrated on."""

    kind: Literal["subset", "generator"]
    calibrated_on: str
    tested_on: str
    subset: str
    figures: list[Promise]


class Conformal(Part):
    """Coverage of index sets and risk of certified prefixes, see `judgekit_eval.judges.coverage`."""

    alphas: list[float]
    n_splits: int
    n_resamples: int
    seed: int
    level: float
    weighting: Literal["problem"]
    subsets: dict[str, ConformalSubset]
    shift: list[Shift]


class EvalResults(Results):
    """One judge on one benchmark."""

    benchmark: str
    data: Data
    judge: About
    decision: Decision
    protocol: HowRun
    comparability: list[str]
    """What keeps its figures from standing next to others, in whole sentences."""
    headline: Headline
    undefined: list[str] = Field(default_factory=list)
    """Which figures these solutions cannot have, in whole sentences."""
    subsets: dict[str, SubsetResults]
    pooled: Pooled | None = None
    overall: Overall
    conformal: Conformal | None
    cost: Cost
    bootstrap: Bootstrap

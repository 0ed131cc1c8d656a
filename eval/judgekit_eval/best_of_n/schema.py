"""The `results.json` of best-of-N. Accuracies are in percent, differences in percentage points."""

from __future__ import annotations

from pydantic import Field

from judgekit_eval.results import Bootstrap, Cost, Metric, Part, Results


class MethodMetrics(Part):
    """The accuracy of one way to choose, by N as text; an N for which no group has enough responses is left out."""

    accuracy: dict[str, Metric] = Field(default_factory=dict)
    minus_random: dict[str, Metric] = Field(default_factory=dict)
    """Paired differences from choosing any response."""
    minus_majority: dict[str, Metric] = Field(default_factory=dict)
    """Paired differences from the most frequent answer."""


class JudgeCurves(Part):
    """What one judge is worth for choosing."""

    judge_id: str
    n_no_verdict: int
    no_verdict: dict[str, int]
    """Responses without a verdict, by reason."""
    cost: Cost
    scores: dict[str, MethodMetrics]
    """By what responses are ranked by."""


class BestOfNResults(Results):
    """Judges and references on the same groups of responses."""

    unit: str
    n_groups: int
    n_responses: int
    n_problems: int
    generators: dict[str, int]
    """Responses by who wrote them."""
    n_all_wrong: int
    n_all_right: int
    n_without_answer: int
    n_uncheckable_pairs: int
    n_mixed_answers: int
    n_groups_by_size: dict[str, int]
    """Groups that have at least N responses, by N as text."""
    votes: str
    """Which subsets of a group votes are counted in."""
    reference_shown: bool
    references: dict[str, MethodMetrics]
    judges: dict[str, JudgeCurves]
    scores: dict[str, str]
    """What responses are ranked by, in words."""
    bootstrap: Bootstrap
    failures: list[str] = Field(default_factory=list)
    """Judges that failed, a line each."""

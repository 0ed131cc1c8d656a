"""The `results.json` of a policy evaluation. Scores are in percent."""

from __future__ import annotations

from typing import Any

from judgekit_eval.results import Bootstrap, Metric, Part, Results


class Described(Part):
    """The policy that answered, and the prompt as it read it."""

    engine: str
    model: str
    revision: str | None
    dtype: str | None
    device: str | None
    prompt_rendered: str | None
    chat_template_sha256: str | None


class Score(Metric):
    """avg@k or pass@k over the problems that have k answers."""

    n_problems: int
    """Problems that have k answers."""


class BenchmarkScores(Part):
    """Counts and scores of one benchmark."""

    n_problems: int
    n_samples: int
    n_right: int
    n_wrong: int
    n_truncated: int
    n_uncheckable: int
    n_failed: int
    n_empty: int
    n_truncated_right: int
    n_tokens: int
    mean_tokens: float
    scores: dict[str, dict[str, Score]]
    """Convention (`counted_wrong` or `left_out`) -> `avg@k` or `pass@k`."""


class By(Part):
    """What scores are distinguished by."""

    benchmark: dict[str, BenchmarkScores]
    """Scores by the benchmark's name."""


class PolicyResults(Results):
    """One policy on one or more benchmarks."""

    unit: str
    policy: Described
    settings: dict[str, Any]
    """The configuration but for what changes no answer, as `config.json` has it."""
    by: By
    bootstrap: Bootstrap
    packages: dict[str, str]
    """Versions of the packages that made the answers."""

"""Labelled solutions of our own for the tests of benchmarks and reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgekit.judges.base import Judge
from judgekit.types import LabelledSolution, LabelMethod, Verdict, labels_from_first_error
from judgekit_eval.evaluate import Evaluation, run_evaluation
from judgekit_eval.judges.candidates import Candidate, candidate_of
from judgekit_eval.judges.config import EvalConfig


def sample(
    index: int, *, first_error: int | None, n_steps: int = 3, subset: str = "shop", problem: str | None = None
) -> LabelledSolution:
    """Return one solution whose texts name its index."""
    return LabelledSolution(
        problem=problem or f"Problem {index}: a crate holds {index} plums. How many do three crates hold?",
        steps=tuple(f"Sentence {k} of solution {index}." for k in range(n_steps)),
        labels=labels_from_first_error(first_error, n_steps=n_steps),
        source="orchard",
        subset=subset,
        source_id=f"row-{index}",
        generator="hand",
        label_method=LabelMethod.HUMAN,
    )


def pointing_at(place: int | None, *, n_steps: int = 3) -> tuple[float, ...]:
    """Return the posterior of a judge whose P(step ok) is 0.25 at `place` and 0.75 elsewhere."""
    return Verdict.from_step_probs([0.25 if k == place else 0.75 for k in range(n_steps)]).posterior


def evaluate_all(
    judges: Sequence[Judge | Candidate],
    solutions: Sequence[LabelledSolution],
    *,
    output: Path,
    resume: bool = False,
    benchmark: str | None = None,
    **options: Any,
) -> Evaluation:
    """Evaluate open judges on one benchmark, whose name is by default the solutions' source, by their own rules."""
    candidates = [judge if isinstance(judge, Candidate) else candidate_of(judge) for judge in judges]
    source = benchmark or (solutions[0].source if solutions else "orchard")
    small = {"threshold": "judge", "chunk_size": 2, "n_resamples": 100, "n_splits": 2, "alphas": (0.2,)}
    config = EvalConfig(
        judges=[candidate.name for candidate in candidates if candidate.listed],
        benchmarks={source: ["rows.jsonl"]},
        **small | options,
    )
    opened = (candidate.load(None) for candidate in candidates if not candidate.members)
    return run_evaluation(candidates, opened, {source: solutions}, output=output, config=config, resume=resume)

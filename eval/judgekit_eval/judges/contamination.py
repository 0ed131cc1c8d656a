"""Whether a judge has seen the problems of a benchmark before, by its own records (`judgekit.judges.exposure`)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from judgekit.judges.exposure import Exposure
from judgekit.text.identity import group_problems
from judgekit.types import LabelledSolution
from judgekit_eval.judges.schema import Contamination

N_EXAMPLES = 5
"""Ids of problems that are named where problems of a benchmark were seen before."""


def check_contamination(exposure: Exposure, solutions: Sequence[LabelledSolution]) -> Contamination:
    """Compare what a judge has seen with the problems of a benchmark.

    The status is `overlap` where problems were seen, else `unknown` where the judge leaves something unsaid, else
    `none`.
    """
    seen = list(compress(solutions, exposure.problems.seen(solutions)))
    problems = sorted(set(group_problems(seen)))
    if seen:
        text = f"{len(seen)} of {len(solutions)} solutions are to problems that the judge was trained or calibrated on"
    elif exposure.problems:
        text = f"None of the {len(exposure.problems)} problems that the judge names is in the benchmark"
    else:
        text = "Unknown" if exposure.unsaid else "Nothing about the judge was fitted to problems"
    return Contamination(
        status="overlap" if problems else "unknown" if exposure.unsaid else "none",
        n_solutions=len(seen),
        n_problems=len(problems),
        examples=problems[:N_EXAMPLES],
        # "Unknown: ..." is the start of a sentence that says what is not known.
        note=": ".join([text, "; ".join(exposure.unsaid)] if exposure.unsaid else [text]) + ".",
    )

"""Quality filters of curation: each names its reason, and the first that applies counts.

Some filters are not options: a row that is not a decidable `LabelledSolution` is removed as `invalid`, whatever the
options.
"""

from __future__ import annotations

import polars as pl

from judgekit.types import StepLabel
from judgekit_datasets.curation.config import QualityConfig

_GARBAGE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{e000}-\x{f8ff}\x{fffd}]"
"""Control characters but tab and line ends, private-use characters, and what stands for undecodable bytes."""
_FINAL_ANSWER = r"\d|boxed|(?i:answer)|答|답|คำตอบ|उत्तर|(?i:ответ)|الجواب"


def with_first_error(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `first_error`, the 0-based index of the first wrong step, null where there is none."""
    return frame.with_columns(first_error=_first_index("error"))


def complaints(frame: pl.DataFrame, config: QualityConfig) -> pl.DataFrame:
    """Return `reason` and `detail` of each row, null for rows that pass.

    Args:
        frame: Rows of `LabelledSolution` with the column `first_error`.
        config: The filters.
    """
    required = pl.any_horizontal(
        *(pl.col(name).is_null() for name in ("id", "problem_id", "problem", "steps", "labels", "source"))
    )
    n_steps, n_labels = pl.col("steps").list.len(), pl.col("labels").list.len()
    known = pl.col("labels").list.eval(pl.element().is_in([str(label) for label in StepLabel])).list.all()
    end = pl.col("first_error").fill_null(n_labels.cast(pl.Int64))
    undecided = (_first_index("unlabelled") < end).fill_null(False)
    null_step = pl.col("steps").list.eval(pl.element().is_null()).list.any()
    found = [
        ("invalid", required, pl.lit("a required field is null")),
        ("invalid", (n_steps == 0) | (n_steps != n_labels), pl.format("{} steps and {} labels", n_steps, n_labels)),
        ("invalid", null_step, pl.lit("a step is null")),
        ("invalid", ~known.fill_null(False), pl.lit("a label is not known")),
        ("invalid", undecided, pl.lit("a step is unlabelled although no error comes before it")),
    ]
    steps = pl.col("steps")
    shortest = steps.list.eval(pl.element().str.strip_chars().str.len_chars()).list.min()
    longest = steps.list.eval(pl.element().str.len_chars()).list.max()
    n_repeated = n_steps - steps.list.n_unique()
    problem_chars = pl.col("problem").str.len_chars()
    text = pl.concat_str(pl.col("problem"), steps.list.join("\n"), separator="\n")
    garbage = text.str.count_matches(_GARBAGE)
    limits = (
        ("too few steps", config.min_steps, n_steps.lt, pl.format("{} steps", n_steps)),
        ("too many steps", config.max_steps, n_steps.gt, pl.format("{} steps", n_steps)),
        ("step too short", config.min_step_chars, shortest.lt, pl.format("{} characters", shortest)),
        ("step too long", config.max_step_chars, longest.gt, pl.format("{} characters", longest)),
        ("problem too long", config.max_problem_chars, problem_chars.gt, pl.format("{} characters", problem_chars)),
        ("repeated steps", config.max_repeated_steps, n_repeated.gt, pl.format("{} repeated steps", n_repeated)),
        (
            "unprintable characters",
            config.max_garbage_frac,
            (garbage / text.str.len_chars()).gt,
            pl.format("{} characters", garbage),
        ),
    )
    found += [(reason, breaks(limit), shown) for reason, limit, breaks, shown in limits if limit is not None]
    if config.require_final_answer:
        last = steps.list.last()
        found.append(("no final answer", ~last.str.contains(_FINAL_ANSWER), last.str.slice(0, 200)))
    reason = pl.coalesce(*(pl.when(wrong).then(pl.lit(name)) for name, wrong, _ in found))
    detail = pl.coalesce(*(pl.when(wrong).then(text) for _, wrong, text in found), pl.lit(None, pl.String))
    return frame.select(reason=reason, detail=detail)


def _first_index(label: str) -> pl.Expr:
    is_it = pl.col("labels").list.eval(pl.element() == label)
    return pl.when(is_it.list.any()).then(is_it.list.arg_max()).cast(pl.Int64)

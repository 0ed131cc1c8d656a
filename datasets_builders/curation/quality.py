"""Quality filters of curation: each names its reason, and the first that applies counts.

Before the filters that are options come those that are not: a row that is no decidable `LabelledSolution` is removed as
`invalid`, whatever the options.
"""

from __future__ import annotations

import polars as pl

from datasets_builders.curation.config import QualityConfig
from judgekit.types import StepLabel

_GARBAGE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{e000}-\x{f8ff}\x{fffd}]"
"""Control characters but tab and line ends, private-use characters, and what stands for undecodable bytes."""
_FINAL_ANSWER = r"\d|boxed|(?i:answer)|答|답|คำตอบ|उत्तर|(?i:ответ)|الجواب"


def with_first_error(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `first_error`, the 0-based index of the first wrong step, null where there is none."""
    index = _first_index("error").alias("first_error")
    return frame.with_columns(index)


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
    invalid = [
        ("invalid", required, pl.lit("a required field is null")),
        ("invalid", (n_steps == 0) | (n_steps != n_labels), _numbers("{} steps and {} labels", n_steps, n_labels)),
        ("invalid", null_step, pl.lit("a step is null")),
        ("invalid", ~known.fill_null(False), pl.lit("a label is not known")),
        ("invalid", undecided, pl.lit("a step is unlabelled although no error comes before it")),
    ]
    found = [*invalid, *_filters(config)]
    nothing = pl.lit(None, pl.String)
    reason = pl.coalesce(*(pl.when(wrong).then(pl.lit(name)) for name, wrong, _ in found))
    detail = pl.coalesce(*(pl.when(wrong).then(text) for _, wrong, text in found), nothing)
    return frame.select(reason=reason, detail=detail)


Complaint = tuple[str, pl.Expr, pl.Expr]
"""Reason, which rows it applies to, and the value that shows it."""


def _filters(config: QualityConfig) -> list[Complaint]:
    steps, n_steps = pl.col("steps"), pl.col("steps").list.len()
    shortest = steps.list.eval(pl.element().str.strip_chars().str.len_chars()).list.min()
    longest = steps.list.eval(pl.element().str.len_chars()).list.max()
    n_repeated = n_steps - steps.list.n_unique()
    problem_chars = pl.col("problem").str.len_chars()
    text = pl.concat_str(pl.col("problem"), steps.list.join("\n"), separator="\n")
    garbage = text.str.count_matches(_GARBAGE)
    found: list[Complaint] = []
    if config.min_steps is not None:
        found.append(("too few steps", n_steps < config.min_steps, _numbers("{} steps", n_steps)))
    if config.max_steps is not None:
        found.append(("too many steps", n_steps > config.max_steps, _numbers("{} steps", n_steps)))
    if config.min_step_chars is not None:
        found.append(("step too short", shortest < config.min_step_chars, _numbers("{} characters", shortest)))
    if config.max_step_chars is not None:
        found.append(("step too long", longest > config.max_step_chars, _numbers("{} characters", longest)))
    if config.max_problem_chars is not None:
        wrong = problem_chars > config.max_problem_chars
        found.append(("problem too long", wrong, _numbers("{} characters", problem_chars)))
    if config.max_repeated_steps is not None:
        wrong = n_repeated > config.max_repeated_steps
        found.append(("repeated steps", wrong, _numbers("{} repeated steps", n_repeated)))
    if config.max_garbage_frac is not None:
        wrong = garbage / text.str.len_chars() > config.max_garbage_frac
        found.append(("unprintable characters", wrong, _numbers("{} characters", garbage)))
    if config.require_final_answer:
        missing = ~steps.list.last().str.contains(_FINAL_ANSWER)
        found.append(("no final answer", missing, steps.list.last().str.slice(0, 200)))
    return found


def _first_index(label: str) -> pl.Expr:
    is_it = pl.col("labels").list.eval(pl.element() == label)
    return pl.when(is_it.list.any()).then(is_it.list.arg_max()).cast(pl.Int64)


def _numbers(template: str, *values: pl.Expr) -> pl.Expr:
    return pl.format(template, *values)

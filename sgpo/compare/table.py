"""The table of a comparison: one row per arm, best first, as text for terminal, Markdown and HTML; and conclusions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from rich.console import Console
from rich.table import Table

from judgekit.metrics.bootstrap import Interval
from judgekit.report import terminal
from judgekit.report.interval_cells import interval_text, number_text, p_value_text
from sgpo.compare.results import ArmResult, Comparison, Curve, Difference, SeedResult
from sgpo.compare.statistics import ALPHA

NARROW = ("arm", "final [95 %]", "difference [95 %]", "p", "equal rollouts", "rollouts to level", "reached")
"""Columns that fit into a terminal of 100 characters."""
WIDE = (
    (
        "arm",
        "final [95 %]",
        "difference [95 %]",
        "p alone",
        "p",
        "equal rollouts [95 %]",
        "p, equal rollouts",
        "equal seconds [95 %]",
        "p, equal seconds",
    ),
    (
        "arm",
        "by seed",
        "rollouts to level [95 %]",
        "p, rollouts to level",
        "reached",
        "at the start",
        "updates",
        "dead groups",
        "judged",
        "judge, s",
        "s an update",
        "guards",
    ),
)
"""Columns of the two tables in pages and documents: accuracy, and cost."""
TREND = ("errors", "algorithm", "for 10 points more [95 %]", "p alone", "p", "seeds")
"""Columns of the table of the effect of a judge's errors."""
TRENDS = (
    "Change in final accuracy per 10 percentage points more of wrong verdicts: a line through all rates, per seed; "
    "t test over seeds, Holm's correction over all lines."
)
"""Explains that table."""
AGAINST = (
    "difference [95 %]",
    "p alone",
    "p",
    "equal rollouts",
    "equal rollouts [95 %]",
    "p, equal rollouts",
    "equal seconds [95 %]",
    "p, equal seconds",
    "p, rollouts to level",
)
"""Columns that compare with the reference arm; empty in its own row."""
LEGEND = (
    "final: held-out accuracy, mean of the last three evaluations, with Student's 95 % interval over seeds.",
    "difference: to the reference arm, paired by seed, after as many updates; equal rollouts, equal seconds: at the "
    "point where both runs of a seed have used as much as the run that used less in all.",
    "p: paired t test over seeds, Holm's correction over all arms, for each measure separately; p alone: uncorrected.",
    "rollouts to level: up to the first evaluation at or above the reference arm's final accuracy. A seed that does "
    "not reach it counts with the reference arm's length, and \u2265 marks the mean as a lower bound; reached: seeds "
    "that reach it.",
    "updates: until the mean over seeds reaches the level; dead groups: share without a correct response, first and "
    "last.",
)
"""Explains the columns."""


def table_rows(comparison: Comparison) -> list[dict[str, str]]:
    """Return one row per arm, column -> text, best first; `LEGEND` explains the columns."""
    return [_row(name, arm, is_reference=name == comparison.reference) for name, arm in comparison.best_first.items()]


def _row(name: str, arm: ArmResult, *, is_reference: bool) -> dict[str, str]:
    seeds = list(arm.seeds.values())
    reaching = arm.rollouts_to_reach
    at_least = "\u2265 " if reaching.n_not_reached and reaching.mean is not None else ""
    needed = Interval(reaching.mean, reaching.lo, reaching.hi)
    dead = [seed.training.get("frac_all_negative", Curve()).final for seed in seeds]
    row = {
        "arm": name,
        "final [95 %]": interval_text(
            Interval(arm.final_accuracy, arm.final_interval.lo, arm.final_interval.hi), digits=3
        ),
        "difference [95 %]": _difference(arm.difference),
        "p alone": p_value_text(arm.difference.p_value),
        "p": p_value_text(arm.difference.p_holm),
        "equal rollouts": _difference(arm.matched_rollouts.difference).split(" ")[0],
        "equal rollouts [95 %]": _difference(arm.matched_rollouts.difference),
        "p, equal rollouts": p_value_text(arm.matched_rollouts.difference.p_holm),
        "equal seconds [95 %]": _difference(arm.matched_seconds.difference),
        "p, equal seconds": p_value_text(arm.matched_seconds.difference.p_holm),
        "rollouts to level": at_least + _number(reaching.mean, 0),
        "rollouts to level [95 %]": at_least + interval_text(needed, digits=0),
        "p, rollouts to level": p_value_text(reaching.difference.p_holm),
        "reached": f"{reaching.n_reached} of {len(seeds)}",
        "at the start": str(reaching.n_at_start),
        "by seed": " ".join(_number(seed.final_accuracy, 3) for seed in seeds),
        "updates": "never" if arm.updates_to_reach is None else str(arm.updates_to_reach),
        "dead groups": f"{_percent(arm.first_frac_all_negative)} to {_percent(_mean(dead))}",
        "judged": _number(_mean([seed.judge_calls for seed in seeds]), 0) + _deferred(seeds),
        "judge, s": _number(_mean([seed.judge_seconds for seed in seeds]), 1),
        "s an update": _number(_mean([seed.seconds_per_step for seed in seeds]), 2),
        "guards": "; ".join(describe_guards(arm)) or "none",
    }
    return row | (dict.fromkeys(AGAINST, "") | {AGAINST[0]: "reference"} if is_reference else {})


def trend_rows(comparison: Comparison) -> list[dict[str, str]]:
    """Return one row per kind of error and algorithm, column -> text; `TRENDS` explains the columns."""
    return [
        {
            "errors": trend.error_kind,
            "algorithm": trend.algorithm,
            "for 10 points more [95 %]": interval_text(
                Interval(trend.slope.value, trend.slope.lo, trend.slope.hi), digits=3, scale=0.1, sign="+"
            ),
            "p alone": p_value_text(trend.slope.p_value),
            "p": p_value_text(trend.slope.p_holm),
            "seeds": str(trend.slope.n_seeds),
        }
        for trend in comparison.trends
    ]


def describe_guards(arm: ArmResult) -> list[str]:
    """Say for each guard that fired in how many seeds, at which steps first, and what it did."""
    first: dict[tuple[str, str], dict[str, int]] = {}
    for seed, run in arm.seeds.items():
        for fired in run.guards:
            first.setdefault((fired.guard, fired.action), {}).setdefault(seed, fired.step)
    return [
        f"{guard} ({action}) in {len(steps)} of {len(arm.seeds)} at step {', '.join(map(str, sorted(steps.values())))}"
        for (guard, action), steps in first.items()
    ]


def findings(comparison: Comparison) -> list[str]:
    """Say which arms end above and below the reference arm, and which are not significantly different from it."""
    groups: dict[str, list[str]] = {
        "above": [],
        "below": [],
        "not significantly different from": [],
        "without an interval for the difference to": [],
    }
    for name, arm in comparison.best_first.items():
        value, p = arm.difference.value, arm.difference.p_holm
        if name == comparison.reference:
            continue
        if value is None or p is None:
            groups["without an interval for the difference to"].append(name)
        elif p > ALPHA:
            groups["not significantly different from"].append(name)
        else:
            groups["above" if value > 0 else "below"].append(name)
    return [f"{found} {comparison.reference}: {', '.join(names)}" for found, names in groups.items() if names]


def print_table(comparison: Comparison, console: Console | None = None) -> None:
    """Print one line per arm, best first, the conclusions, and the guards that fired.

    A narrow terminal shows only the first columns; a file has room for all.
    """
    console = console or terminal.console()
    rows = table_rows(comparison)
    table = Table(
        title=f"level to reach: {comparison.level:.3f}, final accuracy of {comparison.reference}",
        box=None,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    names, width = [], 0
    for name in NARROW:
        # Headings of several words are broken into two lines; a number is never broken.
        heading = name.replace(" rollouts", "\nrollouts").replace("rollouts to", "rollouts\nto")
        width += 1 + max(map(len, [*heading.split("\n"), *(row[name] for row in rows)]))
        if width <= console.width + 1:
            names.append(name)
            table.add_column(heading, justify="left" if name == "arm" else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in names))
    console.print(table)
    for line in findings(comparison):
        console.print(line, markup=False, highlight=False)
    for row in trend_rows(comparison):
        slope = f"{row['for 10 points more [95 %]']} for 10 points more, p {row['p']}"
        console.print(f"{row['algorithm']}, {row['errors']} errors: {slope}", markup=False, highlight=False)
    if comparison.arms[comparison.reference].updates_to_reach == 0:
        console.print(
            f"{comparison.reference} ends no higher than it starts, so rollouts to its level mean nothing",
            markup=False,
        )
    for name, arm in comparison.best_first.items():
        for line in describe_guards(arm):
            console.print(f"{name}: guards.{line}", markup=False, highlight=False)


def _difference(difference: Difference) -> str:
    return interval_text(Interval(difference.value, difference.lo, difference.hi), digits=3, sign="+")


def _number(value: float | None, digits: int) -> str:
    return "none" if value is None else number_text(value, digits)


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0%}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _deferred(seeds: Sequence[SeedResult]) -> str:
    """Say which share of the judged responses each member of a cascade passed on; empty for other judges."""
    more = [seed.model_extra or {} for seed in seeds]
    names = sorted({name for extra in more for name in extra if name.startswith("judge_deferred_")})
    shares = [_percent(_mean(extra.get(name) for extra in more)) for name in names]
    return f" ({', '.join(shares)} deferred)" if shares else ""

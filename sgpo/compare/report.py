"""What a comparison found: curves and figures of all arms, a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from judgekit.errors import JudgekitError
from judgekit.io import read_json
from judgekit.metrics.bootstrap import t_interval
from judgekit.reading.rows import read_jsonl
from judgekit.report.page import COLOURS
from judgekit.run import FIRINGS, MANIFEST
from sgpo.compare.runs import ArmRun

N_FINAL = 3
"""Evaluations at the end of a curve whose mean is its final accuracy."""
TRAINING_CURVES = ("accuracy", "frac_all_negative", "frac_zero_advantage_after")
"""`sgpo/` metrics of training that the report keeps as curves."""


class Curve(NamedTuple):
    """A metric over optimiser steps."""

    steps: list[int]
    """Optimiser steps, rising."""
    values: list[float]
    """One value a step."""


def read_curve(rows: Sequence[Mapping[str, Any]], name: str) -> Curve:
    """Return a metric of `metrics.jsonl` over the steps at which it has a value."""
    found = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return Curve([step for step, _ in found], [value for _, value in found])


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean over seeds, at the steps that every seed has."""
    tables = [dict(zip(curve.steps, curve.values, strict=True)) for curve in curves]
    steps = sorted(set.intersection(*(set(table) for table in tables)))
    return Curve(steps, [sum(table[step] for table in tables) / len(tables) for step in steps])


def final_value(curve: Curve) -> float | None:
    """Return the mean of the last three evaluations, which damps their noise; `None` without any."""
    last = curve.values[-N_FINAL:]
    return sum(last) / len(last) if last else None


def updates_to_reach(curve: Curve, level: float) -> int | None:
    """Return the first evaluated step at which the curve is at or above a level, without interpolation.

    `None` where it never is.

    Example:
        >>> updates_to_reach(Curve([0, 10, 20], [0.1, 0.4, 0.3]), 0.3)
        10
    """
    return next((step for step, value in zip(curve.steps, curve.values, strict=True) if value >= level), None)


def build_report(runs: Sequence[ArmRun], *, reference: str, n_steps: int) -> dict[str, Any]:
    """Return curves and figures of all arms.

    `updates_to_reach` is read off an arm's mean curve, and off each seed's: the first evaluation at or above the final
    accuracy of the reference arm, which is the mean over seeds of the last three evaluations. `ratio` divides it by the
    same figure of the reference arm, `ratio_of_all` by all the steps of a run. `null` where the level is never reached,
    and `ratio` also where the reference arm has it before its first update.
    `final_accuracy` has `lo` and `hi`, Student's 95 % interval over seeds within [0, 1], in `final_interval`;
    `difference` is the mean over seeds of an arm's final accuracy less the reference's with the same seed, with its
    interval and of how many seeds. Without an end: one seed alone, or seeds that end alike. `finding` says in words
    what follows.
    """
    by_arm: dict[str, list[ArmRun]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, []).append(run)
    rows = {run: run.rows() for run in runs}
    curves = {run: read_curve(rows[run], "eval/accuracy") for run in runs}
    means = {arm: mean_curve([curves[run] for run in members]) for arm, members in by_arm.items()}
    level = final_value(means[reference])
    if level is None:
        raise JudgekitError(f"arm {reference} has no evaluation with a checked answer: nothing to compare with")
    needed = updates_to_reach(means[reference], level)
    final = {arm: {run.seed: final_value(curves[run]) for run in members} for arm, members in by_arm.items()}
    differences = {
        arm: [
            value - other
            for seed, value in by_seed.items()
            if value is not None and (other := final[reference].get(seed)) is not None
        ]
        for arm, by_seed in final.items()
    }
    arms: dict[str, dict[str, Any]] = {}
    for arm, members in by_arm.items():
        reached = updates_to_reach(means[arm], level)
        seeds = {str(run.seed): _seed_report(run, rows[run], curves[run], level=level) for run in members}
        # The ends of an interval of an accuracy, which lies in [0, 1].
        interval = t_interval([value for value in final[arm].values() if value is not None])
        lo, hi = (None if end is None else min(max(end, 0.0), 1.0) for end in interval[1:])
        within_unit = {"lo": lo, "hi": hi}
        arms[arm] = {
            "final_accuracy": final_value(means[arm]),
            "final_interval": within_unit,
            "difference": t_interval(differences[arm])._asdict() | {"n_seeds": len(differences[arm])},
            "updates_to_reach": reached,
            "ratio": reached / needed if reached is not None and needed else None,
            "ratio_of_all": reached / n_steps if reached is not None else None,
            "mean": means[arm]._asdict(),
            "first_frac_all_negative": _mean([seed["first_frac_all_negative"] for seed in seeds.values()]),
            "seeds": seeds,
        }
    for arm, values in arms.items():
        values["finding"] = None if arm == reference else describe_difference(values, reference=reference)
    return {"reference": reference, "level": level, "n_steps": n_steps, "arms": arms}


def describe_difference(arm: Mapping[str, Any], *, reference: str) -> str:
    """Say in a sentence whether an arm of a report ends above or below the reference arm."""
    value, lo, hi = (arm["difference"][end] for end in ("value", "lo", "hi"))
    n_seeds = arm["difference"]["n_seeds"]
    if value is None or lo is None or hi is None:
        which = f"{n_seeds} seeds that all end {value:+.3f} apart" if n_seeds > 1 else f"{n_seeds} seed"
        return f"{which}: no interval, so nothing is known of the difference to {reference}"
    shown = f"{value:+.3f} [{lo:+.3f}, {hi:+.3f}] to {reference} over {n_seeds} seeds"
    if lo <= 0 <= hi:
        return f"{shown}: the interval holds 0, so they are not told apart"
    return f"{shown}: {'above' if value > 0 else 'below'} it"


def _seed_report(run: ArmRun, rows: Sequence[Mapping[str, Any]], curve: Curve, *, level: float) -> dict[str, Any]:
    results = read_json(run.folder / MANIFEST)["results"]
    step_times = read_curve(rows, "train/step_time")
    return {
        "final_accuracy": final_value(curve),
        "updates_to_reach": updates_to_reach(curve, level),
        "first_frac_all_negative": results["first_frac_all_negative"],
        "judge_calls": results["judge_calls"],
        "judge_seconds": results["judge_seconds"],
        **{name: value for name, value in results.items() if name.startswith(("judge_deferred_", "judge_usd"))},
        "seconds_per_step": _mean(step_times.values),
        "curve": curve._asdict(),
        "guards": read_guards(run.folder),
        "training": {name: read_curve(rows, f"sgpo/{name}")._asdict() for name in TRAINING_CURVES},
    }


def read_guards(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's `guards.jsonl`, see `sgpo.guards.Firing`; none where no guard has fired."""
    path = folder / FIRINGS
    return [row for _, row in read_jsonl(path) if isinstance(row, dict)] if path.is_file() else []


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def plot_curves(report: Mapping[str, Any], path: Path) -> None:
    """Draw held-out accuracy over optimiser updates: seeds thin, means thick, the level to reach dashed."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    colours = (*COLOURS, "#000000")  # black is seen here: a plot is white, where pages can be dark
    for index, (arm, values) in enumerate(report["arms"].items()):
        colour = colours[index % len(colours)]
        for seed in values["seeds"].values():
            axes.plot(seed["curve"]["steps"], seed["curve"]["values"], color=colour, linewidth=0.7, alpha=0.45)
        axes.plot(values["mean"]["steps"], values["mean"]["values"], color=colour, linewidth=2.2, label=arm)
    axes.axhline(report["level"], color="#555555", linestyle="--", linewidth=0.9)
    axes.annotate(
        f"final accuracy of {report['reference']}",
        (1, report["level"]),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        color="#555555",
        fontsize="small",
    )
    axes.set(xlabel="optimiser updates", ylabel="held-out accuracy", ylim=(0, None), xlim=(0, report["n_steps"]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)


def print_table(report: Mapping[str, Any]) -> None:
    """Print one line an arm, what follows, and every guard that has fired.

    Its columns: final accuracy, updates to the level and their share of the reference arm's, all-negative groups at the
    start, responses judged in a run, with the shares that a cascade deferred, seconds an update.
    """
    table = Table(title=f"level to reach: {report['level']:.3f}, final accuracy of {report['reference']}")
    for name in ("arm", "final [95 %]", "by seed", "updates", "of ref.", "all-neg.", "judged", "s/step"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    needed = report["arms"][report["reference"]]["updates_to_reach"]
    for arm, values in report["arms"].items():
        seeds = values["seeds"].values()
        # An arm's final accuracy with its interval over seeds, as text.
        lo, hi = values["final_interval"]["lo"], values["final_interval"]["hi"]
        shown = _shown(values["final_accuracy"], ".3f")
        shown_final = shown if lo is None or hi is None else f"{shown} [{lo:.3f}, {hi:.3f}]"
        table.add_row(
            arm,
            shown_final,
            " ".join(_shown(seed["final_accuracy"], ".3f") for seed in seeds),
            _shown(values["updates_to_reach"], "d"),
            _shown(values["ratio"], ".0%") if needed else "-",
            _shown(values["first_frac_all_negative"], ".0%"),
            f"{_shown(_mean([seed['judge_calls'] for seed in seeds]), '.0f')}{_deferred(list(seeds))}",
            _shown(_mean([seed["seconds_per_step"] for seed in seeds]), ".2f"),
        )
    Console().print(table)
    if needed == 0:
        print(
            f"{report['reference']} ends no higher than it begins: updates until its level say nothing, and shares of "
            "them are left out"
        )
    for arm, values in report["arms"].items():
        if values["finding"] is not None:
            print(f"{arm}: {values['finding']}")
    for arm, values in report["arms"].items():
        for seed, of_seed in values["seeds"].items():
            for row in of_seed["guards"]:
                print(f"{arm}, seed {seed}, step {row['step']}: guards.{row['guard']}, {row['action']}: {row['what']}")


def _deferred(seeds: Sequence[Mapping[str, Any]]) -> str:
    """Say which share of the judged responses went on behind each member of a cascade; nothing of other judges."""
    names = sorted({name for seed in seeds for name in seed if name.startswith("judge_deferred_")})
    shares = [_mean([seed.get(name) for seed in seeds]) for name in names]
    return f" ({', '.join(_shown(share, '.0%') for share in shares)} deferred)" if shares else ""


def _shown(value: float | None, spec: str) -> str:
    return "never" if value is None else format(value, spec)

"""One page about the folder of the quick start, from data to SGPO: what `make quickstart` ends with.

    python examples/quickstart/summary.py runs/quickstart

Everything is read from the files that the stages left; nothing is computed anew. The folder is laid out as the
Makefile's quick start does: `data/*`, `base`, `judge`, `eval` and `compare`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from judgekit.calibration.card import describe_after, describe_calibrator
from judgekit.errors import DataError, JudgekitError
from judgekit.io import MANIFEST, read_json, write_text
from judgekit.judges.card import JudgeCard, read_card
from judgekit.judges.steps.specs import LikelihoodSpec
from judgekit.metrics.steps import Bin
from judgekit.report.page import Section, Series, figures, line_plot, paragraph, reliability_diagram, render_page, table
from judgekit.run import METRICS, read_rows


class Headline(NamedTuple):
    """One figure of the headline table."""

    name: str
    """What was measured."""
    value: str
    """The figure as shown."""


def write_summary(folder: Path, page: Path) -> list[Headline]:
    """Write the page and return its headline figures.

    Raises:
        DataError: a stage's file is missing or damaged; run the stages first.
        CheckpointError: the judge directory is missing or damaged.
    """
    card = read_card(folder / "judge" / "judge")
    results = _only_results(folder / "eval")
    comparison = read_json(folder / "compare" / "compare.json")
    headline = _headline(folder, card, results, comparison)
    sections = [
        Section("Headline", table(["measured", "value"], headline)),
        _data_section(folder),
        _training_section(folder),
        _calibration_section(card),
        _benchmark_section(results),
        _comparison_section(comparison),
    ]
    write_text(page, render_page(f"judgekit: {folder.name}", sections))
    return headline


def _only_results(evaluation: Path) -> Any:
    """Read the results of an evaluation of one judge on one benchmark."""
    found = sorted(evaluation.glob("judges/*/*/results.json"))
    if len(found) != 1:
        raise DataError(f"{evaluation} holds results of {len(found)} judges and benchmarks, and one is wanted here")
    return read_json(found[0])


def print_headline(headline: Sequence[Headline]) -> None:
    """Print the headline table."""
    shown = Table(title="headline")
    shown.add_column("measured")
    shown.add_column("value", justify="right")
    for name, value in headline:
        shown.add_row(name, value)
    Console().print(shown)


def _headline(
    folder: Path, card: JudgeCard, results: Mapping[str, Any], comparison: Mapping[str, Any]
) -> list[Headline]:
    lines = [
        Headline("step-labelled solutions built", f"{_n_rows(folder / 'data' / 'all'):,}"),
        Headline("judge: first-error F1 on held-out problems", _interval(results["headline"])),
    ]
    if card.calibration is not None and card.calibrator is not None:
        before, after = card.calibration.before["ece"], card.calibration.after["ece"]
        what = describe_after(card.calibration, card.calibrator.kind)
        lines.append(Headline(f"judge: ECE before and {what}", f"{before:.4f} -> {after:.4f}"))
    reference = comparison["arms"][comparison["reference"]]
    start = reference["first_frac_all_negative"]
    lines.append(Headline("all-negative groups at the start", "unknown" if start is None else f"{start:.0%}"))
    for name, arm in comparison["arms"].items():
        lines.append(Headline(f"{name}: final held-out accuracy, 95 % interval over seeds", describe_final(arm)))
        if name != comparison["reference"]:
            goal = f"updates to reach {comparison['reference']}'s final accuracy"
            lines.append(Headline(f"{name}: final accuracy less {comparison['reference']}'s", describe_finding(arm)))
            lines.append(Headline(f"{name}: {goal}", _updates(arm, comparison["n_steps"])))
    return lines


_NO_INTERVAL = "compared by an earlier release, without intervals: sgpo compare into a new folder has them"
"""What a comparison without `finding` says of the difference between two arms."""


def describe_final(arm: Mapping[str, Any]) -> str:
    """An arm's final accuracy with its interval, or why there is none."""
    if arm["final_accuracy"] is None:
        return "unknown: no answer was checked"
    interval = arm.get("final_interval")
    if interval is None:
        return f"{arm['final_accuracy']:.3f} (no interval: {_NO_INTERVAL})"
    lo, hi = interval["lo"], interval["hi"]
    if lo is None or hi is None:
        return f"{arm['final_accuracy']:.3f} (no interval: one seed, or seeds that end alike)"
    return f"{arm['final_accuracy']:.3f} [{lo:.3f}, {hi:.3f}]"


def describe_finding(arm: Mapping[str, Any]) -> str:
    """Say what is known of the difference between an arm and the reference arm."""
    return str(arm.get("finding", _NO_INTERVAL))


def _n_rows(data: Path) -> int:
    return int(read_json(data / MANIFEST)["n_rows"])


def _interval(figure: Mapping[str, float | None]) -> str:
    if figure["value"] is None:
        return "undefined"
    value = f"{figure['value']:.1f}"
    return value if figure["lo"] is None else f"{value} [{figure['lo']:.1f}, {figure['hi']:.1f}]"


def _updates(arm: Mapping[str, Any], n_steps: int) -> str:
    reached = arm["updates_to_reach"]
    return "never" if reached is None else f"{reached} of {n_steps} ({arm['ratio_of_all']:.0%})"


def _data_section(folder: Path) -> Section:
    rows = [
        (path.parent.name, read_json(path)["record"], f"{read_json(path)['n_rows']:,}")
        for path in sorted((folder / "data").glob(f"*/{MANIFEST}"))
    ]
    return Section("Data", table(["data set", "rows are", "rows"], rows))


def _training_section(folder: Path) -> Section:
    plots = []
    for name, title in (("base", "Language model behind the judge"), ("policy", "Policy, from the language model")):
        rows = read_rows(folder / name / METRICS)
        line = _series(rows, "pretrain/loss", name)
        plots.append(line_plot([line], title=title, x_label="optimiser step", y_label="loss per token (nats)"))
    card = read_card(folder / "judge" / "judge")
    how = card.spec_as(LikelihoodSpec).fitted
    fitted = f"The judge was fitted on {card.training['counts']['solutions']} labelled solutions: {how}."
    return Section("Training", figures(*plots) + paragraph(fitted))


def _series(rows: Sequence[Mapping[str, Any]], key: str, name: str) -> Series:
    points = [(row["step"], row[key]) for row in rows if key in row]
    return Series(name, [step for step, _ in points], [value for _, value in points])


def _calibration_section(card: JudgeCard) -> Section:
    if card.calibration is None or card.calibrator is None:
        return Section("Calibration", paragraph("The judge is not calibrated."))
    report = card.calibration
    columns = {"before": report.before, describe_after(report, card.calibrator.kind): report.after}
    if report.nested is not None:
        columns["choosing anew in every fold"] = report.nested
    rows = [(name, *(f"{figures_of[name]:.4f}" for figures_of in columns.values())) for name in report.before]
    plots = [
        reliability_diagram([Bin(**_bin(values)) for values in bins], title=title)
        for title, bins in (("Before", report.bins_before), ("After", report.bins_after))
    ]
    n_problems = card.calibrator.fingerprint.n_problems
    text = (
        f"Calibrator {describe_calibrator(card.calibrator)}, fitted on {n_problems} problems "
        f"that were not trained on; figures cross-fitted over problems, {report.n_steps} steps. "
        f"Decision: {card.decision.model_dump()}."
    )
    warnings = "".join(paragraph(f"Warning: {sentence}.") for sentence in report.warnings)
    return Section("Calibration", paragraph(text) + warnings + table(["", *columns], rows) + figures(*plots))


def _bin(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "count": int(values["count"])}


def _benchmark_section(results: Mapping[str, Any]) -> Section:
    metrics = ("error_accuracy", "correct_accuracy", "f1")
    parts = {**results["subsets"], results["headline"]["name"]: results["overall"]}
    rows = [(name, *(_interval(part["scores"][metric]) for metric in metrics)) for name, part in parts.items()]
    text = "Held-out problems, 95 % intervals; the whole report with all solutions is eval/report.html."
    return Section("Benchmark of the judge", paragraph(text) + table(["subset", *metrics], rows))


def _comparison_section(comparison: Mapping[str, Any]) -> Section:
    lines = []
    for name, arm in comparison["arms"].items():
        steps = arm["mean"]["steps"]
        by_seed = [
            dict(zip(seed["curve"]["steps"], seed["curve"]["values"], strict=True)) for seed in arm["seeds"].values()
        ]
        lo = [min(curve[step] for curve in by_seed) for step in steps]
        hi = [max(curve[step] for curve in by_seed) for step in steps]
        lines.append(Series(name, steps, arm["mean"]["values"], lo, hi))
    plot = line_plot(
        lines,
        title="Mean over seeds; the band reaches from the lowest to the highest seed",
        x_label="optimiser updates",
        y_label="held-out accuracy",
        y_range=(0.0, 1.0),
    )
    rows = [
        (
            name,
            describe_final(arm),
            " ".join(
                "unknown" if seed["final_accuracy"] is None else f"{seed['final_accuracy']:.3f}"
                for seed in arm["seeds"].values()
            ),
            _updates(arm, comparison["n_steps"]),
        )
        for name, arm in comparison["arms"].items()
    ]
    header = ["arm", "final accuracy, 95 % interval over seeds", "by seed", f"updates to {comparison['level']:.3f}"]
    text = f"Level to reach: the final accuracy of {comparison['reference']}, {comparison['level']:.3f}."
    others = {name: arm for name, arm in comparison["arms"].items() if name != comparison["reference"]}
    findings = [f"{name}: {describe_finding(arm)}." for name, arm in others.items()]
    below = "".join(paragraph(finding) for finding in findings)
    return Section("SGPO against its baselines", figures(plot) + paragraph(text) + table(header, rows) + below)


def main(argv: Sequence[str]) -> int:
    """Write the page and print its headline; returns the exit status."""
    if len(argv) != 1:
        print("usage: summary.py FOLDER, laid out as `make quickstart` does", file=sys.stderr)
        return 2
    try:
        print_headline(write_summary(Path(argv[0]), Path(argv[0]) / "report.html"))
    except JudgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

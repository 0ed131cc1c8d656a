"""What a benchmark of judging gave: a table in Markdown and a picture of its ratios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judgekit.io import atomic_path, write_text
from judgekit.report.markdown import markdown_table

HEADER = (
    "way", "s/solution", "tokens/s", "of peak", "times as fast", "target", "least to greatest", "as", "difference"
)  # fmt: skip
NOTES = """\
Seconds and rates are medians over the rounds, ratios medians of the ratios within each round; `of peak` is 2 operations
a token and parameter of the layers over the fastest matrix multiplication measured here; `target` is what a well-made
engine reaches where the processor has instructions for the format, 0.9 of the ratio of tokens for groups; `difference`
is the largest difference of a logit from the first way of the same task.
"""


def table_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of every way, in the order of `HEADER`; empty where there is nothing to compare with."""
    rows: list[tuple[str, ...]] = []
    for way in results["ways"]:
        ratio, target = way.get("ratio"), way["target"]
        rows.append(
            (
                f"{way['dtype']}, {way['name']}",
                f"{way['seconds_per_solution']:.3g}",
                f"{way['tokens_per_s']:.0f}",
                f"{way['of_peak']:.2f}",
                f"{ratio['median']:.2f}" if ratio else "",
                f"{target:.2f}" if target is not None else "",
                f"{ratio['least']:.2f} to {ratio['greatest']:.2f}" if ratio else "",
                way["against"] or "",
                f"{way['largest_difference']:.1e}",
            )
        )
    return rows


def markdown(results: Mapping[str, Any]) -> str:
    """Return the table with what it was measured on."""
    machine, data, model = results["machine"], results["data"], results["model"]
    peaks = ", ".join(f"{dtype} {peak:.0f} GFLOP/s" for dtype, peak in results["peak_gflops"].items())
    lines = [
        f"{machine['kind']}, {machine['cores']} cores, {machine['threads']} thread(s), {machine['cpu_capability']}, "
        f"torch {machine['torch']}. {results['clock']}. Peak of matrix multiplication: {peaks}.",
        f"{model['type']}, {model['n_parameters_of_the_layers'] / 1e6:.0f} M parameters in its layers; "
        f"{data['n_solutions']} solutions of {data['mean_tokens']:.0f} tokens in the mean.",
        "",
        NOTES,
        markdown_table(HEADER, table_rows(results)),
    ]
    return "\n".join(lines) + "\n"


def write_speed_report(output: Path, results: Mapping[str, Any]) -> None:
    """Write `bench.md` and `bench.png` into a folder."""
    write_text(output / "bench.md", markdown(results))
    compared = [way for way in results["ways"] if way.get("ratio")]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.45 * len(compared) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{way['dtype']}, {way['name']}\nagainst {way['against']}" for way in compared]
    ratios = [way["ratio"]["median"] for way in compared]
    spread = [[way["ratio"][end] for way in compared] for end in ("least", "greatest")]
    errors = [[abs(ratio - end) for ratio, end in zip(ratios, ends, strict=True)] for ends in spread]
    axes.barh(names, ratios, xerr=errors, color="#4878a8", ecolor="#888888")
    marks = [(name, way["target"]) for name, way in zip(names, compared, strict=True) if way["target"] is not None]
    axes.scatter(
        [target for _, target in marks], [name for name, _ in marks], marker="|", s=200, color="#c03030", label="target"
    )
    axes.axvline(1, color="#444444", linewidth=0.8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("times as fast")
    axes.legend(loc="lower right")
    with atomic_path(output / "bench.png") as partial:
        figure.savefig(partial, format="png", dpi=120)

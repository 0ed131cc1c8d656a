"""The report of a speed measurement: a table in Markdown and a plot of its ratios."""

from __future__ import annotations

from pathlib import Path

from judgekit.io import atomic_path
from judgekit.report.markdown import markdown_table
from judgekit_eval.speed.schema import BenchResults

HEADER = (
    "way", "s/solution", "tokens/s", "of peak", "times as fast", "target", "least to greatest", "as", "difference"
)  # fmt: skip
NOTES = """\
Seconds and rates are medians over the rounds, ratios medians of the ratios within each round; `of peak` is 2 operations
per token and parameter of the layers, divided by the fastest matrix multiplication measured here; `target` is what a
well-made engine reaches if the processor has instructions for the format, 0.9 of the ratio of tokens for groups;
`difference` is the largest difference of a logit from the first way of the same task.
"""


def table_rows(results: BenchResults) -> list[tuple[str, ...]]:
    """Return the cells of every method, in the order of `HEADER`; empty if there is nothing to compare with."""
    return [
        (
            method.key,
            f"{method.seconds_per_solution:.3g}",
            f"{method.tokens_per_s:.0f}",
            f"{method.of_peak:.2f}",
            f"{method.ratio.median:.2f}" if method.ratio else "",
            f"{method.target:.2f}" if method.target is not None else "",
            f"{method.ratio.least:.2f} to {method.ratio.greatest:.2f}" if method.ratio else "",
            method.against or "",
            f"{method.largest_difference:.1e}",
        )
        for method in results.ways
    ]


def speed_markdown(results: BenchResults) -> str:
    """Return the table with what it was measured on."""
    machine, data, model = results.machine, results.data, results.model
    peaks = ", ".join(f"{dtype} {peak:.0f} GFLOP/s" for dtype, peak in results.peak_gflops.items())
    lines = [
        f"{machine.kind}, {machine.cores} cores, {machine.threads} thread(s), {machine.cpu_capability}, "
        f"torch {machine.torch}. {results.clock}. Peak of matrix multiplication: {peaks}.",
        f"{model.type}, {model.n_parameters_of_the_layers / 1e6:.0f} M parameters in its layers; "
        f"{data.n_solutions} solutions of {data.mean_tokens:.0f} tokens on average.",
        "",
        NOTES,
        markdown_table(HEADER, table_rows(results)),
    ]
    return "\n".join(lines) + "\n"


def draw_ratios(path: Path, results: BenchResults) -> None:
    """Draw how many times as fast each method is as the one that it is compared with, as PNG."""
    from matplotlib.figure import Figure

    compared = [(method, method.ratio) for method in results.ways if method.ratio]
    figure = Figure(figsize=(9, 0.45 * len(compared) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{method.key}\nagainst {method.against}" for method, _ in compared]
    errors = [
        [ratio.median - ratio.least for _, ratio in compared],
        [ratio.greatest - ratio.median for _, ratio in compared],
    ]
    axes.barh(names, [ratio.median for _, ratio in compared], xerr=errors, color="#4878a8", ecolor="#888888")
    targets = [(name, item.target) for name, (item, _) in zip(names, compared, strict=True) if item.target is not None]
    axes.scatter(
        [target for _, target in targets],
        [name for name, _ in targets],
        marker="|", s=200, color="#c03030", label="target",
    )  # fmt: skip
    axes.axvline(1, color="#444444", linewidth=0.8)
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("times as fast")
    axes.legend(loc="lower right")
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=120)

"""The leaderboard: one table a benchmark, ours beside quoted figures, in Markdown. Made of `results.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.benchmarks import find_benchmark
from eval.markdown import markdown_table
from eval.published import QuotedFigure, quoted
from eval.report_leaderboard import score_name
from judgekit.errors import ConfigError, DataError
from judgekit.io import read_json, write_text

Results = Mapping[str, Any]
QUOTED = "*quoted*"
"""Mark of a row that nobody here measured."""


def merge_leaderboards(runs: Sequence[Path], output: Path) -> list[Results]:
    """Write one leaderboard of several evaluation folders and return the results behind it.

    Raises:
        DataError: a folder holds no results, or two runs of one benchmark are about different solutions.
        ConfigError: a judge stands in two of them on one benchmark.
    """
    results = [read_json(path) for run in runs for path in _results_files(run)]
    write_leaderboard(output, results)
    return results


def _results_files(run: Path) -> list[Path]:
    files = sorted(run.glob("judges/*/*/results.json"))
    if not files:
        raise DataError(f"{run} holds no judges/*/*/results.json: give a folder that `judgekit eval` has written")
    return files


def write_leaderboard(path: Path, results: Sequence[Results]) -> None:
    """Write the leaderboard.

    Raises:
        DataError: results of one benchmark are about different solutions.
        ConfigError: one judge stands twice on one benchmark.
    """
    by_benchmark: dict[str, list[Results]] = {}
    for item in results:
        by_benchmark.setdefault(item["benchmark"], []).append(item)
    for name, group in by_benchmark.items():
        _check_same_data(name, group)
    parts = [HEAD, *(_section(name, group) for name, group in by_benchmark.items()), HOW_TO_READ]
    write_text(path, "\n\n".join(parts) + "\n")


HEAD = """# Leaderboard

Percent with 95 % intervals, problems resampled. Written by `judgekit eval` and `judgekit leaderboard`. Rows marked
*quoted* are published figures, measured by others on the whole benchmark, with prompts and thresholds of their own."""

HOW_TO_READ = """## How to read this

- A solution without a verdict counts as wrong. "judged only" is the headline figure over the solutions with a verdict
  alone; `results.json` has every figure in both ways.
- AUROC (a step that is right above one that is not) and ECE (expected calibration error of P(step ok), equal-width
  bins, in percent) are over the steps up to the first error, unweighted means over the subsets where they exist.
- threshold: where the one that decides comes from. Upper bound: chosen on a subset that is reported here.
- seen before: whether problems of the benchmark are among those that the judge was trained or calibrated on, as it says
  itself; `unknown` where it does not say. What a base model has read is unknown of every judge.
- tokens and seconds: read and written, and spent, for the whole benchmark, on whatever machine it ran; an ensemble's
  are those of its members together."""


def _check_same_data(name: str, results: Sequence[Results]) -> None:
    seen: dict[str, Results] = {}
    for item in results:
        judge_id = item["judge"]["judge_id"]
        if judge_id in seen:
            raise ConfigError(f"two results of {judge_id} on {name}: leave one of the runs out")
        seen[judge_id] = item
        first = next(iter(seen.values()))
        if item["data"] != first["data"]:
            raise DataError(
                f"{judge_id} was run on {item['data']['n_solutions']} solutions of {name} and "
                f"{first['judge']['judge_id']} on {first['data']['n_solutions']}, and they are not the same: run both "
                "on the same inputs, or make two leaderboards"
            )


def _section(name: str, results: Sequence[Results]) -> str:
    title = f"## {find_benchmark(name).title}"
    tables = [_main_table(results, quoted(name)), *_subset_table(results, quoted(name))]
    return "\n\n".join([title, _extent(results[0]), *tables, *_caveats(results)])


def _extent(results: Results) -> str:
    overall = results["overall"]
    subsets = ", ".join(f"{name} {values['n']:,}" for name, values in results["subsets"].items())
    return (
        f"{overall['n']:,} solutions, {overall['n_error']:,} with an error: {subsets}. Headline: "
        f"{results['headline']['name']}."
    )


def _main_table(results: Sequence[Results], published: Sequence[QuotedFigure]) -> str:
    headline, scores = results[0]["headline"]["name"], main_scores(results[0])
    header = (
        "judge", headline, "judged only", *map(score_name, scores), "AUROC", "ECE", "no verdict", "threshold",
        "seen before", "tokens", "seconds",
    )  # fmt: skip
    rows = [(item["headline"]["value"], _own_row(item, scores)) for item in results]
    rows += [(item.headline, _quoted_row(item, n_columns=len(header))) for item in published]
    return markdown_table(header, _best_first(rows))


def _best_first(rows: Sequence[tuple[float | None, list[str]]]) -> list[list[str]]:
    return [row for _, row in sorted(rows, key=lambda pair: -1.0 if pair[0] is None else pair[0], reverse=True)]


def main_scores(results: Results) -> list[str]:
    """Return which overall scores stand beside the headline: neither itself nor those over judged solutions alone."""
    headline = find_benchmark(results["benchmark"]).headline_score
    return [name for name in results["overall"]["scores"] if name != headline and not name.endswith("_scored")]


def _own_row(results: Results, scores: Sequence[str]) -> list[str]:
    overall, cost = results["overall"], results["cost"]
    tuned = ", upper bound" if overall["threshold_tuned_here"] else ""
    reference = ", shown the reference" if results["protocol"]["reference_shown"] else ""
    return [
        f"{results['judge']['judge_id']}{reference}",
        f"**{cell(results['headline'])}**",
        cell(overall["scores"][f"{find_benchmark(results['benchmark']).headline_score}_scored"]),
        *(cell(overall["scores"][name]) for name in scores),
        _mean_over_subsets(results, "auroc"),
        _mean_over_subsets(results, "ece"),
        f"{overall['n_no_verdict']:,}",
        f"{threshold_origin(results['decision'])}{tuned}",
        _seen_before(results),
        f"{cost['n_tokens']:,}",
        f"{cost['seconds']:,.1f}",
    ]


def threshold_origin(decision: Mapping[str, Any]) -> str:
    """Return in few words what decides and where it comes from."""
    if decision["kind"] == "argmax":
        return "most probable outcome"
    return "cross-fitted" if decision["thresholds"] is not None else decision["origin"]


def _seen_before(results: Results) -> str:
    found = results["protocol"]["contamination"]
    seen = f" ({found['n_solutions']:,} of {results['overall']['n']:,} solutions)" if found["n_solutions"] else ""
    return f"{found['status']}{seen}"


def _mean_over_subsets(results: Results, name: str) -> str:
    figures = [values["steps"][name]["value"] if values["steps"] else None for values in results["subsets"].values()]
    known = [figure for figure in figures if figure is not None]
    return f"{100 * sum(known) / len(known):.1f}" if known else "none"


def _quoted_row(figure: QuotedFigure, *, n_columns: int) -> list[str]:
    note = f"; {figure.note}" if figure.note else ""
    return [f"{QUOTED} {figure.judge} ({figure.source}{note})", f"{figure.headline:.1f}", *[""] * (n_columns - 2)]


def _subset_table(results: Sequence[Results], published: Sequence[QuotedFigure]) -> Iterator[str]:
    """Yield the headline's figure by subset, where there are several and one of them has it."""
    subsets = list(results[0]["subsets"])
    score = find_benchmark(results[0]["benchmark"]).headline_score
    if len(subsets) < 2 or score not in results[0]["subsets"][subsets[0]]["scores"]:
        return
    if all(item["subsets"][s]["scores"][score]["value"] is None for item in results for s in subsets):
        return
    rows = [
        (
            item["headline"]["value"],
            [item["judge"]["judge_id"], *(cell(item["subsets"][s]["scores"][score]) for s in subsets)],
        )
        for item in results
    ]
    rows += [
        (item.headline, [f"{QUOTED} {item.judge}", *(_quoted_cell(item.subsets.get(s)) for s in subsets)])
        for item in published
        if item.subsets
    ]
    yield "By subset:\n\n" + markdown_table(("judge", *subsets), _best_first(rows))


def _quoted_cell(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.1f}"


def cell(interval: Mapping[str, float | None]) -> str:
    """Return an interval in percent with one decimal; `none` where undefined."""
    if interval["value"] is None:
        return "none"
    if interval["lo"] is None:
        return f"{interval['value']:.1f}"
    return f"{interval['value']:.1f} [{interval['lo']:.1f}, {interval['hi']:.1f}]"


def _caveats(results: Sequence[Results]) -> Iterator[str]:
    """Yield what must be known: what holds for all judges once, the rest by judge."""
    notes = {item["judge"]["judge_id"]: item["comparability"] for item in results}
    shared = [note for note in results[0]["comparability"] if all(note in of_judge for of_judge in notes.values())]
    lines = [f"- {note}" for note in shared]
    lines += [f"- {judge}: {note}" for judge, own in notes.items() for note in own if note not in shared]
    if lines:
        yield "Caveats:\n\n" + "\n".join(lines)


__all__ = ["cell", "main_scores", "merge_leaderboards", "threshold_origin", "write_leaderboard"]

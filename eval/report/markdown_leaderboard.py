"""The leaderboard: one table a benchmark, ours beside quoted figures, in Markdown. Made of `results.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from eval.judges.benchmarks import READS_NOTHING, find_benchmark
from eval.judges.published import QuotedFigure, quoted
from eval.judges.schema import Decision, EvalResults
from eval.report.leaderboard import best_first, difference_cells, is_floor, score_name
from eval.results import Metric, read_results
from judgekit.errors import ConfigError, DataError
from judgekit.io import write_text
from judgekit.report.interval_cells import HasInterval
from judgekit.report.markdown import markdown_table

QUOTED = "*quoted*"
"""Mark of a row that nobody here measured."""


def merge_leaderboards(runs: Sequence[Path], output: Path) -> list[EvalResults]:
    """Write one leaderboard of several evaluation folders and return the results behind it.

    Raises:
        DataError: a folder holds no results, or none that this release reads, or two runs of one benchmark are about
            different solutions.
        ConfigError: a judge stands in two of them on one benchmark.
    """
    results = [read_results(path, EvalResults) for run in runs for path in _results_files(run, "judges")]
    floors: dict[tuple[str, str, str], EvalResults] = {}  # those of several runs on the same solutions are the same
    for item in [
        read_results(path, EvalResults) for run in runs for path in sorted(run.glob("floors/*/*/results.json"))
    ]:
        floors.setdefault((item.benchmark, item.judge.judge_id, item.data.sha256), item)
    write_leaderboard(output, [*results, *floors.values()])
    return results


def _results_files(run: Path, part: str) -> list[Path]:
    files = sorted(run.glob(f"{part}/*/*/results.json"))
    if not files:
        raise DataError(f"{run} holds no judges/*/*/results.json: give a folder that `judgekit eval` has written")
    return files


def write_leaderboard(
    path: Path,
    results: Sequence[EvalResults],
    *,
    comparisons: Mapping[str, Any] = MappingProxyType({}),
    missing: Sequence[str] = (),
) -> None:
    """Write the leaderboard.

    Args:
        path: The Markdown file.
        results: Of judges and floors, as `results.json` holds them.
        comparisons: Benchmark -> what `comparisons.json` holds of it, for the differences from the floors.
        missing: What is not here and why, a line each: judges that failed, floors that could not be fitted.

    Raises:
        DataError: results of one benchmark are about different solutions.
        ConfigError: one judge stands twice on one benchmark.
    """
    by_benchmark: dict[str, list[EvalResults]] = {}
    for item in results:
        by_benchmark.setdefault(item.benchmark, []).append(item)
    for name, group in by_benchmark.items():
        _check_same_data(name, group)
    sections = [_section(name, group, comparisons.get(name)) for name, group in by_benchmark.items()]
    absent = ["Not here:\n\n" + "\n".join(f"- {line}" for line in missing)] if missing else []
    parts = [HEAD, *absent, *sections, HOW_TO_READ]
    write_text(path, "\n\n".join(parts) + "\n")


HEAD = """# Leaderboard

Percent with 95 % intervals, problems resampled. Written by `judgekit eval` and `judgekit leaderboard`. Rows marked
*quoted* are published figures, measured by others on the whole benchmark, with prompts and thresholds of their own,
and averaged over the subsets that are here. Rows marked *floor* read nothing: they are fitted to this benchmark's
labels, cross-fitted over its problems, and know no more than where a step stands and how long it is. What was trained
or thresholded on labels of the same kind is worth what it has above them."""

HOW_TO_READ = """## How to read this

- A solution without a verdict counts as wrong. "judged only" is the headline figure over the solutions with a verdict
  alone; `results.json` has every figure in both ways.
- AUROC (a step that is right above one that is not) and ECE (expected calibration error of P(step ok), equal-width
  bins, in percent) are over the steps up to the first error, unweighted means over the subsets where they exist; over
  all solutions at once where the headline is.
- AUROC's floor is not 50. Of a wrong solution the last counted step is always the wrong one, so a judge that reads
  nothing gains by where a step stands and how many there are: its floor is what the rows marked *floor* and
  builtin:random have in the same table. AUROC within position compares step k of n with step k of n of other solutions
  alone. There whatever is a function of k and n has exactly 50, and chance has 50 but for its spread. How long a step's
  text is still tells something: the row *floor* position and length says how much. The row *floor* position lies below
  50, because it was fitted without a fold, and a place where errors are many in the fold has few of them outside.
- pooled: over all solutions at once, whatever the subsets; the headline of data that are no benchmark with a convention
  of its own.
- threshold: where the one that decides comes from. Upper bound: chosen on a subset that is reported here.
- seen before: whether problems of the benchmark are among those that the judge was trained or calibrated on, as it says
  itself; `unknown` where it does not say. What a base model has read is unknown of every judge.
- tokens and seconds: read and written, and spent, for the whole benchmark, on whatever machine it ran; an ensemble's
  are those of its members together."""


MOST_COLUMNS = 8
"""Subsets that stand side by side in a table; more of them stand below each other."""


def _check_same_data(name: str, results: Sequence[EvalResults]) -> None:
    seen: dict[str, EvalResults] = {}
    headlines = {item.headline.name for item in results}
    if len(headlines) > 1:
        raise DataError(
            f"results on {name} have the headlines {' and '.join(sorted(headlines))}: run the older evaluation again "
            "with --resume, which scores anew and judges nothing twice"
        )
    for item in results:
        judge_id = item.judge.judge_id
        if judge_id in seen:
            raise ConfigError(f"two results of {judge_id} on {name}: leave one of the runs out")
        seen[judge_id] = item
        first = next(iter(seen.values()))
        if item.data != first.data:
            raise DataError(
                f"{judge_id} was run on {item.data.n_solutions} solutions of {name} and "
                f"{first.judge.judge_id} on {first.data.n_solutions}, and they are not the same: run both "
                "on the same inputs, or make two leaderboards"
            )


def _section(name: str, results: Sequence[EvalResults], comparison: Mapping[str, Any] | None) -> str:
    title, published = f"## {find_benchmark(name).title}", quoted(name, results[0].subsets)
    undefined = "\n".join(f"- none: {text}" for text in results[0].undefined)
    parts = [title, _extent(results[0]), _main_table(results, published), undefined, *_against_floors(comparison)]
    return "\n\n".join([*filter(None, parts), *_subset_table(results, published), *_caveats(results)])


def _extent(results: EvalResults) -> str:
    overall = results.overall
    subsets = ", ".join(f"{name} {values.n:,}" for name, values in results.subsets.items())
    if len(results.subsets) > MOST_COLUMNS:
        subsets = f"{len(results.subsets)} subsets, see below"
    return f"{overall.n:,} solutions, {overall.n_error:,} with an error: {subsets}. Headline: {results.headline.name}."


def _main_table(results: Sequence[EvalResults], published: Sequence[QuotedFigure]) -> str:
    headline, scores = results[0].headline.name, main_scores(results[0])
    header = (
        "judge", headline, "judged only", *map(score_name, scores), "AUROC", "AUROC within position", "ECE",
        "no verdict", "threshold", "seen before", "tokens", "seconds",
    )  # fmt: skip
    rows = [(item.headline.value, _own_row(item, scores)) for item in results]
    rows += [(item.headline, _quoted_row(item, n_columns=len(header))) for item in published]
    return markdown_table(header, best_first(rows))


def main_scores(results: EvalResults) -> list[str]:
    """Return which overall scores stand beside the headline: neither itself nor those over judged solutions alone."""
    headline = find_benchmark(results.benchmark).headline_score
    return [name for name in results.overall.scores if name != headline and not name.endswith("_scored")]


def _own_row(results: EvalResults, scores: Sequence[str]) -> list[str]:
    overall, cost = results.overall, results.cost
    tuned = ", upper bound" if overall.threshold_tuned_here else ""
    reference = ", shown the reference" if results.protocol.reference_shown else ""
    return [
        f"{_name(results)}{_floor_note(results)}{reference}",
        f"**{cell(results.headline)}**",
        cell(overall.scores[f"{find_benchmark(results.benchmark).headline_score}_scored"]),
        *(cell(overall.scores[name]) for name in scores),
        step_figure(results, "auroc"),
        step_figure(results, "auroc_within_position"),
        step_figure(results, "ece"),
        f"{overall.n_no_verdict:,}",
        f"{threshold_origin(results.decision)}{tuned}",
        _seen_before(results),
        f"{cost.n_tokens:,}",
        f"{cost.seconds:,.1f}",
    ]


def threshold_origin(decision: Decision) -> str:
    """Return in few words what decides and where it comes from."""
    if decision.kind == "argmax":
        return "most probable outcome"
    if decision.thresholds is None:
        return str(decision.origin)
    n_default = decision.n_default
    return f"cross-fitted, but the default in {n_default} folds" if n_default else "cross-fitted"


def _seen_before(results: EvalResults) -> str:
    found = results.protocol.contamination
    seen = f" ({found.n_solutions:,} of {results.overall.n:,} solutions)" if found.n_solutions else ""
    return f"{found.status}{seen}"


def _name(results: EvalResults) -> str:
    """Return a judge's name as tables show it; floors are marked."""
    name = str(results.judge.judge_id)
    return f"*floor* {name.removeprefix('floor: ')}" if is_floor(results) else name


def _floor_note(results: EvalResults) -> str:
    return f" ({READS_NOTHING})" if is_floor(results) else ""


def step_figure(results: EvalResults, name: str) -> str:
    """Return a figure of the steps in percent: the mean over the subsets that have it, or over all solutions at once.

    The latter where the headline is pooled, too. Evaluations of earlier releases lack some figures.
    """
    of_subsets = [values.steps for values in results.subsets.values()]
    pooled = results.pooled if find_benchmark(results.benchmark).pooled else None
    measured = [steps for steps in (of_subsets if pooled is None else [pooled.steps]) if steps is not None]
    metrics: list[Metric | None] = [getattr(steps, name) for steps in measured]
    if None in metrics:
        return "not measured"
    known = [metric.value for metric in metrics if metric is not None and metric.value is not None]
    return f"{100 * sum(known) / len(known):.1f}" if known else "none"


def _quoted_row(figure: QuotedFigure, *, n_columns: int) -> list[str]:
    note = f"; {figure.note}" if figure.note else ""
    return [f"{QUOTED} {figure.judge} ({figure.source}{note})", f"{figure.headline:.1f}", *[""] * (n_columns - 2)]


def _subset_table(results: Sequence[EvalResults], published: Sequence[QuotedFigure]) -> Iterator[str]:
    """Yield the headline's figure by subset and over all solutions, where there are several and one of them has it."""
    subsets = list(results[0].subsets)
    score = find_benchmark(results[0].benchmark).headline_score
    if len(subsets) < 2 or score not in results[0].subsets[subsets[0]].scores:
        return
    if all(item.subsets[s].scores[score].value is None for item in results for s in subsets):
        return
    rows = [(item.headline.value, [_name(item), *_subset_cells(item, subsets, score)]) for item in results]
    rows += [
        (item.headline, [f"{QUOTED} {item.judge}", *(_quoted_cell(item.subsets.get(s)) for s in subsets), ""])
        for item in published
        if item.subsets
    ]
    columns = [("judge", *subsets, "pooled"), *best_first(rows)]
    if len(subsets) <= MOST_COLUMNS:
        yield "By subset:\n\n" + markdown_table(columns[0], columns[1:])
        return
    sizes = [results[0].subsets[s] for s in subsets] + [results[0].overall]
    extent = [
        ("erroneous", *(f"{v.n_error:,}" for v in sizes)),
        ("correct", *(f"{v.n_correct:,}" for v in sizes)),
    ]
    header, *body = zip(columns[0], *extent, *columns[1:], strict=True)
    yield "By subset:\n\n" + markdown_table(("subset", *header[1:]), [list(line) for line in body])


def _subset_cells(results: EvalResults, subsets: Sequence[str], score: str) -> list[str]:
    """Return the figure of each subset, and of all solutions at once where results have it: older ones do not."""
    pooled: Mapping[str, Metric] = {}
    if results.pooled is not None:
        is_pooled = find_benchmark(results.benchmark).overall_protocols
        pooled = results.overall.scores if is_pooled else results.pooled.scores
    of_subsets = [cell(results.subsets[s].scores[score]) for s in subsets]
    return [*of_subsets, cell(pooled[score]) if score in pooled else ""]


def _against_floors(comparison: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield by how much each judge is better than what reads nothing."""
    pairs = comparison["floors"]["pairs"] if comparison and "floors" in comparison else ()
    if comparison is None or not pairs:
        return
    rows = [[pair["a"], pair["b"].removeprefix("floor: "), *difference_cells(pair, better=True)] for pair in pairs]
    header = ("judge", "floor", f"{comparison['headline_name']}, judge \u2212 floor", "p", "p after Holm", "better")
    yield "Better than what reads nothing? In percent points:\n\n" + markdown_table(header, rows)


def _quoted_cell(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.1f}"


def cell(interval: HasInterval) -> str:
    """Return an interval in percent with one decimal; `none` where undefined."""
    if interval.value is None:
        return "none"
    if interval.lo is None:
        return f"{interval.value:.1f}"
    return f"{interval.value:.1f} [{interval.lo:.1f}, {interval.hi:.1f}]"


def _caveats(results: Sequence[EvalResults]) -> Iterator[str]:
    """Yield what must be known: what holds for all judges once, the rest by judge."""
    notes = {item.judge.judge_id: item.comparability for item in results}
    shared = [note for note in results[0].comparability if all(note in of_judge for of_judge in notes.values())]
    lines = [f"- {note}" for note in shared]
    lines += [f"- {judge}: {note}" for judge, own in notes.items() for note in own if note not in shared]
    if lines:
        yield "Caveats:\n\n" + "\n".join(lines)

"""The leaderboard in Markdown: one table for each benchmark, with quoted figures. Made from `results.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from judgekit.errors import DataError
from judgekit.io import write_text
from judgekit.metrics.bootstrap import Interval
from judgekit.report.interval_cells import HasInterval, interval_text, p_value_text
from judgekit.report.markdown import markdown_table
from judgekit_eval.judges.benchmarks import READS_NOTHING, find_benchmark
from judgekit_eval.judges.published import PublishedScore
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.report.leaderboard import (
    STEP_METRICS,
    Leaderboard,
    MeasuredRow,
    build_leaderboards,
    difference_text,
    score_name,
    split_notes,
    threshold_origin,
)
from judgekit_eval.results import read_results

QUOTED = "*quoted*"
"""Mark of a row that nobody here measured."""
MOST_COLUMNS = 8
"""Most subsets side by side in a table; more of them are listed below each other."""

HEAD = """# Leaderboard

Percent with 95 % intervals, problems resampled. Written by `judgekit eval` and `judgekit leaderboard`. Rows marked
*quoted* are published figures: others measured them on the whole benchmark, with their own prompts and thresholds, and
here they are averaged over the subsets of this leaderboard. Rows marked *floor* read nothing: they are fitted to this
benchmark's labels, cross-fitted over its problems, and know only the position and the length of a step. If a judge was
trained or thresholded on labels of the same kind, only what it has above these floors counts."""

HOW_TO_READ = """## How to read this

- A solution without a verdict counts as wrong. "judged only" is the headline figure over the solutions with a verdict
  alone; `results.json` has every figure in both ways.
- AUROC (a correct step scored above a wrong one) and ECE (expected calibration error of P(step ok), equal-width
  bins, in percent) are over the steps up to the first error, unweighted means over the subsets where they exist; over
  all solutions at once where the headline is.
- AUROC's floor is not 50. The last counted step of a wrong solution is always the wrong one, so a judge that reads
  nothing gains from the position of a step and the number of steps. The floor is what the rows marked *floor* and
  builtin:random have in the same table. AUROC within position compares step k of n only with step k of n of other
  solutions. There any function of k and n has exactly 50, and chance has 50 up to its spread. The length of a step's
  text is still informative: the row *floor* position and length shows how much. The row *floor* position is below 50,
  because it was fitted without the fold: a position with many errors in the fold has few of them outside it.
- pooled: over all solutions at once, whatever the subsets; the headline of data that are not a benchmark with its own
  convention.
- threshold: where the one that decides comes from. Upper bound: chosen on a subset that is reported here.
- seen before: whether problems of the benchmark are among those that the judge was trained or calibrated on, according
  to the judge itself; `unknown` if it does not say. What a base model has read is unknown for every judge.
- tokens and seconds: read and written, and spent, for the whole benchmark, on whatever machine it ran; an ensemble's
  are those of its members together."""


def merge_leaderboards(runs: Sequence[Path], output: Path) -> list[EvalResults]:
    """Write one leaderboard of several evaluation folders and return the results behind it.

    Raises:
        DataError: a folder holds no results, or none that this release reads, or two runs of one benchmark are about
            different solutions.
        ConfigError: a judge stands in two of them on one benchmark.
    """
    results: list[EvalResults] = []
    floors: dict[tuple[str, str, str], EvalResults] = {}
    for run in runs:
        files = sorted(run.glob("judges/*/*/results.json"))
        if not files:
            raise DataError(f"{run} holds no judges/*/*/results.json: give a folder that `judgekit eval` has written")
        results += [read_results(path, EvalResults) for path in files]
        # Floors are fitted to the benchmark, not to a run: those of several runs on the same solutions are the same.
        for path in sorted(run.glob("floors/*/*/results.json")):
            item = read_results(path, EvalResults)
            floors.setdefault((item.benchmark, item.judge.judge_id, item.data.sha256), item)
    write_text(output, leaderboard_markdown(build_leaderboards([*results, *floors.values()])))
    return results


def leaderboard_markdown(boards: Sequence[Leaderboard], *, missing: Sequence[str] = ()) -> str:
    """Return the leaderboard as a page in Markdown.

    Args:
        boards: One a benchmark.
        missing: What is not here and why, a line each: judges that failed, floors that could not be fitted.
    """
    absent = ["Not here:\n\n" + "\n".join(f"- {line}" for line in missing)] if missing else []
    parts = [HEAD, *absent, *("\n\n".join(_section(board)) for board in boards), HOW_TO_READ]
    return "\n\n".join(parts) + "\n"


def _section(board: Leaderboard) -> Iterator[str]:
    overall = board.first.overall
    subsets = ", ".join(f"{name} {values.n:,}" for name, values in board.first.subsets.items())
    if len(board.first.subsets) > MOST_COLUMNS:
        subsets = f"{len(board.first.subsets)} subsets, see below"
    headline = board.first.headline.name
    yield f"## {find_benchmark(board.benchmark).title}"
    yield f"{overall.n:,} solutions, {overall.n_error:,} with an error: {subsets}. Headline: {headline}."
    with_cascades = any(row.results.cost.asked for row in board.rows)
    header = (
        "judge", headline, "judged only", *map(score_name, board.main_scores), "AUROC", "AUROC within position", "ECE",
        "no verdict", "threshold", "seen before", "tokens", "seconds", *(("answered by",) if with_cascades else ()),
    )  # fmt: skip
    # a column for those that were tested, see `judgekit attack --store`
    reads = bool(board.reading_notes)
    header = (*header, "reads the problem (AUC)") if reads else header
    rows = [
        _quoted_row(row, n_columns=len(header))
        if isinstance(row, PublishedScore)
        else [*_own_row(row, board.main_scores, with_cascades=with_cascades), *([_reading_cell(row)] if reads else [])]
        for row in board.ranked
    ]
    yield markdown_table(header, rows)
    if with_cascades:
        yield (
            "answered by: the members of a cascade, cheap ones first, and the share of the solutions that each one "
            "answered; the others went on to the next. Tokens and seconds are those of all members that were asked."
        )
    # Why a table says `none` stands right under it.
    if board.first.undefined:
        yield "\n".join(f"- undefined: {text}" for text in board.first.undefined)
    if reads:
        yield "\n".join(f"- {note}" for note in board.reading_notes)
    floors = board.comparisons.floors if board.comparisons else None
    if floors and floors.pairs:
        pairs = [
            [
                pair.a,
                pair.b.removeprefix("floor: "),
                interval_text(Interval(pair.difference, pair.lo, pair.hi), digits=1),
                p_value_text(pair.p_value),
                p_value_text(pair.p_holm),
                difference_text(pair, better=True),
            ]
            for pair in floors.pairs
        ]
        columns = ("judge", "floor", f"{headline}, judge \u2212 floor", "p", "p after Holm", "better")
        yield "Better than what reads nothing? In percentage points:\n\n" + markdown_table(columns, pairs)
    yield from _subset_table(board)
    shared, own = split_notes({row.judge: row.results.comparability for row in board.rows})
    lines = [f"- {note}" for note in shared]
    lines += [f"- {judge}: {note}" for judge, notes in own.items() for note in notes]
    if lines:
        yield "Caveats:\n\n" + "\n".join(lines)


def _own_row(row: MeasuredRow, scores: Sequence[str], *, with_cascades: bool) -> list[str]:
    results, overall = row.results, row.results.overall
    seen = results.protocol.contamination
    steps = [row.steps.get(name, "not measured") for name in STEP_METRICS]
    return [
        f"{_name(row)}{f' ({READS_NOTHING})' if row.is_floor else ''}"
        f"{', shown the reference' if results.protocol.reference_shown else ''}",
        f"**{cell(results.headline)}**",
        "" if row.judged_only is None else cell(row.judged_only),
        *(cell(overall.scores[name]) for name in scores),
        *("undefined" if value is None else value if isinstance(value, str) else f"{value:.1f}" for value in steps),
        f"{overall.n_no_verdict:,}",
        f"{threshold_origin(results.decision)}{', upper bound' if overall.threshold_tuned_here else ''}",
        seen.status + (f" ({seen.n_solutions:,} of {overall.n:,} solutions)" if seen.n_solutions else ""),
        f"{results.cost.n_tokens:,}",
        f"{results.cost.seconds:,.1f}",
        *([results.cost.answered_by] if with_cascades else []),
    ]


def _reading_cell(row: MeasuredRow) -> str:
    score = row.results.judge.reading
    return interval_text(score, digits=2) if score else "reads nothing" if row.is_floor else "not tested"


def _name(row: MeasuredRow) -> str:
    return f"*floor* {row.judge.removeprefix('floor: ')}" if row.is_floor else row.judge


def _quoted_row(figure: PublishedScore, *, n_columns: int) -> list[str]:
    note = f"; {figure.note}" if figure.note else ""
    return [f"{QUOTED} {figure.judge} ({figure.source}{note})", f"{figure.headline:.1f}", *[""] * (n_columns - 2)]


def _subset_table(board: Leaderboard) -> Iterator[str]:
    """Yield the headline's score by subset and over all solutions, where there are several and one of them has it."""
    subsets = list(board.first.subsets)
    if len(subsets) < 2 or all(metric.value is None for row in board.rows for metric in row.subsets.values()):
        return
    rows: list[list[str]] = []
    for row in board.ranked:
        if not isinstance(row, PublishedScore):
            of_subsets = [cell(row.subsets[subset]) for subset in subsets]
            rows.append([_name(row), *of_subsets, "" if row.pooled is None else cell(row.pooled)])
        elif row.subsets:
            quoted_of = [f"{row.subsets[subset]:.1f}" if subset in row.subsets else "" for subset in subsets]
            rows.append([f"{QUOTED} {row.judge}", *quoted_of, ""])
    columns = [["judge", *subsets, "pooled"], *rows]
    if len(subsets) > MOST_COLUMNS:
        # Too many subsets for the width of a page: judges become the columns, and there is room for the sizes.
        sizes = [board.first.subsets[subset] for subset in subsets] + [board.first.overall]
        columns[1:1] = [
            ["erroneous", *(f"{size.n_error:,}" for size in sizes)],
            ["correct", *(f"{size.n_correct:,}" for size in sizes)],
        ]
        columns = [list(line) for line in zip(*columns, strict=True)]
        columns[0][0] = "subset"
    yield "By subset:\n\n" + markdown_table(columns[0], columns[1:])


def cell(interval: HasInterval) -> str:
    """Return an interval in percent with one decimal, where it is defined."""
    if interval.value is None:
        return "undefined"
    if interval.lo is None:
        return f"{interval.value:.1f}"
    return f"{interval.value:.1f} [{interval.lo:.1f}, {interval.hi:.1f}]"

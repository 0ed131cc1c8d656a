"""The leaderboard as HTML: figures with intervals, where they come from, what they may be compared with."""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.metrics.bootstrap import Interval
from judgekit.report.interval_cells import HasInterval, interval_cell, interval_text, p_value_text
from judgekit.report.page import Html, bullet_list, collapsed, escape, paragraph, table
from judgekit_eval.judges.benchmarks import READS_NOTHING, find_benchmark
from judgekit_eval.judges.comparisons import Family
from judgekit_eval.judges.published import PublishedScore, quoted
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.report.benchmark import JudgedBenchmark
from judgekit_eval.report.leaderboard import (
    Leaderboard,
    MeasuredRow,
    best_first,
    difference_text,
    score_name,
    seen_before,
    split_notes,
    threshold_origin,
)

Row = list[object]
NOT_APPLICABLE = "\u2013"
"""Shown where a figure does not apply to a judge of this kind; a metric that does not exist is undefined."""


def leaderboard_html(board: Leaderboard) -> str:
    """Return the table of all judges, best first, with published figures among them."""
    first = board.first
    scores = list(first.overall.scores)
    header = (
        "judge", first.headline.name, "no verdict", _words("threshold from"), "seen before",
        *map(score_name, scores),
    )  # fmt: skip
    bootstrap = f"Bootstrap clustered by {first.bootstrap.clustered_by}, {first.bootstrap.n_resamples:,} resamples."
    caption = (
        f"Percent with 95 % intervals; bars from 0 to 100. {bootstrap} A solution without a "
        "verdict counts as wrong, except in columns that say judged only."
    )
    if "f1" in scores:
        caption += (
            " F1, as in ProcessBench, is the harmonic mean of error accuracy (wrong solutions whose first error is "
            "found exactly) and correct accuracy (correct solutions in which no error is reported)."
        )
    own = [_own_row(row, scores) for row in board.ranked if isinstance(row, MeasuredRow)]
    shown = table(header, own, caption=caption) + bullet_list([f"undefined: {text}" for text in first.undefined])
    if board.reading_notes:
        shown += paragraph("Do they read the problem?") + bullet_list(board.reading_notes)
    if board.published:
        among = [
            [_tagged(row.judge, "quoted"), _quoted_cell(row.headline), _words(_source(row))]
            if isinstance(row, PublishedScore)
            else [_tagged(row.judge, "measured here"), interval_cell(row.results.headline), ""]
            for row in board.ranked
        ]
        note = (
            "Rows marked quoted, with hollow bars, are published figures: measured by others, on the whole benchmark, "
            "with prompts and thresholds of their own, and averaged over the subsets that are here."
        )
        shown += collapsed(
            f"Among {len(board.published)} published figures, best first",
            table(("judge", first.headline.name, _words("source")), among, caption=note),
        )
    if any(row.is_floor for row in board.rows):
        shown += paragraph(
            f"Rows marked floor: each {READS_NOTHING}. They know only the position and the length of a step. If a "
            "judge was trained or thresholded on labels of the same kind, only what it has above these floors counts."
        )
    return shown


def _own_row(row: MeasuredRow, scores: Sequence[str]) -> Row:
    results, overall = row.results, row.results.overall
    tag = "reads nothing" if row.is_floor else "upper bound" if overall.threshold_tuned_here else ""
    return [
        _tagged(row.judge, tag),
        interval_cell(results.headline),
        f"{overall.n_no_verdict:,} of {overall.n:,}",
        _words(threshold_origin(results.decision) if results.decision.kind == "argmax" else results.decision.origin),
        seen_before(results),
        *(interval_text(overall.scores[score], digits=1) for score in scores),
    ]


def _source(row: PublishedScore) -> str:
    return row.source if row.note is None else f"{row.source}; {row.note}"


def overview_html(boards: Sequence[Leaderboard]) -> str:
    """Return the headline of every judge on every benchmark, the best judge of the first first; of one, its subsets.

    Nothing where there is one benchmark in one part.
    """
    columns: list[tuple[str, dict[str, HasInterval]]] = []
    for board in boards:
        name = f"{board.benchmark}: {board.first.headline.name}"
        columns.append((name, {row.judge: row.results.headline for row in board.rows}))
    if len(boards) == 1:
        rows = boards[0].rows
        for subset in rows[0].subsets if len(rows[0].subsets) > 1 else ():
            columns.append((subset, {row.judge: row.subsets[subset] for row in rows if subset in row.subsets}))
    if len(columns) < 2:
        return ""
    judges = dict.fromkeys(
        row.judge for board in boards for row in board.ranked if isinstance(row, MeasuredRow) and not row.is_floor
    ) | dict.fromkeys(row.judge for board in boards for row in board.rows)
    body = [[judge, *(interval_cell(of[judge]) if judge in of else "not run" for _, of in columns)] for judge in judges]
    caption = "Percent with 95 % intervals. The judges that were given, best first on the first benchmark, then floors."
    return "<h3>Overview</h3>" + table(("judge", *(name for name, _ in columns)), body, caption=caption)


def _quoted_cell(value: float) -> Html:
    return interval_cell(Interval(value, None, None), quoted=True)


def _tagged(name: str, tag: str) -> Html:
    return Html(escape(name) + (f' <span class="tag">{escape(tag)}</span>' if tag else ""))


def _words(text: str) -> Html:
    return Html(f'<div class="words">{escape(text)}</div>')


def subset_scores_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return all judges' scores and counts on one subset, best first, with published figures of it among them."""
    by_judge = benchmark.of_subset(subset)
    scores = list(next(iter(by_judge.values())).scores)
    main = find_benchmark(benchmark.name).headline_score
    # A headline over the whole benchmark alone has no value on one subset; F1 exists everywhere.
    main = main if main in scores else "f1"
    others = [score for score in scores if score != main]
    header = (
        "judge", *map(score_name, (main, *others)), "solutions", "erroneous", "correct", "no verdict", _words("why"),
    )  # fmt: skip
    rows: list[tuple[float | None, Row]] = [
        (
            values.scores[main].value,
            [
                _tagged(judge, "upper bound" if values.threshold_tuned_here else ""),
                interval_cell(values.scores[main]),
                *(interval_text(values.scores[score], digits=1) for score in others),
                *(f"{n:,}" for n in (values.n, values.n_error, values.n_correct, values.n_no_verdict)),
                _words(", ".join(f"{reason} {count}" for reason, count in values.no_verdict.items()) or NOT_APPLICABLE),
            ],
        )
        for judge, values in by_judge.items()
    ]
    blank = [""] * (len(header) - 2)
    rows += [
        (row.subsets[subset], [_tagged(row.judge, "quoted"), _quoted_cell(row.subsets[subset]), *blank])
        for row in quoted(benchmark.name)
        if subset in row.subsets
    ]
    shown = table(header, best_first(rows), caption=f"{subset}: percent with 95 % intervals.")
    best = {judge: values.best_threshold for judge, values in by_judge.items() if values.best_threshold}
    if best:
        body = [[judge, f"{found.threshold:.4g}", f"{found.f1:.1f}"] for judge, found in best.items()]
        note = (
            "F1 with the threshold chosen on these very solutions: what no honest threshold can beat, never a result."
        )
        shown += collapsed("Upper bounds", table(("judge", "threshold", "F1"), body, caption=note))
    return shown


def protocol_html(board: Leaderboard) -> str:
    """Return how each judge was run and what its figures may be compared with."""
    with_cascades = any(row.results.cost.asked for row in board.rows)
    header = (
        "judge", "kind", "precision", "decision", "threshold", "reference shown", "votes", "cut off", "calibrator",
        "prompt", "tokens", "seconds", "US dollars", *(("answered by",) if with_cascades else ()),
    )  # fmt: skip
    body = []
    for results in (row.results for row in board.rows):
        judge, decision, protocol, cost = results.judge, results.decision, results.protocol, results.cost
        threshold = NOT_APPLICABLE if decision.threshold is None else f"{decision.threshold:.4g}"
        if decision.thresholds:  # a fold each; their spread tells how sure the threshold is
            lo, hi = min(decision.thresholds), max(decision.thresholds)
            threshold = f"{lo:.3g} to {hi:.3g}, {len(decision.thresholds)} folds"
        body.append(
            [
                judge.judge_id,
                judge.family or judge.kind or "no card",
                judge.dtype or NOT_APPLICABLE,
                decision.kind,
                threshold,
                "yes" if protocol.reference_shown else "no",
                protocol.votes or NOT_APPLICABLE,
                f"{protocol.n_truncated:,}",
                (judge.calibrator or {}).get("kind", "not calibrated"),
                (protocol.prompt_sha256 or "")[:12] or NOT_APPLICABLE,
                f"{cost.n_tokens:,}",
                f"{cost.seconds:,.1f}",
                "unknown" if cost.cost_usd is None else f"{cost.cost_usd:.2f}",
                *([cost.answered_by or "itself"] if with_cascades else []),
            ]
        )
    shared, own = split_notes({row.judge: _notes(row.results) for row in board.rows})
    under_names = "".join(f"<h4>{escape(judge)}</h4>{bullet_list(rest)}" for judge, rest in own.items())
    return table(header, body) + bullet_list(shared) + under_names


def _notes(results: EvalResults) -> list[str]:
    contamination, clean = results.protocol.contamination, results.overall.scores_clean
    notes = [*results.comparability]
    if contamination.status != "overlap":
        return [*notes, f"Seen before: {contamination.note}"] if contamination.note else notes
    name = find_benchmark(results.benchmark).headline_score
    if clean is not None and (metric := clean.scores.get(name)) is not None:
        figure = interval_text(metric, digits=1)
        notes.append(f"Without the problems seen before, on {clean.n:,} solutions: {score_name(name)} {figure}.")
    return notes


def comparisons_html(board: Leaderboard) -> str:
    """Return the paired differences of judges and those from the floors, or nothing where none were compared."""
    compared = board.comparisons
    if not compared:
        return ""
    floors = _pairs_html(compared.floors, "Better than what reads nothing?", better=True) if compared.floors else ""
    return _pairs_html(compared, "Paired comparisons", better=False) + floors


def _pairs_html(compared: Family, title: str, *, better: bool) -> str:
    if not compared.pairs:
        return ""
    header = ("A", _words("B"), "A \u2212 B", "p", "p after Holm", "better" if better else "differ")
    body = [
        [
            pair.a,
            _words(pair.b),
            interval_text(Interval(pair.difference, pair.lo, pair.hi), digits=1),
            p_value_text(pair.p_value),
            p_value_text(pair.p_holm),
            difference_text(pair, better=better),
        ]
        for pair in compared.pairs
    ]
    caption = (
        f"{compared.headline_name}: differences in percentage points with 95 % intervals, paired by problem. "
        f"{compared.note}"
    )
    return f"<h3>{title}</h3>" + table(header, body, caption=caption)

"""The leaderboard of a benchmark: figures with intervals, where they come from, what they may be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from eval.judges.benchmarks import READS_NOTHING, find_benchmark
from eval.judges.published import QuotedFigure, quoted
from eval.judges.schema import Decision, EvalResults, SubsetResults
from eval.report.benchmark import JudgedBenchmark
from eval.results import Bootstrap
from judgekit.metrics.bootstrap import Interval
from judgekit.report.interval_cells import interval_cell, interval_text
from judgekit.report.page import Html, bullet_list, collapsed, escape, paragraph, table

Cell = TypeVar("Cell")

SCORED = "_scored"
"""How the names of scores over the judged solutions alone end."""
ABBREVIATIONS = {"f1": "F1", "mcc": "MCC", "prm": "PRM", "auc": "AUC"}
"""Spelling of words in the names of scores."""


def score_name(name: str) -> str:
    """Return a score's name as shown.

    Example:
        >>> score_name("f1_scored")
        'F1, judged only'
    """
    words = " ".join(ABBREVIATIONS.get(word, word) for word in name.removesuffix(SCORED).split("_"))
    return f"{words}, judged only" if name.endswith(SCORED) else words


def leaderboard_html(benchmark: JudgedBenchmark) -> str:
    """Return the table of all judges, best first, with published figures among them."""
    first = benchmark.first.results
    scores = list(first.overall.scores)
    published = quoted(benchmark.name, benchmark.subsets)
    own = [(run.results.headline.value, _own_row(run.results, scores)) for run in benchmark.runs.values()]
    others = [(row.headline, _quoted_row(row, n_scores=len(scores))) for row in published]
    header = (
        "judge",
        first.headline.name,
        "no verdict",
        _words("threshold from / source"),
        "seen before",
        *map(score_name, scores),
    )
    caption = (
        f"Percent with 95 % intervals; bars from 0 to 100. {_bootstrap(first.bootstrap)} A solution without a "
        "verdict counts as wrong, except in columns that say judged only."
    )
    notes = bullet_list([f"none: {text}" for text in first.undefined])
    shown = table(header, best_first([*own, *others]), caption=caption) + notes + _quoted_note(published)
    return shown + (_floors_note() if any(is_floor(run.results) for run in benchmark.runs.values()) else "")


def best_first(rows: Sequence[tuple[float | None, list[Cell]]]) -> list[list[Cell]]:
    """Return the rows of a leaderboard, the highest score first; those without one stand last.

    Args:
        rows: The score that decides, in percent, or `None` where undefined, and the row's cells.

    Example:
        >>> best_first([(None, ["c"]), (40.0, ["b"]), (90.0, ["a"])])
        [['a'], ['b'], ['c']]
    """
    return [row for _, row in sorted(rows, key=lambda pair: -1.0 if pair[0] is None else pair[0], reverse=True)]


def _bootstrap(bootstrap: Bootstrap) -> str:
    return f"Bootstrap clustered by {bootstrap.clustered_by}, {bootstrap.n_resamples:,} resamples."


def _quoted_note(published: Sequence[QuotedFigure]) -> str:
    if not published:
        return ""
    return paragraph(
        "Rows marked quoted, with hollow bars, are published figures: measured by others, on the whole benchmark, with "
        "prompts and thresholds of their own, and averaged over the subsets that are here."
    )


def _floors_note() -> str:
    return paragraph(
        f"Rows marked floor: each {READS_NOTHING}. They know no more than where a step stands and how long it is; a "
        "judge trained or thresholded on labels of the same kind is worth what it has above them."
    )


def is_floor(results: EvalResults) -> bool:
    """Whether results are those of a judge that reads nothing, see `eval.judges.floors`."""
    return bool(results.judge.kind == "floor")


def _own_row(results: EvalResults, scores: Sequence[str]) -> list[object]:
    overall = results.overall
    return [
        _tagged(
            results.judge.judge_id,
            "reads nothing" if is_floor(results) else "upper bound" if overall.threshold_tuned_here else "",
        ),
        interval_cell(results.headline),
        f"{overall.n_no_verdict:,} of {overall.n:,}",
        _words(_origin(results.decision)),
        results.protocol.contamination.status,
        *(interval_text(overall.scores[score], digits=1) for score in scores),
    ]


def _origin(decision: Decision) -> str:
    return "most probable outcome" if decision.kind == "argmax" else decision.origin


def _quoted_row(row: QuotedFigure, *, n_scores: int) -> list[object]:
    note = row.source if row.note is None else f"{row.source}; {row.note}"
    return [_tagged(row.judge, "quoted"), _quoted_cell(row.headline), "", _words(note), "", *[""] * n_scores]


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
    main = main if main in scores else "f1"
    others = [score for score in scores if score != main]
    header = (
        "judge",
        *map(score_name, (main, *others)),
        "solutions",
        "erroneous",
        "correct",
        "no verdict",
        _words("why"),
    )
    rows = [(v.scores[main].value, _subset_row(judge, v, main, others)) for judge, v in by_judge.items()]
    blank = [""] * (len(header) - 2)
    rows += [
        (row.subsets[subset], [_tagged(row.judge, "quoted"), _quoted_cell(row.subsets[subset]), *blank])
        for row in quoted(benchmark.name)
        if subset in row.subsets
    ]
    scores_table = table(header, best_first(rows), caption=f"{subset}: percent with 95 % intervals.")
    return scores_table + _best_thresholds(by_judge)


def _subset_row(judge: str, values: SubsetResults, main: str, others: Sequence[str]) -> list[object]:
    return [
        _tagged(judge, "upper bound" if values.threshold_tuned_here else ""),
        interval_cell(values.scores[main]),
        *(interval_text(values.scores[score], digits=1) for score in others),
        *(f"{n:,}" for n in (values.n, values.n_error, values.n_correct, values.n_no_verdict)),
        _words(", ".join(f"{reason} {count}" for reason, count in values.no_verdict.items()) or "none"),
    ]


def _best_thresholds(by_judge: Mapping[str, SubsetResults]) -> str:
    known = {judge: values.best_threshold for judge, values in by_judge.items() if values.best_threshold}
    body = [[judge, f"{best.threshold:.4g}", f"{best.f1:.1f}"] for judge, best in known.items()]
    if not body:
        return ""
    note = "F1 with the threshold chosen on these very solutions: what no honest threshold can beat, never a result."
    return collapsed("Upper bounds", table(("judge", "threshold", "F1"), body, caption=note))


def protocol_html(benchmark: JudgedBenchmark) -> str:
    """Return how each judge was run and what its figures may be compared with."""
    header = (
        "judge", "kind", "precision", "decision", "threshold", "reference shown", "votes", "cut off", "calibrator",
        "prompt", "tokens", "seconds", "US dollars",
    )  # fmt: skip
    body = [_protocol_row(run.results) for run in benchmark.runs.values()]
    return table(header, body) + _all_notes({judge: _notes(run.results) for judge, run in benchmark.runs.items()})


def _all_notes(notes: Mapping[str, Sequence[str]]) -> str:
    """Return what holds for all judges once, and what holds for single ones under their names."""
    first, *others = notes.values()
    shared = [note for note in first if all(note in other for other in others)]
    parts = [bullet_list(shared)]
    for judge, own in notes.items():
        if rest := [note for note in own if note not in shared]:
            parts.append(f"<h4>{escape(judge)}</h4>{bullet_list(rest)}")
    return "".join(parts)


def _protocol_row(results: EvalResults) -> list[object]:
    judge, decision, protocol, cost = results.judge, results.decision, results.protocol, results.cost
    return [
        judge.judge_id,
        judge.family or judge.kind or "no card",
        judge.dtype or "none",
        decision.kind,
        _threshold(decision),
        "yes" if protocol.reference_shown else "no",
        protocol.votes or "none",
        f"{protocol.n_truncated:,}",
        (judge.calibrator or {}).get("kind", "none"),
        (protocol.prompt_sha256 or "none")[:12],
        f"{cost.n_tokens:,}",
        f"{cost.seconds:,.1f}",
        "unknown" if cost.cost_usd is None else f"{cost.cost_usd:.2f}",
    ]


def _threshold(decision: Decision) -> str:
    if decision.thresholds:
        lo, hi = min(decision.thresholds), max(decision.thresholds)
        return f"{lo:.3g} to {hi:.3g}, {len(decision.thresholds)} folds"
    return "none" if decision.threshold is None else f"{decision.threshold:.4g}"


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


def comparisons_html(comparison: Mapping[str, Any] | None) -> str:
    """Return the paired differences of judges and those from the floors, or nothing where none were compared."""
    if not comparison:
        return ""
    shown = _pairs_html(comparison, "Paired comparisons", better=False)
    if "floors" in comparison:
        shown += _pairs_html(comparison["floors"], "Better than what reads nothing?", better=True)
    return shown


def _pairs_html(comparison: Mapping[str, Any], title: str, *, better: bool) -> str:
    if not comparison["pairs"]:
        return ""
    name = comparison["headline_name"]
    header = ("A", _words("B"), "A \u2212 B", "p", "p after Holm", "better" if better else "differ")
    body = [[pair["a"], _words(pair["b"]), *difference_cells(pair, better=better)] for pair in comparison["pairs"]]
    caption = f"{name}: differences in percent points with 95 % intervals, paired by problem. {comparison['note']}"
    return f"<h3>{title}</h3>" + table(header, body, caption=caption)


def difference_cells(pair: Mapping[str, Any], *, better: bool) -> list[str]:
    """Return a pair's difference with its interval, p, p after Holm, and whether it is shown that the two differ.

    With `better`, the last cell tells whether the first is shown to be the better one.
    """
    interval = Interval(pair["difference"], pair["lo"], pair["hi"])
    if pair["p_holm"] is None:
        shown = "unknown"
    elif pair["p_holm"] >= 0.05:
        shown = "not shown"
    else:
        shown = "no, worse" if better and pair["difference"] < 0 else "yes"
    return [interval_text(interval, digits=1), _p_value(pair["p_value"]), _p_value(pair["p_holm"]), shown]


def _p_value(p: float | None) -> str:
    if p is None:
        return "none"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"

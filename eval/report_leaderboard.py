"""The leaderboard of a benchmark: figures with intervals, where they come from, what they may be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.interval_cells import interval_cell, interval_text
from eval.report_benchmark import JudgedBenchmark
from judgekit.page import Html, bullet_list, collapsed, escape, paragraph, table

SCORE_NAMES = {
    "error_accuracy": "error accuracy",
    "correct_accuracy": "correct accuracy",
    "f1": "F1",
    "f1_scored": "F1, judged only",
    "accuracy": "accuracy",
    "accuracy_scored": "accuracy, judged only",
    "average_f1": "average F1",
    "prm_score": "PRMScore",
    "mcc": "MCC",
}
"""Words for scores whose names in results are short."""


def score_name(name: str) -> str:
    """Return a score's name as shown."""
    return SCORE_NAMES.get(name, name.replace("_", " "))


def leaderboard_html(benchmark: JudgedBenchmark, quoted: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of all judges, best first, with published figures between them.

    Args:
        benchmark: The judges' runs.
        quoted: Published figures of the same headline: `name`, `value` in percent, `source`.
    """
    headline = next(iter(benchmark.runs.values())).results["headline"]["name"]
    scores = list(next(iter(benchmark.runs.values())).results["overall"]["scores"])
    own = [(run.results["headline"]["value"], _own_row(run.results, scores)) for run in benchmark.runs.values()]
    others = [(row["value"], _quoted_row(row, n_scores=len(scores))) for row in quoted]
    ranked = sorted([*own, *others], key=lambda row: -1.0 if row[0] is None else row[0], reverse=True)
    header = ("judge", headline, "no verdict", "threshold from", "contamination", *map(score_name, scores))
    caption = (
        f"Percent with 95 % intervals; bar from 0 to 100. {_bootstrap(benchmark)} A solution without a verdict counts "
        "as wrong, except in columns that say judged only."
    )
    return table(header, [row for _, row in ranked], caption=caption) + (
        paragraph("Quoted rows (hollow bars) are published figures, not measured here.") if quoted else ""
    )


def _bootstrap(benchmark: JudgedBenchmark) -> str:
    bootstrap = next(iter(benchmark.runs.values())).results["bootstrap"]
    return f"Bootstrap clustered by {bootstrap['clustered_by']}, {bootstrap['n_resamples']:,} resamples."


def _own_row(results: Mapping[str, Any], scores: Sequence[str]) -> list[object]:
    overall = results["overall"]
    name = escape(results["judge"]["judge_id"])
    if overall["threshold_tuned_here"]:
        name += ' <span class="tag">upper bound</span>'
    return [
        Html(name),
        interval_cell(results["headline"]),
        f"{overall['n_no_verdict']:,} of {overall['n']:,}",
        results["decision"]["origin"],
        results["protocol"]["contamination"]["status"],
        *(interval_text(overall["scores"][score], digits=1) for score in scores),
    ]


def _quoted_row(row: Mapping[str, Any], *, n_scores: int) -> list[object]:
    name = Html(f'{escape(row["name"])} <span class="tag">quoted</span>')
    bar = interval_cell({"value": row["value"], "lo": None, "hi": None}, quoted=True)
    return [name, bar, "", row["source"], "", *[""] * n_scores]


def subset_scores_html(benchmark: JudgedBenchmark, subset: str) -> str:
    """Return all judges' scores and counts on one subset."""
    by_judge = benchmark.of_subset(subset)
    scores = list(next(iter(by_judge.values()))["scores"])
    header = ("judge", *map(score_name, scores), "solutions", "erroneous", "correct", "no verdict", "why")
    body = [
        [
            Html(escape(judge) + (' <span class="tag">upper bound</span>' if values["threshold_tuned_here"] else "")),
            *(interval_text(values["scores"][score], digits=1) for score in scores),
            *(f"{values[count]:,}" for count in ("n", "n_error", "n_correct", "n_no_verdict")),
            ", ".join(f"{reason} {count}" for reason, count in values["no_verdict"].items()) or "none",
        ]
        for judge, values in by_judge.items()
    ]
    return table(header, body, caption=f"{subset}: percent with 95 % intervals.") + _best_thresholds(by_judge)


def _best_thresholds(by_judge: Mapping[str, Mapping[str, Any]]) -> str:
    known = {judge: values["best_threshold"] for judge, values in by_judge.items() if values["best_threshold"]}
    body = [[judge, f"{best['threshold']:.4g}", f"{best['f1']:.1f}"] for judge, best in known.items()]
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


def _protocol_row(results: Mapping[str, Any]) -> list[object]:
    judge, decision, protocol, cost = (results[part] for part in ("judge", "decision", "protocol", "cost"))
    return [
        judge["judge_id"],
        judge["family"] or judge["kind"] or "unknown",
        judge["dtype"] or "none",
        decision["kind"],
        _threshold(decision),
        "yes" if protocol["reference_shown"] else "no",
        protocol["votes"] or "none",
        f"{protocol['n_truncated']:,}",
        (judge["calibrator"] or {}).get("kind", "none"),
        (protocol["prompt_sha256"] or "none")[:12],
        f"{cost['n_tokens']:,}",
        f"{cost['seconds']:,.1f}",
        "unknown" if cost["cost_usd"] is None else f"{cost['cost_usd']:.2f}",
    ]


def _threshold(decision: Mapping[str, Any]) -> str:
    if decision.get("thresholds"):
        return ", ".join(f"{threshold:.4g}" for threshold in decision["thresholds"]) + " (one a fold)"
    return "none" if decision["threshold"] is None else f"{decision['threshold']:.4g}"


def _notes(results: Mapping[str, Any]) -> list[str]:
    contamination = results["protocol"]["contamination"]
    notes = [*results["comparability"]]
    if contamination["note"]:
        notes.append(f"Contamination: {contamination['note']}")
    if contamination["n_solutions"]:
        examples = ", ".join(contamination["examples"])
        notes.append(f"{contamination['n_solutions']:,} solutions overlap with the judge's training data: {examples}.")
    return notes


def comparisons_html(comparison: Mapping[str, Any] | None) -> str:
    """Return the paired differences of judges, or nothing where no two judges were compared."""
    if not comparison or not comparison["pairs"]:
        return ""
    name = comparison["headline_name"]
    header = ("A", "B", "A \u2212 B", "p", "p after Holm", "differ")
    body = [
        [
            pair["a"],
            pair["b"],
            interval_text({"value": pair["difference"], "lo": pair["lo"], "hi": pair["hi"]}, digits=1),
            _p_value(pair["p_value"]),
            _p_value(pair["p_holm"]),
            _verdict(pair["p_holm"]),
        ]
        for pair in comparison["pairs"]
    ]
    caption = f"{name}: differences in percent points with 95 % intervals, paired by problem. {comparison['note']}"
    return "<h3>Paired comparisons</h3>" + table(header, body, caption=caption)


def _p_value(p: float | None) -> str:
    if p is None:
        return "none"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(p_holm: float | None) -> str:
    if p_holm is None:
        return "unknown"
    return "yes" if p_holm < 0.05 else "not shown"


__all__ = ["comparisons_html", "leaderboard_html", "protocol_html", "score_name", "subset_scores_html"]

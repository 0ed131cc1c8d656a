"""The report of best-of-N: a page with curves and paired differences, and a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from judgekit.report.interval_bars import Bar, BarRow, interval_bars
from judgekit.report.markdown import markdown_table
from judgekit.report.page import Section, Series, bullet_list, figures, line_plot, paragraph, render_page, table
from judgekit_eval.best_of_n.curves import VOTE
from judgekit_eval.best_of_n.schema import BestOfNResults, MethodMetrics
from judgekit_eval.results import Metric

NAMES = {
    "product": "product",
    "min": "min",
    "last": "last step",
    "prefix": "expected valid prefix",
    VOTE: "weighted majority",
}
"""What the scores are called on the page."""


class _Method(NamedTuple):
    judge: str
    """Empty if no judge is needed."""
    name: str
    metrics: MethodMetrics
    n_no_verdict: int | None = None


def best_of_n_markdown(results: BestOfNResults) -> str:
    """Return the facts and one table in Markdown, a row a method; see `compute_results` next to it."""
    facts = "\n".join(f"- {fact}" for fact in _facts(results))
    header, *rows = _table(results)
    return f"# Best of N\n\n{facts}\n\n{markdown_table(header, rows)}\n"


def best_of_n_html(results: BestOfNResults) -> str:
    """Return the page about `results`."""
    size = max(results.n_groups_by_size, key=int)
    sections = []
    for name, judge in results.judges.items():
        methods = [method for method in _methods(results) if method.judge in ("", name)]
        curves = line_plot(
            [
                Series(method.name, [int(n) for n in accuracy], [metric.value for metric in accuracy.values()])
                for method in methods
                for accuracy in [method.metrics.accuracy]
            ],
            title="Expected accuracy of the chosen response by number of responses",
            x_label="N, responses to choose from",
            y_label="accuracy, percent",
        )
        rows = [
            BarRow(f"best of {size}", method.name, (Bar(**method.metrics.minus_random[size].model_dump()),))
            for method in methods
            if method.name != "random" and size in method.metrics.minus_random
        ]
        title = f"Gain from choosing among {size} over a random response, with 95 % intervals"
        gains = interval_bars(rows, ["gain"], title=title, x_label="percentage points")
        reasons = ", ".join(f"{reason} {count}" for reason, count in judge.no_verdict.items())
        counts = f"{judge.n_no_verdict} of {results.n_responses:,} responses without a verdict"
        counts += f" ({reasons})." if reasons else "."
        sections.append(Section(name, paragraph(counts) + figures(curves, gains)))
    caption = "Accuracy of the chosen response, percent, with 95 % intervals (bootstrap clustered by problem)."
    header, *body = _table(results)
    sections.append(Section("Figures", table(header, body, caption=caption)))
    scores = [f"{NAMES[score]}: {text}" for score, text in results.scores.items()]
    sections.append(Section("Scores that rank the responses", bullet_list(scores)))
    return render_page("Best of N", sections, lead=bullet_list(_facts(results)))


def _facts(results: BestOfNResults) -> list[str]:
    n_same = results.n_all_wrong + results.n_all_right
    facts = [
        f"{results.n_responses:,} responses in {results.n_groups:,} groups to {results.n_problems:,} "
        f"problems, by {', '.join(results.generators)}.",
        f"{results.n_all_wrong} groups are all wrong and {results.n_all_right} all correct: there every method "
        f"gives the same, so all differences come from the other {results.n_groups - n_same}.",
        "Accuracy of the chosen response: the mean over all subsets of N responses of a group, ties broken evenly. "
        "Responses without a verdict rank last and have no vote.",
        f"Votes are counted in {results.votes}; {results.n_without_answer} responses state no answer and have no "
        f"vote, {results.n_uncheckable_pairs} pairs of answers could not be compared and count as different, "
        f"{results.n_mixed_answers} answers are correct in one response and wrong in another.",
    ]
    fewer = {n: size for n, size in results.n_groups_by_size.items() if size < results.n_groups}
    facts += [f"Only {size} groups have {n} responses." for n, size in fewer.items()]
    facts += [f"Missing: {line}." for line in results.failures]
    return [*facts, "The judges saw the correct answers."] if results.reference_shown else facts


def _methods(results: BestOfNResults) -> Iterator[_Method]:
    for name, metrics in results.references.items():
        yield _Method("", name, metrics)
    for name, judge in results.judges.items():
        for score, metrics in judge.scores.items():
            yield _Method(name, NAMES[score], metrics, judge.n_no_verdict)


def _table(results: BestOfNResults) -> Iterator[list[str]]:
    """Yield the header, then a row a method."""
    sizes = list(results.n_groups_by_size)
    size = max(sizes, key=int)
    best = [f"best of {n}" for n in sizes]
    yield ["method", *best, f"{size}: minus random", f"{size}: minus majority", "no verdict"]
    for method in _methods(results):
        yield [
            f"{method.judge}, {method.name}" if method.judge else method.name,
            *(_interval(method.metrics.accuracy.get(n)) for n in sizes),
            _interval(method.metrics.minus_random.get(size), sign="+"),
            _interval(method.metrics.minus_majority.get(size), sign="+"),
            "" if method.n_no_verdict is None else str(method.n_no_verdict),
        ]


def _interval(interval: Metric | None, *, sign: str = "") -> str:
    if interval is None or interval.value is None:
        return "none"
    value = f"{interval.value:{sign}.1f}"
    if interval.lo is None:  # a single problem has no interval
        return value
    return f"{value} [{interval.lo:{sign}.1f}, {interval.hi:{sign}.1f}]"

"""The browser of coloured solutions: its controls, and its data packed so that thousands open at once.

Texts are there once, however many judges read them; of each judge there are only the rounded P(step ok), the prediction
and the reason for giving none. Outcomes are one letter a solution, of all solutions, so that two judges can be compared
on everything even where only some solutions can be browsed.
"""

from __future__ import annotations

from collections.abc import Sequence

from judgekit.metrics.localization import Outcome
from judgekit.report.page import escape
from judgekit_eval.choice import evenly_spaced
from judgekit_eval.report.benchmark import JudgedBenchmark

OUTCOMES = {
    Outcome.RIGHT: ("R", "✓ right"),
    Outcome.EARLY: ("E", "← early"),
    Outcome.LATE: ("L", "→ late"),
    Outcome.MISSED: ("M", "○ missed"),
    Outcome.FALSE_ALARM: ("F", "! false alarm"),
    Outcome.NO_VERDICT: ("N", "? no verdict"),
}
"""Letter in the data, and sign and words on the page."""
PAIRS = {
    "both": "A ✓ B ✓",
    "only-a": "A ✓ B ✗",
    "only-b": "A ✗ B ✓",
    "neither": "A ✗ B ✗",
    "differ": "predictions differ",
}
"""Filters by what two judges say, and their words on the page."""
DIGITS = 3
"""Decimal digits of P(step ok) in the page."""
KEYS = {
    "j, k": "next and previous solution (in the list also the arrows, Home and End)",
    "/": "search",
    "Escape": "leave the search, close this help",
    "?": "this help",
}
"""What the keyboard does."""


def browser_html(benchmarks: Sequence[JudgedBenchmark], *, n_browsed: int) -> str:
    """Return the controls, the list and the place for one solution; the script fills them."""
    notes = [
        f'<p data-benchmark="{escape(benchmark.name)}">{n_browsed:,} of {n_all:,} solutions, evenly spaced.</p>'
        for benchmark in benchmarks
        if n_browsed < (n_all := len(benchmark.first.rows))
    ]
    keys = "".join(f"<dt><kbd>{escape(key)}</kbd></dt><dd>{escape(what)}</dd>" for key, what in KEYS.items())
    return (
        f"{''.join(notes)}"
        '<p>Colour: P(step ok), <span class="number">0</span><span class="scale"></span><span class="number">1</span>, '
        f"to {DIGITS} digits. Steps are counted from 0. The address of the page holds everything chosen here: copy it "
        "to show somebody this very solution.</p>"
        f"{_buttons('show', 'outcome of A', {'all': 'all', **{k: name for k, name in OUTCOMES.values()}})}"
        f"{_buttons('pair', 'A and B', {'all': 'all', **PAIRS})}"
        '<div class="controls"><input type="search" id="search" placeholder="search problem, steps, id" '
        'aria-label="search problem, steps and ids">'
        '<label>in <select id="within"></select></label>'
        '<label>written by <select id="generator"></select></label>'
        '<div class="group"><button type="button" id="previous">previous</button>'
        '<button type="button" id="next">next</button>'
        '<button type="button" id="ask" aria-haspopup="dialog">? keys</button></div>'
        '<span class="dim" id="position" aria-live="polite"></span></div>'
        '<div class="browser" id="browser"><div class="list" id="list" role="listbox" tabindex="0" '
        'aria-label="solutions"></div><article class="detail" id="detail" tabindex="0" aria-label="solution"></article>'
        f'</div><dialog id="help" aria-label="keys"><h3>Keys</h3><dl>{keys}</dl>'
        '<form method="dialog"><button>close</button></form></dialog>'
    )


def _buttons(name: str, label: str, kinds: dict[str, str]) -> str:
    buttons = "".join(
        f'<button type="button" data-{name}="{kind}" aria-pressed="false">{escape(words)} '
        '<span class="number"></span></button>'
        for kind, words in kinds.items()
    )
    return (
        f'<div class="controls" id="{name}" role="group" aria-label="{label}"><span class="dim">{label}</span>'
        f"{buttons}</div>"
    )


def solutions_data(benchmark: JudgedBenchmark, *, n_browsed: int) -> dict[str, object]:
    """Pack all solutions of a benchmark and what every judge said about them.

    Args:
        benchmark: The runs.
        n_browsed: Solutions with texts at most; of more, evenly spaced ones.
    """
    rows = benchmark.first.rows
    shown = list(evenly_spaced(range(len(rows)), n_browsed))
    subset_index = {name: index for index, name in enumerate(benchmark.subsets)}
    texts = [rows[i].solution for i in shown]
    problems = {text: index for index, text in enumerate(dict.fromkeys(solution.problem for solution in texts))}
    # Columns, not a row a solution: names of fields are there once, and thousands of solutions open at once.
    return {
        # Of all solutions, also of those without texts: shares and pairs of judges are about everything.
        "subset": [subset_index[row.subset] for row in rows],
        "outcomes": ["".join(OUTCOMES[row.outcome][0] for row in run.rows) for run in benchmark.runs.values()],
        "shown": shown,
        "problems": list(problems),
        "solutions": {
            "id": [solution.id for solution in texts],
            "source_id": [solution.source_id for solution in texts],
            "generator": [solution.generator for solution in texts],
            "problem": [problems[solution.problem] for solution in texts],
            "steps": [solution.steps for solution in texts],
            "gold": [rows[i].gold for i in shown],
        },
        "judges": [
            {
                "predicted": [row.predicted for row in judged],
                # Rounded to whole numbers: a fraction of the bytes, and no eye sees the difference.
                "p_ok": [row.p_ok_S and [round(p * 10**DIGITS) for p in row.p_ok_S] for row in judged],
                "no_verdict": [row.judgement.no_verdict for row in judged],
            }
            for run in benchmark.runs.values()
            for judged in [[run.rows[i] for i in shown]]
        ],
    }

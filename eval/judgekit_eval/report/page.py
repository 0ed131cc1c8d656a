"""The report of an evaluation: all judges on all benchmarks in a single HTML file that opens without a network.

What stands on the page at once is one benchmark, one subset, one judge or two; controls choose, and the address holds
the choice. Figures of subsets and judges travel as finished HTML in JSON and are put on the page when they are chosen,
so that a run of many judges opens as fast as one of a single judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from judgekit.report.page import (
    Html,
    Section,
    asset,
    bullet_list,
    code,
    escape,
    json_script,
    link,
    paragraph,
    render_page,
)
from judgekit_eval.judges.judged_solution import BenchmarkRun
from judgekit_eval.report.benchmark import JudgedBenchmark, group_runs
from judgekit_eval.report.browser import DIGITS, OUTCOMES, browser_html, solutions_data
from judgekit_eval.report.calibration import reliability_html, risk_coverage_html, step_scores_html
from judgekit_eval.report.coverage import coverage_html
from judgekit_eval.report.curves import curves_html
from judgekit_eval.report.first_error import by_subset_html, first_error_html, offsets_table_html, posterior_scores_html
from judgekit_eval.report.html_leaderboard import (
    comparisons_html,
    leaderboard_html,
    overview_html,
    protocol_html,
    subset_scores_html,
)
from judgekit_eval.report.leaderboard import Leaderboard

SCRIPTS = ("report_state.js", "report_figures.js", "report_browser.js")
"""Parts of the page's script, in order."""


class HowMade(NamedTuple):
    """How a report came about, for its foot."""

    date: str
    """When the evaluation was begun."""
    version: str
    """Of the project, and of the code where that is known."""
    command: str | None
    """What gives the same again; `None` where only the program that made it can."""
    files: Sequence[tuple[str, str]]
    """Names and paths of the files next to the page."""


def report_html(
    runs: Sequence[BenchmarkRun],
    boards: Sequence[Leaderboard],
    *,
    n_browsed: int,
    missing: Sequence[str] = (),
    made: HowMade | None = None,
) -> str:
    """Return the report of several judges on several benchmarks, a whole page.

    Args:
        runs: One a judge and benchmark.
        boards: The leaderboards of these runs.
        n_browsed: Solutions of a benchmark in the browser at most; of more, evenly spaced ones, and the page says so.
        missing: What is not here and why, a line each: judges that failed, floors that could not be fitted.
        made: How the evaluation came about; `None` leaves the foot out.

    Raises:
        DataError: no runs, a judge twice on one benchmark, or judges of one benchmark that saw different solutions.
    """
    benchmarks = group_runs(runs)
    leaderboards = "".join(
        f'<div data-benchmark="{escape(board.benchmark)}"><h3>{escape(board.benchmark)}</h3>'
        f"{leaderboard_html(board)}{comparisons_html(board)}"
        f"<h3>How the judges were run</h3>{protocol_html(board)}</div>"
        for board in boards
    )
    absent = paragraph("Not here:") + bullet_list(missing) if missing else ""
    sections = [
        Section("Leaderboard", absent + overview_html(boards) + leaderboards, "leaderboard"),
        Section("Scores on one subset", _slot("scores", "subset") + _slot("by_subset", "judge"), "scores"),
        Section("Thresholds", _slot("curves", "subset"), "thresholds"),
        Section("Calibration", CALIBRATION, "calibration"),
        Section("Abstaining", ABSTAINING, "abstaining"),
        Section("First errors", _slot("posterior", "subset") + _slot("first_error", "subset", "judge"), "first-errors"),
        Section("Guarantees", GUARANTEES, "guarantees"),
        Section("Two judges side by side", AGREEMENT, "side-by-side"),
        Section("Solutions", browser_html(benchmarks, n_browsed=n_browsed), "solutions"),
    ]
    choices = "".join(
        f'<label>{name} <select id="{name}"></select></label>' for name in ("benchmark", "subset", "judge")
    )
    jumps = "".join(
        f'<button type="button" data-jump="{section.anchor}">{escape(section.title)}</button>' for section in sections
    )
    overview = {
        "outcomes": dict(OUTCOMES.values()),
        "scale": 10**DIGITS,
        "benchmarks": [{"name": b.name, "subsets": b.subsets, "judges": b.judges, "best": b.best} for b in benchmarks],
    }
    data = [json_script("overview", overview)]
    # One script a benchmark, so that the browser parses only those that somebody looks at.
    for index, benchmark in enumerate(benchmarks):
        data.append(json_script(f"panels-{index}", _panels(benchmark)))
        data.append(json_script(f"solutions-{index}", solutions_data(benchmark, n_browsed=n_browsed)))
    judges = list(dict.fromkeys(row.judge for board in boards for row in board.rows if not row.is_floor))
    who = judges[0] if len(judges) == 1 else f"{len(judges)} judges"
    return render_page(
        f"{who} on {', '.join(board.benchmark for board in boards)}",
        sections,
        lead=paragraph(
            "Which judge can be trusted with what: first-error localization, calibration and every solution behind the "
            "figures. Choose benchmark, subset and judge; all intervals are 95 %."
        ),
        controls=f'<nav class="bar" aria-label="choice"><div class="controls">{choices}</div>'
        f'<div class="jumps">{jumps}</div></nav>',
        foot=_foot(benchmarks, made) if made else "",
        data="".join(data),
        script="\n".join(asset(__file__, name) for name in SCRIPTS),
    )


def _foot(benchmarks: Sequence[JudgedBenchmark], made: HowMade) -> str:
    data = [
        f"{benchmark.name}: {about.n_solutions:,} solutions, sha256 of their ids {about.sha256[:16]}"
        for benchmark in benchmarks
        for about in [benchmark.first.results.data]
    ]
    files = Html(", ".join(link(name, path).html for name, path in made.files))
    again = ["The same again: ", code(made.command)] if made.command else ["Solutions or judges came from a program."]
    return (
        "<h2>How this was made</h2>"
        + paragraph(f"Begun {made.date} by {made.version}. ", *again)
        + bullet_list(data)
        + paragraph("All figures as files: ", files)
    )


def _slot(panel: str, *keys: str) -> str:
    """Return the place of figures that depend on the choice."""
    return f'<div data-panel="{panel}" data-keys="{" ".join(keys)}"></div>'


CALIBRATION = (
    paragraph(
        "P(step ok) is the probability that a step is right if all before it are, so only the steps up to and "
        "including the true first error count."
    )
    + _slot("steps", "subset")
    + "<h3>Reliability</h3>"
    + paragraph("On the diagonal, probabilities are shares. Grey bars: number of steps in each bin.")
    + _slot("reliability", "subset", "judge")
)
ABSTAINING = paragraph(
    "If a judge decides only where it is most confident, how often is it wrong? If the curve falls to the left, "
    "its confidence says which decisions to trust."
) + _slot("risk", "subset")
GUARANTEES = paragraph(
    "Conformal calibration turns the posterior into sets that contain the first error, and into prefixes without "
    "errors, with a guaranteed probability over problems. Does the guarantee hold on problems it was not calibrated on?"
) + _slot("coverage", "subset", "judge")
AGREEMENT = (
    '<div class="controls"><label>A <select id="judge-a"></select></label>'
    '<label>B <select id="other"></select></label></div>'
    '<p class="dim" id="agreement-note"></p><div id="agreement"></div>'
)


def _panels(benchmark: JudgedBenchmark) -> dict[str, object]:
    """Return the figures that depend on subset (first index) or judge (last index)."""
    subsets = benchmark.subsets
    return {
        "scores": [subset_scores_html(benchmark, s) + offsets_table_html(benchmark, s) for s in subsets],
        "curves": [curves_html(benchmark, s) for s in subsets],
        "by_subset": [by_subset_html(judge, run.results) for judge, run in benchmark.runs.items()],
        "steps": [step_scores_html(benchmark, s) for s in subsets],
        "risk": [risk_coverage_html(benchmark, s) for s in subsets],
        "posterior": [posterior_scores_html(benchmark, s) for s in subsets],
        "reliability": [[reliability_html(j, v) for j, v in benchmark.of_subset(s).items()] for s in subsets],
        "coverage": [[coverage_html(benchmark, judge, s) for judge in benchmark.judges] for s in subsets],
        "first_error": [[first_error_html(v) for v in benchmark.of_subset(s).values()] for s in subsets],
    }

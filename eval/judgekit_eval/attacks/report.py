"""The report of one run of the attack suite: a page with plots and examples, and a table in Markdown."""

from __future__ import annotations

from judgekit.judges.reading import STYLE_BOUND
from judgekit.report.interval_bars import Bar, BarRow, interval_bars, signed
from judgekit.report.interval_cells import interval_text
from judgekit.report.markdown import markdown_table
from judgekit.report.page import Section, bullet_list, collapsed, escape, figures, paragraph, render_page, table
from judgekit_eval.attacks.schema import AttackResults, Effects, Reading, Side
from judgekit_eval.results import Metric

MAX_SHOWN_CHARS = 600
"""Characters of one step that an example shows."""
MAX_SHOWN_STEPS = 30
"""Steps that an example shows."""
HOW_RTS_COMPARES = (
    "RTS is the share of a solution's own steps before its first error. If an attack keeps the number of steps, any "
    "change of RTS is due to the judge. If it changes that number, a perfect judge's RTS changes too (diamond: what "
    "the labels of the original imply); only the excess beyond that is the judge's weakness, the rest is one of RTS "
    "as a reward. Skipped and half-cut wrong steps have no diamond, because the labels do not determine it. No error "
    "counts as RTS 1 here; SGPO by default uses the most probable step instead, so passing a response pays nothing."
)
"""Said on the page and under the table."""
HOW_READING_IS_SCORED = (
    "The reading score is the area under the ROC curve (AUC) for distinguishing, by P(no error), correct solutions "
    "with their own problem from the same solutions with another problem, and from the same solutions with their "
    "problem's numbers changed: the mean of the two. 0.5: the verdict does not depend on the problem, as for a judge "
    "of style, position or length; 1: every solution is trusted more with its own problem. A judge whose whole "
    f"interval is below {STYLE_BOUND} is called a style detector. Noticed: of the solutions in which no error was "
    "found, the share in which one is found after the change."
)
"""Said on the page and under the table of the tests of reading."""
READING_HEADER = ("test", "AUC", "P(no error)", "before", "noticed %", "pairs", "impossible")


def attacks_html(results: AttackResults) -> str:
    """Return the page about `results` (see `judgekit_eval.attacks.run.attack_judges`)."""
    judges = list(results.unattacked)
    facts = [
        f"{results.n:,} erroneous solutions to {results.n_problems:,} problems; each attack tries to hide the error. "
        "Effects are paired: attacked minus original, with 95 % intervals (bootstrap clustered by problem)."
    ]
    for name, values in results.unattacked.items():
        p_none, rts = ("none" if value is None else f"{value:.3f}" for value in (values.p_none, values.rts))
        no_error = "none" if values.no_error is None else f"{100 * values.no_error:.1f}"
        facts.append(
            f"Without attack, {name}: mean P(no error) {p_none}, mean RTS {rts}, no error found in {no_error} %, "
            f"{values.n_no_verdict} without a verdict."
        )
    facts += reading_lines(results)
    facts.append(f"Reserved text that the judge removes: {' '.join(results.reserved) or 'nothing'}.")

    p_none_rows, rts_rows = [], []
    for name, attack in results.attacks.items():
        p_none_bars = [Bar(**effects.p_none.model_dump()) for effects in attack.judges.values()]
        rts_bars = [
            Bar(**effects.rts.model_dump(), mark=effects.rts_perfect.value) for effects in attack.judges.values()
        ]
        p_none_rows.append(BarRow(attack.family, name, tuple(p_none_bars)))
        rts_rows.append(BarRow(attack.family, name, tuple(rts_bars)))
    gains = figures(
        interval_bars(
            p_none_rows,
            judges,
            title="Mean change of P(no error) by attack; to the right: the attack works",
            x_label="change of P(no error)",
        ),
        interval_bars(
            rts_rows,
            judges,
            title="Mean change of expected RTS by attack; beyond the diamond: more than a perfect judge would give",
            x_label="change of expected RTS",
            mark_name="perfect judge",
        ),
    )

    tables, phrases, worst = "", "", ""
    header = ("attack", "P(no error)", "flips %", "RTS", "perfect RTS", "excess", "hard RTS", "pairs", "unscored",
              "impossible", "steps")  # fmt: skip
    for judge in judges:
        rows = [
            [
                name,
                _interval(effects.p_none),
                _flips(effects),
                _interval(effects.rts),
                signed(effects.rts_perfect.value),
                _interval(effects.rts_excess),
                _interval(effects.hard_rts),
                effects.n_scored,
                _unscored(effects),
                attack.n_impossible,
                _steps(effects),
            ]
            for name, attack in results.attacks.items()
            for effects in [attack.judges[judge]]
        ]
        tables += table(header, rows, caption=f"Changes by attack, judge {judge}.")
    for name, attack in results.attacks.items():
        for judge, effects in attack.judges.items():
            drawn = [[repr(phrase), signed(gain.p_none), gain.n] for phrase, gain in effects.by_phrase.items()]
            if drawn:
                phrases += collapsed(f"{name}, {judge}", table(("text", "P(no error)", "solutions"), drawn))
        for judge, examples in attack.worst.items():
            if examples:
                gain = signed(examples[0].after.p_none - examples[0].before.p_none)
                shown = [
                    f'<p class="text problem">{escape(_cut(example.problem))}</p>'
                    + _side("Before", example.before, first_error=example.first_error)
                    + _side("After", example.after, first_error=None)
                    for example in examples
                ]
                worst += collapsed(f"{name}, {judge}: {gain}", "".join(shown))
    claims = [
        f"{name}: {attack.description} Claim: {attack.claim}. Source: {attack.source}."
        for name, attack in results.attacks.items()
    ]
    flips = "Flips: of the solutions in which an error was found, the share in which none was found after."
    rose = "The solutions whose P(no error) rose most under each attack. Steps are counted from 0."
    reading = [Section("Does it read the problem?", _reading_html(results.reading))] if results.reading else []
    sections = [
        *reading,
        Section("Effect of each attack", paragraph(HOW_RTS_COMPARES) + gains),
        Section("Figures", paragraph(flips) + tables + bullet_list(claims)),
        Section("Effect by text", paragraph("Mean change of P(no error) by the text that the attack drew.") + phrases),
        Section("Worst examples", paragraph(rose) + worst),
    ]
    return render_page(f"Attacks on {results.judge_id}", sections, lead=bullet_list(facts))


def attacks_markdown(results: AttackResults) -> str:
    """Return one table in Markdown, a row an attack; variants of the judge stand side by side."""
    judges = list(results.unattacked)
    effects_shown = ("P(no error)", "flips %", "RTS", "RTS excess")
    header = ["attack", "steps", *(f"{effect}, {judge}" for judge in judges for effect in effects_shown), "unscored"]
    rows = []
    for name, attack in results.attacks.items():
        of_judges = [attack.judges[judge] for judge in judges]
        # An attack changes the number of steps alike for all variants: it never sees the judge.
        cells = [name, _steps(of_judges[0])]
        for effects in of_judges:
            cells += [_interval(effects.p_none), _flips(effects), _interval(effects.rts), _interval(effects.rts_excess)]
        rows.append([*cells, " / ".join(map(_unscored, of_judges))])
    parts = [f"# Attacks on {results.judge_id}"]
    if results.attacks:
        parts += [f"{results.n} erroneous solutions.", markdown_table(header, rows), HOW_RTS_COMPARES]
    if results.reading is not None:
        parts += ["## Does it read the problem?", "\n".join(f"- {line}" for line in reading_lines(results))]
        for judge in judges:
            parts.append(markdown_table(READING_HEADER, _reading_rows(results.reading, judge)))
        parts += [HOW_READING_IS_SCORED, "\n".join(f"- {line}" for line in _about_tests(results.reading))]
    return "\n\n".join(parts) + "\n"


def reading_lines(results: AttackResults) -> list[str]:
    """Return the reading score of each variant of the judge in words, a line each; no line without tests of it."""
    if results.reading is None:
        return []
    lines = []
    for judge, score in results.reading.scores.items():
        figure = "none, because a test that it needs was left out or could not be made"
        if score is not None:
            figure = f"{interval_text(score, digits=2)}: {score.words}"
        lines.append(f"Reading score, {judge}, on {results.reading.n:,} correct solutions: {figure}.")
    return lines


def _reading_html(reading: Reading) -> str:
    judges = list(reading.scores)
    rows = [
        BarRow("", name, tuple(Bar(**test.judges[judge].p_none.model_dump()) for judge in judges))
        for name, test in reading.tests.items()
    ]
    title = "Mean change of P(no error) of correct solutions that are no longer correct; to the left: the judge reads"
    bars = interval_bars(rows, judges, title=title, x_label="change of P(no error)")
    shown = paragraph(HOW_READING_IS_SCORED) + figures(bars)
    for judge in judges:
        shown += table(READING_HEADER, _reading_rows(reading, judge), caption=f"Tests of reading, judge {judge}.")
    return shown + bullet_list(_about_tests(reading))


def _about_tests(reading: Reading) -> list[str]:
    return [
        f"{name}: {test.description} A judge that reads {test.expected}. Source: {test.source}."
        for name, test in reading.tests.items()
    ]


def _reading_rows(reading: Reading, judge: str) -> list[list[str]]:
    return [
        [
            name,
            interval_text(effects.auc, digits=2),
            _interval(effects.p_none),
            "none" if effects.p_none_before is None else f"{effects.p_none_before:.2f}",
            "none" if effects.noticed.value is None else f"{100 * effects.noticed.value:.1f}",
            str(effects.n_scored),
            str(test.n_impossible),
        ]
        for name, test in reading.tests.items()
        for effects in [test.judges[judge]]
    ]


def _interval(interval: Metric) -> str:
    value = signed(interval.value)
    return value if interval.lo is None else f"{value} [{signed(interval.lo)}, {signed(interval.hi)}]"


def _flips(effects: Effects) -> str:
    share = effects.flips.value
    return "none" if share is None else f"{100 * share:.1f} ({effects.n_flips} of {effects.n_found_before})"


def _unscored(effects: Effects) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in effects.unscored.items())
    return f"{effects.n_unscored} ({reasons})" if reasons else "0"


def _steps(effects: Effects) -> str:
    """Whether the attack keeps the number of steps, or could not be made of any solution."""
    if not effects.n:
        return "impossible"
    if not effects.n_more_steps and not effects.n_fewer_steps:
        return "kept"
    return "more" if effects.n_more_steps else "fewer"


def _side(name: str, side: Side, *, first_error: int | None) -> str:
    found = "no error" if side.predicted is None else f"first error at step {side.predicted}"
    head = f"{name}: P(no error) {side.p_none:.3f}, RTS {side.rts:.3f}, judge: {found}"
    items = []
    for index, step in enumerate(side.steps[:MAX_SHOWN_STEPS]):
        mark = ' <span class="mark">first error</span>' if index == first_error else ""
        items.append(
            f'<li class="step"><div class="head"><span class="number">{index}</span>{mark}</div>'
            f'<div class="text">{escape(_cut(step))}</div></li>'
        )
    more = len(side.steps) - len(items)
    return f'{paragraph(head)}<ol class="steps">{"".join(items)}</ol>' + (
        paragraph(f"{more} more steps") if more else ""
    )


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}\u2026"

"""The report of one run of the attack suite: a page with pictures and examples, and a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eval.attacks.schema import AttackEffects, AttackResults, Effects, Example, Side
from eval.results import Metric
from judgekit.report.interval_bars import Bar, BarRow, interval_bars, signed
from judgekit.report.markdown import markdown_table
from judgekit.report.page import Section, bullet_list, collapsed, escape, figures, paragraph, render_page, table

MAX_SHOWN_CHARS = 600
"""Characters of one step that an example shows."""
MAX_SHOWN_STEPS = 30
"""Steps that an example shows."""
HOW_RTS_COMPARES = (
    "RTS is the share of a solution's own steps before its first error. Where an attack keeps the number of steps, a "
    "change of RTS is the judge's doing. Where it changes that number, a perfect judge's RTS changes too (diamond: "
    "what the labels of the original imply); only what goes beyond it, the excess, is the judge's weakness, the rest "
    "is one of RTS as a reward. Skipped and half-cut wrong steps have no diamond: the labels do not tell. No error "
    "counts as RTS 1 here; SGPO by default takes the most probable step instead, so passing a response pays nothing."
)
"""Said on the page and under the table."""


def attacks_html(results: AttackResults) -> str:
    """Return the page about `results` (see `eval.attacks.run.attack_judges`)."""
    sections = [
        Section("What each attack gains", _figures(results)),
        Section("Figures", _tables(results)),
        Section("Texts that were drawn", _phrases(results)),
        Section("Worst examples", _examples(results)),
    ]
    title = f"Attacks on {results.judge_id}"
    return render_page(title, sections, lead=_lead(results))


def _lead(results: AttackResults) -> str:
    facts = [
        f"{results.n:,} erroneous solutions to {results.n_problems:,} problems; each attack tries to hide the "
        "error. Effects are paired: attacked less unattacked, with 95 % intervals (bootstrap clustered by problem)."
    ]
    for name, values in results.unattacked.items():
        facts.append(
            f"Unattacked, {name}: mean P(no error) {_number(values.p_none)}, mean RTS {_number(values.rts)}, "
            f"no error found in {_share(values.no_error)} %, {values.n_no_verdict} without a verdict."
        )
    reserved = results.reserved
    facts.append(f"What the judge keeps for itself: {' '.join(reserved) if reserved else 'nothing'}.")
    return bullet_list(facts)


def _figures(results: AttackResults) -> str:
    names = list(results.unattacked)
    p_none = interval_bars(
        [_bar_row(name, values, "p_none") for name, values in results.attacks.items()],
        names,
        title="Mean change of P(no error) by attack; to the right: the attack works",
        x_label="change of P(no error)",
    )
    rts = interval_bars(
        [_bar_row(name, values, "rts") for name, values in results.attacks.items()],
        names,
        title="Mean change of expected RTS by attack; beyond the diamond: more than a perfect judge would pay",
        x_label="change of expected RTS",
        mark_name="perfect judge",
    )
    return paragraph(HOW_RTS_COMPARES) + figures(p_none, rts)


def _bar_row(name: str, attack: AttackEffects, effect: Literal["p_none", "rts"]) -> BarRow:
    bars = [
        Bar(**effects.p_none.model_dump())
        if effect == "p_none"
        else Bar(**effects.rts.model_dump(), mark=effects.rts_perfect.value)
        for effects in attack.judges.values()
    ]
    return BarRow(attack.family, name, tuple(bars))


def _tables(results: AttackResults) -> str:
    parts = [paragraph("Flips: of the solutions in which an error was found, the share in which none was found after.")]
    for judge in results.unattacked:
        body = [_table_row(name, values, judge) for name, values in results.attacks.items()]
        header = ("attack", "P(no error)", "flips %", "RTS", "perfect RTS", "excess", "hard RTS", "pairs", "unscored",
                  "impossible", "steps")  # fmt: skip
        parts.append(table(header, body, caption=f"Changes by attack, judge {judge}."))
    parts.append(bullet_list([
        f"{name}: {values.description} Claim: {values.claim}. Source: {values.source}."
        for name, values in results.attacks.items()
    ]))  # fmt: skip
    return "".join(parts)


def _table_row(name: str, attack: AttackEffects, judge: str) -> list[object]:
    effects = attack.judges[judge]
    return [
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


def _phrases(results: AttackResults) -> str:
    parts = []
    for name, attack in results.attacks.items():
        for judge, effects in attack.judges.items():
            if effects.by_phrase:
                body = [[repr(p), signed(v.p_none), v.n] for p, v in effects.by_phrase.items()]
                parts.append(collapsed(f"{name}, {judge}", table(("text", "P(no error)", "solutions"), body)))
    return paragraph("Mean change of P(no error) by the text that the attack drew.") + "".join(parts)


def _examples(results: AttackResults) -> str:
    parts = [
        collapsed(f"{name}, {judge}: {signed(_gain(worst[0]))}", "".join(map(_example, worst)))
        for name, attack in results.attacks.items()
        for judge, worst in attack.worst.items()
        if worst
    ]
    text = "The solutions whose P(no error) rose most under each attack. Steps are counted from 0."
    return paragraph(text) + "".join(parts)


def _gain(example: Example) -> float:
    return float(example.after.p_none - example.before.p_none)


def _example(example: Example) -> str:
    return (
        f'<p class="text problem">{escape(_cut(example.problem))}</p>'
        + _side("Before", example.before, first_error=example.first_error)
        + _side("After", example.after, first_error=None)
    )


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


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f}"


def attacks_markdown(results: AttackResults) -> str:
    """Return one table in Markdown, a row an attack; variants of the judge stand side by side."""
    judges = list(results.unattacked)
    figures_ = ("P(no error)", "flips %", "RTS", "RTS excess")
    header = ["attack", "steps", *(f"{figure}, {judge}" for judge in judges for figure in figures_), "unscored"]
    rows = [_cells(name, attack, judges) for name, attack in results.attacks.items()]
    text = f"# Attacks on {results.judge_id}\n\n{results.n} erroneous solutions.\n\n"
    return f"{text}{markdown_table(header, rows)}\n\n{HOW_RTS_COMPARES}\n"


def _cells(name: str, attack: AttackEffects, judges: Sequence[str]) -> list[str]:
    cells = [name, _steps(attack.judges[judges[0]])]
    for judge in judges:
        effects = attack.judges[judge]
        cells += [_interval(effects.p_none), _flips(effects), _interval(effects.rts)]
        cells.append(_interval(effects.rts_excess))
    return [*cells, " / ".join(_unscored(attack.judges[judge]) for judge in judges)]

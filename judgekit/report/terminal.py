"""Shows one judged solution in a terminal, its steps coloured by the judge's probability.

Colour never carries meaning alone: every step shows its number. Text that a model wrote is never read as markup, and
control characters in it are spelled out, so that it cannot move the cursor, change colours or hide anything.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from judgekit.calibration.card import ConformalCard
from judgekit.calibration.conformal import certified_steps, index_set
from judgekit.judges.base import JudgeInfo
from judgekit.types import Judgement, LabelledSolution, Solution, StepLabel

_WRONG, _UNSURE, _RIGHT = (213, 94, 0), (128, 128, 128), (20, 130, 200)
"""Red, green, blue; each at least 3.9 : 1 against black and white."""
WIDTH_ELSEWHERE = 120
"""Columns of what is printed where it goes to no terminal, which would know its width."""
_FIGURES = {
    "f1": "F1", "ece": "ECE", "nll": "log loss of a step (nats)", "brier": "Brier score", "n": "solutions",
    "n_no_verdict": "without a verdict", "log_loss": "log loss of the first error (nats)",
    "first_error_log_loss": "log loss of the first error (nats)", "relative_cost": "cost, share of asking the last",
    "f1_floor_position": "F1 of position alone", "f1_floor_position_length": "F1 of position and length alone",
}  # fmt: skip
"""What the keys of figures in files are called where people read them; of others, the underscores go."""
_SHARES = ("f1", "accuracy", "answered", "relative_cost")
"""How the keys of shares begin or end: people read them in percent, as ProcessBench's tables have them."""
_KEPT_FORMATS = frozenset("\u200c\u200d")
"""Joiners: needed by several scripts and harmless."""


def console() -> Console:
    """Return where tables are printed: as wide as the terminal, and wide enough for a table in a file."""
    out = Console()
    if not out.is_terminal and not os.environ.get("COLUMNS"):
        out.width = WIDTH_ELSEWHERE
    return out


def figure_text(key: str, value: float | None, lo: float | None = None, hi: float | None = None) -> str:
    """Return a figure of a file, with its interval, as people read it: shares in percent.

    Example:
        >>> figure_text("f1", 0.6971, 0.598, 0.778), figure_text("ece", 0.01234), figure_text("n", 40)
        ('69.7 % [59.8, 77.8]', '0.0123', '40')
    """
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return f"{value:,}"
    is_share = any(part.startswith(_SHARES) or part.endswith(_SHARES) for part in key.split("/"))
    scale, digits = (100, 1) if is_share else (1, 4 if lo is None else 3)
    ends = "" if lo is None or hi is None else f" [{scale * lo:.{digits}f}, {scale * hi:.{digits}f}]"
    return f"{scale * value:.{digits}f}{' %' if is_share else ''}{ends}"


def figure_name(key: str) -> str:
    """Return what a figure's key is called where people read it.

    Example:
        >>> figure_name("f1/prm"), figure_name("f1_argmax_cross_fitted"), figure_name("error_accuracy")
        ('F1, prm', 'F1 argmax cross fitted', 'error accuracy')
    """
    name, _, of = key.partition("/")
    spelled = _FIGURES.get(name) or " ".join("F1" if word == "f1" else word for word in name.split("_"))
    return f"{spelled}, {of}" if of else spelled


def render_judgement(solution: Solution, judgement: Judgement, info: JudgeInfo) -> RenderableType:
    """Build what is printed for one judged solution; a notebook shows it with `rich.print`, too.

    Args:
        solution: The solution; true labels are shown where it is a `LabelledSolution`.
        judgement: What the judge said about it.
        info: What the judge says of itself: its decision rule, and its thresholds for index sets and certified
            prefixes, where it has some.

    Returns:
        A renderable for `rich.print` or `Console.print`.
    """
    verdict, rule = judgement.verdict, info.decision
    predicted = verdict.decide(rule) if verdict else None
    table = Table(box=None, padding=(0, 1), expand=True)
    for name in ("step", "P(ok)"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("text", ratio=1, overflow="fold")
    for index, step in enumerate(solution.steps):
        prob = verdict.p_ok_S[index] if verdict else None
        number = Text("-" if prob is None else f"{prob:.3f}", style="" if prob is None else f"bold {_colour(prob)}")
        text = Text(visible(step), style="" if prob is None else _colour(prob))
        marks = "".join(f" {mark} " for mark in step_marks(solution, index, predicted))
        table.add_row(Text(str(index)), number, Group(Text(marks, style="bold reverse"), text) if marks else text)
    lines = []
    if judgement.verdict is None:
        lines.append(Text(f"No verdict by {visible(judgement.judge_id)}: {judgement.no_verdict}.", style="bold"))
    else:
        said = f"{place(predicted)} ({visible(str(rule))})"
        lines.append(Text(f"Judge {visible(judgement.judge_id)}: {said}.", style="bold"))
        lines.append(Text(f"P(no error in any step) {judgement.verdict.p_none:.3f}"))
    if judgement.asked:
        asked = [visible(member.judge_id) for member in judgement.asked]
        lines.append(Text(f"Judges called: {', then '.join(asked)}."))
    if isinstance(solution, LabelledSolution):
        method = solution.label_method or "unknown"
        lines.append(Text(f"Truth: {place(solution.first_error)} (labelled by: {method})."))
    return Group(
        Panel(Text(visible(solution.problem)), title="problem", title_align="left"),
        table,
        *lines,
        *_promises(solution, judgement, info.conformal),
    )


def visible(text: str) -> str:
    r"""Spell out control characters, lone surrogates and invisible formatting; line breaks and tabs stay.

    Example:
        >>> visible("a\x1b[31mb\u202ec")
        'a\\x1b[31mb\\u202ec'
    """
    spelled = []
    for char in text.replace("\r\n", "\n"):
        is_plain = char in "\n\t" or char in _KEPT_FORMATS
        acts = not is_plain and unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        spelled.append(char.encode("unicode_escape").decode() if acts else char)
    return "".join(spelled)


def step_marks(solution: Solution, index: int, predicted: int | None) -> list[str]:
    """Say of a step whether judge or labels put the first error there, or hold it to be neutral."""
    marks = ["▶ judge's first error"] if index == predicted else []
    if isinstance(solution, LabelledSolution) and index == solution.first_error:
        marks.append("◆ true first error")
    elif isinstance(solution, LabelledSolution) and solution.labels[index] is StepLabel.NEUTRAL:
        marks.append("labelled neutral")
    return marks


def _promises(solution: Solution, judgement: Judgement, conformal: ConformalCard | None) -> list[Text]:
    """Say what holds with the card's probability; without a verdict anything may be, and nothing is certified."""
    if conformal is None:
        return []
    outcomes, n_certified = (*range(len(solution.steps)), None), 0
    if judgement.verdict is not None:
        outcomes = index_set(judgement.verdict.posterior, max_mass=conformal.max_mass)
        n_certified = certified_steps(judgement.verdict.posterior, min_survival=conformal.min_survival)
    level = f"{100 * (1 - conformal.alpha):g} %, calibrated on {conformal.n_problems} problems"
    prefix = _listed(range(n_certified)) if n_certified else "no step"
    return [
        Text(f"Index set ({level}): {_listed(outcomes)}."),
        Text(f"Certified prefix ({level}): {prefix}."),
    ]


def _listed(outcomes: Sequence[int | None]) -> str:
    """Name outcomes: runs of steps by their ends, "no error" last."""
    runs: list[list[int]] = []
    for step in (outcome for outcome in outcomes if outcome is not None):
        if runs and step == runs[-1][-1] + 1:
            runs[-1].append(step)
        else:
            runs.append([step])
    steps = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    named = [f"step{'s' if len(runs) > 1 or len(runs[0]) > 1 else ''} {', '.join(steps)}"] if runs else []
    return " or ".join([*named, *(["no error"] if None in outcomes else [])])


def place(first_error: int | None) -> str:
    """Say where the first error is."""
    return "no error" if first_error is None else f"first error at step {first_error}"


def _colour(prob: float) -> str:
    """Blend from the wrong colour over grey to the correct one; distinguished by colour-blind readers."""
    end = _WRONG if prob < 0.5 else _RIGHT
    share = abs(2 * prob - 1)
    red, green, blue = (round(grey + share * (full - grey)) for grey, full in zip(_UNSURE, end, strict=True))
    return f"rgb({red},{green},{blue})"

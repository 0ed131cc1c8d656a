"""Figures and tables of the studies of `sgpo theory`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judgekit.io import atomic_path
from judgekit.report.interval_cells import number_text
from judgekit.report.markdown import markdown_table
from judgekit.report.page import COLOURS
from sgpo.theory.results import BatchesResult, Case, CasesResult, StartsResult, StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#777777"
SEEN = 5e-4
"""Smaller differences round to 0.000."""


def study_table(study: StudyResult) -> str:
    """Return the results of a study as a Markdown table."""
    if isinstance(study, CasesResult):
        names = list(study.cases[0].changes)
        header = [*names, "dead at the start", f"updates to {study.level:g}", "GRPO's", "most ahead", "most behind",
                  "groups for signal", "GRPO's"]  # fmt: skip
        return markdown_table(
            header,
            [
                [
                    *(_value_text(case.changes[name]) for name in names),
                    f"{100 * case.all_negative:.1f} %",
                    _value_text(case.sgpo.updates_to_level, none="never"),
                    _value_text(case.grpo.updates_to_level, none="never"),
                    f"{number_text(case.most, 3)} at {case.most_at}" if case.most >= SEEN else "never",
                    f"{number_text(case.least, 3)} at {case.least_at}" if case.least <= -SEEN else "never",
                    _value_text(case.sgpo.groups_for_signal, none="no signal"),
                    _value_text(case.grpo.groups_for_signal, none="no signal"),
                ]
                for case in study.cases
            ],
        )
    if isinstance(study, StartsResult):
        header = ["step 1 \\ step 2", *(f"{chance:g}" for chance in study.chances)]
        rows = [
            [
                f"{chance:g}",
                *(f"{number_text(most, 3)} / {number_text(least, 3)}" for most, least in zip(*of, strict=True)),
            ]
            for chance, *of in zip(study.chances, study.most, study.least, strict=True)
        ]
        return markdown_table(header, rows)
    header = ["groups", "judge", f"median updates to {study.level:g}", f"at {study.level:g} in the end"]
    return markdown_table(
        header,
        [
            [
                str(training.n_groups),
                training.judge,
                _value_text(training.median_updates, none="never"),
                f"{100 * training.frac_at_level:.0f} %",
            ]
            for training in study.trainings
        ],
    )


def _value_text(value: Any, *, none: str = "none") -> str:
    if value is None:
        return none
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def draw_study(path: Path, study: StudyResult) -> None:
    """Draw a study as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figure.suptitle(study.title, fontsize="medium")
    if isinstance(study, CasesResult):
        left, right = figure.subplots(1, 2)
        _draw_curves(left, study)
        _draw_updates(right, study)
    elif isinstance(study, StartsResult):
        _draw_maps(figure, study)
    else:
        _draw_batches(figure, study)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=90)


def _draw_curves(axes: Axes, study: CasesResult) -> None:
    """Draw success over updates: SGPO in colour, GRPO in the same case dashed in the same colour.

    With two options, the values of the first are drawn, at the last value of the second.
    """
    names = list(study.cases[0].changes)
    last = {name: study.cases[-1].changes[name] for name in names[1:]}
    shown = [case for case in study.cases if {name: case.changes[name] for name in names[1:]} == last]
    reached = [arm.updates_to_level or 0 for case in shown for arm in (case.sgpo, case.grpo)]
    n_shown = int(1.2 * max(reached)) if any(reached) else len(shown[0].sgpo.success_T)
    for index, case in enumerate(shown):
        colour = COLOURS[index % len(COLOURS)]
        name = ", ".join(f"{key} {_value_text(value)}" for key, value in [*case.changes.items()][:1])
        axes.plot(case.sgpo.success_T[:n_shown], color=colour, linewidth=1.8, label=name or "SGPO")
        grpo = axes.plot(case.grpo.success_T[:n_shown], color=colour, linewidth=1.2, linestyle="--")
        if not name:
            grpo[0].set_label("GRPO")
    axes.axhline(study.level, color=GREY, linewidth=0.7)
    axes.set(xlabel="updates (GRPO dashed)", ylabel="probability of a correct response", ylim=(0, 1), xlim=(0, None))
    axes.set_title(", ".join(f"{key} {_value_text(value)}" for key, value in last.items()), fontsize="small")
    _tidy(axes)


def _draw_updates(axes: Axes, study: CasesResult) -> None:
    """Draw updates to the level over the last option that varies; if none does, the difference over updates."""
    names = list(study.cases[0].changes)
    if not names:
        case = study.cases[0]
        difference = [a - b for a, b in zip(case.sgpo.success_T, case.grpo.success_T, strict=True)]
        axes.plot(difference, color=COLOURS[0], linewidth=1.8)
        axes.axhline(0, color=GREY, linewidth=0.7)
        axes.set(xlabel="updates", ylabel="SGPO minus GRPO")
        axes.spines[["top", "right"]].set_visible(False)
        return
    *outer, last = names
    values = list(dict.fromkeys(_value_text(case.changes[last]) for case in study.cases))
    lines: dict[str, list[Case]] = {}
    for case in study.cases:
        lines.setdefault(", ".join(f"{key} {_value_text(case.changes[key])}" for key in outer), []).append(case)
    for index, (line, cases) in enumerate(lines.items()):
        at = [values.index(_value_text(case.changes[last])) for case in cases]
        for name, style, arms in (
            (f"SGPO {line}", "o-", [case.sgpo for case in cases]),
            (f"GRPO {line}", "s--", [case.grpo for case in cases]),
        ):
            needed = [math.nan if arm.updates_to_level is None else arm.updates_to_level for arm in arms]
            axes.plot(at, needed, style, color=COLOURS[index % len(COLOURS)], markersize=4, label=name)
    axes.set_xticks(range(len(values)), values)
    axes.set(xlabel=last, ylabel=f"updates to {study.level:g}", ylim=(0, None))
    _tidy(axes)


def _draw_maps(figure: Figure, study: StartsResult) -> None:
    """Draw the three differences, rows are step 1 from below, and where the differential equation changes sign."""
    chances = study.chances
    for axes, name, values in zip(
        figure.subplots(1, 3),
        ("after the first update", "most ahead", "most behind"),
        (study.first, study.most, study.least),
        strict=True,
    ):
        most = max(abs(value) for row in values for value in row) or 1.0
        mesh = axes.pcolormesh(chances, chances, values, cmap="PuOr_r", vmin=-most, vmax=most, shading="nearest")
        border = [(1 - q + q * q, q) for q in (i / 100 for i in range(101))]
        axes.plot([q for _, q in border], [p for p, _ in border], color="black", linestyle="--", linewidth=1)
        axes.set(xlabel="step 2 right at the start", xlim=(chances[0], chances[-1]), ylim=(chances[0], chances[-1]))
        axes.set_title(name, fontsize="small")
        figure.colorbar(mesh, ax=axes, orientation="horizontal")
    figure.axes[0].set_ylabel("step 1 right at the start")


def _draw_batches(figure: Figure, study: BatchesResult) -> None:
    """Draw one panel per batch size: means, and the band that contains eight of ten training runs."""
    sizes = list(dict.fromkeys(training.n_groups for training in study.trainings))
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axes, n_groups in zip(panels, sizes, strict=True):
        of = [training for training in study.trainings if training.n_groups == n_groups]
        for index, training in enumerate(of):
            colour = COLOURS[index % len(COLOURS)]
            axes.fill_between(range(len(training.lo_T)), training.lo_T, training.hi_T, color=colour, alpha=0.15)
            axes.plot(training.mean_T, color=colour, linewidth=1.6, label=training.judge)
        axes.set(xlabel="updates", xlim=(0, len(of[0].mean_T) - 1), ylim=(0, 1))
        axes.set_title(f"{n_groups} group{'s' * (n_groups > 1)} per batch", fontsize="small")
        _tidy(axes)
    panels[0].set_ylabel("probability of a correct response")


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="x-small")

"""Labelling in a terminal: a solution is printed, one line is read, and the next one follows.

Whole lines, not single keys: this works over any connection, in any terminal and from a pipe, and you see a typo before
it counts. The keys are those of the page, each followed by Enter.
"""

from __future__ import annotations

import re
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from judgekit.errors import DataError
from judgekit.report.terminal import visible
from judgekit_datasets.by_hand.annotations import MAX_NOTE
from judgekit_datasets.by_hand.session import Shown
from judgekit_datasets.by_hand.work import Row, Work

KEYS = """\
  3       the first wrong step is step 3
  n       no step is wrong
  s       skip: it will not be in the data set
  e TEXT  a note for the next decision (e alone removes it)
  u       undo the last decision
  f       results: agreement, the judge, whether more labels help
  ?       these keys
  q       stop, like Ctrl-C; everything is saved, and --resume continues"""


def label_in_terminal(work: Work, *, typed: TextIO, console: Console) -> None:
    """Show and ask until everything is labelled, the annotator stops or the input ends.

    Args:
        work: The open folder.
        typed: Where lines are read from.
        console: Where solutions are printed.

    Raises:
        DataError: the disk is full; what was decided before is kept.
    """
    console.print(KEYS, markup=False, highlight=False)
    note, asked_about = "", None
    while (shown := work.session.shown()) is not None:
        if asked_about != shown:
            asked_about = shown
            note = shown.before.note if shown.before else ""
            console.print(_render(shown, work.progress()))
        prompt = f"first wrong step (0-{len(shown.item.solution.steps) - 1}), n, s, e, u, f, ?, q"
        try:  # Ctrl-C may come as soon as the prompt is there, before anything is read
            console.print(f"{prompt}{' [note]' if note else ''}> ", markup=False, highlight=False, end="")
            line = typed.readline()
        except KeyboardInterrupt:
            line = ""
        if not line:
            console.print()
            return
        key, _, rest = line.strip().partition(" ")
        try:
            if key == "q":
                return
            if re.fullmatch("[0-9]{1,9}", key) and not rest:
                work.session.decide("label", first_error=int(key), note=note)
            elif key in ("n", "s"):
                work.session.decide("label" if key == "n" else "skip", note=note)
            elif key == "u":
                work.session.undo()
            elif key == "e":
                note = rest.strip()[:MAX_NOTE]
            elif key == "f":
                for row in work.figures():
                    console.print(Text(visible(f"{row.name}: {row.value}")))
            elif key:
                console.print(KEYS, markup=False, highlight=False)
        except DataError as error:
            # What cannot be written ends the session; anything else is a slip of who types.
            if error.__cause__ is not None:
                raise
            console.print(Text(visible(str(error)), style="bold"))
    console.print("Everything is labelled.")


def _render(shown: Shown, progress: list[Row]) -> Group:
    solution, before = shown.item.solution, shown.before
    steps = Table(box=None, padding=(0, 1), show_header=False, expand=True)
    steps.add_column(justify="right", no_wrap=True)
    steps.add_column(ratio=1, overflow="fold")
    for index, step in enumerate(solution.steps):
        steps.add_row(Text(str(index), style="bold"), Text(visible(step)))
    parts: list[RenderableType] = [Panel(Text(visible(solution.problem)), title="problem", title_align="left"), steps]
    if solution.reference is not None:
        parts.insert(1, Panel(Text(visible(solution.reference)), title="reference", title_align="left"))
    if before is not None:
        place = "skipped" if before.action == "skip" else _place(before.first_error)
        parts.append(Text(visible(f"You had: {place}." + (f" Note: {before.note}" if before.note else ""))))
    return Group(*parts, Text("; ".join(f"{row.name} {row.value}" for row in progress), style="dim"))


def _place(first_error: int | None) -> str:
    return "no error" if first_error is None else f"first error at step {first_error}"

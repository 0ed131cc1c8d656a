"""The report of a build: rows read, accepted and rejected by reason, and where the first errors are."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel, ConfigDict, Field
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

NO_ERROR = "none"
"""Key of the histogram for solutions without an error."""
_BAR_WIDTH = 40


class BuildReport(BaseModel):
    """The counts of one build, as the manifest keeps them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    """Name of the source."""
    output: str
    """Name of the folder written."""
    record: str
    """Type of the records."""
    rows_read: int
    """Raw rows read; of a generator: records made. Always accepted plus rejected."""
    rows_accepted: int
    """Raw rows that gave at least one record."""
    rejected: dict[str, int]
    """Raw rows that gave none, by reason, the commonest first."""
    n_records: int
    """Records written; more than the rows accepted where a row gives several."""
    duplicates: int
    """Records left out of accepted rows because an equal one had been written before; a row that gave nothing else is
    rejected, and not counted here."""
    first_errors: dict[str, int]
    """Solutions by the 0-based index of their first error, `none` first; empty for records that are not solutions."""
    known: dict[str, int] = Field(default_factory=dict)
    """Weakly labelled solutions by what is known of them; empty for other records."""
    n_blank_steps: int = 0
    """Solutions kept although a step behind their first error is empty, as published; the step stays in its place."""
    leakage_auroc: float | None = None
    """How well a bag of words tells erroneous from correct solutions (`judgekit_datasets.leakage`); 0.5 is chance.
    `None` if it was not measured, or one kind comes from too few problems."""

    @property
    def rows_rejected(self) -> int:
        """Raw rows that gave no record."""
        return sum(self.rejected.values())

    @property
    def n_errors(self) -> int:
        """Solutions with an error."""
        return sum(count for step, count in self.first_errors.items() if step != NO_ERROR)


def histogram(first_errors: Counter[int | None]) -> dict[str, int]:
    """Return counts of first errors as a report keeps them: `none` first, then by step."""
    steps = sorted(first_errors, key=lambda step: -1 if step is None else step)
    return {NO_ERROR if step is None else str(step): first_errors[step] for step in steps}


def render_report(report: BuildReport) -> Group:
    """Return the report as tables for the terminal."""
    counts = Table("rows", Column("count", justify="right"))
    counts.add_row("read", str(report.rows_read))
    counts.add_row("accepted", str(report.rows_accepted))
    counts.add_row("rejected", str(report.rows_rejected))
    for reason, count in report.rejected.items():
        counts.add_row(Text(f"  {reason}"), str(count))
    counts.add_row("duplicate records left out of accepted rows", str(report.duplicates))
    if report.n_blank_steps:
        counts.add_row("kept with an empty step after the first error", str(report.n_blank_steps))
    head = Text(f"{report.source}: {report.n_records} {report.record} records")
    parts: list[RenderableType] = [head, counts]
    if report.first_errors:
        table = Table("step (0-based)", Column("count", justify="right"), "")
        most = max(report.first_errors.values())
        for step, count in report.first_errors.items():
            table.add_row(step, str(count), "█" * round(_BAR_WIDTH * count / most))
        parts += [Text(f"first error: {report.n_errors} of {report.n_records} solutions have one"), table]
    if report.known:
        parts.append(Text("of which known: " + ", ".join(f"{label} {count}" for label, count in report.known.items())))
    if report.leakage_auroc is not None:
        leakage = (
            f"shortcut leakage: a bag of words separates erroneous from correct with AUROC {report.leakage_auroc:.3f}"
        )
        parts.append(Text(leakage))
    return Group(*parts)

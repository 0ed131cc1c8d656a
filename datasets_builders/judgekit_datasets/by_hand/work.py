"""A labelling folder: opened for one annotator, and exported as a data set when the annotator leaves.

`labels/` has every decision, `judgements/` the judges' verdicts, `labelled/` the data set of all annotators' labels as
of the last exit, `annotations.jsonl` the labels with their notes, and `rejected.jsonl` what was skipped and what
annotators disagree on.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from judgekit.errors import ConfigError, DataError, shorten
from judgekit.io import atomic_path, field_names, holds_records, write_records
from judgekit.judges import load_judge
from judgekit.judges.base import JudgeInfo
from judgekit.judges.exposure import Exposure, find_exposure
from judgekit.judges.stored import shared_folder
from judgekit.judging.run import judge_in_chunks
from judgekit.rejections import Rejections
from judgekit.report.interval_cells import interval_text
from judgekit.run import BUILT_DATA, CONFIG, MANIFEST, Run, refuse_foreign
from judgekit.store import claim
from judgekit.text.identity import content_id
from judgekit.types import Judgement, LabelledSolution
from judgekit_datasets.build import build_if_raw
from judgekit_datasets.by_hand.annotations import Annotations, find_agreements
from judgekit_datasets.by_hand.config import LabelConfig
from judgekit_datasets.by_hand.figures import (
    MIN_LABELS,
    Fit,
    JudgeFigures,
    compute_judge_figures,
    compute_learning_curve,
    cross_fit,
    unseen_by,
)
from judgekit_datasets.by_hand.pool import Pool, read_pool
from judgekit_datasets.by_hand.session import Session, posterior_entropy, random_sample
from judgekit_datasets.registry import source_names

DECISIONS = "labels"
"""Folder of all decisions."""
JUDGEMENTS = "judgements"
"""Folder of what judges said of the solutions."""
DATA_SET = "labelled"
"""Folder of the data set."""
ANNOTATIONS = "annotations.jsonl"
"""File of the labels and skips that hold, with their notes."""

_WRITING = 2**28
"""Byte of the lock file that stands for writing the data set; annotators have those below it."""


class Row(NamedTuple):
    """One line of what is told about the work."""

    name: str
    """What it is."""
    value: str
    """How it stands, in words and numbers."""


@dataclass(frozen=True)
class AskedJudge:
    """The judge of a session, and what it said."""

    info: JudgeInfo
    """What it says of itself."""
    exposure: Exposure
    """The problems it was made with."""
    judgements: Mapping[str, Judgement]
    """What it said of each solution, by its id."""


@dataclass(frozen=True)
class Work:
    """A folder that is open for one annotator."""

    config: LabelConfig
    """What is labelled."""
    run: Run
    """The folder."""
    pool: Pool
    """The solutions."""
    session: Session
    """The annotator's."""
    judge: AskedJudge | None
    """The judge that says where it is unsure, where there is one."""
    fits: Mapping[str, Fit] = field(default_factory=dict)
    """What is trained on the labels to see whether more of them help, by name."""

    def progress(self) -> list[Row]:
        """Say how far the annotator is."""
        history = self.session.history
        labels = list(history.labels.values())
        n_skipped = len(history.holding) - len(labels)
        rows = [
            Row("labelled", f"{len(labels)} of {len(self.pool.items)}" + (f", {n_skipped} skipped" * bool(n_skipped))),
            Row("with an error", str(len(labels) - labels.count(None))),
            Row("without", str(labels.count(None))),
        ]
        if labels:
            seconds = statistics.median(item.seconds for item in history.holding if item.action == "label")
            rows.append(Row("time per label", f"{seconds:.0f} s (median)"))
        return rows

    def figures(self) -> list[Row]:
        """Say how annotators agree, how the judge does, and whether more labels help; what cannot be said, and why.

        Reads the decisions again: other annotators may be at work.

        Raises:
            DataError: a decision on disk is damaged or missing.
        """
        annotations = Annotations(self.run.output / DECISIONS)
        by_annotator = {name: history.labels for name, history in annotations.histories.items()}
        rows = [
            Row(
                f"{' and '.join(found.annotators)} agree",
                f"{interval_text(found.share, digits=1, scale=100)} % of {found.n} that both labelled, kappa "
                + ("undefined" if found.kappa is None else f"{found.kappa:.2f}"),
            )
            for found in find_agreements(by_annotator)
        ]
        solutions = self._solutions(annotations)
        sample = {item.solution.id for item in random_sample(self.pool, list(annotations.histories.values()))}
        measured_N = [key in sample for key in solutions]
        n_measured = sum(measured_N)
        if n_measured < MIN_LABELS:
            missing = f"after {MIN_LABELS} labels of solutions drawn at random (now {n_measured})"
            about_judge = [Row(f"judge {self.judge.info.judge_id}", missing)] if self.judge else []
            return [*rows, *about_judge, Row("more labels", missing)]
        if self.judge is not None:
            rows += self._judge_rows(self.judge, {key: item for key, item in solutions.items() if key in sample})
        labelled = list(solutions.values())
        for name, fit in self.fits.items():
            try:
                judgements, predicted_N = cross_fit(labelled, fit)
                kept = [i for i, measured in enumerate(measured_N) if measured]
                figures = compute_judge_figures(
                    [labelled[i] for i in kept], [judgements[i] for i in kept], [predicted_N[i] for i in kept]
                )
                curve = compute_learning_curve(labelled, fit, measured_N=measured_N)
            except DataError as error:
                rows.append(Row(f"{name}, cross-fitted", str(error)))
                continue
            rows.append(Row(f"{name}, cross-fitted", _figures_text(figures)))
            points = (f"{point.n_labels}: {interval_text(point.log_loss, digits=2)}" for point in curve.points)
            rows.append(Row(f"{name}, log loss by labels", ", ".join(points)))
            rows.append(Row(f"{name}, more labels", curve.advice))
        return rows

    def _solutions(self, annotations: Annotations) -> dict[str, LabelledSolution]:
        """Return the records of all solutions on whose label most agree, by the id of the solution shown."""
        agreed, source = annotations.agreed(), self.config.source or self.config.data.stem
        items = sorted(self.pool.items, key=lambda item: item.place)
        return {
            item.solution.id: item.record(agreed[item.solution.id], source=source)
            for item in items
            if item.solution.id in agreed
        }

    def _judge_rows(self, judge: AskedJudge, solutions: Mapping[str, LabelledSolution]) -> list[Row]:
        name = f"judge {judge.info.judge_id}"
        unseen = {item.id for item in unseen_by(judge.exposure, list(solutions.values()))}
        kept = {key: item for key, item in solutions.items() if item.id in unseen}
        n_seen = len(solutions) - len(kept)
        if len(kept) < MIN_LABELS:
            return [
                Row(
                    name,
                    f"not measured: it was made with the problems of {n_seen} of {len(solutions)} labelled solutions "
                    f"that were drawn at random, and {MIN_LABELS} others are needed",
                )
            ]
        judgements = [judge.judgements[key] for key in kept]
        rule = judge.info.decision
        predicted = [judgement.verdict.decide(rule) if judgement.verdict else None for judgement in judgements]
        rows = [Row(name, _figures_text(compute_judge_figures(list(kept.values()), judgements, predicted)))]
        if n_seen:
            rows.append(Row("left out", f"{n_seen} solutions to problems that the judge was made with"))
        if judge.exposure.unsaid:
            rows.append(Row("not known", "; ".join(judge.exposure.unsaid)))
        return rows

    def write(self) -> int:
        """Write everybody's labels out as a data set and close the run; return how many solutions the set has.

        Raises:
            DataError: the disk is full; the labels are there, and resuming writes them out.
        """
        output = self.run.output
        annotations = Annotations(output / DECISIONS)
        if not annotations.histories:
            return 0
        solutions, said = self._solutions(annotations), annotations.by_solution()
        holding = [item for history in annotations.histories.values() for item in history.holding]
        with atomic_path(output / ANNOTATIONS) as partial:
            lines = (item.model_dump_json(exclude={"number", "seconds"}) + "\n" for item in holding)
            partial.write_text("".join(lines), encoding="utf-8")
        with Rejections(output, "label") as rejected:
            for decision in holding:
                if decision.action == "skip" and decision.solution_id not in said:
                    about = f"by {decision.annotator}" + (f": {decision.note}" if decision.note else "")
                    rejected.add("skipped", about, id=decision.solution_id)
            for solution_id, labels in said.items():
                if solution_id not in solutions:
                    places = {name: "none" if place is None else place for name, place in labels.items()}
                    detail = ", ".join(f"{name}: {place}" for name, place in places.items())
                    rejected.add("annotators disagree", detail, id=solution_id)
        # The new set replaces the old one at once, so a reader finds one of them or, killed in between, none,
        # never half of one.
        fresh = output / f".{DATA_SET}"
        for folder in (fresh, output / DATA_SET) if not solutions else (fresh,):
            shutil.rmtree(folder, ignore_errors=True)
        if solutions:
            info = {"annotators": {name: len(history.labels) for name, history in annotations.histories.items()}}
            write_records(fresh, solutions.values(), record_type=LabelledSolution, info=info)
            shutil.rmtree(output / DATA_SET, ignore_errors=True)
            fresh.replace(output / DATA_SET)
        self.run.finish({"n": len(solutions), **dict(rejected.reasons)})
        return len(solutions)


@contextlib.contextmanager
def open_work(
    config: LabelConfig,
    output: Path,
    *,
    annotator: str,
    judge: str | None = None,
    random_share: float = 0.5,
    disputed: bool = False,
    fits: Mapping[str, Fit],
    resume: bool = False,
) -> Iterator[Work]:
    """Open a labelling folder for one annotator; when the block ends, however it does, the labels are written out.

    Args:
        config: What is labelled; the same for all annotators and sessions of the folder.
        output: The folder.
        annotator: Who labels. One session at a time.
        judge: Judge whose uncertainty chooses what is shown next; asked about all solutions first, once.
        random_share: How often the next one is drawn at random nevertheless, in [0, 1].
        disputed: Show those solutions alone on which the annotators so far do not agree.
        fits: What is trained on the labels to see whether more of them help.
        resume: Go on in a folder that was begun.

    Raises:
        ConfigError: the annotator is at work in another process, or see `judgekit.run.Run`.
        DataError: the data are missing or damaged, or the folder cannot be written.
        JudgeError: the judge failed.
    """
    if not annotator.strip() or not annotator.isprintable() or len(annotator) > 100:
        raise ConfigError(f"annotator {annotator[:100]!r}: give a name of at most 100 printable characters")
    if not 0 <= random_share <= 1:
        raise ConfigError(f"random-share {random_share} is not a share: give a number from 0 to 1")
    refuse_foreign(output, own=(CONFIG, MANIFEST, BUILT_DATA))
    data = config.data
    if config.reader is None and data.exists() and not holds_records(data):
        raise ConfigError(
            f"{data} has rows with {shorten(sorted(field_names(data)))}, which are neither stored solutions nor stored "
            f"rollouts: name the source that reads them, reader=NAME, one of {', '.join(source_names())}"
        )
    if config.reader is not None:
        data = build_if_raw(config.data, source=config.reader, output=output / BUILT_DATA, resume=resume)
    pool = read_pool(data, seed=config.seed, n_max=config.n_max, show_reference=config.show_reference)
    run = Run(output, config, inputs=[config.data], resume=resume)
    asked = None if judge is None else _ask(judge, pool, output / JUDGEMENTS, show_reference=config.show_reference)
    entropies = {
        key: posterior_entropy(judgement.verdict.posterior)
        for key, judgement in (asked.judgements if asked else {}).items()
        if judgement.verdict
    }
    with claim(output / DECISIONS, _byte_of(annotator)) as alone:
        if not alone:
            raise ConfigError(f"{annotator!r} is labelling in {output} already: end that session or name another one")
        annotations = Annotations(output / DECISIONS)
        session = Session(
            pool,
            annotations,
            annotator=annotator,
            entropies=entropies,
            random_share=random_share,
            only=annotations.by_solution().keys() - annotations.agreed().keys() if disputed else None,
        )
        work = Work(config, run, pool, session, asked, fits)
        try:
            yield work
        finally:
            # Another annotator may leave at the same moment. Leaving this block ends the claim around it, too: the
            # kernel lets go of all locks of a process on a file when it closes the file once.
            with claim(output / DECISIONS, _WRITING, wait=True):
                work.write()


def _ask(name: str, pool: Pool, root: Path, *, show_reference: bool) -> AskedJudge:
    judge = load_judge(name)
    rows = [item.row for item in pool.items]
    folder = shared_folder(root, name=name, info=judge.info)
    if folder is None:  # nothing tells whether it is still the judge that was asked in an earlier session: ask again
        folder = root / "this-session"
        shutil.rmtree(folder, ignore_errors=True)
    judgements = judge_in_chunks(judge, rows, folder=folder, chunk_size=64, show_reference=show_reference)
    return AskedJudge(judge.info, find_exposure(name), {item.solution_id: item for item in judgements})


def _byte_of(annotator: str) -> int:
    """Return the byte of the lock file that stands for an annotator: the same in every process, rarely another's."""
    return int(content_id(annotator=annotator), 16) % _WRITING


def _figures_text(figures: JudgeFigures) -> str:
    parts = [
        f"F1 {interval_text(figures.f1, digits=1, scale=100)}",
        f"log loss {interval_text(figures.log_loss, digits=2)}",
        f"AUROC {interval_text(figures.auroc, digits=2)}",
        f"on {figures.n} solutions drawn at random",
    ]
    return ", ".join(parts) + (f", {figures.n_no_verdict} without a verdict" if figures.n_no_verdict else "")

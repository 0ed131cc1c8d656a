"""One page about the folder of the quick start, from a judged solution to SGPO: what `make quickstart` ends with.

    python examples/quickstart/summary.py runs/quickstart

Everything is read from the files that the stages left; nothing is computed anew. The folder is laid out as they do by
`stages.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from pydantic import ValidationError
from stages import FOLDER, STAGES

from judgekit.calibration.card import CalibrationReport, CalibratorCard, describe_calibrator
from judgekit.errors import DataError, JudgekitError, boundary, describe_validation_error
from judgekit.io import MANIFEST, read_json, read_records, write_text
from judgekit.judges.card import CARD, JudgeCard, read_card
from judgekit.judges.steps.specs import LikelihoodSpec
from judgekit.metrics.localization import Outcome
from judgekit.metrics.steps import Bin
from judgekit.report.interval_cells import interval_cell, interval_text
from judgekit.report.judged_solution import judged_solution
from judgekit.report.page import (
    Html,
    Section,
    Series,
    bullet_list,
    code,
    columns,
    escape,
    figures,
    inline,
    line_plot,
    link,
    paragraph,
    reliability_diagram,
    render_page,
    table,
    words,
)
from judgekit.run import METRICS, read_rows
from judgekit.types import Judgement, LabelledSolution, Problem, Verdict
from judgekit_eval.evaluate import PREDICTIONS
from judgekit_eval.judges.schema import EvalResults
from judgekit_eval.results import read_results
from sgpo.compare.figures import ACCURACY, plots
from sgpo.compare.page import BANDS, plot_html
from sgpo.compare.report import REPORT
from sgpo.compare.results import N_FINAL, Comparison
from sgpo.compare.table import describe_guards, table_rows

DOCS = Path(__file__).resolve().parents[2] / "docs"
MADE = {
    "data/all": MANIFEST,
    "data/calibration": MANIFEST,
    "data/rl-train": MANIFEST,
    "base": "model/config.json",
    "judge_base": "model/config.json",
    "judge": f"judge/{CARD}",
    "eval": "report.html",
    "policy": "model/config.json",
    "compare": REPORT,
}
"""Folders that stages make, and what is there once they have finished."""
USES = {
    "base": "right solutions, from which the small language model learns the task",
    "policy": "solutions with errors, which make the policy weak",
    "all": "labelled solutions for the judge, split into the next three",
    "train": "a few of these fit the judge",
    "calibration": "calibrates it",
    "test": "benchmarks it",
    "problems": "problems with checkable answers, split into the next two",
    "rl-train": "GRPO and SGPO train on them",
    "rl-test": "held-out accuracy is measured on them",
}
"""What each data set is for, in the order of the table."""
MODELS = {
    "base": "Language model that learns the task",
    "judge_base": "Language model behind the judge",
    "policy": "Policy, which learns to err",
}
SCORES = {
    "f1": "F1",
    "error_accuracy": "wrong solutions: first error found, %",
    "correct_accuracy": "right solutions passed, %",
}
"""Columns of the judge's table."""
CALIBRATION = {
    "ece": "calibration error (ECE)",
    "nll": "log loss of a step (nats)",
    "first_error_log_loss": "log loss of the first error (nats)",
}
"""Rows of the calibrator's table."""


def write_summary(folder: Path, page: Path) -> list[tuple[str, str]]:
    """Write the page and return its headline: what was measured, and the figure as shown.

    Raises:
        DataError: a stage has not finished, or its file is damaged; names the command that makes it.
        CheckpointError: the judge directory is damaged.
    """
    # Files of JSON or parquet that hold other keys than the stages write, or none.
    with boundary(
        DataError, f"a file of {folder} is damaged, or of an earlier release; remove what is named and resume"
    ):
        return _write_summary(folder, page)


def _write_summary(folder: Path, page: Path) -> list[tuple[str, str]]:
    for name, last in MADE.items():
        if not (folder / name / last).exists():
            raise DataError(f"{folder / name / last} is missing: {_way_out(folder, str(FOLDER / name))}")
    card = read_card(folder / "judge" / "judge")
    if card.calibration is None:
        raise DataError(f"the judge {folder / 'judge/judge'} is not calibrated: {_way_out(folder, 'calibrate')}")
    results = {kind: _only_results(folder / "eval", kind) for kind in ("judges", "floors")}
    try:
        comparison = Comparison.model_validate(read_json(folder / "compare" / REPORT))
    except ValidationError as error:
        raise DataError(
            f"{folder / 'compare' / REPORT} is damaged or of an earlier release, {describe_validation_error(error)}: "
            f"{_way_out(folder, str(FOLDER / 'compare'))}"
        ) from error
    [(evaluated, judged)] = results["judges"].items()
    sections = [
        Section("What the judge says", _solutions(folder, evaluated)),
        Section("SGPO against GRPO and a judge that answers at random", _comparison(comparison)),
        Section("How good is the judge?", _benchmark(judged, [*results["floors"].values()], folder, evaluated)),
        Section("Can you trust its probabilities?", _calibration(card, judged)),
        Section("What it was made of", _data(folder)),
        Section("How the models trained", _training(folder, card)),
        Section("What to do next", _next(folder, page.parent)),
    ]
    lead = paragraph(
        "A step-wise judge reads a solution and says where its first error is. Here, a tiny language model became a "
        "judge of arithmetic with 20 labelled solutions, and SGPO trained a policy with it. Where all responses to a "
        "problem are wrong, GRPO learns nothing; SGPO rewards each response by how far it gets before its first "
        "error. So small a task shows how the parts work; it is no evidence for other tasks."
    )
    write_text(
        page,
        render_page(
            "Quick start: a judge of steps, and what SGPO makes of it",
            sections,
            lead=lead,
            foot=_foot(folder, comparison),
        ),
    )
    before, after = card.calibration.before["ece"], card.calibration.after["ece"]
    headline = [
        ("first-error F1 of the judge on held-out problems", interval_text(judged.headline, digits=1)),
        ("its calibration error", f"{before:.4f} before calibration, {after:.4f} after"),
    ]
    headline += [(f"final held-out accuracy of {row['arm']}", row["final [95 %]"]) for row in table_rows(comparison)]
    headline += [
        (f"{name} minus {comparison.reference}", arm.finding) for name, arm in comparison.arms.items() if arm.finding
    ]
    return headline


def _way_out(folder: Path, words: str) -> str:
    """Say how a stage is run again: the first whose command holds some words as a whole."""
    command = next(stage.command for stage in STAGES if re.search(rf"{re.escape(words)}(?=[ =]|$)", stage.command))
    return f"`make quickstart` goes on from there, or run {command.replace(str(FOLDER), str(folder))}"


def _only_results(evaluation: Path, kind: str) -> dict[Path, EvalResults]:
    """Read the results of an evaluation on one benchmark, by their folders: of its one judge, or of the floors."""
    found = sorted(evaluation.glob(f"{kind}/*/*/results.json"))
    if kind == "judges" and len(found) != 1:
        raise DataError(f"{evaluation} holds results of {len(found)} judges and benchmarks, and one is wanted here")
    return {path.parent: read_results(path, EvalResults) for path in found}


def _predictions(evaluated: Path) -> list[dict[str, Any]]:
    path = evaluated / PREDICTIONS
    with boundary(DataError, f"{path} is damaged or missing: remove {evaluated.parents[2]} and run `make quickstart`"):
        return list(pl.read_parquet(path).iter_rows(named=True))


def _solutions(folder: Path, evaluated: Path) -> str:
    """Show judged solutions of the test set that a fixed rule chooses, so that nobody picks the prettiest."""
    solutions = {solution.id: solution for solution in read_records(folder / "data" / "test", LabelledSolution)}
    rows = _predictions(evaluated)
    errs = [row for row in rows if row["outcome"] != Outcome.RIGHT]
    chosen: dict[str, str] = {}
    for title, of in (
        ("A wrong solution", [row for row in rows if row["gold"] is not None]),
        ("A right solution", [row for row in rows if row["gold"] is None]),
        ("Where the judge errs", errs),
    ):
        if row := next((row for row in of if row["posterior"] and row["id"] not in chosen), None):
            judgement = Judgement(
                solution_id=row["id"], judge_id="", verdict=Verdict(posterior=tuple(row["posterior"]))
            )
            shown = judged_solution(solutions[row["id"]], judgement, predicted=row["predicted"])
            chosen[row["id"]] = f"<div><h3>{escape(title)}</h3>{shown}</div>"
    text = (
        "The first wrong and the first right solution of the test set, and the first one on which the judge errs: a "
        "rule, not a choice. Colour and number are P(ok), the probability that a step is right if all before it are: "
        "orange is wrong, blue is right, and a paler colour is less sure. Steps count from 0. "
    )
    n = f"The judge decides {len(rows) - len(errs):,} of {len(rows):,} rightly; "
    return paragraph(text, n, link("all of them", "eval/report.html#solutions"), ".") + figures(*chosen.values())


def _comparison(comparison: Comparison) -> str:
    """Show the curves beside what follows from them, the sentence of the paired test first."""
    reference = comparison.arms[comparison.reference]
    findings = [
        inline(Html("<strong>"), f"{name}: ", Html("</strong>"), f"{arm.finding}.")
        for name, arm in comparison.best_first.items()
        if arm.finding is not None
    ]
    arms = []
    for name, arm in comparison.arms.items():
        kind = "" if name == arm.algorithm else f"is {arm.algorithm} and "
        arms.append(f"{name} {kind}asks {f'the judge {arm.judge}' if arm.judge else 'no judge'}")
    guards = [f"{name}: {line}" for name, arm in comparison.arms.items() for line in describe_guards(arm)]
    n_seeds = max(len(arm.seeds) for arm in comparison.arms.values())
    start = reference.first_frac_all_negative
    beside = (
        paragraph(
            f"Final accuracy, the mean of the last {N_FINAL} evaluations, minus that of ",
            comparison.reference,
            f", paired by seed, with Student's 95 % interval and t test over {n_seeds} seeds:",
        )
        + bullet_list(findings)
        + table(
            ["arm", "final accuracy [95\u00a0%]", "difference [95\u00a0%]", "p"],
            [[row["arm"], row["final [95 %]"], row["difference [95 %]"], row["p"]] for row in table_rows(comparison)],
        )
        + bullet_list(arms)
        + paragraph(
            "Where all responses of a group are wrong, GRPO has nothing to tell them apart by; SGPO rewards the share "
            "of steps before the first error. "
            + ("" if start is None else f"That is so in {start:.0%} of the groups at the start.")
        )
        + (
            paragraph(
                "Guards that fired, with what they did, in how many seeds, and at which updates: ",
                "; ".join(guards),
                ".",
            )
            if guards
            else ""
        )
        + paragraph(link("Rollouts, entropy, cost and every run", "compare/compare.html"))
    )
    drawn = "".join(map(plot_html, plots(comparison, ACCURACY)))
    return columns(drawn + paragraph(BANDS), beside)


def _benchmark(judged: EvalResults, floors: Sequence[EvalResults], folder: Path, evaluated: Path) -> str:
    """Show the judge beside judges that read nothing, and what it makes of each kind of error."""
    rows = [
        [result.judge.judge_id, *(interval_cell(result.overall.scores[name]) for name in SCORES)]
        for result in (judged, *floors)
    ]
    text = (
        f"{judged.data.n_solutions:,} solutions of problems that nothing was trained on, with 95 % intervals. F1 is "
        "the harmonic mean of the two shares beside it. A floor knows a step's position or length and reads nothing."
    )
    kinds = {solution.id: solution.generator for solution in read_records(folder / "data" / "test", LabelledSolution)}
    n, n_right = Counter[str](), Counter[str]()
    for row in _predictions(evaluated):
        kind = "no error" if row["gold"] is None else (kinds[row["id"]] or "unknown").removeprefix("procedural-")
        n[kind] += 1
        n_right[kind] += row["outcome"] == Outcome.RIGHT
    by_kind = [
        f"{kind} {n_right[kind]:,} of {n[kind]:,}" for kind in sorted(n, key=lambda kind: n_right[kind] / n[kind])
    ]
    threshold = judged.decision.threshold
    rule = (
        "The most probable outcome decides."
        if threshold is None
        else f"A step counts as wrong where P(ok) lies below {threshold:.3f} ({judged.decision.origin})."
    )
    return (
        paragraph(text)
        + table(["judge", *SCORES.values()], rows)
        + paragraph(f"Rightly decided, by kind of error: {', '.join(by_kind)}.")
        + paragraph(rule, " ", link("The whole report, with every solution", "eval/report.html"))
    )


def _calibration(card: JudgeCard, judged: EvalResults) -> str:
    """Say in words what calibration did, and show it."""
    report, calibrator = card.calibration, card.calibrator
    assert report is not None and calibrator is not None
    rows = [[name, f"{report.before[key]:.4f}", f"{report.after[key]:.4f}"] for key, name in CALIBRATION.items()]
    diagrams = [
        reliability_diagram(
            [Bin(**{**values, "count": int(values["count"] or 0)}) for values in bins],
            title=f"{title}: ECE {of['ece']:.4f}",
        )
        for title, bins, of in (
            ("Before", report.bins_before, report.before),
            ("After", report.bins_after, report.after),
        )
    ]
    steps = judged.pooled.steps if judged.pooled else None
    fingerprint = calibrator.fingerprint
    notes = [
        f"Fitted on {fingerprint.n_solutions:,} solutions of {fingerprint.n_problems:,} problems that nothing else was "
        f"trained on; each figure is that of solutions which its own fit did not see ({report.n_steps:,} steps). On "
        "the diagonal a probability is a share; grey bars say how many steps lie where.",
        *(f"{sentence[0].upper()}{sentence[1:]}." for sentence in report.warnings),
    ]
    if steps is not None:
        notes.insert(0, f"On the test set the calibrated judge has an ECE of {interval_text(steps.ece, digits=4)}.")
    for name, floor in report.floors.items():
        notes.append(f"{name.capitalize()}, which reads nothing: ECE {floor['ece']:.4f}, log loss {floor['nll']:.4f}.")
    change = paragraph(describe_change(report, calibrator)) + table(["", "before", "after"], rows)
    return figures(*diagrams, f"<div>{change}</div>") + bullet_list(notes)


def describe_change(report: CalibrationReport, calibrator: CalibratorCard) -> str:
    """Say which calibrator was kept and what it changed, worse included."""
    if calibrator.kind == "identity":
        return "No calibrator was better than none, so the probabilities stay as the model gives them."
    changes = []
    for name in ("ece", "nll"):
        before, after = f"{report.before[name]:.4f}", f"{report.after[name]:.4f}"
        verb = "falls" if report.after[name] < report.before[name] else "rises"
        changes.append(
            f"{CALIBRATION[name]} stays at {after}"
            if before == after
            else f"{CALIBRATION[name]} {verb} from {before} to {after}"
        )
    means = []
    for bins in (report.bins_before, report.bins_after):
        known = [(b["count"] or 0, b["mean_prob"] or 0.0, b["frac_ok"] or 0.0) for b in bins if b["count"]]
        total = sum(n for n, _, _ in known)
        means.append((sum(n * p for n, p, _ in known) / total, sum(n * ok for n, _, ok in known) / total))
    (said, right), (now, _) = means
    return (
        f"A calibrator helps: {describe_calibrator(calibrator)}. Before, the judge gives steps a mean probability of "
        f"{said:.3f} where {right:.3f} are right; after, {now:.3f}. The {changes[0]}, the {changes[1]}."
    )


def _data(folder: Path) -> str:
    """Show what was built, and a row of each kind."""
    rows = []
    for name, use in USES.items():
        path = folder / "data" / name / MANIFEST
        if path.exists():
            rows.append([name, words(use), f"{read_json(path)['n_rows']:,}"])
    solution = next(iter(read_records(folder / "data" / "test", LabelledSolution)))
    problem = next(iter(read_records(folder / "data" / "rl-train", Problem)))
    example = {
        "problem": solution.problem,
        "steps": "\n".join(solution.steps),
        "labels": ", ".join(solution.labels),
        "right answer": solution.reference or "unknown",
        "written by": solution.generator or "unknown",
    }
    return columns(
        table(["data set", words("what it is for"), "rows"], rows)
        + paragraph(f"A problem for reinforcement learning has a text and its answer ({problem.answer}), no steps."),
        table(["field", words("the first row of data/test")], [[name, words(text)] for name, text in example.items()]),
    )


def _training(folder: Path, card: JudgeCard) -> str:
    """Show the loss of each language model, and what the judge learned from labels."""
    drawn, every = [], set()
    for name, title in MODELS.items():
        if not (folder / name / METRICS).exists():
            continue
        points = [
            (row["step"], row["pretrain/loss"]) for row in read_rows(folder / name / METRICS) if "pretrain/loss" in row
        ]
        every |= {after - before for (before, _), (after, _) in pairwise(points)}
        line = Series("training loss", [step for step, _ in points], [loss for _, loss in points])
        drawn.append(line_plot([line], title=title, x_label="optimiser step", y_label="loss (nats a token)"))
    spec = card.spec
    learned = ""
    if isinstance(spec, LikelihoodSpec):
        numbers = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in spec.fitted.model_dump().items())
        n = card.training["counts"]["solutions"]
        learned = paragraph(
            f"The judge itself is {len(spec.fitted.model_dump())} numbers, fitted on {n} labelled solutions: how the "
            f"model's surprise at a step's tokens becomes P(ok): {numbers}."
        )
    note = f"A point is the mean loss of the {min(every)} steps before it." if every else ""
    zigzag = (
        " Batches hold solutions of like length in rounds of 50 steps, so points of fewer steps rise and fall with it."
        if every and min(every) % 50
        else ""
    )
    return learned + paragraph(note + zigzag) + figures(*drawn)


def _next(folder: Path, beside: Path) -> str:
    """Lead on, with commands, and pages below docs/ as seen from the page."""
    judge, test, output = (shlex.quote(str(folder / name)) for name in ("judge/judge", "data/test", "judged"))
    judging = f"judgekit judge --judge {judge} --input {test} --output {output}"
    seeds = 'sgpo compare configs/quickstart/compare.yaml "seeds=[10,11,12,13,14,15,16,17]" --output runs/more_seeds'
    steps = [
        ("What the words mean, in five minutes: ", "", "concepts.md"),
        ("Judge a file of solutions: ", judging, "judges.md"),
        ("Label 300 solutions and get a judge for your task: ", "", "own_judge.md"),
        ("Benchmark judges, published ones too: ", "", "benchmark.md"),
        ("Put a judge into your GRPO script: ", "examples/grpo_to_sgpo.py", "sgpo.md"),
        ("More seeds, which narrow the intervals: ", seeds, "compare.md"),
        ("What was measured elsewhere, with commands: ", "", "results/index.md"),
    ]
    lines = []
    for what, command, name in steps:
        more = link(f"docs/{name}", quote(os.path.relpath(DOCS / name, beside.resolve())))
        lines.append(inline(what, code(command), ", ", more) if command else inline(what, more))
    return bullet_list(lines)


def _foot(folder: Path, comparison: Comparison) -> str:
    """Say how the page came about: date, version, commands, seeds, time."""
    times: dict[str, tuple[datetime, datetime]] = {}
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        manifest = read_json(path)
        if "finished" in manifest:
            times[path.parent.name] = (
                datetime.fromisoformat(manifest["started"]),
                datetime.fromisoformat(manifest["finished"]),
            )
    manifest = read_json(folder / "compare" / MANIFEST)
    git = manifest["git"] or {}
    commit = f", commit {git['sha'][:10]}{' with local changes' if git['dirty'] else ''}" if git.get("sha") else ""
    took = [
        f"{name} {_minutes((end - start).total_seconds())}"
        for name, (start, end) in sorted(times.items(), key=lambda item: item[1])
    ]
    whole = max(end for _, end in times.values()) - min(start for start, _ in times.values())
    seeds = sorted({int(seed) for arm in comparison.arms.values() for seed in arm.seeds})
    versions = ", ".join(f"{name} {manifest['packages'][name]}" for name in ("sgpo", "torch", "transformers", "trl"))
    return (
        paragraph(
            f"Finished {max(end for _, end in times.values()):%Y-%m-%d %H:%M} UTC by ",
            code("make quickstart"),
            f" with {versions}{commit}; seeds of the comparison: {', '.join(map(str, seeds))}.",
        )
        + paragraph(
            f"Machine time: {', '.join(took)}; from the first of these to the last {_minutes(whole.total_seconds())}."
        )
        + paragraph("This page again: ", code(f"python examples/quickstart/summary.py {folder}"))
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def main(argv: Sequence[str]) -> int:
    """Write the page and print its headline; returns the exit status."""
    if len(argv) != 1:
        print("usage: summary.py FOLDER, laid out as `make quickstart` does", file=sys.stderr)
        return 2
    page = Path(argv[0]) / "report.html"
    try:
        headline = write_summary(Path(argv[0]), page)
    except JudgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, value in [*headline, ("the page", str(page))]:
        print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

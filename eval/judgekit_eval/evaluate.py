"""`judgekit eval`: several judges on several benchmarks, one judge after another, resumable.

Layout of the folder of a run:

    config.json, manifest.json, metrics.jsonl
    judges/<judge>/<benchmark>/judgements/part-*.jsonl, predictions.parquet, results.json
    floors/<floor>/<benchmark>/predictions.parquet, results.json
    comparisons.json, leaderboard.md, leaderboard.csv, report.html

Nothing in results depends on when or in how many pieces a run was made, but for the seconds that judges took. A judge
that fails takes no other with it: what the others said is scored and written, and a resumed run asks it again.
"""

from __future__ import annotations

import csv
import io
import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from judgekit.errors import ConfigError, DataError, JudgeError
from judgekit.io import atomic_path
from judgekit.judges.base import Judge
from judgekit.run import CONFIG, MANIFEST, Run
from judgekit.store import store_files
from judgekit.training.floors import FLOORS
from judgekit.types import Judgement, LabelledSolution
from judgekit_eval.judges.benchmarks import READS_NOTHING, find_benchmark, refuse_foreign
from judgekit_eval.judges.candidates import Candidate, Failure, RecordedJudge, candidate_key, open_pooled
from judgekit_eval.judges.comparisons import BenchmarkComparisons, Comparisons, compare_judges, compare_with_floors
from judgekit_eval.judges.config import EvalConfig
from judgekit_eval.judges.floors import decide_floor, floor_candidate
from judgekit_eval.judges.intervals import Estimate
from judgekit_eval.judges.judged_solution import BenchmarkRun, JudgedSolution
from judgekit_eval.judges.results import compute_results
from judgekit_eval.judges.reuse import JUDGES_DIR, take_judgements
from judgekit_eval.judges.schema import Overall, SubsetResults
from judgekit_eval.judges.thresholds import Decisions, decide_all, tuning_subset
from judgekit_eval.report.leaderboard import Leaderboard, build_leaderboards
from judgekit_eval.report.markdown_leaderboard import leaderboard_markdown
from judgekit_eval.report.page import HowMade, report_html
from judgekit_eval.runner import JUDGEMENT_DIR, REPORT, RESULTS, Runner

logger = logging.getLogger(__name__)

PREDICTIONS = "predictions.parquet"
COMPARISONS = "comparisons.json"
LEADERBOARD = "leaderboard.md"
CSV = "leaderboard.csv"
FLOORS_DIR = "floors"
PREDICTION_SCHEMA: dict[str, pl.DataType] = {
    "id": pl.String(),
    "problem_id": pl.String(),
    "subset": pl.String(),
    "labels": pl.List(pl.String()),
    "gold": pl.Int64(),
    "predicted": pl.Int64(),
    "no_verdict": pl.String(),
    "outcome": pl.String(),
    "threshold": pl.Float64(),
    "posterior": pl.List(pl.Float64()),
    "p_ok": pl.List(pl.Float64()),
}
"""Columns of `predictions.parquet`. `gold` and `predicted` are 0-based with null = no error; `no_verdict` is null where
there is a verdict, so "no error" is `predicted` and `no_verdict` both null. `threshold` is the one that decided the
solution, null for the most probable outcome."""


class Scored(NamedTuple):
    """One judge on one benchmark."""

    candidate: Candidate
    benchmark: str
    run: BenchmarkRun
    headline: Estimate
    """The headline metric in [0, 1] with its resamples."""


class Evaluation(NamedTuple):
    """What an evaluation came to."""

    runs: list[BenchmarkRun]
    """One a judge and benchmark, in the order in which the judges were given."""
    comparisons: Comparisons
    """What `comparisons.json` holds."""
    leaderboards: list[Leaderboard]
    """One a benchmark."""
    floors: list[BenchmarkRun] = []  # noqa: RUF012 - never changed
    """Those of the judges that read nothing."""
    failures: Sequence[Failure] = ()
    """Judges that failed, whose results are missing in part or whole."""


def run_evaluation(
    candidates: Sequence[Candidate],
    judges: Iterable[Judge],
    benchmarks: Mapping[str, Sequence[LabelledSolution]],
    *,
    output: Path,
    config: EvalConfig,
    inputs: Mapping[str, Sequence[Path]] | None = None,
    resume: bool = False,
    unopened: Sequence[Failure] = (),
    reuse: Sequence[Path] = (),
) -> Evaluation:
    """Judge every benchmark with every judge and write results, predictions, comparisons, leaderboard and report.

    Args:
        candidates: The judges, members before their ensembles; see `find_candidates`.
        judges: Those that are no ensembles, opened, in the same order. Each is used up before the next is asked for.
        benchmarks: Labelled solutions by benchmark, in the same order whenever the run is resumed.
        output: Folder of the run.
        config: How.
        inputs: Files that the solutions come from, by benchmark; their hashes go into the manifest.
        resume: Continue a run that was cut off: stored judgements are read, not made again.
        unopened: Judges of the configuration that could not be opened, to be named where results stand.
        reuse: Folders of earlier evaluations whose judgements are taken over, see `judgekit_eval.judges.reuse`.

    Raises:
        DataError: no solutions, two of one id, rows of another benchmark, or inputs or chunks of a resumed run do not
            fit.
        ConfigError: the folder is in use, the resumed run has another configuration or other judges, or the subset to
            tune the threshold on is missing.
        JudgeError, CheckpointError: every judge failed; what is finished stays. Where some did, they are in `failures`.
    """
    for name, solutions in benchmarks.items():
        check_benchmark(name, solutions, threshold=config.threshold)
    files = {f"data/{name}": paths for name, paths in (inputs or {}).items()}
    for item in candidates:
        files |= {f"{JUDGES_DIR}/{item.slug}/{part}": paths for part, paths in item.files.items()}
    run = Run(
        output,
        config,
        inputs=files,
        resume=resume,
        # a judge that failed before it said anything may have been mended since; one that is gone now is not forgotten
        unused=[
            f"{JUDGES_DIR}/{item.slug}/"
            for item in candidates
            if not any(map(store_files, (output / JUDGES_DIR / item.slug).glob(f"*/{JUDGEMENT_DIR}")))
        ],
        partial=bool(unopened),
    )
    for candidate in candidates:
        for name in benchmarks if not candidate.members else ():
            take_judgements(
                reuse,
                _folder(output, candidate, name) / JUDGEMENT_DIR,
                candidate=candidate,
                benchmark=name,
                solutions=benchmarks[name],
                inputs=run.inputs,
                seen={"dtype": config.dtype, "show_reference": config.show_reference},
            )
    runner = Runner(run, chunk_size=config.chunk_size, show_reference=config.show_reference, failures=unopened)
    scored = []
    for candidate, name, judgements in _judge_all(runner, candidates, iter(judges), benchmarks):
        if candidate.listed:
            benchmark = replace(find_benchmark(name), name=name)
            decisions = decide_all(
                benchmark,
                benchmarks[name],
                judgements,
                rule=candidate.info.decision,
                threshold=config.threshold,
                n_folds=config.n_folds,
            )
            scored.append(_score(candidate, name, decisions, folder=_folder(output, candidate, name), config=config))
    if not scored:
        runner.raise_failures()
    # Members judged before their ensembles; tables have the order of the configuration.
    order = [candidate_key(name) for name in config.judges]
    scored.sort(key=lambda item: order.index(item.candidate.key))
    floors, no_floors = _score_floors(benchmarks, output=output, config=config) if config.floors else ([], [])
    comparisons = _compare(scored, floors, benchmarks)
    runs, floor_runs = [item.run for item in scored], [item.run for item in floors]
    missing = [failure.line for failure in runner.failures] + no_floors
    leaderboards = build_leaderboards([item.results for item in runs + floor_runs], comparisons.benchmarks)
    beside = [(name, name) for name in (CSV, LEADERBOARD, COMPARISONS, CONFIG, MANIFEST)]
    for one in scored + floors:
        kept = FLOORS_DIR if one.candidate.info.kind == "floor" else JUDGES_DIR
        path = f"{kept}/{one.candidate.slug}/{one.benchmark}/{RESULTS}"
        beside.append((f"results of {one.candidate.title} on {one.benchmark}", path))
    from_files = all(config.benchmarks.values()) and not any(candidate.is_object for candidate in candidates)
    made = HowMade(
        date=run.started,
        version=run.code,
        command=f"judgekit eval {shlex.quote(str(output / CONFIG))} --output NEW_FOLDER" if from_files else None,
        files=beside,
    )
    shown = {
        LEADERBOARD: leaderboard_markdown(leaderboards, missing=missing),
        CSV: scores_csv(runs + floor_runs),
        REPORT: report_html(runs + floor_runs, leaderboards, n_browsed=config.n_browsed, missing=missing, made=made),
    }
    summary = {f"{item.judge.judge_id}/{item.benchmark}": item.headline.model_dump() for item, _ in runs + floor_runs}
    runner.write(comparisons, shown, rows=_metric_rows(runs + floor_runs), summary=summary, name=COMPARISONS)
    return Evaluation(runs, comparisons, leaderboards, floor_runs, runner.failures)


def check_benchmark(name: str, solutions: Sequence[LabelledSolution], *, threshold: float | str) -> None:
    """Refuse a benchmark that cannot be scored, before anything is judged.

    Raises:
        DataError: no solutions, two of one id, or rows of another source.
        ConfigError: it has not the subset to tune the threshold on.
    """
    if not solutions:
        raise DataError(f"no solutions of {name} to evaluate: the input gave none")
    double = [id_ for id_, count in Counter(row.id for row in solutions).items() if count > 1]
    if double:
        raise DataError(
            f"{len(double)} ids of {name} occur more than once, the first is {double[0]}: remove the duplicates "
            "(`judgekit build` leaves them out), or an input that was given twice"
        )
    refuse_foreign(name, {row.id: row.source for row in solutions})
    subsets, subset = {row.subset or row.source for row in solutions}, tuning_subset(threshold)
    if subset is not None and subset not in subsets:
        raise ConfigError(
            f"threshold={threshold}: {name} has no subset {subset}, but {', '.join(sorted(subsets))}. Evaluate "
            "benchmarks without it in a run of their own"
        )


def _judge_all(
    runner: Runner,
    candidates: Sequence[Candidate],
    judges: Iterator[Judge],
    benchmarks: Mapping[str, Sequence[LabelledSolution]],
) -> Iterator[tuple[Candidate, str, list[Judgement]]]:
    """Yield what every judge says of every benchmark: first judges that are asked, then ensembles of these.

    A judge that fails on one benchmark is not asked about the next.
    """
    said: dict[str, dict[str, list[Judgement]]] = {name: {} for name in benchmarks}
    by_key = {candidate.key: candidate for candidate in candidates}
    for candidate in sorted(candidates, key=lambda item: bool(item.members)):
        # Only now, for the judge before is let go of when the next is asked for: two large models seldom fit at once.
        judge = None if candidate.members else next(judges)
        for name, solutions in benchmarks.items():
            judgements = runner.try_judge(
                candidate.title,
                partial(_open, judge, candidate, by_key, said[name]),
                solutions,
                _folder(runner.run.output, candidate, name) / JUDGEMENT_DIR,
                benchmark=name,
            )
            if judgements is None:
                break
            said[name][candidate.key] = judgements
            yield candidate, name, judgements


def _open(
    judge: Judge | None, candidate: Candidate, by_key: Mapping[str, Candidate], said: Mapping[str, Sequence[Judgement]]
) -> Judge:
    """Return the judge, or the ensemble on what its members said of the benchmark."""
    if judge is not None:
        return judge
    for key in candidate.members:
        if key not in said:
            raise JudgeError(f"its member {by_key[key].title} failed")
    return open_pooled(candidate, {key: RecordedJudge(by_key[key], said[key]) for key in candidate.members})


def _folder(output: Path, candidate: Candidate, benchmark: str) -> Path:
    return output / JUDGES_DIR / candidate.slug / benchmark


def _score(candidate: Candidate, name: str, decisions: Decisions, *, folder: Path, config: EvalConfig) -> Scored:
    """Score one judge on one benchmark, and write its predictions and results."""
    results, headline = compute_results(candidate, replace(find_benchmark(name), name=name), decisions, config=config)
    if candidate.info.kind == "floor":
        # It is fitted to the benchmark itself, which would be an overlap of any judge that reads; folds keep it honest.
        contamination = results.protocol.contamination.model_copy(
            update={"status": "cross-fitted", "note": f"It {READS_NOTHING}."}
        )
        protocol = results.protocol.model_copy(update={"contamination": contamination})
        results = results.model_copy(update={"protocol": protocol})
    write_predictions(folder / PREDICTIONS, decisions.rows)
    results.write(folder / RESULTS)
    return Scored(candidate, name, BenchmarkRun(results, decisions.rows), headline)


def _score_floors(
    benchmarks: Mapping[str, Sequence[LabelledSolution]], *, output: Path, config: EvalConfig
) -> tuple[list[Scored], list[str]]:
    """Fit and score the judges that read nothing, again in every run; also say why some could not be fitted."""
    scored, missing = [], []
    for name, solutions in benchmarks.items():
        benchmark = replace(find_benchmark(name), name=name)
        for floor in FLOORS:
            candidate = floor_candidate(floor)
            try:
                decisions = decide_floor(floor, benchmark, solutions, n_folds=config.n_folds)
            except DataError as error:
                missing.append(f"{name}: {error}")
                logger.info(missing[-1])
                continue
            folder = output / FLOORS_DIR / candidate.slug / name
            scored.append(_score(candidate, name, decisions, folder=folder, config=config))
    return scored, missing


def _compare(scored: Sequence[Scored], floors: Sequence[Scored], benchmarks: Iterable[str]) -> Comparisons:
    """Compare all judges on each benchmark with each other, and each of them with the floors.

    Benchmarks with one judge alone have no pairs of judges; those that no judge finished are left out.
    """
    comparisons: dict[str, BenchmarkComparisons] = {}
    for name in benchmarks:
        headlines = {item.candidate.title: item.headline for item in scored if item.benchmark == name}
        below = {item.candidate.title: item.headline for item in floors if item.benchmark == name}
        if headlines:
            metric = find_benchmark(name).headline
            comparisons[name] = BenchmarkComparisons(
                **dict(compare_judges(headlines, name=metric)),
                floors=compare_with_floors(headlines, below, name=metric),
            )
    return Comparisons(schema_version=1, **comparisons)


def scores_csv(runs: Sequence[BenchmarkRun]) -> str:
    """Return all scores as CSV, one a line, in percent with the ends of their 95 % intervals; empty where undefined.

    A name that a spreadsheet would take for a formula, of somebody's data say, has an apostrophe before it.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("judge", "benchmark", "subset", "score", "value", "lo", "hi", "n", "n_no_verdict"))
    for results, _ in runs:
        parts: list[tuple[str, SubsetResults | Overall]] = [*results.subsets.items(), ("overall", results.overall)]
        for subset, part in parts:
            for score, metric in part.scores.items():
                where = (results.judge.judge_id, results.benchmark, subset, score)
                names = (f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name for name in where)
                table.writerow((*names, metric.value, metric.lo, metric.hi, part.n, part.n_no_verdict))
    return out.getvalue()


def write_predictions(path: Path, rows: Sequence[JudgedSolution]) -> None:
    """Write one row a solution, columns as in `PREDICTION_SCHEMA`."""
    values = [
        {
            "id": row.solution.id,
            "problem_id": row.solution.problem_id,
            "subset": row.subset,
            "labels": [str(label) for label in row.solution.labels],
            "gold": row.gold,
            "predicted": row.predicted,
            "no_verdict": row.judgement.no_verdict,
            "outcome": row.outcome,
            "threshold": row.threshold,
            "posterior": row.judgement.verdict.posterior if row.judgement.verdict else None,
            "p_ok": row.p_ok_S,
        }
        for row in rows
    ]
    with atomic_path(path) as partial:
        pl.DataFrame(values, schema=PREDICTION_SCHEMA).write_parquet(partial)


def _metric_rows(runs: Sequence[BenchmarkRun]) -> Iterator[dict[str, str | float | None]]:
    """Yield `eval/<score>` in percent for every judge, benchmark and subset."""
    for results, _ in runs:
        where = {"judge": results.judge.judge_id, "benchmark": results.benchmark}
        parts = {name: part.scores for name, part in results.subsets.items()} | {"overall": results.overall.scores}
        for name, of_part in parts.items():
            yield where | {"subset": name} | {f"eval/{score}": metric.value for score, metric in of_part.items()}

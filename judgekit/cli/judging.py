"""Commands that use judges: judge, benchmark, rank, sum up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judgekit.cli.command import (
    JUDGE_HELP,
    add_command,
    add_judge,
    add_output,
    canonical,
    raise_failed,
    settings_config,
)
from judgekit.errors import CheckpointError, ConfigError, one_line

if TYPE_CHECKING:
    from judgekit.types import LabelledSolution


EVAL_OPTIONS = {
    "judges": "list of judges, instead of --judge",
    "benchmarks": "lists of inputs by name, instead of --benchmark",
    "threshold": "held-out (default: the judge's own if chosen on other data, else cross-fitted),\n"
    f"{'':18}judge (its own, even an untouched default), a number, or tuned:SUBSET (an upper bound there)",
    "n_folds": "folds over problems where thresholds are cross-fitted (default 5)",
    "dtype": "precision of judges with weights (auto: bfloat16 where the hardware has it, else float32; default auto)",
    "chunk_size": "solutions judged and stored at a time (default 64)",
    "n_resamples": "bootstrap resamples behind the intervals (default 2000)",
    "seed": "of the bootstrap (default 0)",
    "n_bins": "bins of reliability diagrams and calibration errors (default 10)",
    "alphas": "error probabilities of conformal sets (default [0.05,0.1,0.2])",
    "n_splits": "random halvings over which these are measured (default 100)",
    "floors": "false leaves out the judges that read nothing, fitted to each benchmark, cross-fitted (default true)",
    "show_reference": "true lets judges see the reference (default false; not comparable then)",
    "n_browsed": "solutions of a benchmark in the report at most (default 3400)",
}
"""What `judgekit eval` takes as key=value, for its help."""


def add_judging_commands(commands: Any) -> None:
    """Declare them."""
    parser = add_command(
        commands,
        "judge",
        _judge,
        summary="Judge a file of solutions, or one given here, and show it with its steps coloured.",
        example='judgekit judge --judge runs/judge/judge --problem "2+3-1?" --step "2+3=6" --step "6-1=5"',
    )
    add_judge(parser)
    parser.add_argument("--problem", help="text of one problem")
    parser.add_argument(
        "--step", action="append", help="one step of its solution; repeat in order; --step=-1 where it begins with -"
    )
    parser.add_argument("--input", type=Path, help="data set folder, parquet or JSON-lines file of solutions")
    parser.add_argument("--output", type=Path, help="folder for judgements.jsonl; with --input")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    parser.add_argument("--show", type=int, default=3, help="solutions of the file to print (default 3)")

    parser = add_command(
        commands,
        "eval",
        _eval,
        summary="Benchmark judges: figures with intervals, calibration, comparisons, leaderboard.md and report.html.",
        example="judgekit eval --judge DIR --judge builtin:random --benchmark processbench gsm8k.jsonl --output runs/e",
        options=EVAL_OPTIONS,
    )
    parser.add_argument("--judge", action="append", metavar="JUDGE", help=f"{JUDGE_HELP}; once for each judge")
    parser.add_argument(
        "--benchmark",
        action="append",
        nargs="+",
        metavar=("NAME", "INPUT"),
        help="source, for example processbench, and its built data sets or raw files; once for each benchmark",
    )
    add_output(parser)

    parser = add_command(
        commands,
        "leaderboard",
        _leaderboard,
        summary="Merge evaluations of the same benchmark data into one leaderboard.",
        example="judgekit leaderboard runs/eval-a runs/eval-b --output leaderboard.md",
        settings=False,
    )
    parser.add_argument("run", nargs="+", type=Path, help="folder that `judgekit eval` has written")
    parser.add_argument("--output", type=Path, required=True, help="Markdown file to write")

    parser = add_command(
        commands,
        "summary",
        _summary,
        summary="Write one page about a folder of runs, from data to SGPO, and print its headline.",
        example="judgekit summary runs/quickstart",
        settings=False,
    )
    parser.add_argument("run", type=Path, help="folder laid out as `make quickstart` does")


def _judge(args: argparse.Namespace) -> None:
    from judgekit.judges import load_judge

    if args.problem is not None:
        _judge_one(args)
        return
    from rich import print as show

    from judgekit.judges.shared import share_judge
    from judgekit.judges.traits import traits_of
    from judgekit.judging import judge_file, read_solutions
    from judgekit.judging_config import JudgingConfig
    from judgekit.report.terminal import render_judgement

    if args.input is None or args.output is None:
        raise ConfigError("give --input FILE and --output DIR, or --problem TEXT with --step TEXT for each step")
    fixed = {"judge": args.judge, "data": args.input}
    config = settings_config(JudgingConfig, args.settings, fixed=fixed)
    with share_judge(lambda: load_judge(args.judge, dtype=config.dtype)) as judge:
        if judge is None:
            return
        judgements = judge_file(judge, config, args.output, resume=args.resume)
        rule, conformal = judge.decision, traits_of(judge).conformal
    for solution, judgement in list(zip(read_solutions(args.input), judgements, strict=True))[: args.show]:
        show(render_judgement(solution, judgement, rule=rule, conformal=conformal))
    n_no_verdict = sum(judgement.verdict is None for judgement in judgements)
    print(f"{len(judgements)} judged, {n_no_verdict} without a verdict: {args.output}")


def _judge_one(args: argparse.Namespace) -> None:
    from rich import print as show

    from judgekit.calibration.fingerprint import warn_unfamiliar
    from judgekit.judges import load_judge
    from judgekit.judges.traits import traits_of
    from judgekit.judging_config import JudgingConfig
    from judgekit.report.terminal import render_judgement
    from judgekit.types import Solution

    if args.input is not None or args.output is not None:
        raise ConfigError("--problem judges one solution and prints it: leave out --input and --output")
    if not args.step:
        raise ConfigError("a solution needs steps: give --step TEXT once for each")
    config = settings_config(JudgingConfig, args.settings, fixed={"judge": args.judge, "data": Path()})
    solution = Solution(problem=args.problem, steps=tuple(args.step))
    judge = load_judge(args.judge, dtype=config.dtype)
    warn_unfamiliar(judge, [solution])
    conformal = traits_of(judge).conformal
    show(render_judgement(solution, judge.judge([solution])[0], rule=judge.decision, conformal=conformal))


def _eval(args: argparse.Namespace) -> None:
    from eval.judges.candidates import find_entrants, lazily
    from eval.judges.config import EvalConfig
    from eval.judges.evaluate import LEADERBOARD, REPORT, evaluate
    from eval.judges.failures import Failure
    from eval.report.terminal import print_evaluation
    from judgekit.judges.shared import share_in_turn

    config = settings_config(EvalConfig, args.settings, fixed=_judges_and_benchmarks(args))
    unopened: list[Failure] = []
    entrants = find_entrants(
        config.judges,
        dtype=config.dtype,
        on_failure=lambda name, error: unopened.append(Failure(name, None, one_line(error))),
    )
    if not entrants:
        raise CheckpointError("; ".join(failure.line for failure in unopened))
    for failure in unopened:
        print(f"{failure.line}; the others go on", file=sys.stderr)
    with share_in_turn([lazily(entrant) for entrant in entrants if not entrant.members]) as judges:
        if judges is None:
            return
        inputs = {
            name: _canonical_inputs(given, name, args.output / "data" / name, resume=args.resume)
            for name, given in config.benchmarks.items()
        }
        evaluation = evaluate(
            entrants,
            judges,
            {name: _read_labelled(folders) for name, folders in inputs.items()},
            output=args.output,
            config=config,
            inputs=inputs,
            resume=args.resume,
            unopened=unopened,
        )
    print_evaluation(evaluation.runs + evaluation.floors)
    print(f"report: {args.output / REPORT}, leaderboard: {args.output / LEADERBOARD}")
    raise_failed([failure.line for failure in evaluation.failures], n_judges=len(config.judges))


def _judges_and_benchmarks(args: argparse.Namespace) -> dict[str, object]:
    """Return what the options name; a configuration may name it instead."""
    given: dict[str, object] = {"judges": args.judge} if args.judge else {}
    benchmarks: dict[str, list[str]] = {}
    for name, *inputs in args.benchmark or ():
        if not inputs:
            raise ConfigError(f"--benchmark {name} has no input: write --benchmark {name} INPUT [INPUT ...]")
        if name in benchmarks:
            raise ConfigError(f"--benchmark {name} is given twice: name all its inputs behind one")
        benchmarks[name] = inputs
    return given | ({"benchmarks": benchmarks} if benchmarks else {})


def _canonical_inputs(given: Sequence[str], source: str, output: Path, *, resume: bool) -> list[Path]:
    stems = [Path(item).stem for item in given]
    double = {stem for stem in stems if stems.count(stem) > 1}
    if double:
        raise ConfigError(f"two inputs of {source} are called {double.pop()}: rename one, or give it once")
    return [canonical(Path(item), source=source, output=output, resume=resume) for item in given]


def _read_labelled(folders: Sequence[Path]) -> list[LabelledSolution]:
    from judgekit.io import read_records
    from judgekit.types import LabelledSolution

    return [solution for folder in folders for solution in read_records(folder, LabelledSolution)]


def _leaderboard(args: argparse.Namespace) -> None:
    from eval.report.markdown_leaderboard import merge_leaderboards

    results = merge_leaderboards(args.run, args.output)
    n_judges = len({item["judge"]["judge_id"] for item in results})
    n_benchmarks = len({item["benchmark"] for item in results})
    print(f"{n_judges} judges on {n_benchmarks} benchmarks: {args.output}")


def _summary(args: argparse.Namespace) -> None:
    from eval.summary import print_headline, write_summary

    print_headline(write_summary(args.run, args.run / "report.html"))


__all__ = ["add_judging_commands"]

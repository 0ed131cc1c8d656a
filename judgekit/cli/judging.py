"""Commands that use judges: judge, benchmark, sum up."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from judgekit.cli.command import add_command, add_judge, add_output, canonical, settings_config
from judgekit.errors import ConfigError


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
        summary="Benchmark a judge: both ProcessBench accuracies and F1 with intervals, calibration, report.html.",
        example="judgekit eval --judge DIR --benchmark processbench --input gsm8k.jsonl --output runs/eval",
    )
    add_judge(parser)
    parser.add_argument("--benchmark", required=True, help="source that reads a raw input, for example processbench")
    parser.add_argument("--input", required=True, nargs="+", help="built data sets, or raw files of the benchmark")
    add_output(parser)

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
    from judgekit.judging import JudgingConfig, judge_file, read_solutions
    from judgekit.terminal import render_judgement

    if args.input is None or args.output is None:
        raise ConfigError("give --input FILE and --output DIR, or --problem TEXT with --step TEXT for each step")
    fixed = {"judge": args.judge, "data": args.input}
    config = settings_config(JudgingConfig, args.settings, fixed=fixed)
    with share_judge(lambda: load_judge(args.judge, dtype=config.dtype)) as judge:
        if judge is None:
            return
        judgements = judge_file(judge, config, args.output, resume=args.resume)
        rule, conformal = judge.decision, getattr(judge, "conformal", None)
    for solution, judgement in list(zip(read_solutions(args.input), judgements, strict=True))[: args.show]:
        show(render_judgement(solution, judgement, rule=rule, conformal=conformal))
    n_no_verdict = sum(judgement.verdict is None for judgement in judgements)
    print(f"{len(judgements)} judged, {n_no_verdict} without a verdict: {args.output}")


def _judge_one(args: argparse.Namespace) -> None:
    from rich import print as show

    from judgekit.judges import load_judge
    from judgekit.judging import JudgingConfig
    from judgekit.terminal import render_judgement
    from judgekit.types import Solution

    if args.input is not None or args.output is not None:
        raise ConfigError("--problem judges one solution and prints it: leave out --input and --output")
    if not args.step:
        raise ConfigError("a solution needs steps: give --step TEXT once for each")
    config = settings_config(JudgingConfig, args.settings, fixed={"judge": args.judge, "data": Path()})
    solution = Solution(problem=args.problem, steps=tuple(args.step))
    judge = load_judge(args.judge, dtype=config.dtype)
    conformal = getattr(judge, "conformal", None)
    show(render_judgement(solution, judge.judge([solution])[0], rule=judge.decision, conformal=conformal))


def _eval(args: argparse.Namespace) -> None:
    from eval.processbench import ProcessBenchConfig, evaluate
    from judgekit.io import read_records
    from judgekit.judges import load_judge
    from judgekit.judges.shared import share_judge
    from judgekit.types import LabelledSolution

    fixed = {"benchmark": args.benchmark}
    config = settings_config(ProcessBenchConfig, args.settings, fixed=fixed)
    with share_judge(lambda: load_judge(args.judge, dtype=config.dtype)) as judge:
        if judge is None:
            return
        data = [canonical(Path(item), args) for item in args.input]
        solutions = [solution for folder in data for solution in read_records(folder, LabelledSolution)]
        results = evaluate(judge, solutions, output=args.output, config=config, inputs=data, resume=args.resume)
    for name, subset in [*results["subsets"].items(), ("average", results["average"])]:
        _print_subset(name, subset)
    print(f"report: {args.output / 'report.html'}")


def _print_subset(name: str, subset: dict[str, Any]) -> None:
    cells = []
    for metric in ("error_accuracy", "correct_accuracy", "f1"):
        figure = subset.get(metric)
        if figure and figure["value"] is not None:
            ends = "" if figure["lo"] is None else f" [{figure['lo']:.1f}, {figure['hi']:.1f}]"
            cells.append(f"{metric} {figure['value']:.1f}{ends}")
    print(f"{name}: {', '.join(cells)}; n {subset.get('n')}, no verdict {subset.get('n_no_verdict')}")


def _summary(args: argparse.Namespace) -> None:
    from eval.summary import print_headline, write_summary

    print_headline(write_summary(args.run, args.run / "report.html"))


__all__ = ["add_judging_commands"]

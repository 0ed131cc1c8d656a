"""Commands that use judges: judge, benchmark, sum up."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from judgekit.cli.command import add_command, add_judge, add_output, settings_config
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
    parser.add_argument("--step", action="append", help="one step of its solution; repeat in order")
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
        "doctor",
        _doctor,
        summary="Tell how a judge reads a solution and whether it scores as it did; exit status 2 where it does not.",
        example="judgekit doctor Qwen/Qwen2.5-Math-PRM-7B --write judges/qwen",
        settings=False,
    )
    parser.add_argument("judge", help="what load_judge opens: a directory, hub id, YAML card or builtin:NAME")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="make it a judge directory: judge.json, golden scores"
    )
    parser.add_argument("--store", action="store_true", help="store golden scores in the judge directory's judge.json")

    parser = add_command(
        commands,
        "bench",
        _bench,
        summary="Measure the speed of judging beside the ways public scripts do it, as ratios of one run.",
        example="judgekit bench --model DIR --input gsm8k.jsonl --output runs/bench n_solutions=16 rounds=3",
    )
    parser.add_argument("--model", required=True, help="checkpoint or judge directory, or hub id of a language model")
    parser.add_argument("--input", type=Path, required=True, help="solutions: a built data set, or a raw file")
    parser.add_argument(
        "--benchmark", default="processbench", help="source that reads a raw input (default processbench)"
    )
    add_output(parser)

    parser = add_command(
        commands,
        "attack",
        _attack,
        summary="Attack a judge: by how much each way to hide an error raises P(no error) and RTS.",
        example="judgekit attack --judge DIR --input data/processbench --output runs/attacks n_max=100",
    )
    parser.add_argument("--judge", required=True, help="judge directory, hub id or builtin:NAME")
    parser.add_argument("--input", type=Path, required=True, help="labelled data set: folder, parquet or JSON lines")
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
        rule = judge.decision
    for solution, judgement in list(zip(read_solutions(args.input), judgements, strict=True))[: args.show]:
        show(render_judgement(solution, judgement, rule=rule))
    n_no_verdict = sum(judgement.verdict is None for judgement in judgements)
    print(f"{len(judgements)} judged, {n_no_verdict} without a verdict: {args.output}")


def _judge_one(args: argparse.Namespace) -> None:
    from rich import print as show

    from judgekit.judges import load_judge
    from judgekit.terminal import render_judgement
    from judgekit.types import Solution

    if not args.step:
        raise ConfigError("a solution needs steps: give --step TEXT once for each")
    solution = Solution(problem=args.problem, steps=tuple(args.step))
    judge = load_judge(args.judge)
    show(render_judgement(solution, judge.judge([solution])[0], rule=judge.decision))


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
        data = [_canonical(Path(item), args) for item in args.input]
        solutions = [solution for folder in data for solution in read_records(folder, LabelledSolution)]
        results = evaluate(judge, solutions, output=args.output, config=config, inputs=data, resume=args.resume)
    for name, subset in [*results["subsets"].items(), ("average", results["average"])]:
        _print_subset(name, subset)
    print(f"report: {args.output / 'report.html'}")


def _canonical(given: Path, args: argparse.Namespace) -> Path:
    """A built data set as it is; a raw benchmark file, folder or hub id built below the output first."""
    from datasets_builders.build import build
    from judgekit.io import MANIFEST

    if (given / MANIFEST).is_file() or given.suffix == ".parquet":
        return given
    folder: Path = args.output / "data" / given.stem
    build(args.benchmark, input=str(given), output=folder, resume=args.resume)
    return folder


def _print_subset(name: str, subset: dict[str, Any]) -> None:
    cells = []
    for metric in ("error_accuracy", "correct_accuracy", "f1"):
        figure = subset.get(metric)
        if figure and figure["value"] is not None:
            cells.append(f"{metric} {figure['value']:.1f} [{figure['lo']:.1f}, {figure['hi']:.1f}]")
    print(f"{name}: {', '.join(cells)}; n {subset.get('n')}, no verdict {subset.get('n_no_verdict')}")


def _doctor(args: argparse.Namespace) -> None:
    from judgekit.doctor import examine, refuse_failed, store_golden, write_judge

    examination = examine(args.judge)
    for line in (*examination.about, "", *examination.example, ""):
        print(line)
    for finding in examination.findings:
        verdict = {True: "ok", False: "FAILED", None: "-"}[finding.ok]
        print(f"{verdict:6} {finding.check}: {finding.text}")
    if args.write is not None:
        print(f"judge directory: {write_judge(args.judge, args.write, examination.golden)}")
    if args.store:
        store_golden(Path(args.judge), examination.golden)
        print(f"golden scores of {len(examination.golden)} solutions stored")
    refuse_failed(examination, but=("golden scores",) if args.store else ())


def _bench(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from eval.judge_speed import BenchConfig, bench
    from eval.speed_report import HEADER, table_rows, write_speed_report
    from judgekit.io import write_json
    from judgekit.judging import read_solutions
    from judgekit.run import Run

    config = settings_config(BenchConfig, args.settings, fixed={"model": args.model, "data": args.input})
    data = _canonical(args.input, args)
    run = Run(args.output, config, inputs=[data], resume=args.resume)
    results = bench(config, read_solutions(data))
    write_json(args.output / "bench.json", results)
    write_speed_report(args.output, results)
    run.finish({"ways": len(results["ways"])})
    table = Table(*HEADER[:6])
    for row in table_rows(results):
        table.add_row(*row[:6])
    Console().print(table)
    print(f"bench.json, bench.md and bench.png: {args.output}")


def _attack(args: argparse.Namespace) -> None:
    from eval.attack_run import REPORT, AttackConfig, attack_judges
    from eval.interval_bars import signed
    from judgekit.io import read_records
    from judgekit.judges import load_judge
    from judgekit.types import LabelledSolution

    config = settings_config(AttackConfig, args.settings, fixed={"judge": args.judge})
    judges = {"judge": load_judge(args.judge, dtype=config.dtype)}
    if config.without_neutralisation:
        judges["not-neutralised"] = load_judge(args.judge, dtype=config.dtype, neutralise=False)
    solutions = read_records(args.input, LabelledSolution)
    results = attack_judges(
        judges, solutions, output=args.output, config=config, inputs=[args.input], resume=args.resume
    )
    for name, attack in results["attacks"].items():
        for judge, effects in attack["judges"].items():
            changes = f"P(no error) {signed(effects['p_none']['value'])}, RTS {signed(effects['rts']['value'])}"
            counts = f"flips {effects['n_flips']} of {effects['n_found_before']}, unscored {effects['n_unscored']}"
            print(f"{name}, {judge}: {changes}, {counts}")
    print(f"report: {args.output / REPORT}")


def _summary(args: argparse.Namespace) -> None:
    from eval.summary import print_headline, write_summary

    print_headline(write_summary(args.run, args.run / "report.html"))


__all__ = ["add_judging_commands"]

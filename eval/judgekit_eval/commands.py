"""Commands that measure: judges on benchmarks, under attack and as rerankers; policies; speed."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path

from judgekit.cli.command import JUDGE_HELP, OUTPUT, Argument, Command, build_if_raw, raise_failed, split_settings
from judgekit.config import parse_config, read_settings
from judgekit.errors import ConfigError, DataError
from judgekit_eval.attacks.config import AttackConfig
from judgekit_eval.best_of_n.config import BestOfNConfig
from judgekit_eval.judges.config import EvalConfig
from judgekit_eval.policy.config import PolicyConfig
from judgekit_eval.speed.config import BenchConfig


def _judges_and_benchmarks(args: argparse.Namespace) -> dict[str, object]:
    """Return what the options and the evaluations that are reused name; a configuration may name it instead."""
    benchmarks: dict[str, Sequence[str]] = {}
    for name, inputs in _named_inputs(args):
        if name in benchmarks:
            raise ConfigError(f"--benchmark {name} is given twice: name all its inputs behind one")
        benchmarks[name] = inputs
    if args.reuse:
        from judgekit_eval.judges.reuse import merge_configs

        file, overrides = split_settings(args.settings)
        settings = read_settings(file, overrides=overrides)
        named = {name: settings[name] for name in ("judges", "benchmarks") if name in settings}
        config = parse_config(EvalConfig, {"judges": ["none"], "benchmarks": {"none": []}} | named, where="eval")
        judges = [*(config.judges if "judges" in named else ()), *(args.judge or ())]
        benchmarks = {**(config.benchmarks if "benchmarks" in named else {}), **benchmarks}
        return merge_configs(args.reuse, judges=judges, benchmarks=benchmarks)
    given = {"judges": args.judge, "benchmarks": benchmarks}
    return {name: value for name, value in given.items() if value}


def _named_inputs(args: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Return what `--benchmark NAME INPUT [INPUT ...]` was given, in order."""
    for name, *inputs in args.benchmark or ():
        if not inputs:
            raise ConfigError(f"--benchmark {name} has no input: write --benchmark {name} INPUT [INPUT ...]")
    return [(name, inputs) for name, *inputs in args.benchmark or ()]


def _eval(args: argparse.Namespace, config: EvalConfig) -> None:
    from judgekit_eval.api import evaluate_config
    from judgekit_eval.evaluate import LEADERBOARD
    from judgekit_eval.report.terminal import print_leaderboards
    from judgekit_eval.runner import REPORT

    evaluation = evaluate_config(config, args.output, resume=args.resume, reuse=args.reuse)
    if evaluation is None:
        return
    print_leaderboards(evaluation.leaderboards)
    print(f"report: {args.output / REPORT}, leaderboard: {args.output / LEADERBOARD}")
    raise_failed([failure.line for failure in evaluation.failures], n_judges=len(config.judges))


EVAL = Command(
    summary="Benchmark judges: figures with intervals, calibration, comparisons, leaderboard.md and report.html.",
    example="judgekit eval --judge DIR --judge builtin:random --benchmark processbench gsm8k.jsonl --output runs/e",
    run=_eval,
    arguments=(
        Argument("--judge", action="append", metavar="JUDGE", help=f"{JUDGE_HELP}; once for each judge"),
        Argument(
            "--benchmark",
            action="append",
            nargs="+",
            metavar=("NAME", "INPUT"),
            help="source, for example processbench, and its built data sets or raw files; once for each benchmark",
        ),
        Argument(
            "--reuse",
            action="append",
            type=Path,
            default=[],
            metavar="RUN",
            help="folder of an earlier evaluation: its judges and benchmarks are part of this one, and what they said "
            "is not asked again; may be repeated",
        ),
        *OUTPUT,
    ),
    config=EvalConfig,
    fixed=_judges_and_benchmarks,
)


def _leaderboard(args: argparse.Namespace) -> None:
    from judgekit_eval.report.markdown_leaderboard import merge_leaderboards

    results = merge_leaderboards(args.run, args.output)
    n_judges = len({item.judge.judge_id for item in results})
    n_benchmarks = len({item.benchmark for item in results})
    print(f"{n_judges} judges on {n_benchmarks} benchmarks: {args.output}")


LEADERBOARD = Command(
    summary="Merge evaluations of the same benchmark data into one leaderboard.",
    example="judgekit leaderboard runs/eval-a runs/eval-b --output leaderboard.md",
    run=_leaderboard,
    arguments=(
        Argument("run", nargs="+", type=Path, help="folder that `judgekit eval` has written"),
        Argument("--output", type=Path, required=True, help="Markdown file to write"),
    ),
)


def _attack(args: argparse.Namespace, config: AttackConfig) -> None:
    from judgekit.io import read_records
    from judgekit.judges import load_judge
    from judgekit.judges.card import CARD, read_card
    from judgekit.judges.trust import update_card
    from judgekit.report.interval_bars import signed
    from judgekit.types import LabelledSolution
    from judgekit_eval.attacks.report import reading_lines
    from judgekit_eval.attacks.run import attack_judges
    from judgekit_eval.runner import REPORT

    if args.store and not (Path(args.judge) / CARD).is_file():
        raise ConfigError(f"--store is for judge directories, and {args.judge} has no {CARD}: leave it out")
    # Variants of one judge are few and of one size, and all are asked in turn: they stay open together.
    judges = {"judge": load_judge(args.judge, dtype=config.dtype)}
    if config.without_neutralisation:
        judges["not-neutralised"] = load_judge(args.judge, dtype=config.dtype, neutralise=False)
    solutions = read_records(args.input, LabelledSolution)
    results = attack_judges(
        judges, solutions, output=args.output, config=config, inputs=[args.input], resume=args.resume
    )
    for name, attack in results.attacks.items():
        for judge, effects in attack.judges.items():
            changes = f"P(no error) {signed(effects.p_none.value)}, RTS {signed(effects.rts.value)}"
            counts = f"flips {effects.n_flips} of {effects.n_found_before}, unscored {effects.n_unscored}"
            print(f"{name}, {judge}: {changes}, {counts}")
    for line in reading_lines(results):
        print(line)
    print(f"report: {args.output / REPORT}")
    if args.store:
        score = results.reading.scores["judge"] if results.reading else None
        if score is None:
            raise DataError(
                f"no reading score to store: {args.input} must hold right solutions to several problems, with numbers "
                "in them, and attacks= must not leave out problems-shuffled or numbers-changed"
            )
        directory = Path(args.judge)
        update_card(directory, read_card(directory).model_copy(update={"reading": score}))
        print(f"reading score stored in {directory / CARD}")


ATTACK = Command(
    summary="Attack a judge: how much do ways to hide an error raise P(no error), and does it read the problem?",
    example="judgekit attack DIR --input data/processbench --output runs/attacks n_max=100",
    run=_attack,
    arguments=(
        Argument("judge", help=JUDGE_HELP),
        Argument(
            "--input", "--data", type=Path, required=True, help="labelled data set: folder, parquet or JSON lines"
        ),
        Argument("--store", action="store_true", help="store the reading score in the judge directory's judge.json"),
        *OUTPUT,
    ),
    config=AttackConfig,
    fixed=lambda args: {"judge": args.judge},
)


def _best_of_n(args: argparse.Namespace, config: BestOfNConfig) -> None:
    from judgekit.groups import load_groups
    from judgekit.judges import load_judge
    from judgekit_eval.best_of_n.rerank import TABLE, evaluate_best_of_n

    judges = {name: functools.partial(load_judge, name, dtype=config.dtype) for name in args.judge}
    groups = load_groups(args.groups, min_size=1)  # the smallest N is 1: small groups are left out where N is larger
    results = evaluate_best_of_n(
        judges, groups, output=args.output, config=config, inputs=[args.groups], resume=args.resume
    )
    print((args.output / TABLE).read_text(encoding="utf-8"))
    raise_failed(results.failures, n_judges=len(judges))


BEST_OF_N = Command(
    summary="Rerank stored groups of responses by judges: best of N next to oracle, majority and random choice.",
    example="judgekit best-of-n --judge DIR --judge builtin:symbolic --groups data/groups --output runs/best-of-n",
    run=_best_of_n,
    arguments=(
        Argument("--judge", action="append", required=True, help=f"{JUDGE_HELP}; may be repeated"),
        Argument("--groups", type=Path, required=True, help="groups data set: `judgekit build groups`, rollouts"),
        *OUTPUT,
    ),
    config=BestOfNConfig,
    fixed=lambda args: {"judges": tuple(args.judge)},
)


def _policy(args: argparse.Namespace, config: PolicyConfig) -> None:
    from judgekit.io import read_records
    from judgekit.types import Problem
    from judgekit_eval.policy.evaluate import TABLE, evaluate_policy

    data = [
        build_if_raw(Path(item), source=source, output=args.output / "data" / source, resume=args.resume)
        for source, given in _named_inputs(args)
        for item in given
    ]
    problems = [problem for folder in data for problem in read_records(folder, Problem)]
    evaluate_policy(problems, output=args.output, config=config, inputs=data, resume=args.resume)
    print((args.output / TABLE).read_text(encoding="utf-8"))


POLICY = Command(
    summary="Evaluate a policy on problems with answers: avg@k and unbiased pass@k, with intervals.",
    example="judgekit policy configs/eval/policy.yaml --benchmark gsm8k test.jsonl --output runs/policy",
    run=_policy,
    arguments=(
        Argument(
            "--benchmark",
            nargs="+",
            action="append",
            required=True,
            metavar=("SOURCE", "INPUT"),
            help="a source of problems and its files, folders or hub ids, or data sets built from it; may be repeated",
        ),
        *OUTPUT,
    ),
    config=PolicyConfig,
)


def _bench(args: argparse.Namespace, config: BenchConfig) -> None:
    from rich.table import Table

    from judgekit.judging.run import read_solutions
    from judgekit.report.terminal import console
    from judgekit.run import Run
    from judgekit_eval.runner import Runner
    from judgekit_eval.speed.judge_speed import bench
    from judgekit_eval.speed.speed_report import HEADER, draw_ratios, speed_markdown, table_rows

    data = build_if_raw(args.input, source=args.benchmark, output=args.output / "data", resume=args.resume)
    run = Run(args.output, config, inputs=[data], resume=args.resume)
    results = bench(config, read_solutions(data))
    draw_ratios(args.output / "bench.png", results)
    shown, summary = {"bench.md": speed_markdown(results)}, {"ways": len(results.ways)}
    Runner(run).write(results, shown, summary=summary, name="bench.json")
    table = Table(*HEADER[:6])
    for row in table_rows(results):
        table.add_row(*row[:6])
    console().print(table)
    print(f"bench.json, bench.md and bench.png: {args.output}")


BENCH = Command(
    summary="Compare the speed of judging with the methods of public scripts, as ratios within one run.",
    example="judgekit bench --model DIR --input gsm8k.jsonl --output runs/bench n_solutions=16 rounds=3",
    run=_bench,
    arguments=(
        Argument("--model", required=True, help="checkpoint or judge directory, or hub id of a language model"),
        Argument("--input", "--data", type=Path, required=True, help="solutions: a built data set, or a raw file"),
        Argument("--benchmark", default="processbench", help="source that reads a raw input (default processbench)"),
        *OUTPUT,
    ),
    config=BenchConfig,
    fixed=lambda args: {"model": args.model, "data": args.input},
)

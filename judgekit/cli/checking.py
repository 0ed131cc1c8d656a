"""Commands that check judges: how they read, how fast they are, what fools them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from judgekit.cli.command import JUDGE_HELP, add_command, add_output, add_settings, canonical, settings_config


def add_checking_commands(commands: Any) -> None:
    """Declare them."""
    parser = add_command(
        commands,
        "doctor",
        _doctor,
        summary="Tell how a judge reads a solution and whether it scores as it did; exit status 2 where it does not.",
        example="judgekit doctor Qwen/Qwen2.5-Math-PRM-7B --write judges/qwen",
        settings=False,
    )
    parser.add_argument("judge", help=JUDGE_HELP)
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="make it a judge directory: judge.json, golden scores"
    )
    parser.add_argument("--store", action="store_true", help="store golden scores in the judge directory's judge.json")

    parser = add_command(
        commands,
        "trust",
        _trust,
        summary="Take a judge's card for your own: it may then name servers, environment variables and files to write.",
        example="judgekit trust judges/critic  # after reading judges/critic/judge.json",
        settings=False,
    )
    parser.add_argument("judge", help="judge directory, hub id or YAML card; its members are trusted with it")

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
        example="judgekit attack DIR --input data/processbench --output runs/attacks n_max=100",
        settings=False,
    )
    parser.add_argument("judge", help=JUDGE_HELP)
    add_settings(parser)
    parser.add_argument("--input", type=Path, required=True, help="labelled data set: folder, parquet or JSON lines")
    add_output(parser)


def _doctor(args: argparse.Namespace) -> None:
    from judgekit.judges.doctor import examine, refuse_failed, store_golden, write_judge

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


def _trust(args: argparse.Namespace) -> None:
    from judgekit.judges.recognise import trust_judge
    from judgekit.judges.trust import trusted_cards

    for line in trust_judge(args.judge):
        print(f"trusted {line}")
    print(f"as they are now and where they are now, by {trusted_cards()}: take the line out to end it")


def _bench(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from eval.speed.config import BenchConfig
    from eval.speed.judge_speed import bench
    from eval.speed.speed_report import HEADER, table_rows, write_speed_report
    from judgekit.io import write_json
    from judgekit.judging import read_solutions
    from judgekit.run import Run

    config = settings_config(BenchConfig, args.settings, fixed={"model": args.model, "data": args.input})
    data = canonical(args.input, source=args.benchmark, output=args.output / "data", resume=args.resume)
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
    from eval.attacks.config import AttackConfig
    from eval.attacks.run import REPORT, attack_judges
    from judgekit.io import read_records
    from judgekit.judges import load_judge
    from judgekit.report.interval_bars import signed
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


__all__ = ["add_checking_commands"]

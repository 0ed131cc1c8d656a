"""The `judgekit` command: parses first, imports the heavy parts after.

This is the composition root: the only module of the package that may know data builders and benchmarks. Every command
is a function that takes the parsed arguments and imports what it runs, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from judgekit.config import BaseConfig, load_config
from judgekit.errors import ConfigError, JudgekitError

Command = Callable[[argparse.Namespace], None]
ConfigT = TypeVar("ConfigT", bound=BaseConfig)

DESCRIPTION = "Build step-labelled data, train, calibrate and benchmark step-wise judges."
SETTINGS_HELP = "a YAML file, then key=value for single options (lr=1e-5, data.n_max=null)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `judgekit`; returns the exit status."""
    return run_command(_parser(), argv)


def run_command(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn our own errors into one line on stderr; returns the exit status."""
    args = _parse(parser, argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("httpx", "huggingface_hub", "datasets", "transformers"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        args.command(args)
    except JudgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished work is kept, continue with --resume", file=sys.stderr)
        return 130
    return 0


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse; settings may stand before and after the options, which argparse alone refuses."""
    args, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(args, "settings") or any(item.startswith("-") for item in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.settings = [*args.settings, *rest]
    return args


def add_command(
    commands: Any, name: str, command: Command, *, summary: str, example: str, settings: bool = True
) -> argparse.ArgumentParser:
    """Declare a subcommand; with `settings` it takes a YAML file and overrides."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    if settings:
        parser.add_argument("settings", nargs="*", metavar="CONFIG.yaml | key=value", help=SETTINGS_HELP)
    return parser


def add_output(parser: argparse.ArgumentParser) -> None:
    """Declare `--output` and `--resume`."""
    parser.add_argument("--output", type=Path, required=True, help="folder to write; refused where it is in use")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run, or leave a finished one")


def settings_config(
    config_type: type[ConfigT], settings: Sequence[str], *, fixed: Mapping[str, object] | None = None
) -> ConfigT:
    """Read the positional settings: at most one YAML file, and overrides; `fixed` values win.

    Raises:
        ConfigError: two files, or see `load_config`.
    """
    files = [item for item in settings if "=" not in item]
    if len(files) > 1:
        raise ConfigError(f"one configuration file is wanted, not {', '.join(files)}; write options as key=value")
    overrides = [item for item in settings if "=" in item]
    return load_config(config_type, Path(files[0]) if files else None, overrides=overrides, fixed=fixed)


def _build(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.build import build
    from datasets_builders.build_report import render_report
    from datasets_builders.registry import load_source

    source = load_source(args.source)
    options = settings_config(source.config_type, args.settings)
    report = build(
        source, input=args.input, output=args.output, options=options, resume=args.resume, progress=sys.stderr.isatty()
    )
    show(render_report(report))


def _split(args: argparse.Namespace) -> None:
    from datasets_builders.split import split

    outputs = {}
    for side in args.sides:
        folder, _, fraction = side.rpartition("=")
        try:
            outputs[Path(folder)] = float(fraction)
        except ValueError as error:
            raise ConfigError(f"{side!r} is no side: write FOLDER=FRACTION, for example data/train=0.9") from error
    for folder, n_rows in split(args.input, outputs, seed=args.seed, resume=args.resume).items():
        print(f"{folder}: {n_rows} rows")


def _pretrain(args: argparse.Namespace) -> None:
    from judgekit.training.config import LanguageModelConfig

    config = settings_config(LanguageModelConfig, args.settings)  # refused before torch is loaded
    from judgekit.training.language_model import pretrain

    print(f"language model: {pretrain(config, args.output, resume=args.resume)}")


def _train(args: argparse.Namespace) -> None:
    from judgekit.training.config import JudgeTrainingConfig

    config = settings_config(JudgeTrainingConfig, args.settings)
    from judgekit.judges.card import read_card
    from judgekit.training.judge import train_judge

    directory = train_judge(config, args.output, resume=args.resume)
    print(f"judge: {directory}")
    _print_figures(read_card(directory).metrics)


def _fit(args: argparse.Namespace) -> None:
    from judgekit.training.config import LikelihoodConfig

    config = settings_config(LikelihoodConfig, args.settings)
    from judgekit.judges.card import read_card
    from judgekit.training.likelihood import fit_likelihood

    directory = fit_likelihood(config, args.output, resume=args.resume)
    card = read_card(directory)
    print(f"judge: {directory}\nfitted: {card.likelihood}")
    _print_figures(card.metrics)


def _calibrate(args: argparse.Namespace) -> None:
    from judgekit.calibration import CalibrationConfig, calibrate_judge
    from judgekit.judges.card import read_card

    report = calibrate_judge(args.judge, args.data, settings_config(CalibrationConfig, args.settings))
    card = read_card(args.judge)
    for name in report.before:
        print(f"{name:>6}: {report.before[name]:.4f} -> {report.after[name]:.4f}")
    if card.calibrator is not None:
        print(f"temperature {card.calibrator.temperature:.3f}; decision {card.decision}")


def _judge(args: argparse.Namespace) -> None:
    from judgekit.judges import load_judge

    if args.problem is not None:
        _judge_one(args)
        return
    from rich import print as show

    from judgekit.judging import JudgingConfig, judge_file, read_solutions
    from judgekit.terminal import render_judgement

    if args.input is None or args.output is None:
        raise ConfigError("give --input FILE and --output DIR, or --problem TEXT with --step TEXT for each step")
    fixed = {"judge": args.judge, "data": args.input}
    config = settings_config(JudgingConfig, args.settings, fixed=fixed)
    judge = load_judge(args.judge, dtype=config.dtype)
    judgements = judge_file(judge, config, args.output, resume=args.resume)
    for solution, judgement in list(zip(read_solutions(args.input), judgements, strict=True))[: args.show]:
        show(render_judgement(solution, judgement, rule=judge.decision))
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
    from judgekit.types import LabelledSolution

    fixed = {"benchmark": args.benchmark}
    config = settings_config(ProcessBenchConfig, args.settings, fixed=fixed)
    data = [_canonical(Path(item), args) for item in args.input]
    solutions = [solution for folder in data for solution in read_records(folder, LabelledSolution)]
    judge = load_judge(args.judge, dtype=config.dtype)
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


def _summary(args: argparse.Namespace) -> None:
    from eval.summary import print_headline, write_summary

    print_headline(write_summary(args.run, args.run / "report.html"))


def _print_figures(figures: dict[str, float | int | None]) -> None:
    for name, value in figures.items():
        print(f"  {name}: {value:.4f}" if isinstance(value, float) else f"  {name}: {value}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="judgekit", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data_commands(commands)
    _add_training_commands(commands)
    _add_judging_commands(commands)
    return parser


def _add_data_commands(commands: Any) -> None:
    from datasets_builders.registry import source_names

    parser = add_command(
        commands,
        "build",
        _build,
        summary="Build a data set from a source: import, check, count; rejected rows go to rejected.jsonl.",
        example="judgekit build processbench --input gsm8k.jsonl --output data/processbench",
        settings=False,
    )
    parser.add_argument("source", metavar="SOURCE", help=f"one of {', '.join(source_names())}")
    parser.add_argument("settings", nargs="*", metavar="CONFIG.yaml | key=value", help=SETTINGS_HELP)
    parser.add_argument(
        "--input", help="file, folder or hub id (OWNER/NAME[:CONFIG[:SPLIT]]); none for procedural ones"
    )
    add_output(parser)

    parser = add_command(
        commands,
        "split",
        _split,
        summary="Split a data set by problem, so that no problem is on two sides.",
        example="judgekit split data/all data/train=0.9 data/calibration=0.1",
        settings=False,
    )
    parser.add_argument("input", type=Path, help="data set folder")
    parser.add_argument("sides", nargs="+", metavar="FOLDER=FRACTION", help="folders to write; fractions sum to 1")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another split (default 0)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted split")


def _add_training_commands(commands: Any) -> None:
    parser = add_command(
        commands,
        "pretrain",
        _pretrain,
        summary="Train the tiny language model on solutions: a base for judge and policy that needs no download.",
        example="judgekit pretrain configs/quickstart/base.yaml --output runs/base",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "train",
        _train,
        summary="Train a step-classifier judge from any causal checkpoint.",
        example="judgekit train configs/quickstart/judge.yaml lr=5e-4 --output runs/judge",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "fit",
        _fit,
        summary="Fit a likelihood judge: any language model whose surprise at a step's tokens is mapped to P(step ok).",
        example="judgekit fit model=runs/base/model data=[data/train] --output runs/judge",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "calibrate",
        _calibrate,
        summary="Fit temperature and decision threshold on problems the judge was not trained on; updates judge.json.",
        example="judgekit calibrate --judge runs/judge/judge --data data/calibration",
    )
    parser.add_argument("--judge", type=Path, required=True, help="judge directory")
    parser.add_argument("--data", type=Path, required=True, help="data set of labelled solutions")


def _add_judging_commands(commands: Any) -> None:
    parser = add_command(
        commands,
        "judge",
        _judge,
        summary="Judge a file of solutions, or one given here, and show it with its steps coloured.",
        example='judgekit judge --judge runs/judge/judge --problem "2+3-1?" --step "2+3=6" --step "6-1=5"',
    )
    parser.add_argument("--judge", required=True, help="judge directory, hub id or builtin:NAME")
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
    parser.add_argument("--judge", required=True, help="judge directory, hub id or builtin:NAME")
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


if __name__ == "__main__":
    sys.exit(main())

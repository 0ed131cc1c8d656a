"""Commands that make data: build, mix, split, curate, publish."""

from __future__ import annotations

import argparse
from pathlib import Path

from judgekit.cli.command import OUTPUT, Argument, Command
from judgekit.config import BaseConfig
from judgekit.errors import ConfigError
from judgekit_datasets.curation.config import CurationConfig
from judgekit_datasets.mix_config import MixConfig
from judgekit_datasets.registry import load_source, source_names


def _options_of_source(args: argparse.Namespace) -> type[BaseConfig]:
    if args.source is None:
        raise ConfigError("options depend on the source: see judgekit build SOURCE --help")
    return load_source(args.source).config_type


def _build(args: argparse.Namespace, options: BaseConfig) -> None:
    from judgekit.report.terminal import console
    from judgekit_datasets.build import build
    from judgekit_datasets.build_report import render_report

    source = load_source(args.source)
    report = build(source, input=args.input, output=args.output, options=options, resume=args.resume, progress=True)
    console().print(render_report(report))


BUILD = Command(
    summary="Build a data set from a source: import, check, count; rejected rows go to rejected.jsonl.",
    example="judgekit build processbench --input gsm8k.jsonl --output data/processbench",
    run=_build,
    arguments=(
        Argument("source", metavar="SOURCE", help=f"one of {', '.join(source_names())}"),
        Argument("--input", help="file, folder or Hub id (OWNER/NAME[:CONFIG[:SPLIT]]); none for procedural ones"),
        *OUTPUT,
    ),
    config=_options_of_source,
)


def _split(args: argparse.Namespace) -> None:
    from judgekit_datasets.split import split

    outputs = {}
    for side in args.sides:
        folder, _, fraction = side.rpartition("=")
        try:
            outputs[Path(folder)] = float(fraction)
        except ValueError as error:
            raise ConfigError(f"{side!r} is not a side: write FOLDER=FRACTION, for example data/train=0.9") from error
    for folder, n_rows in split(args.input, outputs, seed=args.seed, resume=args.resume).items():
        print(f"{folder}: {n_rows} rows")


SPLIT = Command(
    summary="Split a data set by problem, so that no problem is in two parts.",
    example="judgekit split data/all data/train=0.9 data/calibration=0.1",
    run=_split,
    arguments=(
        Argument("input", type=Path, help="data set folder"),
        Argument("sides", nargs="+", metavar="FOLDER=FRACTION", help="folders to write; fractions sum to 1"),
        Argument("--seed", type=int, default=0, help="seed of the split (default 0)"),
        Argument("--resume", action="store_true", help="continue an interrupted split"),
    ),
)


def _mix(args: argparse.Namespace, config: MixConfig) -> None:
    from judgekit.report.terminal import console
    from judgekit_datasets.mix import build_mix, render_mix_report

    console().print(render_mix_report(build_mix(config, args.output, resume=args.resume, progress=True)))


MIX = Command(
    summary="Build several sources, shuffle them into one data set and report its contents.",
    example="judgekit mix configs/data/mixed_300k.yaml data_root=downloads --output data/mixed",
    run=_mix,
    arguments=OUTPUT,
    config=MixConfig,
)


def _curate(args: argparse.Namespace, config: CurationConfig) -> None:
    from judgekit.report.terminal import console
    from judgekit_datasets.curation.curate import curate
    from judgekit_datasets.curation.report import render_curation

    console().print(render_curation(curate(config, args.output, resume=args.resume, progress=True)))
    print(f"report: {args.output / 'curation.html'}")
    if args.push_to_hub is not None:
        from judgekit_datasets.curation.publish import push_to_hub

        print(push_to_hub(args.output, args.push_to_hub))


CURATE = Command(
    summary="Filter, deduplicate, decontaminate, balance and split; removed rows are stored with the reason.",
    example='judgekit curate configs/data/curate.yaml "data=[data/mixed]" --output data/curated',
    run=_curate,
    arguments=(
        *OUTPUT,
        Argument("--push-to-hub", metavar="OWNER/NAME", help="upload the result to the Hub (private) when done"),
    ),
    config=CurationConfig,
)

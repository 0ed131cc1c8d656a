"""Commands that make data: build, mix, split, curate, publish."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from judgekit.cli.command import SETTINGS_HELP, add_command, add_output, settings_config
from judgekit.errors import ConfigError


def add_data_commands(commands: Any) -> None:
    """Declare them."""
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

    parser = add_command(
        commands,
        "mix",
        _mix,
        summary="Build several sources, shuffle them into one data set and count what is in it.",
        example="judgekit mix configs/data/mixed_300k.yaml data_root=downloads --output data/mixed",
    )
    add_output(parser)
    parser = add_command(
        commands,
        "curate",
        _curate,
        summary="Filter, deduplicate, decontaminate, balance and split; all that goes is kept aside with its reason.",
        example="judgekit curate configs/data/curate.yaml data=[data/mixed] --output data/curated",
    )
    add_output(parser)
    parser.add_argument("--push-to-hub", metavar="OWNER/NAME", help="put the result on the Hub (private) when done")
    parser = add_command(
        commands,
        "push",
        _push,
        summary="Put a curated data set with its card on the Hub.",
        example="judgekit push data/curated my-name/my-data",
        settings=False,
    )
    parser.add_argument("directory", type=Path, help="folder that `judgekit curate` has finished")
    parser.add_argument("repo_id", metavar="OWNER/NAME", help="repository on the Hub; made where it is missing")
    parser.add_argument("--public", action="store_true", help="make a new repository public (default: private)")


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


def _mix(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.mix_config import MixConfig

    config = settings_config(MixConfig, args.settings)
    from datasets_builders.mix import build_mix, render_mix_report

    show(render_mix_report(build_mix(config, args.output, resume=args.resume, progress=sys.stderr.isatty())))


def _curate(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.curation.config import CurationConfig

    config = settings_config(CurationConfig, args.settings)
    from datasets_builders.curation.curate import curate
    from datasets_builders.curation.report import render_curation

    show(render_curation(curate(config, args.output, resume=args.resume, progress=sys.stderr.isatty())))
    print(f"report: {args.output / 'curation.html'}")
    if args.push_to_hub is not None:
        from datasets_builders.curation.publish import push_to_hub

        print(push_to_hub(args.output, args.push_to_hub))


def _push(args: argparse.Namespace) -> None:
    from datasets_builders.curation.publish import push_to_hub

    print(push_to_hub(args.directory, args.repo_id, private=not args.public))


__all__ = ["add_data_commands"]

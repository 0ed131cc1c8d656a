"""The command that labels by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from judgekit.cli.command import JUDGE_HELP, OUTPUT, Argument, Command
from judgekit_datasets.by_hand.config import LabelConfig


def _label(args: argparse.Namespace, config: LabelConfig) -> None:
    import io
    import signal
    import sys

    from rich.console import Console

    from judgekit.training.floors import LENGTH
    from judgekit_datasets.by_hand.figures import fit_prior
    from judgekit_datasets.by_hand.page import serve_page
    from judgekit_datasets.by_hand.terminal import label_in_terminal
    from judgekit_datasets.by_hand.text_probe import TextProbe, fit_lengths
    from judgekit_datasets.by_hand.work import DATA_SET, open_work

    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a note may hold whatever a terminal sends
    with open_work(
        config,
        args.output,
        annotator=args.annotator,
        judge=args.judge,
        random_share=args.random_share,
        disputed=args.disputed,
        fits={"position prior": fit_prior, LENGTH: fit_lengths, "probe without a model": TextProbe().fit},
        resume=args.resume,
    ) as work:
        if work.pool.n_left_out:
            print(f"{work.pool.n_left_out} rows left out: without a step, or duplicates")
        if args.page:
            serve_page(work, port=args.port, announce=lambda url: print(f"label at {url} (Ctrl-C ends)", flush=True))
        else:
            # Libraries' handlers let a waiting read go on after Ctrl-C, which would then count at the next Enter.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            label_in_terminal(work, typed=sys.stdin, console=Console(file=sys.stdout))
        for row in [*work.progress(), *work.figures()]:
            print(f"{row.name}: {row.value}")
    n = work.run.results.get("n", 0)
    print(f"{n} labelled solutions: {args.output / DATA_SET}" if n else "nothing is labelled yet", flush=True)


LABEL = Command(
    summary="Label solutions by hand, in the terminal or on a local page: the first wrong step, or none.",
    example="judgekit label --input gsm8k.jsonl reader=processbench --output runs/label --page",
    run=_label,
    arguments=(
        Argument(
            "--input", "--data", type=Path, help="solutions, labelled ones or rollouts: folder, parquet or JSON lines"
        ),
        *OUTPUT,
        Argument("--annotator", default="me", help="who labels; several may label in one folder (default me)"),
        Argument("--judge", help=f"alternate random solutions with those where this judge is least sure: {JUDGE_HELP}"),
        Argument(
            "--random-share",
            type=float,
            default=0.5,
            metavar="SHARE",
            help="with a judge, share of solutions still drawn at random; metrics use only these (default 0.5)",
        ),
        Argument("--disputed", action="store_true", help="show only solutions on which annotators disagree"),
        Argument("--page", action="store_true", help="label on a page that only this machine can open"),
        Argument("--port", type=int, default=0, help="port of the page (default: a free one)"),
    ),
    config=LabelConfig,
    fixed=lambda args: {"data": args.input} if args.input is not None else {},
)

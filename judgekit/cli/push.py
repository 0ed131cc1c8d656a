"""`judgekit push`: publish a judge or a data set. Each package uploads its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import cast

from judgekit.cli.command import Argument, Command
from judgekit.errors import ConfigError
from judgekit.extensions import resolve


def _push(args: argparse.Namespace) -> None:
    from judgekit.judges.card import CARD, refuse_run_folder

    refuse_run_folder(args.directory)
    about_judges = {"licence": args.licence, "runs": args.results, "base_model": args.base_model}
    # By name: nothing in judgekit may import the packages that evaluate and that build data.
    if (args.directory / CARD).is_file():
        push = cast("Callable[..., str]", resolve("judgekit_eval.publish.push:push_judge"))
        print(push(args.directory, args.repo_id, private=not args.public, **about_judges))
        return
    if any(about_judges.values()):
        raise ConfigError(
            f"--licence, --results and --base-model are for judges, but {args.directory} has no {CARD}: leave them out"
        )
    push = cast("Callable[..., str]", resolve("judgekit_datasets.curation.publish:push_to_hub"))
    print(push(args.directory, args.repo_id, private=not args.public))


PUSH = Command(
    summary="Publish a judge, with its model card and results, or a curated data set on the Hub.",
    example="judgekit push runs/judge/judge my-name/my-judge --licence apache-2.0 --results runs/eval",
    run=_push,
    arguments=(
        Argument("directory", type=Path, help="judge directory, or finished folder of `judgekit curate`"),
        Argument("repo_id", metavar="OWNER/NAME", help="repository on the Hub; created if it is missing"),
        Argument("--licence", help="licence of a judge's weights, as the Hub spells it: apache-2.0, mit, other, ..."),
        Argument(
            "--results",
            type=Path,
            action="append",
            default=[],
            metavar="RUN",
            help="folder of `judgekit eval` with this judge, for the results in the model card; may be repeated",
        ),
        Argument("--base-model", metavar="OWNER/NAME", help="base model of a judge, if its card does not name it"),
        Argument("--public", action="store_true", help="make a new repository public (default: private)"),
    ),
)

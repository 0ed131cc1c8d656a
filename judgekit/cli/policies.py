"""Commands about policies: how good one is, and what a judge is worth for choosing among its responses."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Any

from judgekit.cli.command import JUDGE_HELP, add_command, add_output, canonical, raise_failed, settings_config


def add_policy_commands(commands: Any) -> None:
    """Declare them."""
    parser = add_command(
        commands,
        "policy",
        _policy,
        summary="Evaluate a policy on problems with answers: avg@k and unbiased pass@k, with intervals.",
        example="judgekit policy configs/eval/policy.yaml --benchmark gsm8k test.jsonl --output runs/policy",
    )
    parser.add_argument(
        "--benchmark",
        nargs="+",
        action="append",
        required=True,
        metavar=("SOURCE", "INPUT"),
        help="a source of problems and its files, folders or hub ids, or data sets built from it; may be repeated",
    )
    add_output(parser)

    parser = add_command(
        commands,
        "best-of-n",
        _best_of_n,
        summary="Rerank stored groups of responses by judges: best of N beside oracle, majority and random choice.",
        example="judgekit best-of-n --judge DIR --judge builtin:symbolic --groups data/groups --output runs/best-of-n",
    )
    parser.add_argument("--judge", action="append", required=True, help=f"{JUDGE_HELP}; may be repeated")
    parser.add_argument("--groups", type=Path, required=True, help="groups data set: `judgekit build groups`, rollouts")
    add_output(parser)


def _policy(args: argparse.Namespace) -> None:
    from eval.policy.config import PolicyConfig
    from eval.policy.evaluate import TABLE, evaluate_policy
    from judgekit.errors import ConfigError
    from judgekit.io import read_records
    from judgekit.types import Problem

    config = settings_config(PolicyConfig, args.settings)
    for source, *given in args.benchmark:
        if not given:
            raise ConfigError(f"--benchmark {source} names no input: give files, folders, hub ids or built data sets")
    data = [
        canonical(Path(item), source=source, output=args.output / "data" / source, resume=args.resume)
        for source, *given in args.benchmark
        for item in given
    ]
    problems = [problem for folder in data for problem in read_records(folder, Problem)]
    evaluate_policy(problems, output=args.output, config=config, inputs=data, resume=args.resume)
    print((args.output / TABLE).read_text(encoding="utf-8"))


def _best_of_n(args: argparse.Namespace) -> None:
    from eval.best_of_n.config import BestOfNConfig
    from eval.best_of_n.rerank import TABLE, evaluate_best_of_n
    from judgekit.io import read_records
    from judgekit.judges import load_judge
    from judgekit.types import Rollout

    config = settings_config(BestOfNConfig, args.settings, fixed={"judges": tuple(args.judge)})
    judges = {name: functools.partial(load_judge, name, dtype=config.dtype) for name in args.judge}
    rollouts = read_records(args.groups, Rollout)
    results = evaluate_best_of_n(
        judges, rollouts, output=args.output, config=config, inputs=[args.groups], resume=args.resume
    )
    print((args.output / TABLE).read_text(encoding="utf-8"))
    raise_failed(results.get("failures", ()), n_judges=len(judges))


__all__ = ["add_policy_commands"]

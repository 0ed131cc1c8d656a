"""Commands that train a policy: online, offline, several arms compared; and the theory behind them."""

from __future__ import annotations

import argparse
from pathlib import Path

from judgekit.cli.command import OUTPUT, Argument, Command
from judgekit.cli.listing import Names, described, listing
from judgekit.errors import ConfigError
from sgpo.compare.config import CompareConfig
from sgpo.offline.config import OfflineConfig
from sgpo.offline.iterate_config import IterateConfig
from sgpo.online.config import OnlineConfig
from sgpo.theory.config import TheoryConfig

TRAINING = (
    Argument("--output", type=Path, help="output folder; refused if it is in use; not needed with --dry-run"),
    *OUTPUT[1:],
    Argument(
        "--dry-run",
        action="store_true",
        help="print shapes, memory, steps and judge calls, then exit; needs no weights, data or network (see assume)",
    ),
)
"""The output folder of a training, or none with --dry-run."""


def _output_of(args: argparse.Namespace) -> Path:
    if args.output is None:
        raise ConfigError("--output is missing: name the output folder, or use --dry-run")
    return Path(args.output)


def _online(args: argparse.Namespace, config: OnlineConfig) -> None:
    if args.dry_run:
        from sgpo.dry_run.plan import plan_online, print_plan

        return print_plan(plan_online(config), assume=config.assume)
    output = _output_of(args)
    from accelerate import PartialState

    from sgpo.online.run import POLICY, run_online

    results = run_online(config, output, resume=args.resume)
    if PartialState().is_main_process:
        for name, value in results.items():
            print(f"{name}: {value}")
        print(f"policy: {output / POLICY}")
    PartialState().destroy_process_group()


ONLINE = Command(
    summary="Train online, while the policy samples: SGPO with a judge, plain GRPO with judge=null.",
    example="sgpo online configs/sgpo/online_gsm8k_smollm2.yaml max_steps=5 --output runs/online",
    run=_online,
    arguments=TRAINING,
    config=OnlineConfig,
)


def _offline(args: argparse.Namespace, config: OfflineConfig) -> None:
    if args.dry_run:
        from sgpo.dry_run.plan import plan_offline, print_plan

        return print_plan(plan_offline(config), assume=config.assume)
    output = _output_of(args)
    from sgpo.offline.run import run_offline

    run_offline(config, output, resume=args.resume)


OFFLINE = Command(
    summary="Train offline, on a stored groups file: SGPO with a judge, plain GRPO with judge=null.",
    example="sgpo offline policy=models/policy groups=data/groups judge=models/judge --output runs/offline",
    run=_offline,
    arguments=TRAINING,
    config=OfflineConfig,
)


def _iterate(args: argparse.Namespace, config: IterateConfig) -> None:
    from sgpo.offline.iterate import run_iterate

    for row in run_iterate(config, args.output, resume=args.resume):
        print(", ".join(f"{name.removeprefix('iterate/')} {value}" for name, value in row.items()))


ITERATE = Command(
    summary="Sample, judge and train offline in rounds; each round starts from the policy of the last.",
    example="sgpo iterate configs/sgpo/iterate_gsm8k_smollm2.yaml rounds=2 --output runs/iterate",
    run=_iterate,
    arguments=OUTPUT,
    config=IterateConfig,
)


def _compare(args: argparse.Namespace, config: CompareConfig) -> None:
    if args.dry_run:
        from sgpo.dry_run.comparison import plan_comparison, print_comparison_plan

        return print_comparison_plan(plan_comparison(config, args.output))
    output = _output_of(args)
    from sgpo.compare.run import run_compare
    from sgpo.compare.table import print_table

    print_table(run_compare(config, output, resume=args.resume))


COMPARE = Command(
    summary="Train every arm with every seed, compare the arms over seeds, and write a page, tables and curves.",
    example='sgpo compare configs/quickstart/compare.yaml "seeds=[0,1,2]" --output runs/compare',
    run=_compare,
    arguments=TRAINING,
    config=CompareConfig,
)


def _theory(args: argparse.Namespace, config: TheoryConfig) -> None:
    from sgpo.theory.run import TABLES, run_theory

    run_theory(config, args.output, resume=args.resume)
    print((args.output / TABLES).read_text(encoding="utf-8"))


THEORY = Command(
    summary="Compute exactly how SGPO and GRPO learn in a small model of reasoning, with figures and tables.",
    example="sgpo theory configs/theory/figures.yaml --output runs/theory",
    run=_theory,
    arguments=OUTPUT,
    config=TheoryConfig,
)


def _algorithms() -> Names:
    from sgpo.algorithms.registry import ALGORITHMS

    return described(ALGORITHMS)


LIST = listing({"algorithms": _algorithms}, prog="sgpo")

"""The `sgpo` command: parses first, imports the heavy parts after."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from judgekit.cli.command import add_command, add_output, run_command, settings_config
from judgekit.cli.packages import leave_start_folder

DESCRIPTION = "Train a policy with SGPO and any judge: online while it samples, offline on stored groups, arm by arm."


def main(argv: Sequence[str] | None = None) -> int:
    """Run `sgpo`; returns the exit status."""
    return run_command(_parser, argv)


def _online(args: argparse.Namespace) -> None:
    from sgpo.online.config import OnlineConfig

    config = settings_config(OnlineConfig, args.settings)  # refused before torch is loaded
    from accelerate import PartialState

    from sgpo.online.run import POLICY, run_online

    results = run_online(config, args.output, resume=args.resume)
    if PartialState().is_main_process:
        for name, value in results.items():
            print(f"{name}: {value}")
        print(f"policy: {args.output / POLICY}")
    PartialState().destroy_process_group()


def _offline(args: argparse.Namespace) -> None:
    from sgpo.offline.config import OfflineConfig

    config = settings_config(OfflineConfig, args.settings)
    from sgpo.offline.run import run_offline

    run_offline(config, args.output, resume=args.resume)


def _compare(args: argparse.Namespace) -> None:
    from sgpo.compare import print_table, run_compare
    from sgpo.compare_config import CompareConfig

    config = settings_config(CompareConfig, args.settings)
    print_table(run_compare(config, args.output, resume=args.resume))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sgpo", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    online = add_command(
        commands,
        "online",
        _online,
        summary="Train while sampling: SGPO with a judge, plain GRPO with judge=null.",
        example="sgpo online configs/sgpo/online_gsm8k_smollm2.yaml max_steps=5 --output runs/online",
    )
    offline = add_command(
        commands,
        "offline",
        _offline,
        summary="Train on a stored groups file: SGPO with a judge, plain GRPO with judge=null.",
        example="sgpo offline policy=models/policy groups=data/groups judge=models/judge --output runs/offline",
    )
    compare = add_command(
        commands,
        "compare",
        _compare,
        summary="Train every arm with every seed, then write compare.json and compare.png and print a table.",
        example="sgpo compare configs/quickstart/compare.yaml seeds=[0,1,2] --output runs/compare",
    )
    for command in (online, offline, compare):
        add_output(command)
    return parser


if __name__ == "__main__":
    leave_start_folder()
    sys.exit(main())

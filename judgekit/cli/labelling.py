"""Commands that label: rollouts of a policy, Monte-Carlo labels, a judge's labels, and where the two agree."""

from __future__ import annotations

import argparse
from typing import Any

from judgekit.cli.command import add_command, add_output, settings_config


def add_labelling_commands(commands: Any) -> None:
    """Declare them."""
    parser = add_command(
        commands,
        "rollouts",
        _rollouts,
        summary="Sample a policy's solutions of problems with answers, check them, write a groups data set for sgpo.",
        example="judgekit rollouts configs/data/rollouts.yaml problems=data/gsm8k --output data/rollouts",
    )
    _add_run_options(parser)
    parser = add_command(
        commands,
        "monte-carlo",
        _monte_carlo,
        summary="Label steps by completing the solution from there: after every step, or by binary search.",
        example="judgekit monte-carlo configs/data/monte_carlo.yaml data=data/rollouts --output data/monte-carlo",
    )
    _add_run_options(parser)
    parser = add_command(
        commands,
        "judge-labels",
        _judge_labels,
        summary="Label solutions by the votes of any judge.",
        example="judgekit judge-labels configs/data/judge_labels.yaml data=data/rollouts --output data/judge-labels",
    )
    _add_run_options(parser)
    parser = add_command(
        commands,
        "consensus",
        _consensus,
        summary="Keep the solutions for which Monte-Carlo and a judge put the first error in the same place.",
        example="judgekit consensus monte_carlo=data/monte-carlo judge=data/judge-labels --output data/consensus",
    )
    add_output(parser)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    add_output(parser)
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own model (default 1)")
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="where the workers run")


def _run_options(args: argparse.Namespace) -> dict[str, Any]:
    return {"workers": args.workers, "engine": args.engine, "resume": args.resume}


def _rollouts(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.build_report import render_report
    from datasets_builders.labelling.config import RolloutsConfig
    from datasets_builders.labelling.rollouts import count_rollouts, sample_rollouts

    config = settings_config(RolloutsConfig, args.settings)
    show(render_report(sample_rollouts(config, args.output, **_run_options(args))))
    _print_counts(count_rollouts(args.output)._asdict())


def _monte_carlo(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.build_report import render_report
    from datasets_builders.labelling.config import MonteCarloConfig
    from datasets_builders.labelling.monte_carlo import count_spending, label_by_monte_carlo

    config = settings_config(MonteCarloConfig, args.settings)
    show(render_report(label_by_monte_carlo(config, args.output, **_run_options(args))))
    spending = count_spending(args.output)
    _print_counts(spending._asdict())
    if spending.completions_per_solution is not None:
        print(f"  completions per solution: {spending.completions_per_solution:.1f}")


def _judge_labels(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.build_report import render_report
    from datasets_builders.labelling.config import JudgeLabelsConfig
    from datasets_builders.labelling.judge_labels import label_with_judge

    config = settings_config(JudgeLabelsConfig, args.settings)
    show(render_report(label_with_judge(config, args.output, **_run_options(args))))


def _consensus(args: argparse.Namespace) -> None:
    from rich import print as show

    from datasets_builders.labelling.agreement import render_agreement
    from datasets_builders.labelling.config import ConsensusConfig
    from datasets_builders.labelling.consensus import filter_consensus

    config = settings_config(ConsensusConfig, args.settings)
    show(render_agreement(filter_consensus(config, args.output, resume=args.resume)))


def _print_counts(counts: dict[str, int]) -> None:
    for name, count in counts.items():
        print(f"  {name.replace('_', ' ')}: {count}")


__all__ = ["add_labelling_commands"]

"""Commands that label: rollouts of a policy, Monte-Carlo labels, a judge's labels, and their consensus."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from judgekit.cli.command import OUTPUT, Argument, Command
from judgekit.config import BaseConfig
from judgekit_datasets.labelling.config import ConsensusConfig, JudgeLabelsConfig, MonteCarloConfig, RolloutsConfig

if TYPE_CHECKING:
    from judgekit_datasets.build_report import BuildReport

_LABELLING_RUN = (
    *OUTPUT,
    Argument("--workers", type=int, default=1, help="processes, each with its own model (default 1)"),
    Argument("--engine", choices=["local", "ray"], default="local", help="where the workers run"),
)


def _label(label: Callable[..., BuildReport], args: argparse.Namespace, config: BaseConfig) -> None:
    """Label with the options of the command line, and show the report."""
    from judgekit.report.terminal import console
    from judgekit_datasets.build_report import render_report

    report = label(config, args.output, workers=args.workers, engine=args.engine, resume=args.resume)
    console().print(render_report(report))


def _rollouts(args: argparse.Namespace, config: RolloutsConfig) -> None:
    from judgekit_datasets.labelling.rollouts import count_rollouts, sample_rollouts

    _label(sample_rollouts, args, config)
    _print_counts(count_rollouts(args.output)._asdict())


ROLLOUTS = Command(
    summary="Sample a policy's solutions to problems with answers, check them, and write a groups data set for sgpo.",
    example="judgekit rollouts configs/data/rollouts.yaml problems=data/gsm8k --output data/rollouts",
    run=_rollouts,
    arguments=_LABELLING_RUN,
    config=RolloutsConfig,
)


def _monte_carlo(args: argparse.Namespace, config: MonteCarloConfig) -> None:
    from judgekit_datasets.labelling.monte_carlo import count_spending, label_by_monte_carlo

    _label(label_by_monte_carlo, args, config)
    spending = count_spending(args.output)
    _print_counts(spending._asdict())
    if spending.completions_per_solution is not None:
        print(f"  completions per solution: {spending.completions_per_solution:.1f}")


MONTE_CARLO = Command(
    summary="Label steps by sampling completions: after every step, or by binary search.",
    example="judgekit monte-carlo configs/data/monte_carlo.yaml data=data/rollouts --output data/monte-carlo",
    run=_monte_carlo,
    arguments=_LABELLING_RUN,
    config=MonteCarloConfig,
)


def _judge_labels(args: argparse.Namespace, config: JudgeLabelsConfig) -> None:
    from judgekit_datasets.labelling.judge_labels import label_with_judge

    _label(label_with_judge, args, config)


JUDGE_LABELS = Command(
    summary="Label solutions by the votes of a judge.",
    example="judgekit judge-labels configs/data/judge_labels.yaml data=data/rollouts --output data/judge-labels",
    run=_judge_labels,
    arguments=_LABELLING_RUN,
    config=JudgeLabelsConfig,
)


def _consensus(args: argparse.Namespace, config: ConsensusConfig) -> None:
    from judgekit.report.terminal import console
    from judgekit_datasets.labelling.agreement import render_agreement
    from judgekit_datasets.labelling.consensus import filter_consensus

    console().print(render_agreement(filter_consensus(config, args.output, resume=args.resume)))


CONSENSUS = Command(
    summary="Keep the solutions for which Monte-Carlo labels and a judge agree on the first error.",
    example="judgekit consensus monte_carlo=data/monte-carlo judge=data/judge-labels --output data/consensus",
    run=_consensus,
    arguments=OUTPUT,
    config=ConsensusConfig,
)


def _print_counts(counts: dict[str, int]) -> None:
    for name, count in counts.items():
        print(f"  {name.replace('_', ' ')}: {count}")

"""`sgpo compare --dry-run`: how many runs there are, what they sample and judge, and how long they still take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from pathlib import Path

from rich.table import Table

from judgekit.report.terminal import console
from sgpo.compare.config import Command, CompareConfig
from sgpo.compare.curves import read_record
from sgpo.compare.run import list_runs
from sgpo.compare.runs import ArmRun
from sgpo.dry_run.plan import count_problems, plan_offline, plan_online
from sgpo.offline.config import OfflineConfig


@dataclass(frozen=True)
class ArmPlan:
    """The plan of one arm."""

    command: Command
    """The command of its runs."""
    judge: str | None
    """Its judge; `None` if the algorithm uses none."""
    n_runs: int
    """Number of runs, one per seed."""
    n_finished: int
    """Number of finished runs."""
    steps: int
    """Optimiser steps per run."""
    rollouts: int
    """Responses that a run samples to train on, at most; offline, the stored responses that it trains on."""
    judge_calls: int
    """Responses judged per run, at most; offline, those judged for all its runs."""
    held_out: int | None
    """Responses to held-out problems that a run samples; `None` if the problems are not here."""
    seconds_left: float | None
    """Seconds of training and evaluation, from finished runs; `None` if none with the same command has finished."""


@dataclass(frozen=True)
class ComparisonPlan:
    """The plan of a comparison."""

    arms: dict[str, ArmPlan]
    """By name."""
    workers: int
    """Runs at the same time."""

    @property
    def judge_calls(self) -> int:
        """Responses judged in all runs, at most: offline arms with the same judge share its judgements."""
        shared: dict[str | None, int] = {}
        for arm in self.arms.values():
            if arm.command == "offline":
                shared[arm.judge] = max(shared.get(arm.judge, 0), arm.judge_calls)
        online = (arm.n_runs * arm.judge_calls for arm in self.arms.values() if arm.command == "online")
        return sum(online) + sum(shared.values())

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last run ends; `None` if no run has finished that would tell."""
        known = [arm.seconds_left for arm in self.arms.values() if arm.seconds_left is not None]
        return sum(known) / self.workers if len(known) == len(self.arms) else None


def plan_comparison(config: CompareConfig, output: Path | None) -> ComparisonPlan:
    """Return what `sgpo compare` would do, and what is left to do in a folder that it has started.

    Raises:
        ConfigError: sizes of a policy or the number of problems are neither here nor assumed.
    """
    runs = list_runs(config, output or Path("unknown"))
    finished = [run for run in runs if run.finished]
    cost = {run: run_seconds(run) for run in finished}
    per_step = {run: cost[run] / max(run.step, 1) for run in finished}
    arms = dict[str, ArmPlan]()
    for name, arm in config.trained_arms.items():
        run_config, command = config.arm_config(arm, seed=config.seeds[0]), config.command(arm)
        plan = plan_offline(run_config) if isinstance(run_config, OfflineConfig) else plan_online(run_config)
        held_out = run_config.eval
        assert held_out is not None, "comparisons need evaluations"
        n_problems = [n for n in (count_problems(held_out.problems), held_out.n_problems) if n is not None]
        n_evaluations = 1 + ceil(plan.steps / held_out.every)
        own = [run for run in runs if run.arm == name]
        # The cost of an arm is best known from its own runs, then from those of other algorithms.
        alike = [run for run in finished if run.arm == name] or [run for run in finished if run.command == command]
        a_step = sum(per_step[run] for run in alike) / len(alike) if alike else None
        to_do = sum(max(plan.steps - run.step, 0) for run in own if not run.finished)
        arms[name] = ArmPlan(
            command=command,
            # A judge with simulated errors is another judge.
            judge=None if plan.judge is None else f"{run_config.judge} of {name}" if name != arm else run_config.judge,
            n_runs=len(own),
            n_finished=sum(run.finished for run in own),
            steps=plan.steps,
            rollouts=plan.sampled or plan.responses,
            judge_calls=0 if plan.judge is None else plan.judge.judgements,
            held_out=n_evaluations * min(n_problems) * held_out.n_samples if n_problems else None,
            seconds_left=0.0 if not to_do else None if a_step is None else a_step * to_do,
        )
    return ComparisonPlan(arms, config.workers)


def run_seconds(run: ArmRun) -> float:
    """Return the seconds that a finished run spent on training and evaluation, without the start of its process."""
    record = read_record(run)
    evaluated = sum(row.get("eval/seconds", 0.0) for row in run.rows())
    return evaluated + (record.seconds.values[-1] if record.seconds.values else 0.0)


def print_comparison_plan(plan: ComparisonPlan) -> None:
    """Show a plan as a table with one row per arm, and the time that is left."""
    table = Table(title="dry run: nothing is trained, downloaded or written")
    table.add_column("arm", no_wrap=True)
    for name in ("done", "updates", "rollouts", "judged", "held-out", "left"):
        table.add_column(name, justify="right")
    for name, arm in plan.arms.items():
        held_out = "?" if arm.held_out is None else f"{arm.held_out:,}"
        numbers = (f"{n:,}" for n in (arm.steps, arm.rollouts, arm.judge_calls))
        table.add_row(name, f"{arm.n_finished}/{arm.n_runs}", *numbers, held_out, _time(arm.seconds_left))
    console().print(table)
    arms = plan.arms.values()
    print(f"{sum(arm.n_runs for arm in arms)} runs, {sum(arm.n_finished for arm in arms)} of them finished.")
    print("Updates, rollouts, judged responses and held-out answers are per run, at most.")
    print(f"In all runs: {sum(arm.n_runs * arm.rollouts for arm in arms):,} rollouts, {plan.judge_calls:,} judged.")
    if plan.seconds_left is None:
        print("The duration is known once a run has finished: run this again then, with the comparison's --output.")
    else:
        print(
            f"Time left with {plan.workers} runs at a time: {_time(plan.seconds_left)} hours, judging by the finished "
            "runs."
        )


def _time(seconds: float | None) -> str:
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))

"""What SGPO costs over GRPO a step: both train one policy in turn, in one run, so that load and drift meet both alike.

A run of `sgpo online` whose steps go in pairs: the two of a pair have the same problems, one is a step of SGPO and the
other TRL's own code alone; which of them comes first changes from pair to pair. Quoted are medians over pairs of the
ratio of their seconds, with the bootstrap's 95 % interval over pairs, and what the judge takes of it. Without a GPU the
seconds are those of the process on the CPU, so that load beside it does not count, nor does waiting for a service.

    python -m benchmarks.sgpo_overhead --updates 30
    python -m benchmarks.sgpo_overhead --config online.yaml --updates 50 lora.rank=32 trl.use_vllm=true
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback
from trl import GRPOTrainer

from judgekit.answers import build_outcome
from judgekit.config import load_config
from judgekit.io import write_json
from judgekit.judges.base import WrappedJudge
from judgekit.metrics.bootstrap import Interval, percentile_interval
from judgekit.training.sharding import start_process
from judgekit.types import Judgement, Problem, Solution
from sgpo.online import run as online_run
from sgpo.online.config import OnlineConfig
from sgpo.online.trainer import SGPOTrainer

CONFIG = Path(__file__).parents[1] / "configs" / "sgpo" / "arithmetic" / "online.yaml"
CLOCK = "wall time" if torch.cuda.is_available() else "CPU time"
N_WARMUP = 2
"""Pairs that are not counted: the first steps compile, allocate and open things."""


class Step(NamedTuple):
    """One optimiser step."""

    is_plain: bool
    """Whether TRL's code ran alone."""
    seconds: float
    """Time that it took, sampling included."""
    judge_s: float
    """Of which the judge took."""
    n_judged: float
    """Responses that it read."""
    mean_tokens: float
    """Length of the responses, tokens."""


def is_plain(step: int) -> bool:
    """Whether a step, from 0, is TRL's alone: the first and the last of four, so that neither arm is always behind."""
    return step % 4 in (0, 3)


def now() -> float:
    """Return the time on a clock, seconds; work that a GPU was given is done by then."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


class TimedJudge(WrappedJudge):
    """Passes everything on and adds up what it takes."""

    seconds = 0.0
    n_judged = 0

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        """Judge a batch."""
        began = now()
        judgements = super().judge(solutions)
        self.seconds, self.n_judged = self.seconds + now() - began, self.n_judged + len(solutions)
        return judgements


class Alternating(SGPOTrainer):
    """Every second step is that of TRL's `GRPOTrainer`, untouched."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.steps: list[Step] = []
        self.judge = TimedJudge(self.judge, self.judge.info) if self.judge is not None else None
        self.add_callback(StepClock(self))

    @property
    def _is_plain(self) -> bool:
        return is_plain(self.state.global_step)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        of = GRPOTrainer if self._is_plain else SGPOTrainer
        output: dict[str, Any] = of._generate_and_score_completions(self, inputs)
        return output

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        rewards_NF: torch.Tensor = (GRPOTrainer if self._is_plain else SGPOTrainer)._calculate_rewards(self, *args)
        return rewards_NF

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        loss: torch.Tensor = (GRPOTrainer if self._is_plain else SGPOTrainer)._compute_loss(self, model, inputs)
        return loss


class StepClock(TrainerCallback):
    """Notes how long each step of an `Alternating` trainer takes."""

    def __init__(self, trainer: Alternating) -> None:
        self.trainer = trainer

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock."""
        self._began, self._judged = now(), self._judge()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop it, and read what the step logged."""
        seconds, judged = now() - self._began, self._judge()
        judge_s, n_judged = (after - before for after, before in zip(judged, self._judged, strict=True))
        mean_tokens = self.trainer._metrics["train"]["completions/mean_length"][-1]
        self.trainer.steps.append(Step(is_plain(state.global_step - 1), seconds, judge_s, n_judged, mean_tokens))

    def _judge(self) -> tuple[float, float]:
        judge = self.trainer.judge
        return (judge.seconds, judge.n_judged) if isinstance(judge, TimedJudge) else (0.0, 0.0)


def median_interval(values_N: Sequence[float], *, seed: int = 0) -> Interval:
    """Return the median with the bootstrap's 95 % interval."""
    values = np.asarray(values_N)
    resampled_RN = np.random.default_rng(seed).choice(values, size=(4000, len(values)))
    return percentile_interval(float(np.median(values)), np.median(resampled_RN, axis=1))


def summarise(steps: Sequence[Step]) -> dict[str, Any]:
    """Return what the pairs say, behind the first `N_WARMUP`; intervals as value, low, high."""
    pairs = [sorted(steps[i : i + 2], reverse=True) for i in range(2 * N_WARMUP, len(steps) - 1, 2)]  # the plain first
    found = {
        "ratio": [guided.seconds / plain.seconds for plain, guided in pairs],
        "ratio_without_judge": [(guided.seconds - guided.judge_s) / plain.seconds for plain, guided in pairs],
        "grpo_s": [plain.seconds for plain, _ in pairs],
        "sgpo_s": [guided.seconds for _, guided in pairs],
        "judge_s": [guided.judge_s for _, guided in pairs],
        "judged": [guided.n_judged for _, guided in pairs],
        "tokens_ratio": [guided.mean_tokens / plain.mean_tokens for plain, guided in pairs],
    }
    intervals = {name: median_interval(values) for name, values in found.items()}
    return {"pairs": len(pairs)} | {name: [item.value, item.lo, item.hi] for name, item in intervals.items()}


def run_pairs(config: OnlineConfig, output: Path) -> list[Step]:
    """Train and return the steps: as many of either arm as `config.max_steps` says."""
    made = online_run.SGPOTrainer, online_run.training_rows

    def rows_in_pairs(problems: Sequence[Problem], config: OnlineConfig) -> Dataset:
        n, size = config.max_steps // 2, config.prompts_per_step
        once = made[1](problems, config.model_copy(update={"max_steps": n}))
        return once.select([step * size + i for step in range(n) for _ in range(2) for i in range(size)])

    config = config.model_copy(update={"max_steps": 2 * config.max_steps, "eval": None, "save_every": None})
    start_process(cpu=config.device == "cpu" or not torch.cuda.is_available())
    check = build_outcome(config.outcome)
    online_run.SGPOTrainer, online_run.training_rows = Alternating, rows_in_pairs  # type: ignore[misc]
    try:
        trainer = online_run.build_trainer(config, output, check=check)
        assert isinstance(trainer, Alternating)
        trainer.train()
    finally:
        online_run.SGPOTrainer, online_run.training_rows = made  # type: ignore[misc]
        check.close()
    return trainer.steps


def main() -> None:
    """Print a table and write `overhead.json` with every step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG, help="a configuration of `sgpo online`")
    parser.add_argument("--updates", type=int, default=30, help="steps of either arm")
    parser.add_argument("--output", type=Path, default=Path("runs/overhead"), help="folder of overhead.json")
    parser.add_argument("changes", nargs="*", default=[], metavar="KEY=VALUE", help="options of the configuration")
    args = parser.parse_intermixed_args()
    changes = [*args.changes, f"max_steps={args.updates}"]
    args.output.mkdir(parents=True, exist_ok=True)
    config = load_config(OnlineConfig, args.config, overrides=changes)
    steps = run_pairs(config, args.output)
    found = summarise(steps)
    write_json(args.output / "overhead.json", found | {"clock": CLOCK, "steps": [step._asdict() for step in steps]})
    table = Table("", "median", "95 %", title=f"SGPO over GRPO, {found['pairs']} pairs of steps, {CLOCK}")
    for name in (name for name in found if name != "pairs"):
        value, low, high = found[name]
        table.add_row(name, f"{value:.4g}", f"{low:.4g} to {high:.4g}")
    Console().print(table)


if __name__ == "__main__":
    main()

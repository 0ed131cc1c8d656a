"""Groups of our own for the offline tests, with a tiny policy and a judge that knows their first errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judgekit.io import write_records
from judgekit.judges.base import JudgeInfo
from judgekit.training.config import TinyConfig
from judgekit.training.tiny import build_tiny
from judgekit.types import Judgement, Rollout, Solution, ThresholdRule, Verdict

SEPARATOR = "\n\n"
POLICY = TinyConfig(hidden_size=16, n_layers=2, n_heads=2, max_tokens=256)


def make_rollout(
    group: str, sample: int, outcome: float, steps: Sequence[str] | None = None, **more: object
) -> Rollout:
    steps = (f"{group} try {sample}", "a second step", "a third step", "the end") if steps is None else tuple(steps)
    starts = [sum(len(step) + len(SEPARATOR) for step in steps[:k]) for k in range(len(steps))]
    values = {
        "group_id": group,
        "sample": sample,
        "problem": f"What is {group}?",
        "prompt": f"What is {group}?",
        "response": SEPARATOR.join(steps),
        "steps": steps,
        "step_start": starts,
        "step_end": [start + len(step) for start, step in zip(starts, steps, strict=True)],
        "outcome": outcome,
        "source": "own",
    }
    return Rollout.model_validate(values | more)


def three_groups() -> list[Rollout]:
    """An all-negative, a mixed and an all-positive group of four responses with four steps each."""
    outcomes = {"negative": (0.0, 0.0, 0.0, 0.0), "mixed": (1.0, 0.0, 0.0, 0.0), "positive": (1.0, 1.0, 1.0, 1.0)}
    return [make_rollout(group, i, value) for group, values in outcomes.items() for i, value in enumerate(values)]


def write_groups(path: Path, rollouts: Sequence[Rollout]) -> Path:
    write_records(path, rollouts, record_type=Rollout)
    return path


def write_policy(path: Path) -> Path:
    build_tiny(path, ["What is negative? try a second step, the end."], POLICY)
    return path


class SampleJudge:
    """Sees the first error of `... try K` at step K: RTS 0, 1/4, 2/4, 3/4. Fails after `n_max` solutions."""

    info = JudgeInfo("sample", ThresholdRule())

    def __init__(self, n_max: int | None = None) -> None:
        self.n_max = n_max
        self.judged: list[str] = []

    def judge(self, solutions: Sequence[Solution]) -> list[Judgement]:
        if self.n_max is not None and len(self.judged) + len(solutions) > self.n_max:
            raise KeyboardInterrupt
        self.judged += [solution.id for solution in solutions]
        return [self._judge_one(solution) for solution in solutions]

    def _judge_one(self, solution: Solution) -> Judgement:
        posterior = [0.0] * (len(solution.steps) + 1)
        posterior[int(solution.steps[0].rpartition(" ")[2])] = 1.0
        verdict = Verdict(posterior=tuple(posterior))
        return Judgement(solution_id=solution.id, judge_id=self.info.judge_id, verdict=verdict, seconds=0.5)

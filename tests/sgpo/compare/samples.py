"""Run folders as training leaves them, with scripted evaluations."""

import json
from pathlib import Path
from typing import Any

from sgpo.compare.runs import ArmRun

ACCURACIES = {
    ("grpo", 0): [0.0, 0.1, 0.2, 0.4, 0.3],
    ("grpo", 1): [0.0, 0.1, 0.2, 0.2, 0.4],
    ("sgpo", 0): [0.0, 0.3, 0.4, 0.5, 0.5],
    ("sgpo", 1): [0.0, 0.2, 0.4, 0.5, 0.7],
    ("random", 0): [0.0, 0.0, 0.1, 0.1, 0.2],
    ("random", 1): [0.0, 0.1, 0.1, 0.3, 0.2],
}
"""At steps 0, 10, 20, 30, 40."""
PER_BATCH = 32
"""Rollouts of a batch."""


def write_run(run: ArmRun, accuracies: list[float], *, n_batches: int = 1, judge: str | None = None) -> ArmRun:
    """Write a finished run that is evaluated every ten steps and logs every ten, `n_batches` batches and 2 s a step."""
    run.folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = [{"step": 10 * i, "eval/accuracy": value} for i, value in enumerate(accuracies)]
    for step in range(10, 10 * len(accuracies), 10):
        row = {"sgpo/judge_on": 1.0, "sgpo/accuracy": 0.1, "sgpo/frac_all_negative": 0.8, "sgpo/judge_calls": 3.0}
        rows.append({"step": step, "train/step_time": 2.0 * n_batches, "sgpo/batches": 10 * n_batches} | row)
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = {"first_frac_all_negative": 0.75, "judge_calls": 12.0, "judge_seconds": 1.0}
    results["final_accuracy"] = accuracies[-1] if accuracies else 0.0
    (run.folder / "manifest.json").write_text(json.dumps({"finished": "now", "results": results}))
    algorithm = None if run.arm in {"grpo", "sgpo", "random"} else {"type": run.arm}
    config = {"judge": judge, "algorithm": algorithm, "group_size": 8, "prompts_per_step": 4, "max_steps": 40}
    run.config_file.write_text(json.dumps(config))
    return run


def write_runs(folder: Path, accuracies: dict[tuple[str, int], list[float]] = ACCURACIES) -> list[ArmRun]:
    """Write a run for each arm and seed."""
    return [
        write_run(ArmRun(arm, seed, folder / f"{arm}-seed{seed}"), values) for (arm, seed), values in accuracies.items()
    ]

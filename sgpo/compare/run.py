"""The comparison of arms: every arm with every seed as a run of its own, then curves, a table and a plot.

Arms differ from one base configuration by their overrides only. Imports no torch.
"""

from __future__ import annotations

from pathlib import Path

from judgekit.errors import JudgekitError
from judgekit.io import write_json
from judgekit.run import Run
from sgpo.compare.config import CompareConfig
from sgpo.compare.report import write_report
from sgpo.compare.results import Comparison
from sgpo.compare.runs import ArmRun, train_runs


def run_compare(config: CompareConfig, output: Path, *, resume: bool = False) -> Comparison:
    """Train every arm with every seed, write what they come to (`sgpo.compare.report`) and return it.

    Raises:
        ConfigError: the folder is in use, or another comparison is resumed.
        JudgekitError: a run failed; names its log. The others are finished first.
    """
    assert config.base.eval is not None
    inputs = [config.base.problems, config.base.eval.problems]
    run = Run(output, config, inputs=inputs, resume=resume)
    runs = [ArmRun(arm, seed, output / f"{arm}-seed{seed}") for arm in config.arms for seed in config.seeds]
    for item in runs:
        write_json(item.config_file, config.arm_config(item.arm, seed=item.seed).model_dump(mode="json"))
    failures = train_runs(runs, config)
    if failures:
        raise JudgekitError(
            f"{len(failures)} of {len(runs)} runs failed: {'; '.join(failures)}. Finished runs are kept; continue with "
            "--resume"
        )
    comparison = write_report(output, runs, reference=config.reference, n_steps=config.base.max_steps)
    run.finish({arm: {"final_accuracy": of.final_accuracy, "ratio": of.ratio} for arm, of in comparison.arms.items()})
    return comparison

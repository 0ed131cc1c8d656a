"""The comparison of arms: every arm with every seed as a separate run, then curves, a table and a plot.

Arms differ from one base configuration only by their overrides. Imports no torch.
"""

from __future__ import annotations

import logging
from pathlib import Path

from judgekit.errors import JudgekitError
from judgekit.io import read_json, write_json
from judgekit.run import MANIFEST, METRICS, Run, read_rows
from sgpo.compare.config import CompareConfig
from sgpo.compare.report import write_report
from sgpo.compare.results import Comparison
from sgpo.compare.runs import ArmRun, train_runs
from sgpo.offline.config import OfflineConfig
from sgpo.online.config import OnlineConfig

logger = logging.getLogger(__name__)

JUDGES = "judges"
"""Folder of the cards of judges that err."""
JUDGEMENTS = "judgements"
"""Folder in which offline arms share their judgements."""


def run_compare(config: CompareConfig, output: Path, *, resume: bool = False) -> Comparison:
    """Train every arm with every seed, write the results (`sgpo.compare.report`) and return them.

    A row of `metrics.jsonl` names each run that has finished.

    Raises:
        ConfigError: the folder is in use, or belongs to another comparison.
        JudgekitError: a run failed; the message names its log. The other runs are finished first.
    """
    inputs = [item for base in (config.base, config.base_offline) if base is not None for item in _inputs(base)]
    run = Run(output, config, inputs=list(dict.fromkeys(inputs)), resume=resume)
    runs = prepare_runs(config, output.resolve())
    metrics = output / METRICS
    noted = [row["compare/run"] for row in read_rows(metrics)] if metrics.is_file() else []

    def note(item: ArmRun) -> None:
        noted.append(item.folder.name)
        accuracy = read_json(item.folder / MANIFEST)["results"]["final_accuracy"]
        run.log({"step": len(noted), "compare/run": noted[-1], "compare/final_accuracy": accuracy})
        logger.info("%d of %d runs: %s, held-out accuracy %s", len(noted), len(runs), noted[-1], accuracy)

    for item in runs:
        if item.finished and item.folder.name not in noted:  # killed before it was noted
            note(item)
    failures = train_runs(runs, workers=config.workers, threads=config.threads, on_finished=note)
    if failures:
        raise JudgekitError(
            f"{len(failures)} of {len(runs)} runs failed: {'; '.join(failures)}. Finished runs are kept; continue with "
            "--resume"
        )
    comparison = write_report(output, runs, reference=config.reference, n_steps=max(item.n_steps or 0 for item in runs))
    run.finish({arm: {"final_accuracy": of.final_accuracy, "ratio": of.ratio} for arm, of in comparison.arms.items()})
    return comparison


def list_runs(config: CompareConfig, output: Path) -> list[ArmRun]:
    """Return the runs of a comparison, all of the first seed first: if it is stopped, some seeds are complete."""
    return [
        ArmRun(name, seed, output / f"{name}-seed{seed}", config.command(arm))
        for seed in config.seeds
        for name, arm in config.trained_arms.items()
    ]


def prepare_runs(config: CompareConfig, output: Path) -> list[ArmRun]:
    """Write the configuration of every run, and the cards of judges that err, and return the runs.

    Args:
        config: What is compared.
        output: Folder of the comparison, as an absolute path, as configurations name it.
    """
    erring = {item.name: item for item in config.erring_arms}
    for name, item in erring.items():
        judge = config.arm_config(item.arm, seed=config.seeds[0]).judge
        assert judge is not None, "judge_errors only allows arms with a judge"
        assert config.judge_errors is not None
        card = {
            "kind": "mistaken",
            "judge_id": name,
            "members": [str(Path(judge).resolve()) if Path(judge).exists() else judge],
            "errors": item.kind,
            "rate": item.rate,
            "seed": config.judge_errors.seed,
            "decision": {"kind": "argmax"},
        }
        write_json(output / JUDGES / f"{name}.yaml", card)  # JSON is YAML
    runs, arms = list_runs(config, output), config.trained_arms
    for run in runs:
        values = config.arm_config(arms[run.arm], seed=run.seed).model_dump(mode="json")
        if run.arm in erring:
            values["judge"] = str(output / JUDGES / f"{run.arm}.yaml")
        if run.command == "offline" and values["judgements"] is None:
            values["judgements"] = str(output / JUDGEMENTS)
        write_json(run.config_file, values)
    return runs


def _inputs(base: OnlineConfig | OfflineConfig) -> list[Path]:
    assert base.eval is not None, "comparisons need evaluations"
    return [base.problems if isinstance(base, OnlineConfig) else base.groups, base.eval.problems]

"""Iterated offline training: rounds of sampling and training, each stage a separate, resumable process.

Stages meet at files, so a killed run resumes its last stage and finds those before it finished.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judgekit.errors import JudgekitError
from judgekit.io import last_words, read_json
from judgekit.run import MANIFEST, Run
from sgpo.offline.iterate_config import IterateConfig

logger = logging.getLogger(__name__)

SHOWN = ("accuracy", "groups", "all_negative", "revived", "judge_calls", "rows_trained", "steps")
"""Metrics taken from the report of a round's training."""


def run_iterate(config: IterateConfig, output: Path, *, resume: bool = False) -> list[dict[str, Any]]:
    """Train for some rounds and return one row each: the accuracy of the sampling policy, and the training data.

    `output` holds `round-K/groups`, `round-K/train` with the trained policy, `round-K/*.log`, `metrics.jsonl` and
    `judgements/`, which all rounds share.

    Raises:
        ConfigError: see `judgekit.run.Run`.
        DataError: a configuration has changed since the run started.
        JudgekitError: a stage failed; the message names its log.
    """
    run = Run(output, config, inputs={"rollouts": [config.rollouts], "offline": [config.offline]}, resume=resume)
    policy, rows = config.policy, []
    for number in range(config.rounds):
        folder = output / f"round-{number}"
        seed, groups, trained = f"seed={config.seed + number}", folder / "groups", folder / "train"
        run_stage("judgekit.cli", "rollouts", config.rollouts, [f"generation.model={policy}", seed], groups)
        own = [f"policy={policy}", f"groups={groups}", f"judgements={output / 'judgements'}", seed]
        run_stage("sgpo.cli", "offline", config.offline, own, trained)
        report = read_json(trained / MANIFEST)["results"]
        rows.append({"step": number} | {f"iterate/{name}": report[name] for name in SHOWN})
        run.rewind(number - 1)
        run.log(rows[-1])
        logger.info("round %d: accuracy %.3f", number, report["accuracy"])
        policy = str(trained / "policy")
    run.finish({"rounds": rows, "policy": policy})
    return rows


def run_stage(module: str, command: str, config: Path, overrides: Sequence[str], output: Path) -> None:
    """Run one command in a separate process, so that it leaves nothing in memory; resume it if it has already started.

    Raises:
        JudgekitError: it failed; the message names its log.
    """
    log = output.with_name(f"{command}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", module, command, str(config), *overrides, "--output", str(output), "--resume"]
    with log.open("ab") as file:
        status = subprocess.run(line, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        what = f"{command} of {output.parent.name} ended with status {status}"
        raise JudgekitError(f"{what}, see {log}: {last_words(log)}. Continue with --resume")

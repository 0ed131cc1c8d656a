"""Adapts a probe judge to another domain with solutions alone: no labels of the new domain are needed or read."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from safetensors.numpy import save_file

from judgekit.errors import CheckpointError, DataError
from judgekit.io import atomic_path
from judgekit.judges import load_judge
from judgekit.judges.card import read_card
from judgekit.judges.golden import measure_golden
from judgekit.judges.probe.heads import DomainHead, domain_of
from judgekit.judges.probe.judge import ProbeJudge
from judgekit.judges.probe.spec import HEAD_FILE
from judgekit.judges.problem_lists import CALIBRATION_PROBLEMS, calibration_problems, train_problems, write_problems
from judgekit.judging.run import as_seen, read_solutions
from judgekit.run import Run
from judgekit.training.config import AdaptConfig
from judgekit.training.judge_files import JUDGE, save_judge
from judgekit.training.probe.fit import keep_features

_log = logging.getLogger(__name__)

ENOUGH = 50
"""Solutions from which on more hardly help. Labels of GSM8K, adapted to OlympiadBench: F1 33.7 with 10 solutions, 36.8
with 25, 38.0 with 50, 38.3 with 100 and 39.3 with 1,000, means of five draws; 24 without."""
FEWEST = 10
"""Solutions below which mean and scale are those of single solutions."""


def adapt_probe(directory: Path, data: Path, config: AdaptConfig, output: Path, *, resume: bool = False) -> Path:
    """Write a copy of a probe judge whose features are measured against another domain, to `output/judge`.

    Every feature enters the head by how far it stands out among the steps of its domain, see `DomainHead`; the copy
    takes mean and scale from the solutions given. Head and decision stay. Calibrator and conformal thresholds are not
    taken over: they are of the posteriors of the old domain, and `judgekit calibrate` fits new ones to labels.

    Args:
        directory: Judge directory of a probe judge.
        data: Solutions of the new domain, labelled or not, or rollouts. Labels are not read.
        config: How.
        output: Folder of the run.
        resume: Continue it.

    Raises:
        CheckpointError: the judge is not a probe judge, or was fitted by a release that kept no domain.
        ConfigError: the output folder is in use, or the run resumed has another configuration.
        DataError: fewer than `FEWEST` solutions can be read.
    """
    run = Run(output, config, inputs={"judge": [directory], "data": [data]}, resume=resume)
    if run.finished:
        return output / JUDGE
    judge = load_judge(directory, calibrated=False, dtype=config.dtype)
    if not isinstance(judge, ProbeJudge) or not isinstance(judge.head, DomainHead):
        raise CheckpointError(
            f"{directory} is not a probe judge whose head stores its domain: adapt one of `judgekit train kind=probe`, "
            "or fit it again if it comes from an earlier release"
        )
    card = read_card(directory)  # before the model runs over everything
    rows = [as_seen(solution, show_reference=False) for solution in read_solutions(data)[: config.n_max]]
    readable, store = keep_features(judge, rows, output / "features")
    if len(readable) < FEWEST:
        raise DataError(f"{len(readable)} of {len(rows)} solutions of {data} can be read, but {FEWEST} are needed")
    if len(readable) < ENOUGH:
        _log.warning("%d solutions say little about a domain; up to %d, more help", len(readable), ENOUGH)
    mean_F, scale_F = domain_of([store[solution.id].stacked() for solution in readable])
    judge.head = replace(judge.head, mean_F=mean_F, scale_F=scale_F)
    adapted = {
        "from": card.judge_id,
        "to": data.name,
        "solutions": len(readable),
        "left_out": len(rows) - len(readable),
    }
    card = card.model_copy(
        update={
            "judge_id": config.judge_id or output.resolve().name,
            "training": dict(card.training) | {"adapted": adapted},
            "calibrator": None,
            "calibration": None,
            "conformal": None,
            "reading": None,
            "metrics": {},
            "golden": (),
        }
    )
    if card.decision.kind == "argmax":
        _log.warning(
            "the weight of no error is a guess in another domain: a judge with decision=threshold transfers better"
        )
    judge.card = card
    golden = measure_golden(judge) if config.dtype == "float32" else ()
    target = output / JUDGE
    target.mkdir(exist_ok=True)
    with atomic_path(target / HEAD_FILE) as partial:
        save_file(judge.head.arrays(), partial)
    # The decision is still that of the old domain's labels, calibrated or not; these problems stay known.
    write_problems(target / CALIBRATION_PROBLEMS, calibration_problems(directory))
    new_card = card.model_copy(update={"golden": golden})
    save_judge(target, new_card, judge.model, judge.tokenizer, train_problems(directory))
    run.finish({"solutions": len(readable), "left_out": len(rows) - len(readable)})
    return target

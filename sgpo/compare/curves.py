"""Reads a run's folder as curves: held-out accuracy, resources used up to each step, and metrics of training.

Curves of training, by name: `accuracy` of the rollouts, `frac_all_negative` (dead groups), `frac_zero_advantage_after`
(groups without a learning signal after the algorithm's work), `rts_mean` of the scored responses, `entropy` (nats per
token), `response_tokens` (mean length), and, summed up to each step, `judge_calls`, `judge_seconds` and, online,
`tokens` of the sampled responses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from judgekit.io import read_json
from judgekit.judges.mistaken import MistakenSpec
from judgekit.judges.recognise import find_card, locate_member
from judgekit.reading.rows import read_jsonl
from judgekit.run import FIRINGS, MANIFEST
from sgpo.compare.results import ArmFacts, Curve
from sgpo.compare.runs import ArmRun
from sgpo.guards import Firing
from sgpo.online.totals import logged_batches

TRAINING = {
    "accuracy": "sgpo/accuracy",
    "frac_all_negative": "sgpo/frac_all_negative",
    "frac_zero_advantage_after": "sgpo/frac_zero_advantage_after",
    "rts_mean": "sgpo/rts_mean",
    "entropy": "train/entropy",
    "response_tokens": "train/completions/mean_length",
}
"""Curves of training, and the metrics in `metrics.jsonl` that they come from."""
COUNTED = ("judge_calls", "judge_seconds")
"""`sgpo/` metrics of a batch that are summed."""


@dataclass(frozen=True)
class RunRecord:
    """Contents of a finished run's folder."""

    facts: ArmFacts
    """Algorithm and judge of the run."""
    curve: Curve
    """Held-out accuracy."""
    rollouts: Curve
    """Rollouts used up to each step."""
    seconds: Curve
    """Seconds of training up to each step."""
    training: Mapping[str, Curve]
    """Metrics of training by name."""
    guards: tuple[Firing, ...]
    """Guards that fired."""
    results: Mapping[str, float | None]
    """The result in the run's manifest."""
    first_frac_all_negative: float | None
    """Fraction of groups without a correct response: in the first batch, or among all stored groups."""
    seconds_per_step: float | None
    """Mean seconds per optimiser step."""


def read_record(run: ArmRun) -> RunRecord:
    """Read the folder of a finished run."""
    rows, config, results = run.rows(), read_json(run.config_file), read_json(run.folder / MANIFEST)["results"]
    batches = list(logged_batches(rows))
    if prepared := next((row for row in rows if "prepare/responses" in row), None):  # an offline run
        # Everything was sampled and judged before the first update.
        used = [(1, prepared["prepare/responses"]), (max(row["step"] for row in rows), 0)]
        times = [(row["step"], row["offline/seconds"]) for row in rows if "offline/seconds" in row]
        first_dead = results["all_negative"] / results["groups"]
    else:
        # Folders of earlier releases do not count rollouts; there, a batch had as many as a step trains on.
        per_batch = config["group_size"] * config["prompts_per_step"]
        used = [(row["step"], row.get("sgpo/rollouts", n * per_batch)) for row, n in batches]
        known = read_curve(rows, "train/step_time")  # the mean over the steps of a row
        n_steps = [step - before for before, step in pairwise((0, *known.steps))]
        times = [(step, time * n) for step, time, n in zip(known.steps, known.values, n_steps, strict=True)]
        first_dead = results["first_frac_all_negative"]
    # The mean length is over all batches behind a row, including those that were sampled again.
    lengths = [row.get("train/completions/mean_length") for row, _ in batches]
    tokens = [(step, n * length) for (step, n), length in zip(used, lengths, strict=False) if length is not None]
    return RunRecord(
        facts=arm_facts(config),
        curve=read_curve(rows, "eval/accuracy"),
        rollouts=_summed(used),
        seconds=_summed(times),
        training={name: read_curve(rows, metric) for name, metric in TRAINING.items()}
        | {"tokens": _summed(tokens)}
        | {name: _summed((row["step"], row.get(f"sgpo/{name}", 0.0) * n) for row, n in batches) for name in COUNTED},
        guards=read_guards(run.folder),
        results=results,
        first_frac_all_negative=first_dead,
        seconds_per_step=sum(time for _, time in times) / times[-1][0] if times else None,
    )


def _summed(rows: Iterable[tuple[int, float]]) -> Curve:
    """Return sums over all rows up to each step, from 0 at the start."""
    rows = list(rows)
    if not rows:
        return Curve()
    return Curve(steps=(0, *(step for step, _ in rows)), values=tuple(accumulate((n for _, n in rows), initial=0.0)))


def read_curve(rows: Sequence[Mapping[str, Any]], name: str) -> Curve:
    """Return a metric of `metrics.jsonl` at the steps at which it has a value."""
    found = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
    return Curve(steps=tuple(step for step, _ in found), values=tuple(value for _, value in found))


def read_guards(folder: Path) -> tuple[Firing, ...]:
    """Return the contents of a run's `guards.jsonl`; empty if no guard has fired."""
    path = folder / FIRINGS
    if not path.is_file() or not path.stat().st_size:  # offline runs of earlier releases leave it empty
        return ()
    return tuple(Firing.model_validate(row) for _, row in read_jsonl(path))


def arm_facts(config: Mapping[str, Any]) -> ArmFacts:
    """Return what an arm is, from the configuration of one of its runs.

    Judges are named by their id, or by their path if the judge is gone or has no card here.
    """
    judge: str | None = config["judge"]
    algorithm = config["algorithm"]["type"] if config["algorithm"] else "grpo" if judge is None else "sgpo"
    if judge is None or not Path(judge).exists():
        return ArmFacts(algorithm, judge)
    directory, card, _ = find_card(judge)
    if not isinstance(card.spec, MistakenSpec):
        return ArmFacts(algorithm, card.judge_id)
    member = locate_member(directory, *card.spec.members)
    asked = find_card(member).card.judge_id if Path(member).exists() else member
    return ArmFacts(algorithm, asked, card.spec.errors, card.spec.rate)
